//! What is to be done for one ClusterExternalSecret.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::children::{self, Children, Parent};
use super::places::Place;
use super::wanted::Wanted;
use crate::controllers::queue::Key;

/// ESO's words for an ExternalSecret that is somebody else's.
pub(super) const FOREIGN: &str = "external secret already exists in namespace";

/// One call to the API server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Make an ExternalSecret.
    Create(Value),
    /// Change one by a JSON patch.
    Patch(Value),
    /// Delete one of that identity.
    Delete(String),
}

/// Finalizers to leave on a namespace, and the version that still has one more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) namespace: String,
    pub(super) finalizers: Vec<String>,
    pub(super) version: String,
}

/// What is to be done, and what is as it should be.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// What goes. Before `steps`: both may be about the same Secret.
    pub(super) deletions: Vec<(Key, Step)>,
    /// What comes or changes.
    pub(super) steps: Vec<(Key, Step)>,
    /// Namespaces that waited for their ExternalSecret to go.
    pub(super) releases: Vec<Release>,
    /// Namespaces that have what they should have.
    pub(super) right: BTreeSet<String>,
    /// Namespaces where nothing can be done, and why.
    pub(super) failed: BTreeMap<String, String>,
}

/// What is known of the cluster.
pub(super) struct Cluster<'a> {
    /// Every namespace.
    pub(super) places: &'a BTreeMap<String, Place>,
    /// Every ExternalSecret that a ClusterExternalSecret controls.
    pub(super) children: &'a Children,
    /// Namespaces where an ExternalSecret that nobody controls is known to be in the way.
    pub(super) foreign: &'a BTreeSet<String>,
}

impl Plan {
    /// Brings about what `parent` wants.
    pub(super) fn provide(parent: &Parent, wanted: &Wanted, cluster: &Cluster<'_>) -> Self {
        let mut plan = Self::default();
        for (namespace, place) in cluster.places {
            if !wanted.selection.takes(namespace, place) {
                plan.release(&parent.name, namespace, place);
                continue;
            }
            let key = Key::new(namespace, &wanted.name);
            match cluster.children.get(&key) {
                Some(child) if child.parent.uid == parent.uid => match child.patch(wanted) {
                    // It comes back once it is gone.
                    _ if child.leaving => {}
                    Some(patch) => plan.steps.push((key, Step::Patch(patch))),
                    None => drop(plan.right.insert(namespace.clone())),
                },
                None if !cluster.foreign.contains(namespace) => {
                    plan.steps.push((key, Step::Create(children::new(wanted, parent, namespace))));
                }
                Some(_) | None => drop(plan.failed.insert(namespace.clone(), FOREIGN.to_owned())),
            }
        }
        let is_wanted = |key: &Key| {
            let place = cluster.places.get(key.namespace());
            key.name() == wanted.name && place.is_some_and(|place| wanted.selection.takes(key.namespace(), place))
        };
        plan.delete(parent, cluster, |key| !is_wanted(key));
        plan
    }

    /// Takes away all that `parent` made.
    pub(super) fn withdraw(parent: &Parent, cluster: &Cluster<'_>) -> Self {
        let mut plan = Self::abandon(&parent.name, cluster.places);
        plan.delete(parent, cluster, |_| true);
        plan
    }

    /// Nobody of that name is there any more: namespaces do not wait for it.
    pub(super) fn abandon(name: &str, places: &BTreeMap<String, Place>) -> Self {
        let mut plan = Self::default();
        for (namespace, place) in places {
            plan.release(name, namespace, place);
        }
        plan
    }

    fn delete(&mut self, parent: &Parent, cluster: &Cluster<'_>, which: impl Fn(&Key) -> bool) {
        let children = cluster.children.of(&parent.uid).filter(|(key, child)| !child.leaving && which(key));
        self.deletions.extend(children.map(|(key, child)| (key.clone(), Step::Delete(child.uid.clone()))));
    }

