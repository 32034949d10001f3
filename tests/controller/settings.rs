//! The settings of upstream's controller that change what is done with SealedSecrets.

use std::time::{Duration, Instant};

use bulla::controllers::Namespaces;
use bulla::seal::Scope;
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, PostParams};
use kube::core::NamespaceResourceScope;
use serde_json::{Value, json};

use crate::support::rights::Reach;
use crate::world::{SOON, World, condition, data_of, strings};

/// Creates an object in any namespace.
async fn create_in<K>(world: &World<'_>, namespace: &str, object: Value) -> K
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize,
{
    let api: Api<K> = Api::namespaced(world.client.clone(), namespace);
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
}

async fn create_namespace(world: &World<'_>, name: &str) {
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    Api::<Namespace>::all(world.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

/// A SealedSecret that opens anywhere.
fn anywhere(world: &World<'_>, name: &str) -> Value {
    let sealed = world.sealed_to(&world.identity, Scope::ClusterWide, name, "a", "1");
    let annotations = json!({"sealedsecrets.bitnami.com/cluster-wide": "true"});
    json!({"metadata": {"name": name, "annotations": annotations}, "spec": {"encryptedData": {"a": sealed}}})
}

async fn until_secret_in(world: &World<'_>, namespace: &str, name: &str) {
    let api: Api<Secret> = Api::namespaced(world.client.clone(), namespace);
    let began = Instant::now();
    while api.get_opt(name).await.unwrap().is_none() {
        assert!(began.elapsed() < SOON, "no Secret {namespace}/{name}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_label_selector_chooses_sealed_secrets_and_their_secrets_are_found_all_the_same() {
    let mut world = World::without_controller().await;
    world.start_with(|config| config.sealed.selector = Some("team in (a, b)".to_owned()));
    let spec = world.spec("chosen", &[("k", "v")], json!({}));
    world.create::<SealedSecret>(json!({"metadata": {"name": "chosen", "labels": {"team": "b"}}, "spec": spec})).await;
    world.seal("other", &[("k", "v")]).await;
    world.synced("chosen").await;
    assert!(world.sealed_secret("other").await.status.is_none() && world.secret("other").await.is_none());
    // Upstream looks for Secrets by the same selector and so never sees that this one goes.
    world.delete::<Secret>("chosen").await;
    world.until_data("chosen", &[("k", "v")]).await;
    // Chosen later, and no more: the Secret stays with its SealedSecret.
    world.patch::<SealedSecret>("other", json!({"metadata": {"labels": {"team": "a"}}})).await;
    world.synced("other").await;
    world.patch::<SealedSecret>("other", json!({"metadata": {"labels": {"team": "c"}}})).await;
    world.calls(world.mark()).await;
    let mark = world.mark();
    world.patch::<Secret>("other", json!({"stringData": {"k": "edited"}})).await;
    assert!(world.calls(mark).await.is_empty(), "it is not ours to look after any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_missing_is_waited_for() {
    let mut world = World::without_controller().await;
    let late = format!("{}-late", world.namespace);
    let served = vec![world.namespace.clone(), late.clone()];
    let token = world.server.controller_token(&world.namespace, Reach::Cluster);
    let config = bulla::controllers::ControllerConfig { namespaces: Namespaces::These(served), ..world.usual() };
    world.start_as(&token, config);
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    create_namespace(&world, &late).await;
    create_in::<SealedSecret>(&world, &late, anywhere(&world, "db")).await;
    until_secret_in(&world, &late, "db").await;
}

/// Where rights come namespace by namespace, those for one that is still to come are missing too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_without_rights_does_not_keep_the_others_waiting() {
    let mut world = World::without_controller().await;
    let late = format!("{}-late", world.namespace);
    create_namespace(&world, &late).await;
    let token = world.server.service_account(&world.namespace, "controller").await;
    let rights = |namespace: &str| {
        let role = json!({"metadata": {"name": "controller"}, "rules": [
            {"apiGroups": ["bitnami.com"], "resources": ["sealedsecrets", "sealedsecrets/status"], "verbs": ["*"]},
            {"apiGroups": ["", "events.k8s.io"], "resources": ["secrets", "configmaps", "events"], "verbs": ["*"]},
        ]});
        let binding = json!({
            "metadata": {"name": "controller"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "controller"},
            "subjects": [{"kind": "ServiceAccount", "name": "controller", "namespace": world.namespace}],
        });
        (namespace.to_owned(), role, binding)
    };
    let (here, there) = (rights(&world.namespace), rights(&late));
    create_in::<Role>(&world, &here.0, here.1).await;
    create_in::<RoleBinding>(&world, &here.0, here.2).await;
    let served = vec![world.namespace.clone(), late.clone()];
    let config = bulla::controllers::ControllerConfig { namespaces: Namespaces::These(served), ..world.usual() };
    world.start_as(&token, config);
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    assert!(crate::support::logs::so_far().contains(&late), "the log says where");
    create_in::<SealedSecret>(&world, &late, anywhere(&world, "db")).await;
    create_in::<Role>(&world, &there.0, there.1).await;
    create_in::<RoleBinding>(&world, &there.0, there.2).await;
    until_secret_in(&world, &late, "db").await;
}

/// Upstream takes about a second for each, one after the other, before it serves anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_namespaces_start_at_once() {
    let mut world = World::without_controller().await;
    let mut served: Vec<_> = (0..299).map(|number| format!("{}-{number}", world.namespace)).collect();
    served.push(world.namespace.clone());
    world.seal("db", &[("a", "1")]).await;
    let token = world.server.controller_token(&world.namespace, Reach::Cluster);
    let config = bulla::controllers::ControllerConfig { namespaces: Namespaces::These(served), ..world.usual() };
    let began = Instant::now();
    world.start_as(&token, config);
    world.synced("db").await;
    let took = began.elapsed();
    println!("300 namespaces: the first Secret after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_recreation_secrets_are_neither_watched_nor_put_back() {
    let mut world = World::without_controller().await;
    let without = |config: &mut bulla::controllers::ControllerConfig| config.sealed.watches_targets = false;
    let mark = world.mark();
    world.start_with(without);
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    world.patch::<Secret>("db", json!({"stringData": {"a": "edited"}})).await;
    world.calls(world.mark()).await;
    assert_eq!(data_of(&world.secret("db").await.unwrap()), strings(&[("a", "edited")]));
    let of_ours = |entry: &crate::support::audit::AuditEntry| {
        entry.user_agent == world.agent
            && entry.resource == "secrets"
            && matches!(entry.verb.as_str(), "list" | "watch")
    };
    let watched = world.server.audit_when_quiet(mark, crate::world::QUIET, of_ours).await;
    assert!(watched.iter().all(|call| !call.uri.contains("managed-by")), "{watched:?}");
    // A change of the object is followed, and costs what it always does.
    world.patch::<Secret>("db", json!({"stringData": {"a": "1"}})).await;
    let sealed = world.sealed("db", "a", "2");
    world.patch::<SealedSecret>("db", json!({"spec": {"encryptedData": {"a": sealed}}})).await;
    world.until_data("db", &[("a", "2")]).await;
    world.synced("db").await;
    // A restart takes one look at each and writes nothing.
    world.stop().await;
    world.calls(world.mark()).await;
    let mark = world.mark();
    world.start_with(without);
    world.seal("next", &[("a", "1")]).await;
    world.synced("next").await;
    let mut calls = world.calls(mark).await;
    calls.sort();
    assert_eq!(calls, ["create secrets", "get secrets", "patch sealedsecrets/status"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_status_the_secret_is_made_and_a_failure_is_said_once() {
    let mut world = World::without_controller().await;
    world.start_with(|config| config.sealed.writes_status = false);
    world.create::<Secret>(json!({"metadata": {"name": "blocked"}, "stringData": {"theirs": "1"}})).await;
    let mark = world.mark();
    world.seal("db", &[("a", "1")]).await;
    world.seal("blocked", &[("a", "1")]).await;
    world.until_data("db", &[("a", "1")]).await;
    assert_eq!(world.events("blocked").await, ["Warning ErrUpdateFailed"]);
    // Tried again a few times meanwhile, and healed when the blocker goes.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(world.events("blocked").await, ["Warning ErrUpdateFailed"]);
    world.delete::<Secret>("blocked").await;
    world.until_data("blocked", &[("a", "1")]).await;
    let calls = world.calls(mark).await;
    assert!(!calls.iter().any(|call| call.contains("status")), "{calls:?}");
    assert!(world.sealed_secret("db").await.status.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deprecated_form_opens_unless_it_is_switched_off() {
    let mut world = World::without_controller().await;
    let whole = |name: &str| {
        let secret = json!({
            "metadata": {"name": "anything", "namespace": "anywhere", "labels": {"team": "x"}},
            "type": "example.com/custom", "data": {"a": "MQ=="},
        });
        let sealed = world.sealed(name, "spec.data", &secret.to_string());
        json!({"metadata": {"name": name}, "spec": {"data": sealed, "encryptedData": {}}})
    };
    let (accepted, refused) = (whole("accepted"), whole("refused"));
    world.start();
    world.create::<SealedSecret>(accepted).await;
    let secret = world.until_data("accepted", &[("a", "1")]).await;
    assert_eq!(secret.type_.as_deref(), Some("example.com/custom"));
    assert_eq!(secret.metadata.labels.unwrap()["team"], "x");
    world.stop().await;
    world.start_with(|config| config.sealed.opens_whole_secrets = false);
    world.create::<SealedSecret>(refused).await;
    let message = world.failed("refused", "DeprecatedData").await;
    assert!(message.contains("deprecated") && message.contains("encryptedData"), "{message}");
    assert_eq!(world.events("refused").await, ["Warning ErrUnsealFailed"]);
    assert!(world.secret("refused").await.is_none());
}

async fn until_gone(world: &World<'_>, name: &str) {
    let began = Instant::now();
    while world.secret(name).await.is_some() {
        assert!(began.elapsed() < SOON, "the Secret {name} stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// No garbage collector runs here: what goes, we deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_behaviour_deletes_the_secret_with_its_sealed_secret_and_no_other() {
    let mut world = World::without_controller().await;
    let old = |config: &mut bulla::controllers::ControllerConfig| config.sealed.deletes_targets = true;
    world.start_with(old);
    let skip = json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/skip-set-owner-references": "true"}}});
    world.seal_with("unowned", &[("a", "1")], skip).await;
    for name in ["db", "away", "kept"] {
        world.seal(name, &[("a", "1")]).await;
    }
    for name in ["unowned", "db", "away", "kept"] {
        world.synced(name).await;
    }
    world.delete::<SealedSecret>("db").await;
    until_gone(&world, "db").await;
    // As `kubectl delete --cascade=orphan` leaves it.
    world
        .patch::<Secret>(
            "kept",
            json!({"metadata": {"ownerReferences": null, "labels": {"bulla.dev/managed-by": null}}}),
        )
        .await;
    world.until_secret("kept", |secret| secret.metadata.owner_references.is_none()).await;
    // The edit is put right as long as there is a SealedSecret; without one it stays.
    world.stop().await;
    world.patch::<Secret>("kept", json!({"metadata": {"ownerReferences": null}})).await;
    for name in ["kept", "away", "unowned"] {
        world.delete::<SealedSecret>(name).await;
    }
    world.start_with(old);
    until_gone(&world, "away").await;
    world.calls(world.mark()).await;
    for name in ["kept", "unowned"] {
        assert!(world.secret(name).await.is_some(), "{name}");
    }
    // Deleted and there again: it is the new one's.
    world.seal("again", &[("a", "1")]).await;
    world.synced("again").await;
    world.delete::<SealedSecret>("again").await;
    world.seal("again", &[("a", "2")]).await;
    world.until_data("again", &[("a", "2")]).await;
    world.synced("again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_for_all_secrets_are_put_on_those_that_are_ours_also_after_a_restart() {
    let mut world = World::new().await;
    world.seal("plain", &[("a", "1")]).await;
    world
        .seal_with("own", &[("a", "1")], json!({"metadata": {"labels": {"velero.io/exclude-from-backup": "false"}}}))
        .await;
    let patch = json!({"sealedsecrets.bitnami.com/patch": "true"});
    world.create::<Secret>(json!({"metadata": {"name": "foreign", "annotations": patch}})).await;
    world.seal("foreign", &[("a", "1")]).await;
    for name in ["plain", "own", "foreign"] {
        world.synced(name).await;
    }
    world.stop().await;
    let label = ("velero.io/exclude-from-backup", "true");
    let labels = |config: &mut bulla::controllers::ControllerConfig| config.sealed.labels = strings(&[label]);
    world.calls(world.mark()).await;
    let mark = world.mark();
    world.start_with(labels);
    let has = |secret: &Secret| secret.metadata.labels.as_ref().and_then(|all| all.get(label.0)).cloned();
    world.until_secret("plain", |secret| has(secret).as_deref() == Some("true")).await;
    let calls = world.calls(mark).await;
    let writes: Vec<_> = calls.iter().filter(|call| call.contains("secrets") && !call.starts_with("get")).collect();
    assert_eq!(writes, ["update secrets", "patch sealedsecrets/status"], "only the one that lacks it");
    assert_eq!(has(&world.secret("own").await.unwrap()).as_deref(), Some("false"), "the template wins");
    assert_eq!(has(&world.secret("foreign").await.unwrap()), None, "not ours to label");
    world.seal("new", &[("a", "1")]).await;
    world.synced("new").await;
    assert_eq!(has(&world.secret("new").await.unwrap()).as_deref(), Some("true"));
    assert!(condition(&world.sealed_secret("new").await, "Ready").is_some());
}
