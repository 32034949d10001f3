//! Every command of the real kubeseal that talks to the controller, and the ones around it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::{Identity, Recipient, Scope};
use bulla::server::ServerConfig;
use serde_json::{Value, json};

use crate::world::{CANARY, World, add_native, documents, rsa};

fn secret(world: &World, name: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": world.namespace, "labels": {"team": "payments"}},
        "stringData": {"password": CANARY},
    })
    .to_string()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn all(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fetch_cert_gets_the_newest_certificate() {
    let world = World::new(2).await;
    assert_eq!(world.kubeseal_says(&["--fetch-cert"], ""), rsa(1).certificate);
    world.rotate_key(2).await;
    assert_eq!(world.kubeseal_says(&["--fetch-cert"], ""), rsa(2).certificate);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_certificate_fetch_cert_says_how_to_get_one() {
    let world = World::new(0).await;
    let said = world.kubeseal_complains(&["--fetch-cert"], "");
    assert!(said.contains("has no certificate for kubeseal") && said.contains("sealed-secrets-key=active"), "{said}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_it_seals_by_the_clusters_certificate_opens() {
    let world = World::new(1).await;
    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        let sealed = world.kubeseal_says(&["--format", "yaml", "--scope", scope], &secret(&world, scope));
        assert!(!sealed.contains(CANARY));
        assert_eq!(world.kubeseal_says(&["--validate"], &sealed), "");
        world.apply(&yaml(&sealed)).await;
        assert_eq!(world.secret(scope).await, [("password".to_owned(), CANARY.to_owned())]);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn validate_tells_good_from_renamed() {
    let world = World::new(2).await;
    let sealed = world.kubeseal_says(&[], &secret(&world, "db"));
    world.kubeseal_says(&["--validate"], &sealed);
    let mut renamed: Value = serde_json::from_str(&sealed).unwrap();
    renamed["metadata"]["name"] = json!("other");
    let said = world.kubeseal_complains(&["--validate"], &renamed.to_string());
    assert!(said.contains("unable to decrypt sealed secret: other"), "{said}");
    let mut moved: Value = serde_json::from_str(&sealed).unwrap();
    moved["metadata"]["namespace"] = json!("elsewhere");
    world.kubeseal_complains(&["--validate"], &moved.to_string());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn re_encrypt_seals_to_the_newest_certificate_and_loses_nothing() {
    let world = World::new(1).await;
    let mut before = yaml(&world.kubeseal_says(&["--format", "yaml"], &secret(&world, "db")));
    before["metadata"]["labels"] = json!({"app": "db"});
    before["spec"]["template"]["data"] = json!({"url": "postgres://app:{{ .password }}@db"});
    world.rotate_key(1).await;
    let after = yaml(&world.kubeseal_says(&["--re-encrypt", "--format", "yaml"], &documents(&[before.clone()])));
    let value = |object: &Value| object["spec"]["encryptedData"]["password"].as_str().unwrap().to_owned();
    assert_ne!(value(&before), value(&after));
    let without_value = |object: &Value| {
        let mut object = object.clone();
        object["spec"]["encryptedData"]["password"].take();
        // kubeseal itself writes these.
        for path in ["/metadata", "/spec/template/metadata"] {
            object.pointer_mut(path).unwrap().as_object_mut().unwrap().remove("creationTimestamp");
        }
        object
    };
    assert_eq!(without_value(&before), without_value(&after));
    // The old key alone no longer opens it, the new one alone does.
    let recover = |index: usize| {
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), &rsa(index).key).unwrap();
        let path = key.path().display().to_string();
        world.kubeseal(&["--recovery-unseal", "--recovery-private-key", &path], &after.to_string())
    };
    assert!(!recover(0).status.success());
    let opened: Value = serde_json::from_slice(&recover(1).stdout).unwrap();
    assert_eq!(opened["data"]["password"], STANDARD.encode(CANARY));
    // Sealed to the newest already: the same bytes.
    let again = yaml(&world.kubeseal_says(&["--re-encrypt", "--format", "yaml"], &documents(&[after.clone()])));
    assert_eq!(value(&again), value(&after));
    world.apply(&after).await;
    let url = format!("postgres://app:{CANARY}@db");
    assert!(world.secret("db").await.contains(&("url".to_owned(), url)));
    world.stop().await;
}

/// kubeseal knows nothing of native values and hands them on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn native_values_pass_through_kubeseal() {
    let world = World::new(2).await;
    let [old, new] = [(); 2].map(|()| Identity::generate_hybrid().unwrap());
    add_native(&world, "old", &old, "opening").await;
    add_native(&world, "new", &new, "active").await;
    let value = |to: &Recipient, key: &str| world.sealed(to, Scope::Strict, "db", key);
    let values = json!({
        "fresh": value(new.recipient(), "fresh"),
        "native": value(old.recipient(), "native"),
        "rsa": value(&rsa(0).recipient(), "rsa"),
    });
    let before = world.object("db", &values);
    world.kubeseal_says(&["--validate"], &before.to_string());
    let after: Value = serde_json::from_str(&world.kubeseal_says(&["--re-encrypt"], &before.to_string())).unwrap();
    world.kubeseal_says(&["--validate"], &after.to_string());
    let changed = |key: &str| before["spec"]["encryptedData"][key] != after["spec"]["encryptedData"][key];
    assert_eq!(["fresh", "native", "rsa"].map(changed), [false, true, true]);
    world.apply(&after).await;
    assert_eq!(world.secret("db").await.len(), 3);
    world.stop().await;
}

/// More documents than the rate allows: the client waits as it is told and comes through.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn re_encrypt_and_validate_take_files_of_many_documents_within_the_rate() {
    let world = World::with(2, ServerConfig::default()).await;
    let objects: Vec<Value> = (0..6)
        .map(|index| {
            let name = format!("db-{index}");
            world.object(&name, &json!({"a": world.sealed(&rsa(index % 2).recipient(), Scope::Strict, &name, "a")}))
        })
        .collect();
    let file = documents(&objects);
    world.kubeseal_says(&["--validate"], &file);
    let after = all(&world.kubeseal_says(&["--re-encrypt", "--format", "yaml"], &file));
    assert_eq!(after.len(), objects.len());
    for (index, (before, after)) in objects.iter().zip(&after).enumerate() {
        assert_eq!(before["metadata"]["name"], after["metadata"]["name"]);
        let is_stale = index % 2 == 0;
        assert_eq!(before["spec"]["encryptedData"] != after["spec"]["encryptedData"], is_stale, "{index}");
    }
    let metrics = tokio::task::block_in_place(|| crate::client::call(world.metrics_port, "GET", "/metrics", &[], b""));
    assert!(
        metrics.body.contains(r#"path="/v1/verify",code="429",method="post""#),
        "the limit was met: {}",
        metrics.body
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn re_encrypt_repeats_what_the_server_says() {
    let world = World::new(1).await;
    let value = world.sealed(&rsa(1).recipient(), Scope::Strict, "db", "a");
    let foreign = world.object("db", &json!({"a": value}));
    // kubeseal keeps the text of other codes to itself; ours is in its client library's own words.
    let said = world.kubeseal_complains(&["--re-encrypt"], &foreign.to_string());
    assert!(said.contains("cannot re-encrypt secret: the SealedSecret was not sealed again"), "{said}");
    world.stop().await;

    let mut config = ServerConfig::default();
    config.rotate = false;
    let world = World::with(1, config).await;
    let value = world.sealed(&rsa(0).recipient(), Scope::Strict, "db", "a");
    let object = world.object("db", &json!({"a": value})).to_string();
    let said = world.kubeseal_complains(&["--re-encrypt"], &object);
    assert!(said.contains("--disable-rotate-api"), "{said}");
    world.kubeseal_says(&["--validate"], &object);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn raw_values_open_where_they_are_put() {
    let world = World::new(1).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), CANARY).unwrap();
    let from = format!("--from-file={}", file.path().display());
    for scope in [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide] {
        let name = scope.as_str();
        let value = world.kubeseal_says(&["--raw", &from, "--name", name, "--scope", name], "");
        let mut object = world.object(name, &json!({"password": value}));
        if let Some(annotation) = scope.annotation() {
            object["metadata"]["annotations"] = json!({annotation: "true"});
        }
        world.kubeseal_says(&["--validate"], &object.to_string());
        world.apply(&object).await;
        assert_eq!(world.secret(name).await, [("password".to_owned(), CANARY.to_owned())]);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn merge_into_adds_a_value_beside_the_others() {
    let world = World::new(2).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.yaml");
    let old = world.kubeseal_says(&["--format", "yaml"], &secret(&world, "db"));
    std::fs::write(&path, &old).unwrap();
    let more = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": world.namespace},
        "stringData": {"user": "app"},
    });
    world.kubeseal_says(&["--merge-into", path.to_str().unwrap(), "--format", "yaml"], &more.to_string());
    let merged = yaml(&std::fs::read_to_string(&path).unwrap());
    assert_eq!(merged["spec"]["encryptedData"]["password"], yaml(&old)["spec"]["encryptedData"]["password"]);
    world.kubeseal_says(&["--validate"], &merged.to_string());
    world.apply(&merged).await;
    let expected = [("password", CANARY), ("user", "app")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(world.secret("db").await, expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recovery_unseal_needs_only_a_backup_of_the_key_secrets() {
    let world = World::new(2).await;
    let sealed = world.kubeseal_says(&[], &secret(&world, "db"));
    let folder = tempfile::tempdir().unwrap();
    let recover = |index: usize, backup: &str| {
        let path = folder.path().join(format!("{index}.json"));
        std::fs::write(&path, backup).unwrap();
        world.kubeseal(&["--recovery-unseal", "--recovery-private-key", path.to_str().unwrap()], &sealed)
    };
    let opened = recover(1, &world.key_backup(1).await);
    let opened: Value = serde_json::from_slice(&opened.stdout).unwrap();
    assert_eq!(opened["data"]["password"], STANDARD.encode(CANARY));
    let refused = recover(0, &world.key_backup(0).await);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no key could decrypt secret"));
    world.stop().await;
}
