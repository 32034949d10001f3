//! The real Vault behind a counting proxy: logins, tokens that end, a Vault that seals itself and comes back.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use serde_json::{Value, json};

use crate::canary::CANARY;
use crate::cloud::{spec, value};
use crate::support::proxy::{Fault, Proxy};
use crate::support::vault::Vault;
use crate::world::{World, condition, data_of};

/// A mount, a login and a store of this test's own.
struct Safe<'v> {
    vault: &'v Vault,
    proxy: Proxy,
    world: World<'static>,
    /// The mount of both the secrets (KV version 2) and the AppRole login.
    mount: String,
    secret_id: String,
}

fn shared() -> &'static Vault {
    static SHARED: OnceLock<Vault> = OnceLock::new();
    SHARED.get_or_init(Vault::start)
}

impl<'v> Safe<'v> {
    /// A safe whose AppRole has these settings too; the controller does not run yet.
    async fn new(vault: &'v Vault, role: Value) -> Self {
        let mut world = World::without_controller().await;
        // Nobody looks at the store in between, so that calls can be counted.
        world.config.recheck = Duration::from_secs(300);
        let mount = world.namespace.clone();
        vault.enable_kv(&mount, 2);
        vault.policy(&mount, &format!("path \"{mount}/*\" {{ capabilities = [\"read\", \"list\"] }}"));
        vault.write(&format!("sys/auth/{mount}"), &json!({"type": "approle"}));
        let mut settings = json!({"token_policies": [mount]});
        settings.as_object_mut().unwrap().extend(role.as_object().unwrap().clone());
        let path = format!("auth/{mount}/role/app");
        vault.write(&path, &settings);
        let role_id = vault.read(&format!("{path}/role-id"))["data"]["role_id"].as_str().unwrap().to_owned();
        let secret_id = vault.write(&format!("{path}/secret-id"), &json!({}));
        let secret_id = secret_id["data"]["secret_id"].as_str().unwrap().to_owned();
        let keys = json!({"role-id": role_id, "secret-id": secret_id});
        world.create::<Secret>(json!({"metadata": {"name": "approle"}, "stringData": keys})).await;
        let address = vault.address().trim_start_matches("http://").parse().unwrap();
        Self { vault, proxy: Proxy::to(address), world, mount, secret_id }
    }

    fn put(&self, key: &str, text: &str) {
        self.vault.write(&format!("{}/data/{key}", self.mount), &json!({"data": {"k": value(text)}}));
    }

    fn provider(&self, auth: &Value) -> Value {
        json!({"vault": {"server": self.proxy.endpoint(), "path": self.mount, "version": "v2", "auth": auth}})
    }

    /// A store named `vault` that logs in by AppRole.
    async fn store(&self) {
        let key = |key: &str| json!({"name": "approle", "key": key});
        let auth = json!({"appRole": {"path": self.mount, "roleRef": key("role-id"), "secretRef": key("secret-id")}});
        self.world.store("vault", self.provider(&auth)).await;
    }

    /// An ExternalSecret of that key, refreshed each second.
    async fn lively(&self, name: &str, key: &str) {
        let mut spec = spec("vault", &[("k", key, "k")]);
        spec["refreshInterval"] = json!("1s");
        self.world.external(name, spec).await;
    }

    /// What was called, without the mount's name and `/v1/`.
    fn calls(&self) -> Vec<String> {
        self.proxy.names().into_iter().map(|name| name.replace("/v1/", "").replace(&self.mount, "M")).collect()
    }

    fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|name| *name == call).count()
    }

    /// The token of the last call that had one.
    fn token(&self) -> String {
        let calls = self.proxy.calls();
        calls.iter().rev().find_map(|call| call.header("x-vault-token")).expect("a call with a token").to_owned()
    }

    async fn holds(&self, name: &str, text: &str) {
        assert_eq!(data_of(&self.world.secret(name).await.unwrap())["k"], value(text));
    }

    async fn end(mut self) {
        let token = self.token();
        self.world.leaks_nothing(&[&token, &self.secret_id]).await;
        self.world.stop().await;
    }
}

