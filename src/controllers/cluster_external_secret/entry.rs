//! What is kept of one ClusterExternalSecret.

use std::collections::BTreeSet;
use std::sync::Arc;

use bulla_crds::names::external_secrets::{CLUSTER_FINALIZER, FORCE_SYNC};
use bulla_crds::{ClusterExternalSecret, ClusterExternalSecretStatus};
use tokio::time::Instant;

use super::children::Parent;
use super::pass::Subject;
use super::wanted::Wanted;
use crate::controllers::queue::{Timer, Version};

/// What is kept of a ClusterExternalSecret, or of a name that only namespaces wait for.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) object: Option<Object>,
    /// The list that last had it.
    pub(super) list: u32,
    /// Namespaces where an ExternalSecret of the wanted name is not ours.
    pub(super) foreign: BTreeSet<String>,
    /// Namespaces where one of that name went while a pass was under way.
    pub(super) freed: BTreeSet<String>,
    /// When it is looked at next.
    pub(super) timer: Option<Timer>,
    /// When those in the way are asked for again.
    pub(super) recheck: Option<Instant>,
    /// Whether a pass is under way, and whether another one must follow.
    pub(super) working: bool,
    pub(super) again: bool,
    /// Failures in a row.
    pub(super) attempts: u32,
}

/// The object as it last was.
pub(super) struct Object {
    pub(super) parent: Parent,
    pub(super) wanted: Result<Arc<Wanted>, String>,
    pub(super) status: ClusterExternalSecretStatus,
    /// Whether it is being deleted.
    pub(super) leaving: bool,
    /// Its version, ours included.
    pub(super) version: Version,
    generation: Option<i64>,
    force: Option<String>,
    /// The finalizers to leave on it, where it waits for ESO's, and the version that they are of.
    finalizers: Option<(Vec<String>, String)>,
}

impl Object {
    /// The object that the watch delivered.
    pub(super) fn read(object: ClusterExternalSecret) -> Self {
        let wanted = Wanted::read(&object).map(Arc::new);
        let metadata = object.metadata;
        let version = metadata.resource_version.unwrap_or_default();
        let leaving = metadata.deletion_timestamp.is_some();
        let finalizers = metadata.finalizers.unwrap_or_default();
        let waits = leaving && finalizers.iter().any(|name| name == CLUSTER_FINALIZER);
        let rest = || finalizers.into_iter().filter(|name| name != CLUSTER_FINALIZER).collect();
        Self {
            parent: Parent { name: metadata.name.unwrap_or_default(), uid: metadata.uid.unwrap_or_default() },
            wanted,
            status: object.status.unwrap_or_default(),
            leaving,
            version: Version::parse(&version),
            generation: metadata.generation,
            force: metadata.annotations.and_then(|mut all| all.remove(FORCE_SYNC)),
            finalizers: waits.then(|| (rest(), version)),
        }
    }

    /// Whether the two ask for the same; statuses and versions do not.
    pub(super) fn asks_the_same_as(&self, other: &Self) -> bool {
        let asked = |object: &Self| (object.parent.clone(), object.generation, object.force.clone(), object.leaving);
        asked(self) == asked(other) && self.finalizers.is_some() == other.finalizers.is_some()
    }

    /// Whether it waits for its ExternalSecrets to go.
    pub(super) const fn is_withdrawn(&self) -> bool {
        self.finalizers.is_some()
    }
}

impl Entry {
    /// What it wants, unless it is going, gone or makes no sense.
    pub(super) fn wanted(&self) -> Option<&Arc<Wanted>> {
        let object = self.object.as_ref().filter(|object| !object.leaving)?;
        object.wanted.as_ref().ok()
    }

    /// Who a pass would be about.
    pub(super) fn subject(&self, name: &str) -> Subject {
        let Some(object) = &self.object else {
            let parent = Parent { name: name.to_owned(), uid: String::new() };
            let status = ClusterExternalSecretStatus::default();
            return Subject { parent, generation: None, wanted: None, status, finalizers: None };
        };
        Subject {
            parent: object.parent.clone(),
            generation: object.generation,
            wanted: (!object.leaving).then(|| object.wanted.clone()),
            status: object.status.clone(),
            finalizers: object.finalizers.clone(),
        }
    }
}
