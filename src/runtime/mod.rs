//! What surrounds the controller in its process: arguments, logs, signals, the connection.

mod arguments;
#[cfg(feature = "kubernetes")]
mod cluster;
#[cfg(feature = "kubernetes")]
mod connection;
#[cfg(feature = "host")]
mod host;
mod process;
mod telemetry;

use std::process::ExitCode;

#[cfg(feature = "host")]
pub use self::arguments::HostArguments;
pub use self::arguments::{Arguments, Command, LogFormat};
#[cfg(feature = "kubernetes")]
pub use self::arguments::{
    AvailabilityArguments, ExternalArguments, KeyArguments, MetricsAddress, Notice, NotifyOn, RunArguments,
    SealedArguments, ServerArguments, TelemetryArguments, WrappingArguments,
};
#[cfg(feature = "kubernetes")]
pub use self::connection::{ConnectError, connect};
#[cfg(feature = "kubernetes")]
pub use self::telemetry::{AuditLog, AuditLogError};

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API server's address or our identity there is unknown.
    #[cfg(feature = "kubernetes")]
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The HTTP address cannot be used.
    #[cfg(feature = "kubernetes")]
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A filter for logs that does not parse.
    #[error("{level:?} is no log level")]
    LogLevel {
        /// What was given.
        level: String,
    },
    /// The audit log cannot be written.
    #[cfg(feature = "kubernetes")]
    #[error(transparent)]
    AuditLog(AuditLogError),
    /// Traces cannot be sent.
    #[cfg(feature = "kubernetes")]
    #[error("no traces can be sent: {why}")]
    Traces {
        /// Why not.
        why: String,
    },
    /// The controller ended.
    #[cfg(feature = "kubernetes")]
    #[error(transparent)]
    Controller(#[from] crate::controllers::Error),
    /// A part of the process ended that must not.
    #[cfg(feature = "kubernetes")]
    #[error("the task {task} ended by itself")]
    TaskEnded {
        /// Which.
        task: &'static str,
    },
    /// Settings for replicas that do not go together.
    #[cfg(feature = "kubernetes")]
    #[error("{0}")]
    Availability(String),
    /// The agent of a host cannot begin.
    #[cfg(feature = "host")]
    #[error(transparent)]
    Host(#[from] crate::host::agent::Error),
    /// The host is not as its repository says; the log says why.
    #[cfg(feature = "host")]
    #[error("{0}")]
    NotInSync(String),
    /// Signals cannot be handled.
    #[error("cannot handle signals")]
    Signals(#[source] std::io::Error),
}

impl Error {
    /// What the process ends with: 1, or 2 where the agent of a host cannot begin.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        #[cfg(feature = "host")]
        if matches!(self, Self::Host(_)) {
            return ExitCode::from(2);
        }
        ExitCode::FAILURE
    }
}

/// Runs what the arguments ask for until it is told to stop.
///
/// # Errors
/// See [`Error`].
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        #[cfg(feature = "kubernetes")]
        Command::Run(arguments) => cluster::run(*arguments).await,
        #[cfg(feature = "host")]
        Command::Host(arguments) => host::run(arguments).await,
    }
}
