//! The command line.

use clap::{Parser, ValueEnum};

/// The start among foreign Secrets, failover, re-encryption and sizes, beside the upstream controller.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// SealedSecrets in the phase `start`.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) objects: usize,
    /// Foreign Secrets of 10 KB each in the phase `start`.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) foreign: usize,
    /// Rounds of the phase `failover`.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// SealedSecrets that are re-encrypted in the phase `rotate`.
    #[arg(long, default_value_t = 400)]
    pub(crate) rotations: usize,
    /// Phases to run, in their own order [default: all].
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Phase>,
    /// Said by `cargo bench`.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// From the start to Ready, and the memory, without and with foreign Secrets.
    Start,
    /// From the end of the leader to the other replica's first write.
    Failover,
    /// `/v1/rotate`.
    Rotate,
    /// Binary and image.
    Size,
}

impl Phase {
    pub(crate) const ALL: [Self; 4] = [Self::Start, Self::Failover, Self::Rotate, Self::Size];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Failover => "failover",
            Self::Rotate => "rotate",
            Self::Size => "size",
        }
    }
}

impl Arguments {
    pub(crate) fn wants(&self, phase: Phase) -> bool {
        self.only.is_empty() || self.only.contains(&phase)
    }
}
