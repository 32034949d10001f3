//! The rules that an ExternalSecret must keep beyond its schema.

use super::ExternalSecretSpec;
use crate::validation::Violation;

/// Every rule that the spec breaks.
pub fn validate(spec: &ExternalSecretSpec) -> Vec<Violation> {
    let mut violations = Vec::new();
    if spec.data.is_empty() && spec.data_from.is_empty() {
        violations.push(Violation::new("spec", "either data or dataFrom should be specified"));
    }
    violations
}
