//! Secrets, generators and templates of what a parser can read.

use std::cell::RefCell;
use std::ops::Range;

use super::{Found, MAX_DEPTH, Value, value, within};
use crate::leaks::{every, is_secret, may_hold_one, silent_secrets};
use crate::outline::{Outline, View};
use crate::scan::hit::Hit;
use crate::scan::rules::{GENERATED_SECRET, PLAIN_TEMPLATE};

/// What was read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) secrets: Vec<Found>,
    /// What was found beside Secrets.
    pub(super) hits: Vec<Hit>,
    /// The parts of the text of which enough is known.
    pub(super) seen: Vec<Range<usize>>,
    /// Whether all of the text could be read.
    pub(super) is_whole: bool,
}

/// Characters between two marks in a long line.
const MARKED: usize = 256;

/// A text, and where its lines begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// Where the text is in the file.
    offset: usize,
    /// Of the long line that was looked up last, the byte of every so many characters.
    marks: RefCell<(usize, Vec<usize>)>,
}

/// Reads a text; where it cannot be read as a whole, each document of it alone.
pub(super) fn read(text: &str, depth: usize) -> Read {
    let mut read = Read { is_whole: true, ..Read::default() };
    if !one(text, 0, depth, &mut read) {
        read.is_whole = false;
        let parts = documents(text);
        if parts.len() > 1 {
            for part in parts {
                one(&text[part.clone()], part.start, depth, &mut read);
            }
        }
    }
    read
}

/// The documents of a text, by the marks between them.
fn documents(text: &str) -> Vec<Range<usize>> {
    let marks = text
        .match_indices("\n---")
        .map(|(at, _)| at + 1)
        .filter(|at| text[at + 3..].starts_with(|next: char| next.is_ascii_whitespace()) || text.len() == at + 3);
    let mut starts: Vec<usize> = std::iter::once(0).chain(marks).collect();
    starts.dedup();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| start..end).collect()
}

/// Whether it could be read.
fn one(text: &str, offset: usize, depth: usize, read: &mut Read) -> bool {
    let Ok(outline) = Outline::parse(text) else { return false };
    let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
    let lines = Lines { text, starts, offset, marks: RefCell::default() };
    for view in outline.all() {
        if view.is_alias() {
            continue;
        }
        if view.is_map() {
            map(view, &lines, read);
        } else if let Some(inner) = view.text()
            && inner.len() > 24
            && may_hold_one(inner)
            && depth < MAX_DEPTH
        {
            let span = lines.extent(view, inner);
            for mut hit in within(inner, depth + 1) {
                hit.span = lines.inside(&span, inner, hit.span);
                hit.starts = vec![span.start];
                read.hits.push(hit);
            }
            read.seen.push(span);
        }
    }
    true
}

fn map(view: View<'_, '_>, lines: &Lines<'_>, read: &mut Read) {
    if is_secret(view) {
        let mut from = lines.offset_of(view.place());
        for (key, kind) in view.own_pairs().filter(|(key, _)| key.text() == Some("kind")) {
            from = lines.offset_of(key.place());
            read.seen.push(from..lines.offset_of(kind.place()) + "Secret".len() + 1);
        }
        read.secrets.push(secret(view, lines, from));
    } else {
        let silent = silent_secrets(view).into_iter();
        read.secrets.extend(silent.map(|item| secret(item, lines, lines.offset_of(item.place()))));
    }
    match view.get("kind").and_then(View::text) {
        Some("SealedSecret") => templates(view, &["spec", "template"], "SealedSecret", lines, read),
        Some("ExternalSecret") => templates(view, &["spec", "target", "template"], "ExternalSecret", lines, read),
        Some(_) | None => {}
    }
    if let Some(generators) = view.get("secretGenerator") {
        for generator in generators.items() {
            let name = generator.get("name").and_then(View::text);
            for literal in generator.get("literals").into_iter().flat_map(View::items) {
                read.hits.extend(literal.text().and_then(|text| generated(text, name, lines.extent(literal, text))));
            }
        }
    }
}

/// A literal of a generator, `key=value`.
pub(super) fn generated(literal: &str, name: Option<&str>, span: Range<usize>) -> Option<Hit> {
    let (key, text) = literal.split_once('=')?;
    let text = text.trim_matches(['"', '\'']);
    let (what, secret) = value::given_away(key, text, false)?;
    let object = name.map_or_else(|| "secretGenerator".to_owned(), |name| format!("secretGenerator {name}"));
    Some(Hit::new(&GENERATED_SECRET, span, what, &secret).within(Some(object), format!("literals.{key}")))
}

