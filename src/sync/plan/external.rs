//! What to do with the target of an ExternalSecret.
//!
//! The rules are those of the External Secrets Operator (its creation policies, labels, annotations and field managers),
//! so that one may take over from the other without a write. What it leaves undone is done: a Secret that another
//! controller rules is refused under every policy that would fight over it, and stale metadata is removed whatever the
//! length of the name.

use std::collections::{BTreeMap, BTreeSet};

use super::{Data, Head, Update, contains, equal};
use crate::secret::{Plaintext, Shape, Values, is_tracking};
use crate::sync::live::{Live, OwnerRef};
use crate::sync::ownership::Owner;

/// How a target comes to be and whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Creation {
    /// Made, owned and garbage-collected with the ExternalSecret.
    #[default]
    Owner,
    /// Made, and left behind.
    Orphan,
    /// Never made; keys are added to a Secret that is there.
    Merge,
    /// Made where it is missing, else as [`Creation::Merge`]; never owned.
    CreateOrMerge,
    /// Nothing is written.
    None,
}

impl Creation {
    const fn merges(self) -> bool {
        matches!(self, Self::Merge | Self::CreateOrMerge)
    }
}

/// What an ExternalSecret wants of its target.
pub struct Wanted<'a> {
    /// Type, mutability and metadata, without the marks that are added here.
    pub shape: &'a Shape,
    /// The values.
    pub values: &'a Values,
    /// The ExternalSecret.
    pub owner: &'a Owner,
    /// How the target comes to be.
    pub creation: Creation,
    /// The field manager of this ExternalSecret.
    pub manager: &'a str,
    /// The label value that names the ExternalSecret.
    pub created_by: &'a str,
    /// Makes the annotation that proves the data.
    pub hash: &'a (dyn Fn(&BTreeMap<&str, &Plaintext>) -> String + Sync),
}

/// Marks on targets, in the words of the External Secrets Operator.
pub struct Marks;

impl Marks {
    /// Label on every target.
    pub const MANAGED: &str = "reconcile.external-secrets.io/managed";
    /// Label that names the ExternalSecret that owns the target.
    pub const CREATED_BY: &str = "reconcile.external-secrets.io/created-by";
    /// Annotation with the hash of the target's data.
    pub const DATA_HASH: &str = "reconcile.external-secrets.io/data-hash";
}

/// What to do with the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write a new Secret.
    Create(Head),
    /// Replace the live one.
    Update(Box<Update>),
    /// It is right already.
    Keep,
    /// It is not there and must not be made.
    Missing,
    /// It is immutable, wanted so, and holds other data: the change is not written.
    Frozen,
    /// It must not or cannot be written.
    Refuse(TargetRefusal),
}

/// Why a live Secret is not written. The first words are those of the External Secrets Operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetRefusal {
    /// Another ExternalSecret owns it.
    #[error("target is owned by another ExternalSecret: {name}")]
    OwnedByAnother {
        /// Its name.
        name: String,
    },
    /// Another controller owns it.
    #[error("failed to take ownership of target secret: it is controlled by {kind} {name}")]
    Controlled {
        /// The controller's kind.
        kind: String,
        /// The controller's name.
        name: String,
    },
    /// It is immutable and its data differs.
    #[error("could not update secret, target is immutable; delete it and it will be created anew")]
    Immutable,
    /// Its type differs, which Kubernetes never changes.
    #[error(
        "could not update secret: it has type {live}, not {wanted}, and a Secret's type cannot be changed; delete it and it will be created anew"
    )]
    Type {
        /// The type it has.
        live: String,
        /// The type it should have.
        wanted: String,
    },
    /// It is to be deleted and is not owned.
    #[error("could not delete secret: it is not owned by this ExternalSecret")]
    NotOurs,
    /// It is being deleted.
    #[error("could not update secret: it is being deleted and waits for its finalizers")]
    Terminating,
}

