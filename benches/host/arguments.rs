//! The command line.

use clap::Parser;

/// What host mode costs.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// SealedSecrets, a file each.
    #[arg(long, default_value_t = 200)]
    pub(crate) files: usize,
    /// Values in each of them; a declared file each.
    #[arg(long, default_value_t = 5)]
    pub(crate) values: usize,
    /// Runs of each measurement, of which the median counts.
    #[arg(long, default_value_t = 5)]
    pub(crate) runs: usize,
    /// How long the agent is watched while nothing happens, in seconds.
    #[arg(long, default_value_t = 20)]
    pub(crate) idle: u64,
    /// Said by `cargo bench`.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}
