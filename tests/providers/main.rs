//! Every provider against the real thing behind it: one contract for all, and what each has of its own.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails says so by panicking, and its files are its own"
)]

#[path = "../support/mod.rs"]
mod support;

mod aws;
mod contract;
mod contract_aws;
mod contract_vault;
mod fake;
mod file;
mod kubernetes;
mod vault;