/// Decides what to do with `live`, `None` being a Secret that does not exist.
#[must_use]
pub fn plan(wanted: &Wanted<'_>, live: Option<&Live>) -> Step {
    if wanted.creation == Creation::None {
        return Step::Keep;
    }
    let Some(live) = live else {
        return if wanted.creation == Creation::Merge { Step::Missing } else { Step::Create(create(wanted)) };
    };
    match refusal(wanted, live) {
        Some(refusal) => Step::Refuse(refusal),
        None => update(wanted, live),
    }
}

fn create(wanted: &Wanted<'_>) -> Head {
    let shape = wanted.shape;
    let mut labels = shape.labels.clone();
    let mut annotations = shape.annotations.clone();
    mark(wanted, &mut labels, &mut annotations, &wanted.values.iter().map(|(k, v)| (k.as_str(), v)).collect());
    Head {
        kind: shape.effective_kind().to_owned(),
        immutable: shape.immutable.filter(|set| *set),
        labels,
        annotations,
        finalizers: shape.finalizers.clone(),
        owners: if wanted.creation == Creation::Owner { vec![reference(wanted.owner)] } else { Vec::new() },
        manager: wanted.manager.to_owned(),
    }
}

fn mark(
    wanted: &Wanted<'_>,
    labels: &mut BTreeMap<String, String>,
    annotations: &mut BTreeMap<String, String>,
    data: &BTreeMap<&str, &Plaintext>,
) {
    labels.insert(Marks::MANAGED.to_owned(), "true".to_owned());
    if wanted.creation == Creation::Owner {
        labels.insert(Marks::CREATED_BY.to_owned(), wanted.created_by.to_owned());
    } else if labels.get(Marks::CREATED_BY).is_some_and(|by| by == wanted.created_by) {
        labels.remove(Marks::CREATED_BY);
    }
    annotations.insert(Marks::DATA_HASH.to_owned(), (wanted.hash)(data));
}

/// The controlling reference as the External Secrets Operator writes it.
fn reference(owner: &Owner) -> OwnerRef {
    OwnerRef { block_owner_deletion: Some(true), ..owner.reference() }
}

/// Whether `controller` means `owner`, or an earlier object of that name.
#[must_use]
pub fn is_ours(owner: &Owner, controller: &OwnerRef) -> bool {
    controller.uid == owner.uid || owner.is_named_by(controller)
}

fn refusal(wanted: &Wanted<'_>, live: &Live) -> Option<TargetRefusal> {
    if live.terminating {
        return Some(TargetRefusal::Terminating);
    }
    if let Some(controller) = live.controller().filter(|controller| !is_ours(wanted.owner, controller)) {
        // Two SealedSecrets or ExternalSecrets that write whole Secrets would undo each other's work for ever; what
        // merges may add keys to what an ExternalSecret that merges as well, or a stranger, controls.
        let (kind, name) = (controller.kind.clone(), controller.name.clone());
        let fights = !wanted.creation.merges() || kind == "SealedSecret";
        if fights && kind == wanted.owner.kind {
            return Some(TargetRefusal::OwnedByAnother { name });
        }
        if fights {
            return Some(TargetRefusal::Controlled { kind, name });
        }
    }
    let unsaid = wanted.shape.kind.as_deref().is_none_or(str::is_empty);
    if !unsaid && wanted.shape.effective_kind() != live.kind {
        let (live, wanted) = (live.kind.clone(), wanted.shape.effective_kind().to_owned());
        return Some(TargetRefusal::Type { live, wanted });
    }
    None
}

