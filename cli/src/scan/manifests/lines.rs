//! Block YAML line by line, of files that no parser can read: templates, mistakes, manuals, scripts, comments.

use std::ops::Range;

use super::parsed::generated;
use super::{Found, Value};
use crate::scan::hit::Hit;

/// How many lines of one object are looked at, in each direction.
const MAX_LINES: usize = 20_000;

/// A line of the text, without the mark of a comment in front of it.
#[derive(Clone, Copy)]
struct Line<'t> {
    /// Where the line begins.
    start: usize,
    /// Characters before the content, the comment's mark among them.
    indent: usize,
    content: &'t str,
    is_comment: bool,
}

impl<'t> Line<'t> {
    fn at(text: &'t str, start: usize) -> Self {
        let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line = text[start..end].trim_end();
        let inner = line.trim_start_matches([' ', '\t']);
        // `# kind: Secret`: what is commented out is as readable as the rest.
        let comment = inner.strip_prefix('#').or_else(|| inner.strip_prefix("//"));
        let inner = comment.map_or(inner, |comment| comment.trim_start_matches([' ', '\t']));
        Self { start, indent: line.len() - inner.len(), content: inner, is_comment: comment.is_some() }
    }

    /// The line as one of an object that is a comment or is none; `None` where that ends.
    fn within(self, is_comment: bool) -> Option<Self> {
        match (is_comment, self.is_comment) {
            // A comment says nothing within an object.
            (false, true) => Some(Self { content: "", ..self }),
            (true, false) => None,
            (false, false) | (true, true) => Some(self),
        }
    }

    /// Nothing, or something that a template does.
    fn is_nothing(&self) -> bool {
        self.content.is_empty()
            || self.content.starts_with("{{") && !self.content.contains("}}:") && self.content.ends_with("}}")
    }

    /// The line without the dash of a list's item.
    fn without_dash(self) -> Self {
        match self.content.strip_prefix('-') {
            Some(rest) if rest.starts_with(' ') => {
                let inner = rest.trim_start();
                Self { indent: self.indent + self.content.len() - inner.len(), content: inner, ..self }
            }
            Some(_) | None => self,
        }
    }

    /// Key and value, and where the value begins.
    fn entry(&self) -> Option<(&'t str, &'t str, usize)> {
        let (key, rest) = match self.content.strip_prefix(['"', '\'']) {
            Some(quoted) => {
                let (key, rest) = quoted.split_once(['"', '\''])?;
                (key, rest.trim_start().strip_prefix(':')?)
            }
            None => {
                let colon = self.content.find(": ").or_else(|| self.content.strip_suffix(':').map(str::len))?;
                (&self.content[..colon], &self.content[colon + 1..])
            }
        };
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_./${} ".contains(letter);
        if key.is_empty() || !key.chars().all(is_name) || key.contains(' ') && !key.contains("{{") {
            return None;
        }
        let value = rest.trim_start();
        // `key: # what it is for`
        let value = if value.starts_with('#') { "" } else { value };
        Some((key.trim(), value, self.start + self.indent + self.content.len() - value.len()))
    }
}

/// The Secret that says its kind at this byte.
pub(super) fn secret(text: &str, kind: usize) -> Option<Found> {
    let start = text[..kind].rfind('\n').map_or(0, |newline| newline + 1);
    let own = Line::at(text, start).without_dash();
    // The word must be the key of its line.
    if own.entry().is_none_or(|(key, ..)| key != "kind") {
        return None;
    }
    let mut found = Found { starts: vec![start], ..Found::default() };
    let mut members: Vec<Line<'_>> = above(text, start, own.indent);
    found.starts.extend(members.last().map(|line| line.start));
    members.reverse();
    members.extend(below(text, start));
    read(&members, own.indent, &mut found);
    (!found.values.is_empty()).then_some(found)
}

/// Lines of the same object before one of its lines, the nearest first.
fn above(text: &str, mut start: usize, indent: usize) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let own = Line::at(text, start);
    if own.content.starts_with("- ") {
        return lines;
    }
    let is_comment = own.is_comment;
    while start > 0 && lines.len() < MAX_LINES {
        start = text[..start - 1].rfind('\n').map_or(0, |newline| newline + 1);
        let Some(line) = Line::at(text, start).within(is_comment) else { break };
        if line.content.starts_with("---") {
            break;
        }
        let first = line.without_dash();
        let is_first_of_item = first.indent == indent && line.indent < indent;
        if !line.is_nothing() && line.indent < indent && !is_first_of_item {
            break;
        }
        // No entry of a map, or the kind of another one.
        if !line.is_nothing() && line.indent == indent && line.entry().is_none_or(|(key, ..)| key == "kind") {
            break;
        }
        lines.push(if is_first_of_item { first } else { line });
        if is_first_of_item {
            break;
        }
    }
    lines
}

