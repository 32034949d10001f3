//! A Secret that was there before, and one that somebody deletes.

use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::Suite;
use crate::world::uid;

const MANAGED: &str = "sealedsecrets.bitnami.com/managed";
const PATCH: &str = "sealedsecrets.bitnami.com/patch";

/// A Secret of somebody else's with these annotations, and the SealedSecret of its name.
async fn meeting(suite: &Suite<'_>, name: &str, marks: &[&str], data: Value) -> SealedSecret {
    let annotations: serde_json::Map<_, _> = marks.iter().map(|mark| ((*mark).to_owned(), json!("true"))).collect();
    let metadata = json!({"name": name, "annotations": annotations, "labels": {"anything": "theirs"}});
    suite.world.create::<Secret>(json!({"metadata": metadata, "stringData": data})).await;
    suite.create(name, json!({"metadata": {"labels": {"mylabel": "ours"}, "annotations": {"note": "ours"}}})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managed_takes_it_over_with_its_data_and_owner() {
    let suite = Suite::new().await;
    let object = meeting(&suite, "db", &[MANAGED], json!({"foo2": "bar2"})).await;
    let secret = suite.world.until_data("db", &[("foo", "bar")]).await;
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, uid(&object));
    // Upstream wipes the first of these.
    let labels = secret.metadata.labels.unwrap();
    assert_eq!((labels["anything"].as_str(), labels["mylabel"].as_str()), ("theirs", "ours"));
    assert_eq!(secret.metadata.annotations.unwrap()["note"], "ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managed_and_patch_merges_and_becomes_the_owner() {
    let suite = Suite::new().await;
    let object = meeting(&suite, "db", &[MANAGED, PATCH], json!({"foo": "old", "foo2": "bar2"})).await;
    let secret = suite.world.until_data("db", &[("foo", "bar"), ("foo2", "bar2")]).await;
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, uid(&object));
    assert_eq!(secret.metadata.labels.unwrap()["anything"], "theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patch_merges_data_labels_and_annotations_and_owns_nothing() {
    let suite = Suite::new().await;
    meeting(&suite, "db", &[PATCH], json!({"foo2": "bar2"})).await;
    let secret = suite.world.until_data("db", &[("foo", "bar"), ("foo2", "bar2")]).await;
    assert!(secret.metadata.owner_references.is_none());
    let labels = secret.metadata.labels.unwrap();
    assert_eq!((labels["anything"].as_str(), labels["mylabel"].as_str()), ("theirs", "ours"));
    let annotations = secret.metadata.annotations.unwrap();
    assert_eq!((annotations["note"].as_str(), annotations[PATCH].as_str()), ("ours", "true"));
    // A key that the SealedSecret drops stays in it.
    let other = json!({"spec": {"encryptedData": {"foo": null, "foo3": suite.strict("db", "bar3")}}});
    suite.world.patch::<SealedSecret>("db", other).await;
    suite.world.until_data("db", &[("foo", "bar"), ("foo2", "bar2"), ("foo3", "bar3")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patch_fills_an_empty_secret() {
    let suite = Suite::new().await;
    meeting(&suite, "db", &[PATCH], json!({})).await;
    suite.world.until_data("db", &[("foo", "bar")]).await;
    suite.world.synced("db").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_owned_or_managed_is_created_again_and_nothing_else() {
    let suite = Suite::new().await;
    suite.create("owned", json!({})).await;
    meeting(&suite, "managed", &[MANAGED], json!({})).await;
    meeting(&suite, "patched", &[PATCH], json!({})).await;
    for name in ["owned", "managed", "patched"] {
        suite.world.synced(name).await;
    }
    meeting(&suite, "unowned", &[], json!({"theirs": "1"})).await;
    suite.world.failed("unowned", "SecretNotOwned").await;
    for name in ["owned", "managed", "patched"] {
        suite.world.delete::<Secret>(name).await;
    }
    for name in ["owned", "managed"] {
        suite.world.until_data(name, &[("foo", "bar")]).await;
    }
    suite.world.failed("patched", "PatchTargetGone").await;
    assert!(suite.world.secret("patched").await.is_none());
    assert_eq!(crate::world::data_of(&suite.world.secret("unowned").await.unwrap())["theirs"], "1");
    // The one that was in the way goes: that makes room. Upstream has given up by then.
    suite.world.delete::<Secret>("unowned").await;
    suite.world.until_data("unowned", &[("foo", "bar")]).await;
}
