//! `bulla host …` where no agent runs: enroll, what is said without an agent, drill.

use serde_json::Value;

use crate::harness::Bench;

const HOST: &str = "apiVersion: bulla.dev/v1alpha1
kind: Host
metadata: {name: app, namespace: web}
spec:
  files:
  - {path: /etc/app/token, secret: {name: token, key: token}}
  - {path: /etc/app/api, secret: {name: api, key: key}}
";

/// A store whose values are in the repository, and one whose values are not.
const STORES: &str = "apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: here, namespace: web}
spec: {provider: {fake: {data: [{key: /api, value: from-the-repository}]}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: away, namespace: web}
spec: {provider: {vault: {server: 'https://127.0.0.1:9', path: kv, auth: {tokenSecretRef: {name: token, key: token}}}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: api, namespace: web}
spec:
  secretStoreRef: {name: here}
  data: [{secretKey: key, remoteRef: {key: /api}}]
";

/// A machine that is enrolled, and its recipient in the rules of a repository.
fn enrolled(bench: &Bench) -> String {
    let enroll =
        ["host", "enroll", "--config", "frodo/host.yaml", "--name", "frodo", "--group", "web", "--url", "repo"];
    let said = bench.run(&[&enroll[..], &["--output", "json"]].concat()).exits(0).out;
    let said: Value = serde_json::from_str(&said).unwrap();
    let recipient = said["recipient"].as_str().unwrap().to_owned();
    bench.write(
        "repo/.bulla.yaml",
        &format!("version: 1\nrules:\n- {{path: 'hosts/web/**', namespace: web, recipients: [{recipient}]}}\n"),
    );
    recipient
}

#[test]
fn enroll_makes_a_key_and_settings_once_and_means_a_path_from_where_it_is_typed() {
    let bench = Bench::new();
    let recipient = enrolled(&bench);
    let settings = bench.read("frodo/host.yaml");
    let repository = std::fs::canonicalize(bench.path("")).unwrap().join("repo");
    assert!(settings.contains(&format!("url: \"{}\"", repository.display())), "{settings}");
    let again = bench.run(&["host", "enroll", "--config", "frodo/host.yaml"]).exits(0).out;
    assert!(again.contains(&format!("  - {recipient} # frodo\n")) && again.contains("was there"), "{again}");
    assert!(again.contains("bulla-controller host --config frodo/host.yaml"), "not the unit's settings: {again}");
    assert_eq!(bench.read("frodo/host.yaml"), settings);
}

#[test]
fn without_an_agent_every_verb_says_how_one_is_started() {
    let bench = Bench::new();
    enrolled(&bench);
    bench.write("frodo/host.yaml", &format!("{}run: run\n", bench.read("frodo/host.yaml")));
    for verb in ["status", "sync", "rollback"] {
        let run = bench.run(&["host", verb, "--config", "frodo/host.yaml"]).exits(2);
        run.says("no agent").says("bulla-host.service");
    }
}

#[test]
fn a_drill_opens_what_the_repository_has_and_names_what_is_elsewhere() {
    let bench = Bench::new();
    enrolled(&bench);
    let seal = ["seal", "--name", "token", "--from-literal", "token", "-o", "repo/hosts/web/token.yaml"];
    // The folder is not there yet.
    bench.pipe(&seal, "sesame").exits(0);
    bench.write("repo/hosts/web/host.yaml", HOST);
    bench.write("repo/hosts/web/stores.yaml", STORES);
    let drill = ["host", "drill", "repo", "--host", "frodo", "--identity", "frodo/host.key"];
    let drill = |more: &[&str]| bench.run(&[&drill[..], more].concat());
    let whole = drill(&["--group", "web"]).exits(0).out;
    assert!(whole.starts_with("✓ 2 of 2 file(s) of frodo"), "{whole}");

    bench.write(
        "repo/hosts/web/stores.yaml",
        &STORES.replace("secretStoreRef: {name: here}", "secretStoreRef: {name: away}"),
    );
    let without = drill(&["--group", "web"]).exits(0).out;
    assert!(
        without.starts_with("! 1 of 2") && without.contains("ExternalSecret web/api was not asked for"),
        "{without}"
    );

    // A store of the repository that does not answer is a problem of the repository.
    bench.write("repo/hosts/web/stores.yaml", &STORES.replace("key: /api, value", "key: /other, value"));
    let broken = drill(&["--group", "web"]).exits(1).out;
    assert!(broken.starts_with("! 1 of 2") && broken.contains("✗ ExternalSecret web/api"), "{broken}");

    let nobody = drill(&[]).exits(1).out;
    assert!(nobody.starts_with("! 0 of 0"), "{nobody}");
}
