//! Values of a real Vault.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{GROUP, Host, note, only, refused, takes, text};
use crate::servers::vault::Vault;

/// The server that tests share which do not stop it.
fn shared() -> &'static Vault {
    static SHARED: OnceLock<Vault> = OnceLock::new();
    SHARED.get_or_init(|| prepared(Vault::start()))
}

fn prepared(vault: Vault) -> Vault {
    vault.enable_kv("kv", 2);
    vault.policy("reader", "path \"kv/*\" { capabilities = [\"read\", \"list\"] }");
    vault
}

fn put(vault: &Vault, path: &str, values: Value) {
    vault.write(&format!("kv/data/{path}"), &json!({"data": values}));
}

/// Commits a store whose AppRole has its secret id in a SealedSecret of the group.
fn approle(host: &mut Host, vault: &Vault, role: &str) {
    let settings = json!({"token_policies": ["reader"], "token_ttl": "10m"});
    let (role_id, secret_id) = vault.approle(role, &settings);
    host.seal("approle", &[("secret-id", &secret_id)]);
    let auth = json!({"appRole": {
        "path": "approle", "roleId": role_id, "secretRef": {"name": "approle", "key": "secret-id"}
    }});
    host.store("vault", json!({"vault": {"server": vault.address(), "path": "kv", "version": "v2", "auth": auth}}));
}

/// How often a path was read; that the test wrote it does not count.
fn reads(vault: &Vault, path: &str) -> usize {
    let is_read = |entry: &&Value| entry["request"]["path"] == path && entry["request"]["operation"] == "read";
    vault.audit().iter().filter(is_read).count()
}

fn logins(vault: &Vault) -> usize {
    vault.count("auth/approle/login")
}

#[tokio::test]
async fn an_approle_with_a_sealed_secret_id_reads_key_values_with_one_login() {
    let vault = prepared(Vault::start());
    put(&vault, "db", json!({"user": "app", "password": "s3cret"}));
    put(&vault, "api", json!({"token": "abc"}));
    let mut host = Host::new();
    approle(&mut host, &vault, "one-login");
    host.external_secret("db", takes("vault", "db", "1h"));
    host.external_secret("again", takes("vault", "db", "1h"));
    host.external_secret(
        "api",
        json!({
            "secretStoreRef": {"name": "vault"},
            "data": [{"secretKey": "t", "remoteRef": {"key": "api", "property": "token"}}],
            "target": {"name": "api-token", "template": {"data": {"header": "Bearer {{ .t | upper }}"}}}
        }),
    );
    let mut external = host.external();
    let answered = host.pass(&mut external).await;
    let targets: Vec<_> = answered.targets.iter().map(|target| target.as_ref().unwrap()).collect();
    assert_eq!((text(targets[0], "user"), text(targets[0], "password")), (Some("app"), Some("s3cret")));
    assert_eq!((targets[2].name.as_str(), text(targets[2], "header")), ("api-token", Some("Bearer ABC")));
    assert!(answered.stale.is_empty());
    assert_eq!((logins(&vault), reads(&vault, "kv/data/db"), reads(&vault, "kv/data/api")), (1, 1, 1));
    let next = answered.refresh.unwrap().as_secs();
    assert!((3200..=3600).contains(&next), "{next}");

    // Another commit, the same objects: nothing is asked.
    let answered = host.pass(&mut external).await;
    assert_eq!(answered.targets.len(), 3);
    assert!(answered.targets.iter().all(Result::is_ok));
    assert_eq!((logins(&vault), reads(&vault, "kv/data/db")), (1, 1));

    // One object changes: it is asked for, and the others are not.
    host.external_secret("api", takes("vault", "api", "1h"));
    let answered = host.pass(&mut external).await;
    assert_eq!(text(answered.targets[2].as_ref().unwrap(), "token"), Some("abc"));
    assert_eq!((logins(&vault), reads(&vault, "kv/data/db"), reads(&vault, "kv/data/api")), (1, 1, 2));

    external.close().await;
    assert_eq!(vault.count("auth/token/revoke-self"), 1, "the login is given back");
}

#[tokio::test]
async fn a_value_that_changes_in_vault_arrives_after_its_interval() {
    let vault = shared();
    put(vault, "changing", json!({"password": "old"}));
    let mut host = Host::new();
    approle(&mut host, vault, "changing");
    host.external_secret("db", takes("vault", "changing", "2s"));
    let mut external = host.external();
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("old"));
    put(vault, "changing", json!({"password": "new"}));
    let answered = host.pass(&mut external).await;
    assert_eq!(only(&answered, "password"), Some("old"), "it is not due yet");
    assert!(answered.refresh.unwrap().as_secs_f64() <= 2.0);
    let answered = host.pass_until(&mut external, |answered| only(answered, "password") == Some("new")).await;
    assert_eq!(note(&answered), None);
    external.close().await;
}

