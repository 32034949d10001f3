//! A Secret that somebody edits or deletes by hand is put back.

use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::world::{World, data_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edited_data_is_put_back() {
    let world = World::new().await;
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    let data = json!({"stringData": {"a": "forged", "b": "added"}});
    let edited: Secret = world.patch("db", data).await;
    assert_eq!(data_of(&edited)["a"], "forged");
    world.until_data("db", &[("a", "1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_secret_comes_back() {
    let world = World::new().await;
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    world.delete::<Secret>("db").await;
    world.until_data("db", &[("a", "1")]).await;
    // And again: the first repair is not the last.
    world.calls(world.mark()).await;
    let mark = world.mark();
    world.delete::<Secret>("db").await;
    world.until_data("db", &[("a", "1")]).await;
    let calls = world.calls(mark).await;
    assert_eq!(calls, ["get sealedsecrets", "create secrets", "patch sealedsecrets/status"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_goes_for_good_with_its_sealed_secret() {
    let world = World::new().await;
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    world.delete::<SealedSecret>("db").await;
    // There is no garbage collector here: its part is ours.
    world.calls(world.mark()).await;
    let mark = world.mark();
    world.delete::<Secret>("db").await;
    assert!(world.calls(mark).await.is_empty());
    assert!(world.secret("db").await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_metadata_is_left_alone_and_ours_is_put_back() {
    let world = World::new().await;
    world.seal_with("db", &[("a", "1")], json!({"metadata": {"labels": {"ours": "1"}}})).await;
    world.synced("db").await;
    world.calls(world.mark()).await;
    let mark = world.mark();
    let metadata = json!({"metadata": {"labels": {"theirs": "x"}, "annotations": {"note": "y"}}});
    world.patch::<Secret>("db", metadata).await;
    // Looked at once without opening anything, and remembered; the Secret is not written.
    let calls = world.calls(mark).await;
    assert_eq!(calls, ["get sealedsecrets", "get secrets", "patch sealedsecrets/status"]);

    world.patch::<Secret>("db", json!({"metadata": {"labels": {"ours": null}, "ownerReferences": null}})).await;
    let secret = world
        .until_secret("db", |secret| secret.metadata.labels.iter().flatten().any(|(name, _)| name == "ours"))
        .await;
    assert_eq!(secret.metadata.labels.unwrap()["theirs"], "x");
    assert_eq!(secret.metadata.annotations.unwrap()["note"], "y");
    assert_eq!(secret.metadata.owner_references.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_metadata_goes_when_the_template_drops_it() {
    let world = World::new().await;
    let template = json!({"metadata": {"labels": {"old": "1", "kept": "1"}, "annotations": {"old": "1"}}});
    world.seal_with("db", &[("a", "1")], template).await;
    world.synced("db").await;
    world.patch::<Secret>("db", json!({"metadata": {"labels": {"theirs": "x"}}})).await;
    let metadata = json!({"labels": {"old": null}, "annotations": null});
    world.patch::<SealedSecret>("db", json!({"spec": {"template": {"metadata": metadata}}})).await;
    let gone = |secret: &Secret| !secret.metadata.labels.iter().flatten().any(|(name, _)| name == "old");
    let secret = world.until_secret("db", gone).await;
    let labels = secret.metadata.labels.unwrap();
    assert!(labels.contains_key("kept") && labels.contains_key("theirs"), "{labels:?}");
    assert!(secret.metadata.annotations.is_none_or(|all| !all.contains_key("old")));
}
