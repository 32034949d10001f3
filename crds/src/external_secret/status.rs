//! What came of an ExternalSecret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::sealed_secret::WrittenSecret;

/// What came of an ExternalSecret. The fields of External Secrets first, then ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalSecretStatus {
    /// When the last good sync began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_time: Option<Time>,
    /// `<generation>-<hash of labels and annotations>` of the object at the last good sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced_resource_version: Option<String>,
    /// The Secret, as servicebinding.io wants to find it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// `Ready` first, then `Reconciling` and `Stalled` as they apply.
    #[serde(deserialize_with = "crate::object::conditions", default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the values are fetched again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_refresh_time: Option<Time>,
    /// Why the last sync happened, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_reason: Option<String>,
    /// The value of the force-sync annotation that was acted on last, whether the sync ended well or not: whoever set it
    /// knows from it that what the conditions say is the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_force_sync: Option<String>,
    /// The Secret as it was last written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<WrittenSecret>,
}

/// The Secret, as servicebinding.io wants to find it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The Secret's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}
