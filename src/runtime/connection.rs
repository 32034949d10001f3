//! How the API server is reached.

use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Why there is no way to an API server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The file that was named cannot be used.
    #[error("cannot use the kubeconfig {file}")]
    Kubeconfig {
        /// The file.
        file: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing was named and nothing found.
    #[error(
        "no API server: there is no kubeconfig (--kubeconfig, KUBECONFIG or ~/.kube/config) and this is not a pod with a service account"
    )]
    Nothing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The settings do not make a client.
    #[error("cannot use the connection settings")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// By this name the controller is found in the API server's audit log.
const AGENT: &str = concat!("bulla-controller/", env!("CARGO_PKG_VERSION"));

/// A client for `kubeconfig`, else for what the environment says. Nothing is asked of the API server yet.
///
/// # Errors
/// If there are no usable settings.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let mut config = match kubeconfig {
        Some(file) => from_file(file).await?,
        None => Config::infer().await.map_err(|error| ConnectError::Nothing(error.into()))?,
    };
    config.connect_timeout = Some(Duration::from_secs(5));
    // Retries are planned by our own schedule, where they are counted and shown.
    config.default_retry = false;
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    Client::try_from(config).map_err(|error| ConnectError::Client(error.into()))
}

async fn from_file(file: &Path) -> Result<Config, ConnectError> {
    let unusable = |source| ConnectError::Kubeconfig { file: file.display().to_string(), source };
    let kubeconfig = Kubeconfig::read_from(file).map_err(|error| unusable(error.into()))?;
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(error.into()))
}
