//! One value, or all values, out of one document.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{
    ProjectionError,
    json::{self, Kind, Style},
    path,
};
use crate::secret::{Plaintext, Values};
use crate::sync::remote::Document;

/// Vault's objects as External Secrets prints them.
const OBJECT: Style = Style { html: true, floats: false };
/// What External Secrets prints after it has read a value as Go's `any`.
const REREAD: Style = Style { html: true, floats: true };
/// Kubernetes' data as External Secrets prints it.
const FIELDS: Style = Style { html: false, floats: true };

/// The value of `property` in the remote secret `key`, or the whole of it. An empty property is none.
///
/// # Errors
///
/// [`ProjectionError`] if there is no such property.
pub fn property(document: &Document, property: Option<&str>, key: &str) -> Result<Plaintext, ProjectionError> {
    let property = property.filter(|property| !property.is_empty());
    let found = match (document, property) {
        (Document::Opaque(value), None) => return Ok(Plaintext::copy_of(value.expose())),
        (Document::Opaque(value), Some(property)) => in_opaque(value, property, key)?,
        (Document::Object(value), property) => in_object(value, property, key)?,
        (Document::Fields(values), None) => whole(values),
        (Document::Fields(values), Some(property)) => return in_fields(values, property, key),
    };
    Ok(Plaintext::from_guarded(found))
}

/// All values of the remote secret `key`, or of the object that `property` leads to, by name.
///
/// # Errors
///
/// [`ProjectionError`] if there is no such property, or what there is is not an object.
pub fn fields(document: &Document, property: Option<&str>, key: &str) -> Result<Values, ProjectionError> {
    let asked = property.filter(|property| !property.is_empty());
    match (document, asked) {
        (Document::Opaque(value), None) => exploded(value.expose(), key, opaque_entry),
        (Document::Opaque(value), Some(property)) => exploded(&in_opaque(value, property, key)?, key, opaque_entry),
        (Document::Object(value), None) => exploded(value.expose(), key, object_entry),
        (Document::Object(value), property @ Some(_)) => exploded(&in_object(value, property, key)?, key, object_entry),
        (Document::Fields(values), None) => {
            Ok(values.iter().map(|(name, value)| (name.clone(), Plaintext::copy_of(value.expose()))).collect())
        }
        (Document::Fields(values), Some(property)) => match values.get(property) {
            Some(value) => exploded(value.expose(), key, field_entry),
            None => Err(ProjectionError::NoKey { property: property.to_owned(), key: key.to_owned() }),
        },
    }
}

/// With every dot taken literally first, then as a path.
fn in_opaque(value: &Plaintext, property: &str, key: &str) -> Result<Zeroizing<Vec<u8>>, ProjectionError> {
    let text = json::text(value.expose());
    if property.contains('.')
        && let Some(found) = path::find(&text, &property.replace('.', "\\."))?
    {
        return Ok(found);
    }
    path::find(&text, property)?
        .ok_or_else(|| ProjectionError::NoProperty { property: property.to_owned(), key: key.to_owned() })
}

/// As a literal key first, then as a path. What cannot be reached so, such as a label whose name has dots, is looked for
/// with all dots but the first taken literally.
fn in_object(value: &Plaintext, property: Option<&str>, key: &str) -> Result<Zeroizing<Vec<u8>>, ProjectionError> {
    let not_an_object = || ProjectionError::NotAnObject(key.to_owned());
    let text = json::text(value.expose());
    let object = json::object(&text).ok_or_else(not_an_object)?;
    if let Some(raw) = property.and_then(|property| object.get(property)) {
        return scalar_or_json(raw, OBJECT).ok_or_else(not_an_object);
    }
    let whole = json::write_object(&object, OBJECT).ok_or_else(not_an_object)?;
    let Some(property) = property else { return Ok(whole) };
    let text = json::text(&whole);
    if let Some(found) = path::find(&text, property)? {
        return Ok(found);
    }
    let beyond = property.split_once('.').map(|(name, rest)| format!("{name}.{}", rest.replace('.', "\\.")));
    let found = beyond.map_or(Ok(None), |path| path::find(&text, &path))?;
    found.ok_or_else(|| ProjectionError::NoData(property.to_owned()))
}

