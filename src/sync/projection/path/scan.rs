//! Values as slices of a JSON text.
//!
//! The text need not be valid: what makes no sense is passed over, and what does not end ends with the text.

use zeroize::Zeroizing;

use crate::sync::projection::json;

/// What a value is, by its first character.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    False,
    True,
    Number,
    Text,
    Nested,
}

/// A value and the text that it is written in.
#[derive(Clone, Copy)]
pub(super) struct Node<'j> {
    pub(super) kind: Kind,
    pub(super) raw: &'j str,
}

impl<'j> Node<'j> {
    /// The value that a text consists of.
    pub(super) fn of(text: &'j str) -> Option<Self> {
        let start = text.find(|character: char| character > ' ')?;
        let rest = text.get(start..)?;
        match rest.as_bytes().first()? {
            b'{' | b'[' => Some(Self { kind: Kind::Nested, raw: rest }),
            b'"' | b't' | b'f' | b'n' | b'-' | b'+' | b'0'..=b'9' => next(rest, 0).0,
            _ => None,
        }
    }

    pub(super) fn is_object(self) -> bool {
        self.kind == Kind::Nested && self.raw.starts_with('{')
    }

    pub(super) fn is_array(self) -> bool {
        self.kind == Kind::Nested && self.raw.starts_with('[')
    }

    /// Strings without quotes, objects and arrays as JSON, `null` as nothing.
    pub(super) fn text(self) -> Zeroizing<Vec<u8>> {
        match self.kind {
            Kind::Null => Zeroizing::default(),
            Kind::False => Zeroizing::new(b"false".to_vec()),
            Kind::True => Zeroizing::new(b"true".to_vec()),
            Kind::Number => Zeroizing::new(json::decimal(self.raw).as_bytes().to_vec()),
            Kind::Text => json::unquoted(self.raw),
            Kind::Nested => Zeroizing::new(self.raw.as_bytes().to_vec()),
        }
    }

    pub(super) fn number(self) -> f64 {
        self.raw.parse().unwrap_or(0.0)
    }

    /// Whether it means yes: `true`, a number that is not zero, or a text that says so.
    pub(super) fn is_trueish(self) -> bool {
        match self.kind {
            Kind::True => true,
            Kind::Number => self.number() != 0.0,
            Kind::Text => said(&json::unquoted(self.raw)) == Some(true),
            Kind::Null | Kind::False | Kind::Nested => false,
        }
    }

    /// Whether it means no: `false`, `null`, zero, or a text that says so.
    pub(super) fn is_falseish(self) -> bool {
        match self.kind {
            Kind::Null | Kind::False => true,
            Kind::Number => self.number() == 0.0,
            Kind::Text => said(&json::unquoted(self.raw)) == Some(false),
            Kind::True | Kind::Nested => false,
        }
    }

    /// The members of an object, the elements of an array, or the value itself.
    pub(super) fn members(self) -> Members<'j> {
        match self.kind {
            Kind::Nested => Members { text: self.raw, at: 1, is_object: self.is_object(), single: None },
            Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::Text => {
                Members { text: "", at: 0, is_object: false, single: Some(self) }
            }
        }
    }
}

/// What a text says about yes and no.
fn said(text: &[u8]) -> Option<bool> {
    match text.to_ascii_lowercase().as_slice() {
        b"1" | b"t" | b"true" => Some(true),
        b"0" | b"f" | b"false" => Some(false),
        _ => None,
    }
}

/// Walks over members; each is a key, empty in an array, and a value.
pub(super) struct Members<'j> {
    text: &'j str,
    at: usize,
    is_object: bool,
    single: Option<Node<'j>>,
}

impl<'j> Members<'j> {
    /// Values one after the other, as in JSON lines.
    pub(super) const fn lines(text: &'j str) -> Self {
        Self { text, at: 0, is_object: false, single: None }
    }
}

impl<'j> Iterator for Members<'j> {
    type Item = (&'j str, Node<'j>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(single) = self.single.take() {
            return Some(("", single));
        }
        let mut key = "";
        if self.is_object {
            let start = self.at + self.text.get(self.at..)?.find(['"', '}'])?;
            let end = string_end(self.text, start)?;
            key = self.text.get(start..end)?;
            self.at = end;
        }
        let (node, at) = next(self.text, self.at);
        self.at = if node.is_some() { at } else { self.text.len() };
        node.map(|node| (key, node))
    }
}

/// The next value from `at` on, and where it ends. Nothing if the object or array ends before.
fn next(text: &str, mut at: usize) -> (Option<Node<'_>>, usize) {
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        let (kind, end) = match byte {
            b'"' => match string_end(text, at) {
                Some(end) => (Kind::Text, end),
                None => return (None, text.len()),
            },
            b'{' | b'[' => (Kind::Nested, balanced_end(text, at)),
            b'}' | b']' => return (None, at + 1),
            b't' => (Kind::True, run(bytes, at, u8::is_ascii_lowercase)),
            b'f' => (Kind::False, run(bytes, at, u8::is_ascii_lowercase)),
            b'n' => (Kind::Null, run(bytes, at, u8::is_ascii_lowercase)),
            b'-' | b'+' | b'0'..=b'9' => {
                (Kind::Number, run(bytes, at, |byte| *byte > b' ' && !matches!(byte, b',' | b']' | b'}')))
            }
            _ => {
                at += 1;
                continue;
            }
        };
        return (text.get(at..end).map(|raw| Node { kind, raw }), end);
    }
    (None, text.len())
}

fn run(bytes: &[u8], at: usize, belongs: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().skip(at).position(|byte| !belongs(byte)).map_or(bytes.len(), |length| at + length)
}

/// Where the string that begins at `at` ends, after its closing quote. Nothing if there is none.
pub(super) fn string_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Where what is opened at `at` is closed again, or the end of the text.
pub(super) fn balanced_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (at + 1, 1_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => match string_end(text, at) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => return text.len(),
            },
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}
