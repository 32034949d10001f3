//! Stores that need no server: fakes and files; and what of the rules of ExternalSecrets holds on a host.

use std::collections::BTreeMap;

use bulla::host::config::Allow;
use bulla::host::declared::external::Admitted;
use bulla::seal::{Identity, seal_file};
use bulla::secret::Plaintext;
use serde_json::{Value, json};

use super::{GROUP, Host, note, only, refused, takes, text, texts};

fn fake(values: &[(&str, &str)]) -> Value {
    let data: Vec<_> = values.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"fake": {"data": data}})
}

fn wide(mut spec: Value) -> Value {
    spec["secretStoreRef"]["kind"] = json!("ClusterSecretStore");
    spec
}

/// An age file of YAML that the host opens.
fn file(identity: &Identity, text: &str) -> Vec<u8> {
    seal_file(&[identity.recipient().clone()], &Plaintext::copy_of(text.as_bytes())).unwrap()
}

#[tokio::test]
async fn one_bad_store_or_item_does_not_stop_the_others() {
    let mut host = Host::new();
    host.store("good", fake(&[("a", "{\"x\":\"1\"}")]));
    host.store("bad", json!({"vault": {"server": "http://127.0.0.1:1", "path": "kv", "auth": {}}}));
    host.store("foreign", json!({"gcpsm": {"projectID": "p"}}));
    host.external_secret("a", takes("good", "a", "1h"));
    host.external_secret("b", takes("bad", "b", "1h"));
    host.external_secret("c", takes("foreign", "c", "1h"));
    host.external_secret("d", takes("good", "absent", "1h"));
    host.external_secret("e", takes("nowhere", "e", "1h"));
    host.external_secret("f", json!({"secretStoreRef": {"name": "good"}, "data": [{"secretKey": "no key!"}]}));
    let mut external = host.external();
    let answered = host.pass(&mut external).await;
    assert_eq!(text(answered.targets[0].as_ref().unwrap(), "x"), Some("1"));
    let problems = [
        "spec.provider.vault.auth: no auth method is given",
        "the provider \"gcpsm\" is not supported",
        "spec.dataFrom[0].extract",
        "could not get SecretStore \"nowhere\": it does not exist",
        "spec.data[0]",
    ];
    for (target, problem) in answered.targets.iter().skip(1).zip(problems) {
        let said = target.as_ref().err().unwrap();
        assert!(said.contains(problem), "{said}: not {problem}");
    }
}

#[tokio::test]
async fn a_store_of_another_namespace_is_refused() {
    let mut host = Host::new();
    host.commit(json!({
        "apiVersion": "external-secrets.io/v1", "kind": "SecretStore",
        "metadata": {"namespace": "db", "name": "theirs"}, "spec": {"provider": fake(&[("a", "{\"x\":\"1\"}")])}
    }));
    host.external_secret("a", takes("theirs", "a", "1h"));
    let answered = host.pass(&mut host.external()).await;
    let expected =
        "namespace \"web\" has no SecretStore \"theirs\": the one of namespace \"db\" serves that namespace only";
    assert!(refused(&answered).contains(expected), "{}", refused(&answered));
}

#[tokio::test]
async fn the_conditions_of_a_cluster_store_are_kept() {
    let mut host = Host::new();
    let spec = |conditions: Value| json!({"provider": fake(&[("a", "{\"x\":\"1\"}")]), "conditions": conditions});
    host.external_secret("a", wide(takes("all", "a", "1h")));
    let mut external = host.external();
    for admits in [json!([]), json!([{"namespaces": ["db", GROUP]}]), json!([{"namespaceRegexes": ["^we"]}])] {
        host.cluster_store("all", spec(admits));
        assert_eq!(only(&host.pass(&mut external).await, "x"), Some("1"));
    }
    let mut external = bulla::host::declared::external::External::new(bulla::host::declared::external::Settings::new(
        "frodo",
        host.keyring.clone(),
    ));
    host.cluster_store("all", spec(json!([{"namespaces": ["db"]}])));
    let answered = host.pass(&mut external).await;
    assert!(refused(&answered).contains("denied by spec.condition"), "{}", refused(&answered));
    host.cluster_store(
        "all",
        spec(json!([{"namespaceSelector": {"matchExpressions": [
            {"key": "untrusted", "operator": "DoesNotExist"}
        ]}}])),
    );
    let answered = host.pass(&mut external).await;
    assert!(refused(&answered).contains("a host knows no labels of namespaces"), "{}", refused(&answered));
}

