//! What people have in their repositories today: sealed by the real `kubeseal`, and as blog posts show it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::tools;
use crate::world::World;

/// A world whose controller took over a key of upstream's; gives the certificate's file too.
async fn taken_over() -> (World<'static>, tempfile::NamedTempFile) {
    let mut world = World::without_controller().await;
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_4096).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    world
        .create::<Secret>(json!({
            "metadata": {
                "name": "sealed-secrets-keyx7k2p",
                "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"},
            },
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": certificate, "tls.key": key.serialize_pem()},
        }))
        .await;
    world.start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), certificate.as_bytes()).unwrap();
    (world, file)
}

fn kubeseal(certificate: &tempfile::NamedTempFile, arguments: &[&str], secret: &Value) -> String {
    let certificate = certificate.path().display().to_string();
    let all = [&["--cert", &certificate, "--format", "yaml"], arguments].concat();
    String::from_utf8(tools::stdout_of(tools::kubeseal(&all, secret.to_string().as_bytes()))).unwrap()
}

/// Applies YAML as kubectl would, unknown fields and nulls included.
async fn apply(world: &World<'_>, name: &str, yaml: &str) {
    let object: Value = serde_saphyr::from_str(yaml).unwrap();
    let parameters = PatchParams::apply("kubectl").force();
    world.api::<SealedSecret>().patch(name, &parameters, &Patch::Apply(&object)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubeseal_seals_opens_in_all_three_scopes() {
    let (world, certificate) = taken_over().await;
    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": scope, "namespace": world.namespace, "labels": {"team": "payments"}},
            "type": "kubernetes.io/basic-auth",
            "stringData": {"username": "app", "password": format!("of {scope}")},
        });
        apply(&world, scope, &kubeseal(&certificate, &["--scope", scope], &secret)).await;
        let data = [("username", "app"), ("password", &*format!("of {scope}"))];
        let made = world.until_data(scope, &data).await;
        assert_eq!(made.type_.as_deref(), Some("kubernetes.io/basic-auth"));
        assert_eq!(made.metadata.labels.unwrap()["team"], "payments");
        let status = world.synced(scope).await.status.unwrap();
        assert_eq!(status.scope.as_deref(), Some(scope));
    }
}

/// The manifest of a hundred tutorials: `creationTimestamp: null` at both places, the template repeating name and
/// namespace, no type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_the_blog_posts_opens_as_it_stands() {
    let (world, certificate) = taken_over().await;
    let value = kubeseal(
        &certificate,
        &["--scope", "strict"],
        &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mysecret", "namespace": world.namespace}, "data": {"foo": STANDARD.encode("bar")}}),
    );
    let value: Value = serde_saphyr::from_str(&value).unwrap();
    let value = value["spec"]["encryptedData"]["foo"].as_str().unwrap();
    assert!(value.starts_with("Ag"), "{value}");
    let namespace = &world.namespace;
    let manifest = format!(
        "apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata:
  creationTimestamp: null
  name: mysecret
  namespace: {namespace}
spec:
  encryptedData:
    foo: {value}
  template:
    data: null
    metadata:
      creationTimestamp: null
      name: mysecret
      namespace: {namespace}
"
    );
    apply(&world, "mysecret", &manifest).await;
    let made = world.until_data("mysecret", &[("foo", "bar")]).await;
    assert_eq!(made.type_.as_deref(), Some("Opaque"));
    let owner = &made.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), owner.controller), ("SealedSecret", "mysecret", Some(true)));
    world.synced("mysecret").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_no_string_is_refused_by_the_schema_with_its_name() {
    let world = World::without_controller().await;
    let object = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "odd"},
        "spec": {"encryptedData": {"port": 5432}},
    });
    let parameters = PatchParams::apply("kubectl").force();
    let error = world.api::<SealedSecret>().patch("odd", &parameters, &Patch::Apply(&object)).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("spec.encryptedData.port") && said.contains("string"), "{said}");
}
