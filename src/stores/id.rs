//! Names of stores, and why one cannot be used.

use std::fmt;
use std::sync::Arc;

use bulla_crds::external_secret::StoreKind;

use crate::providers::{Cause, ProviderError};
use crate::sync::schedule::Class;

/// Names one store. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId {
    /// Which kind.
    pub kind: StoreKind,
    /// Its namespace; empty for a ClusterSecretStore.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl StoreId {
    /// The store `name` of that kind, as seen from `namespace`.
    #[must_use]
    pub fn new(kind: StoreKind, namespace: &str, name: &str) -> Self {
        let namespace = if kind == StoreKind::ClusterSecretStore { "" } else { namespace };
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// Whether it is a ClusterSecretStore.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.kind == StoreKind::ClusterSecretStore
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind.as_str(), self.name)
    }
}

/// Why a store cannot be used. Short and free of secrets: it goes into a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is none of that name.
    #[error("could not get {store}: it does not exist")]
    NotFound {
        /// Kind and name.
        store: String,
    },
    /// Another controller serves it.
    #[error("can not reference unmanaged store: {store} has the controller class {class:?}")]
    Unmanaged {
        /// Kind and name.
        store: String,
        /// The class that it names.
        class: String,
    },
    /// Its conditions do not admit the namespace.
    #[error("{0}")]
    Denied(String),
    /// It was checked and is not good.
    #[error("{store} is not ready: {problem}")]
    NotReady {
        /// Kind and name.
        store: String,
        /// Why.
        problem: String,
        /// How soon a look at the store makes sense.
        class: Class,
    },
    /// Its settings cannot work as they stand.
    #[error("{0}")]
    Invalid(String),
    /// What it names cannot be read.
    #[error("{problem}")]
    Material {
        /// What and why.
        problem: String,
        /// How soon another try makes sense.
        class: Class,
    },
    /// It names things in the namespace of whoever uses it: there is nothing to check by itself.
    #[error("the store's credentials are those of the namespace that uses it")]
    Referent,
    /// The provider refuses.
    #[error("{0}")]
    Provider(#[from] ProviderError),
}

impl StoreError {
    /// How soon another try makes sense.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NotFound { .. } | Self::Referent => Class::Blocked,
            Self::Unmanaged { .. } | Self::Denied(_) | Self::Invalid(_) => Class::Terminal,
            Self::NotReady { class, .. } | Self::Material { class, .. } => *class,
            Self::Provider(error) => error.class(),
        }
    }

    /// Whether only a person can mend it.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        match self {
            Self::Provider(error) => error.cause == Cause::Misconfigured,
            Self::NotFound { .. } | Self::Referent => false,
            Self::Unmanaged { .. } | Self::Denied(_) | Self::Invalid(_) => true,
            Self::NotReady { class, .. } | Self::Material { class, .. } => class.is_terminal(),
        }
    }
}
