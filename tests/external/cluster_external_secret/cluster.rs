//! A controller for the whole cluster, and what a test asks of it.

use std::sync::OnceLock;
use std::time::Instant;

use bulla_crds::{ClusterExternalSecret, ClusterExternalSecretStatus, ExternalSecret};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::support::apiserver::ApiServer;
use crate::support::audit::{AuditEntry, AuditMark};
use crate::world::{QUIET, SOON, World, one_key};

/// A controller for the whole cluster, and a ClusterExternalSecret to watch.
pub(crate) struct Cluster {
    pub(crate) world: World<'static>,
    /// Its name, and the value of the label `team` that no other test uses.
    pub(crate) name: String,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    pub(crate) async fn new(name: &str) -> Self {
        static SERVER: OnceLock<ApiServer> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let mut world = World::on(SERVER.get_or_init(ApiServer::start)).await;
        world.whole_cluster = true;
        Self { world, name: name.to_owned(), _turn: turn }
    }

    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = ()>,
    {
        Api::all(self.world.client.clone())
    }

    pub(crate) fn children(&self, namespace: &str) -> Api<ExternalSecret> {
        Api::namespaced(self.world.client.clone(), &self.at(namespace))
    }

    /// Names of namespaces are of this test only.
    pub(crate) fn at(&self, namespace: &str) -> String {
        format!("{}-{namespace}", self.name)
    }

    /// Makes a namespace, with the label or without.
    pub(crate) async fn namespace(&self, name: &str, labelled: bool, finalizers: &[&str]) {
        let labels = if labelled { json!({"team": self.name}) } else { json!({}) };
        let metadata = json!({"name": self.at(name), "labels": labels, "finalizers": finalizers});
        create(&self.all::<Namespace>(), json!({"metadata": metadata})).await;
    }

    pub(crate) async fn label(&self, namespace: &str, value: Value) {
        merge(&self.all::<Namespace>(), &self.at(namespace), json!({"metadata": {"labels": {"team": value}}})).await;
    }

    pub(crate) async fn create(&self, mut spec: Value) -> ClusterExternalSecret {
        self.fill(&mut spec);
        create(&self.all(), json!({"metadata": {"name": self.name}, "spec": spec})).await
    }

    pub(crate) fn fill(&self, spec: &mut Value) {
        spec["externalSecretSpec"] = one_key("vault", "a");
        spec["externalSecretSpec"]["secretStoreRef"]["kind"] = json!("ClusterSecretStore");
        if spec.get("namespaceSelectors").is_none() {
            spec["namespaceSelectors"] = json!([{"matchLabels": {"team": self.name}}]);
        }
    }

    pub(crate) async fn patch(&self, patch: Value) {
        merge(&self.all::<ClusterExternalSecret>(), &self.name, patch).await;
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&ClusterExternalSecretStatus) -> bool) {
        let began = Instant::now();
        loop {
            let object = self.all::<ClusterExternalSecret>().get(&self.name).await.unwrap();
            let status = object.status.unwrap_or_default();
            if wanted(&status) {
                return;
            }
            assert!(began.elapsed() < SOON, "not {what}: {status:?}");
            tokio::time::sleep(QUIET / 20).await;
        }
    }

    /// Waits until it is provisioned in just these namespaces and nothing failed.
    pub(crate) async fn is_in(&self, namespaces: &[&str]) {
        let wanted: Vec<_> = namespaces.iter().map(|name| self.at(name)).collect();
        self.until(&format!("in {wanted:?}"), |status| {
            status.provisioned_namespaces == wanted
                && status.failed_namespaces.is_empty()
                && says(status, "Ready", true)
        })
        .await;
    }

    /// Waits until the ExternalSecret is there and as wanted.
    pub(crate) async fn child(
        &self,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&ExternalSecret) -> bool,
    ) -> ExternalSecret {
        let began = Instant::now();
        loop {
            let found = self.children(namespace).get_opt(name).await.unwrap();
            if let Some(found) = found.clone().filter(&wanted) {
                return found;
            }
            assert!(began.elapsed() < SOON, "{namespace}/{name} is not as it should be: {found:?}");
            tokio::time::sleep(QUIET / 20).await;
        }
    }

    pub(crate) async fn until_gone<K>(&self, api: &Api<K>, name: &str)
    where
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let began = Instant::now();
        while api.get_metadata_opt(name).await.unwrap().is_some() {
            assert!(began.elapsed() < SOON, "{name} stays");
            tokio::time::sleep(QUIET / 20).await;
        }
    }

    pub(crate) async fn finalizers(&self, namespace: &str) -> Vec<String> {
        self.all::<Namespace>().get(&self.at(namespace)).await.unwrap().metadata.finalizers.unwrap_or_default()
    }

    pub(crate) async fn finalizers_are(&self, namespace: &str, wanted: &[&str]) {
        let began = Instant::now();
        while self.finalizers(namespace).await != wanted {
            assert!(began.elapsed() < SOON, "{namespace} has {:?}", self.finalizers(namespace).await);
            tokio::time::sleep(QUIET / 20).await;
        }
    }

    /// The calls for ClusterExternalSecrets since `mark`, sorted.
    pub(crate) async fn calls(&self, mark: AuditMark) -> Vec<String> {
        let of_ours = |entry: &AuditEntry| {
            let resource = matches!(entry.resource.as_str(), "clusterexternalsecrets" | "namespaces")
                || (entry.resource == "externalsecrets" && entry.subresource.is_empty());
            entry.user_agent == self.world.agent && resource && !matches!(entry.verb.as_str(), "list" | "watch")
        };
        let entries = self.world.server.audit_when_quiet(mark, QUIET, of_ours).await;
        let word = |entry: &AuditEntry| format!("{} {} {}", entry.verb, entry.resource, entry.subresource);
        let mut calls: Vec<_> = entries.iter().map(|entry| word(entry).trim_end().to_owned()).collect();
        calls.sort();
        calls
    }

    pub(crate) async fn end(mut self) {
        self.world.stop().await;
        let api = self.all::<ClusterExternalSecret>();
        if api.get_opt(&self.name).await.unwrap().is_some() {
            api.delete(&self.name, &DeleteParams::default()).await.unwrap();
        }
    }
}

pub(crate) fn says(status: &ClusterExternalSecretStatus, kind: &str, holds: bool) -> bool {
    status.conditions.iter().any(|condition| condition.r#type == kind && condition.status == holds.into())
}

pub(crate) async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
}

pub(crate) async fn merge<K>(api: &Api<K>, name: &str, patch: Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let parameters = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    api.patch(name, &parameters, &Patch::Merge(patch)).await.unwrap();
}
