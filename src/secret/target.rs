//! The Secret that a sealed object asks for, before anybody compares it with what is there.
//!
//! [`assemble`] is the whole rule from opened values and a template to a [`Target`]; the controller, host mode and the
//! demo call the same one. It knows no API server: what it refuses is what no API server would accept, said before
//! anything is written and with every fault named at once.

use std::collections::BTreeMap;
use std::fmt;

use super::{Plaintext, Values};

/// Largest sum of value bytes that Kubernetes stores in one Secret: 1 MiB.
pub const MAX_TARGET_BYTES: usize = 1 << 20;

/// Type of a Secret where none is given; the API server fills in the same.
pub const OPAQUE: &str = "Opaque";

/// Everything about a target Secret except where it lives and its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// `type`, where one is asked for; `None` is the server's default, [`OPAQUE`].
    pub kind: Option<String>,
    /// `immutable`, where asked for.
    pub immutable: Option<bool>,
    /// Labels that the target must have.
    pub labels: BTreeMap<String, String>,
    /// Annotations that the target must have.
    pub annotations: BTreeMap<String, String>,
    /// Finalizers that the target must have.
    pub finalizers: Vec<String>,
}

impl Shape {
    /// The type with the server's default applied.
    #[must_use]
    pub fn effective_kind(&self) -> &str {
        match self.kind.as_deref() {
            None | Some("") => OPAQUE,
            Some(kind) => kind,
        }
    }
}

/// A Secret as it should be.
pub struct Target {
    /// Namespace, always that of the sealed object.
    pub namespace: String,
    /// Name, always that of the sealed object.
    pub name: String,
    /// Type, mutability and metadata.
    pub shape: Shape,
    /// Data by key.
    pub data: Values,
}

/// One reason why a target cannot be made. Names data keys, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Kubernetes refuses this data key.
    #[error("{key:?} is not a valid data key (letters, digits, '-', '_' and '.', at most 253)")]
    InvalidKey {
        /// The key, shortened.
        key: String,
    },
    /// A template did not parse or could not be rendered.
    #[error("template of {key:?}: {problem}")]
    Template {
        /// The data key that the template is for.
        key: String,
        /// What the template engine says, without values.
        problem: String,
    },
    /// A template of an external secret could not be rendered.
    #[error("unable to execute template at {place}: {problem}")]
    Render {
        /// Which template, in words.
        place: String,
        /// What the template engine says, without values.
        problem: String,
    },
    /// An object that holds templates has no such key.
    #[error("error in {object}: missing key {key}")]
    MissingItem {
        /// `configmap NAME` or `secret NAME`.
        object: String,
        /// The key that was asked for.
        key: String,
    },
    /// A template of keys and values rendered to something else.
    #[error("could not read what {place} renders to as a YAML mapping of texts (line {line})")]
    NotPairs {
        /// Which template, in words.
        place: String,
        /// Line of the rendered text, from 1; 0 if unknown.
        line: u64,
    },
    /// The template asks for what would give its author more rights.
    #[error("{rule}")]
    Forbidden {
        /// The rule that it breaks.
        rule: String,
    },
    /// Kubernetes refuses this label or annotation.
    #[error("{field} {key:?}: {problem}")]
    Metadata {
        /// `label` or `annotation`.
        field: &'static str,
        /// Its name, shortened.
        key: String,
        /// Why, without the value.
        problem: &'static str,
    },
    /// More bytes than a Secret can hold.
    #[error("the values are {bytes} bytes together, a Secret holds {MAX_TARGET_BYTES}")]
    TooLarge {
        /// Sum of the value lengths.
        bytes: usize,
    },
}

impl TargetError {
    /// The reason in `CamelCase`, for conditions and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidKey { .. } => "InvalidKeyName",
            Self::Template { .. } | Self::Render { .. } | Self::MissingItem { .. } | Self::NotPairs { .. } => {
                "TemplateFailed"
            }
            Self::Forbidden { .. } => "TemplateForbidden",
            Self::Metadata { .. } => "InvalidMetadata",
            Self::TooLarge { .. } => "TooLarge",
        }
    }
}

/// All reasons together; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetErrors(Vec<TargetError>);

impl TargetErrors {
    /// Takes errors, of which there is at least one.
    pub(super) const fn of(errors: Vec<TargetError>) -> Self {
        Self(errors)
    }

    /// The first error's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.first().map_or("TemplateFailed", TargetError::reason)
    }

    /// Every error.
    pub fn iter(&self) -> impl Iterator<Item = &TargetError> {
        self.0.iter()
    }
}

impl fmt::Display for TargetErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for TargetErrors {}

