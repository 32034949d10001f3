//! A manifest file, edited in place.
//!
//! Files in a repository are written by people: comments, order, quoting, indentation, line endings, byte order mark
//! and document markers are theirs. An edit changes the bytes of one entry of `spec.encryptedData` and no others.
//!
//! Every edit is checked by reading the result: if any SealedSecret in it is not exactly what was asked for, the edit is an error
//! and the text stays as it was. Aliases, anchors, merge keys and explicit types on what would be edited are errors
//! too. Each edit costs time in proportion to the file: use [`Document::set_all`] or
//! [`Document::replace_all`] for many keys at once.
//!
//! [`emit`] writes new files.

pub(crate) mod emit;

mod edit;
mod error;
mod insert;
mod layout;
mod manifest;
mod remove;
mod scalar;
mod source;
mod strings;
mod tree;

use std::collections::BTreeMap;

pub(crate) use emit::{SealedManifest, SealedTemplate};
pub(crate) use error::DocumentError;
pub(crate) use layout::{Layout, Placed};
pub(crate) use manifest::{Entry, Manifest};
pub(crate) use scalar::is_typed;
pub(crate) use strings::replace_strings;

use edit::Splice;
use tree::Node;

/// The longest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// The most values that a file may hold.
const MAX_NODES: usize = 1 << 20;

/// One file: its text, and where the manifests in it are.
#[derive(Debug)]
pub(crate) struct Document {
    text: String,
    roots: Vec<Node>,
    manifests: Vec<Manifest>,
}

/// A new value for an entry that is there.
pub(crate) struct Replacement {
    /// Index of the SealedSecret in [`Document::manifests`].
    pub(crate) manifest: usize,
    /// The data key.
    pub(crate) key: String,
    /// What it is from now on.
    pub(crate) value: String,
}

/// The entries that a SealedSecret must have after an edit; `None` is a value that is not a string.
type Expected = BTreeMap<String, Option<String>>;

