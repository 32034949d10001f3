//! `bulla plan`: what ExternalSecrets would write, and what it refuses.

use crate::harness::{Bench, Run};

/// No output may hold it.
const CANARY: &str = "canary-correct-horse";

/// The manifest that every blog post has.
const EXTERNAL: &str = "apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata: {name: db-credentials}
spec:
  secretStoreRef: {name: aws-secrets-manager}
  target: {name: db-credentials}
  data:
  - secretKey: password
    remoteRef: {key: production/database, property: password}
";

/// A store of that name that can be opened anywhere.
fn fake(password: &str) -> String {
    format!(
        "apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {{name: aws-secrets-manager}}
spec:
  provider:
    fake:
      data:
      - key: production/database
        value: '{{\"username\": \"app\", \"password\": \"{password}\"}}'
"
    )
}

fn without_values(run: Run) -> Run {
    assert!(!run.out.contains("canary") && !run.err.contains("canary"), "{}\n{}", run.out, run.err);
    run
}

fn json(run: &Run) -> serde_json::Value {
    serde_json::from_str(&run.out).unwrap()
}

/// Plans these documents; the first is the file, the rest are stores.
fn plan(bench: &Bench, file: &str, stores: &str, more: &[&str]) -> Run {
    bench.write("es.yaml", file);
    bench.write("stores.yaml", stores);
    without_values(bench.run(&[&["plan", "-f", "es.yaml", "--store", "stores.yaml"], more].concat()))
}

#[test]
fn a_plan_names_target_sources_and_digests_and_no_value() {
    let bench = Bench::new();
    let text = plan(&bench, EXTERNAL, &fake(CANARY), &["-n", "prod"]).exits(0).out;
    for word in [
        "Secret prod/db-credentials",
        "ExternalSecret prod/db-credentials (es.yaml:1)",
        "Opaque, creationPolicy Owner, deletionPolicy Retain, fetched every 1h",
        "SecretStore aws-secrets-manager (fake): production/database, property password",
        "there",
    ] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    let first = json(&plan(&bench, EXTERNAL, &fake(CANARY), &["--output", "json"]).exits(0));
    let again = json(&plan(&bench, EXTERNAL, &fake(CANARY), &["--output", "json"]).exits(0));
    let changed = json(&plan(&bench, EXTERNAL, &fake("canary-other"), &["--output", "json"]).exits(0));
    let digest = |plan: &serde_json::Value| plan["plans"][0]["data"][0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest(&first), digest(&again));
    assert_ne!(digest(&first), digest(&changed));
    assert_eq!(first["plans"][0]["values"][0]["remoteKey"], "production/database");
    assert_eq!(first["plans"][0]["target"]["creationPolicy"], "Owner");
    assert_eq!(first["findings"], serde_json::json!([]));
    // Equal values in two places must not look equal.
    let both =
        format!("{EXTERNAL}  - secretKey: copy\n    remoteRef: {{key: production/database, property: password}}\n");
    let both = json(&plan(&bench, &both, &fake(CANARY), &["--output", "json"]).exits(0));
    let data = both["plans"][0]["data"].as_array().unwrap();
    assert_eq!(data.len(), 2);
    assert_ne!(data[0]["digest"], data[1]["digest"]);
}

