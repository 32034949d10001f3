//! A namespace of its own with a sealing key and a controller in this process that serves only that namespace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bulla::controllers::{ControllerConfig, Namespaces};
use bulla::seal::{Binding, Identity, Place, Scope, seal};
use bulla::secret::Plaintext;
use bulla_crds::{Condition, SealedSecret};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::apiserver::ApiServer;
use crate::support::audit::{AuditEntry, AuditMark};
use crate::support::objects::{self, Namespaced};
use crate::support::rights::Reach;

/// Longer than any wait that is right, shorter than a patience.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// How long nothing must happen before nothing is said to happen.
pub(crate) const QUIET: Duration = Duration::from_millis(700);

/// See the module.
pub(crate) struct World<'a> {
    pub(crate) server: &'a ApiServer,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) identity: Identity,
    pub(crate) agent: String,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl World<'static> {
    /// A world on the shared server, with a key and without a controller.
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
    /// A world on this server, with a key and without a controller.
    pub(crate) async fn on(server: &'a ApiServer) -> Self {
        crate::support::logs::capture();
        server.install_crd(&bulla_crds::sealed_secret_crd()).await;
        let namespace = server.namespace().await;
        let identity = Identity::generate_x25519().unwrap();
        let agent = format!("bulla-controller/{namespace}");
        let world = Self { server, client: server.client(), namespace, identity, agent, running: None };
        world.add_key("key", &world.identity, "active").await;
        world
    }

    /// Starts the controller.
    pub(crate) fn start(&mut self) {
        self.start_with(|_| {});
    }

    /// Starts the controller with other settings than usual.
    pub(crate) fn start_with(&mut self, set: impl FnOnce(&mut ControllerConfig)) {
        let mut config = self.usual();
        set(&mut config);
        let token = match &config.namespaces {
            Namespaces::All => self.server.controller_token(&self.namespace, Reach::Cluster),
            Namespaces::These(names) => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                self.server.controller_token(&self.namespace, Reach::Namespaces(&names))
            }
        };
        self.start_as(&token, config);
    }

    /// The settings of a controller that serves this namespace only.
    pub(crate) fn usual(&self) -> ControllerConfig {
        ControllerConfig {
            namespaces: Namespaces::These(vec![self.namespace.clone()]),
            external: None,
            ..ControllerConfig::new(&self.namespace)
        }
    }

    /// Starts the controller with the rights that this token has.
    pub(crate) fn start_as(&mut self, token: &str, config: ControllerConfig) {
        assert!(self.running.is_none(), "it runs already");
        let client = self.server.client_as(token, &self.agent);
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move { bulla::controllers::run(client, config, token).await.unwrap() });
        self.running = Some((stop, task));
    }

    /// Stops the controller in order.
    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.running.take().expect("it runs");
        stop.cancel();
        tokio::time::timeout(SOON, task).await.expect("it stops").unwrap();
    }

    /// Adds a sealing key.
    pub(crate) async fn add_key(&self, name: &str, identity: &Identity, state: &str) {
        let text = identity.to_text().unwrap();
        self.create::<Secret>(json!({
            "metadata": {"name": name, "labels": {"bulla.dev/sealing-key": state}},
            "stringData": {"identity": *text, "recipient": identity.recipient().to_string()},
        }))
        .await;
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

    /// A value sealed strictly for this place.
    pub(crate) fn sealed(&self, name: &str, key: &str, value: &str) -> String {
        self.sealed_to(&self.identity, Scope::Strict, name, key, value)
    }

    pub(crate) fn sealed_to(&self, identity: &Identity, scope: Scope, name: &str, key: &str, value: &str) -> String {
        let place = Place { namespace: &self.namespace, name, key };
        let binding = Binding::new(scope, place, "2026-11-21".parse().unwrap());
        seal(&[identity.recipient().clone()], &Plaintext::copy_of(value.as_bytes()), &binding).unwrap()
    }

    /// A spec whose values are sealed strictly.
    pub(crate) fn spec(&self, name: &str, values: &[(&str, &str)], template: Value) -> Value {
        let sealed: BTreeMap<_, _> = values.iter().map(|(key, value)| (*key, self.sealed(name, key, value))).collect();
        json!({"encryptedData": sealed, "template": template})
    }

    /// Creates a SealedSecret of these values.
    pub(crate) async fn seal(&self, name: &str, values: &[(&str, &str)]) -> SealedSecret {
        self.seal_with(name, values, json!({})).await
    }

    pub(crate) async fn seal_with(&self, name: &str, values: &[(&str, &str)], template: Value) -> SealedSecret {
        let spec = self.spec(name, values, template);
        self.create(json!({"metadata": {"name": name}, "spec": spec})).await
    }

    /// Changes something of an object by a merge patch.
    pub(crate) async fn patch<K: Namespaced>(&self, name: &str, patch: Value) -> K {
        objects::patch(&self.api(), name, patch).await
    }

    pub(crate) async fn delete<K: Namespaced>(&self, name: &str) {
        objects::delete::<K>(&self.api(), name).await;
    }

    pub(crate) async fn sealed_secret(&self, name: &str) -> SealedSecret {
        self.api::<SealedSecret>().get(name).await.unwrap()
    }

    pub(crate) async fn secret(&self, name: &str) -> Option<Secret> {
        self.api::<Secret>().get_opt(name).await.unwrap()
    }

    /// Waits until the SealedSecret's `Synced` is true for its present generation.
    pub(crate) async fn synced(&self, name: &str) -> SealedSecret {
        self.until_sealed(name, "synced", |object| {
            status_is_current(object) && condition(object, "Synced").is_some_and(|c| c.status == true.into())
        })
        .await
    }

    /// Waits until it failed for this reason, and gives the message.
    pub(crate) async fn failed(&self, name: &str, reason: &str) -> String {
        let wanted = |object: &SealedSecret| {
            let synced = condition(object, "Synced");
            status_is_current(object)
                && synced.is_some_and(|c| c.status == false.into() && c.reason.as_deref() == Some(reason))
        };
        let object = self.until_sealed(name, reason, wanted).await;
        condition(&object, "Synced").unwrap().message.clone().unwrap_or_default()
    }

    /// Waits until it failed, whatever the reason.
    pub(crate) async fn until_failed(&self, name: &str) -> SealedSecret {
        let wanted = |object: &SealedSecret| {
            status_is_current(object) && condition(object, "Synced").is_some_and(|c| c.status == false.into())
        };
        self.until_sealed(name, "failed", wanted).await
    }

    async fn until_sealed(&self, name: &str, what: &str, wanted: impl Fn(&SealedSecret) -> bool) -> SealedSecret {
        let began = Instant::now();
        loop {
            let object = self.sealed_secret(name).await;
            if wanted(&object) {
                return object;
            }
            assert!(began.elapsed() < SOON, "{name} is not {what}: {:?}", object.status);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the Secret is there and `wanted`.
    pub(crate) async fn until_secret(&self, name: &str, wanted: impl Fn(&Secret) -> bool) -> Secret {
        let began = Instant::now();
        loop {
            let secret = self.secret(name).await;
            if let Some(secret) = secret.filter(|secret| wanted(secret)) {
                return secret;
            }
            assert!(began.elapsed() < SOON, "the Secret {name} does not become what is wanted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the Secret's data is exactly this.
    pub(crate) async fn until_data(&self, name: &str, data: &[(&str, &str)]) -> Secret {
        self.until_secret(name, |secret| data_of(secret) == strings(data)).await
    }

    /// The place in the audit log to count from.
    pub(crate) fn mark(&self) -> AuditMark {
        self.server.audit_mark()
    }

    /// What the controller asked of the API server about SealedSecrets and their Secrets since `mark`, without lists,
    /// watches and events.
    pub(crate) async fn calls(&self, mark: AuditMark) -> Vec<String> {
        let of_ours = |entry: &AuditEntry| {
            entry.user_agent == self.agent
                && matches!(entry.resource.as_str(), "secrets" | "sealedsecrets")
                && !matches!(entry.verb.as_str(), "list" | "watch")
                && entry.name != "sealed-secrets-key"
                // The leader's notes on keys, which come in their own time; no target is ever patched.
                && !(entry.verb == "patch" && entry.resource == "secrets")
        };
        let entries = self.server.audit_when_quiet(mark, QUIET, of_ours).await;
        entries.iter().map(|e| format!("{} {}{}", e.verb, e.resource, slash(&e.subresource))).collect()
    }

    /// The events about one object, as `type reason`, once there is one: they come late.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let began = Instant::now();
        loop {
            let mut events = self.api::<Event>().list(&ListParams::default()).await.unwrap().items;
            events.retain(|event| event.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name));
            if !events.is_empty() || began.elapsed() > SOON {
                let word = |word: &Option<String>| word.clone().unwrap_or_default();
                return events.iter().map(|e| format!("{} {}", word(&e.type_), word(&e.reason))).collect();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn slash(subresource: &str) -> String {
    if subresource.is_empty() { String::new() } else { format!("/{subresource}") }
}

fn status_is_current(object: &SealedSecret) -> bool {
    object.status.as_ref().is_some_and(|status| status.observed_generation == object.metadata.generation)
}

/// The condition of this type.
pub(crate) fn condition<'a>(object: &'a SealedSecret, kind: &str) -> Option<&'a Condition> {
    object.status.as_ref()?.conditions.iter().find(|condition| condition.r#type == kind)
}

/// The types of the conditions that are true, in order.
pub(crate) fn holding(object: &SealedSecret) -> Vec<&str> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.filter(|c| c.status == true.into()).map(|c| c.r#type.as_str()).collect()
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

/// The identity of an object.
pub(crate) fn uid(object: &SealedSecret) -> String {
    object.uid().unwrap()
}