impl Document {
    /// Reads a file: YAML of one or more documents, or JSON.
    ///
    /// # Errors
    /// The file is too long, is neither YAML nor JSON, or has a key twice where only one can count.
    pub(crate) fn parse(text: String) -> Result<Self, DocumentError> {
        if text.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge { size: text.len(), limit: MAX_BYTES });
        }
        let roots = tree::parse(&text, MAX_NODES)?;
        let manifests = manifest::read(&roots)?;
        Ok(Self { text, roots, manifests })
    }

    /// Every Kubernetes object in the file, in order; the items of a List count one by one.
    pub(crate) fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// The text, with all edits so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Sets one entry of a SealedSecret: replaces the value, or adds the key after the last one.
    ///
    /// # Errors
    /// See [`DocumentError`]; the document is then unchanged.
    pub(crate) fn set(&mut self, manifest: usize, key: &str, value: &str) -> Result<(), DocumentError> {
        self.set_all(manifest, &[(key, value)])
    }

    /// Sets many entries of a SealedSecret in one go. New keys are added in the order given; of a key given twice
    /// the last value counts.
    ///
    /// # Errors
    /// See [`DocumentError`]; the document is then unchanged.
    pub(crate) fn set_all(&mut self, manifest: usize, entries: &[(&str, &str)]) -> Result<(), DocumentError> {
        let object = self.sealed_secret(manifest)?;
        let data = object.find("spec").and_then(|spec| Some((&spec.value, &spec.value.find("encryptedData")?.value)));
        let pairs = data.map(|(_, data)| data.pairs()).unwrap_or_default();
        let old: BTreeMap<_, _> = pairs.iter().filter_map(|pair| Some((pair.key.text()?, pair))).collect();
        let wanted: BTreeMap<_, _> = entries.iter().copied().collect();
        let mut splices = Vec::new();
        for (key, value) in &wanted {
            if let Some(pair) = old.get(key) {
                edit::replace(&self.text, pair, value, &mut splices)?;
            }
        }
        if let Some((spec, data)) = data {
            for node in [spec, data] {
                edit::refuse_shared(node)?;
                edit::refuse_merge(node)?;
            }
        }
        let mut new: Vec<(&str, &str)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (key, _) in entries {
            if !old.contains_key(key) && seen.insert(*key) {
                new.push((key, wanted[key]));
            }
        }
        insert::insert(&self.text, object, &new, &mut splices)?;
        let mut expected = self.expected(manifest);
        expected.extend(wanted.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))));
        self.commit(splices, &BTreeMap::from([(manifest, expected)]))
    }

    /// Whether the value of an entry could be replaced.
    ///
    /// # Errors
    /// See [`DocumentError`].
    pub(crate) fn check_replaceable(&self, manifest: usize, key: &str) -> Result<(), DocumentError> {
        self.replacement(manifest, key, "AAAA", &mut Vec::new())
    }

    /// Replaces values of entries that are there, of any number of SealedSecrets, and reads the file once for all of them.
    ///
    /// # Errors
    /// See [`DocumentError`]; the document is then unchanged.
    pub(crate) fn replace_all(&mut self, values: &[Replacement]) -> Result<(), DocumentError> {
        let mut splices = Vec::with_capacity(values.len());
        let mut expected = BTreeMap::new();
        for Replacement { manifest, key, value } in values {
            self.replacement(*manifest, key, value, &mut splices)?;
            let entries = expected.entry(*manifest).or_insert_with(|| self.expected(*manifest));
            entries.insert(key.clone(), Some(value.clone()));
        }
        self.commit(splices, &expected)
    }

    fn replacement(
        &self,
        manifest: usize,
        key: &str,
        value: &str,
        splices: &mut Vec<Splice>,
    ) -> Result<(), DocumentError> {
        let object = self.sealed_secret(manifest)?;
        let no_key = || DocumentError::NoKey { key: key.to_owned() };
        let spec = &object.find("spec").ok_or_else(no_key)?.value;
        let data = &spec.find("encryptedData").ok_or_else(no_key)?.value;
        for node in [spec, data] {
            edit::refuse_shared(node)?;
            edit::refuse_merge(node)?;
        }
        edit::replace(&self.text, data.find(key).ok_or_else(no_key)?, value, splices)
    }

    /// Removes one entry of a SealedSecret with its trailing comment and the comment lines directly above it. The
    /// last entry leaves `{}`, since the map itself is required.
    ///
    /// # Errors
    /// See [`DocumentError`]; the document is then unchanged.
    pub(crate) fn unset(&mut self, manifest: usize, key: &str) -> Result<(), DocumentError> {
        let mut splices = Vec::new();
        remove::remove(&self.text, self.sealed_secret(manifest)?, key, &mut splices)?;
        let mut expected = self.expected(manifest);
        expected.remove(key);
        self.commit(splices, &BTreeMap::from([(manifest, expected)]))
    }

    /// Whether the SealedSecrets of another text are these, with these entries.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        self.manifests.len() == other.manifests.len()
            && self.manifests.iter().zip(&other.manifests).all(|(one, other)| {
                one.kind == other.kind && one.name == other.name && expected_of(one) == expected_of(other)
            })
    }

    fn sealed_secret(&self, manifest: usize) -> Result<&Node, DocumentError> {
        let found = self.manifests.get(manifest).filter(|found| found.is_sealed_secret());
        let node = found.and_then(|found| manifest::at(&self.roots, &found.path));
        let node = node.ok_or(DocumentError::NoManifest { manifest })?;
        edit::refuse_shared(node)?;
        edit::refuse_merge(node)?;
        Ok(node)
    }

    fn expected(&self, manifest: usize) -> Expected {
        self.manifests.get(manifest).map(expected_of).unwrap_or_default()
    }

    /// Makes the edit, reads the result and keeps it only if it says what it should: what is expected of the manifests
    /// that are named, and what it said before of all others.
    fn commit(&mut self, splices: Vec<Splice>, expected: &BTreeMap<usize, Expected>) -> Result<(), DocumentError> {
        let text = edit::apply(&self.text, splices)?;
        let after = match Self::parse(text) {
            Ok(after) => after,
            Err(error @ (DocumentError::TooLarge { .. } | DocumentError::TooMany { .. })) => {
                return Err(error);
            }
            Err(_) => return Err(DocumentError::Unsafe),
        };
        let is_right = after.manifests.len() == self.manifests.len()
            && after.manifests.iter().zip(&self.manifests).enumerate().all(|(index, (after, before))| {
                let is_same_object = after.api_version == before.api_version
                    && after.kind == before.kind
                    && after.name == before.name
                    && after.namespace == before.namespace
                    && after.annotations == before.annotations;
                let is_as_expected = match expected.get(&index) {
                    Some(expected) => expected_of(after) == *expected,
                    None => expected_of(after) == expected_of(before),
                };
                is_same_object && is_as_expected
            });
        if !is_right {
            return Err(DocumentError::Unsafe);
        }
        *self = after;
        Ok(())
    }
}

fn expected_of(manifest: &Manifest) -> Expected {
    manifest.entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
