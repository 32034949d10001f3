//! What is different between two generations. Owner, group, mode and place count as bytes do: a service that could not
//! read its key must hear of it when it can.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::manifest::{Entry, Manifest};
use crate::host::desired::Role;
use crate::seal::DigestKey;

/// A declared path that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The declared path.
    pub path: PathBuf,
    /// What the file is for; for a removed one, what it was for.
    pub role: Role,
    /// How it changes.
    pub what: What,
}

/// How a file changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// It is new.
    Added,
    /// It is declared no more.
    Removed,
    /// These things of it change, at least one.
    Changed(Vec<Aspect>),
}

/// What can change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Aspect {
    /// What is in it.
    Bytes,
    /// Whose it is.
    Owner,
    /// Which group's.
    Group,
    /// Who may do what.
    Mode,
    /// Link or copy.
    Place,
    /// What it is for.
    Role,
}

/// What is different from `old` to `new`, by path. `damaged` files of the old generation are not what its manifest says:
/// they count as changed too.
pub(super) fn between(old: &Manifest, new: &Manifest, damaged: &BTreeMap<PathBuf, Vec<Aspect>>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (path, entry) in &new.files {
        let what = match old.files.get(path) {
            None => What::Added,
            Some(before) => {
                let mut aspects = aspects(before, entry);
                aspects.extend(damaged.get(path).into_iter().flatten());
                aspects.sort_unstable();
                aspects.dedup();
                if aspects.is_empty() {
                    continue;
                }
                What::Changed(aspects)
            }
        };
        changes.push(Change { path: path.clone(), role: entry.role, what });
    }
    let removed = old.files.iter().filter(|(path, _)| !new.files.contains_key(*path));
    changes.extend(removed.map(|(path, entry)| Change { path: path.clone(), role: entry.role, what: What::Removed }));
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
}

fn aspects(old: &Entry, new: &Entry) -> Vec<Aspect> {
    let differs = [
        (Aspect::Bytes, old.size != new.size || !DigestKey::same(&old.digest, &new.digest)),
        (Aspect::Owner, old.uid != new.uid),
        (Aspect::Group, old.gid != new.gid),
        (Aspect::Mode, old.mode != new.mode),
        (Aspect::Place, old.place != new.place),
        (Aspect::Role, old.role != new.role),
    ];
    differs.into_iter().filter_map(|(aspect, differs)| differs.then_some(aspect)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::{Aspect, What, between};
    use crate::host::desired::{Place, Role};
    use crate::host::sink::manifest::{Entry, Manifest};

    fn entry() -> Entry {
        let digest = "key:aa".to_owned();
        let (role, place) = (Role::File, Place::Link);
        Entry { role, place, uid: 0, gid: 0, mode: 0o400, size: 1, digest, stale: false, secrets: Vec::new() }
    }

    fn manifest(files: &[(&str, Entry)]) -> Manifest {
        let files = files.iter().map(|(path, entry)| (PathBuf::from(path), entry.clone())).collect();
        Manifest { files, ..Manifest::empty() }
    }

    fn one(change: impl FnOnce(&mut Entry)) -> Vec<Aspect> {
        let mut new = entry();
        change(&mut new);
        let changes = between(&manifest(&[("/a", entry())]), &manifest(&[("/a", new)]), &BTreeMap::new());
        match changes.into_iter().next().map(|change| change.what) {
            Some(What::Changed(aspects)) => aspects,
            None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn owner_group_mode_and_place_count_as_bytes_do() {
        assert_eq!(one(|entry| entry.digest = "key:ab".to_owned()), [Aspect::Bytes]);
        assert_eq!(one(|entry| entry.uid = 1), [Aspect::Owner]);
        assert_eq!(one(|entry| entry.gid = 1), [Aspect::Group]);
        assert_eq!(one(|entry| entry.mode = 0o440), [Aspect::Mode]);
        assert_eq!(one(|entry| entry.place = Place::Copy), [Aspect::Place]);
        assert_eq!(one(|entry| entry.role = Role::Cron), [Aspect::Role]);
        assert_eq!(one(|entry| (entry.uid, entry.mode) = (1, 0o600)), [Aspect::Owner, Aspect::Mode]);
    }

    #[test]
    fn what_people_see_of_a_file_is_no_change() {
        assert_eq!(one(|entry| entry.secrets.push("web/tls".to_owned())), []);
        assert_eq!(one(|entry| entry.stale = true), []);
    }

    #[test]
    fn new_and_removed_paths_are_changes_in_order() {
        let (old, new) = (manifest(&[("/b", entry()), ("/c", entry())]), manifest(&[("/a", entry()), ("/c", entry())]));
        let changes: Vec<_> = between(&old, &new, &BTreeMap::new()).into_iter().map(|c| (c.path, c.what)).collect();
        assert_eq!(changes, [(PathBuf::from("/a"), What::Added), (PathBuf::from("/b"), What::Removed)]);
    }

    #[test]
    fn a_file_that_was_edited_in_place_changes_although_the_commit_does_not() {
        let damaged = BTreeMap::from([(PathBuf::from("/a"), vec![Aspect::Mode])]);
        let changes = between(&manifest(&[("/a", entry())]), &manifest(&[("/a", entry())]), &damaged);
        assert_eq!(changes.first().map(|change| &change.what), Some(&What::Changed(vec![Aspect::Mode])));
    }
}
