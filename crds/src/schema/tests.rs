//! What every definition must be.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::*;

fn of_external_secrets() -> Vec<CustomResourceDefinition> {
    all().into_iter().filter(|crd| crd.spec.group == crate::object::GROUP).collect()
}

#[test]
fn every_definition_decodes_and_has_its_name() {
    let mut names: Vec<_> = all().into_iter().filter_map(|crd| crd.metadata.name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "clusterexternalsecrets.external-secrets.io",
            "clustersecretstores.external-secrets.io",
            "externalsecrets.external-secrets.io",
            "sealedsecrets.bitnami.com",
            "secretstores.external-secrets.io",
        ]
    );
}

/// Not in `spec`, and not in `status` either.
#[test]
fn there_are_no_defaults_anywhere() {
    for crd in all() {
        assert!(!has_field(&serde_json::to_value(&crd).unwrap(), "default"), "{:?}", crd.metadata.name);
    }
    assert!(has_field(&serde_json::json!([{ "a": { "default": 1 } }]), "default"), "the test can see one");
}

fn has_field(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(field, value)| field == name || has_field(value, name)),
        Value::Array(items) => items.iter().any(|item| has_field(item, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[test]
fn both_versions_are_served_with_one_schema_and_v1_is_stored() {
    for crd in of_external_secrets() {
        let [v1, v1beta1] = &crd.spec.versions[..] else { panic!("two versions") };
        assert_eq!((v1.name.as_str(), v1.served, v1.storage), ("v1", true, true));
        assert_eq!((v1beta1.name.as_str(), v1beta1.served, v1beta1.storage), ("v1beta1", true, false));
        assert_eq!(v1.schema, v1beta1.schema);
        assert_eq!(v1.selectable_fields, v1beta1.selectable_fields);
        assert!(v1.subresources.as_ref().is_some_and(|sub| sub.status.is_some()));
        assert!(v1beta1.subresources.as_ref().is_some_and(|sub| sub.status.is_some()));
        assert_eq!(crd.spec.conversion.as_ref().map(|conversion| conversion.strategy.as_str()), Some("None"));
    }
}

#[test]
fn names_are_those_that_people_type() {
    let names: Vec<_> = of_external_secrets()
        .into_iter()
        .map(|crd| {
            assert_eq!(crd.spec.names.categories.as_deref(), Some(&["external-secrets".to_owned()][..]));
            assert_eq!(crd.metadata.labels.unwrap()["external-secrets.io/component"], "controller");
            format!("{} {} {}", crd.spec.names.kind, crd.spec.names.short_names.unwrap().join(","), crd.spec.scope)
        })
        .collect();
    assert_eq!(
        names,
        [
            "ExternalSecret es Namespaced",
            "ClusterExternalSecret ces Cluster",
            "SecretStore ss Namespaced",
            "ClusterSecretStore css Cluster",
        ]
    );
}

#[test]
fn columns_are_upstreams_then_ours() {
    for (crd, upstreams) in [
        (external_secret_crd(), &["StoreType", "Store", "Refresh Interval", "Status", "Ready", "Last Sync"][..]),
        (cluster_external_secret_crd(), &["Store", "Refresh Interval", "Ready"]),
        (secret_store_crd(), &["AGE", "Status", "Capabilities", "Ready"]),
        (cluster_secret_store_crd(), &["AGE", "Status", "Capabilities", "Ready"]),
    ] {
        let columns = crd.spec.versions[0].additional_printer_columns.clone().unwrap();
        let (theirs, ours): (Vec<_>, Vec<_>) = columns.iter().partition(|column| column.priority.is_none());
        assert_eq!(theirs.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), upstreams);
        assert!(columns.iter().skip(upstreams.len()).all(|column| column.priority == Some(1)));
        assert!(!ours.is_empty());
    }
}

#[test]
fn every_field_is_described() {
    fn walk(path: &str, schema: &Value, bare: &mut Vec<String>) {
        if let Some(fields) = schema["properties"].as_object() {
            for (field, schema) in fields {
                let path = format!("{path}.{field}");
                if schema["description"].as_str().is_none_or(str::is_empty) {
                    bare.push(path.clone());
                }
                walk(&path, schema, bare);
            }
        }
        walk_items(path, schema, bare);
    }
    fn walk_items(path: &str, schema: &Value, bare: &mut Vec<String>) {
        if schema["items"].is_object() {
            walk(&format!("{path}[]"), &schema["items"], bare);
        }
    }
    for crd in of_external_secrets() {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let mut bare = Vec::new();
        for part in ["spec", "status"] {
            walk(part, &schema["openAPIV3Schema"]["properties"][part], &mut bare);
        }
        assert_eq!(bare, Vec::<String>::new(), "{:?}", crd.metadata.name);
    }
}
