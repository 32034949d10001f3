//! Every state that we publish, made by a real controller, as Argo CD and Flux see it.

use std::time::{Duration, Instant};

use bulla::seal::{Identity, Scope};
use bulla_crds::{ExternalSecret, SealedSecret};
use k8s_openapi::api::core::v1::Secret;
use kube::api::GetParams;
use kube::core::Request;
use serde_json::{Value, json};

use crate::external_world::{World as ExternalWorld, one_key};
use crate::health::{Argo, Flux, argo, flux_with_expressions, kstatus};
use crate::sealed_world::World as SealedWorld;
use crate::support::apiserver::ApiServer;

const SOON: Duration = Duration::from_secs(30);

const SEALED: &str = "bitnami.com/v1alpha1/sealedsecrets";
const EXTERNAL: &str = "external-secrets.io/v1/externalsecrets";
const STORE: &str = "external-secrets.io/v1/secretstores";

/// The object as it is on the server.
async fn get(server: &ApiServer, namespace: &str, kind: &str, name: &str) -> Value {
    let (version, plural) = kind.rsplit_once('/').unwrap();
    let at = format!("/apis/{version}/namespaces/{namespace}/{plural}");
    server.client().request(Request::new(at).get(name, &GetParams::default()).unwrap()).await.unwrap()
}

fn seen(object: &Value) -> (Argo, Flux, Flux) {
    (argo(object), kstatus(object), flux_with_expressions(object))
}

