//! Verbs that ask a cluster, against the real API server; values of the real `kubeseal`.

use std::time::{Duration, Instant};

use bulla::controllers::{self, ControllerConfig, Namespaces};
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, SECRET};
use crate::story;
use crate::support::apiserver::ApiServer;
use crate::support::tools;

#[test]
fn the_demo_checks_out_through_an_api_server() {
    let api = ApiServer::start();
    let kubeconfig = api.kubeconfig().display().to_string();
    let run = Bench::new().run(&["demo", "--kubeconfig", &kubeconfig]).exits(0);
    assert_eq!(story::checks(&run.out), story::CHECKS + 8, "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn seal_asks_the_cluster_where_nobody_else_is_named() {
    let api = ApiServer::shared();
    api.install_crd(&bulla_crds::sealed_secret_crd()).await;
    let namespace = api.namespace().await;
    let stop = CancellationToken::new();
    let config = ControllerConfig {
        namespaces: Namespaces::These(vec![namespace.clone()]),
        ..ControllerConfig::new(&*namespace)
    };
    let controller = tokio::spawn(controllers::run(api.client(), config, stop.clone()));

    let bench = Bench::new();
    let kubeconfig = api.kubeconfig().display().to_string();
    let cluster = ["--kubeconfig", &kubeconfig, "--controller-namespace", &namespace];
    let began = Instant::now();
    let keys = loop {
        let run = bench.run(&[&["keys", "show", "--output", "json"], &cluster[..]].concat());
        if run.code == 0 {
            break run.out;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{}", run.err);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys[0]["type"], "hybrid");
    bench.pipe(&[&["seal", "-o", "db.yaml"], &cluster[..]].concat(), SECRET).exits(0);
    let seen = bench.run(&["inspect", "db.yaml", "--output", "json"]).exits(0).out;
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen[0]["values"][0]["keyIds"][0], keys[0]["id"]);
    stop.cancel();
    controller.await.unwrap().unwrap();
}

#[test]
fn what_the_real_kubeseal_seals_is_opened_offline() {
    let bench = Bench::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    bench.write("cert.pem", &rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem());
    bench.write("key.pem", &key.serialize_pem());
    let certificate = bench.path("cert.pem").display().to_string();
    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        let arguments = ["--cert", &certificate, "--scope", scope, "--format", "yaml"];
        let sealed = String::from_utf8(tools::stdout_of(tools::kubeseal(&arguments, SECRET.as_bytes()))).unwrap();
        let value = bench.pipe(&["open", "-i", "key.pem", "--key", "password"], &sealed).exits(0).out;
        assert_eq!(value, "canary-hunter2", "{scope}");
        bench.pipe(&["inspect"], &sealed).exits(0);
    }
}
