//! More than one replica, and a cluster that fails: the real program as processes against a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod external;
mod failover;
mod fairness;
mod faults;
mod front;
mod settings;
mod shards;
mod world;
