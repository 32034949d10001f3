//! ExternalSecrets of ClusterExternalSecrets: as they are, and how they should be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bulla_crds::ExternalSecret;
use bulla_crds::cluster_external_secret::KIND;
use bulla_crds::object::{API_VERSION, GROUP};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Map, Value, json};

use super::wanted::{Wanted, digest};
use crate::controllers::api::FIELD_MANAGER;
use crate::controllers::queue::{Key, Version};

/// Who made an ExternalSecret: name and identity of a ClusterExternalSecret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) name: String,
    pub(super) uid: String,
}

/// An ExternalSecret that a ClusterExternalSecret controls.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::controllers) struct Child {
    pub(super) parent: Parent,
    pub(super) uid: String,
    version: String,
    /// Whether it is being deleted.
    pub(super) leaving: bool,
    /// Its spec in short; `None` is one that cannot be read.
    spec: Option<u64>,
    labels: Marks,
    annotations: Marks,
}

/// Labels or annotations.
#[derive(Clone, Debug, Default, PartialEq)]
struct Marks {
    /// `None` where the object has no place for them.
    all: Option<BTreeMap<String, String>>,
    /// Those that we were the last to set.
    ours: BTreeSet<String>,
}

impl Child {
    /// An ExternalSecret that passes by on the watch; `None` if no ClusterExternalSecret controls it.
    pub(super) fn of(object: &ExternalSecret) -> Option<Self> {
        Self::read(&object.metadata, object.spec.as_ref().ok().map(digest))
    }

    /// One of this metadata and with this spec.
    pub(super) fn read(metadata: &ObjectMeta, spec: Option<u64>) -> Option<Self> {
        let owners = metadata.owner_references.iter().flatten();
        let parent = owners.filter(|owner| owner.controller == Some(true)).find(|owner| is_cluster_external(owner))?;
        let marks = |all: &Option<BTreeMap<String, String>>, field| Marks {
            all: all.clone().filter(|all| !all.is_empty()),
            ours: set_by_us(metadata, field),
        };
        Some(Self {
            parent: Parent { name: parent.name.clone(), uid: parent.uid.clone() },
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata.resource_version.clone().unwrap_or_default(),
            leaving: metadata.deletion_timestamp.is_some(),
            spec,
            labels: marks(&metadata.labels, "f:labels"),
            annotations: marks(&metadata.annotations, "f:annotations"),
        })
    }

    /// Whether the two differ in what matters, their versions aside.
    fn says_the_same_as(&self, other: &Self) -> bool {
        Self { version: String::new(), ..self.clone() } == Self { version: String::new(), ..other.clone() }
    }

    /// A JSON patch that makes it what is wanted, or `None` if it is. What others put into its metadata stays.
    pub(super) fn patch(&self, wanted: &Wanted) -> Option<Value> {
        let mut changes = Vec::new();
        if self.spec != Some(wanted.digest) {
            changes.push(json!({"op": "add", "path": "/spec", "value": wanted.spec}));
        }
        self.labels.patch("/metadata/labels", &wanted.labels, &mut changes);
        self.annotations.patch("/metadata/annotations", &wanted.annotations, &mut changes);
        // Only of what was looked at: a conflict otherwise.
        let version = json!({"op": "add", "path": "/metadata/resourceVersion", "value": self.version});
        (!changes.is_empty()).then(|| std::iter::once(version).chain(changes).collect())
    }
}

impl Marks {
    fn patch(&self, path: &str, wanted: &BTreeMap<String, String>, changes: &mut Vec<Value>) {
        let Some(all) = &self.all else {
            if !wanted.is_empty() {
                changes.push(json!({"op": "add", "path": path, "value": wanted}));
            }
            return;
        };
        let at = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        for (key, value) in wanted.iter().filter(|(key, value)| all.get(*key) != Some(value)) {
            changes.push(json!({"op": "add", "path": at(key), "value": value}));
        }
        for key in self.ours.iter().filter(|key| !wanted.contains_key(*key) && all.contains_key(*key)) {
            changes.push(json!({"op": "remove", "path": at(key)}));
        }
    }
}

