//! What of a host is a file: configuration, units, cron jobs, credentials.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file. Exactly one of `secret`, `template`, `inline` and `source` says what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CredentialBy {
    /// The agent answers on its socket: no file has the value.
    #[default]
    Socket,
    /// A file in `/run/credstore`, named `UNIT.NAME`, for `ImportCredential=` and `LoadCredential=NAME:UNIT.NAME`.
    Credstore,
}
