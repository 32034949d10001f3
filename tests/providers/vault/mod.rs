//! HashiCorp Vault against the real server.

mod log;
mod login;
mod outage;
mod reads;
mod redirect;
mod token;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bulla::providers::gate::Meter;
use bulla::providers::vault::{Auth, KvVersion, Settings, connect};
use bulla::providers::{Gate, Provider, ProviderError};
use bulla::secret::Plaintext;
use bulla::sync::pressure::Budget;
use bulla::sync::remote::{Answer, Document, Fetched, Find, Lookup, Request};
use serde_json::{Value, json};

use crate::support::vault::Vault;

/// The server that tests share which do not stop it.
fn shared() -> &'static Vault {
    static SHARED: OnceLock<Vault> = OnceLock::new();
    SHARED.get_or_init(Vault::start_tls)
}

/// Counts calls by name, those that failed apart.
#[derive(Default)]
struct Calls(Mutex<BTreeMap<(&'static str, bool), usize>>);

impl Meter for Calls {
    fn called(&self, provider: &'static str, call: &'static str, is_ok: bool, _: Duration) {
        assert_eq!(provider, "HashiCorp/Vault");
        *self.0.lock().unwrap().entry((call, is_ok)).or_default() += 1;
    }
}

impl Calls {
    /// How many were answered.
    fn of(&self, call: &'static str) -> usize {
        self.0.lock().unwrap().get(&(call, true)).copied().unwrap_or_default()
    }

    /// How many were not.
    fn failed(&self, call: &'static str) -> usize {
        self.0.lock().unwrap().get(&(call, false)).copied().unwrap_or_default()
    }
}

/// A provider under test.
struct Store {
    provider: Arc<dyn Provider>,
    calls: Arc<Calls>,
}

impl Store {
    fn new(settings: Settings) -> Self {
        log::listen();
        let calls = Arc::new(Calls::default());
        let meter = Arc::clone(&calls) as Arc<dyn Meter>;
        let gate = Gate::new("HashiCorp/Vault", Budget::new(100_000.0, 100_000.0), meter);
        Self { provider: connect(settings, gate).expect("settings that can be used"), calls }
    }

    async fn one(&self, request: Request) -> Result<Answer, ProviderError> {
        let mut answers = self.provider.fetch(vec![request]).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    async fn fetched(&self, request: Request) -> Result<Fetched, ProviderError> {
        match self.one(request).await? {
            Answer::One(fetched) => Ok(fetched),
            Answer::Many(_) => panic!("many answers to one question"),
        }
    }

    /// The JSON text of a value.
    async fn read(&self, key: &str) -> Result<String, ProviderError> {
        self.fetched(value(key)).await.map(|fetched| text(&fetched))
    }

    async fn find(&self, find: Find) -> Result<BTreeMap<String, String>, ProviderError> {
        match self.one(Request::Find(find)).await? {
            Answer::Many(found) => Ok(found.iter().map(|(name, fetched)| (name.clone(), text(fetched))).collect()),
            Answer::One(_) => panic!("one answer to a find"),
        }
    }
}

fn text(fetched: &Fetched) -> String {
    match &fetched.document {
        Document::Object(text) => String::from_utf8(text.expose().to_vec()).unwrap(),
        Document::Opaque(_) | Document::Fields(_) => panic!("not what Vault answers"),
    }
}

fn value(key: &str) -> Request {
    Request::Value(Lookup { key: key.to_owned(), version: None })
}

fn settings(server: &str, mount: &str, version: KvVersion, auth: Auth) -> Settings {
    Settings {
        server: server.to_owned(),
        mount: (!mount.is_empty()).then(|| mount.to_owned()),
        version,
        namespace: None,
        auth_namespace: None,
        ca: None,
        client_certificate: None,
        headers: BTreeMap::new(),
        forward_inconsistent: false,
        auth,
        retries: 0,
        retry_interval: Duration::from_millis(50),
    }
}

fn secret(text: &str) -> Plaintext {
    Plaintext::copy_of(text.as_bytes())
}

/// A store of `vault` as root.
fn as_root(vault: &Vault, mount: &str, version: KvVersion) -> Store {
    Store::new(settings(&vault.address(), mount, version, Auth::Token(secret(vault.root_token()))))
}

/// A policy that may read and list below `mount`.
fn reader(vault: &Vault, mount: &str) -> String {
    vault.policy(mount, &format!("path \"{mount}/*\" {{ capabilities = [\"read\", \"list\"] }}"));
    mount.to_owned()
}

/// The login of an AppRole `name` that may read `mount`; `extra` are more settings of the role.
fn approle(vault: &Vault, name: &str, mount: &str, extra: &Value) -> Auth {
    let mut role = json!({"token_policies": [reader(vault, mount)]});
    role.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let (role_id, secret_id) = vault.approle(name, &role);
    Auth::AppRole { mount: "approle".to_owned(), role_id: secret(&role_id), secret_id: secret(&secret_id) }
}