#[tokio::test]
async fn while_vault_is_away_the_last_good_value_is_used_and_then_a_fresh_one() {
    let vault = prepared(Vault::start());
    put(&vault, "db", json!({"password": "first"}));
    let mut host = Host::new();
    host.seal("token", &[("token", &format!("{}\n", vault.root_token()))]);
    let auth = json!({"tokenSecretRef": {"name": "token", "key": "token"}});
    host.store("vault", json!({"vault": {"server": vault.address(), "path": "kv", "version": "v2", "auth": auth}}));
    host.external_secret("db", takes("vault", "db", "1s"));
    let mut external = host.external();
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("first"));

    vault.stop();
    let answered = host.pass_until(&mut external, |answered| note(answered).is_some()).await;
    assert_eq!(only(&answered, "password"), Some("first"));
    let said = note(&answered).unwrap();
    assert!(said.contains("SecretStore \"vault\"") && said.contains("what was fetched at 20"), "{said}");
    assert!(!said.contains("first"), "{said}");

    // A start without network: the value is from the disk, and it is said to be old.
    drop(external);
    let mut external = host.external();
    let answered = host.pass_until(&mut external, |answered| note(answered).is_some()).await;
    assert_eq!(only(&answered, "password"), Some("first"));
    assert!(answered.refresh.is_some(), "it is tried again");

    vault.restart();
    put(&vault, "db", json!({"password": "second"}));
    let answered = host.pass_until(&mut external, |answered| only(answered, "password") == Some("second")).await;
    assert_eq!(note(&answered), None);
    external.close().await;
}

#[tokio::test]
async fn a_start_within_the_interval_asks_nobody() {
    let vault = shared();
    put(vault, "calm", json!({"password": "calm"}));
    let mut host = Host::new();
    approle(&mut host, vault, "calm");
    host.external_secret("db", takes("vault", "calm", "1h"));
    let mut external = host.external();
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("calm"));
    external.close().await;
    let mut external = host.external();
    let answered = host.pass(&mut external).await;
    assert_eq!((only(&answered, "password"), note(&answered)), (Some("calm"), None));
    assert_eq!(reads(vault, "kv/data/calm"), 1);
    external.close().await;
}

#[tokio::test]
async fn a_secret_id_that_is_sealed_anew_is_tried_at_once() {
    let vault = shared();
    put(vault, "late", json!({"password": "late"}));
    let mut host = Host::new();
    approle(&mut host, vault, "late");
    let right = host.documents.iter().find(|document| document["kind"] == "SealedSecret").unwrap().clone();
    host.seal("approle", &[("secret-id", "00000000-0000-0000-0000-000000000000")]);
    host.external_secret("db", takes("vault", "late", "1h"));
    let mut external = host.external();
    let answered = host.pass(&mut external).await;
    let problem = refused(&answered);
    assert!(problem.contains("SecretStore \"vault\"") && !problem.contains("00000000"), "{problem}");
    let next = answered.refresh.unwrap();
    assert!(next.as_secs() >= 4, "a refusal is not answered by haste: {next:?}");
    host.commit(right);
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("late"));
    external.close().await;
}

#[tokio::test]
async fn what_a_host_does_not_have_is_said() {
    let mut host = Host::new();
    let server = "http://127.0.0.1:1";
    let kubernetes = json!({"mountPath": "kubernetes", "role": "r", "serviceAccountRef": {"name": "app"}});
    host.store("accounts", json!({"vault": {"server": server, "path": "kv", "auth": {"kubernetes": kubernetes}}}));
    host.external_secret("db", takes("accounts", "db", "1h"));
    let mut external = host.external();
    let answered = host.pass(&mut external).await;
    let problem = refused(&answered);
    assert!(problem.contains("a service account's token takes a Kubernetes cluster"), "{problem}");

    let own = json!({"mountPath": "kubernetes", "role": "r"});
    host.cluster_store(
        "own",
        json!({"provider": {"vault": {"server": server, "path": "kv", "auth": {"kubernetes": own}}}}),
    );
    let mut wide = takes("own", "db", "1h");
    wide["secretStoreRef"]["kind"] = json!("ClusterSecretStore");
    host.external_secret("db", wide);
    let answered = host.pass(&mut external).await;
    let problem = refused(&answered);
    assert!(problem.contains("the program's own service account takes a Kubernetes cluster"), "{problem}");

    host.store(
        "absent",
        json!({"vault": {"server": server, "path": "kv", "auth": {
            "tokenSecretRef": {"name": "nothing", "key": "token"}
        }}}),
    );
    host.external_secret("db", takes("absent", "db", "1h"));
    let answered = host.pass(&mut external).await;
    let expected = format!("there is no SealedSecret \"nothing\" in namespace \"{GROUP}\"");
    assert!(refused(&answered).contains(&expected), "{}", refused(&answered));
}
