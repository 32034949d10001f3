//! Every kind of value, with private keys at hand; read afterwards by the peers' own tools.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::{Identity, Place, Scope};

use super::{CANARY, hybrid, in_file, json, keys_of, object, opens, rsa, sealed, value, x25519};
use crate::checkout::Checkout;
use crate::support::tools;

const PLACE: Place<'static> = Place { namespace: "prod", name: "db", key: "a" };

/// What the real `age` makes of a value.
fn age(sealed: &str, key_file: &str) -> String {
    let file = STANDARD.decode(sealed).unwrap();
    String::from_utf8(tools::stdout_of(tools::age(&["-d", "-i", key_file], &file))).unwrap()
}

#[test]
fn values_move_from_one_key_to_the_next_whatever_the_kinds_and_age_opens_them() {
    let moves: [(Identity, Identity); 4] =
        [(x25519(), x25519()), (x25519(), hybrid()), (hybrid(), hybrid()), (hybrid(), x25519())];
    for (old, new) in moves {
        let checkout = Checkout::plain();
        checkout
            .write("db.yaml", &object(&[("a", value(&[old.recipient()], "a")), ("b", value(&[new.recipient()], "b"))]));
        let (old_file, new_file) = (checkout.key_file("old.key", &old), checkout.key_file("new.key", &new));
        let before = checkout.read("db.yaml");
        let run = checkout.reseal(&["-i", &old_file, "-i", &new_file]).exits(0);
        assert!(run.out.contains("1 value(s) in 1 file(s) sealed again"), "{}", run.out);
        assert!(run.out.contains(&format!("{} opens 1 of them now", new.key_id())), "{}", run.out);
        // People confuse the two.
        let run = run.says("the secrets themselves are what they were");
        assert!(!run.err.contains('\u{1b}'));
        let after = checkout.read("db.yaml");
        let a = in_file(&after, "a");
        assert_eq!(before.replace(&in_file(&before, "a"), &a), after);
        assert_eq!(age(&a, &new_file), format!("{CANARY}-a"));
        assert!(!opens(&a, Scope::Strict, PLACE, &[&old]));
        // What a value says about itself stays, but for its keys and its day.
        let inspected = checkout.bulla(&["inspect", "db.yaml", "--output", "json"]).exits(0).out;
        for kept in ["payments", "2096-02-03", "\"scope\": \"strict\""] {
            assert_eq!(inspected.matches(kept).count(), 2, "{inspected}");
        }
        assert_eq!(inspected.matches("2020-01-02").count(), 1, "{inspected}");
        let again = checkout.reseal(&["-i", &old_file, "-i", &new_file]).exits(0);
        assert_eq!(checkout.read("db.yaml"), after);
        assert!(!again.out.contains("sealed again") && again.out.contains("2 value(s) were as they should be"));
    }
}

#[test]
fn values_of_kubeseals_go_to_the_newer_certificate_in_all_scopes_and_kubeseal_recovers_them() {
    let checkout = Checkout::plain();
    for scope in [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide] {
        let text = object(&[
            ("a", sealed(&[&rsa(0).recipient()], scope, PLACE)),
            ("b", sealed(&[&rsa(1).recipient()], scope, Place { key: "b", ..PLACE })),
        ]);
        let annotation =
            scope.annotation().map_or_else(String::new, |name| format!("  annotations: {{{name}: \"true\"}}\n"));
        let text = text.replace("  namespace: prod\n", &format!("  namespace: prod\n{annotation}"));
        checkout.write(&format!("{scope}.yaml"), &text);
    }
    let keys = [0, 1].map(|index| checkout.key_file(&format!("{index}.pem"), &rsa(index).identity()));
    let arguments = ["-i", &keys[0], "-i", &keys[1]];
    let before: Vec<String> =
        ["strict", "namespace-wide", "cluster-wide"].map(|scope| checkout.read(&format!("{scope}.yaml"))).into();
    let report = json(&checkout.reseal(&[&["--output", "json"], &arguments[..]].concat()).exits(0));
    assert_eq!((&report["resealed"], &report["current"]), (&3.into(), &3.into()), "{report}");
    for (scope, before) in ["strict", "namespace-wide", "cluster-wide"].into_iter().zip(before) {
        let name = format!("{scope}.yaml");
        let after = checkout.read(&name);
        assert_eq!(in_file(&after, "b"), in_file(&before, "b"), "its key is the newest");
        let recovered = tools::kubeseal(&["--recovery-unseal", "--recovery-private-key", &keys[1]], after.as_bytes());
        let recovered = String::from_utf8(tools::stdout_of(recovered)).unwrap();
        for key in ["a", "b"] {
            assert!(recovered.contains(&STANDARD.encode(format!("{CANARY}-{key}"))), "{scope}: {recovered}");
        }
        // The old key alone does not do any more.
        let refused = tools::kubeseal(&["--recovery-unseal", "--recovery-private-key", &keys[0]], after.as_bytes());
        assert!(!refused.status.success());
    }
    let all: Vec<String> =
        ["strict", "namespace-wide", "cluster-wide"].map(|scope| checkout.read(&format!("{scope}.yaml"))).into();
    checkout.reseal(&arguments).exits(0);
    for (scope, before) in ["strict", "namespace-wide", "cluster-wide"].into_iter().zip(all) {
        assert_eq!(checkout.read(&format!("{scope}.yaml")), before);
    }
}

