//! What can be typed. Parsing only: nothing here reads a file or asks a cluster.

mod audit;
mod custody;
mod drill;
mod edit;
mod git;
mod host;
mod keys;
mod objects;
mod reseal;
mod rotate;
mod scan;
#[cfg(test)]
mod suggested;
mod verify;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bulla::seal::Scope;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::audit::AuditArguments;
pub(crate) use self::custody::{
    BackupArguments, BroughtState, ExportArguments, ExportFormat, ImportArguments, RestoreArguments, ShareVerb,
};
pub(crate) use self::drill::{DrillArguments, Older};
pub(crate) use self::edit::EditArguments;
pub(crate) use self::git::{
    DiffArguments, DiffReport, DiffTextArguments, GitVerb, InstallArguments, MergeDriverArguments, PreCommitArguments,
    ResolveArguments,
};
pub(crate) use self::host::{
    EnrollArguments, HostArguments, HostDrillArguments, HostPlace, HostStatusArguments, HostVerb, RollbackArguments,
};
pub(crate) use self::keys::{CompromisedArguments, KeyType, KeysVerb, ListArguments, RetireArguments, RotateArguments};
pub(crate) use self::objects::{Goal, Pick, StatusArguments, SyncArguments, SyncedKind, WaitArguments, WhereArguments};
pub(crate) use self::reseal::ResealArguments;
pub(crate) use self::rotate::RotationArguments;
pub(crate) use self::scan::ScanArguments;
pub(crate) use self::verify::VerifyArguments;

use crate::cluster::ClusterArguments;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Keep every secret in Git, without a byte of plaintext there
#[derive(Debug, Parser)]
#[command(name = "bulla", version, styles = STYLES, max_term_width = 110, after_help = "\
Exit codes: 0 done, 1 refused or findings, 2 usage or environment.
Called kubectl-bulla and found on the PATH, it is the plugin `kubectl bulla`.

