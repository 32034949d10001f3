//! The parts of a path.

use super::{modifier, scan::string_end};

/// What follows a component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next<'p> {
    /// Nothing.
    End,
    /// A path into what is found, for each of it where there are several.
    Into(&'p str),
    /// A path for the result as a whole.
    Pipe(&'p str),
}

/// A component as it is looked for in an object.
pub(super) struct Name<'p> {
    /// Characters, and whether each is a wildcard.
    glob: Vec<(char, bool)>,
    pub(super) next: Next<'p>,
}

impl<'p> Name<'p> {
    pub(super) fn parse(path: &'p str) -> Self {
        let mut glob = Vec::new();
        let mut characters = path.char_indices();
        while let Some((at, character)) = characters.next() {
            let rest = path.get(at + 1..).unwrap_or_default();
            match character {
                '|' => return Self { glob, next: Next::Pipe(rest) },
                '.' => return Self { glob, next: after_dot(rest) },
                '\\' => glob.extend(characters.next().map(|(_, escaped)| (escaped, false))),
                '*' | '?' => glob.push((character, true)),
                other => glob.push((other, false)),
            }
        }
        Self { glob, next: Next::End }
    }

    pub(super) fn matches(&self, key: &str) -> bool {
        matches(&self.glob, key)
    }

    /// Steps that matching a key may take, in proportion to bytes looked at.
    pub(super) fn cost(&self, key: &str) -> usize {
        let has_stars = self.glob.iter().any(|(_, wild)| *wild);
        if has_stars { self.glob.len().saturating_mul(key.len()) / 8 } else { 0 }
    }
}

/// A dot before a modifier or a multipath is a pipe.
fn after_dot(rest: &str) -> Next<'_> {
    let is_pipe = match rest.as_bytes().first() {
        Some(b'[' | b'{') => true,
        Some(b'@') => {
            modifier::is_known(rest.get(1..).unwrap_or_default().split(['.', '|', ':']).next().unwrap_or_default())
        }
        Some(_) | None => false,
    };
    if is_pipe { Next::Pipe(rest) } else { Next::Into(rest) }
}

/// Whether a text is like a pattern in which `*` stands for any characters, `?` for one, and `\` escapes.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let mut glob = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped) => glob.push((escaped, false)),
                None => return false,
            },
            other => glob.push((other, matches!(other, '*' | '?'))),
        }
    }
    matches(&glob, text)
}

/// Takes at most as many steps as both lengths multiplied.
fn matches(glob: &[(char, bool)], text: &str) -> bool {
    let (mut rest, mut at) = (text.chars(), 0);
    // Where to go on if what follows the last star does not match here.
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let here = rest.clone();
        match (glob.get(at), rest.next()) {
            (Some(('*', true)), _) => {
                retry = Some((at + 1, here.clone()));
                rest = here;
                at += 1;
            }
            (None, None) => return true,
            (Some(('?', true)), Some(_)) => at += 1,
            (Some((wanted, false)), Some(found)) if *wanted == found => at += 1,
            (Some(_) | None, _) => {
                let Some((after, from)) = &mut retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                at = *after;
                rest = from.clone();
            }
        }
    }
}

/// A component as it is looked for in an array.
pub(super) struct Place<'p> {
    pub(super) selector: Selector<'p>,
    pub(super) next: Next<'p>,
}

pub(super) enum Selector<'p> {
    /// The element of that number.
    Index(usize),
    /// `#`
    All,
    /// `#(…)` and `#(…)#`
    Query(Query<'p>),
    /// Nothing that an array has.
    Nothing,
}

impl<'p> Place<'p> {
    pub(super) fn parse(path: &'p str) -> Self {
        let opened = path.strip_prefix('#').is_some_and(|rest| rest.starts_with(['(', '[']));
        let query = if opened { Query::parse(path) } else { None };
        let start = query.as_ref().map_or(0, |(_, end)| *end);
        let end = path.get(start..).and_then(|rest| rest.find(['.', '|'])).map(|length| start + length);
        let part = path.get(..end.unwrap_or(path.len())).unwrap_or_default();
        let after = end.and_then(|end| path.get(end + 1..)).unwrap_or_default();
        let next = match end.and_then(|end| path.as_bytes().get(end)) {
            Some(b'|') => Next::Pipe(after),
            Some(_) if part.contains('#') => Next::Into(after),
            Some(_) => after_dot(after),
            None => Next::End,
        };
        let selector = match query {
            Some((mut query, end)) => {
                query.all = path.get(end..).is_some_and(|rest| rest.starts_with('#'));
                Selector::Query(query)
            }
            None if part == "#" => Selector::All,
            None if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) => {
                part.parse().map_or(Selector::Nothing, Selector::Index)
            }
            None => Selector::Nothing,
        };
        Self { selector, next }
    }
}