fn update(wanted: &Wanted<'_>, live: &Live) -> Step {
    let written: BTreeSet<&String> =
        live.written_by.iter().filter(|w| w.manager == wanted.manager).flat_map(|w| &w.keys).collect();
    // Under a merging policy a key that we wrote once and want no longer goes; one that we never wrote stays.
    let dropped: BTreeSet<String> = match wanted.creation.merges() {
        true => {
            live.data.keys().filter(|key| written.contains(key) && !wanted.values.contains_key(*key)).cloned().collect()
        }
        false => BTreeSet::new(),
    };
    let data_is_right = match wanted.creation.merges() {
        true => dropped.is_empty() && contains(&live.data, wanted.values),
        false => equal(wanted.values, &live.data),
    };
    if live.immutable && !data_is_right {
        let frozen = wanted.shape.immutable == Some(true);
        return if frozen { Step::Frozen } else { Step::Refuse(TargetRefusal::Immutable) };
    }
    let mut data: BTreeMap<&str, &Plaintext> = BTreeMap::new();
    if wanted.creation.merges() {
        data.extend(live.data.iter().filter(|(key, _)| !dropped.contains(*key)).map(|(k, v)| (k.as_str(), v)));
    }
    data.extend(wanted.values.iter().map(|(k, v)| (k.as_str(), v)));
    let (labels, annotations) = metadata(wanted, live, &data);
    let mut finalizers = live.finalizers.clone();
    finalizers.extend(wanted.shape.finalizers.iter().filter(|f| !live.finalizers.contains(f)).cloned());
    let owners = owners(wanted, live);
    let immutable = live.immutable || wanted.shape.immutable == Some(true);
    let unchanged = data_is_right
        && immutable == live.immutable
        && labels == live.labels
        && without_tracking(&annotations) == without_tracking(&live.annotations)
        && finalizers == live.finalizers
        && owners == live.owners;
    if unchanged {
        return Step::Keep;
    }
    let data = match (data_is_right, wanted.creation.merges()) {
        (true, _) => Data::Live,
        (false, true) => Data::Merged,
        (false, false) => Data::Opened,
    };
    let manager = wanted.manager.to_owned();
    let kind = live.kind.clone();
    let head = Head { kind, immutable: immutable.then_some(true), labels, annotations, finalizers, owners, manager };
    Step::Update(Box::new(Update { resource_version: live.resource_version.clone(), head, data, dropped }))
}

/// What GitOps tools left on the ExternalSecret was once copied to the target; it goes with the next write, but is no
/// reason for one.
fn without_tracking(annotations: &BTreeMap<String, String>) -> BTreeMap<&String, &String> {
    annotations.iter().filter(|(name, _)| !is_tracking(name)).collect()
}

type Pairs = BTreeMap<String, String>;

fn metadata(wanted: &Wanted<'_>, live: &Live, data: &BTreeMap<&str, &Plaintext>) -> (Pairs, Pairs) {
    let (mut labels, mut annotations) = (live.labels.clone(), live.annotations.clone());
    for written in live.written_by.iter().filter(|w| w.manager == wanted.manager) {
        labels.retain(|name, _| !written.labels.contains(name));
        annotations.retain(|name, _| !written.annotations.contains(name));
    }
    labels.extend(wanted.shape.labels.clone());
    annotations.extend(wanted.shape.annotations.clone());
    mark(wanted, &mut labels, &mut annotations, data);
    (labels, annotations)
}

