//! What a restart costs, and which changes to an object's metadata count.

use bulla::seal::Scope;
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_over_unchanged_objects_asks_for_nothing_but_lists() {
    let mut world = World::new().await;
    for name in ["a", "b", "c"] {
        world.seal(name, &[("key", "value")]).await;
        world.synced(name).await;
    }
    world.stop().await;
    world.calls(world.mark()).await;
    let mark = world.mark();
    world.start();
    // A new object shows that the controller is at work, and costs what it always costs.
    world.seal("d", &[("key", "value")]).await;
    world.synced("d").await;
    assert_eq!(world.calls(mark).await, ["create secrets", "patch sealedsecrets/status"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_while_the_controller_was_away_is_noticed() {
    let mut world = World::new().await;
    for name in ["edited", "deleted", "labelled", "resealed"] {
        world.seal(name, &[("key", "value")]).await;
        world.synced(name).await;
    }
    world.stop().await;
    world.patch::<Secret>("edited", json!({"stringData": {"key": "forged"}})).await;
    world.delete::<Secret>("deleted").await;
    world.patch::<Secret>("labelled", json!({"metadata": {"labels": {"theirs": "1"}}})).await;
    let sealed = world.sealed("resealed", "key", "new");
    world.patch::<SealedSecret>("resealed", json!({"spec": {"encryptedData": {"key": sealed}}})).await;
    world.calls(world.mark()).await;
    let mark = world.mark();
    world.start();
    world.until_data("edited", &[("key", "value")]).await;
    world.until_data("deleted", &[("key", "value")]).await;
    world.until_data("resealed", &[("key", "new")]).await;
    let calls = world.calls(mark).await;
    let count = |call: &str| calls.iter().filter(|c| *c == call).count();
    // The labelled one is read, not written; each has its status brought up to date.
    assert_eq!((count("update secrets"), count("create secrets")), (2, 1), "{calls:?}");
    assert_eq!((count("get secrets"), count("patch sealedsecrets/status")), (3, 4), "{calls:?}");
    assert_eq!(count("get sealedsecrets"), 0, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_annotation_that_mends_the_scope_counts() {
    let world = World::new().await;
    let sealed = world.sealed_to(&world.identity, Scope::NamespaceWide, "anything", "key", "value");
    let spec = json!({"encryptedData": {"key": sealed}});
    world.create::<SealedSecret>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    let message = world.failed("db", "ScopeDisagrees").await;
    assert!(message.contains("namespace-wide"), "{message}");
    let annotations = json!({"sealedsecrets.bitnami.com/namespace-wide": "true"});
    world.patch::<SealedSecret>("db", json!({"metadata": {"annotations": annotations}})).await;
    world.until_data("db", &[("key", "value")]).await;
    let object = world.synced("db").await;
    assert_eq!(object.status.unwrap().scope.as_deref(), Some("namespace-wide"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fluxs_request_is_acknowledged() {
    let world = World::new().await;
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    let annotations = json!({"reconcile.fluxcd.io/requestedAt": "2026-11-21T00:00:00Z"});
    world.patch::<SealedSecret>("db", json!({"metadata": {"annotations": annotations}})).await;
    let began = std::time::Instant::now();
    loop {
        let status = world.synced("db").await.status.unwrap();
        if status.last_handled_reconcile_at.as_deref() == Some("2026-11-21T00:00:00Z") {
            break;
        }
        assert!(began.elapsed() < crate::world::SOON, "{status:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
