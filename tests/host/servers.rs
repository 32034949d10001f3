//! The part of the test bed that needs no Kubernetes.

#![allow(
    dead_code,
    clippy::module_inception,
    reason = "a part of it is used, and files keep the names that they have there"
)]

#[path = "../support/audit.rs"]
pub(crate) mod audit;
#[path = "../support/identities.rs"]
pub(crate) mod identities;
#[path = "../support/leash.rs"]
pub(crate) mod leash;
#[path = "../support/moto.rs"]
pub(crate) mod moto;
#[path = "../support/ports.rs"]
pub(crate) mod ports;
#[path = "../support/proxy.rs"]
pub(crate) mod proxy;
#[path = "../support/servers.rs"]
pub(crate) mod servers;
#[path = "../support/vault.rs"]
pub(crate) mod vault;
