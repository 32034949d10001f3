//! kubeseal's server: the real `kubeseal` against ours, and what nobody but a stranger would send.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]

#[path = "../support/mod.rs"]
mod support;

// Beside the test bed: only these tests need TLS of their own.
#[path = "../support/front.rs"]
mod front;

mod audit;
mod client;
mod commands;
mod hostile;
mod limits;
mod process;
mod published;
mod rotate;
mod verify;
mod world;
