//! Keys that open nothing any more, and what is said of values sealed to them.

use std::time::Duration;

use bulla::seal::{Certificate, Identity, RsaBits, issue};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::world::{LABEL, SOON, UPSTREAM_LABEL, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_and_a_compromised_key_open_nothing_and_are_named() {
    let world = World::new().await;
    let (old, stolen) = (Identity::generate_x25519().unwrap(), Identity::generate_hybrid().unwrap());
    world.bring("old", &old, "retired").await;
    world.bring("stolen", &stolen, "compromised").await;
    let running = world.start();
    let keys = world.published(|keys| !keys.is_empty()).await;
    assert_eq!(keys.len(), 1, "only the new one is to be sealed to: {keys:?}");
    for (name, key, reason) in [("a", &old, "RetiredKey"), ("b", &stolen, "CompromisedKey")] {
        world.seal_to(key.recipient(), name, "1").await;
        let message = world.until_failed(name, reason).await;
        assert!(message.contains(&key.key_id().to_string()), "{message}");
    }
    // It opens again at once when that is taken back.
    world.label("stolen", LABEL, "opening").await;
    world.until_value("b", "1").await;
    running.stop().await;
}

/// Whoever declares the key in use compromised gets another one at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_in_use_is_replaced_when_it_is_compromised() {
    let world = World::new().await;
    let running = world.start();
    let first = world.recipient().await;
    world.label("bulla-sealing-key-0001", LABEL, "compromised").await;
    let states = [("bulla-sealing-key-0001", "compromised"), ("bulla-sealing-key-0002", "active")];
    world.until_states(LABEL, &states).await;
    world.seal_to(&first, "db", "1").await;
    world.until_failed("db", "CompromisedKey").await;
    world.seal_to(&world.recipient().await, "db2", "2").await;
    world.until_value("db2", "2").await;
    running.stop().await;
}

/// kubeseal's format names no key; the controller finds out which one it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_label_says_the_same_of_certificates() {
    let world = World::new().await;
    let pair = issue(RsaBits::Bits2048, "", Timestamp::now(), Duration::from_secs(86_400)).unwrap();
    let labels = json!({UPSTREAM_LABEL: "compromised"});
    let data = json!({"tls.key": pair.key.as_str(), "tls.crt": pair.certificate});
    world.create::<Secret>(json!({"metadata": {"name": "theirs", "labels": labels}, "stringData": data})).await;
    let recipient = Certificate::from_pem(pair.certificate.as_bytes()).unwrap().into();
    let running = world.start();
    world.seal_to(&recipient, "db", "1").await;
    let message = world.until_failed("db", "CompromisedKey").await;
    assert!(message.contains(&recipient.key_id().to_string()), "{message}");
    // Any other word switches a key off too.
    world.label("theirs", UPSTREAM_LABEL, "old").await;
    world.until_failed("db", "RetiredKey").await;
    world.label("theirs", UPSTREAM_LABEL, "active").await;
    world.until_value("db", "1").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_in_two_secrets_is_no_news_and_has_the_stricter_state() {
    let world = World::new().await;
    let key = Identity::generate_x25519().unwrap();
    world.bring("one", &key, "active").await;
    world.bring("two", &key, "active").await;
    let mut running = world.start();
    let keys = world.published(|keys| !keys.is_empty()).await;
    assert_eq!(keys.len(), 1);
    world.seal_to(key.recipient(), "db", "1").await;
    world.until_value("db", "1").await;
    running.keyring.borrow_and_update();
    for round in 0..5 {
        world.patch::<Secret>("two", json!({"metadata": {"annotations": {"round": round.to_string()}}})).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!running.keyring.has_changed().unwrap(), "what changes nothing is nothing new");
    world.label("two", LABEL, "compromised").await;
    tokio::time::timeout(SOON, running.keyring.changed()).await.expect("this is news").unwrap();
    world.seal_to(key.recipient(), "db2", "1").await;
    world.until_failed("db2", "CompromisedKey").await;
    running.stop().await;
}

/// Publishing is for those who seal; whoever opens does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_may_not_publish_makes_keys_and_opens() {
    let world = World::new().await;
    let key = Identity::generate_x25519().unwrap();
    world.bring("brought", &key, "opening").await;
    let token = world.server.service_account(&world.namespace, "silent").await;
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]},
        {"apiGroups": ["bitnami.com"], "resources": ["sealedsecrets", "sealedsecrets/status"], "verbs": ["*"]},
    ]);
    world.server.allow(&world.namespace, "silent", &rules).await;
    let running = world.start_as(&token, world.config());
    world.seal_to(key.recipient(), "db", "1").await;
    world.until_value("db", "1").await;
    world.until_states(LABEL, &[("brought", "opening"), ("bulla-sealing-key-0001", "active")]).await;
    assert!(world.map().await.is_none());
    running.stop().await;
}
