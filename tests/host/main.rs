//! Host mode against the real parts around it: git, tmpfs, users, service managers, nginx.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails says so by panicking, and its files are its own"
)]

#[cfg(feature = "kubernetes")]
mod agent; // the program itself, which has both modes
mod credentials;
mod deb;
mod declared;
#[cfg(feature = "kubernetes")]
mod example;
mod external;
mod gate;
mod packaging;
mod repository;
mod room;
mod servers;
mod sink;
mod units;
