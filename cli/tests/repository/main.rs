//! A repository and the `bulla` binary: checked, searched, sealed again, merged, recovered.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "../../../tests/support/front.rs"]
#[expect(clippy::expect_used, reason = "a test that cannot set itself up has failed")]
mod front;
#[path = "../cli/harness.rs"]
mod harness;
#[path = "../../../tests/support/mod.rs"]
mod support;
#[path = "../cli/world.rs"]
#[allow(dead_code, reason = "shared with the tests of the verbs that need a cluster")]
mod world;

mod auditing;
mod baselines;
mod checkout;
mod cluster_custody;
mod custody;
mod diffing;
mod disaster;
mod drilling;
mod editing;
mod history;
mod installing;
mod merging;
mod peers;
mod resealing;
mod rotating;
mod scanning;
mod specimens;
mod verifying;
