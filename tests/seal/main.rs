//! Proofs of the sealed formats through the public interface: against the C2SP vectors, against the real `age` and
//! `kubeseal`, by properties, and with every kind of bad input.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a proof that cannot be set up fails by panicking, and its files are its own"
)]

#[path = "../support/mod.rs"]
mod support;

mod age;
mod bad_input;
mod fuzz_bodies;
mod given;
mod kubeseal;
mod leaks;
mod properties;
mod vectors;
mod work;
