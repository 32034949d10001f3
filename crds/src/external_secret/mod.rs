//! `external-secrets.io` ExternalSecret: a Secret whose values live in a remote store.
//!
//! The types read what both served versions, `v1` and `v1beta1`, hold. An object whose spec cannot be read is still an
//! object, see [`crate::object`].

mod spec;
mod status;
mod target;
mod validate;

pub use self::spec::{
    ConversionStrategy, DataFrom, DataItem, DecodingStrategy, ExternalSecretSpec, Find, FindName, GeneratorRef,
    MergeConflictPolicy, MergePriorityPolicy, MergeStrategy, MetadataPolicy, NullBytePolicy, RefreshPolicy, RemoteRef,
    Rewrite, RewriteMerge, RewriteRegexp, RewriteTransform, SourceRef, StoreKind, StoreRef, SyncWindow, SyncWindowKind,
    SyncWindows,
};
pub use self::status::{Binding, ExternalSecretStatus};
pub use self::target::{
    CreationPolicy, DeletionPolicy, EngineVersion, Manifest, MergePolicy, Target, Template, TemplateAs, TemplateFrom,
    TemplateItem, TemplateMetadata, TemplateSource,
};
pub use self::validate::validate;
pub use crate::sealed_secret::WrittenSecret;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;

use crate::object::{Unreadable, external_secrets_object};

/// The kind.
pub const KIND: &str = "ExternalSecret";
/// The plural, as URLs and RBAC rules have it.
pub const PLURAL: &str = "externalsecrets";

/// A Secret whose values live in a remote store.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalSecret {
    /// Name, namespace and the rest.
    pub metadata: ObjectMeta,
    /// What to fetch and what to make of it, or why it cannot be read.
    pub spec: Result<ExternalSecretSpec, Unreadable>,
    /// What came of it, written by the controller.
    pub status: Option<ExternalSecretStatus>,
}

external_secrets_object!(
    ExternalSecret,
    ExternalSecretSpec,
    ExternalSecretStatus,
    NamespaceResourceScope,
    KIND,
    PLURAL
);

#[cfg(test)]
mod tests;
