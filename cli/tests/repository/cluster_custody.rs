//! Keys out of a cluster and back, against the real API server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::custody::is_silent;
use crate::harness::{Run, SECRET};
use crate::support::audit::AuditEntry;
use crate::support::{objects, tools};
use crate::world::{World, json_of};

const OURS: &str = "bulla.dev/sealing-key";
const THEIRS: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";

/// A world with a recovery key, and files of more key pairs.
async fn world() -> World {
    let world = World::new().await;
    for name in ["recovery", "outside", "old", "older", "newest", "wrapped", "lost"] {
        let kind = if name == "old" { "x25519" } else { "hybrid" };
        let key = format!("{name}.key");
        let run = tokio::task::block_in_place(|| world.bench.run(&["keys", "generate", "--type", kind, "-o", &key]));
        world.bench.write(&format!("{name}.pub"), &run.exits(0).out);
    }
    world
}

/// Files of an RSA key and its certificate.
fn rsa(world: &World, name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    world.bench.write(&format!("{name}.crt"), &certificate);
    world.bench.write(&format!("{name}.pem"), &key.serialize_pem());
    (key.serialize_pem(), certificate)
}

async fn put(world: &World, name: &str, labels: Value, annotations: Value, kind: &str, data: Value) {
    let secret = json!({
        "metadata": {"name": name, "labels": labels, "annotations": annotations}, "type": kind, "stringData": data,
    });
    objects::create::<Secret>(&world.objects(), secret).await;
}

/// A key Secret of ours with the key in this file.
async fn native(world: &World, name: &str, file: &str, state: &str, made: &str) {
    let (identity, recipient) = (world.bench.read(&format!("{file}.key")), world.bench.read(&format!("{file}.pub")));
    let annotations = json!({
        "bulla.dev/created-at": made, "bulla.dev/values": "17", "bulla.dev/objects": "3", "team": "platform",
        "kubectl.kubernetes.io/last-applied-configuration": identity,
    });
    let data = json!({"identity": identity, "recipient": recipient.trim()});
    put(world, name, json!({OURS: state, "app": "bulla"}), annotations, "Opaque", data).await;
}

/// One whose private half is wrapped to `outside.key` by age.
async fn wrapped(world: &World, name: &str, file: &str) {
    let recipient = world.bench.path("outside.pub").display().to_string();
    let identity = world.bench.read(&format!("{file}.key"));
    let sealed = tools::stdout_of(tools::age(&["-R", &recipient], identity.as_bytes()));
    let secret = json!({
        "metadata": {"name": name, "labels": {OURS: "opening"}, "annotations": {"bulla.dev/wrapped-by": "age:x"}},
        "data": {"identity.age": STANDARD.encode(sealed), "recipient": STANDARD.encode(world.bench.read(&format!("{file}.pub")).trim())},
    });
    objects::create::<Secret>(&world.objects(), secret).await;
}

fn id(world: &World, file: &str) -> String {
    let rules = format!("version: 1\nrules:\n- path: '**'\n  recipientFiles: [{file}]\n");
    world.bench.write(".bulla.yaml", &rules);
    let run = tokio::task::block_in_place(|| world.bench.run(&["keys", "show", "--for", "x", "--output", "json"]));
    let keys: Value = serde_json::from_str(&run.exits(0).out).unwrap();
    keys[0]["id"].as_str().unwrap().to_owned()
}

/// Runs a verb of `bulla keys`; no private key may show.
fn keys(world: &World, arguments: &[&str]) -> Run {
    is_silent(world.keys(arguments))
}

/// The data of every Secret in a namespace.
async fn data_in(world: &World, namespace: &str) -> BTreeMap<String, BTreeMap<String, Vec<u8>>> {
    let api: Api<Secret> = Api::namespaced(world.api.client(), namespace);
    let secrets = api.list(&ListParams::default()).await.unwrap().items.into_iter();
    secrets
        .map(|secret| {
            let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
            (secret.metadata.name.unwrap(), data.collect())
        })
        .collect()
}

