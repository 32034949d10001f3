//! What a cluster publishes: the public keys in ConfigMap `bulla-sealing-keys`, which any authenticated user may read.

use std::path::PathBuf;

use bulla::seal::{Certificate, Recipient};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde::{Deserialize, Serialize};

use crate::failure::{OrFail as _, Outcome, usage};

/// The ConfigMap with the public keys.
pub(crate) const CONFIG_MAP: &str = "bulla-sealing-keys";

/// How to reach a cluster.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ConnectionArguments {
    /// Kubeconfig file; else $KUBECONFIG, ~/.kube/config or the pod's service account
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(crate) context: Option<String>,
}

/// How to reach a cluster and the controller in it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ClusterArguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// Namespace in which the controller runs and publishes its keys
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "BULLA_CONTROLLER_NAMESPACE",
        default_value = "bulla-system",
        help_heading = "Cluster"
    )]
    pub(crate) controller_namespace: String,
}

/// A key as the controller publishes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PublishedKey {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recipient: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<PublishedKey>,
}

impl PublishedKey {
    /// A key of which only the public half counts.
    pub(crate) fn of(recipient: &Recipient) -> Self {
        Self {
            id: recipient.key_id().to_string(),
            kind: recipient.kind().as_str().to_owned(),
            state: "active".to_owned(),
            recipient: recipient.certificate().is_none().then(|| recipient.to_string()),
            certificate: None,
            created: None,
        }
    }

    /// The recipient that values are sealed to.
    pub(crate) fn to_recipient(&self) -> Outcome<Recipient> {
        let named = format!("key {} that the cluster publishes", self.id);
        match (&self.recipient, &self.certificate) {
            (Some(recipient), _) => recipient.parse().or_usage(named),
            (None, Some(pem)) => Certificate::from_pem(pem.as_bytes()).map(Recipient::from).or_usage(named),
            (None, None) => Err(usage!("{named} has neither a recipient nor a certificate")),
        }
    }
}

/// Connects with the user's own credentials.
pub(crate) async fn connect(arguments: &ConnectionArguments) -> Outcome<Client> {
    let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    let config = match &arguments.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).or_usage(format!("reading {}", path.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.or_usage("reading the kubeconfig")?
        }
        None if arguments.context.is_some() => {
            Config::from_kubeconfig(&options).await.or_usage("reading the kubeconfig")?
        }
        None => Config::infer().await.or_usage("no cluster to ask: found no kubeconfig and no service account")?,
    };
    Client::try_from(config).or_usage("setting up the connection to the cluster")
}

/// The keys that the cluster publishes.
pub(crate) async fn published_keys(arguments: &ClusterArguments) -> Outcome<Vec<PublishedKey>> {
    let client = connect(&arguments.connection).await?;
    published_in(&client, &arguments.controller_namespace).await
}

/// The keys that the controller in `namespace` publishes.
pub(crate) async fn published_in(client: &Client, namespace: &str) -> Outcome<Vec<PublishedKey>> {
    let config_map: ConfigMap = Api::namespaced(client.clone(), namespace).get(CONFIG_MAP).await.or_usage(format!(
        "reading the public keys from ConfigMap {CONFIG_MAP} in namespace {namespace} (is the controller there? see --controller-namespace)"
    ))?;
    keys_in(config_map, namespace)
}

/// The keys in that ConfigMap.
pub(crate) fn keys_in(config_map: ConfigMap, namespace: &str) -> Outcome<Vec<PublishedKey>> {
    let json = config_map.data.unwrap_or_default().remove("keys.json").unwrap_or_default();
    let published: Published = serde_json::from_str(&json)
        .or_usage(format!("keys.json in ConfigMap {CONFIG_MAP} in namespace {namespace} does not parse"))?;
    Ok(published.keys)
}

/// Runs the few asynchronous steps of the command line on one thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    runtime()?.block_on(future)
}

/// A runtime of one thread, for a verb that asks a person between two steps: a client lives as long as its runtime.
pub(crate) fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
