//! Where the audit log goes, if not into the ordinary log.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;

use super::BoxedLayer;

/// Where the audit log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditLog {
    /// Nowhere.
    Off,
    /// Into the ordinary log, in its format.
    Stderr,
    /// To standard output, a JSON object a line.
    Stdout,
    /// To the end of this file, a JSON object a line.
    File(PathBuf),
}

impl FromStr for AuditLog {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "off" => Self::Off,
            "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            file => Self::File(file.into()),
        })
    }
}

impl fmt::Display for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Stderr => f.write_str("stderr"),
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The file of the audit log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the audit log {}", .path.display())]
pub struct AuditLogError {
    /// The file.
    path: PathBuf,
    /// Why.
    source: std::io::Error,
}

/// The layer of an audit log of its own.
pub(super) struct AuditFile;

impl AuditFile {
    pub(super) fn layer(to: &AuditLog) -> Result<Option<BoxedLayer>, AuditLogError> {
        match to {
            AuditLog::Off | AuditLog::Stderr => Ok(None),
            AuditLog::Stdout => Ok(Some(lines(std::io::stdout))),
            AuditLog::File(path) => {
                // Appended, so that it can be cut off at its start while it is written.
                let file: Result<File, _> = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
                let file = file.map_err(|source| AuditLogError { path: path.clone(), source })?;
                Ok(Some(lines(Arc::new(file))))
            }
        }
    }
}

fn lines<W>(writer: W) -> BoxedLayer
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let only = Targets::new().with_target(crate::audit::TARGET, LevelFilter::INFO);
    let json = tracing_subscriber::fmt::layer().with_writer(writer).json().flatten_event(true);
    json.with_current_span(false).with_span_list(false).with_filter(only).boxed()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::audit::{Action, Entry, record};

    #[test]
    fn the_lines_of_a_bulk_sync_are_written_in_no_time_and_each_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let layer = AuditFile::layer(&AuditLog::File(path.clone())).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        let began = Instant::now();
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..10_000 {
                let (name, keys) = (format!("object-{number}"), ["3f1c9a7be02d4455".to_owned()]);
                let (kind, namespace, outcome) = ("SealedSecret", "prod", "ok");
                record(Entry {
                    action: Action::Open,
                    actor: "controller",
                    kind,
                    namespace,
                    name: &name,
                    keys: &keys,
                    outcome,
                });
            }
        });
        let took = began.elapsed();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        assert_eq!(lines.filter(|line| line["action"] == "open" && line["keys"] == "3f1c9a7be02d4455").count(), 10_000);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}
