//! The CustomResourceDefinition of SealedSecrets.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::parts::{condition, definition_from, nullable, strings, strings_by_key, written_secret};
use crate::sealed_secret::{GROUP, KIND, PLURAL, VERSION};

/// `sealedsecrets.bitnami.com`.
///
/// One rule is ours: `spec.data` and `spec.encryptedData` may not both hold something. Upstream stores such an object
/// and then refuses it at every sync; here `kubectl apply` says so. The API server does not apply the rule to an
/// update that leaves `spec` as it was, so an object stored earlier can still be labelled or get its status.
pub fn sealed_secret_crd() -> CustomResourceDefinition {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{PLURAL}.{GROUP}") },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": "SealedSecretList",
                "plural": PLURAL,
                "singular": "sealedsecret",
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": sealed_secret_columns(),
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "description": "A Secret that is safe to commit: its values are sealed, and only the controller's key opens them.",
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": { "type": "string" },
                        "kind": { "type": "string" },
                        "metadata": { "type": "object" },
                        "spec": sealed_secret_spec(),
                        "status": sealed_secret_status(),
                    },
                }},
            }],
        },
    });
    definition_from(definition)
}

fn sealed_secret_columns() -> Value {
    json!([
        { "name": "Status", "type": "string", "jsonPath": ".status.conditions[0].message" },
        { "name": "Synced", "type": "string", "jsonPath": ".status.conditions[0].status" },
        { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
        { "name": "Reason", "type": "string", "jsonPath": ".status.conditions[0].reason", "priority": 1,
          "description": "Why, in one word." },
        { "name": "Scope", "type": "string", "jsonPath": ".status.scope", "priority": 1,
          "description": "What the values are bound to." },
        { "name": "Keys", "type": "string", "jsonPath": ".status.keyIds", "priority": 1,
          "description": "The sealing keys that opened the values." },
    ])
}

fn sealed_secret_spec() -> Value {
    json!({
        "type": "object",
        "description": "What is sealed, and the Secret to make of it.",
        "required": ["encryptedData"],
        "x-kubernetes-validations": [{
            "rule": "!(has(self.data) && self.data.size() > 0 && self.encryptedData.size() > 0)",
            "message": "use spec.encryptedData or the deprecated spec.data, not both: move everything to encryptedData and remove data",
        }],
        "properties": {
            "encryptedData": {
                "type": "object",
                "description": "Sealed values in base64 by data key.",
                "additionalProperties": { "type": "string" },
                "x-kubernetes-preserve-unknown-fields": true,
            },
            "data": {
                "type": "string",
                "format": "byte",
                "description": "Deprecated: a whole Secret sealed at once, in base64. Use encryptedData.",
            },
            "template": {
                "type": "object",
                "description": "The shape of the Secret to make.",
                "properties": {
                    "type": {
                        "type": "string",
                        "description": "The Secret's type; absent means Opaque.",
                    },
                    "immutable": {
                        "type": "boolean",
                        "description": "Whether the Secret may not change once it is made.",
                    },
                    "data": nullable(strings_by_key("Go templates by data key, rendered over the opened values.")),
                    "metadata": {
                        "type": "object",
                        "description": "Labels, annotations and finalizers for the Secret.",
                        "nullable": true,
                        "x-kubernetes-preserve-unknown-fields": true,
                        "properties": {
                            "annotations": strings_by_key("Annotations for the Secret."),
                            "labels": strings_by_key("Labels for the Secret."),
                            "finalizers": strings("Finalizers for the Secret."),
                            "name": {
                                "type": "string",
                                "description": "No effect: the Secret's name is the SealedSecret's.",
                            },
                            "namespace": {
                                "type": "string",
                                "description": "No effect: the Secret's namespace is the SealedSecret's.",
                            },
                        },
                    },
                },
            },
        },
    })
}

fn sealed_secret_status() -> Value {
    json!({
        "type": "object",
        "description": "What came of it, written by the controller.",
        "properties": {
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "description": "The generation that this status is about.",
            },
            "conditions": {
                "type": "array",
                "description": "Synced first, then Ready, Reconciling and Stalled as they apply.",
                "items": condition("What is stated: Synced, Ready, Reconciling or Stalled."),
            },
            "scope": {
                "type": "string",
                "description": "What the values are bound to: strict, namespace-wide or cluster-wide.",
            },
            "keyIds": strings("Ids of the sealing keys that opened the values."),
            "keyValues": {
                "type": "object",
                "description": "How many of the values each of those keys opened, by key id.",
                "additionalProperties": { "type": "integer", "format": "int64" },
            },
            "secret": written_secret(),
            "lastHandledReconcileAt": {
                "type": "string",
                "description": "The last value of the annotation reconcile.fluxcd.io/requestedAt that was acted on.",
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_decodes() {
        let crd = sealed_secret_crd();
        assert_eq!(crd.metadata.name.as_deref(), Some("sealedsecrets.bitnami.com"));
        assert_eq!(crd.spec.versions.len(), 1);
        let schema = crd.spec.versions[0].schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref()).unwrap();
        let spec = &schema.properties.as_ref().unwrap()["spec"];
        assert_eq!(spec.required.as_deref(), Some(&["encryptedData".to_owned()][..]));
        let encrypted = &spec.properties.as_ref().unwrap()["encryptedData"];
        assert_eq!(encrypted.x_kubernetes_preserve_unknown_fields, Some(true));
        assert!(encrypted.additional_properties.is_some());
    }

    #[test]
    fn upstreams_columns_are_first() {
        let crd = sealed_secret_crd();
        let columns = crd.spec.versions[0].additional_printer_columns.clone().unwrap();
        let names: Vec<_> = columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names[..3], ["Status", "Synced", "Age"]);
        assert!(columns[..3].iter().all(|c| c.priority.is_none()));
        assert!(columns[3..].iter().all(|c| c.priority == Some(1)));
    }
}
