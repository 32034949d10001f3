//! What to do with one target: create, update, keep or refuse.
//!
//! The plan is made from what is wanted and what is there; it writes nothing. Foreign labels and annotations are left
//! alone, a Secret that already is right is not written again, and what the API server would refuse anyway (another
//! type, changed immutable data) is refused here with words that say how to mend it.

pub mod external;

use std::collections::{BTreeMap, BTreeSet};

use super::live::{Live, OwnerRef};
use super::ownership::{self, Annotations, Mode, Owner};
use crate::secret::{Plaintext, Shape, Values};

/// What is wanted.
pub struct Desired<'a> {
    /// Type, mutability and metadata.
    pub shape: &'a Shape,
    /// The values, or the proof that the live ones are right.
    pub content: Content<'a>,
    /// Who it is for.
    pub owner: &'a Owner,
    /// Labels that every Secret of ours gets; those of the shape win. A Secret that is only merged into gets none.
    pub labels: &'a BTreeMap<String, String>,
}

/// The values of a desired target.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// Opened values.
    Opened(&'a Values),
    /// Nothing was opened: a digest proved that the live values are what was last written.
    Proven,
}

/// Everything but the values of a Secret to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// `type`.
    pub kind: String,
    /// `immutable`, where set.
    pub immutable: Option<bool>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Finalizers.
    pub finalizers: Vec<String>,
    /// Owner references.
    pub owners: Vec<OwnerRef>,
    /// The name that `managedFields` gets; empty is our usual one.
    pub manager: String,
}

/// Which values to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Exactly the opened ones.
    Opened,
    /// The live ones, overlaid with the opened ones.
    Merged,
    /// The live ones as they are.
    Live,
}

/// A change of an existing Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The version that it replaces.
    pub resource_version: String,
    /// What to write around the values.
    pub head: Head,
    /// Which values to write.
    pub data: Data,
    /// With [`Data::Merged`]: live keys that are not kept.
    pub dropped: BTreeSet<String>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Write a new Secret.
    Create(Head),
    /// Replace the live one.
    Update(Box<Update>),
    /// It is right already.
    Keep,
    /// It must not or cannot be written.
    Refuse(Refusal),
}

/// Why a live Secret is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It belongs to somebody else.
    #[error(
        "a Secret of this name exists and is not managed by this SealedSecret{}; delete it, or annotate it {}=true to have it taken over",
        .controller.as_ref().map(|c| format!(" but by {c}")).unwrap_or_default(),
        Annotations::MANAGED
    )]
    NotOwned {
        /// Kind and name of its controller, if it has one.
        controller: Option<String>,
    },
    /// It is immutable and its data differs.
    #[error("the target Secret is immutable and holds other data; delete it and it will be created anew")]
    Immutable,
    /// Its type differs, which Kubernetes never changes.
    #[error(
        "the target Secret has type {live}, not {desired}, and a Secret's type cannot be changed; delete it and it will be created anew"
    )]
    Type {
        /// The type it has.
        live: String,
        /// The type it should have.
        desired: String,
    },
    /// It was somebody else's, we merged into it, and it is gone.
    #[error(
        "the Secret that this SealedSecret was merged into is gone, and it is not this SealedSecret's to create: create it again with the annotation {}=true, or change the spec to get a Secret of its own",
        Annotations::PATCH
    )]
    MergeTargetGone,
    /// It is being deleted.
    #[error("the target Secret is being deleted and waits for its finalizers")]
    Terminating,
}

impl Refusal {
    /// The reason in `CamelCase`, for conditions and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotOwned { .. } => "SecretNotOwned",
            Self::Immutable => "ImmutableTarget",
            Self::Type { .. } => "TypeConflict",
            Self::MergeTargetGone => "PatchTargetGone",
            Self::Terminating => "SecretTerminating",
        }
    }
}

/// Plans for `live`, `None` being a Secret that does not exist.
#[must_use]
pub fn plan(desired: &Desired<'_>, live: Option<&Live>) -> Plan {
    let Some(live) = live else {
        return Plan::Create(create(desired));
    };
    if live.terminating {
        return Plan::Refuse(Refusal::Terminating);
    }
    let change = ownership::mode(live, desired.owner)
        .and_then(|mode| Ok((mode, check_type(desired.shape, live, mode)?)))
        .and_then(|(mode, kind)| update(desired, live, mode, kind));
    match change {
        Ok(Some(update)) => Plan::Update(Box::new(update)),
        Ok(None) => Plan::Keep,
        Err(refusal) => Plan::Refuse(refusal),
    }
}

