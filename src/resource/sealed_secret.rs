//! What a SealedSecret asks for.

use std::collections::BTreeMap;

use bulla_crds::{Oddity, SealedSecret};
use jiff::Timestamp;

use super::render;
use crate::seal::{self, KeyId, Keyring, OpenErrors, Scope};
use crate::secret::template::Delimiters;
use crate::secret::{self, Shape, Target, TargetErrors};

/// What an object asks for, opened and rendered.
pub struct Desired {
    /// The Secret.
    pub target: Target,
    /// The keys that opened its values, and how many each.
    pub key_values: BTreeMap<KeyId, usize>,
}

/// Why an object does not make a Secret. Short and free of values: it goes into a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// Fields of a wrong type.
    #[error("{}", oddities(.0))]
    Malformed(Vec<Oddity>),
    /// Values that do not open.
    #[error("{0}")]
    Open(OpenErrors),
    /// Values that do not make a Secret.
    #[error("{0}")]
    Target(TargetErrors),
}

impl ResourceError {
    /// A stable word for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "Malformed",
            Self::Open(errors) => errors.reason(),
            Self::Target(errors) => errors.reason(),
        }
    }

    /// Whether it only waits for keys that cannot be unwrapped at present.
    #[must_use]
    pub fn waits_for_unwrapping(&self) -> bool {
        match self {
            Self::Open(errors) => errors.waits_for_unwrapping(),
            Self::Malformed(_) | Self::Target(_) => false,
        }
    }

    /// Whether a key that arrives might mend it.
    #[must_use]
    pub fn wants_key(&self) -> bool {
        match self {
            Self::Open(errors) => errors.wants_key(),
            Self::Malformed(_) | Self::Target(_) => false,
        }
    }
}

/// The scope that an object declares by its annotations.
#[must_use]
pub fn declared_scope(object: &SealedSecret) -> Scope {
    let annotations = object.metadata.annotations.as_ref();
    Scope::from_annotations(|name| annotations?.get(name).map(String::as_str))
}

/// Opens every value, renders the templates and checks the result against Kubernetes' limits. `now` is what templates
/// see as the time.
///
/// # Errors
/// All faults of the first step that has any.
pub fn open(object: &SealedSecret, keyring: &Keyring, now: Timestamp) -> Result<Desired, ResourceError> {
    if !object.spec.oddities.is_empty() {
        return Err(ResourceError::Malformed(object.spec.oddities.clone()));
    }
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let sealed = object.spec.encrypted_data.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let legacy = object.spec.data.as_deref();
    let opened = seal::open_object(keyring, sealed, legacy, namespace, name, declared_scope(object))
        .map_err(ResourceError::Open)?;
    let mut shape = shape(object);
    if let Some(legacy) = opened.legacy {
        // What the template says wins over what was sealed with the whole Secret.
        let mut labels = legacy.labels;
        labels.append(&mut shape.labels);
        let mut annotations = legacy.annotations;
        annotations.append(&mut shape.annotations);
        shape = Shape { labels, annotations, kind: shape.kind.or(legacy.type_), ..shape };
    }
    let none = BTreeMap::new();
    let templates = object.spec.template.as_ref().map_or(&none, |template| &template.data);
    let target = secret::assemble(namespace, name, shape, templates, opened.values, |template, values| {
        render(template, values, now, Delimiters::default())
    })
    .map_err(ResourceError::Target)?;
    Ok(Desired { target, key_values: opened.key_values })
}

/// Type, mutability and metadata of the target, as far as the template says.
#[must_use]
pub fn shape(object: &SealedSecret) -> Shape {
    let Some(template) = &object.spec.template else { return Shape::default() };
    let mut shape = Shape {
        kind: template.r#type.clone().filter(|kind| !kind.is_empty()),
        immutable: template.immutable,
        labels: template.metadata.labels.clone(),
        annotations: template.metadata.annotations.clone(),
        finalizers: template.metadata.finalizers.clone(),
    };
    secret::strip(&mut shape);
    shape
}

/// How many oddities a message spells out.
const SPELLED_OUT: usize = 8;

fn oddities(oddities: &[Oddity]) -> String {
    let mut words: Vec<_> = oddities.iter().take(SPELLED_OUT).map(ToString::to_string).collect();
    if oddities.len() > words.len() {
        words.push(format!("and {} more", oddities.len() - words.len()));
    }
    words.join("; ")
}
