//! A namespace of its own and a controller in this process that serves only that namespace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bulla::controllers::{ControllerConfig, ExternalConfig, Namespaces};
use bulla_crds::{Condition, ExternalSecret, SecretStore};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::apiserver::ApiServer;
use crate::support::audit::{AuditEntry, AuditMark};
use crate::support::objects::{self, Namespaced};
use crate::support::rights::Reach;

/// Longer than any wait that is right, shorter than a patience.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// How long nothing must happen before nothing is said to happen.
pub(crate) const QUIET: Duration = Duration::from_millis(700);

const KEY: &str = "sealing-key";

/// See the module.
pub(crate) struct World<'a> {
    pub(crate) server: &'a ApiServer,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) agent: String,
    pub(crate) config: ExternalConfig,
    /// Serve the whole cluster: only on a server of one's own.
    pub(crate) whole_cluster: bool,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    registry: Registry,
}

impl World<'static> {
    /// A world on the shared server without a controller.
    pub(crate) async fn without_controller() -> Self {
        World::on(ApiServer::shared()).await
    }

    /// A world on the shared server with a running controller.
    pub(crate) async fn new() -> Self {
        let mut world = Self::without_controller().await;
        world.start();
        world
    }
}

impl<'a> World<'a> {
    /// A world on this server without a controller.
    pub(crate) async fn on(server: &'a ApiServer) -> Self {
        crate::support::logs::capture();
        for crd in bulla_crds::all() {
            server.install_crd(&crd).await;
        }
        let namespace = server.namespace().await;
        let agent = format!("bulla-controller/{namespace}");
        let config = ExternalConfig { recheck: Duration::from_secs(2), ..ExternalConfig::default() };
        let client = server.client();
        let world = Self::of(server, client, namespace, agent, config);
        // A key that is there need not be made: the controller's calls are then those for ExternalSecrets.
        let identity = bulla::seal::Identity::generate_x25519().unwrap();
        let text = identity.to_text().unwrap();
        world
            .create::<Secret>(json!({
                "metadata": {"name": KEY, "labels": {"bulla.dev/sealing-key": "active"}},
                "stringData": {"identity": *text, "recipient": identity.recipient().to_string()},
            }))
            .await;
        world
    }

    fn of(server: &'a ApiServer, client: Client, namespace: String, agent: String, config: ExternalConfig) -> Self {
        Self {
            server,
            client,
            namespace,
            agent,
            config,
            whole_cluster: false,
            running: None,
            registry: Registry::default(),
        }
    }

