//! The sealed values of a text.

use std::collections::HashSet;

use bulla_crds::sealed_secret::KIND;

use crate::document::{Document, Manifest};

/// What the base64 of every age file begins with.
const AGE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3Yx";

/// A sealed value.
pub(super) struct Value<'a> {
    /// The SealedSecret that it is in; `None` where it stands elsewhere, as in a template or in values of a chart.
    pub(super) object: Option<&'a Manifest>,
    /// The data key, if it is in a SealedSecret.
    pub(super) key: Option<&'a str>,
    /// From 1.
    pub(super) line: usize,
    pub(super) sealed: &'a str,
}

/// The text of a file in which there may be a sealed value.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.contains(KIND) || text.contains(AGE))
}

/// Whether bytes that are no UTF-8 may hold sealed values: in UTF-16 every other byte of these words is nothing.
pub(crate) fn may_hold_values(bytes: &[u8]) -> bool {
    let plain: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let words: [&[u8]; 3] = [KIND.as_bytes(), b"encryptedData", AGE.as_bytes()];
    words.iter().any(|word| plain.windows(word.len()).any(|part| part == *word))
}

/// What looks like a native value, wherever it stands in a text.
pub(crate) struct Loose<'a> {
    /// Offset in bytes.
    pub(crate) at: usize,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) sealed: &'a str,
}

/// Everything in a text that looks like a native value, in order.
pub(crate) fn loose(text: &str) -> impl Iterator<Item = Loose<'_>> {
    let (mut line, mut counted) = (1, 0);
    text.match_indices(AGE).map(move |(at, _)| {
        let rest = &text[at..];
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        let sealed = &rest[..rest.bytes().position(|byte| !is_base64(byte)).unwrap_or(rest.len())];
        line += text[counted..at].bytes().filter(|byte| *byte == b'\n').count();
        counted = at;
        Loose { at, line, sealed }
    })
}

/// Looks at every sealed value of a text. Says why the SealedSecrets in it cannot be read, if so; native values are
/// found all the same.
pub(super) fn each(text: &str, mut look: impl FnMut(&Value<'_>)) -> Result<(), String> {
    let parsed = if text.contains(KIND) { Some(Document::parse(text.to_owned())) } else { None };
    let mut seen: HashSet<&str> = HashSet::new();
    let document = parsed.as_ref().and_then(|parsed| parsed.as_ref().ok());
    for object in document.into_iter().flat_map(Document::manifests).filter(|object| object.is_sealed_secret()) {
        for entry in &object.entries {
            let Some(sealed) = entry.value.as_deref() else { continue };
            seen.insert(sealed.trim());
            look(&Value { object: Some(object), key: Some(&entry.key), line: entry.line, sealed });
        }
    }
    for Loose { line, sealed, .. } in loose(text).filter(|loose| !seen.contains(loose.sealed)) {
        look(&Value { object: None, key: None, line, sealed });
    }
    match parsed {
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(_)) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_objects_templates_and_charts() {
        let value = format!("{AGE}Ci0+");
        let object = format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db}}\nspec:\n  encryptedData:\n    a: {value}\n    b: AgA=\n"
        );
        let found = |text: &str| {
            let mut all = Vec::new();
            let read = each(text, |value| all.push((value.key.map(str::to_owned), value.line)));
            (all, read.is_ok())
        };
        let key = |key: &str| Some(key.to_owned());
        assert_eq!(found(&object), (vec![(key("a"), 6), (key("b"), 7)], true));
        // A template is no YAML: only what can be told from the text.
        let template = format!("{{{{ if .x }}}}\n{object}");
        assert_eq!(found(&template), (vec![(None, 7)], false));
        assert_eq!(found(&format!("db:\n  password: \"{value}\"\n")), (vec![(None, 2)], true));
        assert_eq!(found(&format!("{object}# was {value}1\n")), (vec![(key("a"), 6), (key("b"), 7), (None, 8)], true));
        assert_eq!(found("a: b\n"), (vec![], true));
        assert!(text(object.as_bytes()).is_some() && text(b"a: b").is_none());
    }
}