    fn release(&mut self, name: &str, namespace: &str, place: &Place) {
        if let Some((finalizers, version)) = place.without_finalizer_of(name) {
            self.releases.push(Release { namespace: namespace.to_owned(), finalizers, version });
        }
    }
}

#[cfg(test)]
mod tests {
    use bulla_crds::names::external_secrets::NAMESPACE_FINALIZER_PREFIX;
    use serde_json::json;

    use super::super::children::Child;
    use super::*;

    fn parent() -> Parent {
        Parent { name: "ces".to_owned(), uid: "u".to_owned() }
    }

    fn wanted() -> Wanted {
        let object = json!({"metadata": {"name": "ces"}, "spec": {
            "externalSecretSpec": {"secretStoreRef": {"name": "s"}, "dataFrom": [{"extract": {"key": "k"}}]},
            "externalSecretName": "db", "namespaceSelectors": [{"matchLabels": {"team": "a"}}],
        }});
        Wanted::read(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn place(labels: Value) -> Place {
        let finalizers = json!([format!("{NAMESPACE_FINALIZER_PREFIX}ces")]);
        let metadata = json!({"labels": labels, "finalizers": finalizers, "resourceVersion": "1"});
        Place::read(serde_json::from_value(metadata).unwrap())
    }

    fn child(children: &mut Children, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = children::new(&wanted(), &parent(), namespace);
        object["metadata"]["uid"] = json!(format!("{namespace}-{name}"));
        change(&mut object);
        let child = Child::of(&serde_json::from_value(object).unwrap()).unwrap();
        children.see(&Key::new(namespace, name), child, 1);
    }

    #[test]
    fn every_namespace_gets_what_it_needs() {
        let mut children = Children::default();
        child(&mut children, "right", "db", |_| ());
        child(&mut children, "right", "old-name", |_| ());
        child(&mut children, "edited", "db", |object| object["spec"]["dataFrom"] = json!([]));
        child(&mut children, "leaving", "db", |o| o["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
        child(&mut children, "theirs", "db", |o| o["metadata"]["ownerReferences"][0]["uid"] = json!("v"));
        child(&mut children, "unselected", "db", |_| ());
        child(&mut children, "no-namespace", "db", |_| ());
        let a = place(json!({"team": "a"}));
        let names = ["edited", "foreign", "leaving", "new", "right", "theirs"];
        let mut places: BTreeMap<_, _> = names.iter().map(|name| ((*name).to_owned(), a.clone())).collect();
        places.insert("unselected".to_owned(), place(json!({"team": "b"})));
        let foreign = ["foreign".to_owned()].into();
        let cluster = Cluster { places: &places, children: &children, foreign: &foreign };

        let plan = Plan::provide(&parent(), &wanted(), &cluster);
        let named = |list: &[(Key, Step)]| list.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>();
        assert_eq!(named(&plan.deletions), ["no-namespace/db", "right/old-name", "unselected/db"]);
        assert_eq!(plan.deletions[1].1, Step::Delete("right-old-name".to_owned()));
        assert_eq!(named(&plan.steps), ["edited/db", "new/db"]);
        assert!(matches!(plan.steps[0].1, Step::Patch(_)) && matches!(plan.steps[1].1, Step::Create(_)));
        assert_eq!(plan.right, ["right".to_owned()].into());
        assert_eq!(plan.failed.keys().collect::<Vec<_>>(), ["foreign", "theirs"]);
        let released = Release { namespace: "unselected".to_owned(), finalizers: vec![], version: "1".to_owned() };
        assert_eq!(plan.releases, [released]);

        let plan = Plan::withdraw(&parent(), &cluster);
        let all = ["edited/db", "no-namespace/db", "right/db", "right/old-name", "unselected/db"];
        assert_eq!(named(&plan.deletions), all);
        assert_eq!((plan.steps.len(), plan.releases.len()), (0, 7));
        assert_eq!(Plan::abandon("ce", &places), Plan::default());
    }
}
