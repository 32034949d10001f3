//! Two versions of a file, compared by what their seals tell: which values came, went, changed, or were sealed again.
//!
//! That a value is the same under another seal can be proven only by opening both; where no private key is at hand, a
//! new ciphertext to other keys counts as sealed again and one to the same keys as changed. A value of another length
//! is another value in any case.

use std::collections::BTreeMap;

use bulla::seal::{self, KeyId, Keyring, Place, Scope};
use bulla::secret::Plaintext;
use serde::Serialize;

use super::pairing;
use super::seal::{Seal, Told};
use super::three_way::named;
use crate::document::{Document, Manifest};

/// What became of an object or a value. The words are part of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Change {
    Added,
    Removed,
    Changed,
    /// A new ciphertext of what is the same value, as far as can be known.
    Resealed,
}

/// One object in which something changed. The names of the fields are part of the output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectChange {
    /// Namespace and name.
    pub(crate) object: String,
    pub(crate) change: Change,
    /// What it was called before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) renamed_from: Option<String>,
    /// What its annotations declared, and declare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<[Scope; 2]>,
    pub(crate) values: Vec<ValueChange>,
}

/// One value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ValueChange {
    pub(crate) key: String,
    pub(crate) change: Change,
    /// Whether it is the same value; null where that cannot be known.
    pub(crate) same_value: Option<bool>,
    /// Keys that open it now and did not before, and the other way round.
    pub(crate) keys_added: Vec<KeyId>,
    pub(crate) keys_removed: Vec<KeyId>,
    pub(crate) before: Option<Told>,
    pub(crate) after: Option<Told>,
    /// Why what stands there now is no sealed value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// Compares two versions; `None` is a file that is not there.
pub(crate) fn compare(
    before: Option<&Document>,
    after: Option<&Document>,
    keyring: Option<&Keyring>,
) -> Vec<ObjectChange> {
    let list = |document: Option<&'_ Document>| -> Vec<Manifest> {
        document.into_iter().flat_map(Document::sealed_secrets).map(|(_, manifest)| manifest.clone()).collect()
    };
    let (old, new) = (list(before), list(after));
    let pairs = pairing::pairs(&old.iter().collect::<Vec<_>>(), &new.iter().collect::<Vec<_>>());
    let from: BTreeMap<usize, usize> = pairs.iter().map(|(old, new)| (*new, *old)).collect();
    let mut changes = Vec::new();
    for (index, object) in new.iter().enumerate() {
        changes.extend(match from.get(&index) {
            Some(old_index) => both(&old[*old_index], object, keyring),
            None => Some(alone(object, Change::Added)),
        });
    }
    for (index, object) in old.iter().enumerate() {
        if !pairs.iter().any(|(old, _)| *old == index) {
            changes.push(alone(object, Change::Removed));
        }
    }
    changes
}

fn alone(object: &Manifest, change: Change) -> ObjectChange {
    let value = |entry: &crate::document::Entry| one_side(&entry.key, entry.value.as_deref(), change);
    let values = object.entries.iter().map(value).collect();
    ObjectChange { object: named(object), change, renamed_from: None, scope: None, values }
}

/// `None` if nothing changed.
fn both(old: &Manifest, new: &Manifest, keyring: Option<&Keyring>) -> Option<ObjectChange> {
    let mut values = Vec::new();
    for entry in &new.entries {
        match old.entry(&entry.key) {
            Some(before) if before.value == entry.value => {}
            Some(before) => {
                let sides = [(old, before.value.as_deref()), (new, entry.value.as_deref())];
                values.push(two_sides(&entry.key, sides, keyring));
            }
            None => values.push(one_side(&entry.key, entry.value.as_deref(), Change::Added)),
        }
    }
    let gone = old.entries.iter().filter(|entry| new.entry(&entry.key).is_none());
    values.extend(gone.map(|entry| one_side(&entry.key, entry.value.as_deref(), Change::Removed)));
    let (before, after) = (named(old), named(new));
    let renamed_from = (before != after).then_some(before);
    let scope = (old.scope() != new.scope()).then(|| [old.scope(), new.scope()]);
    let is_same = values.is_empty() && renamed_from.is_none() && scope.is_none();
    (!is_same).then_some(ObjectChange { object: after, change: Change::Changed, renamed_from, scope, values })
}

