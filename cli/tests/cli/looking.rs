//! `bulla inspect`, and what the whole program says about itself.

use crate::harness::{Bench, SECRET};

#[test]
fn inspect_needs_no_key_and_tells_format_scope_keys_and_date() {
    let bench = Bench::with_keys();
    bench.pipe(&["seal", "--to", "cluster.pub", "-o", "db.yaml"], SECRET).exits(0);
    let text = bench.run(&["inspect", "db.yaml"]).exits(0).out;
    for word in ["prod/db", "password", "native hybrid", "post-quantum", "strict", "sealed 20"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    let json = bench.run(&["inspect", "db.yaml", "--output", "json"]).exits(0).out;
    let objects: serde_json::Value = serde_json::from_str(&json).unwrap();
    let value = &objects[0]["values"][0];
    assert_eq!(value["key"], "password");
    assert_eq!(value["postQuantum"], true);
    assert_eq!(value["scope"], "strict");
    assert_eq!(value["known"], serde_json::Value::Null);
    assert_eq!(value["keyIds"][0].as_str().unwrap().len(), 16);

    bench.write(".bulla.yaml", "version: 1\nrules:\n- path: '**'\n  recipientFiles: [small.pub]\n");
    assert!(bench.run(&["inspect", "db.yaml"]).exits(0).out.contains("not all in .bulla.yaml"));
}

#[test]
fn inspect_finds_what_is_not_sealed() {
    let bench = Bench::with_keys();
    let manifest = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: prod}\nspec:\n  encryptedData:\n    a: not base64!\n    b: aHVudGVyMg==\n    c: YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n";
    bench.write("db.yaml", manifest);
    let run = bench.run(&["inspect", "db.yaml"]).exits(1).says("3 value(s)");
    assert!(
        run.out.contains("is not base64")
            && run.out.contains("is not a sealed value")
            && run.out.contains("is damaged"),
        "{}",
        run.out
    );
    bench.pipe(&["inspect"], "kind: Secret\n").exits(1).says("holds no SealedSecret");
}

#[test]
fn colours_are_for_terminals() {
    let bench = Bench::with_keys();
    bench.pipe(&["seal", "--to", "cluster.pub", "-o", "db.yaml"], SECRET).exits(0);
    let run = bench.run(&["inspect", "db.yaml"]).exits(0);
    assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'));
}

#[test]
fn as_a_kubectl_plugin_it_speaks_of_kubectl() {
    let run = Bench::new().pipe_as("kubectl-bulla", &["--help"], "").exits(0);
    assert!(run.out.contains("Usage: kubectl bulla"), "{}", run.out);
}

#[test]
fn every_verb_has_help_with_an_example() {
    let bench = Bench::new();
    for verb in [
        &["seal"][..],
        &["set"],
        &["unset"],
        &["open"],
        &["inspect"],
        &["plan"],
        &["sync"],
        &["status"],
        &["wait"],
        &["verify"],
        &["demo"],
        &["git", "install"],
        &["git", "diff"],
        &["git", "resolve"],
        &["git", "pre-commit"],
        &["git", "diff-text"],
        &["git", "merge-driver"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["keys", "retire"],
        &["keys", "compromised"],
        &["keys", "generate"],
        &["keys", "show"],
        &["completions"],
        &["man"],
    ] {
        let mut arguments = verb.to_vec();
        arguments.push("--help");
        let help = bench.run(&arguments).exits(0).out;
        assert!(help.contains("Example"), "{verb:?}:\n{help}");
    }
}

#[test]
fn completions_and_manual_are_generated() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.run(&["completions", shell]).exits(0).out.contains("inspect"));
    }
    assert!(bench.run(&["man"]).exits(0).out.starts_with(".ie"));
    std::fs::create_dir(bench.path("man")).unwrap();
    bench.run(&["man", "--out", "man"]).exits(0);
    for page in ["bulla.1", "bulla-seal.1", "bulla-keys-generate.1"] {
        assert!(bench.read(&format!("man/{page}")).contains(".TH"), "{page}");
    }
}

#[test]
fn usage_errors_exit_with_2() {
    let bench = Bench::new();
    bench.run(&["nonsense"]).exits(2);
    bench.run(&[]).exits(2);
    bench.run(&["open", "x.yaml"]).exits(2).says("--identity");
}
