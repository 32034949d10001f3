//! `bulla host …`: a machine without Kubernetes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{KeyType, Report};

#[derive(Debug, Subcommand)]
pub(crate) enum HostVerb {
    /// Make this machine's key and settings, and say what to commit so that secrets are sealed to it
    Enroll(EnrollArguments),
    /// Show what this host has, from which commit, and what is wrong
    Status(HostStatusArguments),
    /// Have the running agent ask the repository now, and wait for what comes of it
    #[command(
        after_help = "Exit code 0 if the host is then as its repository says, 1 if it is not, 2 if no agent runs."
    )]
    Sync(HostArguments),
    /// Show what would change, be reloaded and be restarted if the newest commit was taken
    #[command(after_help = "\
  + new file   ~ changed file, and what of it   - file that goes   → what is told   ✗ what cannot be made

The agent that runs says it; where none does, the command looks itself. Nothing is put in place and nobody is told, but \
`validate` commands run and stores are asked. Exit code 0 if the commit would be taken whole, 1 if not.")]
    Diff(HostArguments),
    /// Go back to the commit before; the present one is remembered as bad until it is forgiven
    Rollback(RollbackArguments),
    /// Prove that this host can be rebuilt from the repository and its key alone
    Drill(HostDrillArguments),
}

/// Where the agent's settings are.
#[derive(Clone, Debug, Args)]
pub(crate) struct HostPlace {
    /// The agent's settings
    #[arg(long, env = "BULLA_HOST_CONFIG", default_value_os_t = bulla::host::config::default_file(), value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla host enroll --url https://git.example.com/infra.git --group web
  bulla host enroll --config ~/.config/bulla/host.yaml --url git@git.example.com:me/dotfiles.git

It writes nothing that is there already: run it again to see the key. The private key never leaves the machine.")]
pub(crate) struct EnrollArguments {
    #[command(flatten)]
    pub(crate) place: HostPlace,
    /// What Host documents call it [default: the host name up to the first dot]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// A group that it is in. Repeatable
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// The repository that it follows: https, ssh, a path, or a bundle file
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The branch
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub(crate) branch: String,
    /// The kind of key
    #[arg(long = "type", value_name = "TYPE", default_value = "hybrid")]
    pub(crate) kind: KeyType,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla host status
  bulla host status --output json | jq .condition

Exit code 0 if the host is as its repository says, 1 if it is not, 2 if no agent has said anything.")]
pub(crate) struct HostStatusArguments {
    #[command(flatten)]
    pub(crate) place: HostPlace,
    /// Show every file too
    #[arg(long)]
    pub(crate) files: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}

#[derive(Debug, Args)]
pub(crate) struct HostArguments {
    #[command(flatten)]
    pub(crate) place: HostPlace,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla host rollback
  bulla host rollback --forgive                  try the bad commits again
  bulla host rollback --accept-rewrite 3f2a…     the branch was rewritten with reason: take this tip

A commit that was gone back from is not tried again; the next one is. `git revert` is the way for all hosts at once.")]
pub(crate) struct RollbackArguments {
    #[command(flatten)]
    pub(crate) place: HostPlace,
    /// Try bad commits again, instead of going back
    #[arg(long, conflicts_with = "accept_rewrite")]
    pub(crate) forgive: bool,
    /// Take this tip although it is no descendant of the last good commit, instead of going back
    #[arg(long, value_name = "COMMIT")]
    pub(crate) accept_rewrite: Option<String>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla host drill --host frodo --group web --identity frodo.key
  bulla host drill --host frodo --group web --identity recovery.key ../infra

It makes every file that the repository declares for the host, in memory, and writes none. Values from AWS or Vault are not \
asked for: they are named. Exit code 0 if all others can be made, 1 if not.")]
pub(crate) struct HostDrillArguments {
    /// A checkout of the repository
    #[arg(value_name = "REPO", default_value = ".")]
    pub(crate) repository: PathBuf,
    /// The host's name
    #[arg(long, value_name = "NAME")]
    pub(crate) host: String,
    /// A group that it is in. Repeatable
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// Private keys: the host's, or that of the bad day. Repeatable
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) identity: Vec<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Report,
}
