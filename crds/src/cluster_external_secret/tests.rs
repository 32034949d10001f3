//! What must deserialize, and what it must become.

use serde_json::{Value, json};

use super::*;

fn read(value: Value) -> ClusterExternalSecret {
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_field_survives_the_round_trip() {
    let selector =
        json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["d"]}]});
    let text = json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ClusterExternalSecret",
        "metadata": {"name": "everywhere"},
        "spec": {
            "externalSecretSpec": {"secretStoreRef": {"name": "aws"}, "dataFrom": [{"extract": {"key": "k"}}]},
            "externalSecretName": "db",
            "externalSecretMetadata": {"annotations": {"a": "1"}, "labels": {"b": "2"}},
            "namespaceSelector": selector, "namespaceSelectors": [selector, {}], "namespaces": ["prod"],
            "refreshTime": "1m",
        },
        "status": {
            "externalSecretName": "db", "failedNamespaces": [{"namespace": "a", "reason": "no"}],
            "provisionedNamespaces": ["prod"], "conditions": [{"type": "Ready", "status": "False", "message": "no"}],
            "observedGeneration": 2,
        },
    });
    assert_eq!(serde_json::to_value(read(text.clone())).unwrap(), text);
}

#[test]
fn odd_objects_are_read_and_say_where_they_are_odd() {
    for (odd, expected) in [
        (json!({}), "spec lacks externalSecretSpec"),
        (json!({"externalSecretSpec": {"data": [{}]}}), "spec.externalSecretSpec.data[0] lacks secretKey"),
        (json!({"externalSecretSpec": {}, "namespaceSelectors": [1]}), "spec.namespaceSelectors[0] must be an object"),
    ] {
        assert_eq!(read(json!({"spec": odd})).spec.unwrap_err().to_string(), expected);
    }
}

#[test]
fn it_is_a_cluster_resource() {
    use kube::Resource as _;
    let path = ClusterExternalSecret::url_path(&(), None);
    assert_eq!(path, "/apis/external-secrets.io/v1/clusterexternalsecrets");
}

#[test]
fn rules_are_those_of_the_external_secrets() {
    let spec = |value: Value| read(json!({"spec": value})).spec.unwrap();
    let good = json!({"secretStoreRef": {"name": "s"}, "dataFrom": [{"find": {}}]});
    assert_eq!(validate(&spec(json!({"externalSecretSpec": good, "refreshTime": "5m"}))), []);
    let broken = validate(&spec(json!({"externalSecretSpec": {"dataFrom": [{"find": {}}]}, "refreshTime": "often"})));
    let paths: Vec<_> = broken.iter().map(|violation| violation.path.as_str()).collect();
    assert_eq!(paths, ["spec.externalSecretSpec.dataFrom[0]", "spec.refreshTime"]);
}
