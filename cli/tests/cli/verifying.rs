//! `bulla verify`: a repository without a cluster.

use bulla::seal::{Binding, Place, Recipient, Scope};
use bulla::secret::Plaintext;
use serde_json::Value;

use crate::harness::{Bench, Run, SECRET};
use crate::support::tools;

/// A repository with a rule, a good SealedSecret and an ExternalSecret with its store.
fn repository() -> Bench {
    let bench = Bench::with_keys();
    bench.write(".bulla.yaml", "version: 1\nrules:\n- path: 'clusters/**'\n  recipientFiles: [cluster.pub]\n");
    std::fs::create_dir_all(bench.path("clusters")).unwrap();
    bench.pipe(&["seal", "-o", "clusters/db.yaml"], SECRET).exits(0);
    bench.write("clusters/external.yaml", EXTERNAL);
    bench.write("clusters/deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n");
    bench.write("README.md", "kind: Secret\ndata: {a: b25l}\n");
    bench
}

const EXTERNAL: &str = "apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: api, namespace: prod}
spec:
  secretStoreRef: {name: store}
  data:
  - {secretKey: a, remoteRef: {key: db}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: store, namespace: prod}
spec: {provider: {fake: {data: [{key: db, value: '${CANARY}'}]}}}
";

fn findings(run: &Run) -> Vec<(String, String, Option<u64>)> {
    let found: Value = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}", run.out));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = found["findings"].as_array().unwrap().iter();
    all.map(|one| (text(&one["rule"]), text(&one["file"]), one["line"].as_u64())).collect()
}

/// The line of a file, from 1, that contains `text`.
fn line(bench: &Bench, file: &str, text: &str) -> Option<u64> {
    bench.read(file).lines().position(|line| line.contains(text)).map(|at| at as u64 + 1)
}

#[test]
fn a_good_repository_has_nothing_wrong() {
    let bench = repository();
    let run = bench.run(&["verify"]).exits(0);
    assert_eq!(
        run.out,
        "2 file(s): 1 SealedSecret(s) with 2 value(s), 1 ExternalSecret(s), 1 store(s); nothing wrong\n"
    );
    assert_eq!(run.err, "");
    assert_eq!(bench.run(&["verify", "clusters", "--output", "github"]).exits(0).out, "");
    bench.run(&["verify", "nowhere"]).exits(2).says("nowhere does not exist");
}

#[test]
fn every_mistake_is_found_at_its_line() {
    let bench = repository();
    let good = bench.read("clusters/db.yaml");
    let case = |file: &str, text: &str, rule: &str, at: &str| {
        bench.write(file, text);
        let run = bench.run(&["verify", file, "--output", "json"]).exits(1);
        let found = findings(&run);
        assert!(!run.out.contains("canary-hunter2"), "{}", run.out);
        let line = line(&bench, file, at);
        assert_eq!(found, [(rule.to_owned(), file.to_owned(), line)], "{}", run.out);
        std::fs::remove_file(bench.path(file)).unwrap();
    };
    case("clusters/secret.yaml", SECRET, "plain-secret", "username: app");
    let quoted = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}: {text}");
        text.replacen(from, to, 1)
    };
    case("clusters/key.yaml", &quoted(&good, "    password:", "    passwd:"), "wrong-place", "passwd");
    let value = good.lines().find(|line| line.contains("username:")).unwrap();
    let cut = &value[..value.len() - 40];
    case("clusters/cut.yaml", &quoted(&good, value, cut), "sealed-value", "username:");
    case("clusters/text.yaml", &quoted(&good, value, "    username: hunter"), "sealed-value", "username:");
    case("clusters/number.yaml", &quoted(&good, value, "    username: 12"), "sealed-value", "username:");
    let annotated = |value: &str| {
        let annotation = format!("metadata:\n  annotations: {{sealedsecrets.bitnami.com/namespace-wide: {value}}}\n");
        quoted(&good, "metadata:\n", &annotation)
    };
    case("clusters/odd.yaml", &annotated("true"), "scope", "annotations:");
    case("clusters/yes.yaml", &annotated("'yes'"), "scope", "annotations:");
    case("clusters/broken.yaml", "kind: SealedSecret\nspec: [\n", "syntax", "spec: [");

    // Both values disagree with an annotation that counts.
    bench.write("clusters/wide.yaml", &annotated("'true'"));
    let found = findings(&bench.run(&["verify", "clusters/wide.yaml", "--output", "json"]).exits(1));
    assert_eq!(found.iter().filter(|(rule, ..)| rule == "scope").count(), 2, "{found:?}");
    bench.write("clusters/wide.yaml", "");

    // Another namespace than the one that the value was sealed for.
    bench.write("clusters/db.yaml", &quoted(&good, "namespace: prod", "namespace: dev"));
    let run = bench.run(&["verify", "clusters"]).exits(1).says("2 error(s)");
    assert!(
        run.out.contains("clusters/db.yaml:") && run.out.contains("was sealed for key \"password\" of \"prod/db\"")
    );
}

