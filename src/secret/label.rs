//! Labels as Kubernetes judges them.

/// Whether this is a label's or annotation's name: `[prefix/]name` with a DNS name as the prefix.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let (prefix, name) = name.split_once('/').map_or((None, name), |(prefix, name)| (Some(prefix), name));
    let is_dns_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let prefix_is_valid = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_dns_label));
    prefix_is_valid && !name.is_empty() && is_value(name)
}

/// Whether this is a label's value; nothing is one too.
#[must_use]
pub fn is_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    value.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && ends.into_iter().flatten().all(u8::is_ascii_alphanumeric)
}

/// Whether the label means something to a controller, so that nobody may have it put on Secrets in general.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.starts_with("bulla.dev/") || name.starts_with("sealedsecrets.bitnami.com/") || super::is_tracking(name)
}