#[test]
fn values_of_kubeseals_become_native_and_are_bound_to_their_data_key_then() {
    let new = hybrid();
    for how in ["--native", "--to", "rule"] {
        let checkout = Checkout::plain();
        let old = rsa(0).recipient();
        checkout.write(
            "db.yaml",
            &object(&[("a", sealed(&[&old], Scope::Strict, PLACE)), ("b", value(&[new.recipient()], "b"))]),
        );
        let keys = [checkout.key_file("old.pem", &rsa(0).identity()), checkout.key_file("new.key", &new)];
        let recipient = new.recipient().to_string();
        // Without being asked to, the format stays.
        let kept = json(&checkout.reseal(&["-i", &keys[0], "-i", &keys[1], "--output", "json"]).exits(0));
        assert_eq!((&kept["resealed"], &kept["current"]), (&0.into(), &2.into()), "{kept}");
        let mut arguments = vec!["-i", &keys[0], "-i", &keys[1]];
        match how {
            "--to" => arguments.extend(["--to", &recipient]),
            "rule" => checkout
                .write(".bulla.yaml", &format!("version: 1\nrules:\n- {{path: '**', recipients: [{recipient}]}}\n")),
            _ => arguments.push("--native"),
        }
        let report = json(&checkout.reseal(&[&["--output", "json"], &arguments[..]].concat()).exits(0));
        assert_eq!((&report["resealed"], &report["current"]), (&1.into(), &1.into()), "{how} {report}");
        assert_eq!(report["lost"][old.key_id().to_string()], 1, "{report}");
        let a = in_file(&checkout.read("db.yaml"), "a");
        assert!(opens(&a, Scope::Strict, PLACE, &[&new]), "{how}");
        assert!(!opens(&a, Scope::Strict, Place { key: "b", ..PLACE }, &[&new]), "{how}: bound to its data key");
        assert_eq!(age(&a, &keys[1]), format!("{CANARY}-a"));
        checkout.reseal(&arguments).exits(0);
        assert_eq!(in_file(&checkout.read("db.yaml"), "a"), a);
    }
}

