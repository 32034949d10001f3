//! The CustomResourceDefinitions of SecretStores and ClusterSecretStores.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::group::{Definition, READY_MESSAGE, READY_REASON, READY_STATUS};
use super::parts::{condition, integer, label_selector, list, namespace, object, string, strings};
use super::provider::provider;
use crate::secret_store::{CLUSTER_KIND, CLUSTER_PLURAL, KIND, PLURAL};

/// `secretstores.external-secrets.io`.
pub fn secret_store_crd() -> CustomResourceDefinition {
    Definition {
        kind: KIND,
        plural: PLURAL,
        singular: "secretstore",
        short: "ss",
        scope: "Namespaced",
        description: "A store that ExternalSecrets of its namespace may use.",
        columns: columns(),
        selectable: &[],
        spec: spec(),
        status: status(),
    }
    .build()
}

/// `clustersecretstores.external-secrets.io`.
pub fn cluster_secret_store_crd() -> CustomResourceDefinition {
    Definition {
        kind: CLUSTER_KIND,
        plural: CLUSTER_PLURAL,
        singular: "clustersecretstore",
        short: "css",
        scope: "Cluster",
        description: "A store that ExternalSecrets of every namespace may use, unless its conditions say otherwise.",
        columns: columns(),
        selectable: &[],
        spec: spec(),
        status: status(),
    }
    .build()
}

fn columns() -> Value {
    json!([
        { "name": "AGE", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
        { "name": "Status", "type": "string", "jsonPath": READY_REASON },
        { "name": "Capabilities", "type": "string", "jsonPath": ".status.capabilities" },
        { "name": "Ready", "type": "string", "jsonPath": READY_STATUS },
        { "name": "Message", "type": "string", "jsonPath": READY_MESSAGE, "priority": 1,
          "description": "Why, in a sentence." },
    ])
}

fn spec() -> Value {
    object(
        &["provider"],
        json!({
            "controller": string("The controller class that serves it; absent or empty means any."),
            "provider": provider(),
            "retrySettings": object(
                &[],
                json!({
                    "maxRetries": { "type": "integer", "format": "int32", "description": "How often at most." },
                    "retryInterval": string("How long to wait between two tries, as a duration such as 5s."),
                }),
                "How often to try again.",
            ),
            "refreshInterval": {
                "x-kubernetes-int-or-string": true,
                "description": "How often the store itself is checked: seconds, or a duration such as 5m.",
            },
            "conditions": list(store_condition(), "Which namespaces may use a ClusterSecretStore: any condition suffices, and none means all namespaces."),
            "rateLimit": rate_limit(),
        }),
        "Which store and how to get at it.",
    )
}

fn store_condition() -> Value {
    object(
        &[],
        json!({
            "namespaceSelector": label_selector("By labels of the namespace."),
            "namespaces": list(namespace("A namespace."), "By name."),
            "namespaceRegexes": strings("By regular expressions that match anywhere in the name."),
        }),
        "Namespaces that may use the store: those that any field admits.",
    )
}

/// Ours; External Secrets has no such thing.
fn rate_limit() -> Value {
    object(
        &[],
        json!({
            "callsPerSecond": {
                "type": "number", "minimum": 0, "exclusiveMinimum": true,
                "description": "Calls a second in the long run.",
            },
            "burst": {
                "type": "integer", "format": "int64", "minimum": 1, "maximum": u32::MAX,
                "description": "Calls that may go at once after a quiet time.",
            },
        }),
        "How much the store may be asked, by all objects together.",
    )
}

fn status() -> Value {
    object(
        &[],
        json!({
            "conditions": list(condition("What is stated: Ready or Stalled."), "Ready, and Stalled as it applies."),
            "capabilities": string("What can be done with it: ReadOnly, WriteOnly or ReadWrite."),
            "observedGeneration": integer("The generation that this status is about."),
        }),
        "What came of it, written by the controller.",
    )
}
