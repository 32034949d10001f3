//! Which values are sealed to which keys, from what they say about themselves: in files, and in commits.
//!
//! kubeseal's values name no key. They are counted apart, since nobody can tell whether an old key opens them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bulla::seal::{self, Format, KeyId};
use bulla_crds::sealed_secret::KIND;
use rayon::prelude::*;

use crate::document::{Document, MAX_BYTES};
use crate::failure::Outcome;
use crate::git::Checkout;
use crate::output::Progress;

/// What one text holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Values by the keys that they name; a value to two keys counts for both.
    pub(super) by_key: BTreeMap<KeyId, u64>,
    /// Values that name at least one of the keys that were asked for.
    pub(super) wanted: u64,
    /// Values that name no key.
    pub(super) unnamed: u64,
    /// Who else opens the values that were asked for.
    pub(super) beside: BTreeSet<KeyId>,
    /// The different sets of keys that values are sealed to; the empty one stands for values that name no key.
    pub(super) sealed_to: BTreeSet<BTreeSet<KeyId>>,
}

/// What files hold, those only that hold something that was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// In the order of the list.
    pub(super) files: Vec<(PathBuf, Held)>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The keys.
    pub(super) ids: BTreeSet<KeyId>,
    /// Whether values that name no key count too: one of the keys is kubeseal's.
    pub(super) with_unnamed: bool,
}

impl Wanted {
    fn is_met(&self, held: &Held) -> bool {
        held.wanted > 0 || (self.with_unnamed && held.unnamed > 0)
    }

    /// What a text holds; `None` where it holds no value that is asked for, or cannot be read as manifests.
    fn look(&self, bytes: Vec<u8>) -> Option<Held> {
        let text = String::from_utf8(bytes).ok().filter(|text| text.contains(KIND))?;
        let document = Document::parse(text).ok()?;
        let mut held = Held::default();
        for manifest in document.manifests().iter().filter(|manifest| manifest.is_sealed_secret()) {
            for sealed in manifest.entries.iter().filter_map(|entry| entry.value.as_deref()) {
                let Ok(looked) = seal::inspect(sealed) else { continue };
                match (looked.format, looked.binding) {
                    (Format::Native, Some(binding)) => {
                        held.sealed_to.insert(binding.keys.iter().copied().collect());
                        binding.keys.iter().for_each(|id| *held.by_key.entry(*id).or_default() += 1);
                        if binding.keys.iter().any(|id| self.ids.contains(id)) {
                            held.wanted += 1;
                            held.beside.extend(binding.keys.iter().filter(|id| !self.ids.contains(id)));
                        }
                    }
                    (Format::Kubeseal, _) | (Format::Native, None) => {
                        held.sealed_to.insert(BTreeSet::new());
                        held.unnamed += 1;
                    }
                }
            }
        }
        self.is_met(&held).then_some(held)
    }
}

impl Survey {
    /// Looks at files, given from `root`, on all processors.
    pub(super) fn of_files(root: &Path, files: &[PathBuf], wanted: &Wanted, progress: &Progress) -> Self {
        let look = |path: &PathBuf| {
            let file = root.join(path);
            let is_short = fs::metadata(&file).is_ok_and(|found| found.len() <= MAX_BYTES as u64);
            let held = if is_short { fs::read(&file).ok().and_then(|bytes| wanted.look(bytes)) } else { None };
            progress.add(1);
            Some((path.clone(), held?))
        };
        Self { files: files.par_iter().filter_map(look).collect() }
    }

    /// Looks at the manifests of a commit. `seen` remembers blobs, so that many commits with the same files cost what
    /// one costs.
    pub(super) fn of_commit(
        checkout: &Checkout,
        commit: &str,
        wanted: &Wanted,
        is_wanted: impl Fn(&Path) -> bool,
        seen: &mut BTreeMap<String, Option<Held>>,
    ) -> Outcome<Self> {
        let files: Vec<(String, PathBuf)> =
            checkout.files_of(commit)?.into_iter().filter(|(_, path)| is_wanted(path)).collect();
        let new: BTreeSet<&String> =
            files.iter().map(|(blob, _)| blob).filter(|blob| !seen.contains_key(*blob)).collect();
        let new: Vec<&str> = new.into_iter().map(String::as_str).collect();
        checkout.each_blob(&new, MAX_BYTES, |blob, bytes| drop(seen.insert(blob.to_owned(), wanted.look(bytes))))?;
        let held = |(blob, path): (String, PathBuf)| Some((path, seen.get(&blob)?.clone()?));
        Ok(Self { files: files.into_iter().filter_map(held).collect() })
    }

    /// Values that name one of the keys.
    pub(super) fn values(&self) -> u64 {
        self.files.iter().map(|(_, held)| held.wanted).sum()
    }

    /// Values that name no key.
    pub(super) fn unnamed(&self) -> u64 {
        self.files.iter().map(|(_, held)| held.unnamed).sum()
    }

    /// Values that name `id`.
    pub(super) fn values_of(&self, id: &KeyId) -> u64 {
        self.files.iter().filter_map(|(_, held)| held.by_key.get(id)).sum()
    }
}

#[cfg(test)]
mod tests {
    use bulla::seal::{Binding, Identity, Place, Recipient, Scope};
    use bulla::secret::Plaintext;

    use super::*;

    fn sealed(to: &[Recipient]) -> String {
        let place = Place { namespace: "prod", name: "db", key: "a" };
        let binding = Binding::new(Scope::Strict, place, jiff::civil::date(2026, 1, 2));
        seal::seal(to, &Plaintext::from("canary".to_owned()), &binding).unwrap()
    }

    #[test]
    fn values_are_counted_by_the_keys_that_they_name() {
        let key = || Identity::generate_x25519().unwrap().recipient().clone();
        let (old, other) = (key(), key());
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, values: &[String]| {
            let values: String = values.iter().enumerate().map(|(at, value)| format!("    k{at}: {value}\n")).collect();
            let text = format!(
                "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  encryptedData:\n{values}"
            );
            crate::output::write_file(&folder.path().join(name), text.as_bytes(), crate::output::Access::Ordinary).ok();
        };
        file("both.yaml", &[sealed(&[old.clone(), other.clone()]), sealed(std::slice::from_ref(&other))]);
        file("other.yaml", &[sealed(std::slice::from_ref(&other))]);
        file("old.yaml", &[sealed(std::slice::from_ref(&old)), "not sealed".to_owned()]);
        let files: Vec<PathBuf> = ["both.yaml", "gone.yaml", "old.yaml", "other.yaml"].map(PathBuf::from).into();
        let wanted = Wanted { ids: [old.key_id()].into(), with_unnamed: false };
        let survey = Survey::of_files(folder.path(), &files, &wanted, &Progress::hidden());
        let names: Vec<_> = survey.files.iter().map(|(path, _)| path.display().to_string()).collect();
        assert_eq!(names, ["both.yaml", "old.yaml"]);
        assert_eq!((survey.values(), survey.values_of(&other.key_id()), survey.unnamed()), (2, 2, 0));
    }
}
