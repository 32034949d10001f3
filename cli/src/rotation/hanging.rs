//! What still needs an old key: the branch where the run began, other branches, and the objects of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bulla::seal::KeyId;
use serde::Serialize;

use super::board::count;
use super::keys::is_rsa;
use super::prepare::{Manifests, wanted};
use super::rules;
use super::state::{Committed, State, ids};
use super::survey::{Survey, Wanted};
use crate::cluster::{self, PublishedKey};
use crate::failure::{OrFail as _, Outcome};
use crate::git::Checkout;
use crate::keys::{Uses, Wanted as WantedObjects};

/// Branches that are looked at, the newest first: old ones live for ever, and nobody merges them.
const BRANCHES: usize = 100;
/// Files and objects that are named.
const NAMED: usize = 50;

/// Everything that needs an old key; the names of the fields are part of the output.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hanging {
    /// Where the run began, and what it is pushed to; the last one decides.
    pub(super) base: Vec<Branch>,
    /// Whether the run's commit is in that one.
    pub(super) merged: bool,
    /// The branch that the remote has checked out, where it is another one: what is in it is not over either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<Branch>,
    /// Other branches with values that are sealed to an old key: they will not open after the key is retired.
    pub(super) branches: Vec<Branch>,
    /// Live values by key, where there is a cluster.
    pub(super) live: BTreeMap<String, Live>,
    /// Live objects with kubeseal's values that no key has opened, so that nobody knows which they need.
    pub(super) unopened: u64,
}

/// A branch with such values.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Branch {
    pub(super) name: String,
    /// Values that are sealed to an old key.
    pub(super) values: u64,
    /// Values that do not say to which key.
    pub(super) unnamed: u64,
    /// Those of them that the run is about and did not seal again: nobody can say that they do not need the old key.
    pub(super) left: u64,
    /// The first files with such values.
    pub(super) files: Vec<String>,
    #[serde(skip)]
    by_key: BTreeMap<KeyId, u64>,
}

/// What of a cluster needs a key.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Live {
    pub(super) values: u64,
    pub(super) objects: u64,
    /// The first of them, as `namespace/name`.
    pub(super) named: Vec<String>,
}

impl Hanging {
    /// Looks everywhere.
    pub(super) fn look(checkout: &Checkout, state: &State) -> Outcome<Self> {
        let manifests = Manifests::read(checkout, &state.wish)?;
        let wanted = wanted(&state.old, &state.wish);
        let mut seen = BTreeMap::new();
        let left = Left::of(checkout, state)?;
        let mut survey = |name: &str, commit: &str| -> Outcome<Branch> {
            let found = Survey::of_commit(checkout, commit, &wanted, |path| manifests.takes(path), &mut seen)?;
            let left = left.count(checkout, commit, &found)?;
            Ok(Branch { left, ..Branch::of(name, &found, &wanted) })
        };
        let mut hanging = Self::default();
        let bases = bases(checkout, state)?;
        let mut tips = Vec::new();
        for (name, commit) in &bases {
            hanging.base.push(survey(name, commit)?);
            tips.push(commit.as_str());
        }
        if let (Some((_, tip)), Some(branch)) = (bases.last(), hanging.base.last()) {
            hanging.merged = has_commit(checkout, state, tip)? || branch.holds_no_more_than(state);
        }
        if let Some((name, commit)) = default_branch(checkout)?.filter(|(_, commit)| !tips.contains(&commit.as_str())) {
            hanging.default = Some(survey(&name, &commit)?);
        }
        for (name, commit) in branches(checkout)? {
            let is_default = hanging.default.as_ref().is_some_and(|branch| branch.name == name);
            let is_looked_at =
                bases.iter().any(|(base, _)| *base == name) || tips.contains(&commit.as_str()) || is_default;
            if !is_looked_at && Some(&name) != state.branch.as_ref() {
                let branch = survey(&name, &commit)?;
                if branch.values > 0 {
                    hanging.branches.push(branch);
                }
            }
        }
        // Nobody who leaves the key alone needs the right to look at every object.
        if !state.wish.is_offline() && !state.wish.keep_old {
            hanging.ask_cluster(state)?;
        }
        Ok(hanging)
    }

