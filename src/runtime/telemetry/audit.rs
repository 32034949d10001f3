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
