//! What a template must not ask for, and what no API server would accept as metadata.
//!
//! The checks of metadata are here and not left to the API server, because its answer quotes the value, and a value
//! that was rendered may be a secret in the wrong place.

use super::{Field, Source, Template};
use crate::secret::{Shape, TargetError, label};

/// A Secret of this type lets its holder join nodes to the cluster.
const BOOTSTRAP_TOKEN: &str = "bootstrap.kubernetes.io/token";
/// For a Secret of this type the cluster itself makes a token of the account that an annotation names.
const ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

/// Most bytes of all annotations together that Kubernetes takes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Types by which a template would get rights that were not given to its author.
pub(super) fn privileges(template: &Template, errors: &mut Vec<TargetError>) {
    let kind = template.kind.as_deref().unwrap_or_default();
    let mut refuse = |rule: String| errors.push(TargetError::Forbidden { rule });
    if kind == BOOTSTRAP_TOKEN {
        refuse(format!("template.type={kind:?} is not allowed"));
    }
    if kind != ACCOUNT_TOKEN {
        return;
    }
    if template.annotations.contains_key(ACCOUNT_NAME) {
        refuse(format!("template.type={kind:?} with annotation {ACCOUNT_NAME:?} is not allowed"));
    }
    if template.template_from.iter().any(|from| Field::of(&from.target) == Some(Field::Annotations)) {
        refuse(format!("template.type={kind:?} with templateFrom target=\"Annotations\" is not allowed"));
    }
}

/// A template must not write the type, the owners or anything else of a Secret.
pub(super) fn other_field(target: &str) -> TargetError {
    let target = super::shorten(target);
    let rule = format!(
        "templateFrom target={target:?} is not allowed when targeting a Secret, must be one of \"Data\", \"Annotations\" or \"Labels\""
    );
    TargetError::Forbidden { rule }
}

/// Labels and annotations as Kubernetes judges them; the errors name the key and never the value.
pub(super) fn metadata(shape: &Shape, errors: &mut Vec<TargetError>) {
    let mut refuse = |field, key: &str, problem| {
        errors.push(TargetError::Metadata { field, key: super::shorten(key), problem });
    };
    for (key, value) in &shape.labels {
        if !label::is_name(key) {
            refuse("label", key, "the name is not valid");
        } else if !label::is_value(value) {
            refuse("label", key, "the value is not valid (letters, digits, '-', '_' and '.', at most 63)");
        }
    }
    for key in shape.annotations.keys() {
        // Kubernetes ignores case here.
        if !label::is_name(&key.to_ascii_lowercase()) {
            refuse("annotation", key, "the name is not valid");
        }
    }
    let bytes: usize = shape.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_ANNOTATIONS {
        refuse("annotation", "*", "all annotations together are more than 256 KiB");
    }
}

/// Names a source without its text.
pub(super) fn name(index: usize, source: &Source) -> String {
    match source {
        Source::Literal { .. } => format!("templateFrom[{index}] (literal)"),
        Source::Object { object, .. } => format!("templateFrom[{index}] ({object})"),
    }
}
