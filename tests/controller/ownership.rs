//! Whose Secret it is: refused, taken over, merged into, adopted.

use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::world::{World, condition, data_of, holding, strings, uid};

async fn foreign(world: &World<'_>, name: &str, annotations: Value) -> Secret {
    let metadata = json!({"name": name, "annotations": annotations, "labels": {"team": "x"}});
    world.create(json!({"metadata": metadata, "stringData": {"theirs": "1"}})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_secret_is_refused_and_the_object_heals_when_it_goes() {
    let world = World::new().await;
    foreign(&world, "db", json!({})).await;
    world.seal("db", &[("a", "1")]).await;
    let message = world.failed("db", "SecretNotOwned").await;
    assert!(message.contains("sealedsecrets.bitnami.com/managed=true"), "{message}");
    assert_eq!(holding(&world.sealed_secret("db").await), ["Stalled"]);
    assert_eq!(data_of(&world.secret("db").await.unwrap()), strings(&[("theirs", "1")]));
    world.delete::<Secret>("db").await;
    world.until_data("db", &[("a", "1")]).await;
    assert_eq!(holding(&world.synced("db").await), ["Synced", "Ready"]);
    let events = world.events("db").await;
    assert!(events.contains(&"Warning ErrUpdateFailed".to_owned()), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managed_is_taken_over_and_its_foreign_metadata_stays() {
    let world = World::new().await;
    foreign(&world, "db", json!({"sealedsecrets.bitnami.com/managed": "true"})).await;
    let sealed = world.seal("db", &[("a", "1")]).await;
    let secret = world.until_data("db", &[("a", "1")]).await;
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, uid(&sealed));
    assert_eq!(secret.metadata.labels.unwrap()["team"], "x");
    world.synced("db").await;
    // From now on it is put back like any other.
    world.delete::<Secret>("db").await;
    world.until_data("db", &[("a", "1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patch_merges_takes_no_ownership_and_is_not_recreated() {
    let world = World::new().await;
    foreign(&world, "db", json!({"sealedsecrets.bitnami.com/patch": "true"})).await;
    world.seal("db", &[("a", "1")]).await;
    let secret = world.until_data("db", &[("a", "1"), ("theirs", "1")]).await;
    assert!(secret.metadata.owner_references.is_none());
    world.synced("db").await;
    // Our part of it is put back, theirs is theirs.
    world.patch::<Secret>("db", json!({"stringData": {"a": "forged", "theirs": "2"}})).await;
    world.until_data("db", &[("a", "1"), ("theirs", "2")]).await;
    world.calls(world.mark()).await;
    world.delete::<Secret>("db").await;
    let message = world.failed("db", "PatchTargetGone").await;
    assert!(message.contains("sealedsecrets.bitnami.com/patch=true"), "{message}");
    assert!(world.secret("db").await.is_none());
}

/// A restart must not make it wholly ours either, whether it went before or while nobody looked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_target_that_went_is_not_created_after_a_restart() {
    let mut world = World::new().await;
    for name in ["before", "meanwhile"] {
        foreign(&world, name, json!({"sealedsecrets.bitnami.com/patch": "true"})).await;
        world.seal(name, &[("a", "1")]).await;
        world.synced(name).await;
    }
    world.delete::<Secret>("before").await;
    world.failed("before", "PatchTargetGone").await;
    world.stop().await;
    world.delete::<Secret>("meanwhile").await;
    world.start();
    world.failed("meanwhile", "PatchTargetGone").await;
    world.calls(world.mark()).await;
    for name in ["before", "meanwhile"] {
        assert!(world.secret(name).await.is_none(), "{name}");
    }
    // It comes back: merged into again. The other one is asked for anew: then it is ours, as with upstream.
    foreign(&world, "before", json!({"sealedsecrets.bitnami.com/patch": "true"})).await;
    world.until_data("before", &[("a", "1"), ("theirs", "1")]).await;
    world.synced("before").await;
    let sealed = world.sealed("meanwhile", "a", "2");
    world.patch::<SealedSecret>("meanwhile", json!({"spec": {"encryptedData": {"a": sealed}}})).await;
    let secret = world.until_data("meanwhile", &[("a", "2")]).await;
    assert_eq!(secret.metadata.owner_references.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patch_and_managed_merges_and_takes_ownership() {
    let world = World::new().await;
    let both = json!({"sealedsecrets.bitnami.com/patch": "true", "sealedsecrets.bitnami.com/managed": "true"});
    foreign(&world, "db", both).await;
    let sealed = world.seal("db", &[("a", "1")]).await;
    let secret = world.until_data("db", &[("a", "1"), ("theirs", "1")]).await;
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, uid(&sealed));
    world.synced("db").await;
    // It was taken over, so it is put back: with what was sealed, the rest is lost.
    world.delete::<Secret>("db").await;
    world.until_data("db", &[("a", "1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_owner_reference_on_request_and_still_looked_after() {
    let world = World::new().await;
    let annotations = json!({"sealedsecrets.bitnami.com/skip-set-owner-references": "true"});
    world.seal_with("db", &[("a", "1")], json!({"metadata": {"annotations": annotations}})).await;
    world.synced("db").await;
    assert!(world.secret("db").await.unwrap().metadata.owner_references.is_none());
    let sealed = world.sealed("db", "a", "2");
    world.patch::<SealedSecret>("db", json!({"spec": {"encryptedData": {"a": sealed}}})).await;
    world.until_data("db", &[("a", "2")]).await;
    world.synced("db").await;
    world.delete::<Secret>("db").await;
    world.until_data("db", &[("a", "2")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_secret_that_is_deleted_and_recreated_keeps_its_secret() {
    let world = World::new().await;
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    let before = world.secret("db").await.unwrap();
    world.delete::<SealedSecret>("db").await;
    let again = world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    let after = world.secret("db").await.unwrap();
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.metadata.owner_references.unwrap()[0].uid, uid(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_immutable_target_is_refused_until_it_is_deleted() {
    let world = World::new().await;
    world.seal_with("db", &[("a", "1")], json!({"immutable": true})).await;
    world.synced("db").await;
    assert_eq!(world.secret("db").await.unwrap().immutable, Some(true));
    let sealed = world.sealed("db", "a", "2");
    world.patch::<SealedSecret>("db", json!({"spec": {"encryptedData": {"a": sealed}}})).await;
    let message = world.failed("db", "ImmutableTarget").await;
    assert!(message.contains("the target Secret is immutable"), "{message}");
    assert_eq!(data_of(&world.secret("db").await.unwrap()), strings(&[("a", "1")]));
    world.delete::<Secret>("db").await;
    world.until_data("db", &[("a", "2")]).await;
    world.synced("db").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_type_is_refused_with_the_way_out() {
    let world = World::new().await;
    world.seal("db", &[("username", "u"), ("password", "p")]).await;
    world.synced("db").await;
    let template = json!({"template": {"type": "kubernetes.io/basic-auth"}});
    world.patch::<SealedSecret>("db", json!({"spec": template})).await;
    let message = world.failed("db", "TypeConflict").await;
    assert!(message.contains("Opaque") && message.contains("delete it"), "{message}");
    assert!(condition(&world.sealed_secret("db").await, "Stalled").is_some());
    world.delete::<Secret>("db").await;
    let secret = world.until_data("db", &[("username", "u"), ("password", "p")]).await;
    assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/basic-auth"));
}
