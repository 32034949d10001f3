//! The command line of the controller, a file for each group of flags.

#[cfg(feature = "kubernetes")]
mod availability;
#[cfg(feature = "kubernetes")]
mod external;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "kubernetes")]
mod keys;
mod log;
#[cfg(feature = "kubernetes")]
mod run;
#[cfg(feature = "kubernetes")]
mod sealed;
#[cfg(feature = "kubernetes")]
mod server;
#[cfg(feature = "kubernetes")]
mod telemetry;
#[cfg(feature = "kubernetes")]
mod upstream;
#[cfg(feature = "kubernetes")]
mod wrapping;

use clap::{Parser, Subcommand};

#[cfg(feature = "host")]
pub use self::host::HostArguments;
pub use self::log::LogFormat;
#[cfg(feature = "kubernetes")]
pub use self::{
    availability::AvailabilityArguments,
    external::ExternalArguments,
    keys::KeyArguments,
    run::RunArguments,
    sealed::SealedArguments,
    server::{MetricsAddress, ServerArguments},
    telemetry::{NotifyOn, TelemetryArguments},
    upstream::Notice,
    wrapping::WrappingArguments,
};

/// Opens SealedSecrets and writes Secrets.
#[derive(Debug, Parser)]
#[command(name = "bulla-controller", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller until it is told to stop.
    #[cfg(feature = "kubernetes")]
    Run(Box<RunArguments>),
    /// Keep a machine without Kubernetes as a Git repository says.
    #[cfg(feature = "host")]
    Host(HostArguments),
}

#[cfg(not(feature = "kubernetes"))]
impl Arguments {
    /// Reads the command line of this process. Ends the process where there is nothing to run: for `--help`, `--version`
    /// and errors.
    #[must_use]
    pub fn of_process() -> Self {
        Self::parse()
    }
}
