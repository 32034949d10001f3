//! A namespace of the shared API server, objects in it with the statuses that a test gives them, and the command line.

use bulla::controllers::{self, ControllerConfig, Namespaces};
use bulla_crds::{ExternalSecret, SealedSecret};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Run};
use crate::support::apiserver::ApiServer;
use crate::support::identities::ADMIN;

pub(crate) struct World {
    pub(crate) api: &'static ApiServer,
    pub(crate) namespace: String,
    pub(crate) bench: Bench,
    /// A kubeconfig file of this world's own: others are written while tests run.
    pub(crate) kubeconfig: String,
}

/// A controller in this process.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), controllers::Error>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let api = ApiServer::shared();
        for crd in bulla_crds::all() {
            api.install_crd(&crd).await;
        }
        let namespace = api.namespace().await;
        let kubeconfig = api.kubeconfig_as(&namespace, ADMIN).display().to_string();
        Self { api, namespace, bench: Bench::new(), kubeconfig }
    }

    pub(crate) fn controller(&self) -> Running {
        let stop = CancellationToken::new();
        let mut config = ControllerConfig::new(&*self.namespace);
        config.namespaces = Namespaces::These(vec![self.namespace.clone()]);
        // How often it looks for a request to make a key.
        config.keys.recheck = std::time::Duration::from_millis(300);
        let task = tokio::spawn(controllers::run(self.api.client(), config, stop.clone()));
        Running { stop, task }
    }

    pub(crate) fn objects<K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.api.client(), &self.namespace)
    }

    fn kind(&self, kind: &str) -> Api<DynamicObject> {
        let resource = match kind {
            "SealedSecret" => ApiResource::erase::<SealedSecret>(&()),
            _ => ApiResource::erase::<ExternalSecret>(&()),
        };
        Api::namespaced_with(self.api.client(), &self.namespace, &resource)
    }

    /// Applies an object and gives its generation.
    pub(crate) async fn apply(&self, kind: &str, name: &str, labels: Value, spec: Value) -> i64 {
        let version = if kind == "SealedSecret" { "bitnami.com/v1alpha1" } else { "external-secrets.io/v1" };
        let object = json!({
            "apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec,
        });
        let parameters = PatchParams::apply("test").force();
        let applied = self.kind(kind).patch(name, &parameters, &Patch::Apply(&object)).await.unwrap();
        applied.metadata.generation.unwrap()
    }

    /// A SealedSecret whose value nobody opens.
    pub(crate) async fn sealed(&self, name: &str) -> i64 {
        self.apply("SealedSecret", name, json!({}), json!({"encryptedData": {"a": "AgBnotsealed"}})).await
    }

    pub(crate) async fn external(&self, name: &str) -> i64 {
        let spec = json!({
            "secretStoreRef": {"name": "store"}, "data": [{"secretKey": "a", "remoteRef": {"key": "db"}}],
        });
        self.apply("ExternalSecret", name, json!({"team": "web"}), spec).await
    }

    /// Writes a status, as a controller does.
    pub(crate) async fn status(&self, kind: &str, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.kind(kind).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The status of an object that is in sync.
    pub(crate) async fn synced(&self, kind: &str, name: &str, generation: i64) {
        let word = if kind == "SealedSecret" { "Synced" } else { "Ready" };
        let status = json!({
            "observedGeneration": generation,
            "conditions": [{"type": word, "status": "True", "reason": "Done", "lastTransitionTime": "2026-01-02T03:04:05Z"}],
        });
        self.status(kind, name, status).await;
    }

    /// The status of a failure.
    pub(crate) async fn failed(&self, kind: &str, name: &str, generation: i64, reason: &str, stalled: bool) {
        let word = if kind == "SealedSecret" { "Synced" } else { "Ready" };
        let second = if stalled { "Stalled" } else { "Reconciling" };
        let time = "2026-01-02T03:04:05Z";
        let status = json!({"observedGeneration": generation, "conditions": [
            {"type": word, "status": "False", "reason": reason, "message": "a: because", "lastTransitionTime": time},
            {"type": second, "status": "True", "reason": reason, "lastTransitionTime": time},
        ]});
        self.status(kind, name, status).await;
    }

    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        self.kind(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn secret(&self, name: &str) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        let parameters = PatchParams::apply("test").force();
        self.objects::<Secret>().patch(name, &parameters, &Patch::Apply(&secret)).await.unwrap();
    }

    /// Runs the program beside this runtime. Nothing that it prints may move a cursor or hold a value.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let arguments = [arguments, &["--kubeconfig", &self.kubeconfig]].concat();
        let run = tokio::task::block_in_place(|| self.bench.run(&arguments));
        assert!(!run.out.contains("canary") && !run.err.contains("canary"), "{}\n{}", run.out, run.err);
        assert!(!run.err.contains('\u{1b}') && !run.out.contains('\u{1b}'), "{:?}\n{:?}", run.out, run.err);
        run
    }

    /// The same, in this world's namespace.
    pub(crate) fn here(&self, arguments: &[&str]) -> Run {
        self.run(&[arguments, &["--namespace", &self.namespace]].concat())
    }

    /// The same, with this world's namespace as the controller's.
    pub(crate) fn keys(&self, arguments: &[&str]) -> Run {
        self.run(&[&["keys"], arguments, &["--controller-namespace", &self.namespace]].concat())
    }
}

pub(crate) fn json_of(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}", run.out))
}
