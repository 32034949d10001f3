//! What a template asks of the Secret.

use serde_json::json;

use crate::world::{World, data_of, strings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_type_and_finalizers_are_taken_from_the_template() {
    let world = World::new().await;
    let template = json!({
        "type": "example.com/custom",
        "metadata": {
            "name": "elsewhere", "namespace": "nowhere", "labels": {"team": "x"}, "annotations": {"note": "y"},
            "finalizers": ["example.com/hold"],
        },
    });
    world.seal_with("db", &[("a", "1")], template).await;
    world.synced("db").await;
    let secret = world.secret("db").await.unwrap();
    assert_eq!(secret.type_.as_deref(), Some("example.com/custom"));
    assert_eq!(secret.metadata.labels.unwrap()["team"], "x");
    assert_eq!(secret.metadata.annotations.unwrap()["note"], "y");
    assert_eq!(secret.metadata.finalizers.unwrap(), ["example.com/hold"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_objects_own_labels_and_annotations_are_not_copied() {
    let world = World::new().await;
    let spec = world.spec("db", &[("a", "1")], json!({}));
    let metadata = json!({
        "name": "db", "labels": {"app.kubernetes.io/instance": "app"},
        "annotations": {"argocd.argoproj.io/tracking-id": "app:bitnami.com/SealedSecret:ns/db"},
    });
    world.create::<bulla_crds::SealedSecret>(json!({"metadata": metadata, "spec": spec})).await;
    world.synced("db").await;
    let secret = world.secret("db").await.unwrap();
    assert_eq!(secret.metadata.labels.unwrap(), strings(&[("bulla.dev/managed-by", "sealed-secret")]));
    assert!(secret.metadata.annotations.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_is_rendered_over_the_opened_values() {
    let world = World::new().await;
    let template =
        json!({"data": {"url": "postgres://{{ .user }}:{{ .password | b64enc }}@db", "user": "{{ upper .user }}"}});
    world.seal_with("db", &[("user", "app"), ("password", "p")], template).await;
    world.synced("db").await;
    let expected = strings(&[("url", "postgres://app:cA==@db"), ("user", "APP"), ("password", "p")]);
    assert_eq!(data_of(&world.secret("db").await.unwrap()), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_fails_leaves_the_last_good_secret() {
    let world = World::new().await;
    world.seal_with("db", &[("user", "app")], json!({"data": {"greeting": "hello {{ .user }}"}})).await;
    world.synced("db").await;
    let good = strings(&[("user", "app"), ("greeting", "hello app")]);
    for (template, part) in [("{{ .missing }}", "missing"), ("{{ if }", "greeting"), ("{{ nope .user }}", "nope")] {
        let patch = json!({"spec": {"template": {"data": {"greeting": template}}}});
        world.patch::<bulla_crds::SealedSecret>("db", patch).await;
        let message = world.failed("db", "TemplateFailed").await;
        assert!(message.contains(part) && !message.contains("app"), "{message}");
        assert_eq!(data_of(&world.secret("db").await.unwrap()), good);
    }
}

/// Both ways to the Secret, by opening and by digest, leave out what would make a GitOps tool prune it or the
/// controller take it for a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_that_must_not_be_on_a_secret_stays_off_it() {
    let world = World::new().await;
    let template = json!({"metadata": {
        "labels": {"bulla.dev/sealing-key": "active", "team": "payments"},
        "annotations": {"argocd.argoproj.io/tracking-id": "app:x"},
    }});
    world.seal_with("db", &[("a", "1")], template).await;
    world.synced("db").await;
    world.patch::<k8s_openapi::api::core::v1::Secret>("db", json!({"metadata": {"labels": {"team": "edited"}}})).await;
    let secret = world
        .until_secret("db", |secret| secret.metadata.labels.as_ref().is_some_and(|labels| labels["team"] == "payments"))
        .await;
    assert!(!secret.metadata.labels.unwrap().contains_key("bulla.dev/sealing-key"));
    assert!(!secret.metadata.annotations.unwrap_or_default().contains_key("argocd.argoproj.io/tracking-id"));
}
