//! The contract on both KV engines of the real Vault, each test with a mount of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bulla::providers::vault::{Auth, KvVersion, Settings, connect};
use bulla::providers::{Gate, Provider};
use bulla::secret::Plaintext;
use serde_json::json;

use crate::contract::{self, Backend, Traits};
use crate::support::vault::Vault;

struct Mount {
    vault: &'static Vault,
    name: String,
    version: KvVersion,
}

/// A mount that nobody else uses.
async fn mount(version: KvVersion) -> Mount {
    static VAULT: OnceLock<Vault> = OnceLock::new();
    static USED: AtomicUsize = AtomicUsize::new(0);
    let vault = VAULT.get_or_init(Vault::start);
    let name = format!("contract-{}", USED.fetch_add(1, Ordering::SeqCst));
    vault.enable_kv(&name, if version == KvVersion::V1 { 1 } else { 2 });
    Mount { vault, name, version }
}

impl Mount {
    fn path(&self, kind: &str, key: &str) -> String {
        match self.version {
            KvVersion::V1 => format!("{}/{key}", self.name),
            KvVersion::V2 => format!("{}/{kind}/{key}", self.name),
        }
    }
}

impl Backend for Mount {
    async fn put(&self, entries: &[(String, Vec<u8>)]) {
        for (key, value) in entries {
            let data = json!({"value": str::from_utf8(value).expect("Vault holds text")});
            let body = if self.version == KvVersion::V1 { data } else { json!({"data": data}) };
            self.vault.write(&self.path("data", key), &body);
        }
    }

    async fn delete(&self, key: &str) {
        self.vault.delete(&self.path("data", key));
    }

    fn provider(&self, gate: Gate) -> Arc<dyn Provider> {
        let settings = Settings {
            server: self.vault.address(),
            mount: Some(self.name.clone()),
            version: self.version,
            namespace: None,
            auth_namespace: None,
            ca: None,
            client_certificate: None,
            headers: BTreeMap::new(),
            forward_inconsistent: false,
            auth: Auth::Token(Plaintext::copy_of(self.vault.root_token().as_bytes())),
            retries: 0,
            retry_interval: Duration::from_millis(50),
        };
        connect(settings, gate).unwrap()
    }

    fn traits(&self) -> Traits {
        // One read a path, and one look at the token.
        Traits { binary: false, calls_for_100: 101, ..Traits::default() }
    }
}

mod v1 {
    use super::*;

    contract::contract!(mount(KvVersion::V1));
}

mod v2 {
    use super::*;

    contract::contract!(mount(KvVersion::V2));
}
