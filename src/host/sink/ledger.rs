//! Which links, copies and folders at declared paths are ours: `placed.json` in the state folder, written before they
//! are made. What is not in it is somebody else's and is never lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::file::Last;
use super::settings::Probe;
use super::{file, run};
use crate::host::desired::Place;

const NAME: &str = "placed.json";
const TEMPORARY: &str = ".placed.json.new";
const VERSION: u32 = 1;
/// A larger one is not ours: a host has a bounded number of files and folders. In bytes.
const MAX_BYTES: u64 = 256 << 20;

/// What is ours at the declared paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// The folder that the paths are below.
    root: PathBuf,
    /// By declared path.
    paths: BTreeMap<PathBuf, Claim>,
    /// Folders that we made, as declared.
    folders: BTreeSet<PathBuf>,
}

/// What is ours at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Claim {
    /// What we put there; `Copy` also while one becomes the other.
    pub(super) place: Place,
    /// How far it has come.
    pub(super) stage: Stage,
    /// Something was there before us; it is kept beside it.
    pub(super) before: bool,
}

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Stage {
    /// It is about to be made.
    Coming,
    /// It was made.
    Placed,
    /// It is about to be removed.
    Leaving,
}

/// The record and its file.
pub(super) struct Ledger {
    folder: OwnedFd,
    path: PathBuf,
    probe: Probe,
    record: Record,
    /// As it was written last.
    saved: Record,
}

impl Ledger {
    /// Reads what is ours below `root`, or begins anew; the second is what to warn of.
    pub(super) fn open(state: &Path, root: &Path, probe: Probe) -> Result<(Self, Option<String>), Error> {
        let folder = run::own_folder(state, 0o700)?;
        let path = state.join(NAME);
        let empty =
            || Record { version: VERSION, root: root.to_owned(), paths: BTreeMap::new(), folders: BTreeSet::new() };
        let (record, warning) = match file::read_own(folder.as_fd(), OsStr::new(NAME), MAX_BYTES) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (empty(), None),
            Err(error) => return Err(Error::when("read", &path)(error)),
            Ok((_, bytes)) => match serde_json::from_slice::<Record>(&bytes) {
                Ok(record) if record.version == VERSION && record.root == root => (record, None),
                Ok(record) if record.version == VERSION => (
                    empty(),
                    Some(format!(
                        "{} is about files below {}: these are left as they are",
                        path.display(),
                        record.root.display()
                    )),
                ),
                Ok(_) | Err(_) => (
                    empty(),
                    Some(format!(
                        "{} cannot be read: what is at declared paths is taken for somebody else's and kept beside them",
                        path.display()
                    )),
                ),
            },
        };
        Ok((Self { folder, path, probe, saved: record.clone(), record }, warning))
    }

    pub(super) fn claim(&self, path: &Path) -> Option<Claim> {
        self.record.paths.get(path).copied()
    }

    pub(super) fn claims(&self) -> impl Iterator<Item = (&PathBuf, Claim)> {
        self.record.paths.iter().map(|(path, claim)| (path, *claim))
    }

    pub(super) fn set(&mut self, path: &Path, claim: Claim) {
        self.record.paths.insert(path.to_owned(), claim);
    }

    pub(super) fn forget(&mut self, path: &Path) {
        self.record.paths.remove(path);
    }

    pub(super) fn folders(&self) -> &BTreeSet<PathBuf> {
        &self.record.folders
    }

    pub(super) fn add_folder(&mut self, path: &Path) -> bool {
        !self.record.folders.contains(path) && self.record.folders.insert(path.to_owned())
    }

    pub(super) fn forget_folder(&mut self, path: &Path) {
        self.record.folders.remove(path);
    }

    /// Writes it, through to the disk, if it is not what was written last.
    pub(super) fn save(&mut self) -> Result<(), Error> {
        if self.record == self.saved {
            return Ok(());
        }
        let written =
            serde_json::to_vec(&self.record).map_err(std::io::Error::from).and_then(|bytes| self.replace(&bytes));
        written.map_err(Error::when("write", &self.path))?;
        self.saved = self.record.clone();
        Ok(())
    }

    /// Takes back what was not written.
    pub(super) fn revert(&mut self) {
        self.record = self.saved.clone();
    }

    fn replace(&self, bytes: &[u8]) -> std::io::Result<()> {
        file::remove(self.folder.as_fd(), OsStr::new(TEMPORARY))?;
        file::create(self.folder.as_fd(), OsStr::new(TEMPORARY), run::own(0o600), bytes, Last::OnDisk, self.probe)?;
        self.probe.around("ledger rename", || rustix::fs::renameat(&self.folder, TEMPORARY, &self.folder, NAME))?;
        run::sync_folder(self.folder.as_fd())
    }
}
