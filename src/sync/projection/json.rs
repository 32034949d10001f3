//! JSON as Go's `encoding/json` reads and writes it.
//!
//! Values are read as slices of the text that they stand in, so that nothing is copied that would not be wiped, and
//! numbers keep every digit that they were written with.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The entries of an object by key. Of equal keys, the last one counts.
pub(super) type Object<'a> = BTreeMap<String, &'a RawValue>;

/// Levels that are looked into; more is not a secret but an attack.
const DEEPEST: usize = 128;

/// How JSON is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// Whether `<`, `>` and `&` are escaped, as Go does unless told otherwise.
    pub(super) html: bool,
    /// Whether numbers that are no integers are written as Go writes a `float64`, instead of as they were.
    pub(super) floats: bool,
}

/// Bytes as text; what is not UTF-8 becomes U+FFFD, as with Go.
pub(super) fn text(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    })
}

/// Reads an object; `null` is one without entries.
pub(super) fn object(text: &str) -> Option<Object<'_>> {
    serde_json::from_str::<Option<Object<'_>>>(text).ok().map(Option::unwrap_or_default)
}

/// What kind of value a valid JSON text is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Nested,
}

pub(super) fn kind(raw: &RawValue) -> Kind {
    match raw.get().as_bytes().first() {
        Some(b'"') => Kind::Text,
        Some(b'{' | b'[') => Kind::Nested,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') | None => Kind::Null,
        Some(_) => Kind::Number,
    }
}

/// The text of a JSON string, without its quotes and escapes. Half a surrogate pair becomes U+FFFD.
pub(super) fn unquoted(raw: &str) -> Zeroizing<Vec<u8>> {
    let inside = raw.strip_prefix('"').map_or(raw, |rest| rest.strip_suffix('"').unwrap_or(rest));
    let mut out = Zeroizing::new(Vec::with_capacity(inside.len()));
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        let (plain, escaped) = rest.split_at(at);
        push(&mut out, plain.as_bytes());
        let mut characters = escaped.get(1..).unwrap_or_default().chars();
        let Some(character) = characters.next() else { return out };
        rest = characters.as_str();
        let plain = match character {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = unit(rest);
                rest = after;
                character
            }
            other => other,
        };
        push(&mut out, plain.encode_utf8(&mut [0; 4]).as_bytes());
    }
    push(&mut out, rest.as_bytes());
    out
}

/// The character that follows `\u`, from one or two UTF-16 units, and the text after it.
fn unit(text: &str) -> (char, &str) {
    let read = |text: &str| text.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let after = |text: &str, length: usize| text.len().min(length);
    let Some(first) = read(text) else { return (char::REPLACEMENT_CHARACTER, text) };
    let rest = text.get(after(text, 4)..).unwrap_or_default();
    let second = rest.strip_prefix("\\u").and_then(read);
    if let Some(Ok(character)) = second.and_then(|second| char::decode_utf16([first, second]).next())
        && (0xd800..0xdc00).contains(&first)
    {
        return (character, rest.get(after(rest, 6)..).unwrap_or_default());
    }
    (char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER), rest)
}

/// Writes a value compactly with sorted keys. Nothing if it is nested too deeply.
pub(super) fn write(raw: &RawValue, style: Style, out: &mut Zeroizing<Vec<u8>>) -> Option<()> {
    write_at(raw, style, out, DEEPEST)
}

fn write_at(raw: &RawValue, style: Style, out: &mut Zeroizing<Vec<u8>>, depth: usize) -> Option<()> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => write_text(&unquoted(text), style, out),
        Some(b'{') => write_entries(&object(text)?, style, out, depth.checked_sub(1)?)?,
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            push(out, b"[");
            for (index, item) in items.into_iter().enumerate() {
                if index > 0 {
                    push(out, b",");
                }
                write_at(item, style, out, depth.checked_sub(1)?)?;
            }
            push(out, b"]");
        }
        Some(b't' | b'f' | b'n') | None => push(out, text.as_bytes()),
        Some(_) if style.floats => push(out, float(text).as_bytes()),
        Some(_) => push(out, text.as_bytes()),
    }
    Some(())
}

