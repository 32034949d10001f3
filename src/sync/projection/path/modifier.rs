//! What begins with `@` in a path: it makes something of the value so far.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{
    evaluate::{List, Search, Stop, quoted},
    scan::{Kind, Members, Node, balanced_end, string_end},
};
use crate::sync::projection::json;

const NAMES: [&str; 13] = [
    "this", "valid", "ugly", "pretty", "reverse", "flatten", "join", "keys", "values", "tostr", "fromstr", "group",
    "dig",
];

/// Levels of a document that is looked at as a whole.
const DEEPEST: usize = 100;

type Made = Zeroizing<String>;

pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Applies the modifier that a path begins with, and says what follows it. Nothing if there is no such modifier.
pub(super) fn apply<'p>(
    search: &mut Search,
    json: &str,
    path: &'p str,
    depth: usize,
) -> Result<Option<(Made, &'p str)>, Stop> {
    let text = path.get(1..).unwrap_or_default();
    let (name, after) = text.split_at(text.find([':', '|', '.']).unwrap_or(text.len()));
    if !is_known(name) {
        return Ok(None);
    }
    let (argument, rest) = match after.strip_prefix(':') {
        Some(text) => text.split_at(argument_end(text)),
        None => ("", after),
    };
    search.charge(json.len())?;
    let made = match name {
        "valid" if !is_valid(json) => Zeroizing::default(),
        "fromstr" if !is_valid(json) => Zeroizing::default(),
        "this" | "valid" => copy(json),
        "fromstr" => Node::of(json).map(|node| json::text(&node.text())).unwrap_or_default(),
        "tostr" => quoted(json),
        "ugly" => ugly(json),
        "pretty" => pretty(json, argument)?,
        "reverse" => reverse(json),
        "flatten" => flatten(json, option(argument, "deep"), 0)?,
        "join" => join(json, option(argument, "preserve")),
        "keys" => each(json, |key, _| if key.is_empty() { "null" } else { key }),
        "values" if Node::of(json).is_some_and(Node::is_array) => copy(json),
        "values" => each(json, |_, node| node.raw),
        "group" => group(json),
        _ => {
            let mut found = List::new();
            if let Some(node) = Node::of(json) {
                dig(search, node, argument, depth, &mut found)?;
            }
            found.finish()
        }
    };
    search.charge(made.len())?;
    Ok(Some((made, rest)))
}

fn copy(text: &str) -> Made {
    Zeroizing::new(text.to_owned())
}

fn is_valid(json: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok()
}

/// Where an argument ends: a JSON value ends by itself, all else at the next pipe.
fn argument_end(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(b'{' | b'[') => return balanced_end(text, 0),
        Some(b'"') => return string_end(text, 0).unwrap_or(text.len()),
        Some(_) | None => {}
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'|' => return at,
            b'{' | b'[' | b'(' => balanced_end(text, at),
            b'"' => string_end(text, at).unwrap_or(text.len()),
            _ => at + 1,
        };
    }
    text.len()
}

/// Whether an option of an argument is set.
fn option(argument: &str, name: &str) -> bool {
    value_of(argument, name).is_some_and(Node::is_trueish)
}

fn value_of<'a>(argument: &'a str, name: &str) -> Option<Node<'a>> {
    let members = Node::of(argument)?.members();
    members.filter(|(key, _)| json::unquoted(key).as_slice() == name.as_bytes()).map(|(_, value)| value).last()
}

fn members(json: &str) -> Option<(Node<'_>, Members<'_>)> {
    Node::of(json).map(|node| (node, node.members()))
}

fn each<'j>(json: &'j str, take: impl Fn(&'j str, Node<'j>) -> &'j str) -> Made {
    let mut list = List::new();
    for (key, value) in members(json).into_iter().flat_map(|(_, members)| members) {
        list.push(take(key, value));
    }
    list.finish()
}

