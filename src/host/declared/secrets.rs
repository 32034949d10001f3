//! The secrets that a host uses: sealed in the commit, or fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bulla_crds::SealedSecret;
use jiff::Timestamp;

use super::asked::{What, Wishes};
use super::commit::Commit;
use super::{Answered, Declared, Files, Full, Request, Wanted, Who, elsewhere, opening};
use crate::host::desired::Problem;
use crate::seal::Keyring;
use crate::secret::{Plaintext, Values};

/// The values of each secret that is used; nothing where there are none, and then a problem says why.
pub(super) type Secrets = BTreeMap<Full, Option<Values>>;

/// What was opened, and what is still to be fetched.
pub(super) struct Opened {
    pub(super) secrets: Secrets,
    /// Nothing where nothing has to be fetched.
    pub(super) wanted: Option<Wanted>,
}

/// Opens what the wishes use.
pub(super) fn open(
    commit: &mut Commit,
    wishes: &Wishes,
    who: &Who,
    keyring: &Keyring,
    files: &Arc<Files>,
    now: Timestamp,
) -> Opened {
    let used = used(wishes);
    let mut secrets = Secrets::new();
    let mut by_target = elsewhere::by_target(std::mem::take(&mut commit.externals));
    let mut externals = Vec::new();
    let mut sealed: BTreeSet<&Full> = BTreeSet::new();
    for full in &used {
        let fetched = by_target.remove(full).unwrap_or_default();
        match origin(commit, full, fetched) {
            Ok(Some(external)) => externals.push(external),
            Ok(None) => drop(sealed.insert(full)),
            Err(problem) => {
                commit.problems.push(problem);
                secrets.insert(full.clone(), None);
            }
        }
    }
    elsewhere::keep_stores(commit, &externals);
    let needed: BTreeSet<Full> = elsewhere::secrets(commit, &externals, who);
    let needed: BTreeSet<&Full> = needed.iter().filter(|full| commit.sealed.contains_key(full)).collect();
    let all: Vec<(&Full, &Declared<SealedSecret>)> =
        sealed.union(&needed).filter_map(|full| Some((*full, commit.sealed.get(*full)?.first()?))).collect();
    let objects: Vec<&SealedSecret> = all.iter().map(|(_, found)| &found.object).collect();
    let results = opening::open_all(&objects, keyring, now);
    let (mut for_others, mut problems) = (BTreeMap::new(), Vec::new());
    for ((full, found), result) in all.into_iter().zip(results) {
        if needed.contains(full) {
            for_others.insert(full.clone(), result.as_ref().map(copy).map_err(Clone::clone));
        }
        if let Err(message) = &result {
            let at = Some(found.place());
            problems.push(Problem { object: named("SealedSecret", full), at, message: message.clone() });
        }
        if sealed.contains(full) {
            secrets.insert(full.clone(), result.ok());
        }
    }
    let wanted = (!externals.is_empty()).then(|| Wanted {
        externals,
        stores: std::mem::take(&mut commit.stores),
        cluster_stores: std::mem::take(&mut commit.cluster_stores),
        secrets: for_others,
        config_maps: std::mem::take(&mut commit.config_maps),
        files: Arc::clone(files),
    });
    commit.problems.append(&mut problems);
    Opened { secrets, wanted }
}

/// Adds what was fetched. `asked` says of each ExternalSecret what it makes and where it is written. Returned are those
/// that are gone, as they are to be.
pub(super) fn add(
    secrets: &mut Secrets,
    problems: &mut Vec<Problem>,
    asked: Vec<Label>,
    answered: Answered,
) -> BTreeSet<Full> {
    let Answered { targets, stale, gone, refresh: _ } = answered;
    let mut all_gone = BTreeSet::new();
    for (index, message) in stale {
        if let Some(label) = asked.get(index) {
            problems.push(label.problem(message));
        }
    }
    let mut targets = targets.into_iter();
    for (index, label) in asked.into_iter().enumerate() {
        let target = targets.next().unwrap_or_else(|| Err("was not fetched".to_owned()));
        if gone.contains(&index) {
            all_gone.insert(label.target.clone());
            secrets.insert(label.target, None);
            continue;
        }
        let values = match target {
            Ok(target) => Some(target.data),
            Err(message) => {
                problems.push(label.problem(message));
                None
            }
        };
        secrets.insert(label.target, values);
    }
    all_gone
}

