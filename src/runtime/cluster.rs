//! `bulla-controller run`: the controller and its servers, in their process.

use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{field, info, warn};

use super::arguments::{Notice, RunArguments};
use super::{Error, connect, process, telemetry};
use crate::controllers::{self, Controller};
use crate::server::{self, Answers, Listeners};

/// Runs until it is told to stop.
pub(super) async fn run(arguments: RunArguments) -> Result<(), Error> {
    arguments.availability.check().map_err(Error::Availability)?;
    let traces = telemetry::start(&arguments.telemetry)?;
    let ended = serve(arguments).await;
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
