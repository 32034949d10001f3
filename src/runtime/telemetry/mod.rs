//! Logs, the audit log, and traces.

#[cfg(feature = "kubernetes")]
mod audit;
#[cfg(feature = "otlp")]
mod traces;
#[cfg(all(feature = "kubernetes", not(feature = "otlp")))]
#[path = "without_traces.rs"]
mod traces;

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

#[cfg(feature = "kubernetes")]
use self::audit::AuditFile;
#[cfg(feature = "kubernetes")]
pub use self::audit::{AuditLog, AuditLogError};
#[cfg(feature = "kubernetes")]
use self::traces::Traces;
#[cfg(feature = "kubernetes")]
use super::TelemetryArguments;
use super::{Error, LogFormat};

/// kube logs bodies that it cannot parse and an error a request while the API server is away: neither belongs here.
/// Clients of HTTP log where they go, which may be a secret. Spans are for traces.
const QUIET: &str = "kube=off,kube_client=off,kube_runtime=off,tower=off,hyper=off,hyper_util=off,h2=off,reqwest=off,\
                     rustls=off,opentelemetry=off,bulla::trace=off";

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging; a second call in one process changes nothing. The traces end when what is returned is told to.
///
/// # Errors
/// If the level is no filter, the audit log cannot be written, or traces cannot be sent.
#[cfg(feature = "kubernetes")]
pub(super) fn start(arguments: &TelemetryArguments) -> Result<Option<Traces>, Error> {
    let TelemetryArguments { log_format, log_level, audit_log, .. } = arguments;
    let mut layers = vec![lines(*log_format, filter(log_level, *audit_log == AuditLog::Stderr)?, true)];
    layers.extend(AuditFile::layer(audit_log).map_err(Error::AuditLog)?);
    let traces = Traces::start(arguments.otlp_endpoint())?;
    layers.extend(traces.as_ref().map(Traces::layer));
    begin(layers);
    Ok(traces)
}

/// Starts logging and nothing else; a second call in one process changes nothing.
///
/// # Errors
/// If the level is no filter.
#[cfg(feature = "host")]
pub(super) fn log(format: LogFormat, level: &str) -> Result<(), Error> {
    begin(vec![lines(format, filter(level, true)?, false)]);
    Ok(())
}

/// Log lines on standard error, in text with the module that they come from or without.
fn lines(format: LogFormat, filter: EnvFilter, with_module: bool) -> BoxedLayer {
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            log.with_ansi(std::io::stderr().is_terminal()).with_target(with_module).with_filter(filter).boxed()
        }
        LogFormat::Json => {
            let json = log.json().flatten_event(true).with_current_span(false).with_span_list(false);
            json.with_filter(filter).boxed()
        }
    }
}

fn begin(layers: Vec<BoxedLayer>) {
    // An embedding program may have its own subscriber: that one counts.
    drop(tracing_subscriber::registry().with(layers).try_init());
}

/// What is logged; with `is_shared` the audit log too, whatever the level.
fn filter(level: &str, is_shared: bool) -> Result<EnvFilter, Error> {
    let audit = if is_shared { "info" } else { "off" };
    let filter = EnvFilter::try_new(format!("{level},{QUIET},{}={audit}", crate::audit::TARGET));
    filter.map_err(|_| Error::LogLevel { level: level.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_taken_as_upstream_writes_them() {
        for (level, shown) in [("INFO", "info"), ("Error", "error"), ("warn", "warn"), ("bulla=debug,info", "info")] {
            let filter = filter(level, true).unwrap().to_string();
            assert!(filter.split(',').any(|part| part == shown), "{level}: {filter}");
            assert!(filter.contains("bulla::audit=info") && filter.contains("bulla::trace=off"), "{filter}");
        }
        assert!(filter("loud=very", true).is_err());
    }
}
