//! Why keys could not be looked after.

use super::wrap::WrapError;
use crate::controllers::api::ApiError;
use crate::sync::schedule::Class;

/// Why keys could not be looked after. Carries no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What wraps private halves.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The library that makes keys.
    #[error("a key cannot be made: {0}")]
    Making(&'static str),
}

impl Trouble {
    /// How soon another try makes sense.
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::Api(error) => error.class(),
            Self::Wrap(error) => error.class,
            Self::Making(_) => Class::Transient,
        }
    }
}
