//! Which store may be used from where, and whose credentials it takes.

use std::collections::BTreeMap;

use crate::secret::template::compile_pattern;

/// One of `spec.conditions` of a ClusterSecretStore. It holds if any of its three parts does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Labels of namespaces.
    pub selector: Option<Selector>,
    /// Names of namespaces.
    pub namespaces: Vec<String>,
    /// Regular expressions (Go's) that find a match anywhere in a name.
    pub regexes: Vec<String>,
}

/// A label selector. All of it must hold; an empty one always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels with the value that they must have.
    pub labels: BTreeMap<String, String>,
    /// Further requirements.
    pub requirements: Vec<Requirement>,
}

/// What a label must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Name of the label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// What with; empty for the operators that need nothing.
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It has one of the values.
    In,
    /// It has none of the values, or there is no such label.
    NotIn,
    /// It exists.
    Exists,
    /// It does not exist.
    DoesNotExist,
    /// Anything else: an error.
    Other(String),
}

/// Why a store cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// No condition admits the namespace.
    #[error("using cluster store {store:?} is not allowed from namespace {namespace:?}: denied by spec.condition")]
    Denied {
        /// Name of the ClusterSecretStore.
        store: String,
        /// The namespace.
        namespace: String,
    },
    /// A condition cannot be understood, and no other one admits the namespace.
    #[error("spec.conditions[{index}] of cluster store {store:?} is invalid: {reason}")]
    Invalid {
        /// Name of the ClusterSecretStore.
        store: String,
        /// Which condition, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A selector of a SecretStore names another namespace.
    #[error(
        "namespace should either be empty or match the namespace of the SecretStore for a namespaced SecretStore: it \
         is {selector:?}, and the store is in {store:?}"
    )]
    ForeignNamespace {
        /// What the selector names.
        selector: String,
        /// Where the store is.
        store: String,
    },
}

/// Whether a ClusterSecretStore may be used from a namespace with these labels. No conditions admit all.
///
/// # Errors
///
/// [`AccessError::Denied`] or [`AccessError::Invalid`].
pub fn admit(
    store: &str,
    conditions: &[Condition],
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(), AccessError> {
    let mut invalid = None;
    for (index, condition) in conditions.iter().enumerate() {
        match condition.holds(namespace, labels) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(reason) => {
                invalid.get_or_insert(AccessError::Invalid { store: store.to_owned(), index, reason });
            }
        }
    }
    match invalid {
        None if conditions.is_empty() => Ok(()),
        None => Err(AccessError::Denied { store: store.to_owned(), namespace: namespace.to_owned() }),
        Some(invalid) => Err(invalid),
    }
}

impl Condition {
    fn holds(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Result<bool, String> {
        if self.namespaces.iter().any(|name| name == namespace) {
            return Ok(true);
        }
        let mut fault = None;
        for expression in &self.regexes {
            match compile_pattern(expression) {
                Some(pattern) if pattern.is_match(namespace.as_bytes()) => return Ok(true),
                Some(_) => {}
                None => fault = Some(format!("the regular expression {expression:?} is malformed or too large")),
            }
        }
        match self.selector.as_ref().map(|selector| selector.matches(labels)) {
            Some(Ok(true)) => Ok(true),
            Some(Err(reason)) => Err(reason),
            Some(Ok(false)) | None => fault.map_or(Ok(false), Err),
        }
    }
}

impl Selector {
    /// Whether an object with these labels is meant.
    ///
    /// # Errors
    ///
    /// What is wrong with the selector.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> Result<bool, String> {
        let mut all = self.labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        for Requirement { key, operator, values } in &self.requirements {
            let value = labels.get(key);
            let is_listed = value.is_some_and(|value| values.contains(value));
            all &= match operator {
                Operator::In | Operator::NotIn if values.is_empty() => {
                    return Err(format!("the requirement on label {key:?} lists no values"));
                }
                Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                    return Err(format!("the requirement on label {key:?} must not list values"));
                }
                Operator::In => is_listed,
                Operator::NotIn => !is_listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
                Operator::Other(name) => {
                    return Err(format!("the requirement on label {key:?} has the unknown operator {name:?}"));
                }
            };
        }
        Ok(all)
    }
}

/// Whether a store, or another object with a controller class, is ours.
#[must_use]
pub fn is_ours(class: Option<&str>, our_class: &str) -> bool {
    class.is_none_or(|class| class.is_empty() || class == our_class)
}

/// Where a store lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreScope<'a> {
    /// A SecretStore, in that namespace.
    Namespace(&'a str),
    /// A ClusterSecretStore.
    Cluster,
}

/// Where a selector of a store's credentials points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialNamespace {
    /// To that namespace.
    Known(String),
    /// To the namespace of whatever uses the store, which is not known: the store cannot be checked by itself.
    Referent,
}

/// The namespace that a selector of a store means: the store's own; for a ClusterSecretStore the one that it names, else
/// that of the object that uses the store (`user`, `None` where the store is looked at by itself).
///
/// # Errors
///
/// [`AccessError::ForeignNamespace`] if a selector of a SecretStore names another namespace than the store's.
pub fn credential_namespace(
    scope: StoreScope<'_>,
    selector: Option<&str>,
    user: Option<&str>,
) -> Result<CredentialNamespace, AccessError> {
    let selector = selector.filter(|namespace| !namespace.is_empty());
    match (scope, selector) {
        (StoreScope::Namespace(store), Some(selector)) if selector != store => {
            Err(AccessError::ForeignNamespace { selector: selector.to_owned(), store: store.to_owned() })
        }
        (StoreScope::Namespace(store), _) => Ok(CredentialNamespace::Known(store.to_owned())),
        (StoreScope::Cluster, Some(selector)) => Ok(CredentialNamespace::Known(selector.to_owned())),
        (StoreScope::Cluster, None) => {
            Ok(user.map_or(CredentialNamespace::Referent, |user| CredentialNamespace::Known(user.to_owned())))
        }
    }
}
