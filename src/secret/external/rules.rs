//! What a template must not ask for, and what no API server would accept as metadata.
//!
//! The checks of metadata are here and not left to the API server, because its answer quotes the value, and a value
//! that was rendered may be a secret in the wrong place.

use super::{Field, Source, Template};
use crate::secret::{Shape, TargetError};

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
        if !is_qualified_name(key) {
            refuse("label", key, "the name is not valid");
        } else if !is_label_value(value) {
            refuse("label", key, "the value is not valid (letters, digits, '-', '_' and '.', at most 63)");
        }
    }
    for key in shape.annotations.keys() {
        // Kubernetes ignores case here.
        if !is_qualified_name(&key.to_ascii_lowercase()) {
            refuse("annotation", key, "the name is not valid");
        }
    }
    let bytes: usize = shape.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_ANNOTATIONS {
        refuse("annotation", "*", "all annotations together are more than 256 KiB");
    }
}

/// `[prefix/]name` with a DNS name as the prefix.
fn is_qualified_name(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_dns_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let prefix_is_valid = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_dns_label));
    prefix_is_valid && !name.is_empty() && is_label_value(name)
}

fn is_label_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    value.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && ends.into_iter().flatten().all(u8::is_ascii_alphanumeric)
}

/// Names a source without its text.
pub(super) fn name(index: usize, source: &Source) -> String {
    match source {
        Source::Literal { .. } => format!("templateFrom[{index}] (literal)"),
        Source::Object { object, .. } => format!("templateFrom[{index}] ({object})"),
    }
}