#[test]
fn nothing_can_be_bound_to_another_place_on_the_way() {
    let (old, new) = (x25519(), x25519());
    let checkout = Checkout::plain();
    let keys = [
        checkout.key_file("old.key", &old),
        checkout.key_file("old.pem", &rsa(0).identity()),
        checkout.key_file("new.key", &new),
    ];
    let to = new.recipient().to_string();
    let native = |scope, place| sealed(&[old.recipient()], scope, place);
    let upstream = |scope, place| sealed(&[&rsa(0).recipient()], scope, place);
    let elsewhere = Place { name: "other", ..PLACE };
    let wide = |text: &str| {
        text.replace(
            "  namespace: prod\n",
            "  namespace: prod\n  annotations: {sealedsecrets.bitnami.com/cluster-wide: \"true\"}\n",
        )
    };
    let template = |text: &str| {
        format!(
            "{text}  template:\n    metadata:\n      annotations: {{sealedsecrets.bitnami.com/cluster-wide: \"true\"}}\n"
        )
    };
    let one = |value: String| object(&[("a", value)]);
    let files = [
        ("moved-native.yaml", one(native(Scope::Strict, elsewhere))),
        ("moved-rsa.yaml", one(upstream(Scope::Strict, elsewhere))),
        ("other-key.yaml", one(native(Scope::Strict, Place { key: "b", ..PLACE }))),
        ("other-namespace.yaml", one(upstream(Scope::NamespaceWide, Place { namespace: "dev", ..PLACE }))),
        // The annotation is anybody's word.
        ("lie-native.yaml", wide(&one(native(Scope::Strict, PLACE)))),
        ("lie-rsa.yaml", wide(&one(upstream(Scope::Strict, PLACE)))),
        ("narrower.yaml", one(native(Scope::ClusterWide, PLACE))),
    ];
    for (name, text) in &files {
        checkout.write(name, text);
    }
    checkout.write("fine.yaml", &template(&one(upstream(Scope::Strict, PLACE))));
    let arguments = ["-i", &keys[0], "-i", &keys[1], "--to", &to, "--output", "json"];
    let report = json(&checkout.reseal(&arguments).exits(1));
    assert_eq!((&report["resealed"], &report["failed"]), (&1.into(), &files.len().into()), "{report:#}");
    for (name, text) in &files {
        assert_eq!(checkout.read(name), *text, "{name}");
    }
    // A template's annotations do not widen what is sealed again either.
    let a = in_file(&checkout.read("fine.yaml"), "a");
    assert!(opens(&a, Scope::Strict, PLACE, &[&new]) && !opens(&a, Scope::ClusterWide, PLACE, &[&new]));
}

#[test]
fn manifests_without_a_namespace_take_it_from_the_rule_the_flag_or_the_value_itself() {
    let (old, new) = (x25519(), x25519());
    let checkout = Checkout::plain();
    let keys = [
        checkout.key_file("old.key", &old),
        checkout.key_file("old.pem", &rsa(0).identity()),
        checkout.key_file("new.key", &new),
    ];
    let bare = |values: &[(&str, String)]| object(values).replace("  namespace: prod\n", "");
    let upstream = || sealed(&[&rsa(0).recipient()], Scope::Strict, PLACE);
    checkout.write("native.yaml", &bare(&[("a", value(&[old.recipient()], "a"))]));
    checkout.write("rsa.yaml", &bare(&[("a", upstream())]));
    let arguments = ["-i", &keys[0], "-i", &keys[1], "-i", &keys[2], "--native"];
    let run = checkout.reseal(&arguments).exits(1);
    assert!(
        run.out.contains("rsa.yaml:8: db a is opened by none") && run.out.contains("pass --namespace"),
        "{}",
        run.out
    );
    assert!(opens(&in_file(&checkout.read("native.yaml"), "a"), Scope::Strict, PLACE, &[&new]));
    checkout.reseal(&[&["--namespace", "dev"], &arguments[..]].concat()).exits(1);
    checkout.reseal(&[&["--namespace", "prod"], &arguments[..]].concat()).exits(0);
    assert!(opens(&in_file(&checkout.read("rsa.yaml"), "a"), Scope::Strict, PLACE, &[&new]));
    checkout.write("rsa.yaml", &bare(&[("a", upstream())]));
    checkout.write(".bulla.yaml", "version: 1\nrules:\n- {path: rsa.yaml, namespace: prod}\n");
    checkout.reseal(&arguments).exits(0);
    assert!(opens(&in_file(&checkout.read("rsa.yaml"), "a"), Scope::Strict, PLACE, &[&new]));
}

#[test]
fn a_reverted_commit_still_opens_while_the_old_key_is_kept() {
    let (old, new) = (x25519(), hybrid());
    let checkout = Checkout::plain();
    checkout
        .commit("db.yaml", &object(&[("a", value(&[old.recipient()], "a")), ("b", value(&[old.recipient()], "b"))]));
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let before = checkout.read("db.yaml");
    checkout.reseal(&["-i", &keys[0], "-i", &keys[1]]).exits(0);
    checkout.git(&["commit", "-qam", "sealed again"]).exits(0);
    let changed = checkout.git(&["show", "--numstat", "--format="]).exits(0).out;
    assert_eq!(changed, "2\t2\tdb.yaml\n");
    checkout.git(&["revert", "--no-edit", "HEAD"]).exits(0);
    assert_eq!(checkout.read("db.yaml"), before);
    checkout.bulla(&["open", "db.yaml", "-i", &keys[0], "--key", "a"]).exits(0);
    checkout.bulla(&["open", "db.yaml", "-i", &keys[1], "--key", "a"]).exits(1);
    // And forward again.
    checkout.reseal(&["-i", &keys[0], "-i", &keys[1]]).exits(0);
    checkout.bulla(&["open", "db.yaml", "-i", &keys[1], "--key", "a"]).exits(0);
    assert_eq!(keys_of(&in_file(&checkout.read("db.yaml"), "a")), [new.key_id().to_string()]);
}