#[tokio::test]
async fn what_makes_no_sense_on_a_host_is_explained() {
    let mut host = Host::new();
    host.store("good", fake(&[("a", "{\"x\":\"1\"}")]));
    host.store("cluster", json!({"kubernetes": {"auth": {"serviceAccount": {"name": "app"}}}}));
    let mut external = host.external();
    for (policy, said) in
        [("None", "creationPolicy None makes no Secret"), ("Merge", "creationPolicy Merge adds to a Secret")]
    {
        let mut spec = takes("good", "a", "1h");
        spec["target"] = json!({"creationPolicy": policy});
        host.external_secret("a", spec);
        let answered = host.pass(&mut external).await;
        assert!(refused(&answered).contains(said), "{}", refused(&answered));
        assert_eq!(answered.refresh, None, "only another commit helps");
    }
    host.external_secret("a", takes("cluster", "a", "1h"));
    let answered = host.pass(&mut external).await;
    let said = refused(&answered);
    assert!(said.contains("the provider kubernetes takes a Kubernetes cluster around the program"), "{said}");
}

#[tokio::test]
async fn templates_rewrites_and_finds_are_those_of_the_controller() {
    let mut host = Host::new();
    host.store("good", fake(&[("app-a", "1"), ("app-b", "2"), ("other", "3")]));
    host.seal("parts", &[("greeting", "Hello")]);
    host.commit(json!({"kind": "ConfigMap", "metadata": {"namespace": GROUP, "name": "texts"}, "data": {
        "line": "{{ .k_a }}-{{ .k_b }}"
    }}));
    host.external_secret(
        "all",
        json!({
            "secretStoreRef": {"name": "good"},
            "dataFrom": [{
                "find": {"name": {"regexp": "^app-"}},
                "rewrite": [{"regexp": {"source": "app-(.*)", "target": "k_$1"}}]
            }],
            "target": {"template": {"engineVersion": "v2", "mergePolicy": "Merge", "templateFrom": [
                {"configMap": {"name": "texts", "items": [{"key": "line"}]}},
                {"secret": {"name": "parts", "items": [{"key": "greeting"}]}}
            ]}}
        }),
    );
    let mut external = host.external();
    let answered = host.pass(&mut external).await;
    let expected = BTreeMap::from([("greeting", "Hello"), ("k_a", "1"), ("k_b", "2"), ("line", "1-2")]);
    assert_eq!(texts(answered.targets[0].as_ref().unwrap()), expected);

    // The text is in another object, and counts all the same.
    host.seal("parts", &[("greeting", "Good day")]);
    assert_eq!(only(&host.pass(&mut external).await, "greeting"), Some("Good day"));
}

#[tokio::test]
async fn a_file_of_the_commit_is_opened_with_the_hosts_own_key() {
    let mut host = Host::new();
    host.cluster_store("file", json!({"provider": {"file": {"path": "./team/values.yaml.age"}}}));
    host.external_secret("a", wide(takes("file", "db", "1h")));
    let mut external = host.external();
    let answered = host.pass(&mut external).await;
    let said = refused(&answered);
    assert!(said.contains("secrets/team/values.yaml.age is not in this commit"), "{said}");

    host.write("secrets/team/values.yaml.age", &file(&host.identity, "db: {password: one}"));
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("one"));
    // Another commit has another file: it counts at once, whatever the interval.
    host.write("secrets/team/values.yaml.age", &file(&host.identity, "db: {password: two}"));
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("two"));

    let stranger = Identity::generate_hybrid().unwrap();
    host.write("secrets/team/values.yaml.age", &file(&stranger, "db: {password: three}"));
    let answered = host.pass(&mut external).await;
    assert_eq!(only(&answered, "password"), Some("two"), "the last good one stays");
    assert!(note(&answered).unwrap().contains("is opened by none of 1 identities"), "{:?}", note(&answered));
}

