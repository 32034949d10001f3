//! What the controller asks a SealedSecret besides what `resource` gives.

use bulla_crds::{SealedSecret, names};

use crate::sync::Owner;

/// The value of Flux's annotation that asks for a reconciliation.
pub(super) fn requested_at(object: &SealedSecret) -> Option<&str> {
    object.metadata.annotations.as_ref()?.get(names::RECONCILE_REQUESTED_AT).map(String::as_str)
}

/// A SealedSecret of this name, whichever it was.
pub(super) fn owner_named(name: &str) -> Owner {
    Owner {
        api_version: bulla_crds::sealed_secret::API_VERSION.to_owned(),
        kind: bulla_crds::sealed_secret::KIND.to_owned(),
        name: name.to_owned(),
        uid: String::new(),
    }
}

/// The owner that the target gets.
pub(super) fn owner(object: &SealedSecret) -> Owner {
    let uid = object.metadata.uid.clone().unwrap_or_default();
    Owner { uid, ..owner_named(object.metadata.name.as_deref().unwrap_or_default()) }
}
