//! How `dataFrom` renames and merges keys.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{
    ProjectionError,
    json::{self, Style},
    lookup::object_entry,
};
use crate::secret::{
    Plaintext, Values,
    template::{compile_pattern, replace_pattern},
};

/// One step of renaming or merging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Replaces what matches in each key.
    Regexp {
        /// A regular expression of Go.
        source: String,
        /// What to put in its place; `$1` and `${name}` stand for groups.
        target: String,
    },
    /// Renders a template for each key; the key is `.value` in it.
    Transform {
        /// The template.
        template: String,
    },
    /// Merges values that are JSON objects.
    Merge(Merge),
}

/// How values that are JSON objects are merged. Keys are taken in alphabetical order, those of `priority` last and in
/// their own order; what comes later wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// The key to merge into, for [`MergeStrategy::Json`].
    pub into: String,
    /// Keys that win.
    pub priority: Vec<String>,
    /// What becomes of one of these that does not exist.
    pub priority_policy: PriorityPolicy,
    /// What becomes of properties that several values have.
    pub conflict: ConflictPolicy,
    /// What is made of the merged object.
    pub strategy: MergeStrategy,
}

/// What becomes of a priority key that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriorityPolicy {
    /// It is an error.
    #[default]
    Strict,
    /// Nothing.
    IgnoreNotFound,
}

/// What becomes of properties that several values have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// They are an error.
    #[default]
    Error,
    /// The last one wins.
    Ignore,
}

/// What is made of a merged object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeStrategy {
    /// Its properties become keys, in place of all that was there.
    #[default]
    Extract,
    /// It becomes one key, beside all that was there.
    Json,
}

/// Renders a template for a key: the template, the key, and the new key or what is wrong.
pub type Transform<'a> = dyn FnMut(&str, &str) -> Result<String, String> + 'a;

/// Applies all steps in order. Two keys that become the same are an error: External Secrets lets chance decide which
/// value survives.
///
/// # Errors
///
/// [`ProjectionError::Rewrite`] names the first step that failed.
pub fn rewrite(
    mut values: Values,
    steps: &[Rewrite],
    transform: &mut Transform<'_>,
) -> Result<Values, ProjectionError> {
    for (index, step) in steps.iter().enumerate() {
        let rewritten = match step {
            Rewrite::Regexp { source, target } => replace(values, source, target),
            Rewrite::Transform { template } => rename(values, |key| transform(template, key)),
            Rewrite::Merge(merge) => merged(values, merge),
        };
        values = rewritten.map_err(|reason| ProjectionError::Rewrite { index, reason })?;
    }
    Ok(values)
}

fn replace(values: Values, source: &str, target: &str) -> Result<Values, String> {
    let pattern = compile_pattern(source)
        .ok_or_else(|| format!("the regular expression {source:?} is malformed or too large"))?;
    let references = target.bytes().filter(|byte| *byte == b'$').count();
    rename(values, |key| {
        // A key has one match more than bytes at most, and each reference stands for all of it at most.
        let size = (key.len() + 1).saturating_mul(target.len()).saturating_add(references.saturating_mul(key.len()));
        if size > LARGEST {
            return Err(format!("the replacement is too large for a key of {} bytes", key.len()));
        }
        let replaced = replace_pattern(&pattern, key, target);
        String::from_utf8(replaced).map_err(|_| format!("key {key:?} would not be UTF-8 any more"))
    })
}

/// Memory that replacing may take, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// Longest key that a step may make, in bytes: anything longer is refused later anyway, after it took memory.
const LONGEST: usize = 4096;

fn rename(values: Values, mut new: impl FnMut(&str) -> Result<String, String>) -> Result<Values, String> {
    let mut renamed: BTreeMap<String, (String, Plaintext)> = BTreeMap::new();
    let mut collisions = BTreeSet::new();
    for (old, value) in values {
        let key = new(&old)?;
        if key.len() > LONGEST {
            return Err(format!("key {old:?} would become longer than {LONGEST} bytes"));
        }
        match renamed.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert((old, value));
            }
            Entry::Occupied(occupied) => {
                collisions.insert(format!("{:?} and {old:?} both become {:?}", occupied.get().0, occupied.key()));
            }
        }
    }
    if collisions.is_empty() {
        Ok(renamed.into_iter().map(|(key, (_, value))| (key, value)).collect())
    } else {
        Err(format!("keys collide: {}", collisions.into_iter().collect::<Vec<_>>().join(", ")))
    }
}

fn merged(mut values: Values, merge: &Merge) -> Result<Values, String> {
    let order = order(&values, merge)?;
    let texts: Vec<(&str, Zeroizing<String>)> =
        order.iter().filter_map(|key| Some((*key, json::text(values.get(*key)?.expose())))).collect();
    let mut properties: BTreeMap<String, &RawValue> = BTreeMap::new();
    let mut conflicts = BTreeSet::new();
    for (key, text) in &texts {
        let object =
            json::object(text).ok_or_else(|| format!("merge failed: the value of key {key:?} is not a JSON object"))?;
        for (property, raw) in object {
            if let Some(_replaced) = properties.insert(property.clone(), raw) {
                conflicts.insert(property);
            }
        }
    }
    if merge.conflict == ConflictPolicy::Error && !conflicts.is_empty() {
        return Err(format!("merge failed with conflicts: {}", conflicts.into_iter().collect::<Vec<_>>().join(", ")));
    }
    let too_deep = || "merge failed: a value is nested too deeply".to_owned();
    match merge.strategy {
        MergeStrategy::Extract => {
            let values = properties.into_iter().map(|(property, raw)| {
                Ok((property, Plaintext::from_guarded(object_entry(raw).ok_or_else(too_deep)?)))
            });
            values.collect()
        }
        MergeStrategy::Json if merge.into.is_empty() => Err("merge failed with missing 'into' field".to_owned()),
        MergeStrategy::Json => {
            let style = Style { html: false, floats: true };
            let text = json::write_object(&properties, style).ok_or_else(too_deep)?;
            values.insert(merge.into.clone(), Plaintext::from_guarded(text));
            Ok(values)
        }
    }
}

/// The keys in the order in which they are merged.
fn order<'a>(values: &'a Values, merge: &'a Merge) -> Result<Vec<&'a str>, String> {
    let mut order: Vec<&str> = values.keys().map(String::as_str).collect();
    order.retain(|key| !merge.priority.iter().any(|priority| priority == key));
    for key in &merge.priority {
        if values.contains_key(key) {
            order.push(key);
        } else if merge.priority_policy == PriorityPolicy::Strict {
            return Err(format!("merge failed with key {key:?} not found in input map"));
        }
    }
    Ok(order)
}
