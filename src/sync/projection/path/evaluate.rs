//! Looks for what a path leads to.

use zeroize::Zeroizing;

use super::{
    component::{self, Name, Next, Place, Query, Selector, is_like, split_pipe},
    modifier,
    scan::{Kind, Members, Node},
};
use crate::sync::projection::json::{self, Style};

/// Levels of paths within paths and of documents.
const DEEPEST: usize = 100;
/// What each step costs, in bytes looked at.
const STEP: usize = 64;
/// Bytes that may be looked at in a document of any size, and how often a large one may be looked at.
const WORK: (usize, usize) = (16 * 1024 * 1024, 64);

/// Why a search is given up.
pub(super) enum Stop {
    TooDeep,
    TooMuch,
}

/// What was found: a part of the document, or something made of it.
pub(super) enum Found<'j> {
    Part(Node<'j>),
    Made(Kind, Zeroizing<String>),
}

pub(super) type Outcome<'j> = Result<Option<Found<'j>>, Stop>;

impl<'j> Found<'j> {
    pub(super) fn node(&self) -> Node<'_> {
        match self {
            Self::Part(node) => *node,
            Self::Made(kind, raw) => Node { kind: *kind, raw },
        }
    }

    pub(super) fn text(&self) -> Zeroizing<Vec<u8>> {
        self.node().text()
    }

    /// The same, independent of the document.
    fn kept<'k>(self) -> Found<'k> {
        match self {
            Self::Part(node) => Found::Made(node.kind, Zeroizing::new(node.raw.to_owned())),
            Self::Made(kind, raw) => Found::Made(kind, raw),
        }
    }

    /// The value that a text consists of.
    pub(super) fn made(text: &str) -> Option<Self> {
        Node::of(text).map(|node| Found::Part(node).kept())
    }

    fn nested(text: Zeroizing<String>) -> Self {
        Self::Made(Kind::Nested, text)
    }
}

/// A search and what it may still cost.
pub(super) struct Search {
    work: usize,
}

/// A path for the result as a whole, where one was met.
type Pipe<'p> = Option<&'p str>;

impl Search {
    pub(super) const fn new(document: usize) -> Self {
        let many = document.saturating_mul(WORK.1);
        Self { work: if many > WORK.0 { many } else { WORK.0 } }
    }

    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Stop> {
        self.work = self.work.checked_sub(bytes.saturating_add(STEP)).ok_or(Stop::TooMuch)?;
        Ok(())
    }

