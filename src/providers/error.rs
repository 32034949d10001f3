//! Why a provider did not answer, in words that may stand in a status.

use std::time::Duration;

use crate::sync::schedule::Class;

/// Why a provider did not answer. The message names the key and the provider's reason, never a value or a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What kind of fault it is.
    pub cause: Cause,
    /// One sentence for people.
    pub message: String,
    /// Whether the provider was not even asked, because it did not answer others before.
    pub is_held_back: bool,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The remote secret as a whole does not exist: what ESO calls `NoSecret`, and deletion policies ask for.
    Missing,
    /// The request cannot be answered as it stands: a bad version, a wrong type of secret.
    Invalid,
    /// The credentials are good but may not do this.
    Denied,
    /// The credentials are not (or no longer) good.
    Unauthenticated,
    /// The provider wants fewer calls.
    Throttled {
        /// How long to wait, where it said so.
        after: Option<Duration>,
    },
    /// The provider does not answer, or has a fault of its own.
    Unavailable,
    /// The store's settings cannot work.
    Misconfigured,
}

impl ProviderError {
    /// An error of that cause.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), is_held_back: false }
    }

    /// How soon another try makes sense.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self.cause {
            Cause::Missing | Cause::Invalid | Cause::Denied | Cause::Unauthenticated => Class::Refused,
            Cause::Throttled { after } => Class::Throttled { after },
            Cause::Unavailable => Class::Transient,
            Cause::Misconfigured => Class::Terminal,
        }
    }

    /// Whether the provider as such seems to be away: what the circuit breaker counts.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self.cause, Cause::Unavailable | Cause::Throttled { .. })
    }
}

impl crate::sync::external::Fault for ProviderError {
    fn is_missing(&self) -> bool {
        self.cause == Cause::Missing
    }
}