#[tokio::test]
async fn no_path_of_a_store_leads_out() {
    let mut host = Host::new();
    let outside = host.repository.path().parent().unwrap().join("outside.age");
    let mut external = host.external();
    for path in ["../../outside.age", outside.to_str().unwrap(), "a/../../../etc/passwd"] {
        host.cluster_store("file", json!({"provider": {"file": {"path": path}}}));
        host.external_secret("a", wide(takes("file", "db", "1h")));
        let answered = host.pass(&mut external).await;
        assert!(refused(&answered).contains("spec.provider.file.path: it must be relative"), "{}", refused(&answered));
    }
    // A link of the repository is not followed.
    std::fs::create_dir_all(host.repository.path().join("secrets")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", host.repository.path().join("secrets/link.age")).unwrap();
    host.cluster_store("file", json!({"provider": {"file": {"path": "link.age"}}}));
    let answered = host.pass(&mut external).await;
    assert!(refused(&answered).contains("secrets/link.age is a link or no file"), "{}", refused(&answered));
    // A store of one namespace does not name files at all.
    host.store("file", json!({"file": {"path": "values.age"}}));
    host.external_secret("a", takes("file", "db", "1h"));
    let answered = host.pass(&mut external).await;
    assert!(refused(&answered).contains("only a ClusterSecretStore may name a file"), "{}", refused(&answered));
}

#[tokio::test]
async fn a_file_of_the_host_is_below_the_folder_of_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new();
    host.file_stores = Some(folder.path().to_owned());
    std::fs::write(folder.path().join("site.age"), file(&host.identity, "db: {password: local}")).unwrap();
    host.write("secrets/site.age", &file(&host.identity, "db: {password: of the repository}"));
    host.cluster_store("file", json!({"provider": {"file": {"path": "site.age"}}}));
    host.external_secret("a", wide(takes("file", "db", "1s")));
    let mut external = host.external();
    assert_eq!(only(&host.pass(&mut external).await, "password"), Some("local"));
    std::fs::write(folder.path().join("site.age"), file(&host.identity, "db: {password: edited}")).unwrap();
    host.pass_until(&mut external, |answered| only(answered, "password") == Some("edited")).await;
}

#[tokio::test]
async fn what_the_provider_no_longer_has_goes_if_the_object_says_so() {
    let mut host = Host::new();
    host.store("good", fake(&[("a", "{\"x\":\"1\"}")]));
    let mut spec = takes("good", "a", "1h");
    spec["target"] = json!({"deletionPolicy": "Delete"});
    host.external_secret("a", spec);
    let mut external = host.external();
    assert_eq!(only(&host.pass(&mut external).await, "x"), Some("1"));
    host.store("good", fake(&[]));
    let answered = host.pass(&mut external).await;
    assert!(refused(&answered).contains("the secret is gone"), "{}", refused(&answered));
    let answered = host.pass(&mut external).await;
    assert!(refused(&answered).contains("the secret is gone"), "{}", refused(&answered));
    assert!(answered.refresh.unwrap().as_secs() > 3000);
    host.store("good", fake(&[("a", "{\"x\":\"2\"}")]));
    assert_eq!(only(&host.pass(&mut external).await, "x"), Some("2"));
}

#[tokio::test]
async fn a_store_declared_twice_is_neither() {
    let mut host = Host::new();
    host.store("good", fake(&[("a", "{\"x\":\"1\"}")]));
    host.external_secret("a", takes("good", "a", "1h"));
    let twin = host.documents[0].clone();
    host.documents.push(twin);
    let answered = host.pass(&mut host.external()).await;
    assert!(refused(&answered).contains("it is declared more than once"), "{}", refused(&answered));
}

#[tokio::test]
async fn a_store_that_the_settings_do_not_admit_is_never_connected_to() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let mut host = Host::new();
    host.seal("token", &[("token", "s3cret")]);
    let auth = json!({"tokenSecretRef": {"name": "token", "key": "token"}});
    host.store("thief", json!({"vault": {"server": server, "path": "kv", "version": "v2", "auth": auth}}));
    host.store("good", fake(&[("a", "{\"x\":\"1\"}")]));
    host.external_secret("stolen", takes("thief", "a", "1h"));
    host.external_secret("own", takes("good", "a", "1h"));
    let named = |stores: &[&str]| Some(stores.iter().map(|store| (*store).to_owned()).collect());
    for allow in [
        Allow { paths: named(&["/etc/app/**"]), ..Allow::default() },
        Allow { stores: named(&["https://vault.example.com/**", "fake"]), ..Allow::default() },
    ] {
        host.admitted = Admitted::new(&allow).unwrap();
        let answered = host.pass(&mut host.external()).await;
        let said = answered.targets[0].as_ref().err().expect("a store that is not admitted");
        assert!(said.contains("allow.stores") && said.contains(&server), "{said}");
        assert!(listener.accept().is_err(), "somebody connected");
        assert_eq!(text(answered.targets[1].as_ref().unwrap(), "x"), Some("1"));
    }
    // Once it is named it is asked.
    host.admitted = Admitted::new(&Allow { stores: named(&[&server]), ..Allow::default() }).unwrap();
    let mut external = host.external();
    let connected = async {
        while listener.accept().is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        answered = host.pass(&mut external) => {
            assert!(listener.accept().is_ok(), "{:?}", answered.targets[0].as_ref().err());
        }
        () = connected => {}
    }
}
