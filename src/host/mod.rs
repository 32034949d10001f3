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
pub mod process;
pub mod repository;
pub mod sink;
pub mod units;
