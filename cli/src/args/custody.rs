//! Private keys on their way out of a cluster and back.
//! `bulla keys import`, `export`, `backup`, `restore` and `share`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Report;
use crate::cluster::ClusterArguments;

/// What opens files of keys.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct OpenerArguments {
    /// Private keys that open it: the recovery key, or those that open the shares. Repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Shares of its key, as custodians hold them or sent them. Repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) share: Vec<PathBuf>,
}

impl OpenerArguments {
    /// All of the files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.identity.iter().chain(&self.share)
    }
}

/// The states that a key may be brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BroughtState {
    /// New values are sealed to it, if it is the newest
    Active,
    /// It opens what was sealed to it
    Opening,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys import me.key                         an age identity file; it opens, and nothing is sealed to it
  bulla keys import me.key --state active          and new values are sealed to it
  bulla keys import sealed-secrets-keys.yaml       kubectl get secret -l sealedsecrets.bitnami.com/sealed-secrets-key -o yaml
  bulla keys import tls.key tls.crt --dry-run      an RSA key and its certificate
  bulla keys import export.age --identity recovery.key

A key that the cluster has is left as it is, and no Secret is ever overwritten. A running controller takes new keys up
at once. Secrets bring their own state; other files have none: `opening`, where --state does not say more. An RSA key
opens only while its label says active, and the newest certificate is sealed to.
Rights in the controller's namespace: get, list and create Secrets.")]
pub(crate) struct ImportArguments {
    /// Age identity files, PEM (key and certificate, in one file or two), Secrets in YAML or JSON, or any of these encrypted
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) opener: OpenerArguments,
    /// The state of the keys, whatever the files say
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<BroughtState>,
    /// Only say what would happen
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The Secrets, with their states: for `bulla keys import` and kubectl
    Secrets,
    /// The bare private keys, for age: an age identity file, or PEM
    Keys,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys export 1f2e3d4c --to me.pub -o key.age
  bulla keys export 1f2e3d4c --to age1pq1... --format keys | age -d -i me.key    an identity file
  bulla keys export 1f2e3d4c --plaintext --format keys | age -d -i - value.age

Encrypted, unless --plaintext is said; that is printed only into a pipe or a file, never onto a terminal, and this program
writes no file of it. For all keys at once and the bad day: `bulla keys backup`.
Rights in the controller's namespace: get and list Secrets.")]
pub(crate) struct ExportArguments {
    /// The keys' ids, or the beginnings of them; all keys where none is named
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Who can open the export: recipient (age1...), or file of recipients. Repeatable
    #[arg(long = "to", value_name = "RECIPIENT|FILE", required_unless_present = "plaintext")]
    pub(crate) to: Vec<String>,
    /// Write here, with mode 0600, instead of to standard output; must not exist
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print private keys in the clear
    #[arg(long, conflicts_with_all = ["to", "out"])]
    pub(crate) plaintext: bool,
    /// What is exported
    #[arg(long, value_name = "FORMAT", default_value = "secrets")]
    pub(crate) format: ExportFormat,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys backup --to recovery.pub -o keys-2026-11-21.age
  bulla keys backup --to ann.pub --to ben.pub --to eva.pub --threshold 2 -o keys.age   any two of the three open it
  bulla keys backup --check keys.age --identity recovery.key --cluster    does it open, and is it complete?
  bulla keys backup --identity old.key --identity new.key --to recovery.pub -o keys.age    without a cluster

A backup holds every sealing key, of every state, and of the other controller too: a Kubernetes List of Secrets in an age
file, so `age -d -i recovery.key keys.age | kubectl create -f -` restores it without this program. It is stale when the
next key is made: by default every 30 days.
With --threshold each --to is a custodian, who gets a share of the backup's key in FILE.share-N; see docs/recovery.md.
Rights in the controller's namespace: get and list Secrets.")]
pub(crate) struct BackupArguments {
    /// Who can open it: recipient (age1...), or file of recipients. Repeatable
    #[arg(long = "to", value_name = "RECIPIENT|FILE", required_unless_present = "check")]
    pub(crate) to: Vec<String>,
    /// Write here, with mode 0600
    #[arg(short, long, value_name = "FILE", required_unless_present = "check")]
    pub(crate) out: Option<PathBuf>,
    /// Replace FILE if it is there
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// How many of the custodians it takes; each --to is one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(2..))]
    pub(crate) threshold: Option<u8>,
    /// How many custodians there are, to be sure that none was forgotten
    #[arg(long, value_name = "NUMBER", requires = "threshold")]
    pub(crate) custodians: Option<u8>,
    /// Identities that unwrap keys which are wrapped by age in the cluster; they are unwrapped in the backup then
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub(crate) unwrap: Vec<PathBuf>,
    /// Do not make a backup, but see whether this one opens and what is in it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "out", "overwrite", "threshold"])]
    pub(crate) check: Option<PathBuf>,
    /// With --check: say what the cluster has that the backup has not; exit code 1 if there is something
    #[arg(long = "cluster", requires = "check")]
    pub(crate) against_cluster: bool,
    /// Without a cluster: the private keys to back up. With --check: what opens the backup
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// With --check: shares of the backup's key. Repeatable
    #[arg(long, value_name = "FILE", requires = "check")]
    pub(crate) share: Vec<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys restore keys.age --identity recovery.key --dry-run
  bulla keys restore keys.age --identity recovery.key --sha256 5f70bf18...   as `bulla keys backup` printed it
  bulla keys restore keys.age --share keys.age.share-1 --share keys.age.share-3 --identity ann.key --identity eva.key
  bulla keys restore keys.age --share ann.age --share eva.age --identity me.key    shares that custodians sent

Best before the controller's first start: it finds the keys and makes no new one. A controller that runs takes them up at
once. What is in the cluster stays: a key that is there is left as it is, and where a name is taken by another key the
restored one gets another name. It can be run again. The namespace is made if it is missing.
Rights: get, list and create Secrets in the controller's namespace; create namespaces, if it is missing.")]
pub(crate) struct RestoreArguments {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) opener: OpenerArguments,
    /// Refuse a backup that has not this SHA-256. A backup says nothing of who made it: anybody can encrypt to its
    /// recipient, and the newest key in it is what people seal to afterwards
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<String>,
    /// Only say what would happen; the API server is asked, and keeps nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShareVerb {
    /// Open your share, and encrypt it to whoever restores the backup
    #[command(after_help = "\
Example:
  bulla keys share open keys.age.share-1 --identity ann.key --to restorer.pub -o for-restore.age

What it writes can be mailed: only the restorer opens it, and only with enough other shares is it of any use.")]
    Open {
        /// The share
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Your private key
        #[arg(short, long, value_name = "FILE", required = true)]
        identity: Vec<PathBuf>,
        /// Who restores: recipient (age1...), or file of recipients
        #[arg(long = "to", value_name = "RECIPIENT|FILE")]
        to: String,
        /// Write here instead of to standard output; must not exist
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// See that your share opens, and of which backup it is
    #[command(after_help = "Example:\n  bulla keys share show keys.age.share-1 --identity ann.key")]
    Show {
        /// The share
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Your private key
        #[arg(short, long, value_name = "FILE", required = true)]
        identity: Vec<PathBuf>,
        /// What to print
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        output: Report,
    },
}