/// Makes the target: opened values, overlaid by what the templates render to, checked against Kubernetes' own limits.
///
/// `render` turns one template and the opened values into bytes; a template sees the opened values only, never what
/// another template rendered. Metadata that would tell a GitOps tool that it owns the Secret is left out.
///
/// # Errors
/// Every invalid key, failed template and size fault.
pub fn assemble<E: fmt::Display>(
    namespace: &str,
    name: &str,
    mut shape: Shape,
    templates: &BTreeMap<String, String>,
    opened: Values,
    mut render: impl FnMut(&str, &Values) -> Result<Plaintext, E>,
) -> Result<Target, TargetErrors> {
    let mut errors = Vec::new();
    let mut rendered = Values::new();
    for (key, template) in templates {
        match render(template, &opened) {
            Ok(value) => {
                rendered.insert(key.clone(), value);
            }
            Err(problem) => {
                let (key, problem) = (shorten(key), problem.to_string());
                errors.push(TargetError::Template { key, problem });
            }
        }
    }
    let mut data = opened;
    data.extend(rendered);
    check(&data, &mut errors);
    if !errors.is_empty() {
        return Err(TargetErrors(errors));
    }
    strip(&mut shape);
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    Ok(Target { namespace, name, shape, data })
}

/// Kubernetes' limits on data.
pub(super) fn check(data: &Values, errors: &mut Vec<TargetError>) {
    let invalid = data.keys().filter(|key| !is_valid_key(key));
    errors.extend(invalid.map(|key| TargetError::InvalidKey { key: shorten(key) }));
    let bytes = data.values().map(Plaintext::len).sum();
    if bytes > MAX_TARGET_BYTES {
        errors.push(TargetError::TooLarge { bytes });
    }
}

/// Whether Kubernetes takes `key` as a data key.
#[must_use]
pub fn is_valid_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 253
        && key != "."
        && !key.starts_with("..")
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Takes out of a shape what must not be written whoever asks: metadata of GitOps tools, and the labels that make a key.
pub fn strip(shape: &mut Shape) {
    let keep = |name: &str| !is_tracking(name) && !MAKES_A_KEY.contains(&name);
    shape.labels.retain(|name, _| keep(name));
    shape.annotations.retain(|name, _| keep(name));
}

/// Labels that would make the controller take a Secret for a sealing key: whoever may create SealedSecrets in its
/// namespace must not be able to hand it a key that way.
const MAKES_A_KEY: [&str; 2] = ["bulla.dev/sealing-key", "sealedsecrets.bitnami.com/sealed-secrets-key"];

/// Metadata by which GitOps tools recognise what *they* applied: on a Secret that they did not apply it makes them
/// prune it or report drift for ever, and `last-applied-configuration` may hold plaintext.
#[must_use]
pub fn is_tracking(name: &str) -> bool {
    const TRACKING: [&str; 5] = [
        "kubectl.kubernetes.io/last-applied-configuration",
        "argocd.argoproj.io/tracking-id",
        "argocd.argoproj.io/installation-id",
        "kustomize.toolkit.fluxcd.io/name",
        "kustomize.toolkit.fluxcd.io/namespace",
    ];
    TRACKING.contains(&name)
}

/// The beginning of a key, for messages.
pub(super) fn shorten(key: &str) -> String {
    match key.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), Plaintext::from((*v).to_owned()))).collect()
    }

    fn upper(template: &str, _: &Values) -> Result<Plaintext, String> {
        match template {
            "bad" => Err("unexpected end".to_owned()),
            other => Ok(Plaintext::from(other.to_uppercase())),
        }
    }

    #[test]
    fn rendered_values_overlay_opened_ones() {
        let templates = BTreeMap::from([("a".to_owned(), "x".to_owned())]);
        let opened = values(&[("a", "1"), ("b", "2")]);
        let target = assemble("ns", "n", Shape::default(), &templates, opened, upper).unwrap();
        assert!(target.data["a"].same_as(b"X"));
        assert!(target.data["b"].same_as(b"2"));
    }

    #[test]
    fn every_fault_is_named() {
        let templates = BTreeMap::from([("t".to_owned(), "bad".to_owned())]);
        let mut opened = values(&[("ok", "1"), ("not ok", "2"), ("..", "3")]);
        opened.insert("big".to_owned(), Plaintext::new(vec![0; MAX_TARGET_BYTES]));
        let Err(errors) = assemble("ns", "n", Shape::default(), &templates, opened, upper) else {
            panic!("accepted");
        };
        let text = errors.to_string();
        for part in ["template of \"t\"", "\"not ok\"", "\"..\"", "1048579 bytes"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(errors.reason(), "TemplateFailed");
    }

    #[test]
    fn tracking_metadata_stays_behind() {
        let mut shape = Shape::default();
        for name in ["argocd.argoproj.io/tracking-id", "team"] {
            shape.annotations.insert(name.to_owned(), "x".to_owned());
        }
        let target = assemble("ns", "n", shape, &BTreeMap::new(), Values::new(), upper).unwrap();
        assert_eq!(target.shape.annotations.keys().collect::<Vec<_>>(), ["team"]);
    }

    #[test]
    fn keys_are_judged_as_kubernetes_does() {
        for good in ["a", ".dockerconfigjson", "tls.crt", "A_b-9", &"k".repeat(253)] {
            assert!(is_valid_key(good), "{good}");
        }
        for bad in ["", ".", "..", "..a", "a b", "a/b", "é", &"k".repeat(254)] {
            assert!(!is_valid_key(bad), "{bad}");
        }
    }
}
