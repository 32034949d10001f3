//! Edge: the stores that ExternalSecrets name, from their settings to what an ExternalSecret asks of them.
//!
//! | module | what it is |
//! | --- | --- |
//! | `id` | names of stores, and why one cannot be used |
//! | `objects` | the objects that settings name: a cluster's, or what a host opened |
//! | `materials` | reads them by the rules of namespaces |
//! | `connect` | from settings to a provider; `aws`, `vault`, `kubernetes` have what each takes |
//! | `admission` | which namespaces a ClusterSecretStore admits |
//! | `fetch` | asks all stores of an ExternalSecret and makes values of what they answer |
//!
//! `controllers` and `host` share it: they differ in where they read objects, and in what they do with the values.

pub mod admission;
#[cfg(feature = "aws")]
mod aws;
#[cfg(not(feature = "aws"))]
#[path = "without_aws.rs"]
mod aws;
mod connect;
mod fetch;
mod id;
#[cfg(feature = "kubernetes")]
mod kubernetes;
#[cfg(not(feature = "kubernetes"))]
#[path = "without_kubernetes.rs"]
mod kubernetes;
mod materials;
mod objects;
#[cfg(any(feature = "aws", feature = "vault"))]
mod retry;
#[cfg(feature = "vault")]
mod vault;
#[cfg(not(feature = "vault"))]
#[path = "without_vault.rs"]
mod vault;

pub use self::connect::{Connected, Surroundings, connect, is_read_with_settings, life, names_its_user};
pub use self::fetch::{Asked, FetchError, fetch};
pub use self::id::{StoreError, StoreId};
pub use self::objects::{Account, Accounts, Objects, Part, Read};
