//! Values on the command line of `kubectl create secret`, as scripts and manuals have them.

use std::ops::Range;

use super::assigned::is_sensitive_name;
use super::hit::Hit;
use super::manifests::value;
use super::rules::GENERATED_SECRET;
use super::worth::{is_weak, looks_random};

/// Flags that take a value.
pub(super) const ANCHORS: [&str; 2] = ["--from-literal", "--docker-password"];

/// The longest value.
const LONGEST: usize = 512;

/// The value of the flag at `anchor`.
pub(super) fn find(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let rest = text.get(anchor.end..text.len().min(anchor.end + LONGEST))?;
    let skipped = rest.iter().take_while(|byte| matches!(byte, b'=' | b' ' | b'"' | b'\'' | b',')).count();
    let word = rest.get(skipped..)?;
    let is_end = |byte: &u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b';' | b'|' | b'&' | b')' | b',' | b'\\')
    };
    let word = std::str::from_utf8(&word[..word.iter().position(is_end).unwrap_or(word.len())]).ok()?;
    let is_literal = text[anchor.clone()].ends_with(b"literal");
    let (key, secret) = if is_literal { word.split_once('=')? } else { ("docker-password", word) };
    let is_likely = secret.len() >= 6 && !is_weak(secret) && (is_sensitive_name(key) || looks_random(secret));
    let (what, _) = value::given_away(key, secret, false).filter(|_| is_likely)?;
    let end = anchor.end + skipped + word.len();
    let hit = Hit::new(&GENERATED_SECRET, end - secret.len()..end, what, secret.as_bytes());
    Some(hit.within(Some("kubectl create secret".to_owned()), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{ANCHORS, find};

    #[test]
    fn values_in_commands_are_found_and_references_are_not() {
        let found = |text: &str| {
            let (anchor, at) = ANCHORS.iter().find_map(|anchor| Some((anchor, text.find(anchor)?)))?;
            find(text.as_bytes(), at..at + anchor.len()).map(|hit| text[hit.span].to_owned())
        };
        for text in [
            "--from-literal=password=hunter2x",
            "--from-literal 'password=hunter2x'",
            "`--docker-password=hunter2x`",
            "\"--from-literal\", \"token=hunter2x\"",
        ] {
            assert_eq!(found(text).as_deref(), Some("hunter2x"), "{text}");
        }
        for text in [
            "--from-literal=password=$PASSWORD",
            "--from-literal=password=changeme",
            "--from-literal=user=application",
            "--from-literal=a",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
