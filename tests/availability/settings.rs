//! What whoever runs it is told when something is missing or does not go together.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::apiserver::free_port;
use crate::support::leash::{End, Leash};
use crate::world::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_rights_on_leases_it_says_which_it_needs_and_goes_on_once_it_has_them() {
    let cluster = Cluster::new().await;
    let place = cluster.places(1).await.remove(0);
    let token = cluster.server.service_account(&cluster.namespace, "poor").await;
    let all = json!(["get", "list", "watch", "create", "update", "patch"]);
    let rights = |leases: bool| {
        let mut rules = vec![
            json!({"apiGroups": ["bitnami.com"], "resources": ["sealedsecrets", "sealedsecrets/status"], "verbs": all}),
            json!({"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": all}),
            json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}),
        ];
        if leases {
            let verbs = json!(["get", "list", "watch", "create", "update", "delete"]);
            rules.push(json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}));
        }
        json!(rules)
    };
    cluster.server.allow(&cluster.namespace, "poor", &rights(false)).await;
    let kubeconfig = cluster.server.kubeconfig_as("poor", &token);
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulla-controller"));
    command.args(["run", "--controller-namespace", &cluster.namespace, "--external-secrets", "false"]);
    command
        .args(["--listen", &format!("127.0.0.1:{}", free_port()), "--listen-metrics", "none"])
        .arg("--kubeconfig")
        .arg(kubeconfig);
    let log = cluster.server.folder().join("poor.log");
    let replica = Leash::spawn("poor", &command, &log, End::default());
    let began = Instant::now();
    while !replica.log().contains("watch, create, update and delete on leases.coordination.k8s.io") {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", replica.log_tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.server.allow(&cluster.namespace, "poor", &rights(true)).await;
    cluster.works(&place, "now").await;
}

#[test]
fn settings_that_do_not_go_together_are_refused_with_the_reason() {
    for (flags, reason) in [
        (["--lease-duration", "5s"], "must be less than the lease duration"),
        (["--retry-period", "4s"], "must be less than half of the renew deadline"),
        (["--shards", "0"], "there can be 1 to 64 shards"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_bulla-controller"))
            .args(["run", "--listen", "127.0.0.1:0"])
            .args(flags)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(reason), "{flags:?}: {text}");
    }
}
