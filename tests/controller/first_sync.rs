//! From nothing to a Secret, and what it costs.

use crate::world::{World, condition, data_of, holding, strings, uid};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_secret_becomes_a_secret_in_two_writes_and_no_read() {
    let world = World::new().await;
    world.seal("warm-up", &[("a", "1")]).await;
    world.synced("warm-up").await;
    world.calls(world.mark()).await;

    let mark = world.mark();
    let sealed = world.seal("db", &[("password", "hunter2"), ("user", "app")]).await;
    let object = world.synced("db").await;
    assert_eq!(world.calls(mark).await, ["create secrets", "patch sealedsecrets/status"]);

    let secret = world.secret("db").await.unwrap();
    assert_eq!(data_of(&secret), strings(&[("password", "hunter2"), ("user", "app")]));
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    let owner = &secret.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), &owner.uid), ("SealedSecret", "db", &uid(&sealed)));
    assert_eq!((owner.api_version.as_str(), owner.controller), ("bitnami.com/v1alpha1", Some(true)));
    assert_eq!(secret.metadata.labels.unwrap()["bulla.dev/managed-by"], "sealed-secret");

    assert_eq!(holding(&object), ["Synced", "Ready"]);
    assert_eq!(condition(&object, "Synced").unwrap().observed_generation, Some(1));
    let status = object.status.unwrap();
    assert_eq!(status.scope.as_deref(), Some("strict"));
    let id = world.identity.key_id().to_string();
    assert_eq!((&status.key_ids, status.key_values), (&vec![id.clone()], [(id, 2)].into()));
    let written = status.secret.unwrap();
    assert_eq!(Some(written.resource_version), secret.metadata.resource_version);
    assert!(written.digest.starts_with(&world.identity.key_id().to_string()));
    assert_eq!(world.events("db").await, ["Normal Unsealed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_followed() {
    let world = World::new().await;
    world.seal("db", &[("a", "1"), ("b", "2")]).await;
    world.synced("db").await;
    let sealed = world.sealed("db", "a", "3");
    let mark = world.mark();
    let patch = json!({"spec": {"encryptedData": {"a": sealed, "b": null}}});
    world.patch::<bulla_crds::SealedSecret>("db", patch).await;
    world.until_data("db", &[("a", "3")]).await;
    assert_eq!(world.synced("db").await.status.unwrap().observed_generation, Some(2));
    assert_eq!(world.calls(mark).await, ["get secrets", "update secrets", "patch sealedsecrets/status"]);
}
