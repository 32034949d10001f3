//! A namespace of its own, controllers in this process that serve only that, and a clock that the test turns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bulla::controllers::{Clock, Controller, ControllerConfig, KeyConfig, Namespaces, Rotation};
use bulla::seal::{Binding, Identity, KeyId, Keyring, Place, Recipient, Scope, seal};
use bulla::secret::Plaintext;
use bulla_crds::{Condition, SealedSecret};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::apiserver::ApiServer;
use crate::support::objects::{self, Namespaced};
use crate::support::rights::Reach;

/// Longer than any wait that is right.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// How long nothing must happen before nothing is said to happen: several looks at the clock.
pub(crate) const QUIET: Duration = Duration::from_millis(800);
/// How often the controllers here look at the clock.
const RECHECK: Duration = Duration::from_millis(100);

/// The label of our keys.
pub(crate) const LABEL: &str = "bulla.dev/sealing-key";
/// The label of upstream's keys.
pub(crate) const UPSTREAM_LABEL: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";

/// A running controller.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    rotation: Rotation,
    registry: Registry,
    /// What is handed out to those who open values.
    pub(crate) keyring: Receiver<Option<Arc<Keyring>>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("it stops").unwrap();
    }

    /// What SIGUSR1 does.
    pub(crate) fn rotate(&self) {
        self.rotation.request();
    }

    /// The metrics in the text format.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) server: &'static ApiServer,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    offset: Arc<AtomicI64>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(ApiServer::shared()).await
    }

    pub(crate) async fn on(server: &'static ApiServer) -> Self {
        crate::support::logs::capture();
        server.install_crd(&bulla_crds::sealed_secret_crd()).await;
        let namespace = server.namespace().await;
        Self { server, client: server.client(), namespace, offset: Arc::default() }
    }

    /// Turns the clock of the controllers to now plus this many days.
    pub(crate) fn turn_clock_to(&self, days: i64) {
        self.offset.store(days * 86_400, Ordering::Relaxed);
    }

    /// What the controllers' clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.offset.load(Ordering::Relaxed))
    }

    /// Settings with the clock of this world, which is looked at often, and small RSA keys.
    pub(crate) fn config(&self) -> KeyConfig {
        let offset = Arc::clone(&self.offset);
        let now = move || Timestamp::now() + SignedDuration::from_secs(offset.load(Ordering::Relaxed));
        let mut config = KeyConfig::default();
        config.clock = Clock::new(now);
        config.recheck = RECHECK;
        config.pause = Duration::ZERO;
        config.report = RECHECK;
        config.rsa_bits = bulla::seal::RsaBits::Bits2048;
        config
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(self.config())
    }

    pub(crate) fn start_with(&self, keys: KeyConfig) -> Running {
        let token = self.server.controller_token(&self.namespace, Reach::Namespaces(&[&self.namespace]));
        self.start_as(&token, keys)
    }

    /// A controller with the rights of this token.
    pub(crate) fn start_as(&self, token: &str, keys: KeyConfig) -> Running {
        let mut config = ControllerConfig::new(&self.namespace);
        config.namespaces = Namespaces::These(vec![self.namespace.clone()]);
        config.external = None;
        config.keys = keys;
        let client = self.server.client_as(token, &format!("bulla-controller/{}", self.namespace));
        let (stop, mut registry) = (CancellationToken::new(), Registry::default());
        let controller = Controller::new(client, config, &mut registry);
        let (token, rotation) = (stop.clone(), controller.rotation());
        let keyring = controller.keyring();
        let task = tokio::spawn(async move { controller.run(token).await.unwrap() });
        Running { stop, task, rotation, registry, keyring }
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

    /// Changes something of an object by a merge patch.
    pub(crate) async fn patch<K: Namespaced>(&self, name: &str, patch: Value) -> K {
        objects::patch(&self.api(), name, patch).await
    }

    pub(crate) async fn label(&self, name: &str, label: &str, state: &str) {
        self.patch::<Secret>(name, json!({"metadata": {"labels": {label: state}}})).await;
    }

    pub(crate) async fn delete<K: Namespaced>(&self, name: &str) {
        objects::delete::<K>(&self.api(), name).await;
    }

    /// Adds a native key that somebody brought.
    pub(crate) async fn bring(&self, name: &str, identity: &Identity, state: &str) {
        let text = identity.to_text().unwrap();
        self.create::<Secret>(json!({
            "metadata": {"name": name, "labels": {LABEL: state}},
            "stringData": {"identity": *text, "recipient": identity.recipient().to_string()},
        }))
        .await;
    }

    /// The key Secrets with this label, by name.
    pub(crate) async fn secrets(&self, label: &str) -> Vec<Secret> {
        let mut list = self.api::<Secret>().list(&ListParams::default().labels(label)).await.unwrap().items;
        list.sort_by_key(Secret::name_any);
        list
    }

    /// Names and states of the key Secrets with this label.
    pub(crate) async fn states(&self, label: &str) -> BTreeMap<String, String> {
        let state = |secret: &Secret| (secret.name_any(), secret.labels()[label].clone());
        self.secrets(label).await.iter().map(state).collect()
    }

    /// Waits until the states of the keys with this label are these, and stay so.
    pub(crate) async fn until_states(&self, label: &str, wanted: &[(&str, &str)]) {
        let wanted: BTreeMap<_, _> = wanted.iter().map(|(name, state)| (name.to_string(), state.to_string())).collect();
        let began = Instant::now();
        while self.states(label).await != wanted {
            let states = self.states(label).await;
            assert!(began.elapsed() < SOON, "the keys are {states:?}, not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        tokio::time::sleep(QUIET).await;
        assert_eq!(self.states(label).await, wanted, "they do not stay so");
    }

    /// The published keys once they satisfy `wanted`.
    pub(crate) async fn published(&self, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let map = self.map().await;
            let text = map.and_then(|map| map.data?.remove("keys.json"));
            let keys = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
            let keys = keys.and_then(|keys| keys["keys"].as_array().cloned()).unwrap_or_default();
            if wanted(&keys) {
                return keys;
            }
            assert!(began.elapsed() < SOON, "the published keys do not become what is wanted: {keys:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn map(&self) -> Option<ConfigMap> {
        self.api::<ConfigMap>().get_opt("bulla-sealing-keys").await.unwrap()
    }

    /// The native key to seal to, as a user of the published list finds it.
    pub(crate) async fn recipient(&self) -> Recipient {
        let keys = self.published(|keys| newest(keys).is_some()).await;
        newest(&keys).unwrap()["recipient"].as_str().unwrap().parse().unwrap()
    }

    /// Creates a SealedSecret of one value sealed to this recipient.
    pub(crate) async fn seal_to(&self, recipient: &Recipient, name: &str, value: &str) {
        let sealed = self.sealed(recipient, name, value);
        let object = json!({"metadata": {"name": name}, "spec": {"encryptedData": {"a": sealed}}});
        self.create::<SealedSecret>(object).await;
    }

    pub(crate) fn sealed(&self, recipient: &Recipient, name: &str, value: &str) -> String {
        let place = Place { namespace: &self.namespace, name, key: "a" };
        let binding = Binding::new(Scope::Strict, place, "2026-11-21".parse().unwrap());
        seal(std::slice::from_ref(recipient), &Plaintext::copy_of(value.as_bytes()), &binding).unwrap()
    }

    /// Waits until the Secret of this name holds this value under `a`.
    pub(crate) async fn until_value(&self, name: &str, value: &str) {
        let began = Instant::now();
        loop {
            let secret = self.api::<Secret>().get_opt(name).await.unwrap();
            let data = secret.and_then(|secret| secret.data?.remove("a"));
            if data.is_some_and(|data| data.0 == value.as_bytes()) {
                return;
            }
            if began.elapsed() > SOON {
                let object = self.api::<SealedSecret>().get_opt(name).await.unwrap();
                panic!("{name} does not open: {:?}", object.and_then(|object| object.status));
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until the SealedSecret failed for this reason, and gives the message.
    pub(crate) async fn until_failed(&self, name: &str, reason: &str) -> String {
        let began = Instant::now();
        loop {
            let object = self.api::<SealedSecret>().get(name).await.unwrap();
            let synced = condition(&object, "Synced");
            if synced.is_some_and(|synced| synced.status == false.into() && synced.reason.as_deref() == Some(reason)) {
                return synced.unwrap().message.clone().unwrap_or_default();
            }
            assert!(began.elapsed() < SOON, "{name} did not fail with {reason}: {:?}", object.status);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

/// The newest active native key of a published list.
pub(crate) fn newest(keys: &[Value]) -> Option<&Value> {
    keys.iter().rev().find(|key| key["state"] == "active" && key["type"] != "rsa")
}

/// The id of a published key.
pub(crate) fn id(key: &Value) -> KeyId {
    key["id"].as_str().unwrap().parse().unwrap()
}

/// The condition of this type.
pub(crate) fn condition<'a>(object: &'a SealedSecret, kind: &str) -> Option<&'a Condition> {
    object.status.as_ref()?.conditions.iter().find(|condition| condition.r#type == kind)
}