New here? `bulla demo` shows the whole path in a temporary folder, in seconds.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make key pairs; see, renew and retire the keys of a cluster
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Seal plain Secrets into SealedSecrets that can be committed
    Seal(SealArguments),
    /// Change or add one value of a SealedSecret in place; every other byte stays
    Set(SetArguments),
    /// Take one value out of a SealedSecret in place; every other byte stays
    Unset(UnsetArguments),
    /// Open SealedSecrets offline, with private keys: back to plain Secrets
    Open(OpenArguments),
    /// Show what sealed values tell without any key: format, scope, keys, date
    Inspect(InspectArguments),
    /// Show what ExternalSecrets would write, without a cluster; refuse what cannot work
    Plan(PlanArguments),
    /// Check a repository: sealed values, ExternalSecrets, and no Secret in the clear; without a cluster or a key
    Verify(VerifyArguments),
    /// Seal values again that are not sealed to the newest key; every other byte stays
    Reseal(ResealArguments),
    /// The whole run: new key, seal the repository again, verify, commit, retire the old key
    Rotate(RotationArguments),
    /// Find secrets in the clear: in the tree, in what is staged, or in all of Git history
    Scan(ScanArguments),
    /// Edit sealed values in $EDITOR; only what changed is sealed again
    Edit(EditArguments),
    /// Prove that a repository and a recovery key alone bring every value back
    Drill(DrillArguments),
    /// Git knows the files: a hook that checks, a diff without plaintext, a merge by data key
    #[command(subcommand)]
    Git(GitVerb),
    /// A machine without Kubernetes: enroll it, see how it is, go back
    #[command(subcommand)]
    Host(HostVerb),
    /// Have the controller sync an object now, and wait for what comes of it
    Sync(SyncArguments),
    /// Show every SealedSecret and ExternalSecret of a cluster: state, reason, key, age
    Status(StatusArguments),
    /// Wait until SealedSecrets and ExternalSecrets are in sync and their Secrets are there
    Wait(WaitArguments),
    /// See a machine follow a repository, in a temporary folder: seal, commit, change, roll back, rotate
    Demo(DemoArguments),
    /// Print shell completions
    #[command(after_help = "Example:\n  bulla completions bash > ~/.local/share/bash-completion/completions/bulla")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual as roff, or write one page a verb into a folder
    #[command(after_help = "Examples:\n  bulla man | man -l -\n  bulla man --out /usr/local/share/man/man1")]
    Man {
        /// Write bulla.1, bulla-seal.1, ..., bulla-controller.1, ... into this folder
        #[arg(short, long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Report {
    /// For people
    Text,
    /// For machines
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Syntax {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

/// To whom to seal.
#[derive(Clone, Debug, Args)]
pub(crate) struct ToArguments {
    /// Recipient (age1...), file of recipients, certificate file or its URL. Repeat for several keys.
    /// Without it: the recipients of .bulla.yaml for the file, else the keys that the cluster publishes
    #[arg(long = "to", value_name = "RECIPIENT|FILE|URL")]
    pub(crate) to: Vec<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl create secret generic db -n prod --from-literal=password=... --dry-run=client -o yaml | bulla seal -o db.yaml
  bulla seal secret.yaml -o clusters/prod/db.yaml     recipients from .bulla.yaml, or from the cluster
  bulla seal --name db -n prod --from-literal password -o db.yaml    asks for the value, or reads it from a pipe
  bulla seal --name tls -n web --from-file tls.key=server.key --from-file tls.crt=server.crt --to age1pq1...
  pass show db | bulla seal --raw --name db -n prod --from-literal password --to cert.pem    one value, alone

A value never goes on the command line, where `ps` and the shell's history would keep it.
Onto an existing file, values that are provably unchanged keep their ciphertext, so nothing churns.")]
pub(crate) struct SealArguments {
    /// Secrets in YAML or JSON, several documents each; - or nothing for standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) to: ToArguments,
    /// How closely the values are bound to their place
    #[arg(long, value_name = "SCOPE", value_parser = scope_values())]
    pub(crate) scope: Option<Scope>,
    /// Name of the SealedSecret, instead of the one in the manifest
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Namespace; must agree with the manifest's own, if it has one
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// A value for KEY, read from standard input or asked for
    #[arg(long, value_name = "KEY")]
    pub(crate) from_literal: Option<String>,
    /// A value from a file, byte for byte; KEY is the file's name where not given
    #[arg(long, value_name = "[KEY=]PATH")]
    pub(crate) from_file: Vec<KeyAndPath>,
    /// Type of the Secret to make, with --from-literal and --from-file
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) secret_type: Option<String>,
    /// Write here instead of to standard output; an existing file keeps what has not changed
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Syntax of what is written [default: json for a .json file, else yaml]
    #[arg(long, value_name = "SYNTAX")]
    pub(crate) format: Option<Syntax>,
    /// Print one sealed value and nothing else
    #[arg(long, conflicts_with_all = ["out", "format", "files"])]
    pub(crate) raw: bool,
}

/// `--from-file`'s argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyAndPath {
    pub(crate) key: String,
    pub(crate) path: PathBuf,
}

impl std::str::FromStr for KeyAndPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((key, path)) = text.split_once('=') {
            return Ok(Self { key: key.to_owned(), path: PathBuf::from(path) });
        }
        let path = PathBuf::from(text);
        let name = path.file_name().and_then(|name| name.to_str());
        let key = name.ok_or_else(|| format!("`{text}` names no file: write KEY=PATH"))?.to_owned();
        Ok(Self { key, path })
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla set clusters/prod/db.yaml password             asks for the value
  pass show db/prod | bulla set clusters/prod/db.yaml password
  bulla set web.yaml tls.key --from-file server.key")]
pub(crate) struct SetArguments {
    /// The file with the SealedSecret
    pub(crate) file: PathBuf,
    /// The data key
    pub(crate) key: String,
    /// Read the value from this file, byte for byte, instead of standard input or a prompt
    #[arg(long, value_name = "PATH")]
    pub(crate) from_file: Option<PathBuf>,
    /// Which SealedSecret, if the file has several
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Namespace, if the manifest has none
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) to: ToArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bulla unset clusters/prod/db.yaml old-password")]
pub(crate) struct UnsetArguments {
    /// The file with the SealedSecret
    pub(crate) file: PathBuf,
    /// The data key
    pub(crate) key: String,
    /// Which SealedSecret, if the file has several
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla open clusters/prod/db.yaml --identity recovery.key
  bulla open db.yaml --identity sealed-secrets-keys.yaml        a backup of the old controller's keys
  bulla open db.yaml --identity me.key --key password | xclip   one value, byte for byte

It prints the Secret that the controller would write, templates rendered.")]
pub(crate) struct OpenArguments {
    /// SealedSecrets in YAML or JSON; - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Private keys: age identities, PEM, Secrets that hold them, or a backup and what opens it. Repeatable
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) identity: Vec<PathBuf>,
    /// Namespace, if the manifest has none
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Print the value of this data key alone, byte for byte
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Syntax of the Secret
    #[arg(long, value_name = "SYNTAX", default_value = "yaml")]
    pub(crate) format: Syntax,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla inspect clusters/prod/db.yaml
  bulla inspect db.yaml --output json | jq '.[].values[] | select(.postQuantum | not)'

What it shows is what the values say about themselves; only opening proves it.")]
pub(crate) struct InspectArguments {
    /// SealedSecrets in YAML or JSON; - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla plan -f clusters/prod/*.yaml
  bulla plan -f db.yaml --store stores.yaml --identity files.key   opens the age file of a `file` store
  kustomize build clusters/prod | bulla plan -f - --output json | jq '.plans[].data[].key'

Values never show: a digest under a key of this machine tells whether one has changed since the last plan.
Stores of the providers fake and file are opened; those behind a network (aws, vault, kubernetes) are never asked, and
what they hold is shown as not asked. Everything that the schema or a rule refuses is a finding, all at once: exit code 1.")]
pub(crate) struct PlanArguments {
    /// ExternalSecrets in YAML or JSON, several documents each, with their stores or without; - for standard input
    #[arg(short, long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) file: Vec<PathBuf>,
    /// Stores, and the Secrets, ConfigMaps and Namespaces that they and the templates name
    #[arg(short, long, value_name = "FILE", num_args = 1..)]
    pub(crate) store: Vec<PathBuf>,
    /// Private keys for the age files of `file` stores, beside those that the stores name. Repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Namespace of manifests that name none [default: what .bulla.yaml says for the file]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// The folder that a `file` store's path is in [default: the folder of the store's manifest]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) file_store_root: Option<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bulla demo\n  bulla demo --keep                         and leave it all for a look\n  bulla demo --kubeconfig ~/.kube/config    and go on through a real API server"
)]
pub(crate) struct DemoArguments {
    /// Go through the API server of this kubeconfig too, in namespaces that are made for it and removed
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Leave the temporary folder for a look
    #[arg(long)]
    pub(crate) keep: bool,
}

fn scope_values() -> impl clap::builder::TypedValueParser<Value = Scope> {
    use clap::builder::TypedValueParser as _;
    let names = [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide].map(Scope::as_str);
    clap::builder::PossibleValuesParser::new(names).try_map(|name| name.parse::<Scope>())
}

/// The arguments as typed; under the name `kubectl-bulla` the help speaks of `kubectl bulla`.
pub(crate) fn as_typed() -> Vec<OsString> {
    let mut typed: Vec<OsString> = std::env::args_os().collect();
    if let Some(program) = typed.first_mut() {
        let plugin = Path::new(program).file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubectl-"));
        *program = if plugin { "kubectl bulla".into() } else { "bulla".into() };
    }
    typed
}