#[test]
fn standard_input_lists_and_json_are_read_and_find_and_extract_expand() {
    let bench = Bench::new();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "all", "namespace": "prod"},
         "spec": {"secretStoreRef": {"name": "s", "kind": "ClusterSecretStore"}, "refreshInterval": "15m",
            "target": {"name": "target", "creationPolicy": "Orphan", "deletionPolicy": "Delete"},
            "dataFrom": [{"extract": {"key": "db", "version": "7"}}, {"find": {"name": {"regexp": "^flag-"}}},
                         {"extract": {"key": "absent"}}]}},
        {"apiVersion": "external-secrets.io/v1", "kind": "ClusterSecretStore", "metadata": {"name": "s"},
         "spec": {"provider": {"fake": {"data": [
            {"key": "db", "version": "7", "value": format!("{{\"user\": \"{CANARY}\"}}")},
            {"key": "flag-a", "value": CANARY}]}}}}
    ]});
    let run = without_values(bench.pipe(&["plan", "-f", "-", "--output", "json"], &list.to_string()).exits(0));
    let plan = &json(&run)["plans"][0];
    let values: Vec<_> = plan["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| {
            (
                value["key"].as_str().unwrap_or("-"),
                value["remoteKey"].as_str().unwrap(),
                value["version"].as_str().unwrap_or("-"),
                value["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        values,
        [("user", "db", "7", "there"), ("flag-a", "flag-a", "-", "there"), ("-", "absent", "-", "left-out")]
    );
    assert_eq!(plan["target"]["refreshInterval"], "15m");
}

#[test]
fn stores_behind_a_network_are_not_asked() {
    let bench = Bench::new();
    let aws = "apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: aws-secrets-manager}
spec: {provider: {aws: {service: SecretsManager, region: eu-central-1}}}
";
    let run = plan(&bench, EXTERNAL, aws, &[]).exits(0);
    assert!(run.out.contains("not asked SecretStore aws-secrets-manager: aws is asked over a network"), "{}", run.out);
    let run = json(&plan(&bench, EXTERNAL, aws, &["--output", "json"]).exits(0));
    assert_eq!(run["plans"][0]["values"][0]["state"], "not-asked");
    assert_eq!(
        run["plans"][0]["data"],
        serde_json::json!([{"key": "password", "fromTemplate": false, "digest": null}])
    );
    // Beside one that is: every item keeps its own answer.
    let second = "  - secretKey: user\n    remoteRef: {key: a}\n    sourceRef: {storeRef: {name: other}}\n";
    let other = "---\napiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: other}\nspec: {provider: {fake: {data: [{key: a, value: canary-a}]}}}\n";
    let both = plan(&bench, &format!("{EXTERNAL}{second}"), &format!("{aws}{other}"), &["--output", "json"]);
    let values = &json(&both.exits(0))["plans"][0]["values"];
    assert_eq!((&values[0]["state"], &values[1]["state"]), (&"not-asked".into(), &"there".into()));
    assert_eq!(values[1]["item"], "spec.data[1]");
}

#[test]
fn an_age_file_is_opened_with_an_identity_or_with_the_secret_that_the_store_names() {
    let bench = Bench::with_keys();
    let public: age::x25519::Recipient = bench.read("small.pub").trim().parse().unwrap();
    let sealed = age::encrypt_and_armor(&public, format!("db: {{password: {CANARY}}}\n").as_bytes()).unwrap();
    let indented = sealed.replace('\n', "\n    ");
    let external = EXTERNAL.replace("aws-secrets-manager", "files").replace("production/database", "db");
    let store = format!(
        "apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {{name: files}}
spec:
  provider:
    file:
      configMapRef: {{name: sealed, key: secrets.age}}
      identitySecretRef: {{name: opens, key: identity}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: sealed}}
data:
  secrets.age: |
    {indented}
"
    );
    let run = plan(&bench, &external, &store, &[]).exits(0);
    assert!(run.out.contains("not asked") && run.out.contains("pass --identity"), "{}", run.out);
    let run = plan(&bench, &external, &store, &["-i", "small.key"]).exits(0);
    assert!(run.out.contains("there"), "{}", run.out);
    let run = plan(&bench, &external, &store, &["-i", "cluster.key"]).exits(1);
    assert!(run.out.contains("spec.provider.file") && run.out.contains("is opened by none"), "{}", run.out);
    let key = bench.read("small.key").replace('\n', "\n    ");
    let secret = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: opens}}\nstringData:\n  identity: |\n    {key}\n"
    );
    let run = plan(&bench, &external, &format!("{store}{secret}"), &[]).exits(0);
    assert!(run.out.contains("there") && !run.out.contains("AGE-SECRET-KEY"), "{}", run.out);
    // The same file beside the manifests, named by a path.
    bench.write("vault/secrets.age", &sealed);
    let by_path = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: files}\nspec: {provider: {file: {path: secrets.age}}}\n";
    let external = external.replace("{name: files}", "{name: files, kind: ClusterSecretStore}");
    let run = plan(&bench, &external, by_path, &["-i", "small.key", "--file-store-root", "vault"]).exits(0);
    assert!(run.out.contains("there"), "{}", run.out);
}

#[test]
fn templates_are_rendered_where_the_values_are_known() {
    let bench = Bench::new();
    let template = |text: &str| {
        EXTERNAL.replace(
            "target: {name: db-credentials}",
            &format!("target: {{template: {{type: kubernetes.io/basic-auth, data: {{dsn: {text:?}}}}}}}"),
        )
    };
    let run = plan(&bench, &template("pg://app:{{ .password }}@db"), &fake(CANARY), &[]).exits(0);
    assert!(run.out.contains("kubernetes.io/basic-auth") && run.out.contains("dsn  template"), "{}", run.out);
    let run = plan(&bench, &template("{{ .passwort }}"), &fake(CANARY), &[]).exits(1);
    assert!(run.out.contains("spec.target.template") && run.out.contains("dsn"), "{}", run.out);
}

#[test]
fn every_mistake_is_found_at_once_with_file_object_and_path() {
    let bench = Bench::new();
    let file = "apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: unreadable, namespace: prod}
spec: {data: 7}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: broken, namespace: prod}
spec:
  refreshInterval: often
  target: {creationPolicy: Merge, deletionPolicy: Delete}
  data: [{secretKey: a b, remoteRef: {key: a, propertyy: x}, remoteref: {}}]
---
apiVersion: external-secrets.io/v1alpha1
kind: ExternalSecret
metadata: {name: lost, namespace: prod}
spec: {secretStoreRef: {name: nowhere}, dataFrom: [{extract: {key: a}}]}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: denied, namespace: prod}
spec: {secretStoreRef: {name: closed, kind: ClusterSecretStore}, dataFrom: [{extract: {key: a}}]}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: foreign, namespace: prod}
spec: {secretStoreRef: {name: gcp}, data: [{secretKey: a, remoteRef: {key: a}}]}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: absent, namespace: prod}
spec: {secretStoreRef: {name: empty}, data: [{secretKey: a, remoteRef: {key: a}}]}
";
    let stores = "apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: closed}
