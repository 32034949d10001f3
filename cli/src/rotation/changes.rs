//! What is different from the commit that is checked out: counted from the files, so that it is the same however often
//! the run was killed on its way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::keys;
use super::state::State;
use crate::document::{Document, MAX_BYTES, Replacement as NewValue};
use crate::failure::Outcome;
use crate::git::Checkout;
use crate::repository::FILE_NAME;
use crate::repository::rewrite::{self, Replacement};

/// The differences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Values that are sealed anew.
    pub(super) values: u64,
    /// Files with such values.
    pub(super) files: u64,
    /// Files in which nothing but sealed values and recipients is different.
    pub(super) ours: Vec<PathBuf>,
    /// Files in which something else is different too.
    pub(super) foreign: Vec<PathBuf>,
}

/// What the files of a run have that is not committed.
pub(super) fn of_run(checkout: &Checkout, state: &State) -> Outcome<Changes> {
    let replaced = keys::replacements(&state.old, &state.new)?;
    let head = checkout.head()?.unwrap_or_else(|| state.origin.commit.clone());
    since(checkout, &head, &state.files, |path, old| rewritten(checkout, path, old, &replaced))
}

/// What the run makes of a file that names recipients.
fn rewritten(checkout: &Checkout, path: &Path, old: &str, changes: &[Replacement]) -> Option<String> {
    let full = checkout.root().join(path);
    if path.file_name().is_some_and(|name| name == FILE_NAME) {
        return rewrite::rules(&full, old, changes).ok().flatten();
    }
    rewrite::recipient_file(&full, old, changes).ok().flatten()
}

/// Compares files (from the root) with a commit. `rewritten` says what the run makes of a file of rules, from its old
/// text.
fn since(
    checkout: &Checkout,
    commit: &str,
    files: &[PathBuf],
    rewritten: impl Fn(&Path, &str) -> Option<String>,
) -> Outcome<Changes> {
    let mut blobs: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
    let mut there: BTreeMap<PathBuf, String> =
        checkout.files_of(commit)?.into_iter().map(|(blob, path)| (path, blob)).collect();
    for file in files {
        if let Some(blob) = there.remove(file) {
            blobs.entry(blob).or_default().push(file);
        }
    }
    let mut changes = Changes::default();
    let wanted: Vec<&str> = blobs.keys().map(String::as_str).collect();
    checkout.each_blob(&wanted, MAX_BYTES, |blob, bytes| {
        let Ok(old) = String::from_utf8(bytes) else { return };
        for file in blobs.get(blob).into_iter().flatten() {
            let new = fs::read_to_string(checkout.root().join(file)).unwrap_or_default();
            if is_same(&new, &old) {
                continue;
            }
            match values(&old, &new) {
                Some(values) => {
                    changes.values += values;
                    changes.files += 1;
                    changes.ours.push((*file).clone());
                }
                None if rewritten(file, &old).is_some_and(|expected| is_same(&expected, &new)) => {
                    changes.ours.push((*file).clone())
                }
                None => changes.foreign.push((*file).clone()),
            }
        }
    })?;
    changes.ours.sort();
    changes.foreign.sort();
    Ok(changes)
}

/// How many values are sealed anew; `None` if something else is different too.
fn values(old: &str, new: &str) -> Option<u64> {
    let mut old = Document::parse(old.to_owned()).ok()?;
    let now = Document::parse(new.to_owned()).ok()?;
    let mut replaced = Vec::new();
    if old.manifests().len() != now.manifests().len() {
        return None;
    }
    for (manifest, (before, after)) in old.manifests().iter().zip(now.manifests()).enumerate() {
        for entry in &before.entries {
            let value = after.entry(&entry.key)?.value.clone();
            if value != entry.value {
                replaced.push(NewValue { manifest, key: entry.key.clone(), value: value? });
            }
        }
    }
    if replaced.is_empty() {
        return None;
    }
    old.replace_all(&replaced).ok()?;
    is_same(old.text(), new).then_some(replaced.len() as u64)
}

/// Whether two texts are the same but for line ends, which Git may keep in another way than the working tree.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one == other
        || one.lines().eq(other.lines()) && one.ends_with('\n') == other.ends_with('\n')
}

#[cfg(test)]
mod tests {
    use super::values;

    const OLD: &str = "# the database\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  \
                       encryptedData:\n    a: AgA=  # one\n    b: AgB=\n";

    #[test]
    fn new_values_are_counted_and_anything_else_is_noticed() {
        assert_eq!(values(OLD, &OLD.replace("AgA=", "AgC=").replace("AgB=", "AgD=")), Some(2));
        assert_eq!(values(OLD, &OLD.replace("AgA=", "AgC=").replace("# one", "# two")), None);
        assert_eq!(values(OLD, &OLD.replace("name: db", "name: other")), None);
        assert_eq!(values(OLD, "not: [a manifest"), None);
        assert_eq!(values(OLD, &OLD.replace("AgA=", "AgC=").replace('\n', "\r\n")), Some(1));
        assert_eq!(values(OLD, OLD.replace("AgA=", "AgC=").trim_end()), None);
    }
}
