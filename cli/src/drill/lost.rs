//! What does not open, by what is missing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bulla::seal::{KeyId, Refusal};
use jiff::civil::Date;
use serde::Serialize;

use super::opening::{Failing, Fingerprint};
use crate::git::{Commit, Git, History, Moment, ObjectId};

/// Of how many files the commits are looked up, and named.
const DATED: usize = 256;

/// Why values do not open: what they have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cause {
    /// A stable word.
    pub(crate) reason: &'static str,
    /// The keys of which any would open them, as far as they are named.
    pub(crate) keys: Vec<KeyId>,
    /// A sentence about the value.
    pub(crate) message: String,
}

impl Cause {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of all others the message names neither a place nor a number")]
    pub(super) fn of(refusal: &Refusal) -> Self {
        let (mut keys, message) = match refusal {
            Refusal::UnknownKey { ids } => (ids.clone(), refusal.to_string()),
            Refusal::LockedKey { id } => (vec![*id], refusal.to_string()),
            Refusal::WrongScope { .. } => {
                (Vec::new(), "was sealed for another place than the one where it stands".to_owned())
            }
            Refusal::UnknownVersion { .. } => (Vec::new(), "was written by a newer version of bulla".to_owned()),
            Refusal::TooLarge { .. } => (Vec::new(), "is longer than a sealed value may be".to_owned()),
            other => (Vec::new(), other.to_string()),
        };
        keys.sort_unstable();
        Self { reason: refusal.reason(), keys, message }
    }

    /// A file that holds sealed values and is no YAML.
    pub(super) fn unreadable() -> Self {
        Self {
            reason: "Unreadable",
            keys: Vec::new(),
            message: "is in a file that is neither YAML nor JSON".to_owned(),
        }
    }

    /// What there is to do about it.
    pub(crate) const fn mend(&self) -> &'static str {
        match self.reason.as_bytes() {
            b"UnknownKey" => {
                "look for the key: in older backups, with other custodians, in a cluster that is still there (`bulla keys backup`). If it is gone, so are these values: seal the secrets of the newest commit afresh"
            }
            b"LockedKey" => {
                "the key is in the backup, but wrapped: give what unwraps it too, or make a backup with --unwrap"
            }
            b"NoKeyOpens" => {
                "kubeseal's format names no key: give every key that a cluster ever had, also the expired ones. If all are here, the value was altered or moved"
            }
            b"WrongScope" | b"ScopeDisagrees" | b"Unbound" => {
                "no cluster opens it there either: put the object back in its place, or seal the value for this one"
            }
            _ => "take the value over from a commit that has it whole (`git log -p -- FILE`), or seal it afresh",
        }
    }
}

/// Values that do not open for one reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Loss {
    #[serde(flatten)]
    pub(crate) cause: Cause,
    /// How many different ones.
    pub(crate) values: usize,
    /// How many of them the newest commit has.
    pub(crate) in_newest: usize,
    /// When they were sealed, as far as they say.
    pub(crate) sealed_from: Option<Date>,
    pub(crate) sealed_until: Option<Date>,
    /// The oldest commit that has one.
    pub(crate) first: Option<Named>,
    pub(crate) files: Vec<LostFile>,
    /// How many more files there are.
    pub(crate) more_files: usize,
}

/// A file with values that do not open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LostFile {
    pub(crate) path: String,
    /// Object and data key of each.
    pub(crate) values: Vec<LostValue>,
    pub(crate) in_newest: bool,
    /// The commits that brought them: whoever goes back to one of these has values that do not open.
    pub(crate) commits: Vec<Named>,
    /// The commit after which none of them is in the file any more.
    pub(crate) until: Option<Named>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct LostValue {
    pub(crate) object: String,
    pub(crate) key: String,
}

/// A commit and its day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Named {
    pub(crate) commit: String,
    pub(crate) date: String,
}

impl Named {
    fn of(commit: &Commit) -> Self {
        Self { commit: commit.id.to_string(), date: commit.authored.date() }
    }

