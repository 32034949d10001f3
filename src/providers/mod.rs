//! Where remote secrets live: one [`Provider`] a store, spoken to through one [`Gate`].
//!
//! | module | what it is |
//! | --- | --- |
//! | [`gate`] | every call passes it: rate budget, circuit breaker, metrics |
//! | [`aws`] | AWS Secrets Manager and Parameter Store |
//! | [`vault`] | HashiCorp Vault and OpenBao, KV version 1 and 2 |
//! | [`kubernetes`] | the Secrets of a namespace, of this cluster or another |
//! | [`mod@file`] | an age-encrypted YAML file |
//! | [`fake`] | values written in the store itself, for tests |
//!
//! A provider is made from settings with resolved credentials: it reads no Kubernetes object by itself, and nothing of
//! it is process-global. It answers what it is asked, item by item: one that fails does not fail the others.

#[cfg(feature = "aws")]
pub mod aws;
mod error;
pub mod fake;
pub mod file;
pub mod gate;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod names;
mod session;
#[cfg(feature = "vault")]
pub mod vault;

use futures::future::BoxFuture;

pub use self::error::{Cause, ProviderError};
pub use self::gate::Gate;
pub use self::session::{Reply, Session, Urgency};

use crate::secret::Plaintext;
use crate::sync::remote::{Answer, Request};

/// A store that can be asked.
pub trait Provider: Send + Sync + 'static {
    /// The name that metrics have, such as `AWS/SecretsManager`.
    fn name(&self) -> &'static str;

    /// How many requests one call can answer; the fetch queue collects that many where it can.
    fn batch_size(&self) -> usize;

    /// Answers every request, in the order of `requests`.
    fn fetch(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<Result<Answer, ProviderError>>>;

    /// Whether the store can be used at all: credentials are good, the server answers.
    fn validate(&self) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// Gives back what was taken, such as a login. The provider is not used afterwards.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Gives a token each time one is needed, such as one of a service account.
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is valid now.
    fn token(&self) -> BoxFuture<'_, Result<Plaintext, ProviderError>>;
}

/// A random number for jitter. Without randomness there is none, which does no harm.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes))
}
