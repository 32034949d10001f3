//! What tests put on the API server before they begin: namespaces, CRDs, accounts and rights.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::apiserver::ApiServer;

/// What lives in a namespace and can be written and read.
pub(crate) trait Namespaced:
    kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
    + Serialize
{
}

impl<K> Namespaced for K where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize
{
}

/// Makes an object of what JSON says.
pub(crate) async fn create<K: Namespaced>(api: &Api<K>, object: Value) -> K {
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap()
}

/// Changes something of an object by a merge patch, as somebody who is not the controller.
pub(crate) async fn patch<K: Namespaced>(api: &Api<K>, name: &str, patch: Value) -> K {
    let parameters = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    api.patch(name, &parameters, &Patch::Merge(patch)).await.unwrap()
}

/// Deletes an object.
pub(crate) async fn delete<K: Namespaced>(api: &Api<K>, name: &str) {
    api.delete(name, &DeleteParams::default()).await.unwrap();
}

impl ApiServer {
    /// A fresh namespace that no other test knows; nobody deletes it but the end of the server.
    pub(crate) async fn namespace(&self) -> String {
        let name = format!("test-{:016x}", RandomState::new().hash_one("namespace"));
        self.create_namespace(&name).await;
        name
    }

    /// Makes a namespace of this name unless it is there.
    pub(crate) async fn create_namespace(&self, name: &str) {
        let api: Api<Namespace> = Api::all(self.client());
        apply(&api, name, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
    }

    /// Makes the service account unless it is there and mints a token for it, valid for an hour.
    /// It may do nothing until it is given a role.
    pub(crate) async fn service_account(&self, namespace: &str, name: &str) -> String {
        let api: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        apply(&api, name, &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})).await;
        let request = TokenRequest {
            spec: Some(TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() }),
            ..TokenRequest::default()
        };
        let answer = api.create_token_request(name, &PostParams::default(), &request).await;
        answer.expect("minting a token").status.and_then(|status| status.token).expect("a minted token")
    }

    /// Gives a service account the rules (the list under `rules:` of a ClusterRole) in the whole cluster.
    pub(crate) async fn allow(&self, namespace: &str, service_account: &str, rules: &Value) {
        let name = format!("{namespace}-{service_account}");
        let api: Api<ClusterRole> = Api::all(self.client());
        let kind = "ClusterRole";
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "rules": rules,
        });
        apply(&api, &name, &role).await;
        self.bind(namespace, service_account, &name).await;
    }

    /// Binds a service account to a ClusterRole, such as `cluster-admin`, in the whole cluster.
    pub(crate) async fn bind(&self, namespace: &str, service_account: &str, cluster_role: &str) {
        let name = format!("{namespace}-{service_account}-{cluster_role}");
        let api: Api<ClusterRoleBinding> = Api::all(self.client());
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": service_account}],
        });
        apply(&api, &name, &binding).await;
    }

    /// Installs or changes a CRD and waits until its objects can be listed.
    pub(crate) async fn install_crd(&self, crd: &CustomResourceDefinition) {
        self.install_crd_yaml(&serde_json::to_vec(crd).expect("a CRD as JSON")).await;
    }

    /// The same from a file's bytes, which hold one CRD.
    pub(crate) async fn install_crd_yaml(&self, yaml: &[u8]) {
        let client = self.client();
        // The server reads YAML itself; server-side apply takes the name from the path, so it is found here.
        let name = crd_name(yaml);
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let empty: Patch<Value> = Patch::Apply(json!({}));
        let mut request = Request::new(path).patch(&name, &field_manager(), &empty).expect("a request");
        *request.body_mut() = yaml.to_vec();
        let crd: CustomResourceDefinition = client.request(request).await.expect("installing a CRD");
        for version in crd.spec.versions.iter().filter(|version| version.served) {
            let path = format!("/apis/{}/{}/{}", crd.spec.group, version.name, crd.spec.names.plural);
            let began = Instant::now();
            loop {
                let request = Request::new(&path).list(&ListParams::default().limit(1)).expect("a request");
                match client.request::<Value>(request).await {
                    Ok(_) => break,
                    Err(error) if began.elapsed() > Duration::from_secs(30) => panic!("{name} is not served: {error}"),
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }
    }
}

/// Server-side apply: two tests may set up the same thing at once.
async fn apply<K>(api: &Api<K>, name: &str, object: &Value)
where
    K: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let done = api.patch(name, &field_manager(), &Patch::Apply(object)).await;
    done.unwrap_or_else(|error| panic!("cannot set up {name}: {error}"));
}

fn field_manager() -> PatchParams {
    PatchParams::apply("bulla-test").force()
}

/// `<plural>.<group>`: of JSON by its fields, of YAML by the `name:` right below `metadata:`.
fn crd_name(text: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(text) {
        return value["metadata"]["name"].as_str().expect("a CRD's name").to_owned();
    }
    let text = std::str::from_utf8(text).expect("a CRD in UTF-8");
    let metadata = text.lines().skip_while(|line| line.trim_end() != "metadata:").skip(1);
    metadata
        .take_while(|line| line.starts_with(' '))
        .find_map(|line| line.strip_prefix("  name:"))
        .map(|name| name.trim().trim_matches(['"', '\'']).to_owned())
        .expect("a CRD with metadata.name")
}
