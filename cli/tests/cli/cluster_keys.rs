//! `bulla keys list`, `rotate`, `retire` and `compromised` against the real API server.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::SECRET;
use crate::support::audit::AuditEntry;
use crate::world::{World, json_of};

/// A world whose controller the test plays: two keys, and objects sealed to them.
struct Keys {
    world: Arc<World>,
    /// Id and recipient of the older and the newer key.
    old: (String, String),
    new: (String, String),
}

impl Keys {
    async fn new() -> Self {
        let mut world = World::new().await;
        world.bench = crate::harness::Bench::with_keys();
        let id = |name: &str| {
            world
                .bench
                .write(".bulla.yaml", &format!("version: 1\nrules:\n- path: '**'\n  recipientFiles: [{name}.pub]\n"));
            let keys = world.bench.run(&["keys", "show", "--for", "x", "--output", "json"]).exits(0).out;
            let keys: Value = serde_json::from_str(&keys).unwrap();
            let text = |field: &str| keys[0][field].as_str().unwrap().to_owned();
            (text("id"), text("recipient"))
        };
        let (old, new) = (id("small"), id("cluster"));
        let keys = Self { world: Arc::new(world), old, new };
        keys.publish(&[(&keys.old, "opening"), (&keys.new, "active")]).await;
        keys.key_secret("key-old", "opening", Some(&keys.old.0)).await;
        keys.key_secret("key-new", "active", Some(&keys.new.0)).await;
        keys
    }

