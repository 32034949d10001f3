//! From nothing to a Secret, and what it costs.

use bulla_crds::ExternalSecret;
use kube::api::PostParams;
use serde_json::json;

use crate::world::{QUIET, World, condition, data_of, fake, one_key, strings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_secret_becomes_a_secret_in_two_writes_and_no_read() {
    let world = World::new().await;
    world.fake("vault", &[("db", r#"{"user":"app","password":"hunter2","port":5432}"#)]).await;
    world.simple("warm-up", "vault", "db").await;
    world.synced("warm-up").await;
    world.calls(world.mark()).await;

    let mark = world.mark();
    let spec = json!({
        "secretStoreRef": {"name": "vault"},
        "data": [
            {"secretKey": "password", "remoteRef": {"key": "db", "property": "password"}},
            {"secretKey": "port", "remoteRef": {"key": "db", "property": "port"}},
        ],
    });
    let created = world.external("db", spec).await;
    let object = world.synced("db").await;
    assert_eq!(world.calls(mark).await, ["create secrets", "patch externalsecrets/status"]);

    let secret = world.secret("db").await.unwrap();
    assert_eq!(data_of(&secret), strings(&[("password", "hunter2"), ("port", "5432")]));
    let metadata = secret.metadata;
    let owner = &metadata.owner_references.unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.api_version.as_str()), ("ExternalSecret", "external-secrets.io/v1"));
    assert_eq!((Some(&owner.uid), owner.controller), (created.metadata.uid.as_ref(), Some(true)));
    let labels = metadata.labels.unwrap();
    assert_eq!(labels["reconcile.external-secrets.io/managed"], "true");
    assert_eq!(labels["reconcile.external-secrets.io/created-by"].len(), 56);
    let manager = metadata.managed_fields.unwrap()[0].manager.clone();
    assert_eq!(manager.as_deref(), Some("externalsecrets.external-secrets.io/db"));

    let ready = condition(&object, "Ready").unwrap();
    assert_eq!((ready.reason.as_deref(), ready.message.as_deref()), (Some("SecretSynced"), Some("secret synced")));
    let status = object.status.unwrap();
    assert!(status.refresh_time.is_some() && status.next_refresh_time.is_some());
    assert_eq!(status.sync_reason.as_deref(), Some("FirstSync"));
    assert_eq!(status.binding.unwrap().name, "db");
    assert_eq!(Some(status.secret.unwrap().resource_version), metadata.resource_version);
}

/// The manifest that every blog post has, in the version that the External Secrets Operator no longer serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manifest_of_the_blog_posts_works_as_it_stands() {
    let world = World::new().await;
    world.fake("aws-secrets-manager", &[("production/database", r#"{"password":"s3cr3t"}"#)]).await;
    let manifest = r"
apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata: {name: db-credentials}
spec:
  secretStoreRef: {name: aws-secrets-manager}
  target: {name: db-credentials}
  data:
  - secretKey: password
    remoteRef: {key: production/database, property: password}
";
    let manifest: serde_json::Value = serde_saphyr::from_str(manifest).unwrap();
    let resource = kube::core::ApiResource {
        group: "external-secrets.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "external-secrets.io/v1beta1".to_owned(),
        kind: "ExternalSecret".to_owned(),
        plural: "externalsecrets".to_owned(),
    };
    let api: kube::Api<kube::core::DynamicObject> =
        kube::Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    api.create(&PostParams::default(), &serde_json::from_value(manifest).unwrap()).await.unwrap();
    world.synced("db-credentials").await;
    world.until_data("db-credentials", &[("password", "s3cr3t")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_followed_and_force_sync_asks_again() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1"), ("b", "2")]).await;
    world.simple("db", "vault", "a").await;
    world.until_data("db", &[("k", "1")]).await;
    world.patch::<ExternalSecret>("db", json!({"spec": one_key("vault", "b")})).await;
    world.until_data("db", &[("k", "2")]).await;
    let object = world.synced("db").await;
    assert_eq!(object.status.unwrap().sync_reason.as_deref(), Some("SpecChanged"));

    world.set_fake("vault", &[("b", "3")]).await;
    world.store_is("vault", true).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(data_of(&world.secret("db").await.unwrap())["k"], "2", "not due");
    world.force("db", "1").await;
    world.until_data("db", &[("k", "3")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_says_why_and_recovers_when_the_store_does() {
    let world = World::new().await;
    world.simple("db", "vault", "a").await;
    let message = world.failed("db").await;
    assert!(message.contains("could not get SecretStore \"vault\": it does not exist"), "{message}");
    world.fake("vault", &[("b", "1")]).await;
    let began = std::time::Instant::now();
    let told = |object: &ExternalSecret| {
        condition(object, "Ready")
            .is_some_and(|ready| ready.message.as_deref().unwrap_or_default().contains("spec.data[0]"))
    };
    let object = world.until("db", "refused by the provider", told).await;
    assert!(began.elapsed().as_secs() < 5, "it does not wait for its back-off");
    let message = condition(&object, "Ready").unwrap().message.clone().unwrap();
    assert!(message.contains("error processing spec.data[0] (key: a)"), "{message}");
    world.set_fake("vault", &[("a", "1")]).await;
    world.force("db", "now").await;
    world.until_data("db", &[("k", "1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_that_cannot_work_is_stalled_with_the_reason() {
    let world = World::new().await;
    world.fake("vault", &[]).await;
    world.store("other", json!({"gcpsm": {"projectID": "p"}})).await;
    let message = world.store_is("other", false).await;
    assert!(message.contains("gcpsm") && message.contains("not supported"), "{message}");
    world.external("empty", json!({"secretStoreRef": {"name": "vault"}})).await;
    let message = world.failed("empty").await;
    assert!(message.contains("either data or dataFrom should be specified"), "{message}");
    assert_eq!(condition(&world.object("empty").await, "Stalled").unwrap().status, true.into());
    world.simple("theirs", "other", "a").await;
    let message = world.failed("theirs").await;
    assert!(message.contains("gcpsm"), "{message}");
    assert_eq!(condition(&world.object("theirs").await, "Stalled").unwrap().status, true.into());
    drop(fake(&[]));
}
