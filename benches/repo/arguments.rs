//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// What a repository of sealed values and a long history cost to check, to seal again, to audit and to scan.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Files with a SealedSecret in the repository.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) files: usize,
    /// Values in all of them together.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) values: usize,
    /// Commits of the history.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) commits: usize,
    /// Planted secrets of each class in the history.
    #[arg(long, default_value_t = 8)]
    pub(crate) plants: usize,
    /// Runs of each command, of which the median counts.
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: usize,
    /// How long gitleaks may take for the history, in seconds; 0 leaves it out.
    #[arg(long, default_value_t = 500)]
    pub(crate) gitleaks_limit: u64,
    /// What everything that is generated follows from, but for keys and ciphertext.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Kinds of key in the repository.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "hybrid,x25519,rsa")]
    pub(crate) kinds: Vec<crate::generate::keys::Kind>,
    /// Phases to run, in their own order [default: all].
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Phase>,
    /// Generates into this folder, which is not there yet, and leaves it.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
    /// Said by `cargo bench`.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// The files of the repository: `bulla verify`.
    Verify,
    /// `bulla keys audit`.
    Audit,
    /// `bulla reseal --identity`.
    Reseal,
    /// `bulla scan --history`, beside gitleaks.
    History,
    /// `bulla scan` of the files as they are in the end, beside gitleaks.
    Tree,
}

impl Phase {
    /// The verb.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Audit => "keys audit",
            Self::Reseal => "reseal",
            Self::History | Self::Tree => "scan",
        }
    }
}

impl Arguments {
    pub(crate) fn wants(&self, phase: Phase) -> bool {
        self.only.is_empty() || self.only.contains(&phase)
    }
}