fn name_of(view: View<'_, '_>, field: &str) -> Option<String> {
    view.find(&["metadata", field]).and_then(View::text).map(str::to_owned)
}

fn secret(view: View<'_, '_>, lines: &Lines<'_>, kind: usize) -> Found {
    let mut found = Found {
        namespace: name_of(view, "namespace"),
        name: name_of(view, "name"),
        starts: vec![kind, lines.offset_of(view.place())],
        values: Vec::new(),
    };
    for (field, is_data) in [("data", true), ("stringData", false)] {
        for (key, value) in every(view, field).into_iter().flat_map(View::pairs) {
            // A value that is no text is no valid Secret, and may be a secret all the same.
            let Some(text) = value.text() else { continue };
            let key = key.text().unwrap_or_default().to_owned();
            found.values.push(Value { is_data, key, text: text.to_owned().into(), span: lines.extent(value, text) });
        }
    }
    found
}

fn templates(view: View<'_, '_>, path: &[&str], kind: &str, lines: &Lines<'_>, read: &mut Read) {
    let Some(template) = view.find(path) else { return };
    for field in ["data", "stringData"] {
        for (key, value) in template.get(field).map(View::pairs).unwrap_or_default() {
            let (Some(key), Some(text)) = (key.text(), value.text()) else { continue };
            let Some((what, secret)) = value::given_away_by_template(key, text) else { continue };
            let object = name_of(view, "name").map_or_else(|| kind.to_owned(), |name| format!("{kind} {name}"));
            let path = format!("{}.{field}.{key}", path.join("."));
            let hit = Hit::new(&PLAIN_TEMPLATE, lines.extent(value, text), what, &secret).within(Some(object), path);
            read.hits.push(hit.starting(&[lines.offset_of(view.place())]));
        }
    }
}

impl Lines<'_> {
    /// The byte of a line and a column, in the file.
    fn offset_of(&self, (line, column): (usize, usize)) -> usize {
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1).max(start);
        let (text, column) = (&self.text[start..end], column.saturating_sub(1));
        let (from, left) = if text.len() > 4 * MARKED { self.marked(line, text, column) } else { (0, column) };
        let at = text[from..].char_indices().nth(left).map_or(text.len(), |(at, _)| from + at);
        self.offset + start + at
    }

    /// A byte near a character of a long line, and how many characters are left from there.
    fn marked(&self, line: usize, text: &str, column: usize) -> (usize, usize) {
        let mut marks = self.marks.borrow_mut();
        if marks.0 != line {
            *marks = (line, text.char_indices().step_by(MARKED).map(|(at, _)| at).collect());
        }
        let mark = (column / MARKED).min(marks.1.len().saturating_sub(1));
        (marks.1.get(mark).copied().unwrap_or_default(), column - mark * MARKED)
    }

    /// The bytes of a value: just these where it stands as it is written, else its lines.
    fn extent(&self, view: View<'_, '_>, value: &str) -> Range<usize> {
        let (text, inner) = (self.text.as_bytes().as_ptr_range(), value.as_bytes().as_ptr_range());
        if !value.is_empty() && text.contains(&inner.start) && inner.end <= text.end {
            let at = inner.start.addr() - text.start.addr();
            return self.offset + at..self.offset + at + value.len();
        }
        let start = self.offset_of(view.place());
        let last = view.line() + value.matches('\n').count();
        let end = self.starts.get(last).map_or(self.text.len(), |next| next - 1);
        start..(self.offset + end).max(start + 1)
    }

    /// A part of a value that is itself a text, in the file: its line at least.
    fn inside(&self, outer: &Range<usize>, inner: &str, part: Range<usize>) -> Range<usize> {
        if outer.len() == inner.len() {
            return outer.start + part.start..outer.start + part.end;
        }
        let before = inner.get(..part.start).map_or(0, |before| before.matches('\n').count());
        let local = outer.start - self.offset;
        let line = self.starts.partition_point(|start| *start <= local).saturating_sub(1);
        // Of a block the first line is its mark.
        let is_block = self.text[local..].starts_with(['|', '>']);
        let at = line + before + usize::from(is_block);
        if before == 0 && !is_block {
            return outer.clone();
        }
        let start = self.starts.get(at).copied().unwrap_or(local);
        let end = self.starts.get(at + 1).map_or(self.text.len(), |next| next - 1);
        let indent = self.text[start..end].len() - self.text[start..end].trim_start().len();
        self.offset + start + indent..self.offset + end
    }
}
