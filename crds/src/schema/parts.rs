//! Words that schemas are made of.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

/// Decodes a definition that is written down as JSON. What is written down here always decodes (a test says so); an
/// empty definition would be refused by any API server.
pub(super) fn definition_from(definition: Value) -> CustomResourceDefinition {
    serde_json::from_value(definition).unwrap_or_default()
}

/// An entry of `status.conditions`.
pub(super) fn condition(r#type: &str) -> Value {
    json!({
        "type": "object",
        "required": ["type", "status"],
        "properties": {
            "type": string(r#type),
            "status": string("Whether it holds: True, False or Unknown."),
            "observedGeneration": integer("The generation that the statement is about."),
            "lastUpdateTime": time("When anything in this entry last changed."),
            "lastTransitionTime": time("When status last changed."),
            "reason": string("One word for machines."),
            "message": string("A sentence for people."),
        },
    })
}

/// The Secret as it was last written.
pub(super) fn written_secret() -> Value {
    json!({
        "type": "object",
        "description": "The Secret as it was last written.",
        "properties": {
            "resourceVersion": string("The Secret's resourceVersion after our write."),
            "digest": string("A keyed digest of what was written; without the key it says nothing about the values."),
        },
    })
}

pub(super) fn string(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// One of some words.
pub(super) fn one_of(words: &[&str], description: &str) -> Value {
    json!({ "type": "string", "enum": words, "description": description })
}

pub(super) fn boolean(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

/// A whole number of 64 bits.
pub(super) fn integer(description: &str) -> Value {
    json!({ "type": "integer", "format": "int64", "description": description })
}

pub(super) fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

/// Bytes in base64.
pub(super) fn bytes(description: &str) -> Value {
    json!({ "type": "string", "format": "byte", "description": description })
}

pub(super) fn strings_by_key(description: &str) -> Value {
    json!({ "type": "object", "description": description, "additionalProperties": { "type": "string" } })
}

pub(super) fn strings(description: &str) -> Value {
    json!({ "type": "array", "description": description, "items": { "type": "string" } })
}

pub(super) fn list(items: Value, description: &str) -> Value {
    json!({ "type": "array", "description": description, "items": items })
}

/// An object of these fields, of which some must be there.
#[expect(clippy::needless_pass_by_value, reason = "schemas are built from the inside out, and each part is used once")]
pub(super) fn object(required: &[&str], properties: Value, description: &str) -> Value {
    let mut schema = json!({ "type": "object", "description": description, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// An object of which exactly one field must be there.
pub(super) fn exactly_one(mut schema: Value) -> Value {
    schema["minProperties"] = json!(1);
    schema["maxProperties"] = json!(1);
    schema
}

/// An object whose other fields are kept too.
pub(super) fn open(mut schema: Value) -> Value {
    schema["x-kubernetes-preserve-unknown-fields"] = Value::Bool(true);
    schema
}

pub(super) fn nullable(mut schema: Value) -> Value {
    schema["nullable"] = Value::Bool(true);
    schema
}

/// The name of most objects: a DNS subdomain.
pub(super) fn name(description: &str) -> Value {
    json!({
        "type": "string",
        "description": description,
        "minLength": 1,
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// The name of a namespace: a DNS label.
pub(super) fn namespace(description: &str) -> Value {
    json!({
        "type": "string",
        "description": description,
        "minLength": 1,
        "maxLength": 63,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    })
}

/// A data key of a Secret or a ConfigMap.
pub(super) fn data_key(description: &str) -> Value {
    json!({
        "type": "string",
        "description": description,
        "minLength": 1,
        "maxLength": 253,
        "pattern": "^[-._a-zA-Z0-9]+$",
    })
}

/// Kubernetes' own LabelSelector.
pub(super) fn label_selector(description: &str) -> Value {
    let requirement = object(
        &["key", "operator"],
        json!({
            "key": string("The label."),
            "operator": string("In, NotIn, Exists or DoesNotExist."),
            "values": strings("The values, for In and NotIn."),
        }),
        "A requirement on one label.",
    );
    object(
        &[],
        json!({
            "matchLabels": strings_by_key("Labels and their values, all of which must be there."),
            "matchExpressions": list(requirement, "Requirements, all of which must be met."),
        }),
        description,
    )
}
