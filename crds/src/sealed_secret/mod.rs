//! `bitnami.com/v1alpha1` SealedSecret.
//!
//! Deserialization never fails on JSON that has the outline of an object: a field of a wrong type is left out and
//! noted in [`SealedSecretSpec::oddities`], so that one odd object cannot end a list or a watch of all of them.
//! Serialization emits only what is set: no nulls, no empty maps but `encryptedData`, which the schema requires.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::condition::Condition;
use crate::lenient::{Oddity, Reader, condition_from, metadata_from};
use crate::names;

/// The API group.
pub const GROUP: &str = "bitnami.com";
/// The API version within [`GROUP`].
pub const VERSION: &str = "v1alpha1";
/// `group/version`, as manifests have it.
pub const API_VERSION: &str = "bitnami.com/v1alpha1";
/// The kind.
pub const KIND: &str = "SealedSecret";
/// The plural, as URLs and RBAC rules have it.
pub const PLURAL: &str = "sealedsecrets";

/// A Secret that is safe to commit: its values are sealed, and only the controller's key opens them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SealedSecret {
    /// Name, namespace and the rest.
    pub metadata: ObjectMeta,
    /// What is sealed, and the Secret to make of it.
    pub spec: SealedSecretSpec,
    /// What came of it, written by the controller.
    pub status: Option<SealedSecretStatus>,
}

/// What is sealed, and the Secret to make of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretSpec {
    /// Sealed values in base64 by data key.
    pub encrypted_data: BTreeMap<String, String>,
    /// Deprecated: a whole Secret sealed at once, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The shape of the Secret to make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<SecretTemplate>,
    /// What was of a wrong type and left out; noted on reading, never written.
    #[serde(skip)]
    pub oddities: Vec<Oddity>,
}

/// The shape of the Secret to make.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SecretTemplate {
    /// Labels, annotations and finalizers for the Secret.
    #[serde(skip_serializing_if = "TemplateMetadata::is_empty")]
    pub metadata: TemplateMetadata,
    /// The Secret's type; absent means `Opaque`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Whether the Secret may not change once it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Go templates by data key, rendered over the opened values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
}

/// The part of the Secret's metadata that a template may set. Name and namespace are always the SealedSecret's.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TemplateMetadata {
    /// Written by kubeseal; has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Written by kubeseal; has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels for the Secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for the Secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Finalizers for the Secret.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
}

/// What came of a SealedSecret.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretStatus {
    /// The generation that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Synced` first, then `Ready`, `Reconciling` and `Stalled` as they apply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What the values are bound to: `strict`, `namespace-wide` or `cluster-wide`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Ids of the sealing keys that opened the values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_ids: Vec<String>,
    /// How many of the values each of those keys opened, by key id. Empty in a status that an earlier version wrote:
    /// there is then at least one value for each of [`Self::key_ids`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub key_values: BTreeMap<String, i64>,
    /// The Secret as it was last written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<WrittenSecret>,
    /// The last value of the annotation `reconcile.fluxcd.io/requestedAt` that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// The Secret as it was last written: enough to know that nothing has to be done, not enough to guess a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenSecret {
    /// The Secret's resourceVersion after our write.
    pub resource_version: String,
    /// A keyed digest of what we wrote. Of a Secret that holds more than ours there is none: it is empty where the Secret is
    /// ours all the same, and `merged` where it is somebody else's.
    pub digest: String,
}

impl SealedSecret {
    /// A SealedSecret of that name without values.
    pub fn new(name: &str, spec: SealedSecretSpec) -> Self {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        Self { metadata, spec, status: None }
    }

    /// Is one of upstream's annotations on? Only the exact value `true` counts.
    pub fn is_annotated(&self, annotation: &str) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(annotation)).is_some_and(|value| value == names::TRUE)
    }
}

