//! What surrounds the controller in its process: arguments, logs, signals, the connection.

mod arguments;
mod connection;
#[cfg(feature = "host")]
mod host;
mod process;
mod telemetry;

use std::net::SocketAddr;
use std::process::ExitCode;

use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{field, info, warn};

#[cfg(feature = "host")]
pub use self::arguments::HostArguments;
pub use self::arguments::{
    Arguments, AvailabilityArguments, Command, ExternalArguments, KeyArguments, LogFormat, MetricsAddress, Notice,
    NotifyOn, RunArguments, SealedArguments, ServerArguments, TelemetryArguments, WrappingArguments,
};
pub use self::connection::{ConnectError, connect};
pub use self::telemetry::{AuditLog, AuditLogError};

use crate::controllers::{self, Controller};
use crate::server::{self, Answers, Listeners};

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API server's address or our identity there is unknown.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The HTTP address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
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
    #[error(transparent)]
    AuditLog(AuditLogError),
    /// Traces cannot be sent.
    #[error("no traces can be sent: {why}")]
    Traces {
        /// Why not.
        why: String,
    },
    /// The controller ended.
    #[error(transparent)]
    Controller(#[from] controllers::Error),
    /// A part of the process ended that must not.
    #[error("the task {task} ended by itself")]
    TaskEnded {
        /// Which.
        task: &'static str,
    },
    /// Settings for replicas that do not go together.
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
    let arguments = match arguments.command {
        Command::Run(arguments) => arguments,
        #[cfg(feature = "host")]
        Command::Host(arguments) => return host::run(arguments).await,
    };
    arguments.availability.check().map_err(Error::Availability)?;
    let traces = telemetry::start(&arguments.telemetry)?;
    let ended = serve(*arguments).await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    ended
}

async fn serve(arguments: RunArguments) -> Result<(), Error> {
    process::forbid_core_dumps();
    for notice in &arguments.notices {
        let Notice { answer, .. } = notice;
        if notice.holds { info!("{answer}") } else { warn!("{answer}") }
    }
    let client = connect(arguments.kubeconfig.as_deref()).await?;
    let config = arguments.controller(client.default_namespace());
    let shutdown = CancellationToken::new();
    let mut registry = Registry::default();
    let controller = Controller::new(client, config, &mut registry);
    let answers =
        Answers { is_ready: controller.readiness(), keys: controller.keys(), keyring: controller.keyring(), registry };
    let rotations = process::rotate_on_signal(controller.rotation());
    let unusable = |address| move |source| Error::Listen { address, source };
    let address = arguments.server.listen;
    let main = server::bind(address).await.map_err(unusable(address))?;
    let mut listeners = Listeners { main, metrics: None };
    if let Some(address) = arguments.server.metrics() {
        listeners.metrics = Some(server::bind(address).await.map_err(unusable(address))?);
    }
    let allowed = arguments.server.config(arguments.sealed.accept_deprecated_v1_data);
    let signals = process::Signals::new().map_err(Error::Signals)?;
    let address = listeners.main.local_addr().map_err(unusable(address))?;
    let metrics = listeners.metrics.as_ref().and_then(|listener| listener.local_addr().ok()).map(field::display);
    info!(version = env!("CARGO_PKG_VERSION"), %address, metrics, "bulla-controller");

    let mut tasks: JoinSet<Result<&'static str, Error>> = JoinSet::new();
    let token = shutdown.clone();
    tasks.spawn(async move { Ok(controller.run(token).await.map(|()| "controller")?) });
    let token = shutdown.clone();
    tasks.spawn(async move {
        let served = server::serve(listeners, answers, allowed, token).await;
        served.map(|()| "server").map_err(unusable(address))
    });
    let token = shutdown.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = rotations => {}
            () = token.cancelled() => {}
        }
        Ok("SIGUSR1")
    });
    let token = shutdown.clone();
    tasks.spawn(async move {
        signals.wait().await;
        info!("told to stop");
        token.cancel();
        Ok("signals")
    });
    // Any other end than an orderly one ends the process. The server goes on answering for a while after the controller.
    loop {
        match tasks.join_next().await {
            Some(Ok(Ok(_))) if shutdown.is_cancelled() => {}
            Some(Ok(Ok(task))) => return Err(Error::TaskEnded { task }),
            Some(Ok(Err(error))) => return Err(error),
            Some(Err(_)) => return Err(controllers::Error::TaskPanicked.into()),
            None => return Ok(()),
        }
    }
}
