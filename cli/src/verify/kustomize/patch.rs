//! Patches, as far as they change where a value lands, or which value it is.

use std::sync::Arc;

use bulla_crds::sealed_secret::KIND;

use super::item::{By, Held, Id, Item};
use super::selector::Selector;
use crate::outline::{Outline, View};
use crate::verify::sealed::{Annotation, At, Sealed};

/// The kinds that a build follows.
const KINDS: [&str; 5] = [KIND, "ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore"];

/// A patch of a kustomization.
#[derive(Debug)]
pub(super) struct Patch {
    /// What it is for; without one, the object that it names.
    pub(super) target: Option<Selector>,
    pub(super) may_rename: bool,
    pub(super) changes: Vec<Change>,
}

/// One document of a patch.
#[derive(Debug)]
pub(super) enum Change {
    Merge(Merge),
    Json(Json),
}

/// A strategic merge patch.
#[derive(Debug)]
pub(super) struct Merge {
    /// The file that it stands in, as it is called in findings.
    file: Arc<str>,
    kind: String,
    version: String,
    id: Id,
    /// `$patch: delete`: the object goes.
    is_removal: bool,
    /// Whether the annotations, or the values, are only those of the patch.
    replaces_annotations: bool,
    replaces_data: bool,
    /// Annotations and values that are set; `null` takes one away.
    read: Arc<Sealed>,
    without_annotations: Vec<String>,
    without_entries: Vec<String>,
}

/// Operations of JSON Patch, each on its own.
#[derive(Debug)]
pub(super) struct Json {
    file: Arc<str>,
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    at: At,
    path: Vec<String>,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Set {
        /// The text of the value, if it is a string.
        text: Option<String>,
        /// The value as entries of `encryptedData`, or as annotations.
        read: Arc<Sealed>,
    },
    Remove,
    /// `move` or `copy`: what it brings is not known here.
    Unknown,
}

/// The documents of a patch; `None` if it is neither kind of patch.
pub(super) fn read(text: &str, file: &Arc<str>, moved: impl Fn(At) -> At) -> Option<Vec<Change>> {
    let outline = Outline::parse(text).ok()?;
    let mut changes = Vec::new();
    for root in outline.documents().filter(|root| !root.is_null()) {
        if root.is_list() {
            changes.push(Change::Json(json(root, file, &moved)?));
        } else if root.is_map() {
            changes.push(Change::Merge(merge(root, file, &moved)));
        } else {
            return None;
        }
    }
    (!changes.is_empty()).then_some(changes)
}

fn merge(root: View<'_, '_>, file: &Arc<str>, moved: &impl Fn(At) -> At) -> Merge {
    let text = |path: &[&str]| root.find(path).and_then(View::text).unwrap_or_default().to_owned();
    let directive = |view: Option<View<'_, '_>>, word: &str| {
        view.and_then(|view| view.get("$patch")).and_then(View::text).is_some_and(|found| found == word)
    };
    let nulls = |view: Option<View<'_, '_>>| {
        let pairs = view.map(View::pairs).unwrap_or_default().into_iter();
        pairs
            .filter(|(_, value)| value.is_null())
            .filter_map(|(key, _)| Some(key.text()?.to_owned()))
            .collect::<Vec<_>>()
    };
    let (annotations, data) = (root.find(&["metadata", "annotations"]), root.find(&["spec", "encryptedData"]));
    let metadata = root.get("metadata");
    let mut read = Sealed::read(root);
    let without_entries = nulls(data);
    read.entries.retain(|entry| !without_entries.contains(&entry.key) && entry.key != "$patch");
    read.annotations.retain(|name, one| one.value.is_some() && name != "$patch");
    Merge {
        file: Arc::clone(file),
        kind: text(&["kind"]),
        version: text(&["apiVersion"]),
        id: Id { name: text(&["metadata", "name"]), namespace: text(&["metadata", "namespace"]) },
        is_removal: directive(Some(root), "delete"),
        replaces_annotations: directive(annotations, "replace") || directive(metadata, "replace"),
        replaces_data: directive(data, "replace")
            || directive(root.get("spec"), "replace")
            || data.is_some_and(View::is_null),
        without_annotations: nulls(annotations),
        without_entries,
        read: Arc::new(read.moved(moved)),
    }
}

fn json(root: View<'_, '_>, file: &Arc<str>, moved: &impl Fn(At) -> At) -> Option<Json> {
    let mut operations = Vec::new();
    for item in root.items() {
        let pointer = item.get("path").and_then(View::text)?;
        let part = |part: &str| part.replace("~1", "/").replace("~0", "~");
        let path: Vec<String> =
            pointer.strip_prefix('/').map(|rest| rest.split('/').map(part).collect()).unwrap_or_default();
        let value = item.get("value");
        let action = match item.get("op").and_then(View::text)? {
            "add" | "replace" => Action::Set {
                text: value.and_then(View::text).map(str::to_owned),
                read: Arc::new(Sealed::of_value(&path, item).moved(moved)),
            },
            "remove" => Action::Remove,
            "test" => continue,
            _ => Action::Unknown,
        };
        operations.push(Operation { at: moved(item.place()), path, action });
    }
    Some(Json { file: Arc::clone(file), operations })
}

