//! `bulla verify`.

use std::path::PathBuf;

use clap::Args;

use crate::findings::Format;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla verify                                          every YAML and JSON file under the current folder
  bulla verify --output sarif > bulla.sarif             for code scanning; --output github for annotations
  bulla verify --keyring keys.json                      also whether the values still open (bulla keys list --output json)
  bulla verify --changed-since origin/main              what a pull request answers for
  bulla verify --write-baseline known.json              then: bulla verify --baseline known.json
  bulla verify --explain wrong-place                    why a rule is there, and what to do
  kustomize build clusters/prod | bulla verify -

It needs no cluster and no private key. An error is what cannot work or must not be in Git; a warning does not fail the
check, but with --strict. Exit code 1 if there is an error.

A value is judged where it lands: the kustomizations of the repository are built as far as names, namespaces, annotations
and values go, whether they are named or not. Templates of charts are read as far as they go before they are rendered.

Which keys values may be sealed to: the recipients that .bulla.yaml names for the file. Which keys open: --keyring FILE
(recipients, certificates, or what `bulla keys list --output json` prints, with states). Without either, any.")]
pub(crate) struct VerifyArguments {
    /// Files and folders; - for standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// The keys that open values, with their states where the file says them. Repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Vec<PathBuf>,
    /// Namespace of manifests that name none [default: what .bulla.yaml says for the file]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Warn of values that have to be replaced within so many days
    #[arg(long, value_name = "DAYS", default_value_t = crate::verify::SOON)]
    pub(crate) expires_within: u32,
    /// Leave out files that match, such as 'tests/**'. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Warnings fail the check too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Report only what is in files that changed since this revision, or comes of them
    #[arg(long, value_name = "REVISION")]
    pub(crate) changed_since: Option<String>,
    /// Leave out the findings that this file lists
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write all findings to this file, for --baseline; reasons in it stay
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    pub(crate) write_baseline: Option<PathBuf>,
    /// Say what a rule finds, why, and what to do about it
    #[arg(long, value_name = "RULE", conflicts_with = "rules")]
    pub(crate) explain: Option<String>,
    /// List the rules
    #[arg(long)]
    pub(crate) rules: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}
