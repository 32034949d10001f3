//! How ExternalSecrets are served.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::controllers::ExternalConfig;
use crate::sync::external::duration::interval;

/// Flags for ExternalSecrets.
#[derive(Debug, Args)]
pub struct ExternalArguments {
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
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = interval(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(duration) }
}

impl ExternalArguments {
    pub(super) fn config(&self) -> Option<ExternalConfig> {
        self.external_secrets.then(|| ExternalConfig {
            class: self.controller_class.clone(),
            recheck: self.store_requeue_interval,
            files: self.file_store_root.clone(),
            delimiters: (self.template_left_delimiter.clone(), self.template_right_delimiter.clone()),
            cluster: self.cluster_stores,
        })
    }
}
