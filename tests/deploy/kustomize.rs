//! The kustomize base, its components and overlays.

use serde_json::json;

use crate::cluster::Cluster;
use crate::manifests::{at, find, kustomized, text, with_components};
use crate::schemas;

const OVERLAYS: [&str; 3] = ["dev", "staging", "production"];

#[tokio::test]
async fn every_overlay_and_component_is_taken_by_the_api_server_and_by_kubeconform() {
    let mut cluster = Cluster::new().await;
    let mut all = Vec::new();
    for overlay in OVERLAYS {
        let mut objects = kustomized(&at(&format!("deploy/kustomize/overlays/{overlay}")));
        assert_eq!(objects.iter().filter(|object| text(object, "/kind") == "CustomResourceDefinition").count(), 5);
        if overlay != "production" {
            // Long, and everywhere the same.
            objects.retain(|object| text(object, "/kind") != "CustomResourceDefinition");
        }
        let refusals = cluster.refusals(&objects).await;
        assert!(refusals.is_empty(), "{overlay}: {refusals:#?}");
        cluster.admits_pod(find(&objects, "Deployment", "bulla-controller")).await.unwrap();
        all.extend(objects);
    }
    for components in [
        &["namespaced"][..],
        &["namespaced", "namespaced-store-tokens"],
        &["namespaced", "without-external-secrets"],
        &["without-external-secrets"],
        &["store-tokens", "token-review", "kubeseal"],
    ] {
        let objects = with_components(components, "test-components");
        let refusals = cluster.refusals(&objects).await;
        assert!(refusals.is_empty(), "{components:?}: {refusals:#?}");
        all.extend(objects);
    }
    schemas::check(&cluster, &all).await;
}

#[test]
fn overlays_differ_as_they_say() {
    let replicas = OVERLAYS.map(|overlay| {
        let objects = kustomized(&at(&format!("deploy/kustomize/overlays/{overlay}")));
        let namespace = if overlay == "dev" { "bulla-dev" } else { "bulla-system" };
        assert!(
            objects
                .iter()
                .all(|object| matches!(text(object, "/metadata/namespace"), "" | "bulla-system" | "bulla-dev"))
        );
        let bindings = objects.iter().filter(|object| text(object, "/kind").ends_with("Binding"));
        let subjects = bindings.flat_map(|object| object["subjects"].as_array().unwrap());
        for subject in subjects.filter(|subject| subject["kind"] == "ServiceAccount") {
            assert_eq!(subject["namespace"], namespace, "{overlay}");
        }
        find(&objects, "Deployment", "bulla-controller")["spec"]["replicas"].as_u64().unwrap()
    });
    assert_eq!(replicas, [1, 2, 3]);
}

#[test]
fn a_namespaced_controller_is_told_its_namespace_and_has_no_right_outside() {
    let objects = with_components(&["namespaced", "namespaced-store-tokens"], "team-a");
    assert!(objects.iter().all(|object| !text(object, "/kind").starts_with("ClusterRole")));
    let deployment = find(&objects, "Deployment", "bulla-controller");
    let env = deployment.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap();
    let watched = env.iter().find(|one| one["name"] == "BULLA_WATCH_NAMESPACE").unwrap();
    assert_eq!(watched["valueFrom"], json!({"fieldRef": {"fieldPath": "metadata.namespace"}}));
}
