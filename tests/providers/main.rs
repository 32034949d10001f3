<<<<<<< HEAD
//! The providers against the real servers: what they answer, what that costs, and what they do when the server fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so by panicking")]
=======
//! The providers against real servers.

// Tests say what went wrong by panicking.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]
>>>>>>> vlt

#[path = "../support/mod.rs"]
mod support;

<<<<<<< HEAD
mod aws;
=======
mod vault;
>>>>>>> vlt
