//! Bad input: each is named in the status, nothing is written, the others go on.

use bulla::seal::{Identity, Scope};
use bulla_crds::SealedSecret;
use serde_json::{Value, json};

use crate::world::{World, data_of, holding, strings};

async fn create(world: &World<'_>, name: &str, data: Value) {
    let spec = json!({"encryptedData": data});
    world.create::<SealedSecret>(json!({"metadata": {"name": name}, "spec": spec})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_bad_value_has_its_reason() {
    let world = World::new().await;
    let stranger = Identity::generate_x25519().unwrap();
    let good = world.sealed("good", "a", "1");
    let truncated = world.sealed("truncated", "a", "1");
    let mut flipped = world.sealed("flipped", "a", "1").into_bytes();
    let middle = flipped.len() - 20;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let table = [
        ("wrong-key", world.sealed_to(&stranger, Scope::Strict, "wrong-key", "a", "1"), "UnknownKey"),
        ("renamed", world.sealed("other", "a", "1"), "WrongScope"),
        ("swapped", world.sealed("swapped", "b", "1"), "WrongScope"),
        ("not-base64", "%%%".to_owned(), "NotBase64"),
        ("not-sealed", "aGVsbG8=".to_owned(), "NotSealed"),
        ("truncated", truncated[..truncated.len() - 24].to_owned(), "Corrupt"),
        ("flipped", String::from_utf8(flipped).unwrap(), "Corrupt"),
    ];
    for (name, sealed, _) in &table {
        create(&world, name, json!({"a": sealed})).await;
    }
    create(&world, "good", json!({"a": good})).await;
    world.synced("good").await;
    for (name, _, reason) in &table {
        let object = world.until_failed(name).await;
        let synced = crate::world::condition(&object, "Synced").unwrap();
        let message = synced.message.clone().unwrap_or_default();
        assert_eq!(synced.reason.as_deref(), Some(*reason), "{name}: {message}");
        assert!(message.contains("\"a\""), "{name}: {message}");
        assert_eq!(holding(&object), ["Stalled"], "{name}");
        assert!(world.secret(name).await.is_none(), "{name}");
    }
    let events = world.events("wrong-key").await;
    assert_eq!(events, ["Warning ErrUnsealFailed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_faults_are_named_at_once_and_the_last_good_secret_stays() {
    let world = World::new().await;
    world.seal("db", &[("a", "1"), ("b", "2")]).await;
    world.synced("db").await;
    let data = json!({"a": "%%%", "b": world.sealed("other", "b", "2")});
    world.patch::<SealedSecret>("db", json!({"spec": {"encryptedData": data}})).await;
    let message = world.failed("db", "NotBase64").await;
    assert!(message.contains("\"a\"") && message.contains("\"b\""), "{message}");
    assert_eq!(data_of(&world.secret("db").await.unwrap()), strings(&[("a", "1"), ("b", "2")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_kubernetes_refuses_are_named_before_anything_is_written() {
    let world = World::new().await;
    let data = json!({"not ok": world.sealed("db", "not ok", "1"), "..": world.sealed("db", "..", "2")});
    let mark = world.mark();
    create(&world, "db", data).await;
    let message = world.failed("db", "InvalidKeyName").await;
    assert!(message.contains("\"not ok\"") && message.contains("\"..\""), "{message}");
    assert_eq!(world.calls(mark).await, ["patch sealedsecrets/status"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_secret_holds_is_refused_in_words() {
    let world = World::new().await;
    let half = "x".repeat(600 * 1024);
    let data = json!({"a": world.sealed("big", "a", &half), "b": world.sealed("big", "b", &half)});
    // The API server itself takes no object of this size: it is refused there or by us.
    let spec = json!({"encryptedData": data});
    let object: SealedSecret = serde_json::from_value(json!({"metadata": {"name": "big"}, "spec": spec})).unwrap();
    if world.api::<SealedSecret>().create(&kube::api::PostParams::default(), &object).await.is_ok() {
        world.failed("big", "TooLarge").await;
    }
    let many: Vec<_> = (0..1000).map(|n| (format!("key-{n}"), format!("value-{n}"))).collect();
    let pairs: Vec<_> = many.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    world.seal("many", &pairs).await;
    world.until_data("many", &pairs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_is_said_anywhere() {
    const CANARY: &str = "canary-4711-never-seen";
    let world = World::new().await;
    world.seal("good", &[("a", CANARY)]).await;
    world.synced("good").await;
    let template = json!({"type": "kubernetes.io/dockerconfigjson"});
    world.seal_with("refused", &[(".dockerconfigjson", CANARY)], template).await;
    let message = world.failed("refused", "Invalid").await;
    assert!(message.contains(".dockerconfigjson"), "{message}");
    world.seal_with("template", &[("a", CANARY)], json!({"data": {"b": "{{ .a | fail }}"}})).await;
    world.failed("template", "TemplateFailed").await;
    world.patch::<k8s_openapi::api::core::v1::Secret>("good", json!({"stringData": {"a": "x"}})).await;
    world.until_data("good", &[("a", CANARY)]).await;
    world.calls(world.mark()).await;

    let mut said = crate::support::logs::so_far();
    for name in ["good", "refused", "template"] {
        said += &serde_json::to_string(&world.sealed_secret(name).await.status).unwrap();
    }
    let events = world.api::<k8s_openapi::api::events::v1::Event>().list(&Default::default()).await.unwrap();
    said += &serde_json::to_string(&events.items).unwrap();
    let base64 = "Y2FuYXJ5LTQ3MTEtbmV2ZXItc2Vlb";
    assert!(!said.contains(CANARY) && !said.contains(base64));
    let key = world.identity.to_text().unwrap();
    assert!(!said.contains(key.as_str()));
}
