//! `bulla rotate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::objects::duration;
use super::{KeyType, Report};
use crate::cluster::ClusterArguments;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla rotate --dry-run          every step with its numbers; touches neither repository nor cluster
  bulla rotate                    the controller makes the key and seals again; values never leave the cluster
  bulla rotate --identity ../prod.key --new-identity ../prod-2.key      without a cluster
  bulla rotate --yes --no-new-key --output json    in CI: to the key that the controller renewed by itself
  bulla rotate --continue         after the merge: what still needs the old key, and retire it
  bulla rotate --abort            put everything back that is not merged yet

The run: new key, seal again, verify, branch and commit, merge (yours), retire. It may be stopped at any
time, also by a kill: the same command again goes on where it stopped. What it knows is in Git's folder
(bulla/rotate.json), without a secret. The recipients in .bulla.yaml, and in files that it names, change in
place.

Rotating the key is not rotating the secrets: each value stays what it is, and whoever has the old private
key still reads every value in the history. After a leak, change the values where they are from.

Exit code 1 where a value could not be sealed again, or a finding stopped the run; the rest is done.")]
pub(crate) struct RotationArguments {
    /// The repository, or a folder in it
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) path: PathBuf,
    /// Private keys that open the values here, instead of the controller. Repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Make the new key here: its private half goes into this file, outside of Git. Without it the controller makes one
    #[arg(long, value_name = "FILE")]
    pub(crate) new_identity: Option<PathBuf>,
    /// Kind of the key for --new-identity [default: that of the old one]
    #[arg(long = "type", value_name = "TYPE", requires = "new_identity")]
    pub(crate) kind: Option<KeyType>,
    /// The key to replace, by its id or the beginning of it [default: offline the one of --identity that .bulla.yaml
    /// names; in a cluster every key but the newest]. Repeatable
    #[arg(long, value_name = "ID")]
    pub(crate) old: Vec<String>,
    /// Make no key: seal again to the newest that the cluster has
    #[arg(long, conflicts_with = "new_identity")]
    pub(crate) no_new_key: bool,
    /// Move values of kubeseal's format to the native one
    #[arg(long)]
    pub(crate) native: bool,
    /// Let somebody in who could not open all values before and whom `.bulla.yaml` names, by the key id or the
    /// beginning of it. Without it a run refuses to. Repeatable
    #[arg(long, value_name = "ID", value_parser = beginning)]
    pub(crate) accept_recipient: Vec<String>,
    /// Leave out files that match, such as 'tests/**'. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Findings that are known already, as `bulla verify --baseline` has them
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Name of the branch [default: bulla/rotate-DATE-KEY]
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    /// Change the files and leave branch and commit to you
    #[arg(long, conflicts_with = "branch")]
    pub(crate) no_commit: bool,
    /// Leave the old key as it is, whatever needs it
    #[arg(long)]
    pub(crate) keep_old: bool,
    /// Go on with the run that was begun here; without one, exit code 2
    #[arg(long = "continue")]
    pub(crate) resume: bool,
    /// Give up the run that was begun here and put back what it changed
    #[arg(long, conflicts_with_all = ["resume", "dry_run"])]
    pub(crate) abort: bool,
    /// Show every step with its numbers, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// How long to wait for the controller's new key, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    /// The controller's Service, in its namespace [default: bulla-controller, bulla or sealed-secrets-controller]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(crate) controller_service: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

/// Enough of a key id to mean one key.
fn beginning(typed: &str) -> Result<String, String> {
    let is_one = typed.len() >= 8 && typed.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one { Ok(typed.to_owned()) } else { Err("not 8 or more characters of a key id".to_owned()) }
}
