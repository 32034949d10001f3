//! Host mode against the real parts around it: git, tmpfs, users, service managers, nginx.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails says so by panicking, and its files are its own"
)]

mod declared;
mod external;
mod packaging;
mod agent;
mod repository;
mod servers;
