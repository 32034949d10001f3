//! What the agent says about itself: `RUN/status.json`, for `bulla host status`, monitoring and people. No secrets.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::{Bad, Good};
use crate::host::desired::Problem;
use crate::host::disk;

const FILE: &str = "status.json";

/// Whether all is as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// Nothing was tried yet.
    #[default]
    Starting,
    /// The tip is in place, and has to prove well before it is kept.
    Trying,
    /// The tip is what this host has, and all of it.
    InSync,
    /// The tip is what this host has, but for some things: see `problems`.
    Degraded,
    /// The repository cannot be asked, or its tip is refused: the last good commit is what this host has.
    Behind,
    /// The tip did not prove well: the last good commit is what this host has.
    RolledBack,
}

impl Condition {
    /// The word in JSON and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Trying => "trying",
            Self::InSync => "inSync",
            Self::Degraded => "degraded",
            Self::Behind => "behind",
            Self::RolledBack => "rolledBack",
        }
    }
}

/// What the agent says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// The host's name.
    pub host: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Where the repository is, without anything that opens it.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The agent's process.
    pub pid: u32,
    /// Since when it runs.
    pub started: Option<Timestamp>,
    /// When this was written.
    pub at: Option<Timestamp>,
    /// Whether all is as it should be.
    pub condition: Condition,
    /// In a sentence.
    pub message: String,
    /// The commit that this host has.
    pub good: Option<Good>,
    /// The one before it.
    pub previous: Option<Good>,
    /// The commit that is in place and has to prove well.
    pub trying: Option<Good>,
    /// The repository's newest commit, as far as is known.
    pub tip: Option<String>,
    /// When the repository was last asked with success.
    pub fetched: Option<Timestamp>,
    /// Why the last fetch failed.
    pub fetch_error: Option<String>,
    /// Why the tip is not taken.
    pub refused: Option<String>,
    /// Commits that did not prove well.
    pub bad: Vec<Bad>,
    /// What could not be made.
    pub problems: Vec<Problem>,
    /// What is as it was declared, and should perhaps not be: a secret on a disk, or for everybody.
    pub warnings: Vec<String>,
    /// The generation in use.
    pub generation: u64,
    /// Its files.
    pub files: Vec<FileStatus>,
    /// Services and units, and how they are.
    pub services: Vec<ServiceStatus>,
    /// Changes by hand that are not put back.
    pub drifted: Vec<String>,
    /// Whether an agent runs and follows; one pass is over when it is written.
    pub follows: bool,
    /// Changes by hand that were found since the start.
    pub drifts: u64,
    /// The last of them.
    pub last_drift: Option<String>,
    /// When values from elsewhere are fetched again.
    pub refresh: Option<Timestamp>,
}

/// A file of the generation in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileStatus {
    /// Where it is declared.
    pub path: PathBuf,
    /// Whose.
    pub uid: u32,
    /// Whose.
    pub gid: u32,
    /// Permission bits, octal.
    pub mode: String,
    /// The secrets in it.
    pub secrets: Vec<String>,
    /// Whether its bytes are the last good ones, since new ones could not be made.
    pub is_stale: bool,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its name in the Host document.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What its manager says, such as `active`.
    pub state: String,
}

impl Status {
    /// Reads what an agent wrote to its run folder.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn read(run: &Path) -> std::io::Result<Self> {
        let bytes = std::fs::read(run.join(FILE))?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Writes it to the run folder, whole.
    ///
    /// # Errors
    /// Of the file system.
    pub fn write(&self, run: &Path) -> std::io::Result<()> {
        disk::replace(&run.join(FILE), &serde_json::to_vec_pretty(self)?, 0o644, false)
    }
}