/// Without what is between the values.
fn ugly(json: &str) -> Made {
    let mut out = Zeroizing::new(Vec::with_capacity(json.len()));
    let (bytes, mut at) = (json.as_bytes(), 0);
    while let Some(byte) = bytes.get(at) {
        let end = if *byte == b'"' { string_end(json, at).unwrap_or(json.len()) } else { at + 1 };
        if *byte > b' ' {
            out.extend_from_slice(bytes.get(at..end).unwrap_or_default());
        }
        at = end;
    }
    json::text(&out)
}

fn reverse(json: &str) -> Made {
    let Some((node, members)) = members(json).filter(|(node, _)| node.kind == Kind::Nested) else { return copy(json) };
    let mut entries: Vec<_> = members.collect();
    entries.reverse();
    let mut list = List::new();
    for (key, value) in entries {
        if node.is_object() {
            list.push(key);
            list.extend(":");
            list.extend(value.raw);
        } else {
            list.push(value.raw);
        }
    }
    if node.is_object() { list.finish_with('{', '}') } else { list.finish() }
}

fn flatten(json: &str, deep: bool, depth: usize) -> Result<Made, Stop> {
    if depth > DEEPEST {
        return Err(Stop::TooDeep);
    }
    let Some((_, members)) = members(json).filter(|(node, _)| node.is_array()) else { return Ok(copy(json)) };
    let mut list = List::new();
    for (_, value) in members {
        let flat;
        let raw = match (value.is_array(), deep) {
            (false, _) => value.raw,
            (true, false) => unwrapped(value.raw),
            (true, true) => {
                flat = flatten(value.raw, true, depth + 1)?;
                unwrapped(&flat)
            }
        };
        if !raw.trim().is_empty() {
            list.push(raw.trim());
        }
    }
    Ok(list.finish())
}

fn unwrapped(json: &str) -> &str {
    let json = json.trim();
    json.get(1..json.len().saturating_sub(1)).unwrap_or_default()
}

fn join(json: &str, preserve: bool) -> Made {
    let Some((_, members)) = members(json).filter(|(node, _)| node.is_array()) else { return copy(json) };
    let objects = members.map(|(_, value)| value).filter(|value| value.is_object());
    if preserve {
        let mut list = List::new();
        objects.for_each(|object| list.push(unwrapped(object.raw)));
        return list.finish_with('{', '}');
    }
    let mut entries: Vec<(&str, &str)> = Vec::new();
    let mut known: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (key, value) in objects.flat_map(Node::members) {
        let next = entries.len();
        let index = *known.entry(json::unquoted(key).to_vec()).or_insert(next);
        match entries.get_mut(index) {
            Some(entry) => entry.1 = value.raw,
            None => entries.push((key, value.raw)),
        }
    }
    let mut list = List::new();
    for (key, value) in entries {
        list.push(key);
        list.extend(":");
        list.extend(value);
    }
    list.finish_with('{', '}')
}

/// From an object of arrays to an array of objects.
fn group(json: &str) -> Made {
    let Some((_, columns)) = members(json).filter(|(node, _)| node.is_object()) else { return Zeroizing::default() };
    let mut rows: Vec<List> = Vec::new();
    for (key, column) in columns.filter(|(_, column)| column.is_array()) {
        for (index, (_, value)) in column.members().enumerate() {
            if index == rows.len() {
                rows.push(List::new());
            }
            if let Some(row) = rows.get_mut(index) {
                row.push(key);
                row.extend(":");
                row.extend(value.raw);
            }
        }
    }
    let mut list = List::new();
    for row in rows {
        list.push(&row.finish_with('{', '}'));
    }
    list.finish()
}

/// What a path leads to, from here and from everything within.
fn dig(search: &mut Search, node: Node<'_>, path: &str, depth: usize, found: &mut List) -> Result<(), Stop> {
    if let Some(here) = search.get(node.raw, path, depth + 1)? {
        let raw = here.node().raw;
        search.charge(raw.len())?;
        found.push(raw);
    }
    if node.kind == Kind::Nested {
        for (_, value) in node.members() {
            dig(search, value, path, depth + 1, found)?;
        }
    }
    Ok(())
}