/// Writes an object.
pub(super) fn write_object(object: &Object<'_>, style: Style) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::new());
    write_entries(object, style, &mut out, DEEPEST)?;
    Some(out)
}

fn write_entries(object: &Object<'_>, style: Style, out: &mut Zeroizing<Vec<u8>>, depth: usize) -> Option<()> {
    push(out, b"{");
    for (index, (key, value)) in object.iter().enumerate() {
        if index > 0 {
            push(out, b",");
        }
        write_text(key.as_bytes(), style, out);
        push(out, b":");
        write_at(value, style, out, depth)?;
    }
    push(out, b"}");
    Some(())
}

/// Writes a string, with the escapes that Go writes.
pub(super) fn write_text(bytes: &[u8], style: Style, out: &mut Zeroizing<Vec<u8>>) {
    push(out, b"\"");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => push(out, b"\\\""),
                '\\' => push(out, b"\\\\"),
                '\u{8}' => push(out, b"\\b"),
                '\u{c}' => push(out, b"\\f"),
                '\n' => push(out, b"\\n"),
                '\r' => push(out, b"\\r"),
                '\t' => push(out, b"\\t"),
                '\0'..' ' | '\u{2028}' | '\u{2029}' => escape(character, out),
                '<' | '>' | '&' if style.html => escape(character, out),
                other => push(out, other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            push(out, b"\\ufffd");
        }
    }
    push(out, b"\"");
}

fn escape(character: char, out: &mut Zeroizing<Vec<u8>>) {
    push(out, format!("\\u{:04x}", u32::from(character)).as_bytes());
}

/// Appends to a guarded buffer. One that must grow is copied, and the old one wiped.
pub(super) fn push(out: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    if out.capacity() - out.len() < bytes.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((out.len() + bytes.len()).saturating_mul(2).max(64)));
        larger.extend_from_slice(out);
        *out = larger;
    }
    out.extend_from_slice(bytes);
}

/// A number as Go marshals a `float64`. Integers keep their digits, which a `float64` would not.
fn float(text: &str) -> Zeroizing<String> {
    match text.parse::<f64>() {
        Ok(number)
            if !is_integer(text) && number != 0.0 && number.is_finite() && !(1e-6..1e21).contains(&number.abs()) =>
        {
            let written = Zeroizing::new(format!("{number:e}"));
            if number.abs() >= 1.0 { Zeroizing::new(written.replace('e', "e+")) } else { written }
        }
        _ => decimal(text),
    }
}

fn is_integer(text: &str) -> bool {
    text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit())
}

/// Most zeros that an exponent may stand for; beyond this a number stays as it is written.
const WIDEST: i64 = 400;

/// A number without an exponent and without zeros that say nothing: what Go prints of a `float64`, but with all digits.
/// An integer stays as it is.
pub(super) fn decimal(text: &str) -> Zeroizing<String> {
    let as_written = || Zeroizing::new(text.to_owned());
    if is_integer(text) {
        return as_written();
    }
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|exponent| (-WIDEST..=WIDEST).contains(exponent)) else {
        return as_written();
    };
    let digits = Zeroizing::new([whole, fraction].concat());
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent);
    let before = usize::try_from(point).unwrap_or(0);
    let mut out = Zeroizing::new(String::with_capacity(digits.len() + text.len() + 2 * 400));
    out.push_str(sign);
    let whole = digits.get(..before.min(digits.len())).unwrap_or_default();
    let start = out.len();
    out.push_str(whole.trim_start_matches('0'));
    let missing = before.saturating_sub(digits.len());
    if out.len() > start {
        out.extend(std::iter::repeat_n('0', missing));
    } else {
        out.push('0');
    }
    let fraction = digits.get(before.min(digits.len())..).unwrap_or_default().trim_end_matches('0');
    if !fraction.is_empty() {
        out.push('.');
        out.extend(std::iter::repeat_n('0', usize::try_from(point.saturating_neg()).unwrap_or(0)));
        out.push_str(fraction);
    }
    out
}
