//! `bulla.dev/v1alpha1` Host: what a machine without Kubernetes is to have, in the repository that it follows.
//!
//! A host takes a document if it names the host or one of its groups (see [`Host::is_for`]). Unlike the objects of
//! Kubernetes, which others may have written, a Host is read strictly: a field that nobody knows is an error, since a
//! machine that is silently configured by half is worse than one that says so.

mod cron;
mod duration;
mod files;
mod glob;
mod names;
mod paths;
mod read;
mod schema;
mod services;
mod validate;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::cron::{command as cron_command, value as cron_value};
pub use self::duration::duration;
pub use self::files::{CredentialBy, CronJob, HostCredential, HostFile, HostUnit, Place, SecretName, SecretValue};
pub use self::glob::Glob;
pub use self::names::{QUADLETS, Unit, UnitKind, is_object as is_name};
pub use self::paths::{absolute as check_path, is_public, mode};
pub use self::read::{Positions, Reading, is_host};
pub use self::schema::schema;
pub use self::services::{HealthCheck, HostService, HttpCheck, ServiceCommands};
pub use self::validate::{is_too_long, validate, validate_at};

/// Group and version of the document.
pub const API_VERSION: &str = "bulla.dev/v1alpha1";
/// Its kind.
pub const KIND: &str = "Host";

/// A Host document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// Group and version of the document, `bulla.dev/v1alpha1`.
    pub api_version: String,
    /// Its kind, `Host`.
    pub kind: String,
    /// What it is called, and where it belongs.
    pub metadata: HostMetadata,
    /// What the host is to have.
    #[serde(default)]
    pub spec: HostSpec,
}

/// Name and namespace of a Host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostMetadata {
    /// A name, unique in its namespace. A document without `spec.hosts` and `spec.groups` is for the host of this name
    /// and for the group that is its namespace.
    pub name: String,
    /// The group of hosts, and the namespace of the secrets that are named without one [default: the name].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// For people and their tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// For people and their tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a host is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HostSpec {
    /// Hosts that this is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Groups of hosts that this is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<HostFile>,
    /// Units of systemd and Quadlets of Podman.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<HostUnit>,
    /// Jobs of cron.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cron: Vec<CronJob>,
    /// Credentials that systemd hands to units; no file has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<HostCredential>,
    /// What is told of changes, and how it shows that it is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<HostService>,
}

impl Host {
    /// The namespace of the secrets that the document names without one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or(&self.metadata.name)
    }

    /// Whether the host `name`, which is in `groups`, takes this document.
    #[must_use]
    pub fn is_for(&self, name: &str, groups: &[String]) -> bool {
        let spec = &self.spec;
        if spec.hosts.is_empty() && spec.groups.is_empty() {
            return self.metadata.name == name
                || self.metadata.namespace.as_ref().is_some_and(|namespace| groups.contains(namespace));
        }
        spec.hosts.iter().any(|host| host == name) || spec.groups.iter().any(|group| groups.contains(group))
    }
}

#[cfg(test)]
mod tests;
