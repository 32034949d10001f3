//! What an ExternalSecret asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CreationPolicy, DeletionPolicy, Target};

/// What to fetch, how often, and the Secret to make of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalSecretSpec {
    /// The store of every item that names none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_store_ref: Option<StoreRef>,
    /// The Secret to make; absent means one of the same name, owned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// When to fetch again; absent means [`RefreshPolicy::Periodic`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_policy: Option<RefreshPolicy>,
    /// How often to fetch, as a Go duration; absent means one hour, zero means once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<String>,
    /// When a periodic refresh may happen, or may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_windows: Option<SyncWindows>,
    /// Data keys, one by one; they win over `data_from`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataItem>,
    /// Many data keys at once; later items win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_from: Vec<DataFrom>,
}

impl ExternalSecretSpec {
    /// The creation policy that applies: `Owner` unless another is set.
    pub fn creation_policy(&self) -> CreationPolicy {
        self.target.as_ref().and_then(|target| target.creation_policy).unwrap_or_default()
    }

    /// The deletion policy that applies: `Retain` unless another is set.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.target.as_ref().and_then(|target| target.deletion_policy).unwrap_or_default()
    }

    /// The refresh policy that applies: `Periodic` unless another is set.
    pub fn refresh_policy(&self) -> RefreshPolicy {
        self.refresh_policy.unwrap_or_default()
    }
}

/// Names a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreRef {
    /// The store's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Which kind of store; absent means a SecretStore in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<StoreKind>,
}

impl StoreRef {
    /// The kind that applies: `SecretStore` unless another is set.
    pub fn kind(&self) -> StoreKind {
        self.kind.unwrap_or_default()
    }
}

/// The two kinds of stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StoreKind {
    /// A store of one namespace.
    #[default]
    SecretStore,
    /// A store of the whole cluster.
    ClusterSecretStore,
}

impl StoreKind {
    /// The kind as manifests have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretStore => "SecretStore",
            Self::ClusterSecretStore => "ClusterSecretStore",
        }
    }
}

/// When values are fetched again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RefreshPolicy {
    /// Once; never again.
    CreatedOnce,
    /// Every `refreshInterval`, and when the object changes.
    #[default]
    Periodic,
    /// Only when the object's spec, labels or annotations change.
    OnChange,
}

/// When a periodic refresh may happen, or may not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncWindows {
    /// Whether the windows allow or deny.
    pub kind: SyncWindowKind,
    /// The windows, in UTC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<SyncWindow>,
}

/// What a window means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncWindowKind {
    /// Refresh inside the windows only.
    #[default]
    Allow,
    /// Refresh outside the windows only.
    Deny,
}

/// A span of time that comes again and again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncWindow {
    /// When it begins: five cron fields, `@daily` and the like, or `@every 1h`; in UTC.
    pub schedule: String,
    /// How long it lasts, as a Go duration.
    pub duration: String,
}

/// One data key of the Secret and where its value comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataItem {
    /// The data key in the Secret.
    pub secret_key: String,
    /// What to fetch.
    pub remote_ref: RemoteRef,
    /// Where to fetch it, if not from the spec's store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<SourceRef>,
}

/// One remote secret, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteRef {
    /// The remote secret's name, path or id.
    pub key: String,
    /// Which part of the value, as a gjson path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// Which version; absent means the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the metadata is meant instead of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_policy: Option<MetadataPolicy>,
    /// What becomes of characters that a data key may not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion_strategy: Option<ConversionStrategy>,
    /// How the remote value is encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding_strategy: Option<DecodingStrategy>,
    /// Whether a value with a zero byte is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_byte_policy: Option<NullBytePolicy>,
}

/// Value or metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MetadataPolicy {
    /// The value.
    #[default]
    None,
    /// The metadata, such as tags, as a JSON object.
    Fetch,
}

/// What becomes of characters that a data key may not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConversionStrategy {
    /// Each becomes `_`.
    #[default]
    Default,
    /// Each becomes `_U` and its code point in hex and `_`.
    Unicode,
}

/// How a remote value is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DecodingStrategy {
    /// In base64 or its URL form if it can be read so, else as it is.
    Auto,
    /// In padded standard base64.
    Base64,
    /// In padded base64 of the URL alphabet.
    #[serde(rename = "Base64URL")]
    Base64Url,
    /// As it is.
    #[default]
    None,
}

/// What to do about zero bytes in a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NullBytePolicy {
    /// Nothing.
    #[default]
    Ignore,
    /// Fail.
    Fail,
}

/// Many data keys at once: of one remote secret, of all that match, or of a generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFrom {
    /// Every key of one remote secret that holds a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract: Option<RemoteRef>,
    /// Every remote secret that matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
    /// Where to fetch, if not from the spec's store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<SourceRef>,
    /// What to make of the keys, step by step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrite: Vec<Rewrite>,
}

/// Which remote secrets are meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Find {
    /// Where to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// By name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<FindName>,
    /// By tags, all of them; an empty map is not the same as none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// What becomes of characters that a data key may not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion_strategy: Option<ConversionStrategy>,
    /// How the remote values are encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding_strategy: Option<DecodingStrategy>,
    /// Whether a value with a zero byte is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_byte_policy: Option<NullBytePolicy>,
}

/// Names by pattern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindName {
    /// An unanchored regular expression in Go's syntax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regexp: Option<String>,
}

/// Where an item comes from, if not from the spec's store. At most one field is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceRef {
    /// Another store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_ref: Option<StoreRef>,
    /// A generator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_ref: Option<GeneratorRef>,
}

/// Names a generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GeneratorRef {
    /// Absent means `generators.external-secrets.io/v1alpha1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// The generator's kind.
    pub kind: String,
    /// The generator's name.
    pub name: String,
}

/// One step of rewriting keys. Exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rewrite {
    /// Replace what matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regexp: Option<RewriteRegexp>,
    /// Render a template for each key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<RewriteTransform>,
    /// Merge values that are JSON objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge: Option<RewriteMerge>,
}

/// Replaces what matches in each key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewriteRegexp {
    /// A regular expression in Go's syntax.
    pub source: String,
    /// The replacement, with `$1` for groups.
    pub target: String,
}

/// Renders a template for each key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewriteTransform {
    /// A Go template; `.value` is the key.
    pub template: String,
}

/// Merges values that are JSON objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewriteMerge {
    /// The key that gets the merged object; [`MergeStrategy::Json`] needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Keys that are merged last, in this order, and so win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priority: Vec<String>,
    /// Whether every key in `priority` must be there; absent means it must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_policy: Option<MergePriorityPolicy>,
    /// What to do about a property that two values have; absent means an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict_policy: Option<MergeConflictPolicy>,
    /// What the merged object becomes; absent means a key for each property.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<MergeStrategy>,
}

/// Whether keys named in `priority` must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MergePriorityPolicy {
    /// They must.
    #[default]
    Strict,
    /// Those that are not there are passed over.
    IgnoreNotFound,
}

/// What to do about a property that two values have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MergeConflictPolicy {
    /// Fail.
    #[default]
    Error,
    /// The later one wins.
    Ignore,
}

/// What the merged object becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MergeStrategy {
    /// A key for each property; the merged keys are dropped.
    #[default]
    Extract,
    /// One key that holds the object, beside the merged keys.
    #[serde(rename = "JSON")]
    Json,
}