/// A native value says itself where it belongs, so it can be sealed again where nothing else says it.
#[test]
fn values_in_templates_charts_and_comments_are_sealed_again_too() {
    let (old, new, stranger) = (x25519(), x25519(), x25519());
    let checkout = Checkout::plain();
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let native = |key: &str| value(&[old.recipient()], key);
    let wide = sealed(&[old.recipient()], Scope::ClusterWide, PLACE);
    let foreign = value(&[stranger.recipient()], "f");
    let template = format!("{{{{- if .Values.on }}}}\n{}{{{{- end }}}}\n", object(&[("a", native("a"))]));
    checkout.write("chart/templates/db.yaml", &template);
    checkout.write(
        "chart/values.yaml",
        &format!("# was {}\nsealed:\n  p: \"{}\"   # two\n  w: {wide}\n", native("c"), native("p")),
    );
    checkout.write(
        "mixed.yaml",
        &format!(
            "{}---\nkind: ConfigMap\napiVersion: v1\ndata:\n  x: {}\n",
            object(&[("a", native("a"))]),
            native("x")
        ),
    );
    checkout.write("foreign.json", &format!("{{\"f\": \"{foreign}\"}}"));
    let names = ["chart/templates/db.yaml", "chart/values.yaml", "mixed.yaml"];
    let before = names.map(|name| checkout.read(name));
    let run = checkout.reseal(&["-i", &keys[0], "-i", &keys[1]]).exits(1);
    assert!(run.out.contains("6 value(s) in 3 file(s) sealed again"), "{}", run.out);
    assert!(run.out.contains("foreign.json:1: f is sealed to"), "{}", run.out);
    for (name, before) in names.into_iter().zip(before) {
        let after = checkout.read(name);
        let blank = |text: &str| -> String {
            let token =
                |word: &str| if word.trim_matches('"').starts_with("YWdl") { "X".to_owned() } else { word.to_owned() };
            text.split(' ')
                .map(|word| word.split('\n').map(token).collect::<Vec<_>>().join("\n"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(blank(&after), blank(&before), "{name}");
        assert!(!after.contains(&native("a")[..60]) || after != before);
    }
    // Each opens where it did, and nowhere else.
    let opened = |text: &str, key: &str, scope| {
        let found = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)))
            .filter(|word| word.starts_with("YWdl"));
        found.filter(|word| opens(word, scope, Place { key, ..PLACE }, &[&new])).count()
    };
    let chart = checkout.read("chart/values.yaml");
    assert_eq!((opened(&chart, "c", Scope::Strict), opened(&chart, "p", Scope::Strict)), (1, 1));
    assert_eq!(opened(&chart, "a", Scope::ClusterWide), 1);
    assert_eq!(opened(&checkout.read("chart/templates/db.yaml"), "a", Scope::Strict), 1);
    assert_eq!(opened(&checkout.read("mixed.yaml"), "x", Scope::Strict), 1);
    let report = json(&checkout.reseal(&["-i", &keys[0], "-i", &keys[1], "--output", "json"]).exits(1));
    assert_eq!((&report["resealed"], &report["current"], &report["failed"]), (&0.into(), &6.into(), &1.into()));
    // Nothing is left that would hold back the old key.
    std::fs::remove_file(checkout.path("foreign.json")).unwrap();
    let audit = checkout.bulla(&["keys", "audit"]).exits(0).out;
    assert!(!audit.contains(&old.key_id().to_string()), "{audit}");
    // A template with a value of kubeseal's is another matter: nothing says where that belongs.
    let upstream = sealed(&[&rsa(0).recipient()], Scope::Strict, PLACE);
    checkout.write("chart/templates/db.yaml", &format!("{{{{ if .x }}}}\n{}", object(&[("a", upstream)])));
    checkout.reseal(&["-i", &keys[1]]).exits(1);
}
