//! What must deserialize, and what it must become.

use serde_json::{Value, json};

use super::*;
use crate::ConditionStatus;

fn read(value: Value) -> SealedSecret {
    serde_json::from_value(value).unwrap()
}

fn odd_paths(object: &SealedSecret) -> Vec<&str> {
    object.spec.oddities.iter().map(|oddity| oddity.path.as_str()).collect()
}

#[test]
fn a_plain_object_survives_the_round_trip() {
    let text = json!({
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "prod", "annotations": {"sealedsecrets.bitnami.com/cluster-wide": "true"}},
        "spec": {
            "encryptedData": {"password": "AgB", "user": "AgC"},
            "template": {
                "metadata": {"name": "db", "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["x/y"]},
                "type": "kubernetes.io/basic-auth",
                "immutable": true,
                "data": {"url": "{{ .user }}"},
            },
        },
        "status": {
            "observedGeneration": 3,
            "conditions": [{"type": "Synced", "status": "True", "lastUpdateTime": "2026-01-01T00:00:00Z"}],
            "scope": "strict",
            "keyIds": ["0011223344556677"],
            "keyValues": {"0011223344556677": 2},
            "secret": {"resourceVersion": "7", "digest": "abc"},
            "lastHandledReconcileAt": "now",
        },
    });
    let object = read(text.clone());
    assert_eq!(odd_paths(&object), Vec::<&str>::new());
    assert!(object.is_annotated(names::CLUSTER_WIDE));
    assert!(!object.is_annotated(names::NAMESPACE_WIDE));
    assert_eq!(serde_json::to_value(&object).unwrap(), text);
}

#[test]
fn what_kubeseal_writes_has_no_oddities_and_loses_its_nulls() {
    let object = read(json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "prod", "creationTimestamp": null},
        "spec": {"encryptedData": {"a": "AgB"}, "template": {"data": null, "metadata": {"creationTimestamp": null, "name": "db"}}},
        "status": {},
    }));
    assert_eq!(odd_paths(&object), Vec::<&str>::new());
    let text = serde_json::to_string(&object).unwrap();
    assert!(!text.contains("null"), "{text}");
}

#[test]
fn odd_objects_are_read_and_their_oddities_named() {
    let table: Vec<(Value, Vec<&str>)> = vec![
        (json!({}), vec![]),
        (json!({"spec": null, "metadata": null, "status": null}), vec![]),
        (json!({"spec": "text"}), vec!["spec"]),
        (json!({"spec": {"encryptedData": null}}), vec![]),
        (json!({"spec": {"encryptedData": []}}), vec!["spec.encryptedData"]),
        (
            json!({"spec": {"encryptedData": {"a": 1, "b": null, "c": {"d": []}, "e": true, "f": ["g"], "good": "AgB"}}}),
            vec![
                "spec.encryptedData.a",
                "spec.encryptedData.b",
                "spec.encryptedData.c",
                "spec.encryptedData.e",
                "spec.encryptedData.f",
            ],
        ),
        (json!({"spec": {"data": 7}}), vec!["spec.data"]),
        (json!({"spec": {"template": null}}), vec![]),
        (json!({"spec": {"template": []}}), vec!["spec.template"]),
        (json!({"spec": {"template": {"metadata": null, "data": null, "type": null, "immutable": null}}}), vec![]),
        (json!({"spec": {"template": {"metadata": 1}}}), vec!["spec.template.metadata"]),
        (json!({"spec": {"template": {"immutable": "yes"}}}), vec!["spec.template.immutable"]),
        (json!({"spec": {"template": {"type": {}}}}), vec!["spec.template.type"]),
        (json!({"spec": {"template": {"data": {"a": 1, "b": "x"}}}}), vec!["spec.template.data.a"]),
        (
            json!({"spec": {"template": {"metadata": {"labels": {"n": 1}, "annotations": "x", "finalizers": [1], "ownerReferences": 5}}}}),
            vec![
                "spec.template.metadata.labels.n",
                "spec.template.metadata.annotations",
                "spec.template.metadata.finalizers[0]",
            ],
        ),
        (json!({"metadata": {"labels": {"a": 1, "b": "x"}, "name": "n"}}), vec!["metadata.labels.a"]),
        (json!({"metadata": {"creationTimestamp": "yesterday", "name": "n"}}), vec!["metadata.creationTimestamp"]),
        (json!({"metadata": [], "extra": {"deep": [1]}}), vec!["metadata"]),
    ];
    for (value, expected) in table {
        let object = read(value.clone());
        assert_eq!(odd_paths(&object), expected, "{value}");
        let again = read(serde_json::to_value(&object).unwrap());
        assert_eq!(odd_paths(&again), Vec::<&str>::new(), "{value}");
    }
}

#[test]
fn good_fields_survive_beside_odd_ones() {
    let object = read(json!({
        "metadata": {"name": "db", "generation": 4, "labels": {"a": 1, "b": "x"}, "deletionTimestamp": false},
        "spec": {"encryptedData": {"bad": 1, "good": "AgB"}},
    }));
    assert_eq!(object.metadata.name.as_deref(), Some("db"));
    assert_eq!(object.metadata.generation, Some(4));
    assert_eq!(object.metadata.labels.clone().unwrap(), BTreeMap::from([("b".to_owned(), "x".to_owned())]));
    assert_eq!(object.spec.encrypted_data, BTreeMap::from([("good".to_owned(), "AgB".to_owned())]));
    assert_eq!(object.spec.oddities[2].to_string(), "spec.encryptedData.bad must be a string, but is a number");
}

#[test]
fn odd_status_is_read_as_far_as_it_makes_sense() {
    let object = read(json!({"status": {
        "observedGeneration": "three",
        "conditions": [null, 1, {"status": "True"}, {"type": "Synced", "status": "Perhaps", "lastUpdateTime": null, "lastTransitionTime": "x"}],
        "scope": 1, "keyIds": [1, "k"], "keyValues": {"k": 2, "odd": "x"}, "secret": {"digest": 5},
    }}));
    let status = object.status.unwrap();
    assert_eq!(status.observed_generation, None);
    assert_eq!(status.conditions.len(), 1);
    assert_eq!(status.conditions[0].status, ConditionStatus::Unknown);
    assert_eq!(status.key_ids, ["k"]);
    assert_eq!(status.key_values, BTreeMap::from([("k".to_owned(), 2)]));
    assert_eq!(status.secret, Some(WrittenSecret::default()));
    assert_eq!(object.spec.oddities, [], "status is ours to overwrite: no news for the user");
}

#[test]
fn reads_yaml_as_an_api_server_would() {
    let text = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\nspec:\n  encryptedData:\n    number: 12345678\n    text: AgB\n";
    let object: SealedSecret = serde_saphyr::from_str(text).unwrap();
    assert_eq!(odd_paths(&object), ["spec.encryptedData.number"]);
    assert_eq!(object.spec.encrypted_data["text"], "AgB");
}

#[test]
fn is_a_namespaced_resource_of_bitnami() {
    use kube::Resource as _;
    assert_eq!(SealedSecret::url_path(&(), Some("prod")), "/apis/bitnami.com/v1alpha1/namespaces/prod/sealedsecrets");
    let crd = crate::sealed_secret_crd();
    assert_eq!(crd.spec.names.plural, SealedSecret::plural(&()));
}