#[test]
fn keys_that_nobody_named_and_dates_that_have_passed_are_found() {
    let bench = repository();
    // Sealed to a key that is not in the rule.
    bench.pipe(&["seal", "--to", "small.pub", "-o", "clusters/small.yaml"], SECRET).exits(0);
    let run = bench.run(&["verify", "clusters/small.yaml"]).exits(1);
    assert_eq!(run.out.matches("[recipient]").count(), 2, "{}", run.out);
    assert!(
        run.out.contains("which .bulla.yaml does not allow here") && run.out.contains("[missing-recipient]"),
        "{}",
        run.out
    );
    // A keyring says what opens, not what is allowed.
    bench
        .run(&["verify", "clusters/small.yaml", "--keyring", "small.pub"])
        .exits(1)
        .says("2 error(s) and 1 warning(s)");
    let shown = bench.run(&["keys", "show", "--for", "clusters/x", "--output", "json"]).exits(0).out;
    bench.write("keys.json", &shown);
    bench.run(&["verify", "clusters/db.yaml", "--keyring", "keys.json"]).exits(0);
    bench.run(&["verify", "clusters/small.yaml", "--keyring", "keys.json"]).exits(1).says("4 error(s)");
    bench.write("odd.json", "{}");
    bench.run(&["verify", "--keyring", "odd.json"]).exits(1).says("odd.json is not what");
    // A value that should have been replaced long ago, as the library seals it.
    let recipient: Recipient = bench.read("cluster.pub").trim().parse().unwrap();
    let place = Place { namespace: "prod", name: "db", key: "password" };
    let mut binding = Binding::new(Scope::Strict, place, "2020-01-01".parse().unwrap());
    binding.not_after = Some("2020-12-31".parse().unwrap());
    binding.owner = Some("payments".to_owned());
    let value = bulla::seal::seal(&[recipient], &Plaintext::copy_of(b"canary"), &binding).unwrap();
    let manifest = format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: prod}}\n\
         spec:\n  encryptedData:\n    password: {value}\n"
    );
    bench.write("clusters/late.yaml", &manifest);
    let run = bench.run(&["verify", "clusters/late.yaml"]).exits(1);
    assert!(run.out.contains("clusters/late.yaml:6:") && run.out.contains("[not-after]"), "{}", run.out);
    assert!(run.out.contains("should have been replaced by 2020-12-31 (owner \"payments\")"), "{}", run.out);
    // One recipient too few is a warning.
    let other = bench.run(&["keys", "generate", "-o", "other.key"]).exits(0).out;
    bench.write("other.pub", &other);
    bench.write(".bulla.yaml", "version: 1\nrules:\n- path: '**'\n  recipientFiles: [cluster.pub, other.pub]\n");
    let run = bench.run(&["verify", "clusters/db.yaml"]).exits(0);
    assert!(run.out.contains("! clusters/db.yaml:7:3: SealedSecret prod/db"), "{}", run.out);
    bench.run(&["verify", "clusters/db.yaml", "--strict"]).exits(1).says("0 error(s) and 1 warning(s)");
    // Nothing can be sealed to keys of two kinds together.
    bench.write(".bulla.yaml", "version: 1\nrules:\n- path: '**'\n  recipientFiles: [cluster.pub, small.pub]\n");
    let run = bench.run(&["verify", "clusters/db.yaml"]).exits(1);
    assert!(run.out.contains("✗ .bulla.yaml:3:3: rules[0]: names recipients of several kinds"), "{}", run.out);
}

#[test]
fn external_secrets_and_stores_are_checked_over_all_files() {
    let bench = repository();
    let (external, store) = EXTERNAL.split_once("---\n").unwrap();
    bench.write("clusters/external.yaml", external);
    let run = bench.run(&["verify"]).exits(0);
    assert!(run.out.contains("[missing-store]") && run.out.contains("! clusters/external.yaml:5:3: "), "{}", run.out);
    bench.write("stores/store.yaml", store);
    bench.run(&["verify", "--strict"]).exits(0);
    bench.write("stores/store.yaml", &store.replace("key: db", "key: api"));
    let run = bench.run(&["verify"]).exits(0);
    let said = "! clusters/external.yaml:7:32: ExternalSecret prod/api: spec.data[0].remoteRef.key: SecretStore prod/store has no key \"db\"";
    assert!(run.out.contains(said), "{}", run.out);
    bench.write("stores/store.yaml", &store.replace("fake:", "fakes:"));
    let run = bench.run(&["verify", "--output", "json"]).exits(1);
    assert!(findings(&run).iter().all(|(rule, file, _)| rule == "external-secret" && file == "stores/store.yaml"));
    bench.write("clusters/external.yaml", &external.replace("remoteRef", "remoteref"));
    let run = bench.run(&["verify", "clusters", "--output", "github"]).exits(1);
    assert!(
        run.out.contains("::error file=clusters/external.yaml,line=7,col=20,title=bulla external-secret::"),
        "{}",
        run.out
    );
    bench.run(&["verify", "--exclude", "clusters/**", "--exclude", "stores/**"]).exits(0);
}

