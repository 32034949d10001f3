//! JSON and flow YAML piece by piece, of files that no parser can read: cut off, several in a row, within other text.

use std::ops::Range;

use super::{Found, Value};

/// Deeper than any object; a bound for hostile input.
const MAX_OPEN: usize = 256;
/// More values than a Secret has room for.
const MAX_VALUES: usize = 20_000;

/// A map that is still open.
#[derive(Default)]
struct Open {
    /// The key that it is the value of.
    key: String,
    is_list: bool,
    is_secret: bool,
    found: Found,
    /// Its scalars, kept where they may be wanted.
    scalars: Vec<(String, String, Range<usize>)>,
    /// The key whose value comes next.
    next: Option<String>,
}

/// How far the brace around a word may be from it.
const MAX_DISTANCE: usize = 64 << 10;

/// The brace around a byte, by counting; the byte itself where there is none.
pub(super) fn around(text: &str, at: usize) -> usize {
    let near = at.saturating_sub(MAX_DISTANCE);
    let mut depth = 0_usize;
    for (before, byte) in text.as_bytes()[near..at].iter().enumerate().rev() {
        match byte {
            b'}' => depth += 1,
            b'{' if depth == 0 => return near + before,
            b'{' => depth -= 1,
            _ => {}
        }
    }
    at
}

/// How many bytes of a text there are until the brace that is open before it closes, by counting.
pub(super) fn rest(text: &str) -> usize {
    let mut depth = 0_usize;
    for (after, byte) in text.bytes().enumerate().take(MAX_DISTANCE) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return after + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    let mut end = text.len().min(MAX_DISTANCE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Every Secret in braces, with places `offset` bytes further on.
pub(super) fn read(text: &str, offset: usize) -> Vec<Found> {
    let mut pieces = Pieces { text, at: 0 };
    let mut open: Vec<Open> = Vec::new();
    let mut all = Vec::new();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Sign(sign @ (b'{' | b'[')) => {
                let key = open.last_mut().and_then(|around| around.next.take()).unwrap_or_default();
                if open.len() < MAX_OPEN {
                    open.push(Open { key, is_list: sign == b'[', ..Open::default() });
                }
            }
            Piece::Sign(b'}' | b']') => close(&mut open, &mut all),
            Piece::Sign(b',') => {
                if let Some(around) = open.last_mut() {
                    around.next = None;
                }
            }
            Piece::Sign(_) => {}
            Piece::Word(span, word) => {
                let span = span.start + offset..span.end + offset;
                // Where quotes were escaped, spaces stand for what escaped them.
                let word = word.trim().to_owned();
                let Some(around) = open.last_mut() else { continue };
                match around.next.take() {
                    None if !around.is_list && pieces.colon_comes() => around.next = Some(word),
                    None => {}
                    Some(key) => {
                        if key == "kind" {
                            around.is_secret = word == "Secret";
                            around.found.starts.push(span.start);
                        }
                        let is_wanted = matches!(around.key.as_str(), "data" | "stringData" | "metadata");
                        if is_wanted && around.scalars.len() < MAX_VALUES {
                            around.scalars.push((key, word, span));
                        }
                    }
                }
            }
        }
    }
    // What was cut off is as readable as what was not.
    while !open.is_empty() {
        close(&mut open, &mut all);
    }
    all
}

fn close(open: &mut Vec<Open>, all: &mut Vec<Found>) {
    let Some(closed) = open.pop() else { return };
    if let Some(around) = open.last_mut().filter(|_| !closed.is_list) {
        match closed.key.as_str() {
            field @ ("data" | "stringData") => {
                let value = |(key, text, span): (String, String, Range<usize>)| Value {
                    is_data: field == "data",
                    key,
                    text: text.into(),
                    span,
                };
                around.found.values.extend(closed.scalars.into_iter().map(value));
            }
            "metadata" => {
                for (key, word, _) in closed.scalars {
                    match key.as_str() {
                        "name" => around.found.name = Some(word),
                        "namespace" => around.found.namespace = Some(word),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if closed.is_secret && !closed.found.values.is_empty() {
        all.push(closed.found);
    }
}

enum Piece {
    Sign(u8),
    /// A string or a bare word, without its quotes.
    Word(Range<usize>, String),
}

struct Pieces<'t> {
    text: &'t str,
    at: usize,
}

impl Pieces<'_> {
    fn next(&mut self) -> Option<Piece> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        let start = self.at;
        match *bytes.get(start)? {
            sign @ (b'{' | b'}' | b'[' | b']' | b',' | b':') => {
                self.at += 1;
                Some(Piece::Sign(sign))
            }
            quote @ (b'"' | b'\'') => {
                let mut end = start + 1;
                while let Some(byte) = bytes.get(end).filter(|byte| **byte != quote) {
                    end += if *byte == b'\\' && quote == b'"' { 2 } else { 1 };
                }
                let end = end.min(bytes.len());
                self.at = (end + 1).min(bytes.len());
                let raw = self.text.get(start + 1..end).unwrap_or_default();
                let word = if quote == b'"' {
                    serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned())
                } else {
                    raw.to_owned()
                };
                Some(Piece::Word(start + 1..end.max(start + 1), word))
            }
            _ => {
                let is_end = |byte: &u8| {
                    byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b'"' | b'\'')
                };
                let is_colon = |at: usize| bytes[at] == b':' && bytes.get(at + 1).is_none_or(is_end);
                let end = (start..bytes.len()).find(|at| is_end(&bytes[*at]) || is_colon(*at)).unwrap_or(bytes.len());
                self.at = end.max(start + 1);
                let span = start..self.at;
                let word = self.text.get(span.clone()).unwrap_or_default().to_owned();
                Some(Piece::Word(span, word))
            }
        }
    }

    fn colon_comes(&self) -> bool {
        self.text.as_bytes()[self.at..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn secrets_are_read_whole_cut_off_in_rows_and_within_text() {
        let one = r#"{"apiVersion":"v1","data":{"password":"aHVudGVyMg=="},"kind":"Secret","metadata":{"name":"db","namespace":"prod"}}"#;
        for text in [
            one.to_owned(),
            format!("{one}\n{one}"),
            format!("kubectl said {{ {one} and more"),
            one[..one.len() - 2].to_owned(),
            "x {kind: Secret, metadata: {name: db, namespace: prod}, data: {password: aHVudGVyMg==}".to_owned(),
        ] {
            let found = read(&text, 0);
            let value = &found[0].values[0];
            assert_eq!(
                (value.key.as_str(), value.text.as_str(), &text[value.span.clone()]),
                ("password", "aHVudGVyMg==", "aHVudGVyMg==")
            );
            assert_eq!((found[0].name.as_deref(), found[0].namespace.as_deref()), (Some("db"), Some("prod")), "{text}");
        }
        assert!(read(r#"{"kind": "ConfigMap", "data": {"a": "b"}}"#, 0).is_empty());
        assert!(read(&"{".repeat(100_000), 0).is_empty());
    }
}