    pub(super) fn get<'j>(&mut self, json: &'j str, path: &str, depth: usize) -> Outcome<'j> {
        if depth > DEEPEST {
            return Err(Stop::TooDeep);
        }
        self.charge(json.len() + path.len())?;
        match path.as_bytes() {
            [b'@', _, ..] => {
                if let Some((made, rest)) = modifier::apply(self, json, path, depth)? {
                    return self.follow(&made, rest, depth);
                }
            }
            [b'!', _, ..] => {
                if let Some((literal, rest)) = literal(path) {
                    return self.follow(literal, rest, depth);
                }
            }
            [b'[' | b'{', _, ..] => {
                if let Some((parts, rest)) = component::parts(path)
                    && (rest.is_empty() || rest.starts_with(['.', '|']))
                {
                    let made = self.multipath(json, &parts, path.starts_with('{'), depth)?;
                    return match rest.get(1..) {
                        None => Ok(Some(Found::nested(made))),
                        Some(rest) => Ok(self.get(&made, rest, depth + 1)?.map(Found::kept)),
                    };
                }
            }
            _ => {}
        }
        let mut pipe = None;
        let found = if let Some(path) = path.strip_prefix("..") {
            self.in_array(Members::lines(json), path, &mut pipe, depth)?
        } else if let Some(start) = json.find(['{', '[']) {
            let node = Node { kind: Kind::Nested, raw: json.get(start..).unwrap_or_default() };
            self.within(node, path, &mut pipe, depth)?
        } else {
            None
        };
        match (pipe, found) {
            (None, found) => Ok(found),
            // Some modifiers make something of nothing.
            (Some(pipe), None) => Ok(self.get("", pipe, depth + 1)?.map(Found::kept)),
            (Some(pipe), Some(found)) => self.piped(found, pipe, depth),
        }
    }

    fn piped<'j>(&mut self, found: Found<'j>, path: &str, depth: usize) -> Outcome<'j> {
        match found {
            Found::Part(node) => self.get(node.raw, path, depth + 1),
            Found::Made(_, text) => Ok(self.get(&text, path, depth + 1)?.map(Found::kept)),
        }
    }

    /// Goes on in something that was made. What follows it without a separator is passed over.
    fn follow<'j>(&mut self, made: &str, rest: &str, depth: usize) -> Outcome<'j> {
        match rest.strip_prefix(['|', '.']) {
            Some(rest) => Ok(self.get(made, rest, depth + 1)?.map(Found::kept)),
            None => Ok(Found::made(made)),
        }
    }

    /// Looks in an object or an array.
    fn within<'j, 'p>(&mut self, node: Node<'j>, path: &'p str, pipe: &mut Pipe<'p>, depth: usize) -> Outcome<'j> {
        if depth > DEEPEST {
            return Err(Stop::TooDeep);
        }
        self.charge(node.raw.len() + path.len())?;
        if node.is_array() {
            return self.in_array(node.members(), path, pipe, depth);
        }
        let name = Name::parse(path);
        if let Next::Pipe(path) = name.next {
            *pipe = Some(path);
        }
        for (key, value) in node.members() {
            if !self.names(&name, key)? {
                continue;
            }
            match name.next {
                Next::End | Next::Pipe(_) => return Ok(Some(Found::Part(value))),
                Next::Into(path) if value.kind == Kind::Nested => {
                    if let Some(found) = self.within(value, path, pipe, depth + 1)? {
                        return Ok(Some(found));
                    }
                }
                Next::Into(_) => {}
            }
        }
        Ok(None)
    }

    fn names(&mut self, name: &Name<'_>, key: &str) -> Result<bool, Stop> {
        let plain = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
        self.charge(name.cost(plain))?;
        if !plain.contains('\\') {
            return Ok(name.matches(plain));
        }
        let plain = json::unquoted(key);
        Ok(std::str::from_utf8(&plain).is_ok_and(|plain| name.matches(plain)))
    }

    fn in_array<'j, 'p>(
        &mut self,
        members: Members<'j>,
        path: &'p str,
        pipe: &mut Pipe<'p>,
        depth: usize,
    ) -> Outcome<'j> {
        let place = Place::parse(path);
        if let Next::Pipe(path) = place.next {
            *pipe = Some(path);
        }
        match place.selector {
            Selector::Nothing => Ok(None),
            Selector::Index(index) => {
                let Some((_, value)) = { members }.nth(index) else { return Ok(None) };
                match place.next {
                    Next::End | Next::Pipe(_) => Ok(Some(Found::Part(value))),
                    Next::Into(path) if value.kind == Kind::Nested => self.within(value, path, pipe, depth + 1),
                    Next::Into(_) => Ok(None),
                }
            }
            Selector::All => match place.next {
                Next::Into(path) => {
                    let path = split_into(path, pipe);
                    let mut list = List::new();
                    for (_, value) in members {
                        if let Some(found) = self.get(value.raw, path, depth + 1)? {
                            self.charge(found.node().raw.len())?;
                            list.push(found.node().raw);
                        }
                    }
                    Ok(Some(Found::nested(list.finish())))
                }
                Next::End | Next::Pipe(_) => {
                    Ok(Some(Found::Made(Kind::Number, Zeroizing::new(members.count().to_string()))))
                }
            },
            Selector::Query(query) => self.query(members, &query, place.next, pipe, depth),
        }
    }

    fn query<'j, 'p>(
        &mut self,
        members: Members<'j>,
        query: &Query<'_>,
        next: Next<'p>,
        pipe: &mut Pipe<'p>,
        depth: usize,
    ) -> Outcome<'j> {
        let mut list = List::new();
        for (_, value) in members {
            let looked_at = match value.kind {
                Kind::Nested => self.get(value.raw, query.path, depth + 1)?,
                _ if query.path.is_empty() => Some(Found::Part(value)),
                Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::Text => continue,
            };
            if !self.holds(query, looked_at.as_ref().map(Found::node))? {
                continue;
            }
            let found = match next {
                Next::Into(path) => self.get(value.raw, split_into(path, pipe), depth + 1)?,
                Next::End | Next::Pipe(_) => Some(Found::Part(value)),
            };
            if !query.all {
                return Ok(found);
            }
            if let Some(found) = found {
                self.charge(found.node().raw.len())?;
                list.push(found.node().raw);
            }
        }
        Ok(query.all.then(|| Found::nested(list.finish())))
    }

    /// Whether a value is as a query wants it.
    fn holds(&mut self, query: &Query<'_>, value: Option<Node<'_>>) -> Result<bool, Stop> {
        let is_quoted = query.value.len() >= 2 && query.value.starts_with('"') && query.value.ends_with('"');
        let wanted =
            if is_quoted { json::unquoted(query.value) } else { Zeroizing::new(query.value.as_bytes().to_vec()) };
        let Ok(wanted) = std::str::from_utf8(&wanted) else { return Ok(false) };
        if let Some(kind) = wanted.strip_prefix('~') {
            let is = match kind {
                "*" => value.is_some(),
                "null" => value.is_none_or(|value| value.kind == Kind::Null),
                "true" => value.is_some_and(Node::is_trueish),
                "false" => value.is_none_or(Node::is_falseish),
                _ => return Ok(false),
            };
            return Ok(match query.operator {
                "=" => is,
                "!=" => !is,
                ">=" => is,
                "<=" => !is,
                _ => false,
            });
        }
        let Some(value) = value else { return Ok(false) };
        Ok(match (query.operator, value.kind) {
            ("", _) => true,
            (operator, Kind::Text) => {
                let text = value.text();
                self.charge(text.len())?;
                match operator {
                    "%" | "!%" => {
                        self.charge(text.len().saturating_mul(wanted.len()) / 8)?;
                        is_like(&json::text(&text), wanted) == (operator == "%")
                    }
                    _ => compares(operator, text.as_slice().cmp(wanted.as_bytes())),
                }
            }
            (operator, Kind::Number) => {
                let ordering = value.number().partial_cmp(&wanted.parse().unwrap_or(0.0));
                ordering.map_or(operator == "!=", |ordering| compares(operator, ordering))
            }
            ("=", Kind::True) => wanted == "true",
            ("!=", Kind::True) => wanted != "true",
            (">", Kind::True) => wanted == "false",
            ("=", Kind::False) => wanted == "false",
            ("!=", Kind::False) => wanted != "false",
            ("<", Kind::False) => wanted == "true",
            (">=", Kind::True) | ("<=", Kind::False) => true,
            _ => false,
        })
    }

    fn multipath(
        &mut self,
        json: &str,
        parts: &[component::Part<'_>],
        is_object: bool,
        depth: usize,
    ) -> Result<Zeroizing<String>, Stop> {
        let mut list = List::new();
        for part in parts {
            let Some(found) = self.get(json, part.path, depth + 1)? else { continue };
            let raw = found.node().raw;
            self.charge(raw.len())?;
            if is_object {
                let is_json = part.name.starts_with('"')
                    && serde_json::from_str::<&serde_json::value::RawValue>(part.name).is_ok();
                if is_json {
                    list.push(part.name);
                } else {
                    let name = if part.name.is_empty() { component::last_name(part.path) } else { part.name };
                    list.push(&quoted(name));
                }
                list.extend(":");
                list.extend(raw);
            } else {
                list.push(raw);
            }
        }
        Ok(if is_object { list.finish_with('{', '}') } else { list.finish() })
    }
}

