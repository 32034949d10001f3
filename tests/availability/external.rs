//! ExternalSecrets under several replicas: each works on its namespaces, and what concerns the cluster is the leader's.

use std::collections::BTreeSet;
use std::time::Instant;

use bulla_crds::{ClusterExternalSecret, ClusterSecretStore};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::audit::AuditMark;
use crate::world::{Cluster, LONG, Replica};

async fn create<K>(api: &Api<K>, object: Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// Waits until the Secret `db` is in each of these namespaces.
async fn until_provided(cluster: &Cluster, places: &[String]) {
    let began = Instant::now();
    for place in places {
        let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), place);
        let is_there = async || secrets.list(&ListParams::default()).await.unwrap().items.iter().any(is_db);
        while !is_there().await {
            assert!(began.elapsed() < LONG, "no Secret in {place}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

fn is_db(secret: &Secret) -> bool {
    secret.metadata.name.as_deref() == Some("db")
}

/// Who of these wrote this since `mark`.
async fn writers(cluster: &Cluster, mark: AuditMark, resource: &str, by: &[&Replica]) -> BTreeSet<String> {
    let wanted = |entry: &crate::support::audit::AuditEntry| {
        entry.is_write() && entry.code < 300 && entry.resource == resource && entry.namespace != cluster.namespace
    };
    let entries = cluster.server.audit_when_quiet(mark, std::time::Duration::from_secs(1), wanted).await;
    let name = |user: &str| by.iter().find(|replica| replica.user == user).map(|replica| replica.name.clone());
    entries.iter().filter_map(|entry| name(&entry.user)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_provides_and_each_replica_fetches_for_its_namespaces() {
    let cluster = Cluster::new().await;
    for crd in bulla_crds::all() {
        cluster.server.install_crd(&crd).await;
    }
    let places = cluster.places(16).await;
    let flags = ["--shards", "4"];
    let a = cluster.replica("a", &flags).await;
    cluster.until_held(4, &[(&a, 4)]).await;
    let b = cluster.replica("b", &flags).await;
    cluster.until_held(4, &[(&a, 2), (&b, 2)]).await;
    b.until_gauge("bulla_shards_held", 2).await;
    let mark = cluster.server.audit_mark();
    let stores: Api<ClusterSecretStore> = Api::all(cluster.client.clone());
    let provider = json!({"fake": {"data": [{"key": "a", "value": "1"}]}});
    create(&stores, json!({"metadata": {"name": "vault"}, "spec": {"provider": provider}})).await;
    let ces: Api<ClusterExternalSecret> = Api::all(cluster.client.clone());
    let data = json!([{"secretKey": "k", "remoteRef": {"key": "a"}}]);
    let spec = json!({"secretStoreRef": {"name": "vault", "kind": "ClusterSecretStore"}, "data": data});
    let (first, rest) = places.split_at(12);
    let spec = json!({"externalSecretName": "db", "externalSecretSpec": spec, "namespaces": first});
    create(&ces, json!({"metadata": {"name": "db"}, "spec": spec})).await;
    until_provided(&cluster, first).await;
    let both: BTreeSet<_> = ["a", "b"].map(str::to_owned).into();
    let leader: BTreeSet<_> = ["a".to_owned()].into();
    assert_eq!(writers(&cluster, mark, "secrets", &[&a, &b]).await, both, "both work");
    assert_eq!(writers(&cluster, mark, "clusterexternalsecrets", &[&a, &b]).await, leader);
    assert_eq!(writers(&cluster, mark, "clustersecretstores", &[&a, &b]).await, leader);
    let created = cluster.server.audit_since(mark);
    let created = created.iter().filter(|entry| entry.is("create", "externalsecrets") && entry.code == 201);
    assert!(created.clone().all(|entry| entry.user == a.user) && created.count() == first.len());
    let twice = cluster.writes(mark, &places, &[&a, &b]).await;
    assert_eq!(twice.iter().filter(|entry| entry.code == 201).count(), first.len(), "each Secret was made once");

    // The other one has all duties when the leader is gone.
    a.signal(Signal::KILL);
    b.until_gauge("bulla_leader", 1).await;
    let all: Vec<_> = first.iter().chain(rest).collect();
    let patch = Patch::Merge(json!({"spec": {"namespaces": all}}));
    ces.patch("db", &PatchParams::default(), &patch).await.unwrap();
    until_provided(&cluster, rest).await;
}
