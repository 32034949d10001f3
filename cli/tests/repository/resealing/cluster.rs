//! Through the controller: the real API server, a real controller, and nobody else who holds a key.

use std::time::{Duration, Instant};

use bulla::seal::{Identity, Place, Recipient, Scope};
use bulla::server::ServerConfig;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{CANARY, in_file, keys_of, object, rsa, sealed, x25519};
use crate::checkout::Checkout;
use crate::harness::Run;
use crate::rotating::cluster::Served;
use crate::world::World;

struct Shop {
    world: World,
    served: Served,
    checkout: Checkout,
}

impl Shop {
    /// A cluster with kubeseal's two keys, and a native key of the controller's.
    async fn open(config: ServerConfig) -> Self {
        let mut world = World::new().await;
        for index in 0..2 {
            let secret = json!({
                "metadata": {
                    "name": format!("sealed-secrets-key{index}"),
                    "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"},
                },
                "type": "kubernetes.io/tls",
                "stringData": {"tls.crt": rsa(index).certificate, "tls.key": rsa(index).key},
            });
            let secret: Secret = serde_json::from_value(secret).unwrap();
            world.objects::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
            // Their order is that of their age, which is told in seconds.
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        let served = Served::with(&mut world, config).await;
        let shop = Self { world, served, checkout: tokio::task::block_in_place(Checkout::plain) };
        shop.until(|keys| keys.iter().any(|key| key["recipient"].is_string())).await;
        shop
    }

    async fn quick() -> Self {
        let mut config = ServerConfig::default();
        config.rate = 0;
        Self::open(config).await
    }

    /// Waits until the published keys are so, and gives them.
    async fn until(&self, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let run = self.world.keys(&["show", "--output", "json"]);
            let keys: Vec<Value> = serde_json::from_str(&run.out).unwrap_or_default();
            if wanted(&keys) {
                return keys;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{keys:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Puts a native key into the cluster and waits until it is published.
    async fn native(&self, name: &str, key: &Identity, state: &str) {
        // Their order is that of their age, which is told in seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": {"bulla.dev/sealing-key": state}},
            "stringData": {"identity": *key.to_text().unwrap(), "recipient": key.recipient().to_string()},
        });
        let parameters = PatchParams::apply("test").force();
        self.world.objects::<Secret>().patch(name, &parameters, &Patch::Apply(&secret)).await.unwrap();
        let id = key.key_id().to_string();
        self.until(|keys| keys.iter().any(|key| key["id"] == id)).await;
    }

    fn reseal(&self, arguments: &[&str]) -> Run {
        let ours = ["--kubeconfig", &self.world.kubeconfig, "--controller-namespace", &self.world.namespace];
        tokio::task::block_in_place(|| self.checkout.reseal(&[arguments, &ours].concat()))
    }

    fn value(&self, to: &[&Recipient], key: &str) -> String {
        sealed(to, Scope::Strict, self.place(key))
    }

    fn place<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place { namespace: &self.world.namespace, name: "db", key }
    }

    fn object(&self, values: &[(&str, String)]) -> String {
        object(values).replace("namespace: prod", &format!("namespace: {}", self.world.namespace))
    }

