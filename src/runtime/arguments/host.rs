//! Flags of `bulla-controller host`.

use std::path::PathBuf;

use clap::Args;

use super::LogFormat;

/// Flags of `host`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla-controller host                         follow the repository of /etc/bulla/host.yaml
  bulla-controller host --once                  one pass: for cloud-init, or a timer
  bulla-controller host --once --offline        the last good commit, without a network
  bulla-controller host --once --offline --files-only
                                                its files, early at boot
  bulla-controller host --dry-run               what would change, be reloaded and be restarted

Exit codes with --once and --dry-run: 0 the host is as its repository says, 1 it is not (see the log), 2 it cannot begin.")]
pub struct HostArguments {
    /// The agent's settings.
    #[arg(long, env = "BULLA_HOST_CONFIG", default_value_os_t = crate::host::config::default_file(), value_name = "FILE")]
    pub config: PathBuf,
    /// One pass, then end.
    #[arg(long)]
    pub once: bool,
    /// Say what would be done, and do nothing of it.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask the repository: take the last good commit.
    #[arg(long, requires = "once")]
    pub offline: bool,
    /// Put the files in place, run no command and tell no service: for early at boot, where a service that is to start
    /// would wait for this, and the agent that follows does the rest.
    #[arg(long, requires = "offline")]
    pub files_only: bool,
    /// Take this tip although it is no descendant of the last good commit: the history was rewritten with reason.
    #[arg(long, value_name = "COMMIT")]
    pub accept_rewrite: Option<String>,
    /// How log lines look.
    #[arg(long, env = "BULLA_LOG_FORMAT", value_enum, ignore_case = true, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter such as bulla=debug,info.
    #[arg(long, env = "BULLA_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}