#[test]
fn templates_are_read_as_far_as_they_go_and_standard_input_too() {
    let bench = repository();
    bench.write("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 1.0.0\n");
    bench.write("chart/templates/a.yaml", "kind: Secret\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {a: b25l}\n");
    bench.write("chart/templates/plain.yaml", "kind: Secret\nmetadata: {name: a}\nstringData: {a: canary}\n");
    bench.write("chart/templates/filled.yaml", "kind: Secret\ndata:\n  a: {{ .Values.a | b64enc }}\n");
    bench.write("other/b.yaml", "kind: Secret\n{{- if .a }}\ndata: {a: b25l}\n{{- end }}\n");
    bench.write("other/c.yaml", "kind: Secret\ndata: {{ .a }\n  b: c\n");
    let run = bench.run(&["verify"]).exits(1).says("other/c.yaml: passed over");
    for found in [
        "chart/templates/a.yaml:3:8: Secret {{...}}: data.a: in the clear",
        "chart/templates/plain.yaml:3:14: Secret a: stringData.a: in the clear",
        "other/b.yaml:3:8: Secret : data.a: in the clear",
    ] {
        assert!(run.out.contains(found), "{found}: {}", run.out);
    }
    assert!(!run.out.contains("canary") && !run.out.contains("filled.yaml"), "{}", run.out);
    bench.pipe(&["verify", "-"], &bench.read("clusters/db.yaml")).exits(0);
    let run = bench.pipe(&["verify", "-"], SECRET).exits(1);
    assert!(
        run.out.contains("standard input:9:3: Secret prod/db: stringData.username, stringData.password: in the clear"),
        "{}",
        run.out
    );
}

#[test]
fn braces_excuse_only_the_document_that_is_a_template() {
    let bench = repository();
    let template = "kind: ConfigMap\n{{- if .a }}\ndata: {a: b}\n{{- end }}\n---\n";
    bench.write("other/b.yaml", &format!("{template}kind: Secret\nmetadata: {{name: a}}\nstringData: {{a: canary}}\n"));
    let run = bench.run(&["verify", "other"]).exits(1);
    assert!(run.out.contains("other/b.yaml:8:14: Secret a: stringData.a: in the clear"), "{}", run.out);
    // Broken, and the braces are not why.
    let broken = "kind: Secret\nmetadata: {name: '{{ a }}'} # {{\nstringData:\n  a: canary\n b: [\n";
    for before in ["", template] {
        bench.write("other/b.yaml", &format!("{before}{broken}"));
        let run = bench.run(&["verify", "other", "--output", "json"]).exits(1);
        assert_eq!(findings(&run).iter().filter(|(rule, ..)| rule == "syntax").count(), 1, "{}", run.out);
        assert!(!run.out.contains("canary"), "{}", run.out);
    }
    bench.write("other/b.yaml", template);
    bench.run(&["verify", "other"]).exits(0);
}

#[test]
fn what_the_real_kubeseal_makes_is_fine_and_half_of_it_is_not() {
    let bench = Bench::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    bench.write("cert.pem", &rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem());
    let certificate = bench.path("cert.pem").display().to_string();
    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        let arguments = ["--cert", &certificate, "--scope", scope, "--format", "yaml"];
        let sealed = String::from_utf8(tools::stdout_of(tools::kubeseal(&arguments, SECRET.as_bytes()))).unwrap();
        bench.write("db.yaml", &sealed);
        bench.run(&["verify", "db.yaml", "--keyring", "cert.pem"]).exits(0);
    }
    let sealed = bench.read("db.yaml");
    let value = sealed.lines().find(|line| line.contains("password:")).unwrap();
    bench.write("db.yaml", &sealed.replace(value, &value[..94]));
    let run = bench.run(&["verify", "db.yaml"]).exits(1);
    assert!(run.out.contains("is damaged: it is cut off"), "{}", run.out);
}