/// A condition on elements.
pub(super) struct Query<'p> {
    /// What is looked at in each; empty for the element itself.
    pub(super) path: &'p str,
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`, `%`, `!%`, or nothing if it need only exist.
    pub(super) operator: &'p str,
    /// What it is compared with, as it is written.
    pub(super) value: &'p str,
    /// Whether all matches are meant, and not the first.
    pub(super) all: bool,
}

impl<'p> Query<'p> {
    /// Reads `#(…)`, and says where it ends. Nothing if it does not.
    fn parse(path: &'p str) -> Option<(Self, usize)> {
        let bytes = path.as_bytes();
        let (mut at, mut depth, mut operator) = (2, 1_usize, None);
        let end = loop {
            match bytes.get(at)? {
                b'!' | b'=' | b'<' | b'>' | b'%' if depth == 1 && operator.is_none() => operator = Some(at),
                b'\\' => at += 1,
                b'(' | b'[' => depth += 1,
                b')' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        break at;
                    }
                }
                b'"' => at = string_end(path, at)? - 1,
                _ => {}
            }
            at += 1;
        };
        let path_end = operator.unwrap_or(end);
        let (operator, value) = split_operator(trimmed(path.get(path_end..end)?));
        Some((Self { path: trimmed(path.get(2..path_end)?), operator, value, all: false }, end + 1))
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

fn split_operator(text: &str) -> (&str, &str) {
    for (written, operator) in [
        ("!=", "!="),
        ("!%", "!%"),
        ("<=", "<="),
        (">=", ">="),
        ("==", "="),
        ("<", "<"),
        (">", ">"),
        ("=", "="),
        ("%", "%"),
        // Alone it compares nothing: no match.
        ("!", "!"),
    ] {
        if let Some(value) = text.strip_prefix(written) {
            return (operator, trimmed(value));
        }
    }
    ("", "")
}

/// Splits a path at the first `|` that is not within a query, if there is one.
pub(super) fn split_pipe(path: &str) -> (&str, Option<&str>) {
    let bytes = path.as_bytes();
    let split = |at: usize| (path.get(..at).unwrap_or_default(), path.get(at + 1..));
    if bytes.first() == Some(&b'{') {
        let end = super::scan::balanced_end(path, 0);
        return if bytes.get(end) == Some(&b'|') { split(end) } else { (path, None) };
    }
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'|' => return split(at),
            b'.' if matches!(path.get(at + 1..at + 3), Some("#(" | "#[")) => {
                match path.get(at + 1..).and_then(Query::parse) {
                    Some((_, length)) => at += length,
                    None => return (path, None),
                }
            }
            _ => {}
        }
        at += 1;
    }
    (path, None)
}

/// One path of a multipath, with its name where it has one.
pub(super) struct Part<'p> {
    pub(super) name: &'p str,
    pub(super) path: &'p str,
}

/// The paths between `[` and `]`, or `{` and `}`, and what follows. Nothing if the bracket is not closed.
pub(super) fn parts(path: &str) -> Option<(Vec<Part<'_>>, &str)> {
    let bytes = path.as_bytes();
    let mut parts = Vec::new();
    let (mut at, mut start, mut depth) = (1, 1, 1_usize);
    let (mut colon, mut in_modifier) = (None, false);
    loop {
        let byte = bytes.get(at)?;
        let ends = matches!(byte, b',' | b']' | b')' | b'}') && depth == 1;
        match byte {
            b'\\' => at += 1,
            b'@' if matches!(bytes.get(at - 1), Some(b'.' | b'|')) => in_modifier = true,
            b':' if depth == 1 && !in_modifier && colon.is_none() => colon = Some(at),
            b'"' => at = string_end(path, at)? - 1,
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth -= 1,
            _ => {}
        }
        if ends {
            parts.push(match colon.take() {
                None => Part { name: "", path: path.get(start..at)? },
                Some(colon) => Part { name: path.get(start..colon)?, path: path.get(colon + 1..at)? },
            });
            (start, in_modifier) = (at + 1, false);
        }
        at += 1;
        if depth == 0 {
            return Some((parts, path.get(at..)?));
        }
    }
}

/// The name that a path without one gets in a multipath.
pub(super) fn last_name(path: &str) -> &str {
    let is_separator =
        |at: usize, byte: u8| matches!(byte, b'|' | b'.') && (at == 0 || path.as_bytes().get(at - 1) != Some(&b'\\'));
    let start = path.bytes().enumerate().rposition(|(at, byte)| is_separator(at, byte)).map_or(0, |at| at + 1);
    let name = path.get(start..).unwrap_or_default();
    let is_simple = name
        .bytes()
        .all(|byte| byte >= b' ' && !matches!(byte, b'[' | b']' | b'{' | b'}' | b'(' | b')' | b'#' | b'|' | b'!'));
    if is_simple { name } else { "_" }
}
