//! The life of a sealing key against a real API server: made, renewed, ordered, retired, wrapped, counted.

#![allow(clippy::disallowed_methods, reason = "files of a test are thrown away")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod process;
mod renewal;
mod report;
mod states;
mod world;
mod wrapped;
