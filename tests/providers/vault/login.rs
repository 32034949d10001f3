//! Every auth method that the server has, namespaces and TLS.

use std::fs;
use std::sync::Arc;

use bulla::providers::vault::{Auth, ClientCertificate, KvVersion};
use bulla::providers::{Cause, ProviderError, TokenSource};
use bulla::secret::Plaintext;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Store, approle, as_root, reader, secret, settings, shared};
use crate::support::apiserver::ApiServer;
use crate::support::vault::Vault;

struct Given(String);

impl TokenSource for Given {
    fn token(&self) -> BoxFuture<'_, Result<Plaintext, ProviderError>> {
        Box::pin(async { Ok(secret(&self.0)) })
    }
}

fn with_secret(mount: &str) -> &'static Vault {
    let vault = shared();
    vault.enable_kv(mount, 2);
    vault.write(&format!("{mount}/data/a"), &json!({"data": {"b": "c"}}));
    vault
}

async fn reads(store: &Store) {
    store.provider.validate().await.unwrap();
    assert_eq!(store.read("a").await.unwrap(), r#"{"b":"c"}"#);
    assert_eq!(store.calls.of("Login"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn userpass() {
    let vault = with_secret("people");
    vault.enable_auth("userpass");
    let user = json!({"password": "pass \"word\"\n", "token_policies": [reader(vault, "people")]});
    vault.write("auth/userpass/users/jane", &user);
    let auth = |password: &str| Auth::UserPass {
        mount: "/userpass/".to_owned(),
        username: "jane".to_owned(),
        password: secret(password),
    };
    reads(&Store::new(settings(&vault.address(), "people", KvVersion::V2, auth("pass \"word\"\n")))).await;
    let store = Store::new(settings(&vault.address(), "people", KvVersion::V2, auth("wrong")));
    let error = store.provider.validate().await.unwrap_err();
    assert_eq!(error.cause, Cause::Unauthenticated);
    assert_eq!(error.message, "cannot log in at auth/userpass/login/jane: invalid username or password");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_by_token_review_and_by_its_signature() {
    let vault = with_secret("pods");
    let api = ApiServer::shared();
    let namespace = api.namespace().await;
    let reviewer = api.service_account(&namespace, "vault").await;
    api.bind(&namespace, "vault", "system:auth-delegator").await;
    let token = api.service_account(&namespace, "app").await;
    let policies = json!([reader(vault, "pods")]);

    vault.enable_auth("kubernetes");
    vault.write(
        "auth/kubernetes/config",
        &json!({
            "kubernetes_host": api.url(),
            "kubernetes_ca_cert": fs::read_to_string(api.ca_file()).unwrap(),
            "token_reviewer_jwt": reviewer,
        }),
    );
    vault.write(
        "auth/kubernetes/role/app",
        &json!({
            "bound_service_account_names": ["app"], "bound_service_account_namespaces": [namespace],
            "token_policies": policies,
        }),
    );
    let kubernetes = |token: &str| Auth::Kubernetes {
        mount: "kubernetes".to_owned(),
        role: "app".to_owned(),
        token: Arc::new(Given(token.to_owned())),
    };
    reads(&Store::new(settings(&vault.address(), "pods", KvVersion::V2, kubernetes(&token)))).await;
    let wrong = Store::new(settings(&vault.address(), "pods", KvVersion::V2, kubernetes(&reviewer)));
    let error = wrong.read("a").await.unwrap_err();
    assert_eq!(error.cause, Cause::Unauthenticated, "{error}");
    assert!(!error.message.contains(&reviewer), "no token in a message");

    vault.enable_auth("jwt");
    let key = fs::read_to_string(api.folder().join("accounts.pub")).unwrap();
    vault.write("auth/jwt/config", &json!({"jwt_validation_pubkeys": [key], "default_role": "app"}));
    vault.write(
        "auth/jwt/role/app",
        &json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["https://kubernetes.default.svc"],
            "bound_subject": format!("system:serviceaccount:{namespace}:app"), "token_policies": policies,
        }),
    );
    for role in [Some("app".to_owned()), None] {
        let token = Arc::new(Given(token.clone()));
        let auth = Auth::Jwt { mount: "jwt".to_owned(), role, token };
        reads(&Store::new(settings(&vault.address(), "pods", KvVersion::V2, auth))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate() {
    let vault = with_secret("machines");
    vault.enable_auth("cert");
    let role = json!({"certificate": vault.ca(), "token_policies": [reader(vault, "machines")], "token_ttl": "2s"});
    vault.write("auth/cert/certs/web", &role);
    let pair = vault.client_pair();
    for role in [Some("web".to_owned()), None] {
        let certificate = ClientCertificate { certificate: secret(&pair.certificate), key: secret(&pair.key) };
        let auth = Auth::Certificate { mount: "cert".to_owned(), role, certificate };
        let mut settings = settings(&vault.tls_address(), "machines", KvVersion::V2, auth);
        settings.ca = Some(vault.ca().into_bytes());
        let store = Store::new(settings);
        reads(&store).await;
        // Renewal wants the certificate again.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        reads(&store).await;
        assert_eq!(store.calls.of("RenewSelf"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_server_with_a_certificate_of_the_ca_is_spoken_to() {
    let vault = with_secret("secured");
    let root = || Auth::Token(secret(vault.root_token()));
    let mut good = settings(&vault.tls_address(), "secured", KvVersion::V2, root());
    good.ca = Some(vault.ca().into_bytes());
    assert!(Store::new(good).read("a").await.is_ok());
    let other = Vault::start_tls();
    let mut bad = settings(&vault.tls_address(), "secured", KvVersion::V2, root());
    bad.ca = Some(other.ca().into_bytes());
    let no_ca = settings(&vault.tls_address(), "secured", KvVersion::V2, root());
    for settings in [bad, no_ca] {
        let error = Store::new(settings).read("a").await.unwrap_err();
        assert_eq!(error.cause, Cause::Unavailable);
        assert!(error.message.contains("certificate"), "{error}");
    }
    let mut nonsense = settings(&vault.tls_address(), "secured", KvVersion::V2, root());
    nonsense.ca = Some(b"no certificate".to_vec());
    let gate = bulla::providers::Gate::unmetered("HashiCorp/Vault");
    let error = bulla::providers::vault::connect(nonsense, gate).err().unwrap();
    assert_eq!(error.cause, Cause::Misconfigured);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_certificate_is_shown_ours() {
    let vault = Vault::start_mutual_tls();
    let pair = vault.client_pair();
    let own = |key: &str| ClientCertificate { certificate: secret(&pair.certificate), key: secret(key) };
    let with = |client_certificate: Option<ClientCertificate>| {
        let auth = Auth::Token(secret(vault.root_token()));
        let mut settings = settings(&vault.tls_address(), "any", KvVersion::V2, auth);
        settings.ca = Some(vault.ca().into_bytes());
        settings.client_certificate = client_certificate;
        settings
    };
    Store::new(with(Some(own(&pair.key)))).provider.validate().await.unwrap();
    let error = Store::new(with(None)).provider.validate().await.unwrap_err();
    assert_eq!(error.cause, Cause::Unavailable, "{error}");
    let gate = bulla::providers::Gate::unmetered("HashiCorp/Vault");
    let error = bulla::providers::vault::connect(with(Some(own("key-canary"))), gate).err().unwrap();
    assert_eq!(error.cause, Cause::Misconfigured);
    assert!(!error.message.contains("canary"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_headers_are_sent_with_the_login_and_the_reads() {
    let vault = Vault::start();
    vault.enable_kv("spaces", 2);
    let auth = approle(&vault, "spaces", "spaces", &json!({}));
    let mut settings = settings(&vault.address(), "spaces", KvVersion::V2, auth);
    settings.namespace = Some("team/a".to_owned());
    settings.auth_namespace = Some("logins".to_owned());
    settings.headers.insert("X-Team".to_owned(), "core".to_owned());
    let store = Store::new(settings);
    // This edition has no namespaces and serves or refuses as it likes: what was sent is in its audit log.
    drop(store.read("a").await);
    let sent = |path: &str| -> Vec<Value> {
        let is_it = |entry: &&Value| entry["request"]["path"] == path;
        vault.audit().iter().filter(is_it).map(|entry| entry["request"]["headers"].clone()).collect()
    };
    let headers = |namespace: &str| [json!({"x-vault-namespace": [namespace], "x-team": ["core"]})];
    assert_eq!(sent("auth/approle/login"), headers("logins"));
    assert_eq!(sent("spaces/data/a"), headers("team/a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_node_is_asked_for() {
    let vault = shared();
    let mut settings = settings(&vault.address(), "any", KvVersion::V2, Auth::Token(secret(vault.root_token())));
    settings.forward_inconsistent = true;
    // This server is not set up to forward, and says that it was asked to.
    let error = Store::new(settings).read("a").await.unwrap_err();
    assert!(error.message.contains("forward-active-node"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let vault = shared();
    let gate = || bulla::providers::Gate::unmetered("HashiCorp/Vault");
    let refused = |change: &dyn Fn(&mut bulla::providers::vault::Settings)| {
        let auth = Auth::Token(secret(vault.root_token()));
        let mut settings = settings(&vault.address(), "any", KvVersion::V2, auth);
        change(&mut settings);
        bulla::providers::vault::connect(settings, gate()).err().expect("settings that cannot be used").cause
    };
    assert_eq!(refused(&|settings| settings.server = "vault:8200".to_owned()), Cause::Misconfigured);
    assert_eq!(refused(&|settings| settings.mount = Some("../sys".to_owned())), Cause::Misconfigured);
    assert_eq!(refused(&|settings| settings.namespace = Some("a\nb".to_owned())), Cause::Misconfigured);
    assert_eq!(refused(&|settings| settings.auth = Auth::Token(secret("a\nb"))), Cause::Misconfigured);
    assert_eq!(refused(&|settings| settings.auth = Auth::Token(secret(""))), Cause::Misconfigured);
    assert!(as_root(vault, "any", KvVersion::V2).provider.validate().await.is_ok());
}
