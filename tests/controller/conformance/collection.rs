//! With Kubernetes' own garbage collector: what goes with a SealedSecret, and what must not.

use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, PropagationPolicy};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use super::Suite;
use crate::support::apiserver::ApiServer;
use crate::support::leash::{End, Leash};
use crate::support::servers;
use crate::world::{SOON, uid};

/// A server with a garbage collector, one test at a time: its discovery of new kinds takes a while, and waits for all.
async fn collected() -> (Suite<'static>, MutexGuard<'static, ()>) {
    static SERVER: OnceLock<(ApiServer, Leash)> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let (server, _) = SERVER.get_or_init(|| {
        let server = ApiServer::start();
        let leash = collector(&server);
        (server, leash)
    });
    let mut suite = Suite::on(server).await;
    until_it_collects(&suite).await;
    suite.world.start();
    (suite, turn)
}

fn collector(server: &ApiServer) -> Leash {
    let kubeconfig = server.kubeconfig();
    let mut command = Command::new(servers::on_demand("kube-controller-manager"));
    command.arg("--kubeconfig").arg(&kubeconfig).arg("--authentication-kubeconfig").arg(&kubeconfig).args([
        "--controllers=garbage-collector-controller",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
    ]);
    Leash::spawn("kube-controller-manager", &command, &server.folder().join("controller-manager.log"), End::default())
}

/// It knows SealedSecrets once it deletes what one of them owns.
async fn until_it_collects(suite: &Suite<'_>) {
    let object = suite.create("probe", json!({})).await;
    let owner =
        json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": "probe", "uid": uid(&object)});
    suite.world.create::<ConfigMap>(json!({"metadata": {"name": "probe", "ownerReferences": [owner]}})).await;
    suite.world.delete::<SealedSecret>("probe").await;
    let began = Instant::now();
    while suite.world.api::<ConfigMap>().get_opt("probe").await.unwrap().is_some() {
        assert!(began.elapsed() < Duration::from_secs(90), "the garbage collector does not work");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_gone(suite: &Suite<'_>, name: &str) {
    let began = Instant::now();
    while suite.world.secret(name).await.is_some() {
        assert!(began.elapsed() < SOON, "the Secret {name} stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_goes_with_its_sealed_secret_unless_it_was_to_stay() {
    let (suite, _turn) = collected().await;
    let skip = json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/skip-set-owner-references": "true"}}});
    suite.create("unowned", skip).await;
    for name in ["plain", "foreground", "orphaned"] {
        suite.create(name, json!({})).await;
    }
    for name in ["unowned", "plain", "foreground", "orphaned"] {
        suite.world.synced(name).await;
    }
    let api = suite.world.api::<SealedSecret>();
    let delete = async |name: &str, how| {
        let parameters = DeleteParams { propagation_policy: Some(how), ..DeleteParams::default() };
        api.delete(name, &parameters).await.unwrap();
    };
    delete("plain", PropagationPolicy::Background).await;
    delete("unowned", PropagationPolicy::Background).await;
    delete("foreground", PropagationPolicy::Foreground).await;
    delete("orphaned", PropagationPolicy::Orphan).await;
    for name in ["plain", "foreground"] {
        until_gone(&suite, name).await;
    }
    let began = Instant::now();
    while api.get_opt("orphaned").await.unwrap().is_some() {
        assert!(began.elapsed() < SOON, "the SealedSecret stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    suite.world.calls(suite.world.mark()).await;
    for name in ["unowned", "orphaned"] {
        assert!(suite.world.secret(name).await.is_some(), "{name}");
    }
}

/// Upstream refuses the Secret as another's, gives up, and then it is collected: none is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_and_created_again_it_keeps_its_secret() {
    let (suite, _turn) = collected().await;
    for round in 0..5 {
        let name = format!("db-{round}");
        suite.create(&name, json!({})).await;
        suite.world.synced(&name).await;
        suite.world.delete::<SealedSecret>(&name).await;
        // From at once to long after the collector has had its turn.
        tokio::time::sleep(Duration::from_millis(40 * round * round)).await;
        let again = suite.create(&name, json!({})).await;
        suite.world.synced(&name).await;
        let ours =
            |secret: &Secret| secret.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid(&again));
        suite.world.until_secret(&name, ours).await;
    }
    // The collector comes late if it comes.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for round in 0..5 {
        suite.world.until_data(&format!("db-{round}"), &[("foo", "bar")]).await;
        suite.world.synced(&format!("db-{round}")).await;
    }
}

/// A Secret that was taken over by `managed` is the SealedSecret's, and goes with it too; one that was patched does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_over_goes_too_and_what_was_patched_stays() {
    let (suite, _turn) = collected().await;
    for mark in ["managed", "patch"] {
        let annotations = json!({format!("sealedsecrets.bitnami.com/{mark}"): "true"});
        suite.world.create::<Secret>(json!({"metadata": {"name": mark, "annotations": annotations}})).await;
        suite.create(mark, json!({})).await;
        suite.world.synced(mark).await;
        suite.world.delete::<SealedSecret>(mark).await;
    }
    until_gone(&suite, "managed").await;
    suite.world.calls(suite.world.mark()).await;
    assert!(suite.world.secret("patch").await.is_some());
}
