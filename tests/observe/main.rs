//! What the real program says about itself while it works: metrics, logs, the audit log, traces and notices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]
#![allow(clippy::disallowed_methods, reason = "files of a test are thrown away")]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod documents;
mod exposition;
mod logs;
mod notices;
mod receiver;
mod traces;
mod world;
