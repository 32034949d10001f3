//! The controller against a real API server: what it writes, what it costs, what it refuses and how it recovers.

#[path = "../support/mod.rs"]
mod support;

mod canary;
mod drift;
mod first_sync;
mod keys;
mod outage;
mod ownership;
mod refusals;
mod restart;
mod template;
mod world;
