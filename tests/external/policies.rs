//! Creation and deletion policies, drift, renamed targets.

use bulla_crds::ExternalSecret;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::world::{QUIET, SOON, World, condition, data_of, strings};

fn spec(creation: &str, deletion: &str) -> Value {
    json!({
        "secretStoreRef": {"name": "vault"},
        "target": {"name": "target", "creationPolicy": creation, "deletionPolicy": deletion},
        "data": [{"secretKey": "k", "remoteRef": {"key": "a"}}],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_repaired_for_whoever_made_the_secret() {
    for creation in ["Owner", "Orphan", "CreateOrMerge"] {
        let world = World::new().await;
        world.fake("vault", &[("a", "1")]).await;
        world.external("db", spec(creation, "Retain")).await;
        world.synced("db").await;
        world.patch::<Secret>("target", json!({"stringData": {"k": "edited"}})).await;
        world.until_data("target", &[("k", "1")]).await;
        world.delete::<Secret>("target").await;
        world.until_data("target", &[("k", "1")]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_waits_for_a_secret_and_keeps_what_others_put_there() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    world.external("db", spec("Merge", "Retain")).await;
    let object = world.synced("db").await;
    assert_eq!(condition(&object, "Ready").unwrap().reason.as_deref(), Some("SecretMissing"));
    assert!(world.secret("target").await.is_none());
    world.create::<Secret>(json!({"metadata": {"name": "target"}, "stringData": {"theirs": "t"}})).await;
    world.force("db", "now").await;
    world.until_data("target", &[("k", "1"), ("theirs", "t")]).await;
    let change = json!({"spec": {"data": [{"secretKey": "other", "remoteRef": {"key": "a"}}]}});
    world.patch::<ExternalSecret>("db", change).await;
    world.until_data("target", &[("other", "1"), ("theirs", "t")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_under_none() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    world.external("db", spec("None", "Retain")).await;
    world.synced("db").await;
    assert!(world.secret("target").await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_secret_is_adopted_but_not_taken_from_its_controller() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    world.create::<Secret>(json!({"metadata": {"name": "target"}, "stringData": {"old": "x"}})).await;
    world.external("db", spec("Owner", "Retain")).await;
    world.until_data("target", &[("k", "1")]).await;
    world.external("second", spec("Owner", "Retain")).await;
    let message = world.failed("second").await;
    assert!(message.contains("target is owned by another ExternalSecret: db"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_at_the_source_goes_by_policy() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    world.external("db", spec("Owner", "Delete")).await;
    world
        .external("keep", {
            let mut spec = spec("Owner", "Retain");
            spec["target"]["name"] = json!("kept");
            spec
        })
        .await;
    world.synced("db").await;
    world.synced("keep").await;
    world.set_fake("vault", &[("b", "2")]).await;
    world.force("db", "now").await;
    let gone = |object: &ExternalSecret| {
        condition(object, "Ready").and_then(|ready| ready.reason.as_deref()) == Some("SecretDeleted")
    };
    world.until("db", "deleted", gone).await;
    assert!(world.secret("target").await.is_none());
    world.force("keep", "now").await;
    let message = world.failed("keep").await;
    assert!(message.contains("spec.data[0] (key: a)"), "{message}");
    assert_eq!(data_of(&world.secret("kept").await.unwrap()), strings(&[("k", "1")]), "the last good one stays");

    world.set_fake("vault", &[("a", "2")]).await;
    world.force("db", "again").await;
    world.until_data("target", &[("k", "2")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_target_leaves_nothing_behind() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    world.external("db", spec("Owner", "Retain")).await;
    world.synced("db").await;
    world.patch::<ExternalSecret>("db", json!({"spec": {"target": {"name": "renamed"}}})).await;
    world.until_data("renamed", &[("k", "1")]).await;
    let began = std::time::Instant::now();
    while world.secret("target").await.is_some() {
        assert!(began.elapsed() < SOON, "the old target stays");
        tokio::time::sleep(QUIET / 10).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_immutable_target_is_left_as_it_is() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    let mut spec = spec("Owner", "Retain");
    spec["target"]["immutable"] = json!(true);
    world.external("db", spec).await;
    world.synced("db").await;
    assert_eq!(world.secret("target").await.unwrap().immutable, Some(true));
    world.set_fake("vault", &[("a", "2")]).await;
    world.force("db", "now").await;
    let told = |object: &ExternalSecret| {
        let message = condition(object, "Ready").and_then(|ready| ready.message.clone());
        message.is_some_and(|message| message.contains("immutable"))
    };
    world.until("db", "frozen", told).await;
    assert_eq!(data_of(&world.secret("target").await.unwrap())["k"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_labels_and_types_are_laid_out() {
    let world = World::new().await;
    world.fake("vault", &[("a", r#"{"user":"app","password":"p&w"}"#)]).await;
    world
        .create::<k8s_openapi::api::core::v1::ConfigMap>(json!({
            "metadata": {"name": "templates"},
            "data": {"app.conf": "user={{ .user }}", "pairs": "x: {{ .password | quote }}\ny: \"2\""},
        }))
        .await;
    let spec = json!({
        "secretStoreRef": {"name": "vault"},
        "dataFrom": [{"extract": {"key": "a"}}],
        "target": {"template": {
            "type": "example.com/mine",
            "metadata": {"labels": {"team": "{{ .user }}"}, "annotations": {"note": "n"}},
            "data": {"url": "db://{{ .user }}:{{ .password | urlquery }}@host"},
            "templateFrom": [{"configMap": {"name": "templates", "items": [
                {"key": "app.conf"}, {"key": "pairs", "templateAs": "KeysAndValues"},
            ]}}],
        }},
    });
    world.external("db", spec).await;
    world.synced("db").await;
    let secret = world.secret("db").await.unwrap();
    let wanted = [("app.conf", "user=app"), ("url", "db://app:p%26w@host"), ("x", "p&w"), ("y", "2")];
    assert_eq!(data_of(&secret), strings(&wanted));
    assert_eq!(secret.type_.as_deref(), Some("example.com/mine"));
    assert_eq!(secret.metadata.labels.unwrap()["team"], "app");
}
