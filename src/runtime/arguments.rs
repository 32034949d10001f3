//! The command line of the controller.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::controllers::{CONCURRENCY, ControllerConfig, ExternalConfig, Namespaces};
use crate::sync::external::duration::interval;

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
    /// Whether ExternalSecrets are served.
    #[arg(long, env = "BULLA_EXTERNAL_SECRETS", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub external_secrets: bool,
    /// Serve the stores of this controller class, and those that name none.
    #[arg(long, env = "BULLA_CONTROLLER_CLASS", default_value = "default", value_name = "CLASS")]
    pub controller_class: String,
    /// How often a store is checked that does not say so itself, such as 5m.
    #[arg(long, env = "BULLA_STORE_REQUEUE_INTERVAL", default_value = "5m", value_name = "DURATION", value_parser = duration)]
    pub store_requeue_interval: Duration,
    /// The folder that the paths of `file` stores are in [default: no store may name a file of the controller].
    #[arg(long, env = "BULLA_FILE_STORE_ROOT", value_name = "FOLDER")]
    pub file_store_root: Option<PathBuf>,
    /// Whether ClusterSecretStores and ClusterExternalSecrets are served; never where namespaces are named.
    #[arg(long, env = "BULLA_CLUSTER_STORES", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub cluster_stores: bool,
    /// What opens an action in the templates of ExternalSecrets.
    #[arg(long, default_value = "{{", value_name = "TEXT")]
    pub template_left_delimiter: String,
    /// What closes it.
    #[arg(long, default_value = "}}", value_name = "TEXT")]
    pub template_right_delimiter: String,
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

fn duration(text: &str) -> Result<Duration, String> {
    let duration = interval(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(duration) }
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
            external: self.external_secrets.then(|| ExternalConfig {
                class: self.controller_class.clone(),
                recheck: self.store_requeue_interval,
                files: self.file_store_root.clone(),
                delimiters: (self.template_left_delimiter.clone(), self.template_right_delimiter.clone()),
                cluster: self.cluster_stores,
            }),
            ..ControllerConfig::new(self.controller_namespace.as_deref().unwrap_or(own_namespace))
        }
    }
}