const LOGIN: &str = "POST auth/M/login";
const RENEWAL: &str = "POST auth/token/renew-self";
const REVOCATION: &str = "POST auth/token/revoke-self";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_objects_cost_one_login_and_one_read_each_and_the_token_is_given_back() {
    let mut safe = Safe::new(shared(), json!({})).await;
    safe.store().await;
    for at in 0..30 {
        safe.put(&at.to_string(), &at.to_string());
        safe.world.external(&format!("es-{at}"), spec("vault", &[("k", &at.to_string(), "k")])).await;
    }
    safe.world.start();
    for at in 0..30 {
        safe.world.until_data(&format!("es-{at}"), &[("k", &value(&at.to_string()))]).await;
        safe.world.synced(&format!("es-{at}")).await;
    }
    assert_eq!(safe.count(LOGIN), 1);
    for at in 0..30 {
        assert_eq!(safe.count(&format!("GET M/data/{at}")), 1);
    }
    assert_eq!(safe.calls().len(), 31, "and nothing else: {:?}", safe.calls());
    let token = safe.token();
    safe.world.leaks_nothing(&[&token, &safe.secret_id]).await;
    let looked_up = |vault: &Vault| vault.try_write("auth/token/lookup", &json!({"token": token})).0;
    assert_eq!(looked_up(safe.vault), 200);
    safe.world.stop().await;
    assert_eq!(safe.count(REVOCATION), 1);
    assert_eq!(looked_up(safe.vault), 403, "the token is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_logs_in_by_the_api_servers_token_review() {
    let mut safe = Safe::new(shared(), json!({})).await;
    let (server, namespace) = (safe.world.server, safe.world.namespace.clone());
    let reviewer = server.service_account(&namespace, "reviewer").await;
    server.bind(&namespace, "reviewer", "system:auth-delegator").await;
    safe.world.create::<ServiceAccount>(json!({"metadata": {"name": "app"}})).await;
    safe.world.create::<ServiceAccount>(json!({"metadata": {"name": "other"}})).await;
    let mount = format!("kubernetes-{namespace}");
    safe.vault.write(&format!("sys/auth/{mount}"), &json!({"type": "kubernetes"}));
    let config = json!({
        "kubernetes_host": server.url(),
        "kubernetes_ca_cert": std::fs::read_to_string(server.ca_file()).unwrap(),
        "token_reviewer_jwt": reviewer,
    });
    safe.vault.write(&format!("auth/{mount}/config"), &config);
    let role = json!({
        "bound_service_account_names": ["app"], "bound_service_account_namespaces": [namespace],
        "token_policies": [safe.mount],
    });
    safe.vault.write(&format!("auth/{mount}/role/app"), &role);
    for account in ["app", "other"] {
        let auth = json!({"kubernetes": {"mountPath": mount, "role": "app", "serviceAccountRef": {"name": account}}});
        safe.world.store(account, safe.provider(&auth)).await;
    }
    for at in 0..5 {
        safe.put(&at.to_string(), &at.to_string());
        safe.world.external(&format!("es-{at}"), spec("app", &[("k", &at.to_string(), "k")])).await;
    }
    let mark = safe.world.mark();
    safe.world.start();
    for at in 0..5 {
        safe.world.until_data(&format!("es-{at}"), &[("k", &value(&at.to_string()))]).await;
    }
    let message = safe.world.store_is("other", false).await;
    assert!(message.contains("service account name not authorized"), "{message}");
    // One for each store, and the second was refused.
    assert_eq!(safe.count("POST auth/kubernetes-M/login"), 2, "{:?}", safe.calls());
    let calls = safe.world.calls(mark).await;
    assert_eq!(calls.iter().filter(|call| *call == "create serviceaccounts/token").count(), 2);
    let reviews = safe.world.server.audit_since(mark).into_iter();
    let reviews = reviews.filter(|entry| entry.is("create", "tokenreviews") && entry.is_from(&namespace, "reviewer"));
    assert!(reviews.count() >= 1, "Vault asked the API server");
    safe.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_is_renewed_and_then_replaced_without_anybody_noticing() {
    let mut safe = Safe::new(shared(), json!({"token_ttl": "4s", "token_max_ttl": "7s"})).await;
    safe.put("a", "a");
    safe.store().await;
    safe.world.start();
    safe.lively("db", "a").await;
    safe.world.synced("db").await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(9) {
        let object = safe.world.object("db").await;
        let ready = condition(&object, "Ready").unwrap();
        assert_eq!(ready.status, true.into(), "{:?}", ready.message);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (logins, renewals) = (safe.count(LOGIN), safe.count(RENEWAL));
    assert!((2..=3).contains(&logins), "{logins} logins for tokens of 7 s in 9 s");
    assert!(renewals >= 1, "{:?}", safe.calls());
    safe.put("a", "b");
    safe.world.until_data("db", &[("k", &value("b"))]).await;
    safe.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_under_us_is_replaced_without_a_failure() {
    let mut safe = Safe::new(shared(), json!({})).await;
    safe.put("a", "a");
    safe.store().await;
    safe.world.start();
    safe.lively("db", "a").await;
    safe.world.synced("db").await;
    let old = safe.token();
    safe.vault.write("auth/token/revoke", &json!({"token": old}));
    safe.put("a", "b");
    let (wanted, began) = (value("b"), Instant::now());
    while data_of(&safe.world.secret("db").await.unwrap())["k"] != wanted {
        let object = safe.world.object("db").await;
        let ready = condition(&object, "Ready").unwrap();
        assert_eq!(ready.status, true.into(), "{:?}", ready.message);
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(safe.count(LOGIN), 2);
    assert_ne!(safe.token(), old);
    safe.world.leaks_nothing(&[&old]).await;
    safe.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_that_is_sealed_or_stopped_is_said_to_be_and_waited_for() {
    let vault = Vault::start();
    let mut safe = Safe::new(&vault, json!({})).await;
    safe.world.config.recheck = Duration::from_secs(1);
    safe.put("a", "a");
    safe.store().await;
    safe.world.start();
    safe.lively("db", "a").await;
    safe.world.synced("db").await;

    vault.seal();
    let message = safe.world.failed("db").await;
    assert!(message.contains("Vault is sealed"), "{message}");
    assert!(safe.world.store_is("vault", false).await.contains("Vault is sealed"));
    safe.holds("db", "a").await;
    vault.unseal();
    safe.put("a", "b");
    safe.world.until_data("db", &[("k", &value("b"))]).await;
    safe.world.synced("db").await;
    safe.world.store_is("vault", true).await;

    vault.stop();
    let message = safe.world.failed("db").await;
    assert!(message.contains("does not answer"), "{message}");
    safe.holds("db", "b").await;
    safe.proxy.forget();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let calls = safe.calls().len();
    assert!((1..=6).contains(&calls), "{calls} calls in 3 s by one object and the look at the store");
    vault.restart();
    safe.put("a", "c");
    safe.world.until_data("db", &[("k", &value("c"))]).await;
    safe.world.synced("db").await;
    assert_eq!(safe.count(LOGIN), 0, "the token outlived the server's restart");
    safe.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_forbidden_or_gone_harms_no_other() {
    let mut safe = Safe::new(shared(), json!({})).await;
    for key in ["a", "b", "c"] {
        safe.put(key, key);
    }
    let denied = format!("GET /v1/{}/data/b", safe.mount);
    let body = json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]}).to_string();
    safe.proxy.fault(&denied, None, Fault::Answer(403, vec!["Content-Type: application/json".to_owned()], body));
    safe.store().await;
    for key in ["a", "b", "c", "missing"] {
        safe.world.external(key, spec("vault", &[("k", key, "k")])).await;
    }
    safe.world.start();
    for key in ["a", "c"] {
        safe.world.until_data(key, &[("k", &value(key))]).await;
    }
    let message = safe.world.failed("b").await;
    assert!(message.contains("permission denied") && message.contains("data/b"), "{message}");
    let message = safe.world.failed("missing").await;
    assert!(message.contains("missing"), "{message}");
    // A refused read is tried once more with a new token, and then not for 5 s.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reads = safe.count("GET M/data/b");
    assert!((1..=2).contains(&reads), "{reads} reads");
    assert!(safe.count(LOGIN) <= 2, "{:?}", safe.calls());
    safe.proxy.well();
    safe.world.force("b", "now").await;
    safe.world.until_data("b", &[("k", &value("b"))]).await;
    safe.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_id_that_is_replaced_is_taken_up_when_the_old_one_ends() {
    let mut safe = Safe::new(shared(), json!({"token_ttl": "1s", "token_max_ttl": "1s"})).await;
    safe.world.config.recheck = Duration::from_secs(2);
    safe.put("a", "a");
    safe.store().await;
    safe.world.start();
    safe.lively("db", "a").await;
    safe.world.synced("db").await;
    let role = format!("auth/{}/role/app", safe.mount);
    safe.vault.write(&format!("{role}/secret-id/destroy"), &json!({"secret_id": safe.secret_id}));
    let message = safe.world.failed("db").await;
    assert!(message.contains("invalid role or secret ID"), "{message}");
    safe.holds("db", "a").await;
    let logins = safe.count(LOGIN);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let more = safe.count(LOGIN) - logins;
    assert!(more <= 1, "{more} logins in 3 s with a secret id that is no good");
    let fresh = safe.vault.write(&format!("{role}/secret-id"), &json!({}));
    let fresh = fresh["data"]["secret_id"].as_str().unwrap().to_owned();
    safe.world.patch::<Secret>("approle", json!({"stringData": {"secret-id": fresh}})).await;
    safe.put("a", "b");
    safe.world.until_data("db", &[("k", &value("b"))]).await;
    safe.world.leaks_nothing(&[&fresh, CANARY]).await;
    safe.end().await;
}
