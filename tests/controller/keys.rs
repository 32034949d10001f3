//! Sealing keys: made, published, read while running, passed over when malformed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::{Identity, Scope};
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::world::{SOON, World};

/// The published keys once they satisfy `wanted`.
async fn published(world: &World<'_>, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let began = std::time::Instant::now();
    loop {
        let api: Api<ConfigMap> = world.api();
        let map = api.get_opt("bulla-sealing-keys").await.unwrap();
        let text = map.and_then(|map| map.data?.remove("keys.json"));
        let keys = text.map(|text| serde_json::from_str::<Value>(&text).unwrap());
        let keys = keys.and_then(|keys| keys["keys"].as_array().cloned()).unwrap_or_default();
        if wanted(&keys) {
            return keys;
        }
        assert!(began.elapsed() < SOON, "the published keys do not become what is wanted: {keys:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn unsealable(world: &World<'_>, name: &str, identity: &Identity) {
    let sealed = world.sealed_to(identity, Scope::Strict, name, "a", "1");
    let spec = json!({"encryptedData": {"a": sealed}});
    world.create::<SealedSecret>(json!({"metadata": {"name": name}, "spec": spec})).await;
    world.failed(name, "UnknownKey").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_key_is_made_once_and_published() {
    let mut world = World::without_controller().await;
    world.delete::<Secret>("key").await;
    world.start();
    let keys = published(&world, |keys| !keys.is_empty()).await;
    assert_eq!((keys.len(), &keys[0]["type"], &keys[0]["state"]), (1, &json!("hybrid"), &json!("active")));
    assert!(keys[0]["recipient"].as_str().unwrap().starts_with("age1pq1"));
    world.stop().await;
    world.start();
    world.seal("db", &[("a", "1")]).await;
    world.failed("db", "UnknownKey").await;
    let made = ListParams::default().labels("bulla.dev/sealing-key=active");
    let made = world.api::<Secret>().list(&made).await.unwrap();
    assert_eq!(made.items.len(), 1, "a restart makes no second key");
    assert!(made.items[0].metadata.name.as_deref().unwrap().starts_with("bulla-sealing-key-"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_arrives_opens_what_waited_for_it() {
    let world = World::new().await;
    let late = Identity::generate_x25519().unwrap();
    unsealable(&world, "db", &late).await;
    world.add_key("late", &late, "opening").await;
    world.until_data("db", &[("a", "1")]).await;
    world.synced("db").await;
    let keys = published(&world, |keys| keys.len() == 2).await;
    assert_eq!(keys.iter().filter(|key| key["state"] == "opening").count(), 1);
}

/// The status still holds the digest of the last good Secret then: it must not pass for what is asked for now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_does_not_open_is_not_taken_for_the_last_good_one() {
    let mut world = World::new().await;
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    let late = Identity::generate_x25519().unwrap();
    let sealed = world.sealed_to(&late, Scope::Strict, "db", "a", "2");
    world.patch::<SealedSecret>("db", json!({"spec": {"encryptedData": {"a": sealed}}})).await;
    world.failed("db", "UnknownKey").await;
    // Drift and a restart make the controller look again, and it still does not open.
    world.patch::<Secret>("db", json!({"metadata": {"labels": {"somebody": "else"}}})).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.stop().await;
    world.start();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.failed("db", "UnknownKey").await;
    world.until_data("db", &[("a", "1")]).await;
    world.add_key("late", &late, "opening").await;
    world.until_data("db", &[("a", "2")]).await;
    world.synced("db").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_key_opens_nothing_and_a_relabelled_one_does() {
    let world = World::new().await;
    let old = Identity::generate_x25519().unwrap();
    world.add_key("old", &old, "retired").await;
    let sealed = world.sealed_to(&old, Scope::Strict, "db", "a", "1");
    let spec = json!({"encryptedData": {"a": sealed}});
    world.create::<SealedSecret>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    let object = world.until_failed("db").await;
    let reason = crate::world::condition(&object, "Synced").unwrap().reason.clone().unwrap();
    assert!(reason == "RetiredKey" || reason == "UnknownKey", "{reason}");
    world.patch::<Secret>("old", json!({"metadata": {"labels": {"bulla.dev/sealing-key": "opening"}}})).await;
    world.until_data("db", &[("a", "1")]).await;
    // Deleted: what is sealed to it later does not open any more.
    world.delete::<Secret>("old").await;
    published(&world, |keys| keys.len() == 1).await;
    unsealable(&world, "other", &old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_key_secrets_do_not_stop_the_others() {
    let mut world = World::without_controller().await;
    let ours = json!({"bulla.dev/sealing-key": "active"});
    let upstreams = json!({"sealedsecrets.bitnami.com/sealed-secrets-key": "active"});
    for (name, labels, data) in [
        ("empty", &ours, json!({})),
        ("nonsense", &ours, json!({"identity": "nonsense"})),
        ("no-key", &upstreams, json!({"tls.crt": "nonsense", "tls.key": "nonsense"})),
    ] {
        world.create::<Secret>(json!({"metadata": {"name": name, "labels": labels}, "stringData": data})).await;
    }
    world.start();
    world.seal("db", &[("a", "1")]).await;
    world.synced("db").await;
    for name in ["empty", "nonsense", "no-key"] {
        assert!(crate::support::logs::so_far().contains(&format!("secret=\"{name}\"")), "{name} is named in the log");
    }
    world.create::<Secret>(json!({"metadata": {"name": "later", "labels": ours}, "data": {"identity": "AAAA"}})).await;
    world.seal("after", &[("a", "1")]).await;
    world.synced("after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_key_is_used_as_it_is() {
    let mut world = World::without_controller().await;
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
    let labels = json!({"sealedsecrets.bitnami.com/sealed-secrets-key": "active"});
    world
        .create::<Secret>(json!({
            "metadata": {"name": "sealed-secrets-keyabcde", "labels": labels}, "type": "kubernetes.io/tls",
            "stringData": {"tls.key": pair.serialize_pem(), "tls.crt": certificate.pem()},
        }))
        .await;
    world.start();
    let keys = published(&world, |keys| keys.len() == 2).await;
    let rsa = keys.iter().find(|key| key["type"] == "rsa").unwrap();
    assert!(rsa["certificate"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));

    let recipient = bulla::seal::Certificate::from_pem(certificate.pem().as_bytes()).unwrap().into();
    let place = bulla::seal::Place { namespace: &world.namespace, name: "db", key: "a" };
    let binding = bulla::seal::Binding::new(Scope::Strict, place, "2026-11-21".parse().unwrap());
    let sealed = bulla::seal::seal(&[recipient], &bulla::secret::Plaintext::copy_of(b"1"), &binding).unwrap();
    assert!(STANDARD.decode(&sealed).is_ok());
    let spec = json!({"encryptedData": {"a": sealed}});
    world.create::<SealedSecret>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    world.until_data("db", &[("a", "1")]).await;
    // Marked as compromised it opens nothing any more.
    let label = json!({"sealedsecrets.bitnami.com/sealed-secrets-key": "compromised"});
    world.patch::<Secret>("sealed-secrets-keyabcde", json!({"metadata": {"labels": label}})).await;
    published(&world, |keys| keys.iter().all(|key| key["id"] != rsa["id"])).await;
    world.create::<SealedSecret>(json!({"metadata": {"name": "db2"}, "spec": spec})).await;
    let object = world.until_failed("db2").await;
    // The second, once a new certificate has been made in its place, which takes its time.
    let reason = crate::world::condition(&object, "Synced").unwrap().reason.clone().unwrap();
    assert!(reason == "CompromisedKey" || reason == "NoKeyOpens", "{reason}");
}
