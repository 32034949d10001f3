//! Where a sealed value may be used, and how a value says so.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{KeyId, Refusal};

/// How closely a value is bound to the place that it was sealed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// To one namespace and name, and in the native format to the data key too.
    #[default]
    Strict,
    /// To a namespace: it may be renamed there.
    NamespaceWide,
    /// To nothing but the keys that open it.
    ClusterWide,
}

impl Scope {
    /// The annotation of a SealedSecret that declares [`Scope::ClusterWide`] when it is exactly `"true"`.
    pub const CLUSTER_WIDE_ANNOTATION: &'static str = "sealedsecrets.bitnami.com/cluster-wide";
    /// The annotation of a SealedSecret that declares [`Scope::NamespaceWide`] when it is exactly `"true"`.
    pub const NAMESPACE_WIDE_ANNOTATION: &'static str = "sealedsecrets.bitnami.com/namespace-wide";

    /// What an object's own annotations declare, as upstream reads them: `"true"` only, cluster-wide first.
    pub fn from_annotations<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> Self {
        if annotation(Self::CLUSTER_WIDE_ANNOTATION) == Some("true") {
            Self::ClusterWide
        } else if annotation(Self::NAMESPACE_WIDE_ANNOTATION) == Some("true") {
            Self::NamespaceWide
        } else {
            Self::Strict
        }
    }

    /// The annotation that declares this scope; strict needs none.
    #[must_use]
    pub const fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Strict => None,
            Self::NamespaceWide => Some(Self::NAMESPACE_WIDE_ANNOTATION),
            Self::ClusterWide => Some(Self::CLUSTER_WIDE_ANNOTATION),
        }
    }

    /// The word in flags, files and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::NamespaceWide => "namespace-wide",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Strict, Self::NamespaceWide, Self::ClusterWide]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a scope: use strict, namespace-wide or cluster-wide"))
    }
}

/// Where a value is, or is going to be, used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The namespace of the object (a host group, on a machine without Kubernetes).
    pub namespace: &'a str,
    /// The name of the object.
    pub name: &'a str,
    /// The data key of the value in the object.
    pub key: &'a str,
}

/// What a native value says about itself: the body of its `bulla` stanza, covered by age's header MAC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Binding {
    /// How closely it is bound.
    pub scope: Scope,
    /// Its namespace, unless cluster-wide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of its object, when strict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its data key, when strict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The keys that open it. Filled in when sealing.
    pub keys: Vec<KeyId>,
    /// The day it was sealed, in UTC.
    pub sealed: Date,
    /// The day after which it should have been replaced. A hint for people and checks: opening does not refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Date>,
    /// Who answers for the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl Binding {
    /// Binds a value to `place` as closely as `scope` says.
    #[must_use]
    pub fn new(scope: Scope, place: Place<'_>, sealed: Date) -> Self {
        let strict = scope == Scope::Strict;
        Self {
            scope,
            namespace: (scope != Scope::ClusterWide).then(|| place.namespace.to_owned()),
            name: strict.then(|| place.name.to_owned()),
            key: strict.then(|| place.key.to_owned()),
            keys: Vec::new(),
            sealed,
            not_after: None,
            owner: None,
        }
    }

    /// Whether exactly the fields that the scope calls for are there.
    pub(super) const fn is_complete(&self) -> bool {
        let (namespace, name, key) = (self.namespace.is_some(), self.name.is_some(), self.key.is_some());
        match self.scope {
            Scope::Strict => namespace && name && key,
            Scope::NamespaceWide => namespace && !name && !key,
            Scope::ClusterWide => !namespace && !name && !key,
        }
    }

    /// Whether the value may be used at `place` of an object that declares `declared`. What a value says about itself
    /// is proven only by opening it.
    ///
    /// # Errors
    /// When it was sealed for another place, or says another scope than the object.
    pub fn admits(&self, place: Place<'_>, declared: Scope) -> Result<(), Refusal> {
        let same = |bound: &Option<String>, used: &str| bound.as_deref().is_none_or(|bound| bound == used);
        let fits = same(&self.namespace, place.namespace) && same(&self.name, place.name) && same(&self.key, place.key);
        if !fits {
            return Err(Refusal::WrongScope { sealed_for: self.to_string(), used_in: describe(self.scope, place) });
        }
        if self.scope != declared {
            return Err(Refusal::ScopeDisagrees { sealed: self.scope, declared });
        }
        Ok(())
    }

    /// What RSA-OAEP takes as label for this binding: upstream's rule.
    pub(super) fn label(&self) -> Vec<u8> {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        match self.scope {
            Scope::Strict => format!("{namespace}/{}", self.name.as_deref().unwrap_or_default()).into_bytes(),
            Scope::NamespaceWide => namespace.as_bytes().to_vec(),
            Scope::ClusterWide => Vec::new(),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let (namespace, name, key) = (part(&self.namespace), part(&self.name), part(&self.key));
        formatter.write_str(&describe(self.scope, Place { namespace: &namespace, name: &name, key: &key }))
    }
}

/// A place in words, as far as `scope` binds to it. `{:?}` keeps hostile names from writing control characters.
fn describe(scope: Scope, place: Place<'_>) -> String {
    match scope {
        Scope::Strict => {
            let object = format!("{}/{}", place.namespace, place.name);
            format!("key {:?} of {object:?}", place.key)
        }
        Scope::NamespaceWide => format!("namespace {:?}", place.namespace),
        Scope::ClusterWide => "anywhere".to_owned(),
    }
}