    async fn publish(&self, keys: &[(&(String, String), &str)]) {
        let keys: Vec<_> = keys
            .iter()
            .map(|((id, recipient), state)| {
                let kind = if recipient.starts_with("age1pq1") { "hybrid" } else { "x25519" };
                json!({"id": id, "type": kind, "state": state, "recipient": recipient, "created": "2026-01-02T03:04:05Z"})
            })
            .collect();
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bulla-sealing-keys"},
            "data": {"keys.json": json!({"keys": keys}).to_string()},
        });
        let parameters = PatchParams::apply("controller").force();
        self.world.objects::<ConfigMap>().patch("bulla-sealing-keys", &parameters, &Patch::Apply(&map)).await.unwrap();
    }

    async fn key_secret(&self, name: &str, state: &str, id: Option<&str>) {
        let annotations = id.map_or_else(|| json!({}), |id| json!({"bulla.dev/key-id": id}));
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "labels": {"bulla.dev/sealing-key": state}, "annotations": annotations},
            "stringData": {"identity": "canary-private-half"},
        });
        let parameters = PatchParams::apply("controller").force();
        self.world.objects::<Secret>().patch(name, &parameters, &Patch::Apply(&secret)).await.unwrap();
    }

    /// A SealedSecret with two values to the key in this file, as `bulla seal` makes it.
    async fn sealed_to(&self, name: &str, file: &str) -> i64 {
        let secret = SECRET.replace("namespace: prod", &format!("namespace: {}", self.world.namespace));
        let secret = secret.replace("name: db", &format!("name: {name}"));
        let seal = ["seal", "--format", "json", "--to", file];
        let sealed = tokio::task::block_in_place(|| self.world.bench.pipe(&seal, &secret)).exits(0).out;
        let sealed: Value = serde_json::from_str(&sealed).unwrap();
        self.world.apply("SealedSecret", name, json!({}), sealed["spec"].clone()).await
    }

    async fn label(&self, name: &str) -> String {
        let secret = self.world.objects::<Secret>().get(name).await.unwrap();
        secret.metadata.labels.unwrap()["bulla.dev/sealing-key"].clone()
    }

    fn key(&self, list: &Value, id: &str) -> Value {
        list["keys"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_with_what_they_protect_and_no_private_half_is_read() {
    let keys = Keys::new().await;
    let world = &keys.world;
    let generation = keys.sealed_to("db", "small.pub").await;
    world.synced("SealedSecret", "db", generation).await;
    world.status("SealedSecret", "db", json!({"keyIds": [keys.old.0]})).await;
    let generation = keys.sealed_to("counted", "cluster.pub").await;
    world.synced("SealedSecret", "counted", generation).await;
    let status = json!({"keyIds": [keys.new.0], "keyValues": {keys.new.0.as_str(): 2}});
    world.status("SealedSecret", "counted", status).await;
    // Nobody has opened it yet: what the values say counts.
    keys.sealed_to("unopened", "small.pub").await;
    keys.key_secret("key-gone", "retired", Some("00000000000000aa")).await;
    keys.key_secret("key-silent", "opening", None).await;
    let mark = world.api.audit_mark();
    let run = world.keys(&["list", "--output", "json"]).exits(0);
    let list = json_of(&run);
    let old = keys.key(&list, &keys.old.0);
    assert_eq!((&old["values"], &old["atLeast"], &old["objects"]), (&json!(2), &json!(true), &json!(2)), "{list}");
    assert_eq!((&old["state"], &old["type"], &old["secret"]), (&json!("opening"), &json!("x25519"), &json!("key-old")));
    let new = keys.key(&list, &keys.new.0);
    assert_eq!((&new["values"], &new["atLeast"], &new["objects"]), (&json!(2), &json!(false), &json!(1)), "{list}");
    assert_eq!(keys.key(&list, "00000000000000aa")["state"], "retired");
    let run = world.keys(&["list"]).exits(0).says("Secret key-silent (opening) does not say which keys it holds");
    assert!(run.out.contains(&keys.old.0[..8]) && run.out.contains('≥') && run.out.starts_with("KEY"), "{}", run.out);
    // Only lists of metadata, and upstream's one Secret without a label.
    let quiet = Duration::from_millis(500);
    let is_ours = |entry: &AuditEntry| entry.resource == "secrets" && entry.namespace == world.namespace;
    let asked = world.api.audit_when_quiet(mark, quiet, is_ours).await;
    assert!(asked.iter().all(|entry| entry.verb == "list" || entry.name == "sealed-secrets-key"), "{asked:?}");

    // Somebody who may not list Secrets sees what is published.
    let token = world.api.service_account(&world.namespace, "reader").await;
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    world.api.allow(&world.namespace, "reader", &rules).await;
    let (kubeconfig, place) = (world.api.kubeconfig_as("reader", &token), world.namespace.as_str());
    let kubeconfig = kubeconfig.display().to_string();
    let arguments = ["keys", "list", "--controller-namespace", place, "--kubeconfig", &kubeconfig];
    let refused = tokio::task::block_in_place(|| world.bench.run(&arguments));
    refused.exits(2).says("listing the SealedSecrets in any namespace");
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
        {"apiGroups": ["bitnami.com"], "resources": ["sealedsecrets"], "verbs": ["list"]},
    ]);
    world.api.allow(&world.namespace, "reader", &rules).await;
    let run = tokio::task::block_in_place(|| world.bench.run(&arguments));
    let run = run.exits(0).says("you may not list key Secrets there");
    assert!(run.out.contains(&keys.new.0[..8]) && !run.out.contains("retired"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn rotate_asks_and_waits_for_the_new_key() {
    let keys = Arc::new(Keys::new().await);
    let world = &keys.world;
    keys.publish(&[(&keys.old, "active")]).await;
    world.keys(&["rotate", "--timeout", "1s"]).exits(2).says("no controller has made a key within 1 s");
    world.keys(&["rotate", "--no-wait"]).exits(0).says("asked for a new key at");
    let before = requested(world).await.unwrap();

    let player = Arc::clone(&keys);
    // The controller's part: it sees the request and publishes a new key.
    let play = tokio::spawn(async move {
        loop {
            let now = requested(&player.world).await.unwrap();
            if now != before {
                player.publish(&[(&player.old, "opening"), (&player.new, "active")]).await;
                let handled = json!({"metadata": {"annotations": {"bulla.dev/rotate-handled-at": now}}});
                let map = player.world.objects::<ConfigMap>();
                map.patch("bulla-sealing-keys", &PatchParams::default(), &Patch::Merge(handled)).await.unwrap();
                return now;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let run = world.keys(&["rotate", "--timeout", "30s", "--output", "json"]).exits(0);
    let answer = json_of(&run);
    assert_eq!(answer["requestedAt"], play.await.unwrap());
    assert_eq!(answer["keys"][0]["id"], keys.new.0);
    assert_eq!(answer["keys"].as_array().map(Vec::len), Some(1));
    let nowhere = world.api.namespace().await.to_string();
    world.run(&["keys", "rotate", "--controller-namespace", &nowhere]).exits(2).says("is the controller there?");
}

async fn requested(world: &World) -> Option<String> {
    let map = world.objects::<ConfigMap>().get("bulla-sealing-keys").await.unwrap();
    map.metadata.annotations?.get("bulla.dev/rotate-requested-at").cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_retired_only_when_nothing_needs_it_or_by_force() {
    let keys = Keys::new().await;
    let world = &keys.world;
    let place = format!("{}/db: password, username", world.namespace);
    let generation = keys.sealed_to("db", "small.pub").await;
    world.synced("SealedSecret", "db", generation).await;
    world.status("SealedSecret", "db", json!({"keyIds": [keys.old.0]})).await;
    let run = world.keys(&["retire", &keys.old.0[..8]]).exits(1).says("is still needed");
    assert!(run.out.contains("≥1 live value(s) in 1 object(s)") && run.out.contains(&place), "{}", run.out);
    // By force, but nobody is there to say yes.
    world.keys(&["retire", &keys.old.0, "--force"]).exits(2).says("say --yes");
    world.keys(&["retire", &keys.old.0, "--force", "--dry-run"]).exits(0).says("would be retired");
    assert_eq!(keys.label("key-old").await, "opening");
    let run = world.keys(&["retire", &keys.old.0, "--force", "--yes"]).exits(0);
    assert!(run.out.contains(&place) && run.out.contains("is retired"), "{}", run.out);
    assert_eq!(keys.label("key-old").await, "retired");
    world.keys(&["retire", &keys.old.0]).exits(0).says("retired already");

    // The one that everybody seals to.
    world.keys(&["retire", &keys.new.0]).exits(1).says("bulla keys rotate");
    // One that nothing needs.
    keys.key_secret("key-idle", "opening", Some("00000000000000aa,00000000000000ab")).await;
    let run = world.keys(&["retire", "00000000000000aa"]).exits(0);
    assert!(run.out.contains("holds other keys too: 00000000000000ab"), "{}", run.out);
    assert_eq!(keys.label("key-idle").await, "retired");

    world.keys(&["retire", "0000000000"]).exits(2).says("is the beginning of 00000000000000aa and 00000000000000ab");
    world.keys(&["retire", "ffff0000"]).exits(1).says("the cluster has no key ffff0000");
    keys.key_secret("key-new", "active", None).await;
    world.keys(&["retire", &keys.new.0]).exits(2).says("bulla.dev/key-id").says("key-new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compromised_key_names_everything_that_has_to_change() {
    let keys = Keys::new().await;
    let world = &keys.world;
    let generation = keys.sealed_to("db", "small.pub").await;
    world.synced("SealedSecret", "db", generation).await;
    // Opened with another key, but sealed to this one all the same: whoever has it reads it.
    world.status("SealedSecret", "db", json!({"keyIds": [keys.new.0]})).await;
    keys.sealed_to("other", "cluster.pub").await;
    let run = world.keys(&["compromised", &keys.old.0, "--dry-run", "--output", "json"]).exits(0);
    let answer = json_of(&run);
    assert_eq!(answer["marked"], false);
    let expected =
        json!([{"namespace": world.namespace, "name": "db", "values": ["password", "username"], "certain": true}]);
    assert_eq!(answer["objects"], expected);
    assert_eq!(keys.label("key-old").await, "opening");
    let run = world.keys(&["compromised", &keys.old.0]).exits(0);
    assert!(run.out.contains("2 value(s) in 1 object(s) must be changed where they are from"), "{}", run.out);
    assert_eq!(keys.label("key-old").await, "compromised");

    // One of upstream's: its own label.
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {
            "name": "sealed-secrets-keyabc", "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"},
            "annotations": {"bulla.dev/key-id": "00000000000000cc"},
        },
    });
    let parameters = PatchParams::apply("controller").force();
    let secrets = world.objects::<Secret>();
    secrets.patch("sealed-secrets-keyabc", &parameters, &Patch::Apply(&secret)).await.unwrap();
    world.keys(&["compromised", "00000000000000cc"]).exits(0);
    let labels = secrets.get("sealed-secrets-keyabc").await.unwrap().metadata.labels.unwrap();
    assert_eq!(labels["sealedsecrets.bitnami.com/sealed-secrets-key"], "compromised");
    assert_eq!(labels.get("bulla.dev/sealing-key"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_real_controller_a_key_is_rotated_and_the_old_one_retired() {
    let world = World::new().await;
    let controller = world.controller();
    let began = std::time::Instant::now();
    while world.keys(&["show"]).code != 0 {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let before = json_of(&world.keys(&["list", "--output", "json"]).exits(0));
    let old = before["keys"][0]["id"].as_str().unwrap();
    world.keys(&["retire", old]).exits(1).says("bulla keys rotate");
    let answer = json_of(&world.keys(&["rotate", "--timeout", "30s", "--output", "json"]).exits(0));
    let new = answer["keys"][0]["id"].as_str().unwrap();
    assert_ne!(old, new);
    world.keys(&["retire", old]).exits(0);
    let after = json_of(&world.keys(&["list", "--output", "json"]).exits(0));
    let state = |id: &str| {
        let keys = after["keys"].as_array().unwrap();
        keys.iter().find(|key| key["id"] == id).map_or(json!(null), |key| key["state"].clone())
    };
    assert_eq!(state(new), "active", "{after}");
    // Its Secret may not say which key it is; then it is only the one that is not published any more.
    assert!(state(old) == "retired" || after["keys"].as_array().map(Vec::len) == Some(1), "{after}");
    controller.stop().await;
}