fn owners(wanted: &Wanted<'_>, live: &Live) -> Vec<OwnerRef> {
    if wanted.creation == Creation::Owner {
        let reference = reference(wanted.owner);
        let has = |o: &OwnerRef| o.controller && o.uid == reference.uid && o.kind == reference.kind;
        if live.owners.iter().any(has) {
            return live.owners.clone();
        }
        let mut owners: Vec<_> = live.owners.iter().filter(|o| !is_ours(wanted.owner, o)).cloned().collect();
        owners.push(reference);
        return owners;
    }
    live.owners.iter().filter(|o| !is_ours(wanted.owner, o)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::live::WrittenBy;

    const MANAGER: &str = "externalsecrets.external-secrets.io/db";

    fn owner() -> Owner {
        let text = str::to_owned;
        Owner {
            api_version: text("external-secrets.io/v1"),
            kind: text("ExternalSecret"),
            name: text("db"),
            uid: text("u"),
        }
    }

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), Plaintext::from((*v).to_owned()))).collect()
    }

    fn pairs(entries: &[(&str, &str)]) -> Pairs {
        entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    /// Shows keys and lengths: enough to tell data apart here.
    fn hash(data: &BTreeMap<&str, &Plaintext>) -> String {
        data.iter().map(|(key, value)| format!("{key}{}", value.len())).collect()
    }

    fn step(creation: Creation, shape: &Shape, wanted: &[(&str, &str)], live: Option<&Live>) -> Step {
        let (values, owner) = (values(wanted), owner());
        let (manager, created_by) = (MANAGER, "c");
        plan(&Wanted { shape, values: &values, owner: &owner, creation, manager, created_by, hash: &hash }, live)
    }

    /// A Secret as we, or the External Secrets Operator, left it.
    fn ours(creation: Creation, data: &[(&str, &str)]) -> Live {
        let Step::Create(head) = step(creation, &Shape::default(), data, None) else { panic!("not created") };
        let names = |pairs: &Pairs| pairs.keys().cloned().collect();
        let written = WrittenBy {
            manager: MANAGER.to_owned(),
            data: true,
            keys: data.iter().map(|(key, _)| (*key).to_owned()).collect(),
            labels: names(&head.labels),
            annotations: names(&head.annotations),
        };
        Live {
            resource_version: "7".to_owned(),
            kind: head.kind,
            labels: head.labels,
            annotations: head.annotations,
            owners: head.owners,
            written_by: vec![written],
            data: values(data),
            ..Live::default()
        }
    }

    fn updated(step: Step) -> Update {
        match step {
            Step::Update(update) => *update,
            other @ (Step::Create(_) | Step::Keep | Step::Missing | Step::Frozen | Step::Refuse(_)) => {
                panic!("{other:?}")
            }
        }
    }

    const ALL: [Creation; 4] = [Creation::Owner, Creation::Orphan, Creation::Merge, Creation::CreateOrMerge];

    #[test]
    fn what_is_right_is_not_written() {
        for creation in [Creation::Owner, Creation::Orphan, Creation::CreateOrMerge] {
            let mut live = ours(creation, &[("a", "1")]);
            assert_eq!(step(creation, &Shape::default(), &[("a", "1")], Some(&live)), Step::Keep, "{creation:?}");
            live.annotations.extend(pairs(&[("kubectl.kubernetes.io/last-applied-configuration", "{}")]));
            live.written_by[0].annotations.insert("kubectl.kubernetes.io/last-applied-configuration".to_owned());
            live.labels.extend(pairs(&[("team", "x")]));
            assert_eq!(step(creation, &Shape::default(), &[("a", "1")], Some(&live)), Step::Keep, "{creation:?}");
        }
    }

    #[test]
    fn a_missing_target_is_made_but_for_merge() {
        let made = |creation| step(creation, &Shape::default(), &[("a", "1")], None);
        assert_eq!(made(Creation::Merge), Step::Missing);
        assert_eq!(made(Creation::None), Step::Keep);
        for creation in [Creation::Owner, Creation::Orphan, Creation::CreateOrMerge] {
            let Step::Create(head) = made(creation) else { panic!("{creation:?}") };
            assert_eq!(head.owners.len(), usize::from(creation == Creation::Owner));
            assert_eq!(head.labels.contains_key(Marks::CREATED_BY), creation == Creation::Owner);
            assert_eq!(
                (head.labels[Marks::MANAGED].as_str(), head.annotations[Marks::DATA_HASH].as_str()),
                ("true", "a1")
            );
            assert_eq!(head.manager, MANAGER);
        }
    }

    #[test]
    fn owned_data_is_replaced_and_merged_data_is_added_to() {
        let live = ours(Creation::Owner, &[("a", "1"), ("b", "2")]);
        let update = updated(step(Creation::Owner, &Shape::default(), &[("a", "10")], Some(&live)));
        assert_eq!((update.data, update.head.annotations[Marks::DATA_HASH].as_str()), (Data::Opened, "a2"));

        let mut live = ours(Creation::CreateOrMerge, &[("a", "1"), ("b", "2")]);
        live.data.insert("theirs".to_owned(), Plaintext::from("t".to_owned()));
        let update = updated(step(Creation::Merge, &Shape::default(), &[("a", "10")], Some(&live)));
        assert_eq!(update.data, Data::Merged);
        assert_eq!(update.dropped, ["b".to_owned()].into(), "ours once, wanted no longer");
        assert_eq!(update.head.annotations[Marks::DATA_HASH], "a2theirs1");
    }

    #[test]
    fn a_secret_of_nobody_is_adopted() {
        let live = Live { kind: "Opaque".to_owned(), data: values(&[("old", "x")]), ..Live::default() };
        let update = updated(step(Creation::Owner, &Shape::default(), &[("a", "1")], Some(&live)));
        assert_eq!((update.data, update.head.owners.len()), (Data::Opened, 1));
    }

    #[test]
    fn a_secret_of_another_controller_is_not_fought_over() {
        for (kind, refused) in [("ExternalSecret", 2), ("Deployment", 2), ("SealedSecret", 4)] {
            let controller = OwnerRef {
                kind: kind.to_owned(),
                name: "other".to_owned(),
                uid: "v".to_owned(),
                controller: true,
                ..OwnerRef::default()
            };
            let live = Live { kind: "Opaque".to_owned(), owners: vec![controller], ..Live::default() };
            let refuses = |creation: &Creation| {
                matches!(step(*creation, &Shape::default(), &[("a", "1")], Some(&live)), Step::Refuse(_))
            };
            assert_eq!(ALL.iter().filter(|creation| refuses(creation)).count(), refused, "{kind}");
        }
    }

    #[test]
    fn an_external_secret_that_was_made_anew_takes_its_secret_back() {
        let mut live = ours(Creation::Owner, &[("a", "1")]);
        live.owners[0].uid = "earlier".to_owned();
        live.owners[0].api_version = "external-secrets.io/v1beta1".to_owned();
        let update = updated(step(Creation::Owner, &Shape::default(), &[("a", "1")], Some(&live)));
        assert_eq!((update.head.owners.len(), update.head.owners[0].uid.as_str(), update.data), (1, "u", Data::Live));
    }

    #[test]
    fn metadata_that_was_ours_goes_and_that_of_others_stays() {
        let mut live = ours(Creation::Owner, &[("a", "1")]);
        live.labels.extend(pairs(&[("stale", "x"), ("theirs", "y")]));
        live.written_by[0].labels.insert("stale".to_owned());
        let update = updated(step(Creation::Owner, &Shape::default(), &[("a", "1")], Some(&live)));
        assert!(!update.head.labels.contains_key("stale") && update.head.labels.contains_key("theirs"));
    }

    #[test]
    fn an_immutable_target_is_left_alone() {
        let mut live = ours(Creation::Owner, &[("a", "1")]);
        live.immutable = true;
        let frozen = Shape { immutable: Some(true), ..Shape::default() };
        assert_eq!(step(Creation::Owner, &frozen, &[("a", "1")], Some(&live)), Step::Keep);
        assert_eq!(step(Creation::Owner, &frozen, &[("a", "2")], Some(&live)), Step::Frozen);
        let refused = step(Creation::Owner, &Shape::default(), &[("a", "2")], Some(&live));
        assert_eq!(refused, Step::Refuse(TargetRefusal::Immutable));
    }

    #[test]
    fn another_type_and_a_dying_target_are_refused() {
        let live = ours(Creation::Owner, &[("a", "1")]);
        let tls = Shape { kind: Some("kubernetes.io/tls".to_owned()), ..Shape::default() };
        assert!(matches!(
            step(Creation::Owner, &tls, &[("a", "1")], Some(&live)),
            Step::Refuse(TargetRefusal::Type { .. })
        ));
        let dying = Live { terminating: true, ..ours(Creation::Owner, &[]) };
        assert_eq!(
            step(Creation::Owner, &Shape::default(), &[], Some(&dying)),
            Step::Refuse(TargetRefusal::Terminating)
        );
    }

    #[test]
    fn ownership_is_given_up_with_the_policy() {
        let live = ours(Creation::Owner, &[("a", "1")]);
        let update = updated(step(Creation::Orphan, &Shape::default(), &[("a", "1")], Some(&live)));
        assert!(update.head.owners.is_empty() && !update.head.labels.contains_key(Marks::CREATED_BY));
    }
}