/// Leaves out what has a secret in it that is gone.
pub(super) fn leave_out(wishes: &mut Wishes, gone: &BTreeSet<Full>) {
    wishes.items.retain(|item| match &item.what {
        What::Value(full, _) => !gone.contains(full),
        What::Template(_, secrets) => !secrets.iter().any(|(_, full)| gone.contains(full)),
        What::Source(_) | What::Ready(_) | What::Nothing => true,
    });
    wishes.credentials.retain(|one| one.secret.as_ref().is_none_or(|(full, _)| !gone.contains(full)));
}

/// What an ExternalSecret is called.
pub(super) struct Label {
    target: Full,
    object: String,
    at: String,
}

impl Label {
    /// Those of what is wanted, in its order.
    pub(super) fn all(wanted: &Wanted) -> Vec<Self> {
        wanted.externals.iter().map(Self::of).collect()
    }

    fn of(external: &Declared<Request>) -> Self {
        let request = &external.object;
        Self { target: request.target(), object: named("ExternalSecret", &request.full()), at: external.place() }
    }

    fn problem(&self, message: String) -> Problem {
        Problem { object: self.object.clone(), at: Some(self.at.clone()), message }
    }
}

/// What messages call an object.
pub(super) fn named(kind: &str, (namespace, name): &Full) -> String {
    format!("{kind} {namespace}/{name}")
}

fn copy(values: &Values) -> Values {
    values.iter().map(|(key, value)| (key.clone(), Plaintext::copy_of(value.expose()))).collect()
}

fn used(wishes: &Wishes) -> BTreeSet<Full> {
    let items = wishes.items.iter().flat_map(|item| match &item.what {
        What::Value(full, _) => vec![full.clone()],
        What::Template(_, secrets) => secrets.iter().map(|(_, full)| full.clone()).collect(),
        What::Source(_) | What::Ready(_) | What::Nothing => Vec::new(),
    });
    let credentials = wishes.credentials.iter().filter_map(|one| Some(one.secret.as_ref()?.0.clone()));
    items.chain(credentials).collect()
}

/// Where a secret comes from: the one ExternalSecret that makes it, or nothing for the one SealedSecret.
fn origin(
    commit: &Commit,
    full: &Full,
    mut fetched: Vec<Declared<Request>>,
) -> Result<Option<Declared<Request>>, Problem> {
    let sealed = commit.sealed.get(full).map_or(&[][..], Vec::as_slice);
    let problem = |message: String, at: Option<String>| Err(Problem { object: named("secret", full), at, message });
    match (sealed, fetched.pop()) {
        ([_], None) => Ok(None),
        ([], Some(only)) if fetched.is_empty() => Ok(Some(only)),
        ([], None) => {
            let homeless = commit.homeless.get(&full.1);
            let homeless = homeless.map(|at| format!("; the one at {at} has no metadata.namespace"));
            let of_clusters = commit.of_clusters.get(&full.1).map(|at| {
                format!("; the ClusterExternalSecret at {at} is for clusters: a host takes an ExternalSecret of its namespace")
            });
            let hint = homeless.or(of_clusters).unwrap_or_default();
            problem(format!("no SealedSecret or ExternalSecret of this commit makes it{hint}"), None)
        }
        (sealed, last) => {
            let mut places: Vec<_> = sealed.iter().map(Declared::place).collect();
            places.extend(fetched.iter().chain(&last).map(Declared::place));
            let at = places.first().cloned();
            problem(format!("is made more than once, at {}: none of these is taken", places.join(", ")), at)
        }
    }
}
