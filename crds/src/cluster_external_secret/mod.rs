//! `external-secrets.io` ClusterExternalSecret: the same ExternalSecret in many namespaces.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::core::ClusterResourceScope;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::external_secret::{self, ExternalSecretSpec};
use crate::object::{Unreadable, external_secrets_object};
use crate::validation::{Violation, is_duration};

/// The kind.
pub const KIND: &str = "ClusterExternalSecret";
/// The plural, as URLs and RBAC rules have it.
pub const PLURAL: &str = "clusterexternalsecrets";

/// The same ExternalSecret in many namespaces.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterExternalSecret {
    /// Name and the rest; there is no namespace.
    pub metadata: ObjectMeta,
    /// What to make and where, or why it cannot be read.
    pub spec: Result<ClusterExternalSecretSpec, Unreadable>,
    /// What came of it, written by the controller.
    pub status: Option<ClusterExternalSecretStatus>,
}

external_secrets_object!(
    ClusterExternalSecret,
    ClusterExternalSecretSpec,
    ClusterExternalSecretStatus,
    ClusterResourceScope,
    KIND,
    PLURAL
);

/// An ExternalSecret and the namespaces that get it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterExternalSecretSpec {
    /// The spec of every ExternalSecret.
    pub external_secret_spec: ExternalSecretSpec,
    /// Their name; absent means the ClusterExternalSecret's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_secret_name: Option<String>,
    /// Their labels and annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_secret_metadata: Option<ExternalSecretMetadata>,
    /// Deprecated: one selector of namespaces; use `namespace_selectors`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Namespaces that match any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespace_selectors: Vec<LabelSelector>,
    /// Deprecated: namespaces by name, beside those that are selected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// How often to look for namespaces again, as a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_time: Option<String>,
}

/// Labels and annotations of the ExternalSecrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalSecretMetadata {
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What came of a ClusterExternalSecret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterExternalSecretStatus {
    /// The name that the ExternalSecrets have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_secret_name: Option<String>,
    /// Where it did not work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_namespaces: Vec<FailedNamespace>,
    /// Where it did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provisioned_namespaces: Vec<String>,
    /// `Ready`, and `Stalled` as it applies.
    #[serde(deserialize_with = "crate::object::conditions", default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A namespace that did not get its ExternalSecret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedNamespace {
    /// The namespace.
    pub namespace: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Every rule that the spec breaks, those of its ExternalSecrets first.
pub fn validate(spec: &ClusterExternalSecretSpec) -> Vec<Violation> {
    let inner = external_secret::validate(&spec.external_secret_spec).into_iter();
    let mut broken: Vec<_> = inner
        .map(|Violation { path, message }| Violation {
            path: path.replacen("spec", "spec.externalSecretSpec", 1),
            message,
        })
        .collect();
    if spec.refresh_time.as_ref().is_some_and(|interval| !is_duration(interval)) {
        broken.push(Violation::new("spec.refreshTime", "must be a duration such as 1h30m"));
    }
    broken
}

#[cfg(test)]
mod tests;