impl Patch {
    /// Does what the patch does to the objects of a build.
    ///
    /// # Errors
    /// What Kustomize would refuse, where that is certain.
    pub(super) fn apply(&self, items: &mut Vec<Item>) -> Result<(), String> {
        for change in &self.changes {
            match change {
                Change::Merge(merge) => self.merge(merge, items)?,
                Change::Json(json) => {
                    let Some(target) = &self.target else {
                        return Err("a JSON patch needs a target".to_owned());
                    };
                    items.iter_mut().filter(|item| target.is_for(item)).for_each(|item| json.apply(item));
                }
            }
        }
        Ok(())
    }

    fn merge(&self, merge: &Merge, items: &mut Vec<Item>) -> Result<(), String> {
        let is_for = |item: &Item| match &self.target {
            Some(target) => target.is_for(item),
            None => item.kind.as_str() == merge.kind && item.version == merge.version && item.was_called(&merge.id),
        };
        if self.target.is_none() && KINDS.contains(&merge.kind.as_str()) && !items.iter().any(is_for) {
            let Id { name, namespace } = &merge.id;
            let full = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
            return Err(format!("there is no {} {full} that the patch could be for", merge.kind));
        }
        if merge.is_removal {
            items.retain(|item| !is_for(item));
            return Ok(());
        }
        items.iter_mut().filter(|item| is_for(item)).for_each(|item| merge.apply(item, self.may_rename));
        Ok(())
    }
}

impl Merge {
    fn apply(&self, item: &mut Item, may_rename: bool) {
        let by = |what: String| By { file: Arc::clone(&self.file), at: self.read.at, what };
        if self.replaces_annotations {
            item.annotations.clear();
        }
        for name in &self.without_annotations {
            item.annotations.remove(name);
        }
        for (name, annotation) in &self.read.annotations {
            set_annotation(item, name, annotation.clone(), || by(said(name, annotation)));
        }
        item.labels.extend(self.read.labels.clone());
        if may_rename && !self.id.name.is_empty() && self.id.name != item.name {
            item.remember();
            item.name.clone_from(&self.id.name);
            item.by.push(by(format!("metadata.name: {}", self.id.name)));
        }
        if self.replaces_data {
            item.entries.clear();
        }
        item.entries.retain(|held| held.entry().is_none_or(|entry| !self.without_entries.contains(&entry.key)));
        for index in 0..self.read.entries.len() {
            set_entry(item, Held { file: Arc::clone(&self.file), of: Arc::clone(&self.read), index });
        }
    }
}

impl Json {
    fn apply(&self, item: &mut Item) {
        item.remember();
        for Operation { at, path, action } in &self.operations {
            let by = |what: String| By { file: Arc::clone(&self.file), at: *at, what };
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            match (path.as_slice(), action) {
                (["metadata", field @ ("name" | "namespace")], Action::Set { text: Some(text), .. }) => {
                    let place = if *field == "name" { &mut item.name } else { &mut item.namespace };
                    place.clone_from(text);
                    item.by.push(by(format!("metadata.{field}: {text}")));
                }
                (["metadata", "namespace"], Action::Remove) => item.namespace.clear(),
                (["metadata", "annotations"], Action::Set { read, .. }) => {
                    item.annotations.clear();
                    for (name, annotation) in &read.annotations {
                        set_annotation(item, name, annotation.clone(), || by(said(name, annotation)));
                    }
                }
                (["metadata", "annotations"], Action::Remove) => item.annotations.clear(),
                (["metadata", "annotations", name], Action::Set { text: Some(text), .. }) => {
                    let annotation = Annotation { value: Some(text.clone()), is_template: false, at: *at };
                    let what = said(name, &annotation);
                    set_annotation(item, name, annotation, || by(what));
                }
                (["metadata", "annotations", name], Action::Remove) => drop(item.annotations.remove(*name)),
                (["spec"] | ["spec", "encryptedData"], Action::Set { read, .. }) => {
                    item.entries.clear();
                    for index in 0..read.entries.len() {
                        item.entries.push(Held { file: Arc::clone(&self.file), of: Arc::clone(read), index });
                    }
                }
                (["spec"] | ["spec", "encryptedData"], Action::Remove) => item.entries.clear(),
                (["spec", "encryptedData", _], Action::Set { read, .. }) if !read.entries.is_empty() => {
                    set_entry(item, Held { file: Arc::clone(&self.file), of: Arc::clone(read), index: 0 });
                }
                (["spec", "encryptedData", key], Action::Remove) => {
                    item.entries.retain(|held| held.entry().is_none_or(|entry| entry.key != *key));
                }
                ([] | ["metadata", ..] | ["spec", "encryptedData", ..], Action::Unknown) => item.is_doubtful = true,
                ([] | ["metadata"], Action::Set { .. } | Action::Remove) => item.is_doubtful = true,
                _ => {}
            }
        }
    }
}

fn said(name: &str, annotation: &Annotation) -> String {
    format!("annotation {name}: {:?}", annotation.value.as_deref().unwrap_or_default())
}

/// Sets an annotation; what did it is kept where that changes the scope.
pub(super) fn set_annotation(item: &mut Item, name: &str, annotation: Annotation, by: impl FnOnce() -> By) {
    let before = item.scope();
    item.annotations.insert(name.to_owned(), annotation);
    if item.scope() != before {
        item.by.push(by());
    }
}

fn set_entry(item: &mut Item, held: Held) {
    let key = held.entry().map(|entry| entry.key.clone());
    let is_it = |known: &&mut Held| known.entry().map(|entry| &entry.key) == key.as_ref();
    match item.entries.iter_mut().find(is_it) {
        Some(known) => *known = held,
        None => item.entries.push(held),
    }
}
