//! The `bulla` binary as its users meet it: what it prints, what it writes, how it exits.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod harness;
mod hosting;
#[path = "../../../tests/support/mod.rs"]
mod support;

mod cluster;
mod cluster_keys;
mod files;
mod keys;
mod looking;
mod opening;
mod planning;
mod sealing;
mod status;
mod story;
mod syncing;
mod verifying;
mod waiting;
mod world;
