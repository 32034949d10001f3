//! Reading one Secret into plain words, with its values held as [`Plaintext`] from the first moment.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::GetParams;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::api::{self, Api, ApiError};
use crate::secret::{OPAQUE, Plaintext, Values};
use crate::sync::{Live, OwnerRef, WrittenBy};

/// Reads the Secret `namespace/name`; `None` if there is none.
pub(super) async fn secret(api: &Api, namespace: &str, name: &str) -> Result<Option<Live>, ApiError> {
    let request = api::at::<Secret>(namespace).get(name, &GetParams::default())?;
    let body = match api.send(api::with_body(request)).await {
        Ok(body) => body,
        Err(ApiError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let live = live(&body).ok_or(ApiError::Unreadable);
    api::wipe(body);
    live.map(Some)
}

/// A Secret in JSON, borrowed from the answer: base64 has no escapes, so no value is copied before it is decoded.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    immutable: Option<bool>,
    #[serde(borrow, default)]
    data: Option<BTreeMap<String, Cow<'a, str>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    finalizers: Option<Vec<String>>,
    #[serde(default)]
    owner_references: Vec<Reference>,
    #[serde(borrow, default)]
    managed_fields: Vec<Managed<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    #[serde(default)]
    controller: bool,
    #[serde(default)]
    block_owner_deletion: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Managed<'a> {
    #[serde(borrow, default)]
    manager: Cow<'a, str>,
    #[serde(default, rename = "fieldsV1")]
    fields: Fields,
}

#[derive(Default, Deserialize)]
struct Fields {
    #[serde(default, rename = "f:data")]
    data: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(default, rename = "f:metadata")]
    metadata: MetadataFields,
}

#[derive(Default, Deserialize)]
struct MetadataFields {
    #[serde(default, rename = "f:labels")]
    labels: BTreeMap<String, IgnoredAny>,
    #[serde(default, rename = "f:annotations")]
    annotations: BTreeMap<String, IgnoredAny>,
}

fn live(body: &[u8]) -> Option<Live> {
    let wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    let mut data = Values::new();
    for (key, value) in wire.data.unwrap_or_default() {
        data.insert(key, Plaintext::new(STANDARD.decode(value.as_bytes()).ok()?));
    }
    let metadata = wire.metadata;
    Some(Live {
        resource_version: metadata.resource_version,
        uid: metadata.uid,
        kind: wire.kind.unwrap_or_else(|| OPAQUE.to_owned()),
        immutable: wire.immutable.unwrap_or_default(),
        terminating: metadata.deletion_timestamp.is_some(),
        labels: metadata.labels.unwrap_or_default(),
        annotations: metadata.annotations.unwrap_or_default(),
        finalizers: metadata.finalizers.unwrap_or_default(),
        owners: metadata.owner_references.into_iter().map(OwnerRef::from).collect(),
        written_by: metadata.managed_fields.into_iter().map(WrittenBy::from).collect(),
        data,
    })
}

impl From<Reference> for OwnerRef {
    fn from(reference: Reference) -> Self {
        Self {
            api_version: reference.api_version,
            kind: reference.kind,
            name: reference.name,
            uid: reference.uid,
            controller: reference.controller,
            block_owner_deletion: reference.block_owner_deletion,
        }
    }
}

impl From<Managed<'_>> for WrittenBy {
    fn from(managed: Managed<'_>) -> Self {
        let names = |fields: BTreeMap<String, IgnoredAny>| {
            // `f:<name>` is a field; `.` is the map itself.
            fields.into_keys().filter_map(|field| field.strip_prefix("f:").map(str::to_owned)).collect()
        };
        Self {
            manager: managed.manager.into_owned(),
            data: managed.fields.data.is_some(),
            keys: names(managed.fields.data.unwrap_or_default()),
            labels: names(managed.fields.metadata.labels),
            annotations: names(managed.fields.metadata.annotations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_with_who_wrote_what() {
        let live = live(
            br#"{"kind":"Secret","metadata":{"name":"n","uid":"u","resourceVersion":"5","labels":{"a":"1"},
            "ownerReferences":[{"apiVersion":"bitnami.com/v1alpha1","kind":"SealedSecret","name":"n","uid":"o","controller":true}],
            "managedFields":[{"manager":"bulla","operation":"Update","fieldsV1":{"f:data":{".":{},"f:k":{}},
            "f:metadata":{"f:labels":{".":{},"f:a":{}}}}}]},"data":{"k":"djE="},"type":"Opaque"}"#,
        )
        .unwrap();
        assert_eq!((live.resource_version.as_str(), live.kind.as_str()), ("5", "Opaque"));
        assert!(live.data["k"].same_as(b"v1"));
        assert!(live.controller().is_some());
        assert_eq!(live.written_by.len(), 1);
        assert!(live.written_by[0].data && live.written_by[0].labels.contains("a"));
    }

    #[test]
    fn a_secret_without_data_is_read_too() {
        let live = live(br#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}"#).unwrap();
        assert!(live.data.is_empty() && live.terminating);
    }
}