fn create(desired: &Desired<'_>) -> Head {
    let shape = desired.shape;
    let mut labels = desired.labels.clone();
    labels.extend(shape.labels.clone());
    labels.insert(Annotations::MANAGED_BY.to_owned(), Annotations::OWNED.to_owned());
    Head {
        kind: shape.effective_kind().to_owned(),
        immutable: shape.immutable.filter(|set| *set),
        labels,
        annotations: shape.annotations.clone(),
        finalizers: shape.finalizers.clone(),
        owners: if skips_owner(shape) { Vec::new() } else { vec![desired.owner.reference()] },
        manager: String::new(),
    }
}

fn check_type(shape: &Shape, live: &Live, mode: Mode) -> Result<String, Refusal> {
    let unsaid = shape.kind.as_deref().is_none_or(str::is_empty);
    let follows_live = unsaid && matches!(mode, Mode::Merge { .. });
    if follows_live || shape.effective_kind() == live.kind {
        return Ok(live.kind.clone());
    }
    Err(Refusal::Type { live: live.kind.clone(), desired: shape.effective_kind().to_owned() })
}

fn update(desired: &Desired<'_>, live: &Live, mode: Mode, kind: String) -> Result<Option<Update>, Refusal> {
    let data_is_right = match (desired.content, mode) {
        (Content::Proven, _) => true,
        (Content::Opened(values), Mode::Own) => equal(values, &live.data),
        (Content::Opened(values), Mode::Merge { .. }) => contains(&live.data, values),
    };
    if live.immutable && !data_is_right {
        return Err(Refusal::Immutable);
    }
    let immutable = live.immutable || (desired.shape.immutable == Some(true) && mode == Mode::Own);
    let (labels, annotations) = metadata(desired, live, mode);
    let mut finalizers = live.finalizers.clone();
    let missing = desired.shape.finalizers.iter().filter(|f| !live.finalizers.contains(f));
    finalizers.extend(missing.cloned());
    let owners = owners(desired, live, mode);
    let unchanged = data_is_right
        && immutable == live.immutable
        && labels == live.labels
        && annotations == live.annotations
        && finalizers == live.finalizers
        && owners == live.owners;
    if unchanged {
        return Ok(None);
    }
    let data = match (data_is_right, mode) {
        (true, _) => Data::Live,
        (false, Mode::Own) => Data::Opened,
        (false, Mode::Merge { .. }) => Data::Merged,
    };
    let immutable = immutable.then_some(true);
    let head = Head { kind, immutable, labels, annotations, finalizers, owners, manager: String::new() };
    let resource_version = live.resource_version.clone();
    Ok(Some(Update { resource_version, head, data, dropped: BTreeSet::new() }))
}

type Pairs = BTreeMap<String, String>;

fn metadata(desired: &Desired<'_>, live: &Live, mode: Mode) -> (Pairs, Pairs) {
    let (mut labels, mut annotations) = (live.labels.clone(), live.annotations.clone());
    let mark = match mode {
        Mode::Own => {
            let (our_labels, our_annotations) = ownership::removable(live, desired.owner);
            labels.retain(|name, _| !our_labels.contains(name));
            annotations.retain(|name, _| !our_annotations.contains(name));
            labels.extend(desired.labels.clone());
            Annotations::OWNED
        }
        Mode::Merge { take_ownership: true } => Annotations::OWNED,
        Mode::Merge { take_ownership: false } => Annotations::MERGED,
    };
    labels.extend(desired.shape.labels.clone());
    labels.insert(Annotations::MANAGED_BY.to_owned(), mark.to_owned());
    annotations.extend(desired.shape.annotations.clone());
    (labels, annotations)
}

fn owners(desired: &Desired<'_>, live: &Live, mode: Mode) -> Vec<OwnerRef> {
    if mode == (Mode::Merge { take_ownership: false }) {
        return live.owners.clone();
    }
    let reference = desired.owner.reference();
    let skip = skips_owner(desired.shape);
    if !skip && live.owners.contains(&reference) {
        return live.owners.clone();
    }
    // One object can have one controller: ours replaces whichever there is, other references stay.
    let replaced = |o: &OwnerRef| desired.owner.is_named_by(o) || (o.controller && !skip);
    let mut owners: Vec<_> = live.owners.iter().filter(|o| !replaced(o)).cloned().collect();
    if !skip {
        owners.push(reference);
    }
    owners
}

fn skips_owner(shape: &Shape) -> bool {
    shape.annotations.get(Annotations::SKIP_OWNER).is_some_and(|value| value == "true")
}

fn equal(wanted: &Values, live: &Values) -> bool {
    wanted.len() == live.len() && contains(live, wanted)
}

fn contains(live: &Values, wanted: &Values) -> bool {
    let same = |(key, value): (&String, &Plaintext)| live.get(key).is_some_and(|found| found.same_as(value.expose()));
    wanted.iter().all(same)
}

#[cfg(test)]
mod tests;