/// As a name first; then the part before the first dot is a name, and the rest a path into its value. What cannot be
/// reached so, such as a label whose name has dots, is looked for with the dots taken literally.
fn in_fields(values: &Values, property: &str, key: &str) -> Result<Plaintext, ProjectionError> {
    if let Some(value) = values.get(property) {
        return Ok(Plaintext::copy_of(value.expose()));
    }
    if let Some((name, rest)) = property.split_once('.')
        && let Some(value) = values.get(name)
    {
        let text = json::text(value.expose());
        for path in [rest, &rest.replace('.', "\\.")] {
            if let Some(found) = path::find(&text, path)? {
                return Ok(Plaintext::from_guarded(found));
            }
        }
    }
    Err(ProjectionError::NoField { property: property.to_owned(), key: key.to_owned() })
}

/// All fields as one JSON object of strings.
fn whole(values: &Values) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::new());
    json::push(&mut out, b"{");
    for (index, (name, value)) in values.iter().enumerate() {
        if index > 0 {
            json::push(&mut out, b",");
        }
        json::write_text(name.as_bytes(), FIELDS, &mut out);
        json::push(&mut out, b":");
        json::write_text(value.expose(), FIELDS, &mut out);
    }
    json::push(&mut out, b"}");
    out
}

type Entry = fn(&RawValue) -> Option<Zeroizing<Vec<u8>>>;

/// The entries of a JSON object, each made into a value by `entry`.
fn exploded(json: &[u8], key: &str, entry: Entry) -> Result<Values, ProjectionError> {
    let not_an_object = || ProjectionError::NotAnObject(key.to_owned());
    let text = json::text(json);
    let entries = json::object(&text).ok_or_else(not_an_object)?.into_iter();
    entries.map(|(name, raw)| Ok((name, Plaintext::from_guarded(entry(raw).ok_or_else(not_an_object)?)))).collect()
}

/// Strings as they are, `null` as nothing, all else as it is written.
fn opaque_entry(raw: &RawValue) -> Option<Zeroizing<Vec<u8>>> {
    Some(match json::kind(raw) {
        Kind::Text => json::unquoted(raw.get()),
        Kind::Null => Zeroizing::default(),
        Kind::Bool | Kind::Number | Kind::Nested => Zeroizing::new(raw.get().as_bytes().to_vec()),
    })
}

/// Strings as they are, `null` as nothing, numbers without exponents, all else as JSON.
pub(super) fn object_entry(raw: &RawValue) -> Option<Zeroizing<Vec<u8>>> {
    match json::kind(raw) {
        Kind::Number => Some(Zeroizing::new(json::decimal(raw.get()).as_bytes().to_vec())),
        Kind::Text | Kind::Null | Kind::Bool | Kind::Nested => scalar_or_json(raw, REREAD),
    }
}

/// Everything as JSON: even strings keep their quotes, as with External Secrets.
fn field_entry(raw: &RawValue) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::new());
    json::write(raw, FIELDS, &mut out)?;
    Some(out)
}

/// Strings as they are, `null` as nothing, all else as JSON.
fn scalar_or_json(raw: &RawValue, style: Style) -> Option<Zeroizing<Vec<u8>>> {
    match json::kind(raw) {
        Kind::Text => Some(json::unquoted(raw.get())),
        Kind::Null => Some(Zeroizing::default()),
        Kind::Bool | Kind::Number | Kind::Nested => {
            let mut out = Zeroizing::new(Vec::with_capacity(raw.get().len()));
            json::write(raw, style, &mut out)?;
            Some(out)
        }
    }
}
