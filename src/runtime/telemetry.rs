//! Logs, to standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Error, LogFormat};

/// kube logs bodies that it cannot parse and an error a request while the API server is away: neither belongs here.
const QUIET: &str = "kube=off,kube_client=off,kube_runtime=off,tower=off,hyper=off,hyper_util=off,rustls=off";

/// Starts logging; a second call in one process changes nothing.
///
/// # Errors
/// If `level` is no filter.
pub(super) fn start(level: &str, format: LogFormat) -> Result<(), Error> {
    let filter = EnvFilter::try_new(format!("{level},{QUIET}"));
    let filter = filter.map_err(|_| Error::LogLevel { level: level.to_owned() })?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    // An embedding program may have its own subscriber: that one counts.
    drop(started);
    Ok(())
}
