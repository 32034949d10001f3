//! What the definitions of `external-secrets.io` have in common.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::parts::definition_from;
use crate::object::{GROUP, OLDER_VERSION, VERSION};

/// The status of the condition `Ready`, for a printer column.
pub(super) const READY_STATUS: &str = r#".status.conditions[?(@.type=="Ready")].status"#;
/// Its reason.
pub(super) const READY_REASON: &str = r#".status.conditions[?(@.type=="Ready")].reason"#;
/// Its message.
pub(super) const READY_MESSAGE: &str = r#".status.conditions[?(@.type=="Ready")].message"#;

/// What differs between the definitions of the group.
pub(super) struct Definition {
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) short: &'static str,
    pub(super) scope: &'static str,
    pub(super) description: &'static str,
    pub(super) columns: Value,
    /// Fields that field selectors may name, beside the usual ones.
    pub(super) selectable: &'static [&'static str],
    pub(super) spec: Value,
    pub(super) status: Value,
}

impl Definition {
    /// Both versions with the same schema, so that no conversion is needed: an object reads the same in either.
    pub(super) fn build(self) -> CustomResourceDefinition {
        let Self { kind, plural, singular, short, scope, description, columns, selectable, spec, status } = self;
        let version = |name: &str, storage: bool| {
            let mut version = json!({
                "name": name,
                "served": true,
                "storage": storage,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "description": description,
                    "properties": {
                        "apiVersion": { "type": "string" },
                        "kind": { "type": "string" },
                        "metadata": { "type": "object" },
                        "spec": spec,
                        "status": status,
                    },
                }},
            });
            if !selectable.is_empty() {
                version["selectableFields"] = selectable.iter().map(|path| json!({ "jsonPath": path })).collect();
            }
            version
        };
        definition_from(json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{plural}.{GROUP}"),
                "labels": { "external-secrets.io/component": "controller" },
            },
            "spec": {
                "group": GROUP,
                "names": {
                    "kind": kind,
                    "listKind": format!("{kind}List"),
                    "plural": plural,
                    "singular": singular,
                    "shortNames": [short],
                    "categories": ["external-secrets"],
                },
                "scope": scope,
                "conversion": { "strategy": "None" },
                "versions": [version(VERSION, true), version(OLDER_VERSION, false)],
            },
        }))
    }
}
