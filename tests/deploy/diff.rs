//! Apply, let the controller work, get: nothing of what was applied is different, so no application turns OutOfSync.

use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};

use crate::external_world::World as ExternalWorld;
use crate::manifests::text;
use crate::sealed_world::World as SealedWorld;
use crate::support::apiserver::ApiServer;

fn path(namespace: &str, version: &str, plural: &str) -> String {
    format!("/apis/{version}/namespaces/{namespace}/{plural}")
}

/// Applies as Argo CD and Flux do: server-side, by a field manager of their own.
async fn apply(server: &ApiServer, at: &str, object: &Value) -> Value {
    let parameters = PatchParams::apply("argocd-controller").force();
    let request = Request::new(at).patch(text(object, "/metadata/name"), &parameters, &Patch::Apply(object)).unwrap();
    server.client().request(request).await.unwrap()
}

async fn get(server: &ApiServer, at: &str, name: &str) -> Value {
    server.client().request(Request::new(at).get(name, &kube::api::GetParams::default()).unwrap()).await.unwrap()
}

/// The differences between what was applied and what is there, and whether applying it again would change anything.
async fn assert_unchanged(server: &ApiServer, at: &str, applied: &Value) {
    let live = get(server, at, text(applied, "/metadata/name")).await;
    assert!(live.get("status").is_some(), "nobody has worked on it: {live}");
    assert_eq!(live["spec"], applied["spec"]);
    let metadata = |object: &Value, field: &str| object["metadata"].get(field).cloned().unwrap_or(Value::Null);
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        assert_eq!(metadata(&live, field), metadata(applied, field), "{field}");
    }
    for entry in live["metadata"]["managedFields"].as_array().unwrap() {
        let is_ours = entry["manager"] == "bulla";
        assert!(!is_ours || entry["subresource"] == "status", "{entry}");
    }
    let again = apply(server, at, applied).await;
    assert_eq!(again["metadata"]["resourceVersion"], live["metadata"]["resourceVersion"], "applying again changes it");
    assert_eq!(again["metadata"]["generation"], live["metadata"]["generation"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_secret_stays_as_it_was_applied() {
    let mut world = SealedWorld::without_controller().await;
    let at = path(&world.namespace, "bitnami.com/v1alpha1", "sealedsecrets");
    let tracking = json!({"argocd.argoproj.io/tracking-id": "app:bitnami.com/SealedSecret:x/db"});
    let object = |name: &str, annotations: &Value, template: Value| {
        json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/instance": "app"}, "annotations": annotations},
            "spec": world.spec(name, &[("password", "v")], template),
        })
    };
    let mut objects = vec![
        object("plain", &tracking, json!({})),
        object(
            "typed",
            &tracking,
            json!({"type": "Opaque", "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}),
        ),
        object("rendered", &tracking, json!({"data": {"url": "x://{{ .password }}"}, "immutable": true})),
    ];
    let mut broken = object("broken", &tracking, json!({}));
    broken["spec"]["encryptedData"]["password"] = json!("AAAA");
    objects.push(broken);
    for object in &objects {
        apply(world.server, &at, object).await;
    }
    world.start();
    for name in ["plain", "typed", "rendered"] {
        world.synced(name).await;
    }
    world.until_failed("broken").await;
    for object in &objects {
        assert_unchanged(world.server, &at, object).await;
    }
    // And the child is no child of the application's.
    let secret = serde_json::to_value(world.secret("plain").await.unwrap()).unwrap();
    assert!(!secret["metadata"].to_string().contains("argocd") && !secret["metadata"].to_string().contains("instance"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn external_secrets_and_stores_stay_as_they_were_applied() {
    let world = ExternalWorld::new().await;
    let mut applied = Vec::new();
    for version in ["external-secrets.io/v1", "external-secrets.io/v1beta1"] {
        let suffix = version.rsplit('/').next().unwrap();
        let store = json!({
            "apiVersion": version, "kind": "SecretStore", "metadata": {"name": format!("store-{suffix}")},
            "spec": {"provider": {"fake": {"data": [{"key": "a", "value": "1"}]}}},
        });
        let name = format!("object-{suffix}");
        let object = json!({
            "apiVersion": version, "kind": "ExternalSecret",
            "metadata": {"name": name, "annotations": {"argocd.argoproj.io/sync-wave": "1"}},
            "spec": {
                "refreshInterval": "1h", "secretStoreRef": {"name": format!("store-{suffix}")},
                "target": {"template": {"data": {"b": "{{ .a }}"}}},
                "data": [{"secretKey": "a", "remoteRef": {"key": "a"}}],
                "dataFrom": [{"extract": {"key": "a"}, "rewrite": [{"regexp": {"source": "x", "target": "y"}}]}],
            },
        });
        // The second is only there to be accepted: an extract of a value that is no map fails.
        let mut plain = object.clone();
        plain["metadata"]["name"] = json!(format!("plain-{suffix}"));
        plain["spec"].as_object_mut().unwrap().remove("dataFrom");
        let place = |plural: &str| path(&world.namespace, version, plural);
        applied.extend([
            (place("secretstores"), store),
            (place("externalsecrets"), object),
            (place("externalsecrets"), plain),
        ]);
    }
    for (at, object) in &applied {
        apply(world.server, at, object).await;
    }
    for suffix in ["v1", "v1beta1"] {
        world.synced(&format!("plain-{suffix}")).await;
        world.failed(&format!("object-{suffix}")).await;
        world.store_is(&format!("store-{suffix}"), true).await;
    }
    for (at, object) in &applied {
        assert_unchanged(world.server, at, object).await;
    }
}