/// A new ExternalSecret for `namespace`.
pub(super) fn new(wanted: &Wanted, parent: &Parent, namespace: &str) -> Value {
    let owner = json!({
        "apiVersion": API_VERSION, "kind": KIND, "name": parent.name, "uid": parent.uid,
        "controller": true, "blockOwnerDeletion": true,
    });
    let mut metadata = Map::from_iter([
        ("name".to_owned(), json!(wanted.name)),
        ("namespace".to_owned(), json!(namespace)),
        ("ownerReferences".to_owned(), json!([owner])),
    ]);
    for (field, marks) in [("labels", &wanted.labels), ("annotations", &wanted.annotations)] {
        if !marks.is_empty() {
            metadata.insert(field.to_owned(), json!(marks));
        }
    }
    json!({
        "apiVersion": API_VERSION, "kind": bulla_crds::external_secret::KIND, "metadata": metadata, "spec": wanted.spec,
    })
}

fn is_cluster_external(owner: &OwnerReference) -> bool {
    owner.kind == KIND && owner.api_version.split_once('/').is_some_and(|(group, _)| group == GROUP)
}

/// The keys of labels or annotations that we were the last to set: one that is no longer wanted goes.
fn set_by_us(metadata: &ObjectMeta, field: &str) -> BTreeSet<String> {
    let entries = metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.subresource.is_none());
    let fields = ours.filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:metadata")?.get(field)?.as_object());
    fields.flat_map(Map::keys).filter_map(|key| key.strip_prefix("f:")).map(str::to_owned).collect()
}

/// Every ExternalSecret that a ClusterExternalSecret controls.
#[derive(Default)]
pub(super) struct Children {
    /// With the number of the list that has them.
    all: HashMap<Key, (Child, u32)>,
    /// By the parent's identity.
    of: HashMap<String, BTreeSet<Key>>,
}

impl Children {
    pub(super) fn get(&self, key: &Key) -> Option<&Child> {
        self.all.get(key).map(|(child, _)| child)
    }

    /// The children of a parent in order.
    pub(super) fn of(&self, uid: &str) -> impl Iterator<Item = (&Key, &Child)> {
        self.of.get(uid).into_iter().flatten().filter_map(|key| Some((key, self.get(key)?)))
    }

    /// Notes a child as it is now. Gives those to whom that is news, which is nobody if it is older than what is known.
    pub(super) fn see(&mut self, key: &Key, child: Child, list: u32) -> Vec<Parent> {
        let mut news = Vec::new();
        if let Some((known, at)) = self.all.get_mut(key) {
            *at = list;
            let is_older = Version::parse(&child.version) < Version::parse(&known.version);
            if is_older && known.uid == child.uid {
                return news;
            }
            if known.says_the_same_as(&child) {
                known.version = child.version;
                return news;
            }
            if known.parent != child.parent {
                news.extend(self.remove(key));
            }
        }
        news.push(child.parent.clone());
        self.of.entry(child.parent.uid.clone()).or_default().insert(key.clone());
        self.all.insert(key.clone(), (child, list));
        news
    }

    /// Notes that a child was deleted; the watch tells when it is gone.
    pub(super) fn leave(&mut self, key: &Key, uid: &str) {
        if let Some((child, _)) = self.all.get_mut(key) {
            child.leaving |= child.uid == uid;
        }
    }

    /// Forgets a child and gives its parent.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Parent> {
        let (child, _) = self.all.remove(key)?;
        if let Some(keys) = self.of.get_mut(&child.parent.uid) {
            keys.remove(key);
            if keys.is_empty() {
                self.of.remove(&child.parent.uid);
            }
        }
        Some(child.parent)
    }

    /// Those that are not in list number `list`.
    pub(super) fn missing(&self, list: u32) -> Vec<Key> {
        self.all.iter().filter(|(_, (_, at))| *at != list).map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
