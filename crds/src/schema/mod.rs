//! The CustomResourceDefinitions, written down rather than derived.
//!
//! Rules for every schema here:
//! - what upstream's schema admits, ours admits: repositories and clusters are full of such objects;
//! - no defaults in `spec`: a default shows up as a difference in every GitOps tool;
//! - upstream's printer columns come first and in their order, ours follow with priority 1 (`kubectl get -o wide`).
//!
//! | module | what it is |
//! | --- | --- |
//! | `sealed_secret` | `bitnami.com` SealedSecret |
//! | `external_secret` | `external-secrets.io` ExternalSecret |
//! | `cluster_external_secret` | `external-secrets.io` ClusterExternalSecret |
//! | `secret_store` | `external-secrets.io` SecretStore and ClusterSecretStore |
//! | `provider` | the providers of a store |
//! | `group` | what the definitions of `external-secrets.io` have in common |
//! | `parts` | words that schemas are made of |

mod cluster_external_secret;
mod external_secret;
mod group;
mod parts;
mod provider;
mod sealed_secret;
mod secret_store;

pub use self::cluster_external_secret::cluster_external_secret_crd;
pub use self::external_secret::external_secret_crd;
pub use self::sealed_secret::sealed_secret_crd;
pub use self::secret_store::{cluster_secret_store_crd, secret_store_crd};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// Every CustomResourceDefinition that Bulla serves.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        sealed_secret_crd(),
        external_secret_crd(),
        cluster_external_secret_crd(),
        secret_store_crd(),
        cluster_secret_store_crd(),
    ]
}

#[cfg(test)]
mod tests;
