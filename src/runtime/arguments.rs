//! The command line of the controller.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::controllers::{CONCURRENCY, ControllerConfig, Namespaces};

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
    Run(Box<RunArguments>),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Reach the API server as this file says; else as KUBECONFIG or the pod's service account say.
    #[arg(long, env = "BULLA_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of the sealing keys [default: the controller's own].
    #[arg(long, env = "BULLA_CONTROLLER_NAMESPACE", value_name = "NAMESPACE")]
    pub controller_namespace: Option<String>,
    /// Serve this namespace only; repeatable [default: all].
    #[arg(long = "watch-namespace", env = "BULLA_WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// How many objects are worked on at the same time.
    #[arg(long, env = "BULLA_CONCURRENCY", default_value_t = CONCURRENCY, value_name = "NUMBER")]
    pub concurrency: usize,
    /// Where to serve health, metrics and public keys.
    #[arg(long, env = "BULLA_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
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

impl RunArguments {
    /// The controller's part of the arguments; `own_namespace` is the one that the connection implies.
    #[must_use]
    pub fn controller(&self, own_namespace: &str) -> ControllerConfig {
        let mut watched: Vec<_> = self.watch_namespaces.iter().filter(|name| !name.is_empty()).cloned().collect();
        watched.sort();
        watched.dedup();
        ControllerConfig {
            namespaces: if watched.is_empty() { Namespaces::All } else { Namespaces::These(watched) },
            concurrency: self.concurrency,
            ..ControllerConfig::new(self.controller_namespace.as_deref().unwrap_or(own_namespace))
        }
    }
}