/// Waits until an object is seen so by Argo CD, by plain kstatus and by Flux with our expressions, and stays it.
async fn becomes(server: &ApiServer, namespace: &str, kind: &str, name: &str, wanted: (Argo, Flux, Flux)) {
    let began = Instant::now();
    loop {
        let object = get(server, namespace, kind, name).await;
        if seen(&object) == wanted {
            break;
        }
        assert!(began.elapsed() < SOON, "{name}: {:?}, not {wanted:?}: {:#}", seen(&object), object["status"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let object = get(server, namespace, kind, name).await;
    assert_eq!(seen(&object), wanted, "{name} does not stay it: {:#}", object["status"]);
}

const GOOD: (Argo, Flux, Flux) = (Argo::Healthy, Flux::Current, Flux::Current);
/// Cannot become good by itself.
const FAILED: (Argo, Flux, Flux) = (Argo::Degraded, Flux::Failed, Flux::Failed);
/// May become good by itself: somebody else has to act.
const WAITING: (Argo, Flux, Flux) = (Argo::Degraded, Flux::InProgress, Flux::InProgress);
/// No status yet. Plain kstatus takes it for done, which is why there are expressions.
const NEW: (Argo, Flux, Flux) = (Argo::Progressing, Flux::Current, Flux::InProgress);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_secret_is_seen_as_what_it_is() {
    let mut world = SealedWorld::without_controller().await;
    let (server, namespace) = (world.server, world.namespace.clone());
    let is = |name: &'static str, wanted| becomes(server, &namespace, SEALED, name, wanted);
    world.seal("good", &[("k", "v")]).await;
    is("good", NEW).await;

    let spec = json!({"encryptedData": {"k": "AAAA"}});
    world.create::<SealedSecret>(json!({"metadata": {"name": "corrupt"}, "spec": spec})).await;
    let stranger = Identity::generate_x25519().unwrap();
    let spec = json!({"encryptedData": {"k": world.sealed_to(&stranger, Scope::Strict, "unknown-key", "k", "v")}});
    world.create::<SealedSecret>(json!({"metadata": {"name": "unknown-key"}, "spec": spec})).await;
    let spec = json!({"encryptedData": {"k": world.sealed("elsewhere", "k", "v")}});
    world.create::<SealedSecret>(json!({"metadata": {"name": "wrong-scope"}, "spec": spec})).await;
    world.seal_with("no-template", &[("k", "v")], json!({"data": {"x": "{{ .missing }}"}})).await;
    world.create::<Secret>(json!({"metadata": {"name": "foreign"}, "stringData": {"k": "theirs"}})).await;
    world.seal("foreign", &[("k", "v")]).await;
    world.seal_with("immutable", &[("k", "v")], json!({"immutable": true})).await;
    world.seal("leaving", &[("k", "v")]).await;
    world.patch::<SealedSecret>("leaving", json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    world.start();
    is("good", GOOD).await;
    is("corrupt", FAILED).await;
    is("wrong-scope", FAILED).await;
    is("no-template", FAILED).await;
    is("unknown-key", FAILED).await;
    is("foreign", FAILED).await;
    is("immutable", GOOD).await;
    let spec = world.spec("immutable", &[("k", "new")], json!({"immutable": true}));
    world.patch::<SealedSecret>("immutable", json!({"spec": spec})).await;
    is("immutable", FAILED).await;

    // What failed and heals is seen as good again: by a key that arrives, and by a Secret that goes.
    world.add_key("arrived", &stranger, "active").await;
    is("unknown-key", GOOD).await;
    world.delete::<Secret>("foreign").await;
    is("foreign", GOOD).await;

    // Between an edit and the controller's next word, Flux waits; Argo CD never looks and keeps the word before.
    world.stop().await;
    let spec = world.spec("good", &[("k", "new")], json!({}));
    world.patch::<SealedSecret>("good", json!({"spec": spec})).await;
    is("good", (Argo::Healthy, Flux::InProgress, Flux::InProgress)).await;
    world.start();
    is("good", GOOD).await;

    is("leaving", GOOD).await;
    world.delete::<SealedSecret>("leaving").await;
    is("leaving", (Argo::Healthy, Flux::Terminating, Flux::InProgress)).await;
    world.patch::<SealedSecret>("leaving", json!({"metadata": {"finalizers": null}})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_secret_and_its_store_are_seen_as_what_they_are() {
    let mut world = ExternalWorld::without_controller().await;
    let (server, namespace) = (world.server, world.namespace.clone());
    let is = |name: &'static str, wanted| becomes(server, &namespace, EXTERNAL, name, wanted);
    let store_is = |name: &'static str, wanted| becomes(server, &namespace, STORE, name, wanted);
    world.fake("store", &[("a", "1")]).await;
    world.simple("good", "store", "a").await;
    is("good", NEW).await;
    store_is("store", NEW).await;

    world
        .store("unserved", json!({"gitlab": {"auth": {"SecretRef": {"accessToken": {"name": "x", "key": "y"}}}}}))
        .await;
    let vault = json!({"server": "http://127.0.0.1:1", "path": "kv", "version": "v2", "auth": {"tokenSecretRef": {"name": "no", "key": "no"}}});
    world.store("without-token", json!({"vault": vault})).await;
    world.simple("no-such-key", "store", "b").await;
    world.simple("no-such-store", "nowhere", "a").await;
    world.simple("unserved", "unserved", "a").await;
    world.simple("without-token", "without-token", "a").await;
    let mut spec = one_key("store", "a");
    spec["target"] = json!({"template": {"data": {"x": "{{ .missing.deep }}"}}});
    world.external("no-template", spec).await;
    world
        .create::<Secret>(json!({"metadata": {"name": "foreign", "ownerReferences": [{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x", "controller": true,
    }]}, "stringData": {"k": "theirs"}}))
        .await;
    world.simple("foreign", "store", "a").await;
    let mut spec = one_key("store", "a");
    spec["target"] = json!({"immutable": true});
    world.external("immutable", spec).await;
    world.simple("leaving", "store", "a").await;
    world.patch::<ExternalSecret>("leaving", json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    world.start();
    is("good", GOOD).await;
    is("immutable", GOOD).await;
    store_is("store", GOOD).await;
    // What the provider or somebody else may mend is waited for; what only an edit can mend fails at once.
    for name in ["no-such-key", "no-such-store", "without-token"] {
        is(name, WAITING).await;
    }
    for name in ["unserved", "no-template", "foreign"] {
        is(name, FAILED).await;
    }
    store_is("without-token", WAITING).await;
    store_is("unserved", FAILED).await;
    world.set_fake("store", &[("a", "1"), ("b", "2")]).await;
    is("no-such-key", GOOD).await;

    world.stop().await;
    world.patch::<ExternalSecret>("good", json!({"spec": {"refreshInterval": "2h"}})).await;
    is("good", (Argo::Healthy, Flux::InProgress, Flux::InProgress)).await;
    world.start();
    is("good", GOOD).await;

    world.delete::<ExternalSecret>("leaving").await;
    is("leaving", (Argo::Healthy, Flux::Terminating, Flux::InProgress)).await;
    world.patch::<ExternalSecret>("leaving", json!({"metadata": {"finalizers": null}})).await;
}

/// Kinds of the whole cluster: on a server of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_the_whole_cluster_is_seen_as_what_it_is() {
    let server = ApiServer::start();
    let mut world = ExternalWorld::on(&server).await;
    world.whole_cluster = true;
    let at = |plural: &str| format!("/apis/external-secrets.io/v1/{plural}");
    let create = async |plural: &str, object: Value| {
        let body = serde_json::to_vec(&object).unwrap();
        let request = Request::new(at(plural)).create(&kube::api::PostParams::default(), body).unwrap();
        server.client().request::<Value>(request).await.unwrap();
    };
    let is = async |plural: &str, name: &str, wanted: Argo| {
        let began = Instant::now();
        loop {
            let request = Request::new(at(plural)).get(name, &GetParams::default()).unwrap();
            let object: Value = server.client().request(request).await.unwrap();
            if argo(&object) == wanted {
                return;
            }
            assert!(began.elapsed() < SOON, "{name} is not {wanted:?}: {:#}", object["status"]);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let store = json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ClusterSecretStore", "metadata": {"name": "store"},
        "spec": {"provider": {"fake": {"data": [{"key": "a", "value": "1"}]}}},
    });
    create("clustersecretstores", store).await;
    let mut spec = one_key("store", "a");
    spec["secretStoreRef"]["kind"] = json!("ClusterSecretStore");
    let everywhere = |name: &str, label: &str| {
        json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ClusterExternalSecret", "metadata": {"name": name},
            "spec": {"namespaceSelectors": [{"matchLabels": {"team": label}}], "externalSecretSpec": spec},
        })
    };
    create("clusterexternalsecrets", everywhere("good", "a")).await;
    create("clusterexternalsecrets", everywhere("partly", "b")).await;
    is("clusterexternalsecrets", "good", Argo::Progressing).await;
    let (first, second, third) = (server.namespace().await, server.namespace().await, server.namespace().await);
    for (namespace, team) in [(&first, "a"), (&second, "b"), (&third, "b")] {
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(server.client());
        let label = kube::api::Patch::Merge(json!({"metadata": {"labels": {"team": team}}}));
        namespaces.patch(namespace, &kube::api::PatchParams::default(), &label).await.unwrap();
    }
    // Somebody else's object of that name is in the way.
    let theirs: kube::Api<ExternalSecret> = kube::Api::namespaced(server.client(), &third);
    let object = serde_json::from_value(json!({"metadata": {"name": "partly"}, "spec": spec})).unwrap();
    theirs.create(&kube::api::PostParams::default(), &object).await.unwrap();
    world.start();
    is("clustersecretstores", "store", Argo::Healthy).await;
    is("clusterexternalsecrets", "good", Argo::Healthy).await;
    // Argo CD looks for the conditions PartiallyReady and NotReady, which nobody writes, nor does the External Secrets
    // Operator: what failed is still coming, says it. deploy/examples/argocd has a check that says it better.
    let object = until_failed(&server, "partly").await;
    assert_eq!((argo(&object), kstatus(&object)), (Argo::Progressing, Flux::InProgress));
}

/// Waits until a ClusterExternalSecret is not ready.
async fn until_failed(server: &ApiServer, name: &str) -> Value {
    let began = Instant::now();
    loop {
        let at = "/apis/external-secrets.io/v1/clusterexternalsecrets";
        let request = Request::new(at).get(name, &GetParams::default()).unwrap();
        let object: Value = server.client().request(request).await.unwrap();
        if object.pointer("/status/conditions/0/status").is_some_and(|status| status == "False") {
            return object;
        }
        assert!(began.elapsed() < SOON, "{name} does not fail: {:#}", object["status"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
