//! SealedSecrets as they are written: what a check has to know of them, without their text.

use std::collections::BTreeMap;

use bulla::seal::{self, Inspection, Refusal, Scope};
use bulla_crds::sealed_secret::{GROUP, KIND};

use super::template;
use crate::outline::View;

/// Longer annotations are of no use to a check.
const MAX_ANNOTATION: usize = 512;

/// A place in a file: line and column, from 1.
pub(super) type At = (usize, usize);

/// One SealedSecret.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) at: At,
    /// `apiVersion` and where it is, if it says one.
    pub(super) api_version: Option<(String, At)>,
    /// `None` if it says none, or a template does.
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    /// Whether a template has a say in name or namespace.
    pub(super) is_named_by_template: bool,
    pub(super) annotations: BTreeMap<String, Annotation>,
    pub(super) labels: BTreeMap<String, String>,
    /// Where `encryptedData` is.
    pub(super) data_at: At,
    pub(super) entries: Vec<Entry>,
    /// A key that is there twice where only one can count.
    pub(super) duplicate: Option<(String, At)>,
}

/// An annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Annotation {
    /// `None` if it is not a string, or a template writes it.
    pub(super) value: Option<String>,
    pub(super) is_template: bool,
    pub(super) at: At,
}

/// One key of `spec.encryptedData`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) at: At,
    /// What the value tells without a key; `None` if a template writes it.
    pub(super) looked: Option<Result<Inspection, Refusal>>,
}

/// Whether an object is a SealedSecret of ours.
pub(super) fn is_one(object: View<'_, '_>) -> bool {
    let text = |field| object.get(field).and_then(View::text);
    let group = text("apiVersion").map(|version| version.split_once('/').map_or("", |(group, _)| group));
    // Others name the kind too, to say what they are for.
    let is_whole = || object.get("spec").is_some_and(View::is_map);
    text("kind") == Some(KIND)
        && group.map_or_else(is_whole, |group| group == GROUP || template::known(group).is_none())
}

impl Sealed {
    /// Reads an object that [`is_one`].
    pub(super) fn read(object: View<'_, '_>) -> Self {
        let metadata = object.get("metadata");
        let field = |name: &str| metadata.and_then(|metadata| metadata.get(name));
        let text = |name: &str| field(name).and_then(View::text);
        // Flux puts in what `${name}` stands for.
        let is_filled = |text: &str| template::known(text).is_none() || text.contains("${");
        let known = |name: &str| text(name).filter(|text| !text.is_empty() && !is_filled(text)).map(str::to_owned);
        let spec = object.get("spec");
        let data = spec.and_then(|spec| spec.entry("encryptedData"));
        let data_at = data.map_or_else(|| object.place(), |(key, _)| key.place());
        let data = data.map(|(_, value)| value);
        let maps = [Some(object), metadata, spec, data];
        let duplicate = maps.into_iter().flatten().find_map(View::duplicate);
        let version = object.get("apiVersion");
        Self {
            at: object.place(),
            api_version: version.and_then(|version| Some((version.text()?.to_owned(), version.place()))),
            name: known("name"),
            namespace: known("namespace"),
            is_named_by_template: text("name").is_some_and(is_filled) || text("namespace").is_some_and(is_filled),
            annotations: field("annotations").map(annotations).unwrap_or_default(),
            labels: field("labels").map(strings).unwrap_or_default(),
            data_at,
            entries: data.map(entries).unwrap_or_default(),
            duplicate: duplicate.and_then(|key| Some((template::known(key.text()?)?.to_owned(), key.place()))),
        }
    }

    /// The scope that the annotations declare; `None` if a template has a say in it.
    pub(super) fn scope(&self) -> Option<Scope> {
        scope(&self.annotations)
    }

    /// What a JSON patch puts at `path`: annotations or entries, as far as it is about them.
    pub(super) fn of_value(path: &[String], operation: View<'_, '_>) -> Self {
        let at = operation.place();
        let value = operation.get("value");
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let mut read = Self {
            at,
            api_version: None,
            name: None,
            namespace: None,
            is_named_by_template: false,
            annotations: BTreeMap::new(),
            labels: BTreeMap::new(),
            data_at: at,
            entries: Vec::new(),
            duplicate: None,
        };
        match (path.as_slice(), value) {
            (["metadata", "annotations"], Some(map)) => read.annotations = annotations(map),
            (["spec"], Some(spec)) => read.entries = spec.get("encryptedData").map(entries).unwrap_or_default(),
            (["spec", "encryptedData"], Some(data)) => read.entries = entries(data),
            (["spec", "encryptedData", key], Some(value)) => {
                let looked = value.string().map_or(Err(Refusal::NotAString), seal::inspect);
                read.entries.push(Entry { key: (*key).to_owned(), at: value.place(), looked: Some(looked) });
            }
            _ => {}
        }
        read
    }

    /// The same, with every place where it is in another text.
    pub(super) fn moved(mut self, moved: &impl Fn(At) -> At) -> Self {
        let places = [&mut self.at, &mut self.data_at];
        let entries = self.entries.iter_mut().map(|entry| &mut entry.at);
        let annotations = self.annotations.values_mut().map(|annotation| &mut annotation.at);
        for at in places.into_iter().chain(entries).chain(annotations) {
            *at = moved(*at);
        }
        self
    }
}

/// The scope that annotations declare; `None` if a template has a say in it.
pub(super) fn scope(annotations: &BTreeMap<String, Annotation>) -> Option<Scope> {
    let names = [Scope::CLUSTER_WIDE_ANNOTATION, Scope::NAMESPACE_WIDE_ANNOTATION];
    if names.iter().filter_map(|name| annotations.get(*name)).any(|annotation| annotation.is_template) {
        return None;
    }
    Some(Scope::from_annotations(|name| annotations.get(name)?.value.as_deref()))
}

/// The entries of a map of sealed values.
pub(super) fn entries(data: View<'_, '_>) -> Vec<Entry> {
    let pairs = data.pairs().into_iter();
    let entry = |(key, value): (View<'_, '_>, View<'_, '_>)| {
        let name = key.text().unwrap_or_default();
        let is_template = template::known(name).is_none() || value.text().is_some_and(|t| template::known(t).is_none());
        let looked = || value.string().map_or(Err(Refusal::NotAString), seal::inspect);
        Entry { key: template::shown(name).into_owned(), at: key.place(), looked: (!is_template).then(looked) }
    };
    pairs.map(entry).collect()
}

fn annotations(map: View<'_, '_>) -> BTreeMap<String, Annotation> {
    let pairs = map.pairs().into_iter();
    let read = |(key, value): (View<'_, '_>, View<'_, '_>)| {
        let text = value.string();
        if text.is_some_and(|text| text.len() > MAX_ANNOTATION) {
            return None;
        }
        let is_template = value.text().is_some_and(|text| template::known(text).is_none());
        let value = text.filter(|_| !is_template).map(str::to_owned);
        Some((key.text()?.to_owned(), Annotation { value, is_template, at: key.place() }))
    };
    pairs.filter_map(read).collect()
}

fn strings(map: View<'_, '_>) -> BTreeMap<String, String> {
    let pairs = map.pairs().into_iter();
    pairs.filter_map(|(key, value)| Some((key.text()?.to_owned(), value.text()?.to_owned()))).collect()
}
