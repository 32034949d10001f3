//! The providers against the real servers: what they answer, what that costs, and what they do when the server fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod aws;
mod vault;