    fn ask_cluster(&mut self, state: &State) -> Outcome {
        let all = ids(&state.old).iter().map(ToString::to_string).collect();
        let wanted = WantedObjects { ids: all, is_rsa: state.old.iter().any(is_rsa) };
        let uses = cluster::block_on(async {
            let client = cluster::connect(&state.wish.cluster().connection).await?;
            Uses::read(&client, wanted).await
        })?;
        for key in &state.old {
            let used = uses.of(&key.id);
            if used.values > 0 {
                let needs = uses.objects.iter().filter(|object| object.needs_it);
                let named = needs.map(|object| format!("{}/{}", object.namespace, object.name)).take(NAMED).collect();
                self.live.insert(key.id.clone(), Live { values: used.values, objects: used.objects, named });
            }
        }
        if state.old.iter().any(is_rsa) {
            self.unopened = uses.unknown.len() as u64;
        }
        Ok(())
    }

    /// Where the run began: what decides.
    pub(super) fn decisive(&self) -> Option<&Branch> {
        self.base.last()
    }

    /// Why a key cannot be retired yet, in words.
    pub(super) fn reasons(&self, key: &PublishedKey) -> Vec<String> {
        let mut reasons = Vec::new();
        for branch in self.decisive().into_iter().chain(&self.default) {
            let id = key.id.parse::<KeyId>().ok();
            let values = id.and_then(|id| branch.by_key.get(&id).copied()).unwrap_or_default();
            if values > 0 {
                reasons.push(format!("{} in Git on {}", count(values, "value"), branch.name));
            }
            if is_rsa(key) && branch.left > 0 {
                reasons.push(format!(
                    "{} in Git on {} that could not be sealed again and may need it, since kubeseal's values name no key",
                    count(branch.left, "value"),
                    branch.name
                ));
            }
        }
        if let Some(live) = self.live.get(&key.id) {
            reasons.push(format!(
                "{} in {} of the cluster",
                count(live.values, "live value"),
                count(live.objects, "object")
            ));
        }
        if is_rsa(key) && self.unopened > 0 {
            reasons.push(format!("{} of the cluster that no key has opened yet", count(self.unopened, "object")));
        }
        reasons
    }
}

impl Branch {
    fn of(name: &str, found: &Survey, wanted: &Wanted) -> Self {
        let by_key: BTreeMap<KeyId, u64> = wanted.ids.iter().map(|id| (*id, found.values_of(id))).collect();
        let files = found.files.iter().take(NAMED).map(|(path, _)| path.display().to_string()).collect();
        Self { name: name.to_owned(), values: found.values(), unnamed: found.unnamed(), left: 0, files, by_key }
    }

    /// Whether all that the run has sealed again is in it.
    fn holds_no_more_than(&self, state: &State) -> bool {
        let failed = state.sealed.unwrap_or_default().failed;
        self.values <= failed && (self.unnamed == 0 || state.committed == Some(Committed::Nothing))
    }
}

/// Which of the values that name no key the run leaves behind.
enum Left<'a> {
    Nothing,
    /// The run moves all of its values to a key that they name: what names none was not sealed again.
    Unnamed(&'a State, Vec<KeyId>),
    /// They go on naming none: those of files that failed, as long as the files are as the run left them.
    Failed(BTreeSet<(String, PathBuf)>),
}

impl<'a> Left<'a> {
    fn of(checkout: &Checkout, state: &'a State) -> Outcome<Self> {
        if !state.old.iter().any(is_rsa) {
            return Ok(Self::Nothing);
        }
        if state.wish.native || !state.new.iter().any(is_rsa) {
            return Ok(Self::Unnamed(state, [ids(&state.old), ids(&state.new)].concat()));
        }
        let commit = match &state.committed {
            Some(Committed::As(commit)) => commit,
            Some(Committed::ByHand | Committed::Nothing) | None => &state.origin.commit,
        };
        let mut files = checkout.files_of(commit)?;
        files.retain(|(_, path)| state.failed_in.contains(path));
        Ok(Self::Failed(files.into_iter().collect()))
    }

