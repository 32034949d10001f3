//! The Kubernetes API types that Bulla serves.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`sealed_secret`] | `bitnami.com/v1alpha1` SealedSecret, as lenient as a watch must be |
//! | [`external_secret`] | `external-secrets.io` ExternalSecret, of both served versions |
//! | [`secret_store`] | `external-secrets.io` SecretStore and ClusterSecretStore |
//! | [`cluster_external_secret`] | `external-secrets.io` ClusterExternalSecret |
//! | [`host`] | `bulla.dev/v1alpha1` Host, what a machine without Kubernetes is to have |
//! | [`object`] | what the objects of `external-secrets.io` have in common |
//! | [`validation`] | rules that an object may break although its schema admits it |
//! | [`condition`] | status conditions: their types, and how to set one |
//! | [`lenient`] | reading untyped JSON without failing, and noting what was odd |
//! | [`names`] | labels and annotations, ours and those of others that we honour |
//! | [`schema`] | the CustomResourceDefinitions; `crds/yaml` is generated from them |
//!
//! The schema is written down rather than derived from the Rust types: it is a contract with objects and tools that
//! exist already, and the types must read more than the schema admits (see [`sealed_secret`]).

pub mod cluster_external_secret;
pub mod condition;
pub mod external_secret;
pub mod host;
pub mod lenient;
pub mod names;
pub mod object;
pub mod schema;
pub mod sealed_secret;
pub mod secret_store;
pub mod validation;

pub use cluster_external_secret::{ClusterExternalSecret, ClusterExternalSecretSpec, ClusterExternalSecretStatus};
pub use condition::{Condition, ConditionStatus, ConditionType, set_condition};
pub use external_secret::{ExternalSecret, ExternalSecretSpec, ExternalSecretStatus};
pub use host::Host;
pub use lenient::Oddity;
pub use object::Unreadable;
pub use schema::{
    all, cluster_external_secret_crd, cluster_secret_store_crd, external_secret_crd, sealed_secret_crd,
    secret_store_crd,
};
pub use sealed_secret::{
    SealedSecret, SealedSecretSpec, SealedSecretStatus, SecretTemplate, TemplateMetadata, WrittenSecret,
};
pub use secret_store::{ClusterSecretStore, SecretStore, SecretStoreSpec, SecretStoreStatus};
pub use validation::Violation;
