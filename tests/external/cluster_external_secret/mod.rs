//! ClusterExternalSecrets: who gets the ExternalSecret, who loses it, what is left alone, and what it costs.
//!
//! Whoever serves them serves the whole cluster: these tests take turns on a server of their own.

mod cluster;

use std::time::Instant;

use bulla_crds::{ClusterExternalSecret, ClusterSecretStore, ExternalSecret};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use self::cluster::{Cluster, create, merge, says};
use crate::world::{QUIET, SOON, data_of, fake, one_key, strings};

const CLEANUP: &str = "externalsecrets.external-secrets.io/clusterexternalsecret-cleanup";
const FOREIGN: &str = "external secret already exists in namespace";

const STATUS: &str = "patch clusterexternalsecrets status";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_get_it_and_lose_it_as_they_are_selected() {
    let mut cluster = Cluster::new("select").await;
    let store = json!({"metadata": {"name": "vault"}, "spec": {"provider": fake(&[("a", "1")])}});
    create(&cluster.all::<ClusterSecretStore>(), store).await;
    for (name, labelled) in [("labelled", true), ("named", false), ("neither", false)] {
        cluster.namespace(name, labelled, &[]).await;
    }
    cluster.world.start();
    let mark = cluster.world.mark();
    let metadata = json!({"labels": {"l": "1"}, "annotations": {"n": "2"}});
    let named = [cluster.at("named"), "select-nowhere".to_owned()];
    let spec = json!({"externalSecretName": "db", "externalSecretMetadata": metadata, "namespaces": named});
    let object = cluster.create(spec).await;
    cluster.is_in(&["labelled", "named"]).await;
    assert_eq!(cluster.calls(mark).await, ["create externalsecrets", "create externalsecrets", STATUS]);
    cluster.until("named", |status| status.external_secret_name.as_deref() == Some("db")).await;

    let child = cluster.child("named", "db", |_| true).await;
    assert_eq!(child.spec.as_ref().unwrap(), &object.spec.unwrap().external_secret_spec);
    assert_eq!(child.metadata.labels.unwrap(), strings(&[("l", "1")]));
    assert_eq!(child.metadata.annotations.unwrap(), strings(&[("n", "2")]));
    let owner = &child.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("ClusterExternalSecret", "select"));
    assert_eq!((Some(&owner.uid), owner.controller), (object.metadata.uid.as_ref(), Some(true)));

    let mark = cluster.world.mark();
    cluster.label("neither", json!("select")).await;
    cluster.is_in(&["labelled", "named", "neither"]).await;
    assert_eq!(cluster.calls(mark).await, ["create externalsecrets", STATUS]);
    let secrets: Api<Secret> = Api::namespaced(cluster.world.client.clone(), &cluster.at("neither"));
    let began = Instant::now();
    while secrets.get_opt("db").await.unwrap().is_none_or(|secret| data_of(&secret) != strings(&[("k", "1")])) {
        assert!(began.elapsed() < SOON, "no Secret comes of it");
        tokio::time::sleep(QUIET / 20).await;
    }

    let mark = cluster.world.mark();
    cluster.label("labelled", Value::Null).await;
    cluster.is_in(&["named", "neither"]).await;
    cluster.until_gone(&cluster.children("labelled"), "db").await;
    assert_eq!(cluster.calls(mark).await, ["delete externalsecrets", STATUS]);

    let mark = cluster.world.mark();
    for name in ["m1", "m2", "m3", "m4"] {
        cluster.namespace(name, true, &[]).await;
    }
    cluster.is_in(&["m1", "m2", "m3", "m4", "named", "neither"]).await;
    let calls = cluster.calls(mark).await;
    assert_eq!(calls.iter().filter(|call| *call == "create externalsecrets").count(), 4);
    assert!(calls.len() <= 6, "a burst is one pass, or two: {calls:?}");

    // After a restart all is found in order: the only calls are those for what is new.
    cluster.world.stop().await;
    let mark = cluster.world.mark();
    cluster.world.start();
    cluster.calls(mark).await;
    cluster.namespace("m5", true, &[]).await;
    cluster.is_in(&["m1", "m2", "m3", "m4", "m5", "named", "neither"]).await;
    assert_eq!(cluster.calls(mark).await, ["create externalsecrets", STATUS]);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_theirs_stays_and_what_is_ours_is_put_back() {
    let mut cluster = Cluster::new("repair").await;
    for name in ["free", "taken"] {
        cluster.namespace(name, true, &[]).await;
    }
    let theirs = json!({"metadata": {"name": "repair"}, "spec": one_key("theirs", "t")});
    let theirs = create(&cluster.children("taken"), theirs).await;
    cluster.world.start();
    cluster.create(json!({"externalSecretMetadata": {"labels": {"ours": "1", "later-gone": "1"}}})).await;
    cluster
        .until("told what is in the way", |status| {
            let failed =
                status.failed_namespaces.iter().map(|failed| (failed.namespace.as_str(), failed.reason.as_str()));
            let message = status.conditions.first().and_then(|ready| ready.message.as_deref());
            status.provisioned_namespaces == ["repair-free"]
                && failed.eq([("repair-taken", FOREIGN)])
                && says(status, "Ready", false)
                && message == Some("one or more namespaces failed")
        })
        .await;
    let untouched = cluster.child("taken", "repair", |_| true).await;
    assert_eq!((&untouched.metadata.uid, untouched.spec), (&theirs.metadata.uid, theirs.spec));
    assert!(untouched.metadata.owner_references.is_none());

    let mark = cluster.world.mark();
    cluster.children("taken").delete("repair", &DeleteParams::default()).await.unwrap();
    cluster.is_in(&["free", "taken"]).await;
    assert_eq!(cluster.calls(mark).await, ["create externalsecrets", STATUS]);

    // Edited by hand: the spec, a label of ours, one of theirs.
    let right = cluster.child("free", "repair", |_| true).await.spec;
    let mark = cluster.world.mark();
    let edit = json!({
        "metadata": {"labels": {"ours": "2", "theirs": "1"}},
        "spec": {"refreshInterval": "5m", "secretStoreRef": {"name": "elsewhere"}},
    });
    merge(&cluster.children("free"), "repair", edit).await;
    let child = cluster.child("free", "repair", |child| child.spec == right).await;
    assert_eq!(child.metadata.labels.unwrap(), strings(&[("later-gone", "1"), ("ours", "1"), ("theirs", "1")]));
    assert_eq!(cluster.calls(mark).await, ["patch externalsecrets"]);
    cluster.children("free").delete("repair", &DeleteParams::default()).await.unwrap();
    let uid = child.metadata.uid;
    cluster.child("free", "repair", |child| child.metadata.uid != uid).await;

    // What is no longer wanted of ours goes; the wish for a sync comes.
    cluster.patch(json!({"spec": {"externalSecretMetadata": {"labels": {"later-gone": null}}}})).await;
    let without = |child: &ExternalSecret| child.metadata.labels == Some(strings(&[("ours", "1")]));
    cluster.child("free", "repair", without).await;
    let forced = |word: &'static str| {
        move |child: &ExternalSecret| {
            child.metadata.annotations == Some(strings(&[("external-secrets.io/force-sync", word)]))
        }
    };
    for word in ["1", "2"] {
        cluster.patch(json!({"metadata": {"annotations": {"external-secrets.io/force-sync": word}}})).await;
        cluster.child("free", "repair", forced(word)).await;
        cluster.child("taken", "repair", forced(word)).await;
    }

    cluster.patch(json!({"spec": {"externalSecretName": "renamed"}})).await;
    cluster.child("free", "renamed", |_| true).await;
    cluster.until_gone(&cluster.children("free"), "repair").await;
    cluster.until_gone(&cluster.children("taken"), "repair").await;
    cluster.until("renamed", |status| status.external_secret_name.as_deref() == Some("renamed")).await;
    cluster.is_in(&["free", "taken"]).await;

    // Two that want the same: who came first has it, and the other one gets it as soon as it is free.
    let mut rival = json!({"externalSecretName": "renamed"});
    cluster.fill(&mut rival);
    let rivals: Api<ClusterExternalSecret> = cluster.all();
    create(&rivals, json!({"metadata": {"name": "rival"}, "spec": rival})).await;
    let failures = async || rivals.get("rival").await.unwrap().status.map(|status| status.failed_namespaces.len());
    let began = Instant::now();
    while failures().await != Some(2) {
        assert!(began.elapsed() < SOON, "it is not told what is in the way");
        tokio::time::sleep(QUIET / 20).await;
    }
    cluster.patch(json!({"spec": {"externalSecretName": "again"}})).await;
    let of_rival =
        |child: &ExternalSecret| child.metadata.owner_references.iter().flatten().any(|owner| owner.name == "rival");
    cluster.child("free", "renamed", of_rival).await;
    cluster.child("free", "again", |_| true).await;
    rivals.delete("rival", &DeleteParams::default()).await.unwrap();
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_stalled_and_takes_nothing_away() {
    let mut cluster = Cluster::new("odd").await;
    cluster.namespace("a", true, &[]).await;
    cluster.world.start();
    cluster.create(json!({})).await;
    cluster.is_in(&["a"]).await;
    let right = json!([{"matchLabels": {"team": "odd"}}]);
    let no_values = json!([{"matchExpressions": [{"key": "team", "operator": "In"}]}]);
    let no_operator = json!([{"matchExpressions": [{"key": "team", "operator": "Like", "values": ["o"]}]}]);
    for (spec, problem) in [
        (json!({"namespaceSelectors": no_values}), "spec.namespaceSelectors[0]: the requirement on label \"team\""),
        (json!({"namespaceSelectors": no_operator}), "unknown operator \"Like\""),
        (json!({"namespaceSelectors": right, "refreshTime": "often"}), "spec.refreshTime"),
        (json!({"refreshTime": "1m", "externalSecretSpec": {"data": null}}), "spec.externalSecretSpec"),
    ] {
        cluster.patch(json!({"spec": spec})).await;
        cluster
            .until(problem, |status| {
                let ready = status.conditions.iter().find(|condition| condition.r#type == "Ready");
                let message = ready.and_then(|ready| ready.message.clone()).unwrap_or_default();
                message.contains(problem) && says(status, "Ready", false) && says(status, "Stalled", true)
            })
            .await;
        cluster.child("a", "odd", |child| child.metadata.deletion_timestamp.is_none()).await;
    }
    let mut spec = json!({});
    cluster.fill(&mut spec);
    cluster.patch(json!({"spec": spec})).await;
    cluster.is_in(&["a"]).await;
    cluster.until("no longer stalled", |status| status.conditions.len() == 1).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_external_secrets_left_behind_is_taken_off_in_time() {
    let mut cluster = Cluster::new("left").await;
    let (ours, theirs) = ("externalsecrets.external-secrets.io/ces-left", "example.com/theirs");
    cluster.namespace("stays", true, &[ours]).await;
    cluster.namespace("loses", true, &[ours, theirs]).await;
    cluster.namespace("dies", true, &[ours]).await;
    cluster.namespace("forgotten", false, &["externalsecrets.external-secrets.io/ces-long-gone"]).await;
    let mut spec = json!({});
    cluster.fill(&mut spec);
    let object = json!({"metadata": {"name": "left", "finalizers": [CLEANUP]}, "spec": spec});
    create(&cluster.all::<ClusterExternalSecret>(), object).await;
    cluster.world.start();
    cluster.is_in(&["dies", "loses", "stays"]).await;
    cluster.finalizers_are("forgotten", &[]).await;
    for namespace in ["stays", "dies"] {
        assert_eq!(cluster.finalizers(namespace).await, [ours], "it could still go back");
    }

    cluster.label("loses", json!("another")).await;
    cluster.finalizers_are("loses", &[theirs]).await;
    cluster.until_gone(&cluster.children("loses"), "left").await;
    cluster.all::<Namespace>().delete(&cluster.at("dies"), &DeleteParams::default()).await.unwrap();
    cluster.is_in(&["stays"]).await;
    cluster.finalizers_are("dies", &[]).await;

    cluster.all::<ClusterExternalSecret>().delete("left", &DeleteParams::default()).await.unwrap();
    cluster.until_gone(&cluster.all::<ClusterExternalSecret>(), "left").await;
    cluster.until_gone(&cluster.children("stays"), "left").await;
    cluster.finalizers_are("stays", &[]).await;
    cluster.end().await;
}
