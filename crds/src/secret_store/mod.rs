//! `external-secrets.io` SecretStore and ClusterSecretStore: where remote secrets live and how to get at them.
//!
//! Both kinds have the same spec and the same status.

mod aws;
mod fake;
mod file;
mod kubernetes;
mod provider;
mod selector;
mod spec;
mod validate;
mod vault;

pub use self::aws::{AwsAuth, AwsJwt, AwsProvider, AwsSecretRef, AwsService, SecretsManager, SessionTagsPolicy, Tag};
pub use self::fake::{FakeData, FakeProvider, FakeValue};
pub use self::file::{FileProvider, FileRef};
pub use self::kubernetes::{KubernetesAuth, KubernetesCert, KubernetesProvider, KubernetesServer, KubernetesToken};
pub use self::provider::StoreProvider;
pub use self::selector::{CaProvider, CaProviderKind, SecretKeySelector, ServiceAccountSelector};
pub use self::spec::{
    Capabilities, RateLimit, RefreshInterval, RetrySettings, SecretStoreSpec, SecretStoreStatus, StoreCondition,
};
pub use self::validate::validate;
pub use self::vault::{
    CheckAndSet, ClientTls, KvVersion, Unsupported, VaultAppRole, VaultAuth, VaultCert, VaultJwt, VaultKubernetes,
    VaultLdap, VaultProvider, VaultServiceAccountToken, VaultUserPass,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};

use crate::object::{Unreadable, external_secrets_object};

/// The kind of a store of one namespace.
pub const KIND: &str = "SecretStore";
/// Its plural, as URLs and RBAC rules have it.
pub const PLURAL: &str = "secretstores";
/// The kind of a store of the whole cluster.
pub const CLUSTER_KIND: &str = "ClusterSecretStore";
/// Its plural, as URLs and RBAC rules have it.
pub const CLUSTER_PLURAL: &str = "clustersecretstores";

/// A store that ExternalSecrets of its namespace may use.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretStore {
    /// Name, namespace and the rest.
    pub metadata: ObjectMeta,
    /// Which store and how to get at it, or why it cannot be read.
    pub spec: Result<SecretStoreSpec, Unreadable>,
    /// What came of it, written by the controller.
    pub status: Option<SecretStoreStatus>,
}

external_secrets_object!(SecretStore, SecretStoreSpec, SecretStoreStatus, NamespaceResourceScope, KIND, PLURAL);

/// A store that ExternalSecrets of every namespace may use, unless its conditions say otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSecretStore {
    /// Name and the rest; there is no namespace.
    pub metadata: ObjectMeta,
    /// Which store and how to get at it, or why it cannot be read.
    pub spec: Result<SecretStoreSpec, Unreadable>,
    /// What came of it, written by the controller.
    pub status: Option<SecretStoreStatus>,
}

external_secrets_object!(
    ClusterSecretStore,
    SecretStoreSpec,
    SecretStoreStatus,
    ClusterResourceScope,
    CLUSTER_KIND,
    CLUSTER_PLURAL
);

#[cfg(test)]
mod tests;
