//! Whose Secret is it, and how much of it may be written.
//!
//! A Secret that is not ours is never touched unless its owner annotated it. Ours is what this SealedSecret controls,
//! what an earlier SealedSecret of the same name controlled (deleted and recreated faster than garbage collection),
//! and what we wrote without an owner reference because we were asked to.

use std::collections::BTreeSet;

use super::live::{Live, OwnerRef};
use super::plan::Refusal;

/// The object that a target belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// API version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Identity.
    pub uid: String,
}

impl Owner {
    /// The controlling reference to this owner.
    #[must_use]
    pub fn reference(&self) -> OwnerRef {
        OwnerRef {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: true,
            block_owner_deletion: None,
        }
    }

    /// Whether `reference` means this owner or an earlier object of the same kind and name.
    #[must_use]
    pub fn is_named_by(&self, reference: &OwnerRef) -> bool {
        reference.kind == self.kind
            && reference.name == self.name
            && group(&reference.api_version) == group(&self.api_version)
    }
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Annotations and labels that steer ownership.
pub struct Annotations;

impl Annotations {
    /// On a live Secret: it may be taken over.
    pub const MANAGED: &str = "sealedsecrets.bitnami.com/managed";
    /// On a live Secret: it may be merged into.
    pub const PATCH: &str = "sealedsecrets.bitnami.com/patch";
    /// On a template: the Secret gets no owner reference.
    pub const SKIP_OWNER: &str = "sealedsecrets.bitnami.com/skip-set-owner-references";
    /// Our label on every Secret that we write.
    pub const MANAGED_BY: &str = "bulla.dev/managed-by";
    /// Value of [`Self::MANAGED_BY`] on a Secret that is wholly ours.
    pub const OWNED: &str = "sealed-secret";
    /// Value of [`Self::MANAGED_BY`] on a Secret that we only merge into.
    pub const MERGED: &str = "sealed-secret-patch";
}

/// Our name in `managedFields`.
const MANAGER: &str = "bulla";
/// The name of the controller that we take over from: its binary is called so.
const PREDECESSOR: &str = "controller";

/// How a live Secret may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Wholly ours: data is exactly what was sealed.
    Own,
    /// Somebody else's: our keys are added, nothing is removed.
    Merge {
        /// Whether the owner reference is set as well.
        take_ownership: bool,
    },
}

/// Decides how `live` may be written on behalf of `owner`.
pub(super) fn mode(live: &Live, owner: &Owner) -> Result<Mode, Refusal> {
    let managed = live.is_marked(Annotations::MANAGED);
    if live.is_marked(Annotations::PATCH) {
        return Ok(Mode::Merge { take_ownership: managed });
    }
    if managed || is_ours(live, owner) {
        return Ok(Mode::Own);
    }
    let controller = live.controller().map(|c| format!("{} {}", c.kind, c.name));
    Err(Refusal::NotOwned { controller })
}

fn is_ours(live: &Live, owner: &Owner) -> bool {
    match live.controller() {
        Some(controller) => controller.uid == owner.uid || owner.is_named_by(controller),
        // Written without a reference on request, or orphaned by `kubectl delete --cascade=orphan`.
        None => {
            live.labels.get(Annotations::MANAGED_BY).is_some_and(|v| v == Annotations::OWNED)
                && live.written_by.iter().any(|w| w.manager == MANAGER && w.data)
        }
    }
}

/// Labels and annotations on `live` that came from us and may therefore be removed again.
pub(super) fn removable(live: &Live, owner: &Owner) -> (BTreeSet<String>, BTreeSet<String>) {
    let controlled = live.controller().is_some_and(|c| c.uid == owner.uid || owner.is_named_by(c));
    let ours = live.written_by.iter().filter(|w| {
        // The predecessor's name is a common one: only where the data is its work too.
        w.manager == MANAGER || (w.manager == PREDECESSOR && w.data && controlled)
    });
    let (mut labels, mut annotations) = (BTreeSet::new(), BTreeSet::new());
    for written in ours {
        labels.extend(written.labels.iter().cloned());
        annotations.extend(written.annotations.iter().cloned());
    }
    (labels, annotations)
}
