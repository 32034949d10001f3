//! What is there: a Secret as observed, in plain words.

use std::collections::{BTreeMap, BTreeSet};

use crate::secret::Values;

/// A Secret as the API server has it.
#[derive(Default)]
pub struct Live {
    /// Version to write against.
    pub resource_version: String,
    /// Identity of this very object.
    pub uid: String,
    /// `type`, always filled in by the server.
    pub kind: String,
    /// `immutable`.
    pub immutable: bool,
    /// Whether it is being deleted and only waits for finalizers.
    pub terminating: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Finalizers.
    pub finalizers: Vec<String>,
    /// Owner references.
    pub owners: Vec<OwnerRef>,
    /// What each earlier writer of interest wrote, from `managedFields`.
    pub written_by: Vec<WrittenBy>,
    /// Data by key.
    pub data: Values,
}

impl Live {
    /// The reference of the one object that controls this Secret.
    #[must_use]
    pub fn controller(&self) -> Option<&OwnerRef> {
        self.owners.iter().find(|owner| owner.controller)
    }

    /// Whether annotation `name` is exactly `"true"`.
    #[must_use]
    pub fn is_marked(&self, name: &str) -> bool {
        self.annotations.get(name).is_some_and(|value| value == "true")
    }
}

/// One owner reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerRef {
    /// API version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// Identity of the owner.
    pub uid: String,
    /// Whether the owner manages this object.
    pub controller: bool,
    /// `blockOwnerDeletion`, kept as found.
    pub block_owner_deletion: Option<bool>,
}

/// The metadata that one field manager wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenBy {
    /// Name of the field manager.
    pub manager: String,
    /// Whether it wrote the data too.
    pub data: bool,
    /// Which data keys it wrote.
    pub keys: BTreeSet<String>,
    /// Names of labels.
    pub labels: BTreeSet<String>,
    /// Names of annotations.
    pub annotations: BTreeSet<String>,
}
