//! Flags of `bulla-controller run`: those of all groups together.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{
    AvailabilityArguments, ExternalArguments, KeyArguments, Notice, SealedArguments, ServerArguments,
    TelemetryArguments,
};
use crate::controllers::{CONCURRENCY, ControllerConfig, Namespaces};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Reach the API server as this file says; else as KUBECONFIG or the pod's service account say.
    #[arg(long, env = "BULLA_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of the sealing keys [default: the controller's own].
    #[arg(long, env = "BULLA_CONTROLLER_NAMESPACE", value_name = "NAMESPACE")]
    pub controller_namespace: Option<String>,
    /// Serve this namespace only; repeatable [default: as --all-namespaces says].
    #[arg(long = "watch-namespace", env = "BULLA_WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Serve all namespaces, or with `false` the controller's own.
    #[arg(long, env = "BULLA_ALL_NAMESPACES", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub all_namespaces: bool,
    /// Serve these namespaces and the controller's own, and no others. One that is not there yet is waited for.
    #[arg(long, env = "BULLA_ADDITIONAL_NAMESPACES", value_name = "NAMESPACE,...", value_delimiter = ',')]
    pub additional_namespaces: Vec<String>,
    /// How many objects are worked on at the same time.
    #[arg(long, env = "BULLA_CONCURRENCY", default_value_t = CONCURRENCY, value_name = "NUMBER")]
    pub concurrency: usize,
    /// SealedSecrets.
    #[command(flatten)]
    pub sealed: SealedArguments,
    /// Sealing keys.
    #[command(flatten)]
    pub keys: KeyArguments,
    /// ExternalSecrets.
    #[command(flatten)]
    pub external: ExternalArguments,
    /// Replicas.
    #[command(flatten)]
    pub availability: AvailabilityArguments,
    /// The HTTP servers.
    #[command(flatten)]
    pub server: ServerArguments,
    /// Logs, traces and notices.
    #[command(flatten)]
    pub telemetry: TelemetryArguments,
    /// What was made of settings of the Sealed Secrets controller.
    #[arg(skip)]
    pub notices: Vec<Notice>,
}

impl RunArguments {
    /// The controller's part of the arguments; `own_namespace` is the one that the connection implies.
    #[must_use]
    pub fn controller(&self, own_namespace: &str) -> ControllerConfig {
        let namespace = self.controller_namespace.as_deref().unwrap_or(own_namespace);
        ControllerConfig {
            namespaces: self.namespaces(namespace),
            concurrency: self.concurrency,
            sealed: self.sealed.config(),
            keys: self.keys.config(),
            external: self.external.config(),
            availability: self.availability.config(),
            object_metrics: self.telemetry.object_metrics,
            notify: self.telemetry.notify(),
            ..ControllerConfig::new(namespace)
        }
    }

    /// The namespaces to serve; `own` is the controller's.
    fn namespaces(&self, own: &str) -> Namespaces {
        let named = |names: &[String]| -> Vec<String> {
            names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let (mut served, additional) = (named(&self.watch_namespaces), named(&self.additional_namespaces));
        if !additional.is_empty() || (served.is_empty() && !self.all_namespaces) {
            served.push(own.to_owned());
        }
        served.extend(additional);
        served.sort();
        served.dedup();
        if served.is_empty() { Namespaces::All } else { Namespaces::These(served) }
    }
}
