//! The command line.

use clap::{Parser, ValueEnum};

/// How long a cluster's SealedSecrets take, beside the floor and the upstream controller.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// SealedSecrets in each phase of the floor and of Bulla.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) objects: usize,
    /// SealedSecrets in the phase `restart`.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) restart: usize,
    /// SealedSecrets for the upstream controller without its rate limit.
    #[arg(long, default_value_t = 300)]
    pub(crate) upstream_unlimited: usize,
    /// SealedSecrets for the upstream controller as it comes.
    #[arg(long, default_value_t = 100)]
    pub(crate) upstream_default: usize,
    /// Phases to run, in their own order [default: all].
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Phase>,
    /// How often the phases of the floor and of Bulla are run, in turns; the median is shown.
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// An argument for Bulla's controller, such as `--controller=--concurrency=64`; repeatable.
    #[arg(long = "controller", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub(crate) controller_arguments: Vec<String>,
    /// Said by `cargo bench`.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// One measurement on an API server of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// Only the writes, no cryptography.
    Floor,
    /// Bulla with hybrid values.
    Hybrid,
    /// Bulla with X25519 values.
    X25519,
    /// Bulla with kubeseal's RSA-4096 values.
    Rsa,
    /// The upstream controller with `--kubeclient-qps=-1`.
    UpstreamUnlimited,
    /// The upstream controller with its default flags.
    UpstreamDefault,
    /// Bulla started again over unchanged objects.
    Restart,
}

impl Arguments {
    pub(crate) fn wants(&self, phase: Phase) -> bool {
        self.only.is_empty() || self.only.contains(&phase)
    }

    /// How many objects a phase has.
    pub(crate) fn size(&self, phase: Phase) -> usize {
        match phase {
            Phase::Floor | Phase::Hybrid | Phase::X25519 | Phase::Rsa => self.objects,
            Phase::UpstreamUnlimited => self.upstream_unlimited,
            Phase::UpstreamDefault => self.upstream_default,
            Phase::Restart => self.restart,
        }
    }
}

impl Phase {
    /// As the table shows it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Floor => "floor: writes only",
            Self::Hybrid => "Bulla, hybrid",
            Self::X25519 => "Bulla, X25519",
            Self::Rsa => "Bulla, RSA-4096",
            Self::UpstreamUnlimited => "upstream, no limit",
            Self::UpstreamDefault => "upstream, default",
            Self::Restart => "Bulla, restart",
        }
    }
}
