//! Where the remote secrets are: a real server, filled before any clock runs, and the bare client that reads it.

use anyhow::{Context as _, ensure};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use serde_json::{Value, json};

use crate::arguments::Scenario;
use crate::cluster::bed::{NAMESPACE, in_parallel};
use crate::support::moto::Moto;
use crate::support::vault::Vault;

/// The Secret that the store reads its credentials from.
pub(crate) const CREDENTIALS: &str = "credentials";
/// What each property holds.
pub(crate) const VALUE: &str = "correct horse battery staple 123";

const REGION: &str = "eu-central-1";
const MOUNT: &str = "bench";
/// Secrets in one call of `BatchGetSecretValue`.
const BATCH: usize = 20;
/// Calls at the same time: as many as the controller makes.
const AWS_WIDTH: usize = 4;
const VAULT_WIDTH: usize = 64;

/// A running server with the secrets of a scenario.
pub(crate) struct Source {
    server: Server,
    /// How many keys there are.
    keys: usize,
}

enum Server {
    Aws(Moto),
    Vault { vault: Box<Vault>, role_id: String, secret_id: String },
}

/// The remote key of object `number` where there are `keys`.
pub(crate) fn key(number: usize, keys: usize) -> String {
    format!("team/object-{:06}", number % keys)
}

impl Source {
    /// Starts the server that a scenario of `count` objects needs, and fills it.
    pub(crate) async fn of(scenario: Scenario, count: usize) -> anyhow::Result<Self> {
        match scenario {
            Scenario::Keys | Scenario::Large => Self::aws(count).await,
            Scenario::Shared => Self::aws(1).await,
            Scenario::Vault => Ok(Self::vault(count)),
        }
    }

    async fn aws(keys: usize) -> anyhow::Result<Self> {
        let moto = Moto::start();
        let client = client(&moto);
        let filling = in_parallel(keys, AWS_WIDTH, move |number| {
            let client = client.clone();
            async move {
                let text = document().to_string();
                client.create_secret().name(key(number, keys)).secret_string(text).send().await?;
                Ok(())
            }
        });
        filling.await.context("filling moto")?;
        Ok(Self { server: Server::Aws(moto), keys })
    }

    fn vault(keys: usize) -> Self {
        let vault = Vault::start();
        vault.enable_kv(MOUNT, 2);
        vault.policy("bench", &format!("path \"{MOUNT}/*\" {{ capabilities = [\"read\", \"list\"] }}"));
        let settings = json!({"token_policies": ["bench"], "token_ttl": "1h"});
        let (role_id, secret_id) = vault.approle("bench", &settings);
        for number in 0..keys {
            vault.write(&format!("{MOUNT}/data/{}", key(number, keys)), &json!({"data": document()}));
        }
        Self { server: Server::Vault { vault: Box::new(vault), role_id, secret_id }, keys }
    }

    pub(crate) const fn keys(&self) -> usize {
        self.keys
    }

    /// The `spec.provider` of a store.
    pub(crate) fn provider(&self) -> Value {
        let credential = |key: &str| json!({"name": CREDENTIALS, "key": key});
        match &self.server {
            Server::Aws(moto) => json!({"aws": {
                "service": "SecretsManager",
                "region": REGION,
                "endpoint": moto.endpoint(),
                "auth": {"secretRef": {
                    "accessKeyIDSecretRef": credential("id"),
                    "secretAccessKeySecretRef": credential("key"),
                }},
            }}),
            Server::Vault { vault, role_id, .. } => json!({"vault": {
                "server": vault.address(),
                "path": MOUNT,
                "version": "v2",
                "auth": {"appRole": {"path": "approle", "roleId": role_id, "secretRef": credential("key")}},
            }}),
        }
    }

    /// The Secret with the credentials.
    pub(crate) fn credentials(&self) -> Value {
        let key = match &self.server {
            Server::Aws(_) => "of-the-bench",
            Server::Vault { secret_id, .. } => secret_id,
        };
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": CREDENTIALS, "namespace": NAMESPACE},
            "stringData": {"id": "AKIABENCH", "key": key},
        })
    }

    /// How many requests the server has had, by what it wrote down itself.
    pub(crate) fn requests(&self) -> usize {
        match &self.server {
            Server::Aws(moto) => moto.log().lines().filter(|line| line.contains("\"POST / HTTP")).count(),
            Server::Vault { vault, .. } => vault.audit().len(),
        }
    }

    /// Reads every key once, as fast as it goes, and gives how many calls that took.
    pub(crate) async fn read_all(&self) -> anyhow::Result<usize> {
        match &self.server {
            Server::Aws(moto) => read_aws(client(moto), self.keys).await,
            Server::Vault { vault, role_id, secret_id } => {
                read_vault(vault.address(), role_id, secret_id, self.keys).await
            }
        }
    }
}

fn document() -> Value {
    json!({"username": VALUE, "password": VALUE})
}

fn client(moto: &Moto) -> Client {
    let credentials = Credentials::new("AKIABENCH", "of-the-bench", None, None, "bench");
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).region(Region::new(REGION));
    Client::from_conf(config.credentials_provider(credentials).endpoint_url(moto.endpoint()).build())
}

async fn read_aws(client: Client, keys: usize) -> anyhow::Result<usize> {
    let calls = keys.div_ceil(BATCH);
    let reading = in_parallel(calls, AWS_WIDTH, move |call| {
        let client = client.clone();
        async move {
            let names: Vec<_> = (call * BATCH..keys.min((call + 1) * BATCH)).map(|number| key(number, keys)).collect();
            let wanted = names.len();
            let answer = client.batch_get_secret_value().set_secret_id_list(Some(names)).send().await?;
            ensure!(answer.secret_values().len() == wanted, "moto gave too few values");
            Ok(())
        }
    });
    reading.await.context("reading from moto")?;
    Ok(calls)
}

async fn read_vault(address: String, role_id: &str, secret_id: &str, keys: usize) -> anyhow::Result<usize> {
    let client = reqwest::Client::new();
    let login = json!({"role_id": role_id, "secret_id": secret_id}).to_string();
    let answer = client.post(format!("{address}/v1/auth/approle/login")).body(login).send().await?;
    let answer: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
    let token = answer["auth"]["client_token"].as_str().context("a token")?.to_owned();
    let reading = in_parallel(keys, VAULT_WIDTH, move |number| {
        let url = format!("{address}/v1/{MOUNT}/data/{}", key(number, keys));
        let request = client.get(url).header("x-vault-token", &token);
        async move {
            let body = request.send().await?.error_for_status()?.bytes().await?;
            ensure!(serde_json::from_slice::<Value>(&body)?["data"]["data"].is_object(), "Vault gave no value");
            Ok(())
        }
    });
    reading.await.context("reading from Vault")?;
    Ok(keys + 1)
}
