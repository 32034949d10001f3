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
            "data": {"app.conf": "user={{ .user }}", "pairs": "x: {{ .password | quote }}\nz: \"2\""},
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
    let wanted = [("app.conf", "user=app"), ("url", "db://app:p%26w@host"), ("x", "p&w"), ("z", "2")];
    assert_eq!(data_of(&secret), strings(&wanted));
    assert_eq!(secret.type_.as_deref(), Some("example.com/mine"));
    assert_eq!(secret.metadata.labels.unwrap()["team"], "app");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_write_one_key_do_not_keep_each_other_busy() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1"), ("b", "2")]).await;
    let mark = world.mark();
    for (name, key) in [("one", "a"), ("two", "b")] {
        let mut spec = spec("CreateOrMerge", "Retain");
        spec["data"][0]["remoteRef"]["key"] = json!(key);
        world.external(name, spec).await;
    }
    tokio::time::sleep(SOON / 4).await;
    let writes = world.calls(mark).await.iter().filter(|call| call.ends_with("e secrets")).count();
    assert!((2..=12).contains(&writes), "{writes} writes in {:?}", SOON / 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_goes_and_comes_again_is_served_as_the_new_one() {
    let world = World::new().await;
    world.fake("vault", &[("0", "v0"), ("1", "v1"), ("2", "v2"), ("3", "v3")]).await;
    for round in 0..4 {
        // As `kubectl replace --force` does, while the pass over the one before may be under way.
        world.simple("db", "vault", &round.to_string()).await;
        if round < 3 {
            world.delete::<ExternalSecret>("db").await;
        }
    }
    world.until_data("db", &[("k", "v3")]).await;
    let object = world.synced("db").await;
    world.force("db", "now").await;
    let again = |now: &ExternalSecret| {
        let version = |object: &ExternalSecret| object.status.as_ref().unwrap().synced_resource_version.clone();
        version(now) != version(&object)
    };
    world.until("db", "synced again", again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_deleted_gets_no_secret_any_more() {
    let world = World::new().await;
    world.fake("vault", &[("a", "1")]).await;
    world.external("db", spec("Owner", "Retain")).await;
    world.synced("db").await;
    // As in a foreground deletion: the object waits for its dependents, which go first.
    world.patch::<ExternalSecret>("db", json!({"metadata": {"finalizers": ["example.com/held"]}})).await;
    world.delete::<ExternalSecret>("db").await;
    tokio::time::sleep(QUIET / 2).await;
    world.delete::<Secret>("target").await;
    tokio::time::sleep(QUIET * 2).await;
    assert!(world.secret("target").await.is_none());
    world.patch::<ExternalSecret>("db", json!({"metadata": {"finalizers": null}})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_target_stays_while_there_is_nothing_to_put_into_the_new_one() {
    let world = World::new().await;
    world.fake("vault", &[("app-a", "1")]).await;
    let spec = json!({
        "secretStoreRef": {"name": "vault"},
        "target": {"name": "target"},
        "dataFrom": [{"find": {"name": {"regexp": "^app-"}}}],
    });
    world.external("db", spec).await;
    world.until_data("target", &[("app-a", "1")]).await;
    world.synced("db").await;
    world.set_fake("vault", &[("other", "1")]).await;
    world.store_is("vault", true).await;
    world.patch::<ExternalSecret>("db", json!({"spec": {"target": {"name": "renamed"}}})).await;
    let object = world.synced("db").await;
    let message = condition(&object, "Ready").unwrap().message.clone().unwrap_or_default();
    assert!(message.contains("retained"), "{message}");
    assert_eq!(data_of(&world.secret("target").await.unwrap()), strings(&[("app-a", "1")]));
}
