//! Taking over from the External Secrets Operator without a write to what is right, and the way back.

use bulla_crds::ExternalSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::world::{QUIET, SOON, World, one_key};

/// An object and a Secret as the External Secrets Operator leaves them.
async fn as_eso_leaves_it(world: &World<'_>, name: &str, value: &str) -> ExternalSecret {
    let object: ExternalSecret = world
        .create(json!({
            "metadata": {"name": name, "finalizers": ["externalsecrets.external-secrets.io/externalsecret-cleanup"]},
            "spec": one_key("vault", "a"),
        }))
        .await;
    let values = [("k".to_owned(), bulla::secret::Plaintext::from(value.to_owned()))].into();
    let place = format!("{}/{name}", world.namespace);
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "labels": {
                "reconcile.external-secrets.io/managed": "true",
                "reconcile.external-secrets.io/created-by": bulla::sync::external::hash::text_hash(&place),
            },
            "annotations": {"reconcile.external-secrets.io/data-hash": bulla::sync::external::hash::data_hash(&values)},
            "ownerReferences": [{
                "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": name,
                "uid": object.metadata.uid, "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "stringData": {"k": value},
    }))
    .unwrap();
    let manager = format!("externalsecrets.external-secrets.io/{name}");
    let parameters = PostParams { field_manager: Some(manager), ..PostParams::default() };
    world.api::<Secret>().create(&parameters, &secret).await.unwrap();
    let nothing = std::collections::BTreeMap::new();
    let generation = object.metadata.generation.unwrap();
    let status = json!({"status": {
        "refreshTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "syncedResourceVersion":
            bulla::sync::external::hash::synced_resource_version(generation, &nothing, &nothing),
        "binding": {"name": name},
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        }],
    }});
    let api = world.api::<ExternalSecret>();
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_right_is_taken_over_without_a_write() {
    let mut world = World::without_controller().await;
    world.fake("vault", &[("a", "1")]).await;
    as_eso_leaves_it(&world, "db", "1").await;
    let before = world.secret("db").await.unwrap();
    let mark = world.mark();
    world.start();
    world.store_is("vault", true).await;
    tokio::time::sleep(QUIET).await;
    let mut calls = world.calls(mark).await;
    calls.retain(|call| !call.contains("secretstores"));
    assert_eq!(calls, ["get secrets"], "one look, no provider, no write");

    // The next sync finds it right, too.
    world.force("db", "now").await;
    let reason = |object: &ExternalSecret| object.status.as_ref().unwrap().sync_reason.is_some();
    world.until("db", "synced by us", reason).await;
    let after = world.secret("db").await.unwrap();
    assert_eq!(after.data, before.data);

    // The finalizer that the other controller left does not stand in the way of a deletion.
    world.delete::<ExternalSecret>("db").await;
    let began = std::time::Instant::now();
    while world.api::<ExternalSecret>().get_opt("db").await.unwrap().is_some() {
        assert!(began.elapsed() < SOON, "it is never gone");
        tokio::time::sleep(QUIET / 10).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_edited_meanwhile_is_put_right() {
    let mut world = World::without_controller().await;
    world.fake("vault", &[("a", "1")]).await;
    as_eso_leaves_it(&world, "db", "1").await;
    world.patch::<Secret>("db", json!({"stringData": {"k": "edited"}})).await;
    world.start();
    world.until_data("db", &[("k", "1")]).await;
}
