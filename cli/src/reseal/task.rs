//! One value that is not known to be as it should be, wherever it stands.

use std::collections::BTreeMap;

use bulla::seal::{self, Binding, Format, KeyId, Place, Scope, Standing};

use super::report::{self, Failed};
use crate::document::{Entry, Manifest};

/// A value to look at more closely.
pub(super) struct Task<'a> {
    pub(super) at: At<'a>,
    pub(super) sealed: &'a str,
    pub(super) standing: Standing,
    pub(super) format: Format,
    /// The keys that it names; none in kubeseal's format.
    pub(super) keys: Vec<KeyId>,
    /// The namespace that it is taken for.
    pub(super) namespace: String,
}

/// Where a value stands.
pub(super) enum At<'a> {
    /// In a SealedSecret.
    Object { manifest: usize, object: &'a Manifest, entry: &'a Entry },
    /// Elsewhere, as in a template or in values of a chart. It says itself where it belongs, and goes on saying so.
    Loose { line: usize, binding: Binding, annotations: BTreeMap<String, String> },
}

/// What became of a value.
pub(super) enum Fate {
    Current,
    Stale,
    Unknown,
    Resealed {
        /// The keys that are known to have opened it, and those that open it now.
        before: Vec<KeyId>,
        after: Vec<KeyId>,
        sealed: String,
    },
    Failed(String),
}

impl<'a> At<'a> {
    /// A value outside of SealedSecrets.
    pub(super) fn loose(line: usize, binding: Binding) -> Self {
        let annotation = binding.scope.annotation().map(|annotation| (annotation.to_owned(), "true".to_owned()));
        Self::Loose { line, binding, annotations: annotation.into_iter().collect() }
    }

    pub(super) const fn line(&self) -> usize {
        match self {
            Self::Object { entry, .. } => entry.line,
            Self::Loose { line, .. } => *line,
        }
    }

    /// The data key; empty where nothing says one.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Object { entry, .. } => &entry.key,
            Self::Loose { binding, .. } => binding.key.as_deref().unwrap_or_default(),
        }
    }

    /// The name of its object; empty where nothing says one.
    pub(super) fn name(&self) -> &str {
        let name = match self {
            Self::Object { object, .. } => &object.name,
            Self::Loose { binding, .. } => &binding.name,
        };
        name.as_deref().unwrap_or_default()
    }

    /// The scope that is declared for it: by the object, or by itself where there is none.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Object { object, .. } => object.scope(),
            Self::Loose { binding, .. } => binding.scope,
        }
    }

    /// The annotations that declare the scope.
    pub(super) const fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Object { object, .. } => &object.annotations,
            Self::Loose { annotations, .. } => annotations,
        }
    }

    /// Whether two values are of one object.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Object { manifest: one, .. }, Self::Object { manifest: two, .. }) if one == two)
    }

    pub(super) fn failed(&self, reason: String) -> Failed {
        let (object, key) = match self {
            Self::Object { object, entry, .. } => (Some(report::named(object)), Some(entry.key.clone())),
            Self::Loose { binding, .. } => (None, binding.key.clone()),
        };
        Failed { line: Some(self.line()), object, key, reason }
    }
}

impl Task<'_> {
    pub(super) fn place(&self) -> Place<'_> {
        Place { namespace: &self.namespace, name: self.at.name(), key: self.at.key() }
    }
}

/// The keys that a value names.
pub(super) fn keys_of(sealed: &str) -> Vec<KeyId> {
    seal::inspect(sealed).ok().and_then(|looked| looked.binding).map(|binding| binding.keys).unwrap_or_default()
}
