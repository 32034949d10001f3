//! `bulla keys audit`.

use std::path::PathBuf;

use clap::Args;

use super::Report;
use crate::cluster::ClusterArguments;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys audit                          every key, and what it opens below the current folder
  bulla keys audit clusters/ --cluster      and what it opens in the cluster of the current kubeconfig
  bulla keys audit --key 1f2e3d4c5b6a7988   the files and objects of one key
  bulla keys audit --identity old-keys.yaml also which of kubeseal's keys opens kubeseal's values
  bulla keys audit --compromised 1f2e3d4c5b6a7988   every value in Git's history that the key opens, with its commits

LOST is how many values nobody could open without the key; the others have other recipients. Native values name their
keys, so this takes no private key. kubeseal's values do not.

A compromised key: sealing its values again does not help, since the old ciphertext is in Git for ever. Change the
secrets themselves.")]
pub(crate) struct AuditArguments {
    /// Files and folders
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// Ask the cluster too: states of keys, and live objects and values
    #[arg(long)]
    pub(crate) cluster: bool,
    /// Show where the values of this key are
    #[arg(long, value_name = "KEYID", conflicts_with = "compromised")]
    pub(crate) key: Option<String>,
    /// List every value that was ever sealed to this key, in all of Git's history, with its commits
    #[arg(long, value_name = "KEYID")]
    pub(crate) compromised: Option<String>,
    /// Private keys, to find out which of them opens values of kubeseal's. Repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Namespace of manifests that name none [default: what .bulla.yaml says for the file]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Leave out files that match, such as 'tests/**'. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) connection: ClusterArguments,
}
