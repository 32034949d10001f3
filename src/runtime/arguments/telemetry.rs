//! What the controller says about itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::LogFormat;
use crate::controllers::{Destination, NotifyConfig, Occasion};
use crate::runtime::AuditLog;
use crate::sync::external::duration::interval;

/// Flags for logs, metrics, traces and notices.
#[derive(Debug, Args)]
pub struct TelemetryArguments {
    /// How log lines look.
    #[arg(long, env = "BULLA_LOG_FORMAT", value_enum, ignore_case = true, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter such as bulla=debug,info.
    #[arg(long, env = "BULLA_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
    /// Where each opening, writing and key use is noted: off, stderr (in the log), stdout, or a file that is appended to.
    #[arg(long, env = "BULLA_AUDIT_LOG", default_value_t = AuditLog::Stderr, value_name = "WHERE")]
    pub audit_log: AuditLog,
    /// Whether metrics show each object by itself, besides the counts.
    #[arg(long, env = "BULLA_OBJECT_METRICS", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub object_metrics: bool,
    /// Send traces to this OTLP/HTTP endpoint, such as http://collector:4318 [default: OTEL_EXPORTER_OTLP_ENDPOINT].
    #[arg(long, env = "BULLA_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// A file with the URL of a Slack-compatible webhook; the URL is a secret. BULLA_NOTIFY_SLACK_URL holds it itself.
    #[arg(long, env = "BULLA_NOTIFY_SLACK_URL_FILE", value_name = "FILE")]
    pub notify_slack_url_file: Option<PathBuf>,
    /// A file with the URL of a webhook that takes JSON. BULLA_NOTIFY_WEBHOOK_URL holds it itself.
    #[arg(long, env = "BULLA_NOTIFY_WEBHOOK_URL_FILE", value_name = "FILE")]
    pub notify_webhook_url_file: Option<PathBuf>,
    /// A file with the key that posts to the JSON webhook are signed with. BULLA_NOTIFY_WEBHOOK_KEY holds it itself.
    #[arg(long, env = "BULLA_NOTIFY_WEBHOOK_KEY_FILE", value_name = "FILE")]
    pub notify_webhook_key_file: Option<PathBuf>,
    /// What webhooks are told.
    #[arg(
        long,
        env = "BULLA_NOTIFY_ON",
        value_enum,
        value_delimiter = ',',
        default_value = "failed,recovered,rotated",
        value_name = "WHAT"
    )]
    pub notify_on: Vec<NotifyOn>,
    /// How long a failure, and a recovery, must last before webhooks are told, such as 60s.
    #[arg(long, env = "BULLA_NOTIFY_AFTER", default_value = "60s", value_name = "DURATION", value_parser = duration)]
    pub notify_after: Duration,
}

/// What webhooks are told.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NotifyOn {
    /// An object is not in sync.
    Failed,
    /// It is again.
    Recovered,
    /// A sealing key was made, or changed its state.
    Rotated,
}

fn duration(text: &str) -> Result<Duration, String> {
    interval(text).map_err(|error| error.to_string())
}

/// The file, else what the environment holds: a secret is never a flag.
fn secret(file: Option<&PathBuf>, variable: &str) -> Option<Destination> {
    let held = || std::env::var(variable).ok().filter(|text| !text.is_empty()).map(Destination::held);
    file.cloned().map(Destination::File).or_else(held)
}

impl TelemetryArguments {
    pub(super) fn notify(&self) -> NotifyConfig {
        NotifyConfig {
            slack: secret(self.notify_slack_url_file.as_ref(), "BULLA_NOTIFY_SLACK_URL"),
            webhook: secret(self.notify_webhook_url_file.as_ref(), "BULLA_NOTIFY_WEBHOOK_URL"),
            webhook_key: secret(self.notify_webhook_key_file.as_ref(), "BULLA_NOTIFY_WEBHOOK_KEY"),
            occasions: self
                .notify_on
                .iter()
                .map(|what| match what {
                    NotifyOn::Failed => Occasion::Failed,
                    NotifyOn::Recovered => Occasion::Recovered,
                    NotifyOn::Rotated => Occasion::Rotated,
                })
                .collect(),
            after: self.notify_after,
        }
    }

    /// Where traces go, by our flag or by the variables of every OpenTelemetry program.
    pub(in crate::runtime) fn otlp_endpoint(&self) -> Option<String> {
        let variable = |name| std::env::var(name).ok().filter(|url: &String| !url.is_empty());
        let given = self.otlp_endpoint.clone().filter(|url| !url.is_empty());
        // Only this one names the place itself; the others name the server.
        let place = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").filter(|_| given.is_none());
        let server = || given.or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
        place.or_else(|| server().map(|url| format!("{}/v1/traces", url.trim_end_matches('/'))))
    }
}
