//! `bulla scan`.

use std::path::PathBuf;

use clap::Args;

use crate::findings::Format;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla scan                                   what Git would take of the current folder
  bulla scan --staged                          what the next commit would bring: for a hook
  bulla scan --history                         every version of every file, of all branches, tags and stashes
  bulla scan --commits origin/main..HEAD --output github    what a pull request brings, also what it takes away again
  bulla scan --explain private-key
  bulla scan --gitleaks-allowlist > .gitleaks.toml

It looks for Kubernetes Secrets in YAML and JSON by their structure, for private keys, age identities and tokens by
their form and checksum, and into base64. What is sealed or encrypted, certificates and placeholders are not reported.
Nothing of a secret is printed: only where it is, what it is and how long.

What may stay is listed with a reason in .bulla-allow.yaml, or said beside it: `# bulla:allow REASON`.
Exit code 1 if there is an error; a warning counts with --strict only.")]
pub(crate) struct ScanArguments {
    /// Files and folders; - for standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// Search all of history: every ref, stash and detached head
    #[arg(long, conflicts_with = "staged")]
    pub(crate) history: bool,
    /// Search what is staged and not yet committed
    #[arg(long)]
    pub(crate) staged: bool,
    /// Search the history of these commits only, such as main..HEAD. Repeatable
    #[arg(long, value_name = "REVISIONS", conflicts_with = "staged")]
    pub(crate) commits: Vec<String>,
    /// With the history, also what reflogs still know: amended, rebased and deleted work
    #[arg(long, conflicts_with = "staged")]
    pub(crate) reflog: bool,
    /// Look at what Git ignores, too
    #[arg(long, conflicts_with_all = ["staged", "history", "commits"])]
    pub(crate) ignored: bool,
    /// Leave out files that match, such as 'vendor/**'. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// What may stay, and why [default: the nearest .bulla-allow.yaml]
    #[arg(long, value_name = "FILE")]
    pub(crate) allow: Option<PathBuf>,
    /// Leave out the findings that this file lists
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write all findings to this file, for --baseline; reasons in it stay
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    pub(crate) write_baseline: Option<PathBuf>,
    /// Warnings count too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Say what a rule finds, why, and what to do about it
    #[arg(long, value_name = "RULE", conflicts_with = "rules")]
    pub(crate) explain: Option<String>,
    /// List the rules
    #[arg(long)]
    pub(crate) rules: bool,
    /// Print a configuration for gitleaks that leaves sealed values alone
    #[arg(long)]
    pub(crate) gitleaks_allowlist: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}
