//! The CustomResourceDefinition of ClusterExternalSecrets.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::external_secret;
use super::group::{Definition, READY_MESSAGE, READY_STATUS};
use super::parts::{
    condition, integer, label_selector, list, name, namespace, object, string, strings, strings_by_key,
};
use crate::cluster_external_secret::{KIND, PLURAL};

/// `clusterexternalsecrets.external-secrets.io`.
pub fn cluster_external_secret_crd() -> CustomResourceDefinition {
    Definition {
        kind: KIND,
        plural: PLURAL,
        singular: "clusterexternalsecret",
        short: "ces",
        scope: "Cluster",
        description: "The same ExternalSecret in many namespaces.",
        columns: json!([
            { "name": "Store", "type": "string", "jsonPath": ".spec.externalSecretSpec.secretStoreRef.name" },
            { "name": "Refresh Interval", "type": "string", "jsonPath": ".spec.refreshTime" },
            { "name": "Ready", "type": "string", "jsonPath": READY_STATUS },
            { "name": "Message", "type": "string", "jsonPath": READY_MESSAGE, "priority": 1,
              "description": "Why, in a sentence." },
        ]),
        selectable: &[],
        spec: spec(),
        status: status(),
    }
    .build()
}

fn spec() -> Value {
    let metadata = object(
        &[],
        json!({ "annotations": strings_by_key("Annotations."), "labels": strings_by_key("Labels.") }),
        "Labels and annotations of the ExternalSecrets.",
    );
    object(
        &["externalSecretSpec"],
        json!({
            "externalSecretSpec": external_secret::spec("The spec of every ExternalSecret."),
            "externalSecretName": name("The ExternalSecrets' name; absent means the ClusterExternalSecret's."),
            "externalSecretMetadata": metadata,
            "namespaceSelector": label_selector("Deprecated: one selector of namespaces; use namespaceSelectors."),
            "namespaceSelectors": list(label_selector("A selector of namespaces."), "Namespaces that match any of these."),
            "namespaces": list(namespace("A namespace."), "Deprecated: namespaces by name, beside those that are selected."),
            "refreshTime": string("How often to look for namespaces again, as a duration such as 1h."),
        }),
        "An ExternalSecret and the namespaces that get it.",
    )
}

fn status() -> Value {
    let failed = object(
        &["namespace"],
        json!({ "namespace": string("The namespace."), "reason": string("Why.") }),
        "A namespace that did not get its ExternalSecret.",
    );
    object(
        &[],
        json!({
            "externalSecretName": string("The name that the ExternalSecrets have."),
            "failedNamespaces": list(failed, "Where it did not work."),
            "provisionedNamespaces": strings("Where it did."),
            "conditions": list(condition("What is stated: Ready or Stalled."), "Ready, and Stalled as it applies."),
            "observedGeneration": integer("The generation that this status is about."),
        }),
        "What came of it, written by the controller.",
    )
}