fn one_side(key: &str, value: Option<&str>, change: Change) -> ValueChange {
    let seal = Seal::of(value);
    let told = seal.facts().map(super::seal::Facts::told);
    let is_new = change == Change::Added;
    let (before, after) = if is_new { (None, told) } else { (told, None) };
    let keys = seal.facts().map(|facts| facts.keys().into_iter().collect()).unwrap_or_default();
    let (keys_added, keys_removed) = if is_new { (keys, Vec::new()) } else { (Vec::new(), keys) };
    let problem = problem(&seal).filter(|_| is_new);
    ValueChange { key: key.to_owned(), change, same_value: None, keys_added, keys_removed, before, after, problem }
}

fn two_sides(key: &str, sides: [(&Manifest, Option<&str>); 2], keyring: Option<&Keyring>) -> ValueChange {
    let [old, new] = sides.map(|(_, value)| Seal::of(value));
    let lengths = old.facts().zip(new.facts()).map(|(old, new)| old.held != new.held);
    let opened = keyring.and_then(|keyring| {
        let [old, new] = sides.map(|(object, value)| open(keyring, object, key, value?));
        Some(old?.same_as(new?.expose()))
    });
    let same_value = opened.or_else(|| lengths.filter(|differ| *differ).map(|_| false));
    let [old_keys, new_keys] = [&old, &new].map(|seal| seal.facts().map(super::seal::Facts::keys).unwrap_or_default());
    let is_elsewhere = |seal: &Seal| {
        let facts = seal.facts()?;
        Some((facts.format, facts.keys(), facts.binding.as_ref().map(ToString::to_string)))
    };
    let change = match same_value {
        Some(true) => Change::Resealed,
        Some(false) => Change::Changed,
        None if old.facts().is_some() && is_elsewhere(&old) != is_elsewhere(&new) => Change::Resealed,
        None => Change::Changed,
    };
    ValueChange {
        key: key.to_owned(),
        change,
        same_value,
        keys_added: new_keys.difference(&old_keys).copied().collect(),
        keys_removed: old_keys.difference(&new_keys).copied().collect(),
        before: old.facts().map(super::seal::Facts::told),
        after: new.facts().map(super::seal::Facts::told),
        problem: problem(&new),
    }
}

fn problem(seal: &Seal) -> Option<String> {
    match seal {
        Seal::Whole(_) => None,
        Seal::None(problem) => Some(problem.clone()),
    }
}

/// Opens a value where it stands, or, if it was sealed for another place, for that one.
pub(crate) fn open(keyring: &Keyring, object: &Manifest, key: &str, value: &str) -> Option<Plaintext> {
    let binding = seal::inspect(value).ok()?.binding;
    let bound =
        binding.as_ref().map(|binding| (binding.namespace.as_deref(), binding.name.as_deref(), binding.key.as_deref()));
    let (namespace, name, bound_key) = bound.unwrap_or_default();
    let namespace = object.namespace.as_deref().or(namespace).unwrap_or_default();
    let place = Place { namespace, name: object.name.as_deref().unwrap_or_default(), key };
    let own = binding.as_ref().map(|binding| {
        let place = Place {
            namespace: binding.namespace.as_deref().unwrap_or_default(),
            name: name.unwrap_or_default(),
            key: bound_key.unwrap_or(key),
        };
        (place, binding.scope)
    });
    let opened = seal::open(keyring, value, place, object.scope()).or_else(|refusal| match own {
        Some((place, scope)) => seal::open(keyring, value, place, scope),
        None => Err(refusal),
    });
    opened.ok().map(|opened| opened.plaintext)
}
