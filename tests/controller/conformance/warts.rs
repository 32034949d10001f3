//! What upstream's users complain about, and what happens here instead.

use std::time::Duration;

use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::Suite;
use crate::support::apiserver::ApiServer;
use crate::support::servers;
use crate::world::{QUIET, condition, data_of, holding};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_tried_again_for_as_long_as_it_lasts() {
    let suite = Suite::new().await;
    suite.world.create::<Secret>(json!({"metadata": {"name": "db"}, "stringData": {"theirs": "1"}})).await;
    suite.create("db", json!({})).await;
    suite.world.failed("db", "SecretNotOwned").await;
    let mark = suite.world.mark();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let tries = suite.world.calls(mark).await.iter().filter(|call| *call == "get sealedsecrets").count();
    assert!((2..=8).contains(&tries), "{tries} tries in ten seconds");
    // It says when and why it failed, and that it goes on to.
    let object = suite.world.sealed_secret("db").await;
    let synced = condition(&object, "Synced").unwrap();
    assert!(synced.last_update_time.is_some() && synced.reason.as_deref() == Some("SecretNotOwned"));
    assert_eq!(holding(&object), ["Stalled"]);
    // One event, not one for each try.
    assert_eq!(suite.events("db").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_message_is_always_that_of_the_last_try() {
    let suite = Suite::new().await;
    let foreign = json!({"metadata": {"name": "db"}, "type": "example.com/theirs", "stringData": {"theirs": "1"}});
    suite.world.create::<Secret>(foreign).await;
    suite.create("db", json!({})).await;
    suite.world.failed("db", "SecretNotOwned").await;
    // Another reason at the same generation: it may be taken over now, but has a type that cannot be changed.
    let managed = json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/managed": "true"}}});
    suite.world.patch::<Secret>("db", managed).await;
    let message = suite.world.failed("db", "TypeConflict").await;
    assert!(message.contains("example.com/theirs"), "{message}");
    assert_eq!(suite.world.sealed_secret("db").await.status.unwrap().observed_generation, Some(1));
}

/// Upstream puts the whole object from its cache: somebody else's write in between is a conflict, and the status stays
/// as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_others_write_at_the_same_time_arrives() {
    let suite = Suite::new().await;
    suite.create("db", json!({})).await;
    suite.world.synced("db").await;
    let api = suite.world.api::<SealedSecret>();
    for round in 0..20 {
        let value = suite.strict("db", &round.to_string());
        let patch = json!({"spec": {"encryptedData": {"foo": value}}});
        suite.world.patch::<SealedSecret>("db", patch).await;
        for write in 0..5 {
            let label = json!({"metadata": {"labels": {"others": format!("{round}-{write}")}}});
            api.patch("db", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
        }
        suite.world.until_data("db", &[("foo", &round.to_string())]).await;
        suite.world.synced("db").await;
    }
    let written = suite.world.synced("db").await.status.unwrap().secret.unwrap();
    let live = suite.world.secret("db").await.unwrap();
    assert_eq!(Some(written.resource_version), live.metadata.resource_version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resync_of_what_is_right_writes_nothing() {
    let suite = Suite::new().await;
    suite.create("db", json!({})).await;
    suite.world.synced("db").await;
    suite.event("db", "Unsealed").await;
    suite.world.calls(suite.world.mark()).await;
    // The same spec in other words, a new generation: upstream puts the Secret again, since its type was not said.
    let mark = suite.world.mark();
    suite.world.patch::<SealedSecret>("db", json!({"spec": {"template": {"type": "Opaque"}}})).await;
    suite.world.synced("db").await;
    let calls = suite.world.calls(mark).await;
    assert!(!calls.iter().any(|call| call == "update secrets"), "{calls:?}");
    assert_eq!(calls.iter().filter(|call| *call == "patch sealedsecrets/status").count(), 1, "{calls:?}");
    // Asked to by hand: looked at, acknowledged, not written.
    let mark = suite.world.mark();
    let now = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
    suite.world.patch::<SealedSecret>("db", now).await;
    let calls = suite.world.calls(mark).await;
    assert_eq!(calls, ["get secrets", "patch sealedsecrets/status"]);
    assert_eq!(suite.events("db").await, 1, "what did not change is not told");
}

/// The deletion is not seen as such, only that the Secret is not in the list that follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_the_watch_missed_is_noticed() {
    let server = ApiServer::start();
    let mut suite = Suite::on(&server).await;
    suite.world.start();
    suite.create("secret-goes", json!({})).await;
    suite.create("object-goes", json!({})).await;
    for name in ["secret-goes", "object-goes"] {
        suite.world.synced(name).await;
    }
    // Everything breaks; while the controller waits for its next try, somebody else is faster.
    server.stop();
    tokio::time::sleep(Duration::from_secs(12)).await;
    server.restart();
    suite.world.client = server.client();
    suite.world.delete::<Secret>("secret-goes").await;
    suite.world.delete::<SealedSecret>("object-goes").await;
    suite.world.delete::<Secret>("object-goes").await;
    suite.world.until_data("secret-goes", &[("foo", "bar")]).await;
    suite.world.calls(suite.world.mark()).await;
    assert!(suite.world.secret("object-goes").await.is_none(), "nobody asks for it any more");
    suite.world.stop().await;
}

/// Stored when the definition was laxer, or by an upstream of long ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_the_schema_would_refuse_does_not_stop_the_others() {
    let server = ApiServer::start();
    let mut suite = Suite::on(&server).await;
    // As upstream's first definition was: anything goes.
    let theirs = std::fs::read(servers::path("sealed-secrets-crd")).unwrap();
    let mut lax: Value = serde_saphyr::from_str(std::str::from_utf8(&theirs).unwrap()).unwrap();
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    lax["spec"]["versions"][0]["schema"] = schema;
    server.install_crd_yaml(lax.to_string().as_bytes()).await;
    let odd = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "odd"},
        "spec": {"encryptedData": {"port": 5432, "foo": suite.strict("odd", "bar")}, "template": {"data": 7}},
    });
    let raw = kube::core::Request::new(format!(
        "/apis/bitnami.com/v1alpha1/namespaces/{}/sealedsecrets",
        suite.world.namespace
    ));
    let request = raw.create(&PostParams::default(), odd.to_string().into_bytes()).unwrap();
    let _: Value = suite.world.client.request(request).await.unwrap();
    suite.create("before", json!({})).await;
    suite.world.start();
    suite.world.synced("before").await;
    let message = suite.world.failed("odd", "Malformed").await;
    assert!(message.contains("spec.encryptedData.port") && message.contains("spec.template.data"), "{message}");
    assert!(suite.world.secret("odd").await.is_none(), "half of it is not what was asked for");
    suite.create("after", json!({})).await;
    suite.world.synced("after").await;
    suite.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn immutable_is_set_on_a_secret_that_exists() {
    let suite = Suite::new().await;
    suite.create("db", json!({})).await;
    suite.world.synced("db").await;
    suite.world.patch::<SealedSecret>("db", json!({"spec": {"template": {"immutable": true}}})).await;
    let secret = suite.world.until_secret("db", |secret| secret.immutable == Some(true)).await;
    assert_eq!(data_of(&secret)["foo"], "bar");
    suite.world.synced("db").await;
    // Taken back: Kubernetes does not allow it, and the data is what was asked for.
    suite.world.patch::<SealedSecret>("db", json!({"spec": {"template": {"immutable": null}}})).await;
    suite.world.synced("db").await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(suite.world.secret("db").await.unwrap().immutable, Some(true));
}
