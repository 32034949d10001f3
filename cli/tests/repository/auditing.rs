//! `bulla keys audit`, and what retiring a key and a compromised key mean for files and for Git's history.

use bulla::seal::{Identity, Place, Scope};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::checkout::{Checkout, put};
use crate::harness::Run;
use crate::resealing::{hybrid, in_file, json as json_of, object, rsa, sealed, value, x25519};
use crate::world::World;

const PLACE: Place<'static> = Place { namespace: "prod", name: "db", key: "a" };

fn key<'a>(report: &'a Value, id: &Identity) -> &'a Value {
    let id = id.key_id().to_string();
    report["keys"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap_or_else(|| panic!("{id}: {report:#}"))
}

fn audit(checkout: &Checkout, arguments: &[&str]) -> Run {
    checkout.bulla(&[&["keys", "audit"], arguments].concat())
}

#[test]
fn every_key_is_told_with_its_files_its_oldest_value_and_what_would_be_lost() {
    let checkout = Checkout::plain();
    let (old, new, recovery, named) = (x25519(), hybrid(), hybrid(), hybrid());
    checkout
        .write(".bulla.yaml", &format!("version: 1\nrules: [{{path: '**', recipients: [{}]}}]\n", named.recipient()));
    let shared = |key: &str| value(&[new.recipient(), recovery.recipient()], key);
    checkout.write("a/db.yaml", &object(&[("a", value(&[old.recipient()], "a")), ("b", shared("b"))]));
    checkout.write("b/db.yaml", &object(&[("a", shared("a")), ("b", value(&[new.recipient()], "b"))]));
    // Values are found where no SealedSecret can be read, too: they keep a key in use.
    let template = format!("{{{{ if .x }}}}\n{}", object(&[("a", value(&[old.recipient()], "a"))]));
    checkout.write("chart/templates/db.yaml", &template);
    checkout.write("chart/values.yaml", &format!("sealed: {{password: \"{}\"}}\n", value(&[old.recipient()], "p")));
    checkout.write("rsa.yaml", &object(&[("a", sealed(&[&rsa(0).recipient()], Scope::Strict, PLACE))]));
    checkout.write("rsa-other.yaml", &object(&[("a", sealed(&[&rsa(1).recipient()], Scope::Strict, PLACE))]));
    let report = json_of(&audit(&checkout, &["--output", "json"]).exits(0));
    let facts = |id: &Identity| {
        let key = key(&report, id);
        ["type", "files", "values", "lostWithout", "objects", "namedByRules"]
            .map(|field| key[field].as_array().map_or_else(|| key[field].clone(), |files| json!(files.len())))
    };
    assert_eq!(facts(&old), [json!("x25519"), json!(3), json!(3), json!(3), json!(1), json!(false)]);
    assert_eq!(facts(&new), [json!("hybrid"), json!(2), json!(3), json!(1), json!(2), json!(false)]);
    assert_eq!(facts(&recovery), [json!("hybrid"), json!(2), json!(2), json!(0), json!(2), json!(false)]);
    assert_eq!(facts(&named), [json!("hybrid"), json!(0), json!(0), json!(0), json!(0), json!(true)]);
    assert_eq!(key(&report, &old)["oldest"], "2020-01-02");
    let files: Vec<&str> =
        key(&report, &old)["files"].as_array().unwrap().iter().map(|file| file["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["a/db.yaml", "chart/templates/db.yaml", "chart/values.yaml"]);
    assert_eq!((&report["values"], &report["unknown"]), (&json!(8), &json!(2)));
    assert_eq!(report["unread"][0]["file"], "chart/templates/db.yaml");
    // Private keys tell what kubeseal's values need.
    let pem = checkout.key_file("0.pem", &rsa(0).identity());
    let report = json_of(&audit(&checkout, &["--identity", &pem, "--output", "json"]).exits(0));
    assert_eq!(
        (&report["unknown"], &report["unknownIn"]),
        (&json!(1), &json!([{"file": "rsa-other.yaml", "values": 1}]))
    );
    let of_rsa = key(&report, &rsa(0).identity());
    assert_eq!((&of_rsa["type"], &of_rsa["values"], &of_rsa["lostWithout"]), (&json!("rsa"), &json!(1), &json!(1)));
    // For people.
    let run = audit(&checkout, &[]).exits(0).says("2 of them do not say which key they need").says("rsa-other.yaml");
    let line = run.out.lines().find(|line| line.contains(&old.key_id().to_string())).unwrap();
    assert_eq!(line.split_whitespace().skip(1).collect::<Vec<_>>(), ["x25519", "3", "3", "3", "2020-01-02", "-"]);
    let run = audit(&checkout, &["--key", &new.key_id().to_string()[..8]]).exits(0);
    assert!(run.out.contains("  a/db.yaml:10: 1 value(s)  prod/db\n"), "{}", run.out);
    assert!(run.out.contains("  b/db.yaml:9: 2 value(s), 1 lost without it  prod/db\n"), "{}", run.out);
    audit(&checkout, &["--key", "0123456789abcdef"]).exits(1);
    // Nothing of it needs the rest of the repository.
    let report = json_of(&audit(&checkout, &["b", "--output", "json"]).exits(0));
    assert_eq!(report["values"], 2);
}

/// A namespace with keys as a controller publishes them.
struct Shop {
    world: World,
    checkout: Checkout,
    old: Identity,
    new: Identity,
}

impl Shop {
    async fn open() -> Self {
        let checkout = tokio::task::block_in_place(Checkout::plain);
        let shop = Self { world: World::new().await, checkout, old: x25519(), new: x25519() };
        let mut keys = Vec::new();
        for (name, key, state) in [("key-old", &shop.old, "opening"), ("key-new", &shop.new, "active")] {
            let (id, kind) = (key.key_id().to_string(), key.kind().as_str());
            keys.push(json!({"id": id, "type": kind, "state": state, "recipient": key.recipient().to_string(), "created": "2026-01-02T03:04:05Z"}));
            shop.secret(name, json!({"bulla.dev/sealing-key": state}), &id).await;
        }
        for (index, state) in [(0, "opening"), (1, "active")] {
            let (id, pem) = (rsa(index).recipient().key_id().to_string(), &rsa(index).certificate);
            keys.push(json!({"id": id, "type": "rsa", "state": state, "certificate": pem}));
            let labels = json!({"sealedsecrets.bitnami.com/sealed-secrets-key": "active"});
            shop.secret(&format!("rsa{index}"), labels, &id).await;
        }
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bulla-sealing-keys"},
            "data": {"keys.json": json!({"keys": keys}).to_string()},
        });
        let parameters = PatchParams::apply("controller").force();
        shop.world.objects::<ConfigMap>().patch("bulla-sealing-keys", &parameters, &Patch::Apply(&map)).await.unwrap();
        shop
    }

    async fn secret(&self, name: &str, labels: Value, id: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "labels": labels, "annotations": {"bulla.dev/key-id": id}},
            "stringData": {"identity": "canary-private-half"},
        });
        let parameters = PatchParams::apply("controller").force();
        self.world.objects::<Secret>().patch(name, &parameters, &Patch::Apply(&secret)).await.unwrap();
    }

    /// Applies values, which this key has opened.
    async fn live(&self, name: &str, values: &[(&str, &String)], opened_by: &str) {
        let values: serde_json::Map<String, Value> =
            values.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let generation = self.world.apply("SealedSecret", name, json!({}), json!({"encryptedData": values})).await;
        self.world.synced("SealedSecret", name, generation).await;
        let count = values.len();
        self.world.status("SealedSecret", name, json!({"keyIds": [opened_by], "keyValues": {opened_by: count}})).await;
    }

    fn keys(&self, arguments: &[&str]) -> Run {
        let ours = ["--kubeconfig", &self.world.kubeconfig, "--controller-namespace", &self.world.namespace];
        let run = tokio::task::block_in_place(|| self.checkout.bulla(&[&["keys"], arguments, &ours].concat()));
        assert!(!run.out.contains("canary") && !run.err.contains("canary"), "{}\n{}", run.out, run.err);
        run
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_cluster_states_live_values_and_the_keys_of_kubeseals_values_are_told_too() {
    let shop = Shop::open().await;
    let upstream = |index: usize| sealed(&[&rsa(index).recipient()], Scope::Strict, PLACE);
    let (stale, fresh, elsewhere) = (upstream(0), upstream(1), upstream(0));
    let native = value(&[shop.old.recipient()], "b");
    shop.checkout.write("a.yaml", &object(&[("a", stale.clone()), ("b", native.clone())]));
    shop.checkout.write("b.yaml", &object(&[("a", fresh.clone())]));
    shop.checkout.write("c.yaml", &object(&[("a", elsewhere)]));
    shop.live("a", &[("a", &stale)], &rsa(0).recipient().key_id().to_string()).await;
    shop.live("b", &[("a", &fresh)], &rsa(1).recipient().key_id().to_string()).await;
    shop.live("d", &[("b", &native)], &shop.old.key_id().to_string()).await;
    shop.secret("key-gone", json!({"bulla.dev/sealing-key": "retired"}), "00000000000000aa").await;
    let report = json_of(&shop.keys(&["audit", "--cluster", "--output", "json"]).exits(0));
    // The object of c.yaml is not there: nobody has opened it.
    assert_eq!(report["unknownIn"], json!([{"file": "c.yaml", "values": 1}]), "{report:#}");
    let old = key(&report, &shop.old);
    assert_eq!((&old["state"], &old["live"]["values"], &old["values"]), (&json!("opening"), &json!(1), &json!(1)));
    for index in 0..2 {
        let key = key(&report, &rsa(index).identity());
        assert_eq!((&key["values"], &key["state"]), (&json!(1), &json!("active")), "{key}");
        // The keys are those of other tests too, and the cluster is.
        assert!(key["live"]["objects"].as_u64() >= Some(1), "{key}");
    }
    let run = shop.keys(&["audit", "--cluster"]).exits(0);
    assert!(run.out.contains("LIVE") && run.out.contains("00000000000000aa"), "{}", run.out);
    // What a retired key opened counts as lost, also where it was one of two.
    let both = value(&[shop.old.recipient(), shop.new.recipient()], "b");
    shop.checkout.write("a.yaml", &object(&[("b", both)]));
    shop.secret("key-old", json!({"bulla.dev/sealing-key": "retired"}), &shop.old.key_id().to_string()).await;
    let report = json_of(&shop.keys(&["audit", "--cluster", "--output", "json"]).exits(0));
    assert_eq!(key(&report, &shop.new)["lostWithout"], 1, "{report:#}");
    shop.keys(&["audit", "--cluster"]).exits(0).says("which is retired: seal them again with `bulla reseal`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_files_need_is_not_retired_though_nothing_live_does() {
    let shop = Shop::open().await;
    let old = shop.old.key_id().to_string();
    let (only, both) = (value(&[shop.old.recipient()], "a"), value(&[shop.old.recipient(), shop.new.recipient()], "b"));
    // Somebody else's key helps this cluster nothing.
    let with_stranger = value(&[shop.old.recipient(), x25519().recipient()], "c");
    shop.checkout.write("prod/db.yaml", &object(&[("a", only), ("b", both.clone()), ("c", with_stranger)]));
    let run = shop.keys(&["retire", &old, "--repository", "prod"]).exits(1).says("is still needed");
    assert!(
        run.out.contains("2 value(s) in 1 file(s) open in this cluster with it only")
            && run.out.contains("prod/db.yaml: 2"),
        "{}",
        run.out
    );
    run.says("bulla reseal");
    // With rules in the current folder it is looked at without being asked to.
    shop.checkout.write(".bulla.yaml", "version: 1\n");
    let run = shop.keys(&["retire", &old]).exits(1);
    assert!(run.out.contains("db.yaml: 2"), "{}", run.out);
    shop.keys(&["retire", &old, "--no-repository", "--dry-run"]).exits(0).says("would be retired");
    shop.checkout.write("prod/db.yaml", &object(&[("b", both)]));
    // kubeseal's values do not say their key: they stand in the way of kubeseal's keys only.
    shop.checkout.write("prod/rsa.yaml", &object(&[("a", sealed(&[&rsa(1).recipient()], Scope::Strict, PLACE))]));
    let run = shop.keys(&["retire", &rsa(0).recipient().key_id().to_string()]).exits(1);
    assert!(run.out.contains("do not say which key they need") && run.out.contains("prod/rsa.yaml: 1"), "{}", run.out);
    // Nobody knows what is in a file that cannot be read.
    let latin = [b"# caf\xe9\n", shop.checkout.read("prod/rsa.yaml").as_bytes()].concat();
    put(&shop.checkout.path("prod/latin.yaml"), &latin);
    let run = shop.keys(&["retire", &old]).exits(1);
    assert!(run.out.contains("cannot be read") && run.out.contains("prod/latin.yaml: not UTF-8"), "{}", run.out);
    std::fs::remove_file(shop.checkout.path("prod/latin.yaml")).unwrap();
    shop.keys(&["retire", &old]).exits(0);
    // What an object of the cluster was opened with is known.
    let text = in_file(&shop.checkout.read("prod/rsa.yaml"), "a");
    shop.live("db", &[("a", &text)], &rsa(1).recipient().key_id().to_string()).await;
    shop.keys(&["retire", &rsa(0).recipient().key_id().to_string()]).exits(0);
}

/// A history: sealed to the leaked key, changed, sealed to another, deleted, and once more on a branch.
fn leaked_history(checkout: &Checkout, leaked: &Identity, new: &Identity) -> Vec<String> {
    let head = || checkout.git(&["rev-parse", "HEAD"]).exits(0).out.trim().to_owned();
    let ours = |key: &str| value(&[leaked.recipient()], key);
    let mut commits = Vec::new();
    let mut commit = |name: &str, text: &str| {
        checkout.commit(name, text);
        commits.push(head());
    };
    let b = value(&[new.recipient()], "b");
    commit("db.yaml", &object(&[("a", ours("a")), ("b", b.clone())]));
    commit("db.yaml", &object(&[("a", ours("a")), ("b", b.clone())]));
    commit("db.yaml", &object(&[("a", value(&[new.recipient()], "a")), ("b", b.clone())]));
    commit("still.yaml", &object(&[("c", value(&[leaked.recipient(), new.recipient()], "c"))]));
    checkout.git(&["checkout", "-q", "-b", "side", "HEAD~3"]).exits(0);
    commit("side.yaml", &format!("chart: {}\n", ours("d")));
    checkout.git(&["checkout", "-q", "main"]).exits(0);
    commits
}

#[test]
fn everything_that_was_ever_sealed_to_a_compromised_key_is_listed_with_its_commits() {
    let checkout = Checkout::plain();
    let (leaked, new) = (x25519(), x25519());
    let commits = leaked_history(&checkout, &leaked, &new);
    let id = leaked.key_id().to_string();
    let report = json_of(&audit(&checkout, &["--compromised", &id, "--output", "json"]).exits(0));
    let exposed: Vec<[Value; 7]> = report[0]["exposed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let field = |name: &str| one[name].clone();
            [
                field("file"),
                field("object"),
                field("key"),
                field("values"),
                one["first"]["commit"].clone(),
                one["last"]["commit"].clone(),
                field("inHead"),
            ]
        })
        .collect();
    let expected = [
        [json!("db.yaml"), json!("prod/db"), json!("a"), json!(2), json!(commits[0]), json!(commits[1]), json!(false)],
        [json!("side.yaml"), json!(null), json!(null), json!(1), json!(commits[4]), json!(commits[4]), json!(false)],
        [
            json!("still.yaml"),
            json!("prod/db"),
            json!("c"),
            json!(1),
            json!(commits[3]),
            json!(commits[3]),
            json!(true),
        ],
    ];
    assert_eq!(exposed, expected, "{report:#}");
    assert_eq!(report[0]["commits"], 5);
    // Sealing again is what people would do: it is said that it does not help.
    let run = audit(&checkout, &["--compromised", &id]).exits(0);
    for said in [
        "3 secret(s) in 5 commit(s) were sealed to key",
        "Sealing these again does not help.",
        "Change each secret itself",
        &commits[1][..10],
    ] {
        assert!(run.out.contains(said), "{said}: {}", run.out);
    }
    // Only a part, and from another folder.
    let report = json_of(&audit(&checkout, &["still.yaml", "--compromised", &id, "--output", "json"]).exits(0));
    assert_eq!(report[0]["exposed"].as_array().unwrap().len(), 1);
    let run = audit(&checkout, &["--compromised", &hybrid().key_id().to_string()]).exits(0);
    assert!(run.out.contains("no value in 5 commit(s) is known to be sealed to key"), "{}", run.out);
    audit(&checkout, &["--compromised", "nonsense"]).exits(2);
    let outside = checkout.bench.path("");
    audit(&checkout, &[&outside.display().to_string(), "--compromised", &id])
        .exits(2)
        .says("is not in a Git repository");
}

#[test]
fn kubeseals_values_in_history_are_told_by_the_key_itself() {
    let checkout = Checkout::plain();
    let one = |index: usize| object(&[("a", sealed(&[&rsa(index).recipient()], Scope::Strict, PLACE))]);
    checkout.commit("db.yaml", &one(0));
    checkout.commit("db.yaml", &one(1));
    let id = rsa(0).recipient().key_id().to_string();
    let run = audit(&checkout, &["--compromised", &id])
        .exits(0)
        .says("2 value(s) of kubeseal's in history do not say their key");
    assert!(run.out.contains("is known to be sealed"), "{}", run.out);
    let pem = checkout.key_file("0.pem", &rsa(0).identity());
    let report = json_of(&audit(&checkout, &["--compromised", &id, "--identity", &pem, "--output", "json"]).exits(0));
    assert_eq!((&report[0]["unknown"], &report[0]["exposed"][0]["key"]), (&json!(1), &json!("a")), "{report:#}");
    assert_eq!(report[0]["exposed"][0]["inHead"], false);
}

#[test]
fn what_cannot_be_read_is_in_the_audit_and_a_copy_at_a_wrong_place_hides_nothing() {
    let checkout = Checkout::plain();
    let text = object(&[("a", sealed(&[&rsa(0).recipient()], Scope::Strict, PLACE))]);
    // The same ciphertext in an object of another name first, and then where it opens.
    checkout.commit("a-copy.yaml", &text.replace("name: db", "name: copy"));
    checkout.commit("db.yaml", &text);
    let id = rsa(0).recipient().key_id().to_string();
    let pem = checkout.key_file("0.pem", &rsa(0).identity());
    let told = |more: &[&str]| {
        let arguments = [&["--compromised", &id, "--identity", &pem, "--output", "json"], more].concat();
        json_of(&audit(&checkout, &arguments).exits(0))[0].clone()
    };
    let report = told(&[]);
    assert_eq!(report["exposed"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!((&report["exposed"][0]["file"], &report["unknown"]), (&json!("db.yaml"), &json!(0)), "{report:#}");

    // What names no namespace opens in that of the committed rules, or in the one that is typed.
    checkout.commit("apps/web.yaml", &text.replace("  namespace: prod\n", ""));
    assert_eq!(told(&[])["exposed"].as_array().unwrap().len(), 1);
    assert_eq!(told(&["--namespace", "prod"])["exposed"].as_array().unwrap().len(), 2);
    checkout.commit(".bulla.yaml", "version: 1\nrules:\n- path: 'apps/**'\n  namespace: prod\n");
    assert_eq!(told(&[])["exposed"].as_array().unwrap().len(), 2);

    // UTF-16, which kubectl reads; a letter in another encoding; a template; a file that is too long.
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin = [b"# caf\xe9\n", text.as_bytes()].concat();
    let long = format!("{text}# {}\n", "x".repeat(17 << 20));
    for (name, bytes) in [("latin.yaml", &latin[..]), ("long.yaml", long.as_bytes()), ("wide.yaml", &utf16)] {
        put(&checkout.path(name), bytes);
    }
    checkout.commit("template.yaml", &format!("{{{{ if x }}}}\n{text}"));
    let note = told(&[])["notes"].to_string();
    assert!(note.contains("3 file(s) of history speak of sealed values"), "{note}");
    assert!(note.contains("latin.yaml, template.yaml, wide.yaml") && note.contains("more than 16 MB"), "{note}");
    let report = json_of(&audit(&checkout, &["--output", "json"]).exits(0));
    let unread: Vec<&str> =
        report["unread"].as_array().unwrap().iter().map(|one| one["file"].as_str().unwrap()).collect();
    assert_eq!(unread, ["latin.yaml", "long.yaml", "template.yaml", "wide.yaml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_marked_compromised_names_what_is_live_and_what_is_in_history() {
    let shop = Shop::open().await;
    tokio::task::block_in_place(|| leaked_history(&shop.checkout, &shop.old, &x25519()));
    let live = value(&[shop.old.recipient()], "a");
    shop.live("db", &[("a", &live)], &shop.old.key_id().to_string()).await;
    let id = shop.old.key_id().to_string();
    let report =
        json_of(&shop.keys(&["compromised", &id, "--dry-run", "--repository", ".", "--output", "json"]).exits(0));
    assert_eq!(report["objects"][0]["name"], "db");
    assert_eq!(report["history"][0]["exposed"].as_array().unwrap().len(), 3, "{report:#}");
    let run = shop.keys(&["compromised", &id, "--repository", "."]).exits(0);
    for said in [
        "is marked compromised",
        "1 value(s) in 1 object(s) must be changed",
        "3 secret(s) in 5 commit(s)",
        "does not help",
    ] {
        assert!(run.out.contains(said), "{said}: {}", run.out);
    }
    let nowhere = shop.checkout.bench.path("").display().to_string();
    shop.keys(&["compromised", &id, "--dry-run", "--repository", &nowhere]).exits(2);
}
