//! The rules that a store must keep beyond its schema.

use super::{SecretStoreSpec, StoreProvider};
use crate::validation::Violation;

/// Every rule that the spec breaks. `namespace` is the store's own, for one that is not cluster-scoped.
pub fn validate(spec: &SecretStoreSpec, _cluster_scoped: bool, _namespace: Option<&str>) -> Vec<Violation> {
    let mut violations = Vec::new();
    if spec.provider == StoreProvider::Missing {
        violations.push(Violation::new("spec.provider", "a provider must be specified"));
    }
    violations
}
