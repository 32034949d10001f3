//! Sealed values outside of SealedSecrets: in Helm values, a HelmRelease, a patch, anywhere.
//!
//! Where such a value lands is for a template to say. What it says about itself can be checked all the same.

use bulla::seal::{self, Refusal};

use super::judge::{Judge, Wrong};
use super::sealed::{self, Entry};
use super::{rules, template};
use crate::findings::Finding;
use crate::outline::{Outline, View};

/// How every native value begins: the first words of an age file, in base64.
pub(super) const NATIVE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3Yx";
/// The field that holds sealed values by their data keys.
pub(super) const FIELD: &str = "encryptedData";

/// The values of a file that are in no SealedSecret: how many there are, and what is wrong with them.
pub(super) fn check(outline: &Outline<'_>, judge: &Judge<'_>) -> (usize, Vec<Finding>) {
    let (mut count, mut findings) = (0, Vec::new());
    for view in outline.all().filter(|view| !view.is_alias()) {
        if view.is_map() {
            let Some((key, data)) = view.own_pairs().find(|(key, _)| key.text() == Some(FIELD)) else { continue };
            if !data.is_map() || data.is_alias() || is_in_sealed_secret(view) {
                continue;
            }
            let entries: Vec<Entry> =
                sealed::entries(data).into_iter().filter(|entry| !is_empty(entry, data)).collect();
            let path = template::shown(&key.path()).into_owned();
            count += entries.len();
            findings.extend(judge.values(&entries, key.place(), None, &path));
            findings.extend(entries.iter().filter_map(|entry| key_differs(entry, judge, &path)));
        } else if let Some(entry) = alone(view) {
            count += 1;
            let path = template::shown(&view.path()).into_owned();
            let (parent, name) = path.rsplit_once('.').unwrap_or(("", path.as_str()));
            let entry = Entry { key: name.to_owned(), ..entry };
            findings.extend(judge.values(&[entry], view.place(), None, parent));
        }
    }
    (count, findings)
}

/// A native value that stands by itself.
fn alone<'o>(view: View<'o, '_>) -> Option<Entry> {
    let text = view.text().filter(|text| text.starts_with(NATIVE) && template::known(text).is_some())?;
    let is_in_map = view.parent().and_then(View::parent).is_some_and(|around| {
        // One of a map that is looked at as a whole, or a SealedSecret's.
        let is_data = |data: View<'o, '_>| view.parent().is_some_and(|parent| parent.is_same(data));
        around.own_pairs().any(|(key, data)| key.text() == Some(FIELD) && is_data(data))
    });
    (!is_in_map).then(|| Entry { key: String::new(), at: view.place(), looked: Some(seal::inspect(text)) })
}

/// A place that a chart leaves for a value.
fn is_empty(entry: &Entry, data: View<'_, '_>) -> bool {
    let is_nothing = |view: View<'_, '_>| view.is_null() || view.text() == Some("");
    entry
        .looked
        .as_ref()
        .is_none_or(|looked| matches!(looked, Err(Refusal::NotAString | Refusal::NotSealed | Refusal::NotBase64)))
        && data.get(&entry.key).is_some_and(is_nothing)
}

/// A template hands a map of sealed values on as it is: a strict value has to keep its key.
fn key_differs(entry: &Entry, judge: &Judge<'_>, path: &str) -> Option<Finding> {
    let binding = entry.looked.as_ref()?.as_ref().ok()?.binding.as_ref()?;
    let key = binding.key.as_ref().filter(|key| **key != entry.key)?;
    let message = format!("was sealed for key {key:?}, and stands under another one");
    let wrong = Wrong::new(&rules::WRONG_PLACE, message);
    Some(wrong.found(judge.file, entry.at, None, format!("{path}.{}", entry.key)))
}

/// Whether a map is the `spec` of a SealedSecret of ours, which is looked at as such.
fn is_in_sealed_secret(spec: View<'_, '_>) -> bool {
    let Some(object) = spec.parent() else { return false };
    sealed::is_one(object) && object.get("spec").is_some_and(|own| own.is_same(spec))
}
