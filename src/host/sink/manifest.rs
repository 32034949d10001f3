//! What a generation holds, without a byte of it: `manifest.json` in its folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::owner::Rights;
use crate::host::desired::{Place, Role};
use crate::seal::DigestKey;

/// Its name in a generation's folder.
pub(super) const NAME: &str = "manifest.json";
/// A larger one is not one of ours, in bytes.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// What a generation holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Its number.
    pub number: u64,
    /// The commit that it was made from; nothing for the empty generation.
    pub commit: Option<String>,
    /// When it was staged.
    pub at: Timestamp,
    /// Made because there was nothing: what is at the declared paths is not known to be wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// Its files by their declared paths.
    pub files: BTreeMap<PathBuf, Entry>,
    /// Declared, but there are no bytes for them, not even old ones: what is at these paths is left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<PathBuf>,
}

/// A file of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What it is for.
    pub role: Role,
    /// Link or copy.
    pub place: Place,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Number of bytes.
    pub size: u64,
    /// Keyed digest of the bytes; the key is in the run folder and nobody but the agent reads it.
    pub digest: String,
    /// Whether the bytes (or the whole file) are those of an older generation, since they could not be made this time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// The secrets that are in it, `NAMESPACE/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl Manifest {
    /// The empty generation.
    pub(super) fn empty() -> Self {
        let at = Timestamp::now();
        Self { number: 0, commit: None, at, fresh: true, files: BTreeMap::new(), held: Vec::new() }
    }
}

impl Entry {
    pub(super) const fn rights(&self) -> Rights {
        Rights { uid: self.uid, gid: self.gid, mode: self.mode }
    }

    /// Whether `bytes` are the ones.
    pub(super) fn is_of(&self, key: &DigestKey, path: &Path, bytes: &[u8]) -> bool {
        self.size == bytes.len() as u64 && DigestKey::same(&self.digest, &digest(key, path, bytes))
    }
}

/// The digest of a file. The path is in it, so that equal files do not show.
pub(super) fn digest(key: &DigestKey, path: &Path, bytes: &[u8]) -> String {
    key.digest([("path", path.as_os_str().as_encoded_bytes()), ("bytes", bytes)])
}
