//! From a sealed value to a Secret.

use std::process::Command;

use bulla::seal::Scope;
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::Suite;
use crate::support::servers;
use crate::world::{condition, data_of, holding, strings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_created_object_becomes_a_secret_with_label_status_and_event() {
    let suite = Suite::new().await;
    suite.create("db", json!({"metadata": {"labels": {"mylabel": "myvalue"}}})).await;
    let secret = suite.world.until_data("db", &[("foo", "bar")]).await;
    assert_eq!(secret.metadata.labels.unwrap()["mylabel"], "myvalue");
    let object = suite.world.synced("db").await;
    let synced = condition(&object, "Synced").unwrap();
    assert_eq!((synced.status, synced.message.as_deref().unwrap_or_default()), (true.into(), ""));
    assert_eq!(object.status.as_ref().unwrap().observed_generation, Some(1));
    // Upstream's printer columns and Argo CD look at the first.
    assert_eq!(object.status.as_ref().unwrap().conditions[0].r#type, "Synced");
    assert_eq!(suite.event("db", "Unsealed").await, "SealedSecret unsealed successfully");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_moves_the_generation_and_the_update_time_but_not_the_transition() {
    let suite = Suite::new().await;
    suite.create("db", json!({})).await;
    let first = suite.world.synced("db").await;
    // Times are kept in seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let patch = json!({"spec": {"encryptedData": {"foo": suite.strict("db", "baz")}}});
    suite.world.patch::<SealedSecret>("db", patch).await;
    suite.world.until_data("db", &[("foo", "baz")]).await;
    let second = suite.world.synced("db").await;
    assert_eq!(second.status.as_ref().unwrap().observed_generation, Some(2));
    let (first, second) = (condition(&first, "Synced").unwrap(), condition(&second, "Synced").unwrap());
    assert_eq!(first.last_transition_time, second.last_transition_time);
    assert_ne!(second.last_transition_time, second.last_update_time);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_key_may_be_renamed_and_another_appended() {
    let suite = Suite::new().await;
    suite.create("db", json!({})).await;
    suite.world.synced("db").await;
    let value = suite.strict("db", "bar");
    let renamed = json!({"spec": {"encryptedData": {"foo": null, "foos": value}}});
    suite.world.patch::<SealedSecret>("db", renamed).await;
    suite.world.until_data("db", &[("foos", "bar")]).await;
    let appended = json!({"spec": {"encryptedData": {"foo2": suite.strict("db", "bar2")}}});
    suite.world.patch::<SealedSecret>("db", appended).await;
    suite.world.until_data("db", &[("foos", "bar"), ("foo2", "bar2")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_for_another_key_makes_no_secret_and_an_event() {
    let suite = Suite::new().await;
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let stranger = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
    let recipient = bulla::seal::Certificate::from_pem(stranger.as_bytes()).unwrap().into();
    let place = bulla::seal::Place { namespace: &suite.world.namespace, name: "db", key: "foo" };
    let binding = bulla::seal::Binding::new(Scope::Strict, place, "2026-11-21".parse().unwrap());
    let sealed = bulla::seal::seal(&[recipient], &bulla::secret::Plaintext::copy_of(b"bar"), &binding).unwrap();
    let spec = json!({"encryptedData": {"foo": sealed}});
    suite.world.create::<SealedSecret>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    let note = suite.event("db", "ErrUnsealFailed").await;
    assert!(note.contains("\"foo\""), "{note}");
    assert!(suite.world.secret("db").await.is_none());
    assert_eq!(holding(&suite.world.until_failed("db").await), ["Stalled"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn type_and_immutability_come_from_the_template() {
    let suite = Suite::new().await;
    suite.create("typed", json!({"type": "kubernetes.io/tls"})).await;
    // Kubernetes wants its own keys in this type: said in the status, without a value.
    suite.world.until_failed("typed").await;
    suite.create("custom", json!({"type": "example.com/own"})).await;
    suite.world.synced("custom").await;
    assert_eq!(suite.world.secret("custom").await.unwrap().type_.as_deref(), Some("example.com/own"));
    suite.create("fixed", json!({"immutable": true})).await;
    suite.world.synced("fixed").await;
    assert_eq!(suite.world.secret("fixed").await.unwrap().immutable, Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_immutable_target_is_an_event_that_says_so() {
    let suite = Suite::new().await;
    suite.create("db", json!({"immutable": true})).await;
    suite.world.synced("db").await;
    let patch = json!({"spec": {"encryptedData": {"foo": suite.strict("db", "other")}}});
    suite.world.patch::<SealedSecret>("db", patch).await;
    let note = suite.event("db", "ErrUpdateFailed").await;
    assert!(note.contains("the target Secret is immutable"), "{note}");
    assert_eq!(data_of(&suite.world.secret("db").await.unwrap()), strings(&[("foo", "bar")]));
}

/// Sealed for one place and used in another, in each scope.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_scope_opens_where_it_should_and_nowhere_else() {
    let suite = Suite::new().await;
    let (here, elsewhere) = (suite.world.namespace.clone(), "elsewhere".to_owned());
    let annotation = |scope: Scope| match scope {
        Scope::Strict => Value::Null,
        Scope::NamespaceWide => json!({"sealedsecrets.bitnami.com/namespace-wide": "true"}),
        Scope::ClusterWide => json!({"sealedsecrets.bitnami.com/cluster-wide": "true"}),
    };
    let table = [
        ("s-other-name", Scope::Strict, &here, "other", false),
        ("s-other-namespace", Scope::Strict, &elsewhere, "s-other-namespace", false),
        ("n-other-name", Scope::NamespaceWide, &here, "other", true),
        ("n-other-namespace", Scope::NamespaceWide, &elsewhere, "n-other-namespace", false),
        ("c-other-name", Scope::ClusterWide, &here, "other", true),
        ("c-other-namespace", Scope::ClusterWide, &elsewhere, "other", true),
    ];
    for (name, scope, namespace, sealed_for, _) in table {
        let spec = json!({"encryptedData": {"foo": suite.sealed(scope, namespace, sealed_for, "bar")}});
        let metadata = json!({"name": name, "annotations": annotation(scope)});
        suite.world.create::<SealedSecret>(json!({"metadata": metadata, "spec": spec})).await;
    }
    for (name, _, _, _, opens) in table {
        if opens {
            suite.world.until_data(name, &[("foo", "bar")]).await;
        } else {
            suite.world.until_failed(name).await;
            suite.event(name, "ErrUnsealFailed").await;
            assert!(suite.world.secret(name).await.is_none(), "{name}");
        }
    }
    // Where both annotations are on, the wider one counts; anything but `true` is off.
    let both =
        json!({"sealedsecrets.bitnami.com/cluster-wide": "true", "sealedsecrets.bitnami.com/namespace-wide": "true"});
    let sealed = suite.sealed(Scope::ClusterWide, "", "", "bar");
    let spec = json!({"encryptedData": {"foo": sealed}});
    suite.world.create::<SealedSecret>(json!({"metadata": {"name": "both", "annotations": both}, "spec": spec})).await;
    suite.world.until_data("both", &[("foo", "bar")]).await;
    let off = json!({"sealedsecrets.bitnami.com/cluster-wide": "yes"});
    suite.world.create::<SealedSecret>(json!({"metadata": {"name": "off", "annotations": off}, "spec": spec})).await;
    suite.world.until_failed("off").await;
    assert!(suite.world.secret("off").await.is_none());
}

/// The real binaries, side by side: the first lines are told apart by the number only.
#[test]
fn the_version_reads_as_upstreams_does() {
    let first_line = |program: &std::path::Path| {
        let output = Command::new(program).arg("--version").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    let ours = first_line(env!("CARGO_BIN_EXE_bulla-controller").as_ref());
    let theirs = first_line(&servers::path("sealed-secrets-controller"));
    let shape = |line: &str| line.replace(|c: char| c.is_ascii_digit(), "");
    let (ours, theirs) = (ours.split_once(": ").unwrap(), theirs.split_once(": ").unwrap());
    assert_eq!((ours.0, shape(ours.1)), (theirs.0, shape(theirs.1)));
}

/// The values of a template's `data` see what was opened, and nothing secret is needed to have one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_render_as_upstreams_tests_have_them() {
    let suite = Suite::new().await;
    let data = json!({"indexed": "secret {{ index . \"foo\" }} !", "json": "{\"foo\": {{ toJson .foo }}}"});
    suite.create("db", json!({"data": data})).await;
    let expected = [("foo", "bar"), ("indexed", "secret bar !"), ("json", "{\"foo\": \"bar\"}")];
    suite.world.until_data("db", &expected).await;
    let spec = json!({"encryptedData": {}, "template": {"data": {"plain": "nothing secret"}}});
    suite.world.create::<SealedSecret>(json!({"metadata": {"name": "plain"}, "spec": spec})).await;
    let secret: Secret = suite.world.until_data("plain", &[("plain", "nothing secret")]).await;
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
}
