//! An age-encrypted YAML file: the embedded provider of demos, hosts and air-gapped sites.

use std::path::PathBuf;

use crate::seal::Identity;

/// A store in one file.
pub struct Settings {
    /// Where the encrypted bytes are.
    pub source: Source,
    /// The keys that may open it.
    pub identities: Vec<Identity>,
}

/// Where the encrypted bytes are.
pub enum Source {
    /// In a file that is read again when it changed.
    Path(PathBuf),
    /// Here, binary or armored.
    Bytes(Vec<u8>),
}
