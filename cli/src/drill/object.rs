//! The SealedSecrets of a file, as far as opening them goes.

use bulla::seal::Scope;
use bulla_crds::sealed_secret::{GROUP, KIND};

use crate::outline::{Outline, View};

/// What the deprecated form, which seals a whole Secret as one value, is called where its data key would stand.
pub(super) const WHOLE_SECRET: &str = "spec.data";

/// A SealedSecret.
pub(super) struct Object<'o> {
    pub(super) name: &'o str,
    pub(super) namespace: Option<&'o str>,
    pub(super) scope: Scope,
    /// Data keys and values; `None` is a value that is not a string.
    pub(super) values: Vec<(&'o str, Option<&'o str>)>,
}

/// Every SealedSecret of a file, aliases and merge keys followed as the API server's client would.
pub(super) fn all<'o>(outline: &'o Outline<'_>) -> impl Iterator<Item = Object<'o>> {
    outline.objects().into_iter().filter(|object| is_one(*object)).map(read)
}

fn is_one(object: View<'_, '_>) -> bool {
    let text = |field| object.get(field).and_then(View::text);
    let group = text("apiVersion").and_then(|version| version.split_once('/')).map(|(group, _)| group);
    text("kind") == Some(KIND) && group == Some(GROUP)
}

fn read<'o>(object: View<'o, '_>) -> Object<'o> {
    let text = |path: &[&str]| object.find(path).and_then(View::text);
    let annotations = object.find(&["metadata", "annotations"]);
    let data = object.find(&["spec", "encryptedData"]);
    let mut values: Vec<(&str, Option<&str>)> = data
        .map(View::pairs)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, value)| Some((key.text()?, value.string())))
        .collect();
    if let Some(whole) = object.find(&["spec", "data"]).and_then(View::string).filter(|whole| !whole.is_empty()) {
        values.push((WHOLE_SECRET, Some(whole)));
    }
    Object {
        name: text(&["metadata", "name"]).unwrap_or_default(),
        namespace: text(&["metadata", "namespace"]).filter(|namespace| !namespace.is_empty()),
        scope: Scope::from_annotations(|name| annotations?.get(name)?.string()),
        values,
    }
}
