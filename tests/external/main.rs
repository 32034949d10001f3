//! ExternalSecrets against a real API server and real providers: what is written, what it costs, how it recovers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod aws;
mod canary;
mod cloud;
mod cluster_external_secret;
mod faults;
mod first_sync;
mod policies;
mod refresh;
mod stores;
mod takeover;
mod vault;
mod world;
