//! What the controller asks a SealedSecret besides what `resource` gives.

use bulla_crds::{SealedSecret, names};

use crate::sync::Owner;

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