impl TemplateMetadata {
    /// Is nothing set?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl kube::Resource for SealedSecret {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn api_version(_: &()) -> Cow<'_, str> {
        API_VERSION.into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Serialize for SealedSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Object<'a> {
            api_version: &'a str,
            kind: &'a str,
            metadata: &'a ObjectMeta,
            spec: &'a SealedSecretSpec,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: &'a Option<SealedSecretStatus>,
        }
        let Self { metadata, spec, status } = self;
        Object { api_version: API_VERSION, kind: KIND, metadata, spec, status }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SealedSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Map::<String, Value>::deserialize(deserializer)?;
        let mut reader = Reader::default();
        let metadata = metadata_from(&mut reader, object.remove("metadata"));
        let mut spec = SealedSecretSpec::read(&mut reader, object.remove("spec"));
        spec.oddities = std::mem::take(&mut reader.oddities);
        let status = SealedSecretStatus::read(&mut reader, object.remove("status"));
        Ok(Self { metadata, spec, status })
    }
}

impl<'de> Deserialize<'de> for SealedSecretSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut reader = Reader::default();
        let mut spec = Self::read(&mut reader, Some(Value::deserialize(deserializer)?));
        spec.oddities = reader.oddities;
        Ok(spec)
    }
}

impl<'de> Deserialize<'de> for SealedSecretStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self::read(&mut Reader::default(), Some(value)).unwrap_or_default())
    }
}

impl SealedSecretSpec {
    fn read(reader: &mut Reader, value: Option<Value>) -> Self {
        let mut spec = reader.object("spec", value).unwrap_or_default();
        Self {
            encrypted_data: reader.strings_by_key("spec.encryptedData", spec.remove("encryptedData")),
            data: reader.string("spec.data", spec.remove("data")),
            template: reader.object("spec.template", spec.remove("template")).map(|t| SecretTemplate::read(reader, t)),
            oddities: Vec::new(),
        }
    }
}

impl SecretTemplate {
    fn read(reader: &mut Reader, mut template: Map<String, Value>) -> Self {
        let metadata = reader.object("spec.template.metadata", template.remove("metadata"));
        Self {
            metadata: metadata.map(|metadata| TemplateMetadata::read(reader, metadata)).unwrap_or_default(),
            r#type: reader.string("spec.template.type", template.remove("type")),
            immutable: reader.boolean("spec.template.immutable", template.remove("immutable")),
            data: reader.strings_by_key("spec.template.data", template.remove("data")),
        }
    }
}

impl TemplateMetadata {
    fn read(reader: &mut Reader, mut metadata: Map<String, Value>) -> Self {
        let mut take = |field: &str| metadata.remove(field);
        Self {
            name: reader.string("spec.template.metadata.name", take("name")),
            namespace: reader.string("spec.template.metadata.namespace", take("namespace")),
            labels: reader.strings_by_key("spec.template.metadata.labels", take("labels")),
            annotations: reader.strings_by_key("spec.template.metadata.annotations", take("annotations")),
            finalizers: reader.strings("spec.template.metadata.finalizers", take("finalizers")),
        }
    }
}

impl SealedSecretStatus {
    fn read(reader: &mut Reader, value: Option<Value>) -> Option<Self> {
        let mut status = reader.object("status", value)?;
        let conditions = reader.list("status.conditions", status.remove("conditions"));
        Some(Self {
            observed_generation: reader.integer("status.observedGeneration", status.remove("observedGeneration")),
            conditions: conditions.into_iter().filter_map(|value| condition_from(reader, value)).collect(),
            scope: reader.string("status.scope", status.remove("scope")),
            key_ids: reader.strings("status.keyIds", status.remove("keyIds")),
            key_values: reader.integers_by_key("status.keyValues", status.remove("keyValues")),
            secret: reader.object("status.secret", status.remove("secret")).map(|mut secret| {
                let mut text = |path, field| reader.string(path, secret.remove(field)).unwrap_or_default();
                WrittenSecret {
                    resource_version: text("status.secret.resourceVersion", "resourceVersion"),
                    digest: text("status.secret.digest", "digest"),
                }
            }),
            last_handled_reconcile_at: reader
                .string("status.lastHandledReconcileAt", status.remove("lastHandledReconcileAt")),
        })
    }
}

#[cfg(test)]
mod tests;