    fn opens(&self, sealed: &str, key: &str, with: &[&Identity]) -> bool {
        super::opens(sealed, Scope::Strict, self.place(key), with)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_seals_stale_values_of_both_formats_again_and_only_those() {
    let shop = Shop::quick().await;
    let (old, new) = (x25519(), x25519());
    shop.native("old", &old, "opening").await;
    shop.native("new", &new, "active").await;
    let before = shop.object(&[
        ("fresh", shop.value(&[new.recipient()], "fresh")),
        ("stale", shop.value(&[old.recipient()], "stale")),
        ("rsa-fresh", shop.value(&[&rsa(1).recipient()], "rsa-fresh")),
        ("rsa-stale", shop.value(&[&rsa(0).recipient()], "rsa-stale")),
    ]);
    shop.checkout.write("db.yaml", &before);
    // What can be told without asking the controller: kubeseal's values do not say.
    let run = shop.reseal(&["--check"]).exits(1).says("2 value(s) do not say to whom they are sealed");
    assert!(run.out.contains("stale db.yaml:10: stale\n"), "{}", run.out);
    shop.reseal(&["--dry-run"]).exits(0);
    assert_eq!(shop.checkout.read("db.yaml"), before);
    let run = shop.reseal(&[]).exits(0).says("the secrets themselves are what they were");
    assert!(run.out.contains("2 value(s) in 1 file(s) sealed again"), "{}", run.out);
    let after = shop.checkout.read("db.yaml");
    let mut expected = before.clone();
    for key in ["stale", "rsa-stale"] {
        expected = expected.replace(&in_file(&before, key), &in_file(&after, key));
    }
    assert_eq!(after, expected);
    assert!(shop.opens(&in_file(&after, "stale"), "stale", &[&new]));
    assert!(shop.opens(&in_file(&after, "rsa-stale"), "rsa-stale", &[&rsa(1).identity()]));
    let run = shop.reseal(&[]).exits(0);
    assert!(run.out.contains("4 value(s) were as they should be"), "{}", run.out);
    assert_eq!(shop.checkout.read("db.yaml"), after);
    // What it made opens in the cluster.
    let spec: Value = serde_saphyr::from_str(&after).unwrap();
    shop.world.apply("SealedSecret", "db", json!({}), spec["spec"].clone()).await;
    let began = Instant::now();
    let secret = loop {
        if let Some(secret) = shop.world.objects::<Secret>().get_opt("db").await.unwrap() {
            break secret;
        }
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for (key, value) in secret.data.unwrap() {
        assert_eq!(value.0, format!("{CANARY}-{key}").as_bytes());
    }
    shop.served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_controller_refuses_does_not_stop_the_others_of_its_object() {
    let shop = Shop::quick().await;
    let (old, new, stranger) = (x25519(), x25519(), x25519());
    shop.native("old", &old, "opening").await;
    shop.native("new", &new, "active").await;
    let keys = ["a", "b", "c", "d", "e"];
    let values: Vec<(&str, String)> = keys
        .into_iter()
        .map(|key| (key, shop.value(&[if key == "c" { stranger.recipient() } else { old.recipient() }], key)))
        .collect();
    shop.checkout.write("db.yaml", &shop.object(&values));
    let bound = sealed(&[old.recipient()], Scope::Strict, Place { name: "other", ..shop.place("a") });
    shop.checkout.write("moved.yaml", &shop.object(&[("a", bound), ("b", shop.value(&[old.recipient()], "b"))]));
    let run = shop.reseal(&[]).exits(1).says("2 value(s) or file(s) could not be sealed again");
    assert!(run.out.contains("5 value(s) in 2 file(s) sealed again"), "{}", run.out);
    for place in ["db.yaml:11:", "moved.yaml:9:"] {
        assert!(
            run.out.contains(place) && run.out.contains("was not sealed again: not all of its values open here"),
            "{}",
            run.out
        );
    }
    for key in ["a", "b", "d", "e"] {
        assert!(shop.opens(&in_file(&shop.checkout.read("db.yaml"), key), key, &[&new]), "{key}");
    }
    assert_eq!(in_file(&shop.checkout.read("db.yaml"), "c"), values[2].1);
    shop.served.stop().await;
}

/// Whoever could name recipients to the controller could read every value.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_other_recipients_or_another_format_takes_private_keys() {
    let shop = Shop::quick().await;
    let (old, new, person) = (x25519(), x25519(), x25519());
    shop.native("old", &old, "opening").await;
    shop.native("new", &new, "active").await;
    let before =
        shop.object(&[("a", shop.value(&[old.recipient()], "a")), ("b", shop.value(&[&rsa(0).recipient()], "b"))]);
    shop.checkout.write("db.yaml", &before);
    let rules = |all: &[&Identity]| {
        let all: Vec<String> = all.iter().map(|one| one.recipient().to_string()).collect();
        format!("version: 1\nrules: [{{path: '**', recipients: [{}]}}]\n", all.join(", "))
    };
    shop.checkout.write(".bulla.yaml", &rules(&[&new, &person]));
    let run = shop.reseal(&[]).exits(1);
    assert!(run.out.contains("the controller seals to nobody whom a caller names"), "{}", run.out);
    assert!(run.out.contains("which the controller keeps: moving it takes --identity"), "{}", run.out);
    let run = shop.reseal(&["--to", &person.recipient().to_string()]).exits(1);
    assert!(run.out.contains(&person.key_id().to_string()), "{}", run.out);
    assert_eq!(shop.checkout.read("db.yaml"), before);
    // Somebody who can open a value already stays.
    let (before, recovery) = (shop.checkout.read("db.yaml"), x25519());
    let shared = shop.value(&[old.recipient(), recovery.recipient()], "a");
    shop.checkout.write("shared.yaml", &shop.object(&[("a", shared)]));
    shop.checkout.write(".bulla.yaml", &rules(&[&new, &recovery]));
    shop.reseal(&["shared.yaml"]).exits(0);
    let shared = in_file(&shop.checkout.read("shared.yaml"), "a");
    assert!(shop.opens(&shared, "a", &[&recovery]) && shop.opens(&shared, "a", &[&new]));
    assert!(!shop.opens(&shared, "a", &[&old]));
    std::fs::remove_file(shop.checkout.path("shared.yaml")).unwrap();
    // Only the newest key, and it goes; the other format is left for those who have the key.
    shop.checkout.write(".bulla.yaml", &rules(&[&new]));
    shop.reseal(&[]).exits(1);
    let after = shop.checkout.read("db.yaml");
    assert_eq!(keys_of(&in_file(&after, "a")), [new.key_id().to_string()]);
    assert_eq!(in_file(&after, "b"), in_file(&before, "b"));
    shop.served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_as_the_controller_asks_and_says_what_is_missing() {
    // As it is by default: two a second.
    let shop = Shop::open(ServerConfig::default()).await;
    let (old, new) = (x25519(), x25519());
    shop.native("old", &old, "opening").await;
    shop.native("new", &new, "active").await;
    for number in 0..8 {
        shop.checkout.write(&format!("{number}.yaml"), &shop.object(&[("a", shop.value(&[old.recipient()], "a"))]));
    }
    let began = Instant::now();
    let run = shop.reseal(&[]).exits(0);
    assert!(run.out.contains("8 value(s) in 8 file(s) sealed again"), "{}", run.out);
    assert!(began.elapsed() > Duration::from_secs(1), "the limit was not met: {:?}", began.elapsed());

    let stale = shop.object(&[("a", shop.value(&[old.recipient()], "a"))]);
    shop.checkout.write("0.yaml", &stale);
    shop.reseal(&["--controller-service", "nowhere"])
        .exits(2)
        .says("name it with --controller-service, or use --identity");
    let nowhere = shop.world.api.namespace().await.to_string();
    let run = tokio::task::block_in_place(|| {
        shop.checkout.reseal(&["--kubeconfig", &shop.world.kubeconfig, "--controller-namespace", &nowhere])
    });
    run.exits(2).says("no --identity, so the controller is asked").says("is the controller there?");
    assert_eq!(shop.checkout.read("0.yaml"), stale);
    shop.served.stop().await;
}
