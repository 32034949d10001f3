//! `bulla.dev/v1alpha1` Host: what a machine without Kubernetes is to have, in the repository that it follows.
//!
//! A host takes a document if it names the host or one of its groups (see [`Host::is_for`]). Unlike the objects of
//! Kubernetes, which others may have written, a Host is read strictly: a field that nobody knows is an error, since a
//! machine that is silently configured by half is worse than one that says so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Group and version of the document.
pub const API_VERSION: &str = "bulla.dev/v1alpha1";
/// Its kind.
pub const KIND: &str = "Host";

/// A Host document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// Which.
    pub metadata: HostMetadata,
    /// What the host is to have.
    #[serde(default)]
    pub spec: HostSpec,
}

/// Name and namespace of a Host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// A file. Exactly one of `secret`, `template`, `inline` and `source` says what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostFile {
    /// Where, absolute.
    pub path: String,
    /// One value of a secret, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretValue>,
    /// A Go template in the repository, a path beside this document (or from the root with a leading `/`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A Go template, written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    /// A file in the repository, byte for byte; a path as that of `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The secrets that a template sees, `{{ .NAME.KEY }}` or `{{ index .NAME "KEY" }}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretName>,
    /// User name or number [default: root, or who runs the agent].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Group name or number [default: the owner's].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Octal digits, `"0440"` [default: `"0400"`; `"0444"` for a file without secrets].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// How the file comes to its path.
    #[serde(default)]
    pub place: Place,
}

/// How a file comes to its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// The path is a symbolic link to the file on tmpfs: all files of a host change in one step, and nothing of them is
    /// on a disk.
    #[default]
    Link,
    /// The path is a file of its own, for programs that refuse links, and for what must be there at boot.
    Copy,
}

/// One value of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretValue {
    /// The secret: a SealedSecret's name, or the target of an ExternalSecret.
    pub name: String,
    /// Its data key.
    pub key: String,
    /// Its namespace [default: the document's].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A secret that a template sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretName {
    /// Its name.
    pub name: String,
    /// Its namespace [default: the document's].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What the template calls it [default: its name].
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// A unit file: `NAME.service`, `NAME.timer`, a drop-in `NAME.service.d/PART.conf`, or a Quadlet (`NAME.container` and
/// its like). Exactly one of `inline` and `source` says what is in it; it is on the disk, so it holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostUnit {
    /// The file's name below systemd's or Podman's folder.
    pub name: String,
    /// A Go template without secrets, written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    /// A file in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether it starts at boot; it is left alone if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// Whether it runs; it is left alone if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<bool>,
}

/// A job of cron, a file of its own in `/etc/cron.d`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CronJob {
    /// Letters, digits, `-` and `_`: cron passes over other names.
    pub name: String,
    /// Five fields, or `@daily` and its like.
    pub schedule: String,
    /// Who runs it [default: root].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// One line for the shell. A `%` is cron's line end unless it is escaped: it is escaped for you.
    pub command: String,
    /// Variables of the job. No secrets: the file is on the disk and everybody may read it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// A value that systemd hands to a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostCredential {
    /// The credential's name, as `LoadCredential=NAME:SOCKET` has it.
    pub name: String,
    /// The unit that may have it.
    pub unit: String,
    /// The value.
    pub secret: SecretValue,
    /// How systemd gets it.
    #[serde(default)]
    pub by: CredentialBy,
}

/// How systemd gets a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CredentialBy {
    /// The agent answers on its socket: no file has the value.
    #[default]
    Socket,
    /// A file in `/run/credstore`, named `UNIT.NAME`, for `ImportCredential=` and `LoadCredential=NAME:UNIT.NAME`.
    Credstore,
}

/// Something that runs and is told of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostService {
    /// A name, unique on the host.
    pub name: String,
    /// The unit, or the service of OpenRC or runit [default: the name].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Globs of the paths whose change is answered by a reload (by a restart where it cannot reload).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reload_on: Vec<String>,
    /// Globs of the paths whose change is answered by a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart_on: Vec<String>,
    /// A command and its arguments that must end with 0 before the files are taken. It sees the new files at their
    /// paths, and nobody else does yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validate: Vec<String>,
    /// Commands in place of a service manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<ServiceCommands>,
    /// Services that are told before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How it shows that it is well [default: its unit stays active].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
}

/// Commands with their arguments, in place of a service manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServiceCommands {
    /// Takes new files without a pause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reload: Vec<String>,
    /// Stops and starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<String>,
    /// Ends with 0 if it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
}

/// How a service shows that it is well; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HealthCheck {
    /// A request that must be answered well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// `HOST:PORT` that must take connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// A command and its arguments that must end with 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// How long it may take until it is well for the first time, such as `30s` [default: 30 s].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// How long it must then stay well [default: 5 s].
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<String>,
}

/// A request that must be answered well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpCheck {
    /// `http://…` or `https://…`.
    pub url: String,
    /// The status codes that are well [default: 200 to 399].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// A text that the answer must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Header fields of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
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
