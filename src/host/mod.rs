//! A machine without Kubernetes: the same SealedSecrets and ExternalSecrets, opened by the same code, written to files.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`config`] | the agent's settings: who this host is, what it follows, what it lets the repository do |
//! | [`process`] | child processes: a time limit, bounded output, nothing of them left behind |
//! | [`repository`] | follows a Git repository: fetch, history, signatures; reads a commit without a working tree |
//! | [`declared`] | from a commit to [`desired`]: Host documents, secrets, templates, values from elsewhere |
//! | [`desired`] | what a commit asks of this host, opened and rendered |
//! | [`sink`] | the only writer of files: generations on tmpfs, one atomic flip, drift |
//! | [`units`] | service managers: systemd over D-Bus, else commands |
//! | [`gate`] | before the flip: validate commands; after it: health |
//! | [`credentials`] | what systemd hands to units: the socket that it asks |
//! | [`command`] | commands of the repository: bounded, and what they say without secrets |
//! | [`agent`] | the loop: follow, open, stage, flip, tell, prove, or go back |
//!
//! The way of a commit: `repository` -> `declared` -> `sink` stages -> `gate` validates -> `sink` flips -> `units` ->
//! `gate` proves, or `sink` flips back and the commit is remembered as bad.

pub mod agent;
pub mod command;
pub mod config;
pub mod credentials;
pub mod declared;
pub mod desired;
mod disk;
pub mod gate;
mod manifest;
mod plain_sink;
pub mod process;
pub mod repository;
pub mod sink;
pub mod units;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use self::manifest::{Found, Unreadable, read_tree};
pub use self::plain_sink::{Sink, Written};
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
