//! An object as untyped data, typed as YAML does.

use serde_json::{Map, Value};

use crate::outline::View;

/// The deepest nesting, and the most nodes: aliases could make more of a text than stands in it.
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 200_000;

/// The value; nothing if it is larger than any document should be.
pub(super) fn of(view: View<'_, '_>) -> Option<Value> {
    let mut left = MAX_NODES;
    read(view, MAX_DEPTH, &mut left)
}

fn read(view: View<'_, '_>, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    let depth = depth.checked_sub(1)?;
    if view.is_map() {
        let pairs = view.pairs().into_iter();
        let read =
            pairs.map(|(key, value)| Some((key.text().unwrap_or_default().to_owned(), read(value, depth, left)?)));
        return read.collect::<Option<Map<String, Value>>>().map(Value::Object);
    }
    if view.is_list() {
        return view.items().map(|item| read(item, depth, left)).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    if view.is_null() {
        return Some(Value::Null);
    }
    if let Some(text) = view.string() {
        return Some(Value::String(text.to_owned()));
    }
    let text = view.text().unwrap_or_default();
    Some(match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Value::Bool(true),
        "false" | "no" | "off" | "n" => Value::Bool(false),
        // Of the other types only that it is no string counts.
        number => serde_json::from_str(number).ok().filter(Value::is_number).unwrap_or_else(|| Value::from(0)),
    })
}
