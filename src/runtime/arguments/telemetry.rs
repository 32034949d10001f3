//! What the controller says about itself.

use clap::{Args, ValueEnum};

/// Flags for logs, traces and notices.
#[derive(Debug, Args)]
pub struct TelemetryArguments {
    /// How log lines look.
    #[arg(long, env = "BULLA_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter such as bulla=debug,info.
    #[arg(long, env = "BULLA_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