    /// Starts the controller.
    pub(crate) fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let these = Namespaces::These(vec![self.namespace.clone()]);
        let config = ControllerConfig {
            namespaces: if self.whole_cluster { Namespaces::All } else { these },
            external: Some(self.config.clone()),
            ..ControllerConfig::new(&self.namespace)
        };
        let own = [self.namespace.as_str()];
        let reach = if self.whole_cluster { Reach::Cluster } else { Reach::Namespaces(&own) };
        let client = self.server.client_as(&self.server.controller_token(&self.namespace, reach), &self.agent);
        let stop = CancellationToken::new();
        let token = stop.clone();
        self.registry = Registry::default();
        let controller = bulla::controllers::Controller::new(client, config, &mut self.registry);
        let task = tokio::spawn(async move { controller.run(token).await.unwrap() });
        self.running = Some((stop, task));
    }

    /// Stops the controller in order.
    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.running.take().expect("it runs");
        stop.cancel();
        tokio::time::timeout(SOON, task).await.expect("it stops").unwrap();
    }

    /// The metrics as they would be scraped.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn create<K: Namespaced>(&self, object: Value) -> K {
        objects::create(&self.api(), object).await
    }

    /// Creates a SecretStore of this provider.
    pub(crate) async fn store(&self, name: &str, provider: Value) -> SecretStore {
        self.create(json!({"metadata": {"name": name}, "spec": {"provider": provider}})).await
    }

    /// Creates a store that holds these values itself.
    pub(crate) async fn fake(&self, name: &str, values: &[(&str, &str)]) -> SecretStore {
        self.store(name, fake(values)).await
    }

    /// Changes what a store holds, and waits until the controller has seen it.
    pub(crate) async fn set_fake(&self, name: &str, values: &[(&str, &str)]) {
        let edited = self.patch::<SecretStore>(name, json!({"spec": {"provider": fake(values)}})).await;
        // Stores and objects come by watches of their own: what is forced before the store is seen gets its old values.
        let began = Instant::now();
        loop {
            let store: SecretStore = self.api::<SecretStore>().get(name).await.unwrap();
            if store.status.and_then(|status| status.observed_generation) == edited.metadata.generation {
                return;
            }
            assert!(began.elapsed() < SOON, "the edited store {name} is not checked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Creates an ExternalSecret.
    pub(crate) async fn external(&self, name: &str, spec: Value) -> ExternalSecret {
        self.create(json!({"metadata": {"name": name}, "spec": spec})).await
    }

    /// An ExternalSecret of one key `k` from `store`.
    pub(crate) async fn simple(&self, name: &str, store: &str, key: &str) -> ExternalSecret {
        self.external(name, one_key(store, key)).await
    }

    /// Changes something of an object by a merge patch.
    pub(crate) async fn patch<K: Namespaced>(&self, name: &str, patch: Value) -> K {
        objects::patch(&self.api(), name, patch).await
    }

    /// Asks for a sync the way that everybody does.
    pub(crate) async fn force(&self, name: &str, word: &str) {
        self.patch::<ExternalSecret>(name, json!({"metadata": {"annotations": {"force-sync": word}}})).await;
    }

    pub(crate) async fn delete<K: Namespaced>(&self, name: &str) {
        objects::delete::<K>(&self.api(), name).await;
    }

    pub(crate) async fn secret(&self, name: &str) -> Option<Secret> {
        self.api::<Secret>().get_opt(name).await.unwrap()
    }

    pub(crate) async fn object(&self, name: &str) -> ExternalSecret {
        self.api::<ExternalSecret>().get(name).await.unwrap()
    }

    /// Waits until `Ready` is true for what the object now asks.
    pub(crate) async fn synced(&self, name: &str) -> ExternalSecret {
        self.until(name, "synced", |object| {
            let ready = condition(object, "Ready").is_some_and(|ready| ready.status == true.into());
            ready && is_current(object)
        })
        .await
    }

    /// Waits until it failed, and gives the message.
    pub(crate) async fn failed(&self, name: &str) -> String {
        let wanted = |object: &ExternalSecret| {
            condition(object, "Ready").is_some_and(|ready| ready.status == false.into())
                && object.status.as_ref().unwrap().observed_generation == object.metadata.generation
        };
        let object = self.until(name, "failed", wanted).await;
        let ready = condition(&object, "Ready").unwrap();
        assert_eq!(ready.reason.as_deref(), Some("SecretSyncedError"));
        ready.message.clone().unwrap_or_default()
    }

    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&ExternalSecret) -> bool,
    ) -> ExternalSecret {
        let began = Instant::now();
        loop {
            let object = self.object(name).await;
            if wanted(&object) {
                return object;
            }
            assert!(began.elapsed() < SOON, "{name} is not {what}: {:?}", object.status);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the Secret's data is exactly this.
    pub(crate) async fn until_data(&self, name: &str, data: &[(&str, &str)]) -> Secret {
        let began = Instant::now();
        loop {
            let secret = self.secret(name).await;
            if let Some(secret) = secret.filter(|secret| data_of(secret) == strings(data)) {
                return secret;
            }
            assert!(began.elapsed() < SOON, "the Secret {name} does not become {data:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the store's `Ready` is as said, and gives the message.
    pub(crate) async fn store_is(&self, name: &str, ready: bool) -> String {
        let began = Instant::now();
        loop {
            let store: SecretStore = self.api::<SecretStore>().get(name).await.unwrap();
            let conditions = store.status.map(|status| status.conditions).unwrap_or_default();
            let found = conditions.iter().find(|condition| condition.r#type == "Ready");
            if let Some(found) = found.filter(|found| found.status == ready.into()) {
                return found.message.clone().unwrap_or_default();
            }
            assert!(began.elapsed() < SOON, "the store {name} is not Ready={ready}: {found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The place in the audit log to count from.
    pub(crate) fn mark(&self) -> AuditMark {
        self.server.audit_mark()
    }

    /// What the controller asked of the API server since `mark`, without lists, watches, events and keys.
    pub(crate) async fn calls(&self, mark: AuditMark) -> Vec<String> {
        let of_ours = |entry: &AuditEntry| {
            entry.user_agent == self.agent
                && !matches!(entry.verb.as_str(), "list" | "watch")
                && !matches!(entry.resource.as_str(), "" | "events" | "configmaps")
                && !matches!(entry.name.as_str(), KEY | "sealed-secrets-key")
        };
        let entries = self.server.audit_when_quiet(mark, QUIET, of_ours).await;
        entries.iter().map(|e| format!("{} {}{}", e.verb, e.resource, slash(&e.subresource))).collect()
    }
}

fn slash(subresource: &str) -> String {
    if subresource.is_empty() { String::new() } else { format!("/{subresource}") }
}

/// Whether the last good sync was of the object as it is.
fn is_current(object: &ExternalSecret) -> bool {
    let status = object.status.as_ref().unwrap();
    let generation = format!("{}-", object.metadata.generation.unwrap_or_default());
    status.synced_resource_version.as_deref().is_some_and(|version| version.starts_with(&generation))
}

/// A provider that holds these values itself.
pub(crate) fn fake(values: &[(&str, &str)]) -> Value {
    let data: Vec<_> = values.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"fake": {"data": data}})
}

/// The spec of an ExternalSecret with the data key `k`.
pub(crate) fn one_key(store: &str, key: &str) -> Value {
    json!({"secretStoreRef": {"name": store}, "data": [{"secretKey": "k", "remoteRef": {"key": key}}]})
}

/// The condition of this type.
pub(crate) fn condition<'a>(object: &'a ExternalSecret, kind: &str) -> Option<&'a Condition> {
    object.status.as_ref()?.conditions.iter().find(|condition| condition.r#type == kind)
}

/// The Secret's data as strings.
pub(crate) fn data_of(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), String::from_utf8(value.0.clone()).unwrap())).collect()
}

/// Pairs as a map of owned strings.
pub(crate) fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