/// Lines of the same object from one of its lines on.
fn below(text: &str, start: usize) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut next = Some(start);
    let own = Line::at(text, start).without_dash();
    let (indent, is_comment) = (own.indent, own.is_comment);
    while let Some(start) = next.filter(|_| lines.len() < MAX_LINES) {
        next = text[start..].find('\n').map(|newline| start + newline + 1).filter(|next| *next < text.len());
        let Some(line) = Line::at(text, start).within(is_comment) else { break };
        if lines.is_empty() {
            lines.push(line.without_dash());
            continue;
        }
        let is_other = || line.entry().is_none_or(|(key, ..)| key == "kind");
        let ends = line.indent < indent || line.indent == indent && is_other();
        if line.content.starts_with("---") || line.content.starts_with("```") || !line.is_nothing() && ends {
            break;
        }
        lines.push(line);
    }
    lines
}

fn read(lines: &[Line<'_>], indent: usize, found: &mut Found) {
    let mut rest = lines.iter().enumerate().filter(|(_, line)| line.indent == indent && !line.is_nothing());
    let keys: Vec<(usize, &str)> = rest.by_ref().filter_map(|(at, line)| Some((at, line.entry()?.0))).collect();
    let ends = keys.iter().skip(1).map(|(at, _)| *at).chain([lines.len()]);
    for ((at, key), end) in keys.iter().zip(ends) {
        let inside = &lines[at + 1..end];
        match *key {
            "metadata" => {
                for (key, value, _) in inside.iter().filter_map(Line::entry) {
                    let value = unquoted(value);
                    match key {
                        "name" if found.name.is_none() => found.name = Some(value.to_owned()),
                        "namespace" => found.namespace = Some(value.to_owned()),
                        _ => {}
                    }
                }
            }
            "data" => values(inside, true, found),
            "stringData" => values(inside, false, found),
            _ => {}
        }
    }
}

fn values(lines: &[Line<'_>], is_data: bool, found: &mut Found) {
    let Some(indent) = lines.iter().find(|line| !line.is_nothing()).map(|line| line.indent) else { return };
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let Some((key, value, start)) = line.entry().filter(|_| line.indent == indent) else { continue };
        let is_block = value.starts_with(['|', '>']) || value.is_empty();
        let (mut text, mut end) = (unquoted(value).to_owned(), start + value.len());
        if is_block {
            text.clear();
        }
        // Deeper lines are more of the value.
        while let Some(more) = lines.get(at).filter(|more| more.indent > indent || more.content.is_empty()) {
            at += 1;
            if is_block || value.starts_with(['"', '\'']) || more.entry().is_none() {
                text.push('\n');
                text.push_str(more.content);
                end = more.start + more.indent + more.content.len();
            }
        }
        let span = start..end.max(start + 1);
        found.values.push(Value {
            is_data,
            key: key.to_owned(),
            text: text.trim().trim_matches(['"', '\'']).to_owned().into(),
            span,
        });
    }
}

/// A value without its quotes and the comment after it.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            // A template in quotes has quotes of its own.
            let end = if rest.contains("{{") { rest.rfind(quote) } else { rest.find(quote) };
            return end.map_or(rest, |end| &rest[..end]);
        }
    }
    value.find(" #").map_or(value, |comment| value[..comment].trim_end())
}

/// Literals of generators in a file that could not be read.
pub(super) fn generators(text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut at = 0;
    let (mut generator, mut literals, mut name): (Option<usize>, Option<usize>, Option<String>) = (None, None, None);
    for raw in text.split_inclusive('\n') {
        let line = Line::at(text, at);
        at += raw.len();
        if line.is_nothing() {
            continue;
        }
        let inner = line.without_dash();
        let is_item = inner.indent > line.indent;
        if generator.is_some_and(|indent| line.indent <= indent && !is_item) {
            (generator, literals) = (None, None);
        }
        match inner.entry() {
            Some(("secretGenerator", ..)) => generator = Some(line.indent),
            Some(("name", value, _)) if generator.is_some() => {
                (name, literals) = (Some(unquoted(value).to_owned()), None)
            }
            Some(("literals", ..)) if generator.is_some() => literals = Some(inner.indent),
            Some(_) if literals.is_some_and(|indent| inner.indent <= indent) => literals = None,
            Some(_) => {}
            None if literals.is_some() && is_item => {
                let (start, literal) = (line.start + inner.indent, unquoted(inner.content));
                let span: Range<usize> = start..start + inner.content.len();
                hits.extend(generated(literal, name.as_deref(), span));
            }
            None => {}
        }
    }
    hits
}
