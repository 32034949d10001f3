//! Who may use which store, credentials that come late or change, and other clusters' Secrets.

use bulla_crds::{ClusterSecretStore, ExternalSecret};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::support::apiserver::ApiServer;
use crate::world::{QUIET, World, condition, fake, one_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_whose_store_is_another_controllers_is_left_alone() {
    let world = World::new().await;
    world
        .create::<bulla_crds::SecretStore>(json!({
            "metadata": {"name": "theirs"}, "spec": {"controller": "eso", "provider": fake(&[("a", "1")])},
        }))
        .await;
    world.simple("db", "theirs", "a").await;
    tokio::time::sleep(QUIET * 2).await;
    assert!(world.object("db").await.status.is_none());
    world.patch::<bulla_crds::SecretStore>("theirs", json!({"spec": {"controller": "default"}})).await;
    world.until_data("db", &[("k", "1")]).await;
}

/// A condition on namespaces that lack a label.
fn absent(label: &str) -> serde_json::Value {
    json!([{"namespaceSelector": {"matchExpressions": [{"key": label, "operator": "DoesNotExist"}]}}])
}

/// Cluster stores are served by a controller for the whole cluster: on a server of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_stores_admit_by_name_expression_and_label() {
    let server = ApiServer::start();
    let mut world = World::on(&server).await;
    world.whole_cluster = true;
    let api: Api<ClusterSecretStore> = Api::all(world.client.clone());
    let conditions = [
        ("by-name", json!([{"namespaces": [world.namespace]}])),
        ("by-regex", json!([{"namespaceRegexes": ["test-.*"]}])),
        ("by-label", json!([{"namespaceSelector": {"matchLabels": {"team": "a"}}}])),
        ("by-absence", absent("untrusted")),
        ("by-no-absence", absent("kubernetes.io/metadata.name")),
        ("none-fits", json!([{"namespaces": ["elsewhere"]}, {"namespaceRegexes": ["^prod-"]}])),
    ];
    for (name, conditions) in &conditions {
        let store = json!({
            "metadata": {"name": name},
            "spec": {"provider": fake(&[("a", "1")]), "conditions": conditions},
        });
        api.create(&PostParams::default(), &serde_json::from_value(store).unwrap()).await.unwrap();
        let mut spec = one_key(name, "a");
        spec["secretStoreRef"]["kind"] = json!("ClusterSecretStore");
        world.external(name, spec).await;
    }
    world.start();
    world.until_data("by-name", &[("k", "1")]).await;
    world.until_data("by-regex", &[("k", "1")]).await;
    world.until_data("by-absence", &[("k", "1")]).await;
    for name in ["by-label", "by-no-absence", "none-fits"] {
        let message = world.failed(name).await;
        assert!(message.contains("denied by spec.condition"), "{message}");
    }
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.client.clone());
    let label = kube::api::Patch::Merge(json!({"metadata": {"labels": {"team": "a"}}}));
    namespaces.patch(&world.namespace, &kube::api::PatchParams::default(), &label).await.unwrap();
    world.until_data("by-label", &[("k", "1")]).await;

    // Namespaces that come later: what is in them may be seen before they are.
    for (name, labels, message) in [("late", json!({}), ""), ("late-too", json!({"untrusted": "yes"}), "denied by")] {
        let namespace = json!({"metadata": {"name": name, "labels": labels}});
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await.unwrap();
        world.namespace = name.to_owned();
        let mut spec = one_key("by-absence", "a");
        spec["secretStoreRef"]["kind"] = json!("ClusterSecretStore");
        world.external("late", spec).await;
        if message.is_empty() {
            world.until_data("late", &[("k", "1")]).await;
        } else {
            let began = std::time::Instant::now();
            while !world.failed("late").await.contains(message) {
                assert!(began.elapsed() < crate::world::SOON);
                tokio::time::sleep(QUIET).await;
            }
            assert!(world.secret("late").await.is_none());
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kubernetes_store_reads_another_namespace_and_notices_a_token_that_changed() {
    let world = World::new().await;
    let remote = world.server.namespace().await;
    let token = world.server.service_account(&remote, "reader").await;
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]);
    world.server.allow(&remote, "reader", &rules).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &remote);
    let secret = json!({"metadata": {"name": "db"}, "stringData": {"password": "from-there"}});
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();

    world.create::<Secret>(json!({"metadata": {"name": "token"}, "stringData": {"token": "wrong"}})).await;
    let ca = base64_of(&std::fs::read(world.server.ca_file()).unwrap());
    let provider = json!({"kubernetes": {
        "server": {"url": world.server.url(), "caBundle": ca},
        "remoteNamespace": remote,
        "auth": {"token": {"bearerToken": {"name": "token", "key": "token"}}},
    }});
    world.store("remote", provider).await;
    let mut spec = one_key("remote", "db");
    spec["data"][0]["remoteRef"]["property"] = json!("password");
    world.external("db", spec).await;
    let message = world.store_is("remote", false).await;
    assert!(!message.contains("wrong"), "{message}");
    let message = world.failed("db").await;
    assert!(message.contains("\"remote\" is not ready"), "{message}");
    world.patch::<Secret>("token", json!({"stringData": {"token": token}})).await;
    world.until_data("db", &[("k", "from-there")]).await;
    let object = world.synced("db").await;
    assert!(condition(&object, "Stalled").is_none());
    let _: ExternalSecret = object;
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
