//! The chart on a real API server: installed, the controller run as its pod would be, upgraded, removed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bulla::seal::{Binding, Place, Recipient, Scope, seal};
use bulla::secret::Plaintext;
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};

use crate::manifests::{at, find, rendered, run, text};
use crate::support::apiserver::{ApiServer, free_port};
use crate::support::leash::{End, Leash};
use crate::support::servers;

const SOON: Duration = Duration::from_secs(30);
const NAMESPACE: &str = "bulla-system";

/// Helm against this server.
fn helm(server: &ApiServer, arguments: &[&str]) -> Result<String, String> {
    let (kubeconfig, chart) = (server.kubeconfig(), at("deploy/chart"));
    let mut all = arguments.to_vec();
    if arguments[0] != "uninstall" {
        all.insert(2, chart.to_str().unwrap());
    }
    all.extend(["--namespace", NAMESPACE, "--kubeconfig", kubeconfig.to_str().unwrap()]);
    run(&servers::path("helm"), &all)
}

/// The controller as the Deployment starts it: its arguments, its environment, a token of its service account.
async fn start(server: &ApiServer, values: &Value) -> Leash {
    let objects = rendered(values, NAMESPACE).unwrap();
    let deployment = find(&objects, "Deployment", "bulla");
    let pod = &deployment["spec"]["template"]["spec"];
    let token = server.service_account(NAMESPACE, text(pod, "/serviceAccountName")).await;
    let container = &pod["containers"][0];
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulla-controller"));
    command.args(container["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()));
    for one in container["env"].as_array().unwrap() {
        let value = match text(one, "/valueFrom/fieldRef/fieldPath") {
            "metadata.name" => "bulla-0",
            "metadata.namespace" => NAMESPACE,
            "metadata.uid" => "0f8a1e5c-uid",
            _ => text(one, "/value"),
        };
        command.env(text(one, "/name"), value);
    }
    // What a pod has from its mounts and its network.
    command.arg("--kubeconfig").arg(server.kubeconfig_as("controller", &token));
    command.args(["--controller-namespace", NAMESPACE, "--listen", &format!("127.0.0.1:{}", free_port())]);
    Leash::spawn("bulla-controller", &command, &server.folder().join("controller.log"), End::default())
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Seals to the key that the controller has published, as any authenticated user may.
async fn sealed(server: &ApiServer) -> SealedSecret {
    let nobody = server.client_as(crate::support::identities::NOBODY, "bulla-test");
    let maps: Api<ConfigMap> = Api::namespaced(nobody, NAMESPACE);
    let map = until("no keys are published", async || maps.get_opt("bulla-sealing-keys").await.unwrap()).await;
    let keys: Value = serde_json::from_str(&map.data.unwrap()["keys.json"]).unwrap();
    let recipient: Recipient = text(&keys, "/keys/0/recipient").parse().unwrap();
    let place = Place { namespace: "default", name: "db", key: "password" };
    let binding = Binding::new(Scope::Strict, place, "2026-11-21".parse().unwrap());
    let value = seal(&[recipient], &Plaintext::copy_of(b"v"), &binding).unwrap();
    serde_json::from_value(json!({"metadata": {"name": "db"}, "spec": {"encryptedData": {"password": value}}})).unwrap()
}

fn crds(server: &ApiServer) -> Api<CustomResourceDefinition> {
    Api::all(server.client())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn installed_run_upgraded_and_removed_without_losing_a_secret() {
    let server = ApiServer::start();
    server.create_namespace(NAMESPACE).await;
    helm(&server, &["install", "bulla"]).unwrap();
    let controller = start(&server, &json!({})).await;
    let objects: Api<SealedSecret> = Api::namespaced(server.client(), "default");
    objects.create(&PostParams::default(), &sealed(&server).await).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(server.client(), "default");
    let secret = async || secrets.get_opt("db").await.unwrap();
    let first = until("the Secret does not come", secret).await;
    assert_eq!(first.data.unwrap()["password"].0, b"v");

    helm(&server, &["upgrade", "bulla", "--set", "replicas=3"]).unwrap();
    drop(controller);
    helm(&server, &["uninstall", "bulla"]).unwrap();
    let left = crds(&server).list(&ListParams::default()).await.unwrap().items;
    assert_eq!(left.len(), 5, "the CRDs stay, and with them what is sealed");
    assert!(objects.get_opt("db").await.unwrap().is_some() && secret().await.is_some());
    let keys: Api<Secret> = Api::namespaced(server.client(), NAMESPACE);
    let keys = keys.list(&ListParams::default().labels("bulla.dev/sealing-key")).await.unwrap().items;
    assert_eq!(keys.len(), 1, "and so do the sealing keys");

    // Back again: the CRDs that stayed are taken up, the key opens what it opened.
    helm(&server, &["install", "bulla"]).unwrap();
    secrets.delete("db", &kube::api::DeleteParams::default()).await.unwrap();
    let _controller = start(&server, &json!({})).await;
    until("the Secret does not come back", secret).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crd_of_another_release_is_taken_over_on_request_only() {
    let server = ApiServer::start();
    server.create_namespace(NAMESPACE).await;
    server.install_crd_yaml(&fs::read(servers::path("sealed-secrets-crd")).unwrap()).await;
    let refused = helm(&server, &["install", "bulla"]).unwrap_err();
    assert!(refused.contains("sealedsecrets.bitnami.com"), "{refused}");
    helm(&server, &["install", "bulla", "--take-ownership", "--force-conflicts"]).unwrap();
    let crd = crds(&server).get("sealedsecrets.bitnami.com").await.unwrap();
    assert_eq!(crd.metadata.annotations.unwrap()["helm.sh/resource-policy"], "keep");
    // Or it is left to whoever installed it.
    helm(&server, &["uninstall", "bulla"]).unwrap();
    helm(&server, &["install", "bulla", "--set", "crds.create=false"]).unwrap();
}

#[test]
fn what_is_packaged_holds_the_crds() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().to_str().unwrap();
    run(&servers::path("helm"), &["package", at("deploy/chart").to_str().unwrap(), "--destination", folder]).unwrap();
    let file = fs::read_dir(scratch.path()).unwrap().next().unwrap().unwrap().path();
    let listed = run(Path::new("tar"), &["-tzf", file.to_str().unwrap()]).unwrap();
    assert_eq!(
        listed.lines().filter(|name| name.starts_with("bulla/files/crds/") && name.ends_with(".yaml")).count(),
        5
    );
}