/// Takes what is behind a pipe off a path that is for each of many.
fn split_into<'p>(path: &'p str, pipe: &mut Pipe<'p>) -> &'p str {
    let (path, rest) = split_pipe(path);
    if rest.is_some() {
        *pipe = rest;
    }
    path
}

fn compares(operator: &str, ordering: std::cmp::Ordering) -> bool {
    match operator {
        "=" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        ">=" => ordering.is_ge(),
        _ => false,
    }
}

/// A value that is written in the path itself, and what follows.
fn literal(path: &str) -> Option<(&str, &str)> {
    let text = path.get(1..)?;
    if text.starts_with(['{', '[', '"', '+', '-']) || text.starts_with(|first: char| first.is_ascii_digit()) {
        return text.split_at_checked(super::scan::balanced_end(text, 0));
    }
    let (name, rest) = text.split_at(text.find(['|', '.']).unwrap_or(text.len()));
    ["true", "false", "null"].iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| (*known, rest))
}

/// A JSON string, as one in a multipath is written.
pub(super) fn quoted(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + 2));
    json::write_text(text.as_bytes(), Style { html: true, floats: false }, &mut out);
    json::text(&out)
}

/// A list that is being written, wiped with every buffer that it outgrew.
pub(super) struct List(Zeroizing<Vec<u8>>);

impl List {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(vec![b'[']))
    }

    /// Appends an element.
    pub(super) fn push(&mut self, raw: &str) {
        if self.0.len() > 1 {
            json::push(&mut self.0, b",");
        }
        json::push(&mut self.0, raw.as_bytes());
    }

    /// Appends to the last element.
    pub(super) fn extend(&mut self, raw: &str) {
        json::push(&mut self.0, raw.as_bytes());
    }

    pub(super) fn finish(self) -> Zeroizing<String> {
        self.finish_with('[', ']')
    }

    pub(super) fn finish_with(mut self, open: char, close: char) -> Zeroizing<String> {
        if let Some(first) = self.0.first_mut() {
            *first = u8::try_from(open).unwrap_or(b'[');
        }
        self.extend(close.encode_utf8(&mut [0; 4]));
        json::text(&self.0)
    }
}
