//! What a commit asks of this host, opened and rendered: the word between `declared`, which makes it, and `sink`,
//! `units`, `gate` and `agent`, which bring it about.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use bulla_crds::host::{CredentialBy, HealthCheck, HostService as Service, Place};

use crate::secret::Plaintext;

/// What a commit asks of this host.
#[derive(Default)]
pub struct Desired {
    /// Files, sorted by path, each path once.
    pub files: Vec<File>,
    /// Units whose state is asked for; their files are in `files`.
    pub units: Vec<Unit>,
    /// What is told of changes, in the order in which it is told.
    pub services: Vec<Service>,
    /// Credentials for the agent's socket; those of the credstore are in `files`.
    pub credentials: Vec<Credential>,
    /// What could not be made, and why. The rest is as it should be.
    pub problems: Vec<Problem>,
    /// Files of the current generation that stay as they are although nothing in `files` declares them.
    pub keep: Keep,
    /// The secrets' values, which nothing that a program says may show.
    pub hidden: Vec<Plaintext>,
    /// When values from elsewhere are to be fetched again.
    pub refresh: Option<Duration>,
}

/// Files of the current generation that stay as they are, bytes, owner and mode: what declares them cannot be read, or
/// is said twice. Without this, a typing error would remove them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Those at these paths.
    Paths(BTreeSet<PathBuf>),
    /// All of them: it is not known what a document that cannot be read declares.
    Everything,
}

impl Keep {
    /// Whether the file at this path stays.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        match self {
            Self::Paths(paths) => paths.contains(path),
            Self::Everything => true,
        }
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self::Paths(BTreeSet::new())
    }
}

/// A file.
pub struct File {
    /// Where, absolute and normal: no `.`, `..` or doubled slash.
    pub path: PathBuf,
    /// User name or number; nothing for who runs the agent.
    pub owner: Option<String>,
    /// Group name or number; nothing for the owner's.
    pub group: Option<String>,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Link or copy.
    pub place: Place,
    /// What it is for.
    pub role: Role,
    /// What is in it.
    pub content: Content,
    /// The secrets that are in it, `NAMESPACE/NAME`, for people.
    pub secrets: Vec<String>,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// A program reads it.
    File,
    /// systemd's or Podman's generator reads it: `daemon-reload` after it changed.
    Unit,
    /// cron reads it.
    Cron,
    /// systemd reads it where a unit asks for a credential.
    Credential,
}

/// What is in a file.
pub enum Content {
    /// These bytes.
    Bytes(Plaintext),
    /// It could not be made this time: the last good bytes stay, if there are any.
    LastGood,
}

/// A unit whose state is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name, `NAME.service`.
    pub name: String,
    /// Whether it starts at boot.
    pub enable: Option<bool>,
    /// Whether it runs.
    pub start: Option<bool>,
}

/// A credential for the agent's socket.
pub struct Credential {
    /// The unit that may have it.
    pub unit: String,
    /// Its name.
    pub name: String,
    /// The value; nothing if it could not be made.
    pub value: Option<Plaintext>,
}

/// What could not be made, and why; never a value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The object or file, such as `SealedSecret web/tls` or `/etc/nginx/nginx.conf`.
    pub object: String,
    /// Where it is written in the repository, `FILE` or `FILE:LINE`.
    pub at: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.message)?;
        self.at.as_ref().map_or(Ok(()), |at| write!(f, " ({at})"))
    }
}
