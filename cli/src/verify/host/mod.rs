//! Host documents: what a machine without Kubernetes would be told to have.
//!
//! | module | what it is |
//! | --- | --- |
//! | `document` | one document: what the agent would not read, and what it refers to |
//! | `made` | the Secrets that objects make, with their keys |
//! | `value` | an object as untyped data |

mod document;
mod made;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::document::look;
pub(super) use self::made::Made;
use super::rules;
use super::sealed::At;
use crate::findings::Finding;
use crate::outline::View;

/// A secret that a document names.
pub(super) struct Reference {
    file: String,
    at: At,
    object: String,
    field: String,
    namespace: String,
    name: String,
    /// The data key, where one is named.
    key: Option<String>,
}

/// Whether an object is a Host document.
pub(super) fn is_one(object: View<'_, '_>) -> bool {
    let text = |field| object.get(field).and_then(View::text).unwrap_or_default();
    text("kind") == bulla_crds::host::KIND && text("apiVersion").starts_with("bulla.dev/")
}

/// Looks at one: what is wrong with it alone, and which secrets it names. `is_there` says what is at a path.
pub(super) fn check(
    object: View<'_, '_>,
    path: &Path,
    named: &str,
    is_there: &dyn Fn(&Path) -> Found,
) -> (Vec<Finding>, Vec<Reference>) {
    look(object, path, named, is_there)
}

/// A file that a document is made of.
pub(super) enum Found {
    /// Its text; nothing where it is none.
    File(Option<String>),
    /// There is none.
    Missing,
    /// It is a link, a folder or the like.
    NoFile,
    /// The path leads out of the repository.
    Outside,
    /// Nobody can say: it is not known where the repository begins.
    Unknown,
}

/// What is at a path. What `text_of` has counts instead of what the file holds.
pub(super) fn find(path: &Path, text_of: &dyn Fn(&Path) -> Option<String>) -> Found {
    if let Some(text) = text_of(path) {
        return Found::File(Some(text));
    }
    match std::fs::symlink_metadata(path) {
        Err(_) => Found::Missing,
        Ok(found) if !found.is_file() => Found::NoFile,
        Ok(found) if found.len() > bulla::secret::template::TEMPLATE_LIMIT as u64 => Found::File(None),
        Ok(_) => Found::File(std::fs::read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok())),
    }
}

/// Where a path of a document leads: from the document's folder, or with a leading `/` from the root of the repository.
fn resolve(given: &str, document: &Path) -> Result<PathBuf, Found> {
    let document = std::path::absolute(document).unwrap_or_else(|_| document.to_path_buf());
    let root = document.ancestors().skip(1).find(|folder| folder.join(".git").exists());
    let (mut path, rest) = match (given.strip_prefix('/'), root) {
        (Some(_), None) => return Err(Found::Unknown),
        (Some(rest), Some(root)) => (root.to_path_buf(), rest),
        (None, _) => (document.parent().unwrap_or(Path::new("/")).to_path_buf(), given),
    };
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." if root.is_some_and(|root| path == root) || !path.pop() => return Err(Found::Outside),
            ".." => {}
            part => path.push(part),
        }
    }
    Ok(path)
}

/// The references to what no file makes.
pub(super) fn missing(references: &[Reference], made: &[Made]) -> Vec<Finding> {
    let mut by_name: BTreeMap<(&str, &str), Vec<&Made>> = BTreeMap::new();
    for one in made {
        by_name.entry((&one.namespace, &one.name)).or_default().push(one);
    }
    let wrong = |reference: &Reference| {
        let Reference { namespace, name, key, .. } = reference;
        // Where nobody says the namespace of an object, it may be this one.
        let found = [namespace.as_str(), ""].into_iter().filter_map(|space| by_name.get(&(space, name.as_str())));
        let found: Vec<&Made> = found.flatten().copied().collect();
        let key = match (found.is_empty(), key) {
            (true, _) => {
                return Some(format!("no SealedSecret or ExternalSecret here makes the secret {namespace}/{name}"));
            }
            (false, None) => return None,
            (false, Some(key)) => key,
        };
        if found.iter().any(|one| one.keys.as_ref().is_none_or(|keys| keys.contains(key))) {
            return None;
        }
        let keys: Vec<_> = found.iter().filter_map(|one| one.keys.as_ref()).flatten().map(String::as_str).collect();
        Some(format!("the secret {namespace}/{name} has no key {key}; it has {}", keys.join(", ")))
    };
    let finding = |reference: &Reference| {
        let Reference { file, at: (line, column), object, field, .. } = reference;
        let found = Finding::new(&rules::HOST_SECRET, file, wrong(reference)?);
        Some(found.at(*line, *column).field(field.clone()).of(object.clone()))
    };
    references.iter().filter_map(finding).collect()
}
