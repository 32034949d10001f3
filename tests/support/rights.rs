//! The rights of the controller under test: those that `deploy/kustomize` gives it, and no others.
//!
//! The manifests are read as they are. What they leave open, the namespace, is filled in as `kubectl apply -k` does, and
//! names of the whole cluster get the namespace as a suffix, so that tests side by side do not share them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};

use super::apiserver::ApiServer;

/// The name of the controller's service account.
pub(crate) const ACCOUNT: &str = "bulla-controller";

/// In the controller's own namespace.
const OWN: &str = include_str!("../../deploy/kustomize/base/rbac-own.yaml");
/// In the whole cluster.
const CLUSTER: [&str; 3] = [
    include_str!("../../deploy/kustomize/base/rbac-cluster.yaml"),
    include_str!("../../deploy/kustomize/base/rbac-cluster-external.yaml"),
    include_str!("../../deploy/kustomize/components/store-tokens/rbac.yaml"),
];
/// In each namespace that is served, where that is not the whole cluster.
const SERVED: [&str; 2] = [
    include_str!("../../deploy/kustomize/served-namespace/rbac.yaml"),
    include_str!("../../deploy/kustomize/components/namespaced-store-tokens/rbac.yaml"),
];

/// What the controller serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reach<'a> {
    /// The whole cluster.
    Cluster,
    /// These namespaces.
    Namespaces(&'a [&'a str]),
}

impl ApiServer {
    /// A token of the controller's service account in `namespace`, with the rights that a deployment there gives it.
    /// For synchronous callers, inside of a runtime or not; the second call of the same kind asks nothing of the server.
    pub(crate) fn controller_token(&self, namespace: &str, reach: Reach<'_>) -> String {
        type Tokens = HashMap<(u16, String, String), String>;
        static TOKENS: Mutex<Option<Tokens>> = Mutex::new(None);
        let key = (self.port(), namespace.to_owned(), format!("{reach:?}"));
        let known = |tokens: &Option<Tokens>| tokens.as_ref().and_then(|tokens| tokens.get(&key).cloned());
        if let Some(token) = known(&TOKENS.lock().unwrap_or_else(PoisonError::into_inner)) {
            return token;
        }
        let token = thread::scope(|scope| {
            let grant = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(self.grant(namespace, ACCOUNT, reach))
            };
            scope.spawn(grant).join().expect("granting the controller's rights")
        });
        let mut tokens = TOKENS.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get_or_insert_default().insert(key, token.clone());
        token
    }

    /// A token of `account` in `namespace`, with the rights that a deployment there gives the controller.
    pub(crate) async fn grant(&self, namespace: &str, account: &str, reach: Reach<'_>) -> String {
        let token = self.service_account(namespace, account).await;
        let to = |at: &str, manifests: &[&str]| placed(manifests, at, namespace, account);
        let mut objects = to(namespace, &[OWN]);
        match reach {
            Reach::Cluster => objects.extend(to(namespace, &CLUSTER)),
            Reach::Namespaces(served) => served.iter().for_each(|at| objects.extend(to(at, &SERVED))),
        }
        for object in &objects {
            self.apply_object(object).await;
        }
        // The authorizer hears of roles by watches of its own: one right of each binding is waited for.
        for (role, at) in objects.iter().filter_map(first_right) {
            self.until_allowed(namespace, account, &role, at.as_deref()).await;
        }
        token
    }

    /// Server-side apply of an object of RBAC.
    async fn apply_object(&self, object: &Value) {
        let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
        let group = "/apis/rbac.authorization.k8s.io/v1";
        let path = match object.pointer("/metadata/namespace").and_then(Value::as_str) {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{}s", kind.to_lowercase()),
            None => format!("{group}/{}s", kind.to_lowercase()),
        };
        let parameters = PatchParams::apply("bulla-test").force();
        let request = Request::new(path).patch(name, &parameters, &Patch::Apply(object)).expect("a request");
        let done = self.client().request::<Value>(request).await;
        done.unwrap_or_else(|error| panic!("cannot set up {kind} {name}: {error}"));
    }

    async fn until_allowed(&self, namespace: &str, account: &str, rule: &Value, at: Option<&str>) {
        let (resource, subresource) = split(text(rule, "/resources/0"));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{namespace}:{account}"),
                "resourceAttributes": {
                    "namespace": at,
                    "verb": text(rule, "/verbs/0"),
                    "group": text(rule, "/apiGroups/0"),
                    "resource": resource,
                    "subresource": subresource,
                    "name": rule.pointer("/resourceNames/0"),
                },
            },
        });
        let body = serde_json::to_vec(&review).expect("a review as JSON");
        let (client, began) = (self.client(), Instant::now());
        loop {
            let request = Request::new("/apis/authorization.k8s.io/v1/subjectaccessreviews");
            let request = request.create(&PostParams::default(), body.clone()).expect("a request");
            let answer: Value = client.request(request).await.expect("an access review");
            if answer.pointer("/status/allowed") == Some(&Value::Bool(true)) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "the controller never got the right {rule}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The objects of these manifests in `namespace`, bound to the service account `account` of `home`. Their names get those
/// of the account, so that several accounts have bindings of their own.
fn placed(manifests: &[&str], namespace: &str, home: &str, account: &str) -> Vec<Value> {
    let documents = manifests.iter().flat_map(|text| text.split("\n---\n"));
    let objects = documents.map(|document| {
        let mut object: Value = serde_saphyr::from_str(document).expect("a manifest in YAML");
        let suffix = if text(&object, "/kind").starts_with("Cluster") {
            format!("-{home}-{account}")
        } else {
            format!("-{account}")
        };
        if !text(&object, "/kind").starts_with("Cluster") {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object["metadata"]["name"] = json!(format!("{}{suffix}", text(&object, "/metadata/name")));
        if object.get("roleRef").is_some() {
            object["roleRef"]["name"] = json!(format!("{}{suffix}", text(&object, "/roleRef/name")));
        }
        for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
            subject["namespace"] = json!(home);
            subject["name"] = json!(account);
        }
        object
    });
    objects.collect()
}

/// The first rule of a role, which no other role here has, and where it counts.
fn first_right(object: &Value) -> Option<(Value, Option<String>)> {
    let rule = object.pointer("/rules/0")?.clone();
    Some((rule, object.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned)))
}

fn split(resource: &str) -> (&str, &str) {
    resource.split_once('/').unwrap_or((resource, ""))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {object}"))
}
