//! The test bed: real servers and the real peer tools, started by the tests that need them.
//!
//! Included with `mod support;` from the integration tests and with `#[path]` from the benches and
//! from other crates. A test sees an API server ([`apiserver::ApiServer`]) with its audit log
//! ([`audit`]), AWS ([`moto`]) behind a counting, faulting [`proxy`], the upstream controller
//! ([`upstream`]) and the command-line peers ([`tools`]).
//! Everything that is started hangs on a [`leash`], so that nothing outlives the test process
//! in whatever way that ends. A server that cannot be had ([`servers`]) panics with the reason:
//! there is no silent skip.

// Each test binary compiles this module and uses a part of it; a test bed that fails says so by panicking.
#![allow(dead_code, clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub(crate) mod apiserver;
pub(crate) mod audit;
pub(crate) mod dice;
pub(crate) mod identities;
pub(crate) mod leash;
pub(crate) mod logs;
pub(crate) mod moto;
pub(crate) mod objects;
pub(crate) mod ports;
pub(crate) mod proxy;
pub(crate) mod rights;
pub(crate) mod servers;
pub(crate) mod tools;
pub(crate) mod upstream;
pub(crate) mod vault;
pub(crate) mod wire;
