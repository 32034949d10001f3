//! `bulla drill`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Report;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla drill --identity keys.age --identity recovery.key        a backup, and the key that opens it
  bulla drill git-mirror.git -i recovery.key --report drill-2026-11.json
  bulla drill --rev origin/production --history none -i recovery.key
  bulla drill --rev v1.4.0 -i recovery.key                       may this release be gone back to?

It opens every value of every commit that a ref leads to, each once, on every core, and keeps, prints and writes none of
them. No cluster is asked. What does not open is named with the key that is missing, the files, and the commits that
have it: going back to one of these, with `git revert` or a checkout, brings a value back that nobody can open.

Exit code 0 if everything opens, 1 if something does not, or was not looked at because it is no YAML before it is
rendered, or no UTF-8 (with --history warn: in the newest commit), 2 if it could not
be found out, as in a shallow clone. A drill passes only with what it was given: rehearse with the key in the safe, not
with the one in the cluster.")]
pub(crate) struct DrillArguments {
    /// A clone of the repository, bare or with a work tree. What is not committed is not looked at
    #[arg(value_name = "REPO", default_value = ".")]
    pub(crate) repository: PathBuf,
    /// Private keys: age identities, PEM, Secrets that hold them, backups and shares of these. Repeatable
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) identity: Vec<PathBuf>,
    /// Prove this and what it comes from, instead of HEAD and every ref. Repeatable; the first is what a rebuild has
    #[arg(long, value_name = "REV")]
    pub(crate) rev: Vec<String>,
    /// What a value means that only older commits have
    #[arg(long, value_name = "WORD", default_value = "fail")]
    pub(crate) history: Older,
    /// Namespace of manifests that name none [default: what the committed .bulla.yaml says for the file]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Leave out files that match, such as 'tests/**'. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Write the JSON report into this file too: for the audit
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}

/// What is made of values that only older commits have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Older {
    /// They must open too
    Fail,
    /// They are named if they do not open
    Warn,
    /// They are not looked at: the newest commit alone
    None,
}