    /// As people write it.
    pub(crate) fn short(&self) -> &str {
        self.commit.get(..10).unwrap_or(&self.commit)
    }
}

/// Losses as they are found.
#[derive(Default)]
pub(super) struct Losses {
    by_cause: BTreeMap<Cause, Tally>,
}

#[derive(Default)]
struct Tally {
    values: HashSet<Fingerprint>,
    newest: HashSet<Fingerprint>,
    sealed: Option<(Date, Date)>,
    first: Option<(Moment, Named)>,
    files: BTreeMap<String, File>,
}

#[derive(Default)]
struct File {
    values: BTreeSet<LostValue>,
    blobs: HashSet<ObjectId>,
    in_newest: bool,
    commits: Vec<Named>,
    until: Option<Named>,
}

impl Losses {
    /// Adds a value at a place, with the oldest commit that has it there.
    pub(super) fn add(&mut self, one: Failing, commit: Option<&Commit>) {
        let tally = self.by_cause.entry((*one.cause).clone()).or_default();
        tally.values.insert(one.value);
        if one.in_newest {
            tally.newest.insert(one.value);
        }
        if let Some(day) = one.sealed {
            let (from, until) = tally.sealed.unwrap_or((day, day));
            tally.sealed = Some((from.min(day), until.max(day)));
        }
        if let Some(commit) = commit
            && tally.first.as_ref().is_none_or(|(at, _)| commit.authored < *at)
        {
            tally.first = Some((commit.authored, Named::of(commit)));
        }
        let file = tally.files.entry(one.path).or_default();
        file.values.insert(LostValue { object: one.object, key: one.key });
        file.blobs.insert(one.blob);
        file.in_newest |= one.in_newest;
    }

    /// Finds the commits that brought them, and those after which they were gone.
    pub(super) fn date(&mut self, git: &Git, history: &History) {
        let paths: BTreeSet<&String> = self.by_cause.values().flat_map(|tally| tally.files.keys()).collect();
        let paths: Vec<String> = paths.into_iter().take(DATED).cloned().collect();
        let changes: HashMap<String, _> = paths.iter().cloned().zip(git.commits_of(history, &paths)).collect();
        for (path, file) in self.by_cause.values_mut().flat_map(|tally| &mut tally.files) {
            let Some(changes) = changes.get(path) else { continue };
            let has = |blob: Option<ObjectId>| blob.is_some_and(|blob| file.blobs.contains(&blob));
            file.commits = changes.iter().filter(|change| has(change.blob)).map(|one| Named::of(one.commit)).collect();
            let last = changes.iter().rposition(|change| has(change.blob));
            let after = last.and_then(|last| changes.get(last + 1));
            file.until = after.filter(|_| !file.in_newest).map(|change| Named::of(change.commit));
        }
    }

    /// What of it is told: what the newest commit has first, then what there is most of.
    pub(super) fn done(self) -> Vec<Loss> {
        let mut losses: Vec<Loss> = self
            .by_cause
            .into_iter()
            .map(|(cause, tally)| {
                let mut files: Vec<(String, File)> = tally.files.into_iter().collect();
                files.sort_by_key(|(_, file)| !file.in_newest);
                let more_files = files.len().saturating_sub(DATED);
                files.truncate(DATED);
                let told = |(path, file): (String, File)| LostFile {
                    path,
                    values: file.values.into_iter().collect(),
                    in_newest: file.in_newest,
                    commits: file.commits,
                    until: file.until,
                };
                Loss {
                    cause,
                    values: tally.values.len(),
                    in_newest: tally.newest.len(),
                    sealed_from: tally.sealed.map(|(from, _)| from),
                    sealed_until: tally.sealed.map(|(_, until)| until),
                    first: tally.first.map(|(_, commit)| commit),
                    files: files.into_iter().map(told).collect(),
                    more_files,
                }
            })
            .collect();
        losses.sort_by_key(|loss| Reverse((loss.in_newest, loss.values)));
        losses
    }
}
