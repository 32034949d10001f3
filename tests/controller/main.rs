//! The controller against a real API server: what it writes, what it costs, what it refuses and how it recovers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod drift;
mod external_schema;
mod first_sync;
mod keys;
mod kubeseal;
mod migration;
mod outage;
mod ownership;
mod refusals;
mod restart;
mod settings;
mod template;
mod world;
