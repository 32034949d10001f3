//! A server that is sealed, away, or back again.

use std::time::{Duration, Instant};

use bulla::providers::Cause;
use bulla::providers::vault::KvVersion;
use serde_json::json;

use super::{Store, approle, settings};
use crate::support::vault::Vault;

/// Reads until it works again: the breaker rests a while.
async fn comes_back(store: &Store) {
    let began = Instant::now();
    while let Err(error) = store.read("a").await {
        assert_eq!(error.cause, Cause::Unavailable, "{error}");
        assert!(began.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_stopped_and_back() {
    let vault = Vault::start();
    vault.enable_kv("out", 2);
    vault.write("out/data/a", &json!({"data": {"b": "c"}}));
    let auth = approle(&vault, "out", "out", &json!({}));
    let store = Store::new(settings(&vault.address(), "out", KvVersion::V2, auth));
    store.read("a").await.unwrap();

    vault.seal();
    let error = store.read("a").await.unwrap_err();
    assert_eq!((error.cause, error.message.as_str()), (Cause::Unavailable, "cannot read out/data/a: Vault is sealed"));
    assert_eq!(store.provider.validate().await.unwrap_err().cause, Cause::Unavailable);
    vault.unseal();
    comes_back(&store).await;

    vault.stop();
    let error = store.read("a").await.unwrap_err();
    assert_eq!(error.cause, Cause::Unavailable);
    assert!(error.message.contains("127.0.0.1") && error.message.contains("refused"), "{error}");
    vault.restart();
    comes_back(&store).await;
    assert_eq!(store.calls.of("Login"), 1, "the token outlived all of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_are_counted_and_end() {
    let vault = Vault::start();
    vault.enable_kv("again", 2);
    vault.write("again/data/a", &json!({"data": {"b": "c"}}));
    let auth = approle(&vault, "again", "again", &json!({}));
    let mut settings = settings(&vault.address(), "again", KvVersion::V2, auth);
    settings.retries = 2;
    let store = Store::new(settings);
    store.read("a").await.unwrap();
    vault.stop();
    assert!(store.read("a").await.is_err());
    assert_eq!(store.calls.failed("ReadSecretData"), 3);
    // A refusal is an answer: nothing is tried again.
    vault.restart();
    let began = store.calls.of("ReadSecretData");
    assert_eq!(store.read("none").await.unwrap_err().cause, Cause::Missing);
    assert_eq!(store.calls.of("ReadSecretData") - began, 1);
}