spec: {conditions: [{namespaces: [staging]}], provider: {fake: {data: [{key: a, value: canary-a}]}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: gcp, namespace: prod}
spec: {provider: {gcpsm: {projectID: x}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: empty, namespace: prod}
spec: {provider: {fake: {data: []}}}
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: not-used, namespace: prod}
spec: {provider: {alsoUnknown: {}}}
";
    let run = plan(&bench, file, stores, &[]).exits(1).says("finding(s) in es.yaml");
    for (object, path, why) in [
        ("es.yaml:1: ExternalSecret prod/unreadable", "spec.data", "must be a list"),
        ("es.yaml:6: ExternalSecret prod/broken", "spec.refreshInterval", "must be a duration"),
        ("ExternalSecret prod/broken", "spec.target.deletionPolicy", "must not be used"),
        ("ExternalSecret prod/broken", "spec.data[0].secretKey", "letters"),
        ("ExternalSecret prod/broken", "spec.data[0].remoteRef.propertyy", "no such field"),
        ("ExternalSecret prod/broken", "spec.data[0].remoteref", "write remoteRef"),
        ("ExternalSecret prod/broken", "spec.data[0]", "names no store"),
        ("ExternalSecret prod/lost", "apiVersion", "is not served"),
        ("ExternalSecret prod/lost", "spec.secretStoreRef", "there is no SecretStore \"nowhere\" in namespace prod"),
        ("ExternalSecret prod/denied", "spec.secretStoreRef", "not allowed from namespace \"prod\""),
        ("stores.yaml:6: SecretStore prod/gcp", "spec.provider.gcpsm", "is not supported"),
        ("ExternalSecret prod/absent", "spec.data[0]", "the store holds no \"a\""),
    ] {
        let expected = format!("{object}: {path}: ");
        let line = run.out.lines().find(|line| line.contains(&expected) && line.contains(why));
        assert!(line.is_some(), "{expected}{why} in\n{}", run.out);
    }
    assert!(!run.out.contains("alsoUnknown"), "a store that nobody names is nobody's business:\n{}", run.out);
    let found = json(&plan(&bench, file, stores, &["--output", "json"]).exits(1));
    assert_eq!(found["findings"][0]["file"], "es.yaml");
    bench.pipe(&["plan", "-f", "-"], &fake(CANARY)).exits(1).says("holds no ExternalSecret");
    bench.run(&["plan"]).exits(2).says("--file");
    bench.run(&["plan", "-f", "absent.yaml"]).exits(2).says("absent.yaml");
}

#[test]
fn conditions_by_label_are_judged_with_the_namespace_and_open_without_it() {
    let bench = Bench::new();
    let external = EXTERNAL.replace("{name: aws-secrets-manager}", "{name: c, kind: ClusterSecretStore}");
    let store = "apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: c}
spec:
  conditions: [{namespaceSelector: {matchLabels: {tier: gold}}}]
  provider: {fake: {data: [{key: production/database, value: '{\"password\": \"canary-a\"}'}]}}
";
    let namespace = |tier: &str| {
        format!("{store}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: prod, labels: {{tier: {tier}}}}}\n")
    };
    let run = plan(&bench, &external, store, &["-n", "prod"]).exits(0);
    assert!(run.out.contains("those of prod are not known"), "{}", run.out);
    plan(&bench, &external, &namespace("gold"), &["-n", "prod"]).exits(0);
    let run = plan(&bench, &external, &namespace("lead"), &["-n", "prod"]).exits(1);
    assert!(run.out.contains("denied by spec.condition"), "{}", run.out);
}

#[test]
fn a_cluster_external_secret_is_planned_and_checked_like_those_that_it_makes() {
    let bench = Bench::new();
    let inner = EXTERNAL.split_once("spec:\n").unwrap().1.replace('\n', "\n  ");
    let cluster = |more: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: everywhere}}\nspec:\n  namespaceSelectors: [{{}}]\n{more}  externalSecretSpec:\n  {inner}\n"
        )
    };
    let run = plan(&bench, &cluster(""), &fake(CANARY), &[]).exits(0);
    for word in ["Secret db-credentials", "of ClusterExternalSecret everywhere", "there", "every namespace"] {
        assert!(run.out.contains(word), "{word} in\n{}", run.out);
    }
    let broken =
        cluster("  refreshTime: often\n  namespaceSelectorr: {}\n").replace("property: password", "propert: x");
    let run = plan(&bench, &broken, &fake(CANARY), &[]).exits(1);
    for path in [
        "spec.refreshTime: must",
        "spec.namespaceSelectorr: there is",
        "spec.externalSecretSpec.data[0].remoteRef.propert:",
    ] {
        assert!(run.out.contains(path), "{path} in\n{}", run.out);
    }
    let lost = plan(&bench, &cluster(""), "", &[]).exits(1);
    assert!(lost.out.contains("spec.externalSecretSpec.secretStoreRef: there is no SecretStore"), "{}", lost.out);
}