    /// How many a commit has.
    fn count(&self, checkout: &Checkout, commit: &str, found: &Survey) -> Outcome<u64> {
        let unnamed = found.files.iter().filter(|(_, held)| held.unnamed > 0);
        let mut left = 0;
        match self {
            Self::Nothing => {}
            Self::Unnamed(state, ours) => {
                for (path, held) in unnamed.filter(|(path, _)| path.starts_with(&state.wish.path)) {
                    // They may be those of another cluster, which the rule then tells.
                    left += if rules::allows(path, ours)? { held.unnamed } else { 0 };
                }
            }
            Self::Failed(failed) if failed.is_empty() => {}
            Self::Failed(failed) => {
                let files: BTreeSet<(String, PathBuf)> = checkout.files_of(commit)?.into_iter().collect();
                let same: BTreeSet<&PathBuf> = files.intersection(failed).map(|(_, path)| path).collect();
                left += unnamed.filter(|(path, _)| same.contains(path)).map(|(_, held)| held.unnamed).sum::<u64>();
            }
        }
        Ok(left)
    }
}

/// The branch where the run began, and the one that it is pushed to. Without a branch, what the remote has checked out;
/// without that, what is checked out here. None where nobody can tell.
fn bases(checkout: &Checkout, state: &State) -> Outcome<Vec<(String, String)>> {
    let mut bases = Vec::new();
    let mut add = |name: &str, reference: &str| -> Outcome {
        if let Some(commit) = checkout.commit_of(reference)? {
            bases.push((name.to_owned(), commit));
        }
        Ok(())
    };
    match &state.origin.branch {
        Some(branch) => {
            add(branch, &format!("refs/heads/{branch}"))?;
            if let Some(upstream) = checkout.upstream_of(branch)? {
                add(upstream.trim_start_matches("refs/remotes/"), &upstream)?;
            }
        }
        None => add("origin/HEAD", "refs/remotes/origin/HEAD")?,
    }
    // The run's own branch does not say where it is merged.
    if bases.is_empty() && (state.branch.is_none() || checkout.branch()? != state.branch) {
        let head = checkout.head()?;
        bases.extend(head.map(|commit| ("HEAD".to_owned(), commit)));
    }
    Ok(bases)
}

/// The branch that the remote has checked out: what most people mean by "the repository".
fn default_branch(checkout: &Checkout) -> Outcome<Option<(String, String)>> {
    let Some(commit) = checkout.commit_of("refs/remotes/origin/HEAD")? else { return Ok(None) };
    let named = checkout.ask("rev-parse", ["--abbrev-ref", "refs/remotes/origin/HEAD"])?;
    Ok(Some((String::from_utf8_lossy(&named).trim_end().to_owned(), commit)))
}

/// Whether a branch has the run's commit, as it is or in another one that repeats its message.
fn has_commit(checkout: &Checkout, state: &State, tip: &str) -> Outcome<bool> {
    let Some(Committed::As(commit)) = &state.committed else { return Ok(false) };
    Ok(checkout.is_ancestor(commit, tip)?
        || checkout.mentions(&state.origin.commit, tip, &super::commit::trailer(state))?)
}

/// Local and remote branches by name, with their commits.
fn branches(checkout: &Checkout) -> Outcome<Vec<(String, String)>> {
    let number = format!("--count={BRANCHES}");
    let said = checkout.ask(
        "for-each-ref",
        [
            "--sort=-committerdate",
            &number,
            "--format=%(objectname) %(symref) %(refname:short)",
            "refs/heads",
            "refs/remotes",
        ],
    )?;
    let said = String::from_utf8(said).or_usage("listing the branches")?;
    let branch = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (commit, symbolic, name) = (words.next()?, words.next()?, words.next()?);
        symbolic.is_empty().then(|| (name.to_owned(), commit.to_owned()))
    };
    Ok(said.lines().filter_map(branch).collect())
}
