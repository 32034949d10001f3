//! The real API server's word on manifests: a server-side dry run with strict validation.

use std::collections::HashMap;
use std::fs;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::{Value, json};

use crate::manifests::text;
use crate::support::apiserver::ApiServer;
use crate::support::servers;

/// An API server that knows our kinds and those of Prometheus' operator, Argo CD and Flux.
pub(crate) struct Cluster {
    pub(crate) server: &'static ApiServer,
    pub(crate) client: Client,
    kinds: HashMap<GroupVersionKind, (ApiResource, Scope)>,
}

impl Cluster {
    pub(crate) async fn new() -> Self {
        let server = ApiServer::shared();
        for crd in bulla_crds::all() {
            server.install_crd(&crd).await;
        }
        for name in ["servicemonitor", "prometheusrule", "application", "kustomization", "gitrepository"] {
            let crd = fs::read(servers::path(&format!("{name}-crd"))).expect("reading a CRD");
            server.install_crd_yaml(&crd).await;
        }
        Self { server, client: server.client(), kinds: HashMap::new() }
    }

    /// What the API server has against these objects; nothing is what it should be.
    pub(crate) async fn refusals(&mut self, objects: &[Value]) -> Vec<String> {
        let mut refusals = Vec::new();
        for object in objects {
            if let Err(error) = self.dry_run(object).await {
                let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
                refusals.push(format!("{kind} {name}: {error}"));
            }
        }
        refusals
    }

    /// What the object would be.
    pub(crate) async fn dry_run(&mut self, object: &Value) -> Result<DynamicObject, String> {
        let api = self.api(object).await?;
        let parameters = PatchParams {
            dry_run: true,
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply("bulla-test").force()
        };
        let done = api.patch(text(object, "/metadata/name"), &parameters, &Patch::Apply(object)).await;
        done.map_err(|error| error.to_string())
    }

    async fn api(&mut self, object: &Value) -> Result<Api<DynamicObject>, String> {
        let (group, version) = text(object, "/apiVersion").split_once('/').unwrap_or(("", text(object, "/apiVersion")));
        let kind = GroupVersionKind::gvk(group, version, text(object, "/kind"));
        if !self.kinds.contains_key(&kind) {
            let found = pinned_kind(&self.client, &kind).await.map_err(|error| error.to_string())?;
            self.kinds.insert(kind.clone(), (found.0, found.1.scope));
        }
        let (resource, scope) = &self.kinds[&kind];
        let namespace = text(object, "/metadata/namespace");
        Ok(match scope {
            Scope::Cluster => Api::all_with(self.client.clone(), resource),
            Scope::Namespaced => {
                assert!(!namespace.is_empty(), "an object without a namespace: {object}");
                self.server.create_namespace(namespace).await;
                Api::namespaced_with(self.client.clone(), namespace, resource)
            }
        })
    }

    /// Whether the pods of a Deployment are let into a namespace that enforces Pod Security `restricted`.
    pub(crate) async fn admits_pod(&self, deployment: &Value) -> Result<(), String> {
        const RESTRICTED: &str = "test-restricted";
        self.server.create_namespace(RESTRICTED).await;
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
        namespaces.patch(RESTRICTED, &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
        let account = text(deployment, "/spec/template/spec/serviceAccountName");
        self.server.service_account(RESTRICTED, account).await;
        let pod = json!({"metadata": {"name": "pod"}, "spec": deployment.pointer("/spec/template/spec")});
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(self.client.clone(), RESTRICTED);
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        let pod = serde_json::from_value(pod).map_err(|error| error.to_string())?;
        pods.create(&parameters, &pod).await.map(drop).map_err(|error| error.to_string())
    }
}
