//! `bulla keys`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::Report;
use super::audit::AuditArguments;
use super::custody::{BackupArguments, ExportArguments, ImportArguments, RestoreArguments, ShareVerb};
use super::objects::duration;
use crate::cluster::ClusterArguments;
use crate::repository;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Make a key pair: the private half into a file of mode 0600, the recipient printed
    #[command(after_help = "\
Examples:
  bulla keys generate -o recovery.key          a hybrid (post-quantum) key pair
  bulla keys generate --type x25519 -o me.key  smaller values, no protection against a later quantum computer

The recipient (age1...) is public: put it into .bulla.yaml. The file is not: keep it out of Git.")]
    Generate {
        /// Kind of key pair
        #[arg(long = "type", value_name = "TYPE", default_value = "hybrid")]
        kind: KeyType,
        /// Where the private half goes; must not exist. Without it, standard output gets the identity file
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show the public keys: what the cluster publishes or, for a file, what .bulla.yaml names
    #[command(after_help = "\
Examples:
  bulla keys show                          what the cluster of the current kubeconfig publishes
  bulla keys show --for clusters/prod/db.yaml  what .bulla.yaml says for that file")]
    Show {
        /// Show what .bulla.yaml names for this file instead of asking a cluster
        #[arg(long = "for", value_name = "FILE")]
        file: Option<PathBuf>,
        /// What to print
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        output: Report,
        #[command(flatten)]
        cluster: ClusterArguments,
    },
    /// List the sealing keys of a cluster, and how many live values each still protects
    List(ListArguments),
    /// Have the controller make a new sealing key now
    Rotate(RotateArguments),
    /// Take a key out of use: nothing is sealed to it or opened with it any more
    Retire(RetireArguments),
    /// Mark a key as known to somebody else, and list every value that has to change
    Compromised(CompromisedArguments),
    /// For each key: which files, live objects and values it still opens, and what would be lost without it
    Audit(AuditArguments),
    /// Put key pairs of a backup or another controller into a cluster
    Import(ImportArguments),
    /// Take private keys out of a cluster, encrypted to a recipient
    Export(ExportArguments),
    /// Encrypt every sealing key of a cluster to an offline recovery key, or to several custodians
    Backup(BackupArguments),
    /// Put the sealing keys of a backup into a new cluster
    Restore(RestoreArguments),
    /// For custodians: see the share that you hold, and hand it to whoever restores
    #[command(subcommand)]
    Share(ShareVerb),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyType {
    /// ML-KEM-768 with X25519: 2.5 KB a value, safe against a later quantum computer
    Hybrid,
    /// X25519 alone: 0.5 KB a value
    X25519,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys list
  bulla keys list --output json | jq '.keys[] | select(.values == 0 and .state == \"opening\") | .id'

It reads the ConfigMap with the public keys, the metadata of the key Secrets (never their data), and the status of
every SealedSecret. A count with >= is from a status that says which keys were used, but not how often.")]
pub(crate) struct ListArguments {
    /// Whole key ids
    #[arg(long)]
    pub(crate) wide: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys rotate
  bulla keys rotate --no-wait

It sets the annotation bulla.dev/rotate-requested-at on the ConfigMap with the public keys, so it takes the right to
patch that; the controller looks there every 30 s. Values that are sealed to older keys go on opening, and
`bulla keys list` says how many there are.
Exit code 2 if no controller makes a key in time.")]
pub(crate) struct RotateArguments {
    /// How long to wait for the new key, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Only ask
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys retire 1f2e3d4c5b6a7988 --dry-run
  bulla keys retire 1f2e3d4c
  bulla keys retire 1f2e3d4c --repository clusters/prod   look there for files that are not applied yet
  bulla keys retire 1f2e3d4c --force --yes   also where values are lost by it

Refused (exit code 1) while the key protects live values or values in files, and for a key that people are told to seal
to. --force goes ahead after the consequences are listed and confirmed. It sets the label of the key Secret to `retired`; nothing is
deleted, and the old label brings the key back.")]
pub(crate) struct RetireArguments {
    /// The key's id, or the beginning of it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Retire it although values still depend on it
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not ask; needed with --force where there is no terminal
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Only say what would happen
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) repositories: RepositoryArguments,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

/// Where files are that a cluster has not seen.
#[derive(Debug, Args)]
pub(crate) struct RepositoryArguments {
    /// Files and folders that count beside what is live. Repeatable [default: the folder of .bulla.yaml, if the current
    /// folder is in one]
    #[arg(long, value_name = "PATH")]
    pub(crate) repository: Vec<PathBuf>,
    /// Look at no files
    #[arg(long, conflicts_with = "repository")]
    pub(crate) no_repository: bool,
}

impl RepositoryArguments {
    /// The files and folders to look at.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        if self.no_repository || !self.repository.is_empty() {
            return self.repository.clone();
        }
        let rules = repository::nearest(Path::new("file"));
        rules.and_then(|rules| Some(rules.parent()?.to_path_buf())).into_iter().collect()
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys compromised 1f2e3d4c --dry-run   what would have to change
  bulla keys compromised 1f2e3d4c
  bulla keys compromised 1f2e3d4c --repository .   and every value in all of Git's history, with its commits
  bulla keys compromised 1f2e3d4c --output json | jq -r '.objects[] | .namespace + \"/\" + .name'

Sealed values are in Git for ever: whoever has the key reads every value that was ever sealed to it, and sealing them
again does not help. So each value has to be changed where it is from (a new password, a new token), then sealed to a new
key. The label of the key
Secret becomes `compromised`.")]
pub(crate) struct CompromisedArguments {
    /// The key's id, or the beginning of it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Only list, mark nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) repositories: RepositoryArguments,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}
