//! `bulla sync` against the real API server, with the controller in this process.

use bulla::controllers::{self, ControllerConfig, Namespaces};
use bulla_crds::{ExternalSecret, SealedSecret, SecretStore};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Run};
use crate::support::apiserver::ApiServer;

/// A namespace, and the command line that knows the server.
struct World {
    api: &'static ApiServer,
    namespace: String,
    bench: Bench,
}

impl World {
    async fn new() -> Self {
        let api = ApiServer::shared();
        for crd in bulla_crds::all() {
            api.install_crd(&crd).await;
        }
        let world = Self { api, namespace: api.namespace().await.to_string(), bench: Bench::new() };
        world.store("canary-first").await;
        let spec = json!({
            "secretStoreRef": {"name": "store"}, "refreshInterval": "1h",
            "data": [{"secretKey": "password", "remoteRef": {"key": "db"}}],
        });
        world.external("db", spec).await;
        world
    }

    fn objects<K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.api.client(), &self.namespace)
    }

    async fn store(&self, value: &str) {
        let store = json!({
            "apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": {"name": "store"},
            "spec": {"provider": {"fake": {"data": [{"key": "db", "value": value}]}}},
        });
        let parameters = PatchParams::apply("test").force();
        self.objects::<SecretStore>().patch("store", &parameters, &Patch::Apply(&store)).await.unwrap();
    }

    async fn external(&self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": name}, "spec": spec,
        });
        let object: ExternalSecret = serde_json::from_value(object).unwrap();
        self.objects::<ExternalSecret>().create(&PostParams::default(), &object).await.unwrap();
    }

    /// Runs the verb beside this runtime, in which the controller runs.
    async fn sync(&self, arguments: &[&str]) -> Run {
        let kubeconfig = self.api.kubeconfig().display().to_string();
        let cluster = ["--kubeconfig", &kubeconfig, "--namespace", &self.namespace];
        let arguments = [&["sync"], arguments, &cluster].concat();
        let run = tokio::task::block_in_place(|| self.bench.run(&arguments));
        assert!(!run.out.contains("canary") && !run.err.contains("canary"), "{}\n{}", run.out, run.err);
        assert!(!run.err.contains('\u{1b}'), "a spinner is for terminals: {:?}", run.err);
        run
    }

    async fn password(&self, name: &str) -> Vec<u8> {
        self.objects::<Secret>().get(name).await.unwrap().data.unwrap()["password"].0.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_waits_for_the_very_sync_that_it_asked_for() {
    crate::support::logs::capture();
    let world = World::new().await;
    // Nobody is there yet.
    world.sync(&["db", "--timeout", "300ms"]).await.exits(2).says("no controller has answered within 0.3 s");
    world.sync(&["nobody"]).await.exits(2).says("there is no ExternalSecret or SealedSecret \"nobody\"");
    world.sync(&["deployment/db"]).await.exits(2).says("cannot be synced");
    world.sync(&["db", "--timeout", "soon"]).await.exits(2).says("not a duration");

    let stop = CancellationToken::new();
    let config = ControllerConfig {
        namespaces: Namespaces::These(vec![world.namespace.clone()]),
        ..ControllerConfig::new(&*world.namespace)
    };
    let controller = tokio::spawn(controllers::run(world.api.client(), config, stop.clone()));
    let run = world.sync(&["db"]).await.exits(0);
    assert!(run.out.contains("SecretSynced: secret synced") && run.out.contains("Secret db"), "{}", run.out);
    assert_eq!(world.password("db").await, b"canary-first");

    // An hour early: what the store holds now.
    world.store("canary-second").await;
    let run = world.sync(&["externalsecret/db", "--output", "json"]).await.exits(0);
    let answer: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&answer["synced"], &answer["reason"]), (&json!(true), &json!("SecretSynced")));
    assert_eq!(world.password("db").await, b"canary-second");

    // A failure is said each time that it is asked for, also where it is the same as before.
    let broken =
        json!({"secretStoreRef": {"name": "store"}, "data": [{"secretKey": "a", "remoteRef": {"key": "absent"}}]});
    world.external("broken", broken).await;
    for _ in 0..2 {
        let run = world.sync(&["broken", "--timeout", "20s"]).await.exits(1).says("the store holds no \"absent\"");
        assert!(run.out.contains("SecretSyncedError"), "{}", run.out);
        let seconds =
            run.out.split(", ").last().and_then(|rest| rest.trim().trim_end_matches(" s").parse::<f64>().ok());
        assert!(seconds.is_none_or(|seconds| seconds < 10.0), "{}", run.out);
    }
    let once = json!({
        "secretStoreRef": {"name": "store"}, "refreshPolicy": "CreatedOnce",
        "data": [{"secretKey": "password", "remoteRef": {"key": "db"}}],
    });
    world.external("once", once).await;
    while world.objects::<Secret>().get_opt("once").await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    world.sync(&["once"]).await.exits(1).says("CreatedOnce");

    // A SealedSecret, by the name alone.
    let sealed = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "sealed"},
        "spec": {"encryptedData": {"a": "AgBnotsealed"}},
    });
    let sealed: SealedSecret = serde_json::from_value(sealed).unwrap();
    world.objects::<SealedSecret>().create(&PostParams::default(), &sealed).await.unwrap();
    for name in ["sealed", "sealedsecret/sealed"] {
        let run = world.sync(&[name]).await.exits(1);
        assert!(run.out.contains(&format!("SealedSecret {}/sealed", world.namespace)), "{}", run.out);
    }
    stop.cancel();
    controller.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_asked_for_while_another_is_under_way_is_not_lost() {
    let world = World::new().await;
    let stop = CancellationToken::new();
    let config = ControllerConfig {
        namespaces: Namespaces::These(vec![world.namespace.clone()]),
        ..ControllerConfig::new(&*world.namespace)
    };
    let controller = tokio::spawn(controllers::run(world.api.client(), config, stop.clone()));
    world.sync(&["db"]).await.exits(0);
    let objects = world.objects::<ExternalSecret>();
    let spec = json!({
        "secretStoreRef": {"name": "store"}, "refreshInterval": "1h",
        "data": [{"secretKey": "password", "remoteRef": {"key": "db"}}],
    });
    let asked = (0..60).map(|number| {
        let (world, objects, spec) = (&world, &objects, &spec);
        async move {
            let name = format!("busy-{number}");
            world.external(&name, spec.clone()).await;
            // At various moments of the first pass.
            tokio::time::sleep(std::time::Duration::from_micros(number * 400)).await;
            let annotations = json!({"metadata": {"annotations": {"external-secrets.io/force-sync": "asked"}}});
            objects.patch(&name, &PatchParams::default(), &Patch::Merge(&annotations)).await.unwrap();
            let began = std::time::Instant::now();
            loop {
                let status = objects.get(&name).await.unwrap().status.unwrap_or_default();
                if status.last_force_sync.as_deref() == Some("asked") {
                    return None;
                }
                if began.elapsed() > std::time::Duration::from_secs(15) {
                    return Some(name);
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    });
    let lost: Vec<_> = futures::future::join_all(asked).await.into_iter().flatten().collect();
    assert!(lost.is_empty(), "{lost:?}");
    stop.cancel();
    controller.await.unwrap().unwrap();
}
