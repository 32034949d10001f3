//! From a SealedSecret to the Secret that it asks for: conversion only, the rules are in `seal` and `secret`.

use std::collections::BTreeSet;

use bulla_crds::{SealedSecret, names};

use super::SyncError;
use crate::seal::{self, KeyId, Keyring, Scope};
use crate::secret::{self, Shape, Target};
use crate::sync::Owner;

/// What an object asks for, opened and rendered.
pub(super) struct Desired {
    pub(super) target: Target,
    pub(super) key_ids: BTreeSet<KeyId>,
}

/// The scope that an object declares by its annotations.
pub(super) fn scope(object: &SealedSecret) -> Scope {
    let annotations = object.metadata.annotations.as_ref();
    Scope::from_annotations(|name| annotations?.get(name).map(String::as_str))
}

/// The value of Flux's annotation that asks for a reconciliation.
pub(super) fn requested_at(object: &SealedSecret) -> Option<&str> {
    object.metadata.annotations.as_ref()?.get(names::RECONCILE_REQUESTED_AT).map(String::as_str)
}

/// The owner that the target gets.
pub(super) fn owner(object: &SealedSecret) -> Owner {
    Owner {
        api_version: bulla_crds::sealed_secret::API_VERSION.to_owned(),
        kind: bulla_crds::sealed_secret::KIND.to_owned(),
        name: object.metadata.name.clone().unwrap_or_default(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
    }
}

/// Type, mutability and metadata of the target.
pub(super) fn shape(object: &SealedSecret) -> Shape {
    let Some(template) = &object.spec.template else { return Shape::default() };
    Shape {
        kind: template.r#type.clone().filter(|kind| !kind.is_empty()),
        immutable: template.immutable,
        labels: template.metadata.labels.clone(),
        annotations: template.metadata.annotations.clone(),
        finalizers: template.metadata.finalizers.clone(),
    }
}

/// Opens every value, renders the templates and checks the result against Kubernetes' limits.
pub(super) fn open(object: &SealedSecret, keyring: &Keyring) -> Result<Desired, SyncError> {
    if !object.spec.oddities.is_empty() {
        return Err(SyncError::Malformed(object.spec.oddities.clone()));
    }
    let (namespace, name) = crate::controllers::api::place(&object.metadata);
    let sealed = object.spec.encrypted_data.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let legacy = object.spec.data.as_deref();
    let opened = seal::open_object(keyring, sealed, legacy, namespace, name, scope(object)).map_err(SyncError::Open)?;
    let mut shape = shape(object);
    if let Some(legacy) = opened.legacy {
        // What the template says wins over what was sealed with the whole Secret.
        let mut labels = legacy.labels;
        labels.append(&mut shape.labels);
        let mut annotations = legacy.annotations;
        annotations.append(&mut shape.annotations);
        shape = Shape { labels, annotations, kind: shape.kind.or(legacy.type_), ..shape };
    }
    let none = std::collections::BTreeMap::new();
    let templates = object.spec.template.as_ref().map_or(&none, |template| &template.data);
    let target = secret::assemble(namespace, name, shape, templates, opened.values, super::template::render)
        .map_err(SyncError::Target)?;
    Ok(Desired { target, key_ids: opened.key_ids })
}
