//! The command line.

use clap::{Parser, ValueEnum};

/// How long a cluster's ExternalSecrets take, and what they cost the provider and the API server.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// ExternalSecrets in each scenario but `large`.
    #[arg(long, default_value_t = 500)]
    pub(crate) objects: usize,
    /// ExternalSecrets in the scenario `large`.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) large: usize,
    /// Scenarios to run, in their own order [default: all].
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Scenario>,
    /// The refresh interval in seconds, longer than a first sync takes [default: 30, and 8 ms an object].
    #[arg(long)]
    pub(crate) refresh: Option<usize>,
    /// Leave the floor out, and the ratios with it.
    #[arg(long)]
    pub(crate) no_floor: bool,
    /// An argument for Bulla's controller, such as `--controller=--concurrency=64`; repeatable.
    #[arg(long = "controller", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub(crate) controller_arguments: Vec<String>,
    /// Said by `cargo bench`.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// Objects and what they name, with an API server and a provider's server of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// As many keys of Secrets Manager as objects.
    Keys,
    /// The same with more of both.
    Large,
    /// One key of Secrets Manager for all objects.
    Shared,
    /// As many paths of Vault as objects.
    Vault,
}

/// All of them, in the order in which they run.
pub(crate) const SCENARIOS: [Scenario; 4] = [Scenario::Keys, Scenario::Shared, Scenario::Vault, Scenario::Large];

impl Arguments {
    pub(crate) fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    /// How many objects a scenario has.
    pub(crate) const fn size(&self, scenario: Scenario) -> usize {
        match scenario {
            Scenario::Keys | Scenario::Shared | Scenario::Vault => self.objects,
            Scenario::Large => self.large,
        }
    }

    /// The refresh interval of a scenario's objects, in seconds.
    pub(crate) fn interval(&self, scenario: Scenario) -> usize {
        self.refresh.unwrap_or(30 + self.size(scenario) / 125)
    }
}

impl Scenario {
    /// As the table shows it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Keys | Self::Large => "AWS, a key each",
            Self::Shared => "AWS, one key for all",
            Self::Vault => "Vault, a path each",
        }
    }

    /// The properties of its remote key that an object takes.
    pub(crate) const fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Keys | Self::Large | Self::Shared => &["username", "password"],
            Self::Vault => &["password"],
        }
    }
}