/// How `@pretty` writes.
struct Layout<'a> {
    indent: &'a str,
    prefix: &'a str,
    width: usize,
    sort: bool,
}

fn pretty(json: &str, argument: &str) -> Result<Made, Stop> {
    let space = |name: &str| value_of(argument, name).map(|node| json::text(&node.text()));
    let (indent, prefix) = (space("indent"), space("prefix"));
    let is_space = |text: &&str| text.chars().all(|character| matches!(character, ' ' | '\t' | '\n' | '\r'));
    let width = value_of(argument, "width").map_or(80.0, Node::number);
    let layout = Layout {
        indent: indent.as_deref().map_or("  ", String::as_str),
        prefix: prefix.as_deref().map_or("", String::as_str),
        width: if width > 0.0 { width as usize } else { 0 },
        sort: option(argument, "sortKeys"),
    };
    // Only space may be put between values.
    let layout = Layout {
        indent: Some(layout.indent).filter(is_space).unwrap_or_default(),
        prefix: Some(layout.prefix).filter(is_space).unwrap_or_default(),
        ..layout
    };
    let mut out = Zeroizing::new(Vec::with_capacity(json.len().saturating_mul(2)));
    if let Some(node) = Node::of(json) {
        json::push(&mut out, layout.prefix.as_bytes());
        lay_out(node, &layout, 0, &mut out)?;
        json::push(&mut out, b"\n");
    }
    Ok(json::text(&out))
}

fn lay_out(node: Node<'_>, layout: &Layout<'_>, depth: usize, out: &mut Zeroizing<Vec<u8>>) -> Result<(), Stop> {
    if depth > DEEPEST {
        return Err(Stop::TooDeep);
    }
    if node.kind != Kind::Nested {
        json::push(out, node.raw.as_bytes());
        return Ok(());
    }
    let mut entries: Vec<_> = node.members().collect();
    let (open, close) = if node.is_object() { (b"{", b"}") } else { (b"[", b"]") };
    if node.is_array() {
        let column = out.iter().rev().take_while(|byte| **byte != b'\n').count();
        if let Some(line) = on_one_line(node, layout.width.saturating_sub(column), 0) {
            json::push(out, line.as_bytes());
            return Ok(());
        }
    } else if layout.sort {
        entries.sort_by(|(a, _), (b, _)| json::unquoted(a).as_slice().cmp(json::unquoted(b).as_slice()));
    }
    json::push(out, open);
    let is_empty = entries.is_empty();
    for (index, (key, value)) in entries.into_iter().enumerate() {
        json::push(out, if index > 0 { b",\n" } else { b"\n" });
        start_line(layout, depth + 1, out);
        if node.is_object() {
            json::push(out, key.as_bytes());
            json::push(out, b": ");
        }
        lay_out(value, layout, depth + 1, out)?;
    }
    if !is_empty {
        json::push(out, b"\n");
        start_line(layout, depth, out);
    }
    json::push(out, close);
    Ok(())
}

fn start_line(layout: &Layout<'_>, depth: usize, out: &mut Zeroizing<Vec<u8>>) {
    json::push(out, layout.prefix.as_bytes());
    for _ in 0..depth {
        json::push(out, layout.indent.as_bytes());
    }
}

/// An array without objects on one line, if there is room for it.
fn on_one_line(node: Node<'_>, room: usize, depth: usize) -> Option<Made> {
    if node.is_object() || depth > DEEPEST || room <= 3 {
        return None;
    }
    let mut out = Zeroizing::new(Vec::new());
    json::push(&mut out, b"[");
    for (index, (_, value)) in node.members().enumerate() {
        json::push(&mut out, if index > 0 { b", " } else { b"" });
        match value.kind {
            Kind::Nested => json::push(&mut out, on_one_line(value, usize::MAX, depth + 1)?.as_bytes()),
            Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::Text => {
                json::push(&mut out, value.raw.as_bytes());
            }
        }
        if out.len() > room {
            return None;
        }
    }
    json::push(&mut out, b"]");
    (out.len() <= room).then(|| json::text(&out))
}
