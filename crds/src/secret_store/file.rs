//! `provider.file`, ours: an age-encrypted YAML file.

use serde::{Deserialize, Serialize};

use super::SecretKeySelector;

/// An age-encrypted YAML file. Exactly one of `path`, `config_map_ref` and `secret_ref` is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileProvider {
    /// A path in the file system of the controller or the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A key of a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<FileRef>,
    /// A key of a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<FileRef>,
    /// Where the age identity is that opens it. A cluster needs it; a host may have its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_secret_ref: Option<SecretKeySelector>,
}

/// A key of a ConfigMap or a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRef {
    /// The object's name.
    pub name: String,
    /// The data key.
    pub key: String,
    /// The object's namespace; counts only in a ClusterSecretStore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