/// What the real age reads in a backup.
fn list_in(world: &World, file: &str) -> Value {
    let (key, file) = (world.bench.path("recovery.key"), world.bench.path(file));
    let arguments = ["-d", "-i", &key.display().to_string(), &file.display().to_string()];
    let text = String::from_utf8(tools::stdout_of(tools::age(&arguments, b""))).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// One key Secret of every sort.
async fn every_sort(world: &World) {
    native(world, "bulla-sealing-key-0003", "newest", "active", "2026-11-01T00:00:00Z").await;
    native(world, "bulla-sealing-key-0002", "old", "opening", "2026-10-01T00:00:00Z").await;
    native(world, "bulla-sealing-key-0001", "older", "compromised", "2026-09-01T00:00:00Z").await;
    wrapped(world, "bulla-sealing-key-0004", "wrapped").await;
    let (key, certificate) = rsa(world, "theirs");
    let data = json!({"tls.key": key, "tls.crt": certificate});
    put(world, "sealed-secrets-keyabcde", json!({THEIRS: "active"}), json!({}), "kubernetes.io/tls", data).await;
    let (key, certificate) = rsa(world, "legacy");
    let data = json!({"tls.key": key, "tls.crt": certificate});
    put(world, "sealed-secrets-key", json!({}), json!({}), "kubernetes.io/tls", data).await;
    put(world, "broken", json!({OURS: "active"}), json!({}), "Opaque", json!({"identity": "canary"})).await;
    // Nobody's business.
    put(world, "database", json!({}), json!({}), "Opaque", json!({"password": "canary-hunter2"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_every_key_as_it_is_and_asks_for_nothing_else() {
    let world = world().await;
    every_sort(&world).await;
    let token = world.api.service_account(&world.namespace, "backup").await;
    // What docs/recovery.md says.
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]);
    world.api.allow(&world.namespace, "backup", &rules).await;
    let kubeconfig = world.api.kubeconfig_as(&format!("{}-backup", world.namespace), &token).display().to_string();
    let mark = world.api.audit_mark();
    let arguments = ["keys", "backup", "--to", "recovery.pub", "-o", "keys.age", "--controller-namespace"];
    let arguments = [&arguments[..], &[&world.namespace, "--kubeconfig", &kubeconfig]].concat();
    let run = is_silent(tokio::task::block_in_place(|| world.bench.run(&arguments))).exits(0);
    assert!(!run.out.contains("canary"), "{}", run.out);
    for word in ["6 key(s)", "compromised", "wrapped by age", "Secret broken", "keys.age"] {
        assert!(run.out.contains(word), "{word}: {}", run.out);
    }
    let is_ours = |entry: &AuditEntry| entry.namespace == world.namespace && entry.user_agent != "bulla-test";
    let asked = world.api.audit_when_quiet(mark, Duration::from_millis(500), is_ours).await;
    let seen: Vec<(&str, &str, &str)> =
        asked.iter().map(|entry| (entry.verb.as_str(), entry.resource.as_str(), entry.name.as_str())).collect();
    assert_eq!(seen, [("list", "secrets", ""), ("list", "secrets", ""), ("get", "secrets", "sealed-secrets-key")]);

    let list = list_in(&world, "keys.age");
    let items = list["items"].as_array().unwrap();
    let live = data_in(&world, &world.namespace).await;
    assert_eq!(items.len(), live.len() - 1, "all but the password");
    for item in items {
        let name = item["metadata"]["name"].as_str().unwrap();
        assert_ne!(name, "database");
        let data: BTreeMap<String, Vec<u8>> = item["data"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), STANDARD.decode(value.as_str().unwrap()).unwrap()))
            .collect();
        assert_eq!(data, live[name], "{name}");
        let metadata = item["metadata"].as_object().unwrap();
        let words: Vec<&str> = metadata.keys().map(String::as_str).collect();
        assert!(words.iter().all(|word| ["name", "namespace", "labels", "annotations"].contains(word)), "{words:?}");
        assert!(item["metadata"]["annotations"]["bulla.dev/created-at"].is_string(), "{name} has a date");
    }
    let text = list.to_string();
    assert!(!text.contains("last-applied") && !text.contains("bulla.dev/values"), "{text}");
    let newest = items.iter().find(|item| item["metadata"]["name"] == "bulla-sealing-key-0003").unwrap();
    let metadata = json!({
        "name": "bulla-sealing-key-0003", "namespace": world.namespace, "labels": {OURS: "active", "app": "bulla"},
        "annotations": {
            "bulla.dev/created-at": "2026-11-01T00:00:00Z", "bulla.dev/key-id": id(&world, "newest.pub"), "team": "platform",
        },
    });
    assert_eq!(newest["metadata"], metadata);

    // Unwrapped on the way, as asked for.
    let run = keys(&world, &["backup", "--to", "recovery.pub", "-o", "open.age", "--unwrap", "outside.key"]).exits(0);
    assert!(run.out.contains("1 key(s) that the cluster wraps are not wrapped in the backup"), "{}", run.out);
    let list = list_in(&world, "open.age");
    let item =
        list["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "bulla-sealing-key-0004");
    let identity = STANDARD.decode(item.unwrap()["data"]["identity"].as_str().unwrap()).unwrap();
    assert!(world.bench.read("wrapped.key").contains(std::str::from_utf8(&identity).unwrap()));
    assert!(!list.to_string().contains("identity.age") && !list.to_string().contains("wrapped-by"));

    let nowhere = ["keys", "backup", "--to", "recovery.pub", "-o", "none.age", "--controller-namespace", "nowhere"];
    world.run(&nowhere).exits(1).says("no sealing key in namespace nowhere");
    assert!(!world.bench.path("none.age").exists());
    let token = world.api.service_account(&world.namespace, "nobody").await;
    let kubeconfig = world.api.kubeconfig_as(&format!("{}-nobody", world.namespace), &token).display().to_string();
    let arguments = ["keys", "backup", "--to", "recovery.pub", "-o", "none.age", "--controller-namespace"];
    let arguments = [&arguments[..], &[&world.namespace, "--kubeconfig", &kubeconfig]].concat();
    let run = tokio::task::block_in_place(|| world.bench.run(&arguments));
    run.exits(2).says("cannot list the key Secrets").says("docs/recovery.md");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_which_keys_are_missing_since() {
    let world = world().await;
    native(&world, "bulla-sealing-key-0001", "old", "active", "2026-10-01T00:00:00Z").await;
    keys(&world, &["backup", "--to", "recovery.pub", "-o", "keys.age"]).exits(0);
    let check = ["backup", "--check", "keys.age", "-i", "recovery.key", "--cluster"];
    let run = keys(&world, &check).exits(0);
    assert!(run.out.contains("every key of the cluster is in it"), "{}", run.out);
    // A new key, a state that changed, and a Secret that does not say which keys it holds.
    native(&world, "bulla-sealing-key-0002", "newest", "active", "2026-11-01T00:00:00Z").await;
    let newest = id(&world, "newest.pub");
    let patch = json!({"metadata": {"annotations": {"bulla.dev/key-id": newest}}});
    objects::patch::<Secret>(&world.objects(), "bulla-sealing-key-0002", patch).await;
    let patch = json!({"metadata": {
        "labels": {OURS: "opening"}, "annotations": {"bulla.dev/key-id": id(&world, "old.pub")},
    }});
    objects::patch::<Secret>(&world.objects(), "bulla-sealing-key-0001", patch).await;
    native(&world, "silent", "lost", "opening", "2026-11-02T00:00:00Z").await;
    let mark = world.api.audit_mark();
    let run = keys(&world, &check).exits(1).says("2 key(s) of the cluster are not in keys.age");
    assert!(run.out.contains(&format!("missing {newest}")) && run.out.contains("missing Secret silent"), "{}", run.out);
    assert!(run.out.contains("is opening in the cluster, and active in the backup"), "{}", run.out);
    let is_ours = |entry: &AuditEntry| entry.namespace == world.namespace && entry.user_agent != "bulla-test";
    let asked = world.api.audit_when_quiet(mark, Duration::from_millis(500), is_ours).await;
    assert!(!asked.is_empty() && asked.iter().all(|entry| matches!(entry.verb.as_str(), "list" | "get")), "{asked:?}");
    let answer = json_of(&keys(&world, &[&check[..], &["--output", "json"]].concat()).exits(1));
    let missing: BTreeSet<&str> = answer["missing"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(missing, BTreeSet::from(["Secret silent", &newest]));
    assert_eq!(answer["changed"][0]["cluster"], "opening");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_restored_once_and_nothing_there_is_changed() {
    let world = world().await;
    every_sort(&world).await;
    keys(&world, &["backup", "--to", "recovery.pub", "-o", "keys.age"]).exits(0);
    let before = data_in(&world, &world.namespace).await;
    let target = format!("{}-new", world.namespace);
    let restore = |more: &[&str]| {
        let arguments = ["keys", "restore", "keys.age", "-i", "recovery.key", "--controller-namespace", &target];
        is_silent(world.run(&[&arguments[..], more].concat()))
    };
    let namespaces: Api<Namespace> = Api::all(world.api.client());
    let run = restore(&["--dry-run"]).exits(1).says("1 Secret(s) of the file were left out");
    assert!(run.out.contains("would be made") && run.out.contains("would be created"), "{}", run.out);
    assert!(namespaces.get_opt(&target).await.unwrap().is_none(), "a dry run changes nothing");

    // One Secret of the backup holds no key that can be read: said, and passed over.
    let run = restore(&[]).exits(1);
    assert!(run.out.contains(&format!("namespace {target} made")), "{}", run.out);
    assert!(run.out.contains("Secret broken of the file is left out"), "{}", run.out);
    assert!(run.out.contains(&format!("The backup is of namespace {}", world.namespace)), "{}", run.out);
    assert!(run.out.contains("Wrapped by age") && run.out.contains("install the controller"), "{}", run.out);
    let mut expected = before.clone();
    expected.retain(|name, _| name != "broken" && name != "database");
    assert_eq!(data_in(&world, &target).await, expected);
    let api: Api<Secret> = Api::namespaced(world.api.client(), &target);
    let labels = |secret: Secret| secret.metadata.labels.unwrap_or_default();
    assert_eq!(labels(api.get("bulla-sealing-key-0001").await.unwrap())[OURS], "compromised");
    assert_eq!(labels(api.get("sealed-secrets-keyabcde").await.unwrap())[THEIRS], "active");
    let versions = |list: kube::api::ObjectList<Secret>| -> Vec<_> {
        list.items.into_iter().map(|secret| secret.metadata.resource_version).collect()
    };
    let there = versions(api.list(&ListParams::default()).await.unwrap());
    let run = restore(&["--output", "json"]).exits(1);
    let answer = json_of(&run);
    let outcomes: Vec<&str> =
        answer["keys"].as_array().unwrap().iter().map(|key| key["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "alreadyThere").count(), 6, "{answer}");
    assert_eq!(versions(api.list(&ListParams::default()).await.unwrap()), there, "nothing was written");

    // Names that other keys have, and a key that is there under another name and in another state.
    let other = format!("{}-other", world.namespace);
    world.api.create_namespace(&other).await;
    let there: Api<Secret> = Api::namespaced(world.api.client(), &other);
    for (name, file, state) in [("bulla-sealing-key-0003", "lost", "active"), ("mine", "old", "retired")] {
        let secret = json!({
            "metadata": {"name": name, "labels": {OURS: state}},
            "stringData": {"identity": world.bench.read(&format!("{file}.key"))},
        });
        objects::create(&there, secret).await;
    }
    let foreign = json!({"metadata": {"name": "sealed-secrets-key"}, "stringData": {"a": "b"}});
    objects::create(&there, foreign).await;
    let arguments = ["keys", "restore", "keys.age", "-i", "recovery.key", "--controller-namespace", &other];
    let run = is_silent(world.run(&arguments)).exits(1);
    let (newest, old) = (id(&world, "newest.pub"), id(&world, "old.pub"));
    let renamed = format!("bulla-sealing-key-0003-{}", &newest[..8]);
    assert!(run.out.contains(&renamed) && run.out.contains("belongs to another Secret there"), "{}", run.out);
    let line = run.out.lines().find(|line| line.contains(&old)).unwrap();
    assert!(
        line.contains("in Secret") && line.contains("/mine: it is retired there, and opening in the file"),
        "{line}"
    );
    let now = data_in(&world, &other).await;
    assert_eq!(now["bulla-sealing-key-0003"]["identity"], world.bench.read("lost.key").into_bytes());
    assert_eq!(now[&renamed], before["bulla-sealing-key-0003"]);
    assert_eq!(now["sealed-secrets-key"].keys().collect::<Vec<_>>(), ["a"]);
    let moved = now.iter().find(|(name, _)| name.starts_with("sealed-secrets-key-")).unwrap();
    assert_eq!(moved.1, &before["sealed-secrets-key"]);
    // Away from its name it needs the label.
    assert_eq!(labels(there.get(moved.0).await.unwrap())[THEIRS], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_made_up_cannot_place_other_secrets() {
    let world = world().await;
    let list = "apiVersion: v1\nkind: List\nitems:\n\
        - {apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: token, annotations: {kubernetes.io/service-account.name: default}}, data: {identity: IDENTITY}}\n\
        - {apiVersion: v1, kind: Secret, metadata: {name: ../../default/secrets/x, labels: {bulla.dev/sealing-key: active}}, data: {identity: IDENTITY}}\n\
        - {apiVersion: v1, kind: Secret, metadata: {name: words, labels: {bulla.dev/sealing-key: perhaps}}, data: {identity: IDENTITY}}\n\
        - {apiVersion: v1, kind: ConfigMap, metadata: {name: map}, data: {a: b}}\n";
    let list = list.replace("IDENTITY", &STANDARD.encode(world.bench.read("lost.key")));
    let (to, out) = (world.bench.path("recovery.pub"), world.bench.path("made-up.age"));
    let arguments = ["-R", &to.display().to_string(), "-o", &out.display().to_string()];
    tools::stdout_of(tools::age(&arguments, list.as_bytes()));
    let run = keys(&world, &["restore", "made-up.age", "-i", "recovery.key"]).exits(1);
    run.says("3 Secret(s) of the file were left out");
    assert_eq!(data_in(&world, &world.namespace).await, BTreeMap::new());
    for (text, said) in [("kind: List\nitems: [\n", "not a Secret in YAML"), ("AGE-SECRET-KEY-1NO", "holds bare keys")]
    {
        tools::stdout_of(tools::age(&arguments, text.as_bytes()));
        keys(&world, &["restore", "made-up.age", "-i", "recovery.key"]).exits(1).says(said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restoring_takes_the_rights_that_the_guide_names_and_no_more() {
    let world = world().await;
    native(&world, "bulla-sealing-key-0001", "newest", "active", "2026-11-01T00:00:00Z").await;
    keys(&world, &["backup", "--to", "recovery.pub", "-o", "keys.age"]).exits(0);
    let secrets = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "create"]});
    let namespaces = json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create"]});
    let target = format!("{}-missing", world.namespace);
    for (account, rules, place, code) in [
        ("reader", json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]), &target, 2),
        ("keeper", json!([secrets]), &target, 2),
        ("keeper", json!([secrets]), &world.api.namespace().await, 0),
        ("founder", json!([secrets, namespaces]), &target, 0),
    ] {
        let token = world.api.service_account(&world.namespace, account).await;
        world.api.allow(&world.namespace, account, &rules).await;
        let name = format!("{}-{account}", world.namespace);
        let kubeconfig = world.api.kubeconfig_as(&name, &token).display().to_string();
        let restore = ["keys", "restore", "keys.age", "-i", "recovery.key", "--controller-namespace", place];
        let restore = [&restore[..], &["--kubeconfig", &kubeconfig]].concat();
        let began = Instant::now();
        // The API server hears of new rights a moment later.
        let run = loop {
            let run = is_silent(tokio::task::block_in_place(|| world.bench.run(&restore)));
            if run.code == code || began.elapsed() > Duration::from_secs(10) {
                break run.exits(code);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        if code == 2 {
            assert!(run.err.contains("namespace") && run.err.contains("forbidden"), "{account}: {}", run.err);
        }
    }
}

/// Waits until the controller publishes keys, and gives their ids and states.
async fn published(world: &World) -> BTreeMap<String, String> {
    let began = Instant::now();
    loop {
        let run = world.keys(&["show", "--output", "json"]);
        let keys: Vec<Value> = serde_json::from_str(&run.out).unwrap_or_default();
        if !keys.is_empty() {
            let text = |key: &Value, field: &str| key[field].as_str().unwrap().to_owned();
            return keys.iter().map(|key| (text(key, "id"), text(key, "state"))).collect();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{}", run.err);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_finds_restored_keys_makes_none_and_one_that_runs_takes_them_up() {
    let mut first = world().await;
    first.namespace = first.api.namespace().await;
    let recent = jiff::Timestamp::now().to_string();
    native(&first, "bulla-sealing-key-0007", "newest", "active", &recent).await;
    native(&first, "bulla-sealing-key-0006", "old", "opening", "2026-01-01T00:00:00Z").await;
    keys(&first, &["backup", "--to", "recovery.pub", "-o", "keys.age"]).exits(0);
    let (newest, old) = (id(&first, "newest.pub"), id(&first, "old.pub"));

    // Before its first start.
    first.namespace = first.api.namespace().await;
    keys(&first, &["restore", "keys.age", "-i", "recovery.key"]).exits(0);
    let controller = first.controller();
    let expected = BTreeMap::from([(newest.clone(), "active".to_owned()), (old.clone(), "opening".to_owned())]);
    assert_eq!(published(&first).await, expected);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(published(&first).await, expected, "it made no key of its own");
    assert_eq!(data_in(&first, &first.namespace).await.len(), 2);
    controller.stop().await;

    // While it runs: it has made a key of its own already.
    first.namespace = first.api.namespace().await;
    let controller = first.controller();
    assert_eq!(published(&first).await.len(), 1);
    let run = keys(&first, &["restore", "keys.age", "-i", "recovery.key"]).exits(0);
    assert!(run.out.contains("nothing has to be restarted"), "{}", run.out);
    let began = Instant::now();
    while !expected.keys().all(|id| published_now(&first).contains_key(id)) {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    controller.stop().await;
}

fn published_now(world: &World) -> BTreeMap<String, String> {
    let keys: Vec<Value> = serde_json::from_str(&world.keys(&["show", "--output", "json"]).out).unwrap_or_default();
    keys.iter().map(|key| (key["id"].as_str().unwrap().to_owned(), String::new())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_form_are_imported_and_garbage_is_refused() {
    let world = world().await;
    let before = data_in(&world, &world.namespace).await;
    // Garbage among good files: nothing is written.
    let (key, certificate) = rsa(&world, "mine");
    rsa(&world, "other");
    world.bench.write("words", "canary: not a key\n");
    world.bench.write("half.pem", &key[..key.len() / 2]);
    world.bench.write("map.yaml", "kind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}\n");
    world.bench.write(
        "mixed.yaml",
        &format!(
            "kind: Secret\nmetadata: {{name: k}}\ntype: kubernetes.io/tls\ndata: {{tls.key: {}, tls.crt: {}}}\n",
            STANDARD.encode(&key),
            STANDARD.encode(world.bench.read("other.crt"))
        ),
    );
    for (files, said) in [
        (&["old.key", "words"][..], "words: neither age identities nor PEM"),
        (&["old.key", "half.pem"], "half.pem: not valid PEM"),
        (&["old.key", "mine.pem"], "has no certificate: give the file with it too"),
        (&["old.key", "mine.pem", "other.crt"], "has no certificate"),
        (&["old.key", "mine.crt"], "a certificate whose private key is in none of the files"),
        (&["old.key", "map.yaml"], "no Secret in it has a private key"),
        (&["old.key", "mixed.yaml"], "is the certificate of another key"),
        (&["old.key", "old.pub"], "old.pub: neither age identities"),
    ] {
        keys(&world, &[&["import"], files].concat()).exits(1).says(said);
    }
    assert_eq!(data_in(&world, &world.namespace).await, before);

    let run = keys(&world, &["import", "old.key", "mine.pem", "mine.crt", "--dry-run"]).exits(0);
    assert_eq!(run.out.matches("would be created").count(), 2, "{}", run.out);
    assert_eq!(data_in(&world, &world.namespace).await, before);
    let run = keys(&world, &["import", "old.key", "mine.pem", "mine.crt"]).exits(0);
    assert_eq!(run.out.matches(" created").count(), 2, "{}", run.out);
    let secrets = world.objects::<Secret>();
    let bare = secrets.get(&format!("bulla-imported-key-{}", id(&world, "old.pub"))).await.unwrap();
    assert_eq!(bare.metadata.labels.unwrap()[OURS], "opening");
    let pair = secrets.get(&format!("sealed-secrets-key-{}", id(&world, "mine.crt"))).await.unwrap();
    assert_eq!(pair.type_.as_deref(), Some("kubernetes.io/tls"));
    assert_eq!(pair.metadata.labels.unwrap()[THEIRS], "active");
    let data = pair.data.unwrap();
    assert_eq!((data["tls.crt"].0.as_slice(), data["tls.key"].0.as_slice()), (certificate.as_bytes(), key.as_bytes()));
    keys(&world, &["import", "newest.key", "--state", "active"]).exits(0);
    let active = secrets.get(&format!("bulla-imported-key-{}", id(&world, "newest.pub"))).await.unwrap();
    assert_eq!(active.metadata.labels.unwrap()[OURS], "active");
    // Again: all there.
    let run = keys(&world, &["import", "old.key", "mine.pem", "mine.crt", "newest.key"]).exits(0);
    assert_eq!(run.out.matches("there already").count(), 3, "{}", run.out);

    // The other controller's backup, as kubectl prints it, and an export of ours, encrypted.
    let (key, certificate) = rsa(&world, "theirs");
    let theirs = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [{
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {
            "creationTimestamp": "2025-01-02T03:04:05Z", "generateName": "sealed-secrets-key", "name": "sealed-secrets-keyabcde",
            "namespace": "kube-system", "resourceVersion": "12", "uid": "a", "labels": {THEIRS: "active"},
        },
        "data": {"tls.key": STANDARD.encode(&key), "tls.crt": STANDARD.encode(&certificate)},
    }]});
    world.bench.write("backup.json", &theirs.to_string());
    keys(&world, &["import", "backup.json"]).exits(0);
    let taken = secrets.get("sealed-secrets-keyabcde").await.unwrap();
    assert_eq!(taken.data.unwrap()["tls.key"].0, key.as_bytes());
    assert_eq!(taken.metadata.annotations.unwrap()["bulla.dev/created-at"], "2025-01-02T03:04:05Z");

    let export = ["export", &id(&world, "newest.pub")[..6], "--to", "recovery.pub", "-o", "export.age"];
    keys(&world, &export).exits(0).says("1 private key(s) are in export.age");
    let mut other = world;
    other.namespace = other.api.namespace().await;
    keys(&other, &["import", "export.age"]).exits(1).says("is encrypted");
    let run = keys(&other, &["import", "export.age", "-i", "recovery.key"]).exits(0);
    assert_eq!(run.out.matches(" created").count(), 1, "the recovery key itself stays out: {}", run.out);
    assert_eq!(data_in(&other, &other.namespace).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_encrypted_unless_that_is_declined() {
    let world = world().await;
    native(&world, "bulla-sealing-key-0001", "old", "active", "2026-10-01T00:00:00Z").await;
    native(&world, "bulla-sealing-key-0002", "newest", "active", "2026-11-01T00:00:00Z").await;
    let (key, certificate) = rsa(&world, "theirs");
    let data = json!({"tls.key": key, "tls.crt": certificate});
    put(&world, "sealed-secrets-keyabcde", json!({THEIRS: "active"}), json!({}), "kubernetes.io/tls", data).await;
    world.keys(&["export"]).exits(2).says("--to");
    let old = id(&world, "old.pub");
    let export = |more: &[&str]| world.keys(&[&["export"], more].concat());
    let run = is_silent(export(&[&old, "--to", "recovery.pub", "--format", "keys"])).exits(0);
    let recovery = world.bench.path("recovery.key").display().to_string();
    let identity = tools::stdout_of(tools::age(&["-d", "-i", &recovery], run.out.as_bytes()));
    assert_eq!(identity, world.bench.read("old.key").as_bytes());
    // What comes out opens values.
    tokio::task::block_in_place(|| {
        world.bench.pipe(&["seal", "--to", "old.pub", "-o", "db.yaml"], SECRET).exits(0);
        let run = world.keys(&["export", &old, "--plaintext", "--format", "keys"]).exits(0);
        assert_eq!(run.out, world.bench.read("old.key"));
        let open = world.bench.pipe(&["open", "db.yaml", "-i", "-", "--key", "password"], &run.out);
        assert_eq!(open.exits(0).out, "canary-hunter2");
    });
    let theirs = id(&world, "theirs.crt");
    let run = export(&[&theirs, "--plaintext", "--format", "keys"]).exits(0);
    assert_eq!(run.out, format!("{key}{certificate}"));
    export(&["--plaintext", "--format", "keys"]).exits(2).says("do not go into one file");
    export(&["--plaintext", "-o", "keys.txt"]).exits(2);
    let run = export(&["--plaintext"]).exits(0);
    let list: Value = serde_saphyr::from_str(&run.out).unwrap();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
    export(&["ffff0000", "--to", "recovery.pub"]).exits(1).says("has no key ffff0000");
    export(&["ff", "--to", "recovery.pub"]).exits(2).says("too short");
    world.bench.write("there.age", "");
    export(&[&old, "--to", "recovery.pub", "-o", "there.age"]).exits(2).says("never overwritten");
}
