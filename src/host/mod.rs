//! A machine without Kubernetes: the same SealedSecrets, opened by the same code, written to files.
//!
//! So far one pass over a folder of manifests: what a demo and a script need. Following a repository, units and
//! rollback come on top of it.

mod manifest;
mod sink;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use self::manifest::{Found, Unreadable, read_tree};
pub use self::sink::{Sink, Written};
use crate::resource;
use crate::seal::Keyring;

/// What became of one SealedSecret.
#[derive(Debug)]
pub struct Outcome {
    /// The manifest, relative to the folder that was read.
    pub path: PathBuf,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// What was done, or why nothing was: then the files are as they were.
    pub result: Result<Written, String>,
}

/// Opens every SealedSecret below `repository` and makes its files in `sink` what it says. One that does not open
/// does not stop the others, and its last good files stay.
#[must_use]
pub fn sync(repository: &Path, keyring: &Keyring, sink: &Sink, now: Timestamp) -> Vec<Outcome> {
    let (found, unreadable) = read_tree(repository);
    let opened = found.into_iter().map(|Found { path, object }| {
        let result = resource::open(&object, keyring, now)
            .map_err(|error| error.to_string())
            .and_then(|desired| sink.write(&desired.target).map_err(|error| error.to_string()));
        let namespace = object.metadata.namespace.unwrap_or_default();
        Outcome { path, namespace, name: object.metadata.name.unwrap_or_default(), result }
    });
    let not_read = unreadable.into_iter().map(|Unreadable { path, problem }| Outcome {
        path,
        namespace: String::new(),
        name: String::new(),
        result: Err(problem),
    });
    opened.chain(not_read).collect()
}
