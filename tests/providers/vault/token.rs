//! The one token of a store: taken once, renewed, replaced, given back.

use std::time::{Duration, Instant};

use bulla::providers::Cause;
use bulla::providers::vault::{Auth, KvVersion};
use serde_json::json;

use super::{Store, approle, reader, secret, settings, shared, value};
use crate::support::vault::Vault;

fn store(vault: &Vault, name: &str, extra: &serde_json::Value) -> Store {
    vault.enable_kv(name, 2);
    vault.write(&format!("{name}/data/a"), &json!({"data": {"b": "c"}}));
    let auth = approle(vault, name, name, extra);
    Store::new(settings(&vault.address(), name, KvVersion::V2, auth))
}

/// How many of these went to Vault with the AppRole's token.
fn audited(vault: &Vault, path: &str, role: &str) -> usize {
    let is_ours =
        |entry: &serde_json::Value| entry["request"]["path"] == path && entry["auth"]["metadata"]["role_name"] == role;
    vault.audit().iter().filter(|entry| is_ours(entry)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reads_cost_one_login_and_no_lookup() {
    let vault = Vault::start();
    let store = store(&vault, "hundred", &json!({}));
    let before = vault.count("auth/approle/login");
    let answers = store.provider.fetch(vec![value("a"); 100]).await;
    assert!(answers.iter().all(Result::is_ok));
    for _ in 0..10 {
        store.read("a").await.unwrap();
    }
    assert_eq!(vault.count("auth/approle/login") - before, 1);
    assert_eq!(vault.count("auth/token/lookup-self"), 0);
    assert_eq!(audited(&vault, "hundred/data/a", "hundred"), 110);
    assert_eq!((store.calls.of("Login"), store.calls.of("ReadSecretData")), (1, 110));
    store.provider.close().await;
    assert_eq!(audited(&vault, "auth/token/revoke-self", "hundred"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_given_back_and_a_given_one_is_not() {
    let vault = shared();
    let ours = store(vault, "giveback", &json!({}));
    ours.read("a").await.unwrap();
    ours.provider.close().await;
    assert_eq!(ours.calls.of("RevokeSelf"), 1);
    assert!(ours.read("a").await.is_err(), "a closed store is not used");

    let made = vault.write("auth/token/create", &json!({"policies": ["giveback"], "ttl": "1h"}));
    let token = made["auth"]["client_token"].as_str().unwrap();
    let given = Auth::Token(secret(&format!("{token}\n")));
    let given = Store::new(settings(&vault.address(), "giveback", KvVersion::V2, given));
    given.read("a").await.unwrap();
    given.read("a").await.unwrap();
    given.provider.close().await;
    assert_eq!((given.calls.of("RevokeSelf"), given.calls.of("LookupSelf")), (0, 1));
    assert_eq!(vault.try_write("auth/token/lookup", &json!({"token": token})).0, 200, "it lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_token_is_renewed_and_at_its_end_replaced() {
    let vault = shared();
    let store = store(vault, "short", &json!({"token_ttl": "3s", "token_max_ttl": "6s"}));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        store.read("a").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (renewals, logins) = (store.calls.of("RenewSelf"), store.calls.of("Login"));
    assert!((2..=8).contains(&renewals), "{renewals} renewals");
    assert!((2..=4).contains(&logins), "{logins} logins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_token_is_renewed() {
    let vault = shared();
    vault.enable_kv("given", 2);
    vault.write("given/data/a", &json!({"data": {"b": "c"}}));
    let request = json!({"policies": [reader(vault, "given")], "ttl": "2s", "renewable": true});
    let made = vault.write("auth/token/create", &request);
    let auth = Auth::Token(secret(made["auth"]["client_token"].as_str().unwrap()));
    let store = Store::new(settings(&vault.address(), "given", KvVersion::V2, auth));
    for _ in 0..25 {
        store.read("a").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(store.calls.of("RenewSelf") >= 2);
    // Left alone it ends, and nothing can bring it back.
    tokio::time::sleep(Duration::from_secs(4)).await;
    for _ in 0..5 {
        assert_eq!(store.read("a").await.unwrap_err().cause, Cause::Unauthenticated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_token_that_ended_is_replaced() {
    let vault = shared();
    let store = store(vault, "idle", &json!({"token_ttl": "1s"}));
    store.read("a").await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    store.read("a").await.unwrap();
    assert_eq!((store.calls.of("Login"), store.calls.of("ReadSecretData")), (2, 2), "no read was tried with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_under_us_is_replaced_once_for_all_reads() {
    let vault = Vault::start();
    let store = store(&vault, "revoked", &json!({}));
    store.read("a").await.unwrap();
    vault.write("sys/leases/revoke-prefix/auth/approle/login", &json!({}));
    let answers = store.provider.fetch(vec![value("a"); 32]).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(store.calls.of("Login"), 2);
    store.provider.validate().await.unwrap();
    vault.write("sys/leases/revoke-prefix/auth/approle/login", &json!({}));
    store.provider.validate().await.unwrap();
    assert_eq!(store.calls.of("Login"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_path_does_not_log_in_at_each_read() {
    let vault = shared();
    let store = store(vault, "narrow", &json!({}));
    vault.policy("narrow", "path \"narrow/data/a\" { capabilities = [\"read\"] }");
    let mut messages = Vec::new();
    for _ in 0..10 {
        let error = store.read("b").await.unwrap_err();
        assert_eq!(error.cause, Cause::Denied);
        messages.push(error.message);
    }
    assert_eq!(messages[0], "cannot read narrow/data/b: permission denied");
    store.read("a").await.unwrap();
    assert_eq!(store.calls.of("Login"), 2, "the first, and one that could have helped");
    assert_eq!(store.calls.of("RevokeSelf"), 1, "of the token that was replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_given_later_is_found_by_the_new_login() {
    let vault = shared();
    let store = store(vault, "later", &json!({}));
    store.read("a").await.unwrap();
    // The role has another policy from now on; the token that we hold does not.
    vault.write("auth/approle/role/later", &json!({"token_policies": ["later-2"]}));
    vault.policy("later-2", "path \"later/data/*\" { capabilities = [\"read\"] }");
    vault.policy("later", "path \"later/data/none\" { capabilities = [\"read\"] }");
    store.read("a").await.unwrap();
    assert_eq!(store.calls.of("Login"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_not_repeated_for_each_object() {
    let vault = shared();
    vault.enable_auth("approle");
    let auth =
        Auth::AppRole { mount: "approle".to_owned(), role_id: secret("none"), secret_id: secret("secret-canary") };
    let store = Store::new(settings(&vault.address(), "any", KvVersion::V2, auth));
    for answer in store.provider.fetch(vec![value("a"); 50]).await {
        let error = answer.err().unwrap();
        assert_eq!(error.cause, Cause::Unauthenticated);
        assert_eq!(error.message, "cannot log in at auth/approle/login: invalid role or secret ID");
    }
    assert_eq!(store.provider.validate().await.unwrap_err().cause, Cause::Unauthenticated);
    assert_eq!((store.calls.of("Login"), store.calls.of("ReadSecretData")), (1, 0));
}
