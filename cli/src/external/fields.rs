//! Fields that the schema does not know. An API server drops them without a word, and what they meant with them.

use bulla_crds::{
    Violation, cluster_external_secret_crd, cluster_secret_store_crd, external_secret_crd, secret_store_crd,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value};

/// What every object has.
const OUTLINE: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Every field of an object of `external-secrets.io` that its kind does not have.
pub(super) fn unknown(kind: &str, object: &Map<String, Value>) -> Vec<Violation> {
    let mut found = Vec::new();
    for field in object.keys().filter(|field| !OUTLINE.contains(&field.as_str())) {
        found.push(violation(field.clone(), field, OUTLINE.into_iter()));
    }
    let crd = match kind {
        "ExternalSecret" => external_secret_crd(),
        "ClusterExternalSecret" => cluster_external_secret_crd(),
        "SecretStore" => secret_store_crd(),
        _ => cluster_secret_store_crd(),
    };
    let schema = crd.spec.versions.into_iter().next().and_then(|version| version.schema?.open_api_v3_schema);
    let spec = schema.and_then(|schema| schema.properties?.remove("spec"));
    if let (Some(spec), Some(value)) = (spec, object.get("spec")) {
        walk("spec", value, &spec, &mut found);
    }
    found
}

fn violation<'a>(path: String, field: &str, mut known: impl Iterator<Item = &'a str>) -> Violation {
    let meant = known.find(|known| known.eq_ignore_ascii_case(field));
    let hint = meant.map(|meant| format!(": write {meant}")).unwrap_or_default();
    Violation::new(path, format!("there is no such field{hint}"))
}

fn walk(path: &str, value: &Value, schema: &JSONSchemaProps, found: &mut Vec<Violation>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let inner = format!("{path}.{field}");
                let known = schema.properties.as_ref().and_then(|properties| properties.get(field));
                match (known, &schema.additional_properties) {
                    (Some(schema), _) => walk(&inner, value, schema, found),
                    (None, Some(JSONSchemaPropsOrBool::Schema(schema))) => walk(&inner, value, schema, found),
                    (None, Some(JSONSchemaPropsOrBool::Bool(true))) => {}
                    (None, Some(JSONSchemaPropsOrBool::Bool(false)) | None) => {
                        let keeps = schema.x_kubernetes_preserve_unknown_fields == Some(true);
                        if let Some(properties) = schema.properties.as_ref().filter(|_| !keeps) {
                            found.push(violation(inner, field, properties.keys().map(String::as_str)));
                        }
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    walk(&format!("{path}[{index}]"), item, schema, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
