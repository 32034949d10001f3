//! The Secret that an ExternalSecret makes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::DecodingStrategy;

/// The Secret to make, or another object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its name; absent means the ExternalSecret's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who makes it and who owns it; absent means `Owner`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_policy: Option<CreationPolicy>,
    /// What becomes of it when the remote secrets are gone; absent means `Retain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether it may not change once it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Another kind of object than a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// Its shape; absent means the fetched keys as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// Who makes the Secret and who owns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CreationPolicy {
    /// We make it, or adopt it, and own it.
    #[default]
    Owner,
    /// We make it and nobody owns it.
    Orphan,
    /// Somebody else makes it; we put our keys into it.
    Merge,
    /// Nothing is written.
    None,
    /// We make it if there is none, else we put our keys into it; nobody owns it.
    CreateOrMerge,
}

/// What becomes of the Secret when the remote secrets are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// It is deleted.
    Delete,
    /// Our keys are taken out of it.
    Merge,
    /// It stays as it is.
    #[default]
    Retain,
}

/// A kind of object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// `group/version`, or only the version.
    pub api_version: String,
    /// The kind.
    pub kind: String,
}

/// The shape of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// The Secret's type; absent means `Opaque`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The template language; absent means `v2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<EngineVersion>,
    /// Labels, annotations and finalizers; the labels' and annotations' values are templates too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// Whether fetched keys that no template makes are kept; absent means they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_policy: Option<MergePolicy>,
    /// Go templates by data key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// Templates that live elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub template_from: Vec<TemplateFrom>,
}

/// The template language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EngineVersion {
    /// Only `v1beta1` objects have it; nobody implements it any more.
    V1,
    /// Go templates with Sprig and the functions of External Secrets.
    #[default]
    V2,
}

/// Whether fetched keys that no template makes are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MergePolicy {
    /// They are not.
    #[default]
    Replace,
    /// They are.
    Merge,
}

/// The part of the Secret's metadata that a template may set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Annotations; the values are templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels; the values are templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Finalizers, added to those that are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
}

/// Templates that live elsewhere, or a literal one. More than one source may be set; then each is rendered, in the
/// order ConfigMap, Secret, literal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateFrom {
    /// Keys of a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<TemplateSource>,
    /// Keys of a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<TemplateSource>,
    /// A template for keys and values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<String>,
    /// What the result goes into: `Data`, `Annotations`, `Labels`, or a path in a manifest; absent means `Data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How the rendered values are encoded; absent means they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_decoding_strategy: Option<DecodingStrategy>,
}

/// Keys of a ConfigMap or a Secret that hold templates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSource {
    /// The object's name, in the namespace of the ExternalSecret.
    pub name: String,
    /// Which keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<TemplateItem>,
}

/// One key that holds a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateItem {
    /// The key.
    pub key: String,
    /// What it is a template of; absent means `Values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_as: Option<TemplateAs>,
}

/// What a template makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TemplateAs {
    /// The value of one key.
    #[default]
    Values,
    /// A YAML map of keys and values.
    KeysAndValues,
}
