//! The controller against a real API server: what it writes, what it costs, what it refuses and how it recovers.

#[path = "../support/mod.rs"]
mod support;

mod canary;
mod first_sync;
mod world;
