//! A file of YAML or JSON, read for looking only: what stands in it, and where.
//!
//! Scalars are borrowed from the text where YAML allows, so that a plain value is not copied; those that had to be
//! copied are wiped. Aliases and merge keys are followed when somebody looks, within limits, so nothing can grow.
//! [`crate::document`] reads for editing.

mod view;

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, options};
use zeroize::Zeroize as _;

pub(crate) use self::view::View;

use crate::document::{DocumentError, MAX_BYTES};

/// The most nodes that a file may hold.
const MAX_NODES: usize = 1 << 20;

/// What stands in a file.
pub(crate) struct Outline<'t> {
    nodes: Vec<Node<'t>>,
    /// The root of each document.
    roots: Vec<u32>,
    /// The nodes that have a name, by its number.
    anchors: HashMap<usize, u32>,
}

struct Node<'t> {
    /// From 1.
    line: u32,
    /// In characters, from 1.
    column: u32,
    /// The collection that it is in; a root is in itself.
    parent: u32,
    content: Content<'t>,
}

enum Content<'t> {
    Text { value: Cow<'t, str>, is_string: Typed },
    Map(Vec<(u32, u32)>),
    List(Vec<u32>),
    Alias(usize),
}

/// Whether the text of a scalar is a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Typed {
    /// It is quoted, a block, or says so.
    String,
    /// That depends on the text.
    Plain,
    /// It says another type.
    Other,
}

impl<'t> Outline<'t> {
    /// Reads a file: YAML of one or more documents, or JSON.
    ///
    /// # Errors
    /// The file is too long, holds too many nodes, or is neither YAML nor JSON.
    pub(crate) fn parse(text: &'t str) -> Result<Self, DocumentError> {
        Self::parse_part(text, 0)
    }

    /// Reads a part of a file that comes after that many lines: places are those in the file.
    ///
    /// # Errors
    /// As for a file.
    pub(crate) fn parse_part(text: &'t str, before: usize) -> Result<Self, DocumentError> {
        if text.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge { size: text.len(), limit: MAX_BYTES });
        }
        let mut builder = Builder {
            outline: Self { nodes: Vec::new(), roots: Vec::new(), anchors: HashMap::new() },
            open: Vec::new(),
        };
        for next in Parser::new_from_str_with_options(text, options! { emit_comments: false }) {
            let (event, span) = next.map_err(|error| DocumentError::Syntax {
                line: before + error.marker().line(),
                column: error.marker().col() + 1,
                message: error.info(),
            })?;
            builder.take(event, (before + span.start.line(), span.start.col() + 1), span.is_empty())?;
        }
        Ok(builder.outline)
    }

    /// The root of each document, in order.
    pub(crate) fn documents(&self) -> impl Iterator<Item = View<'_, 't>> {
        self.roots.iter().map(|id| View { outline: self, id: *id })
    }

    /// Every Kubernetes object, in order; the items of a List count one by one.
    pub(crate) fn objects(&self) -> Vec<View<'_, 't>> {
        let mut objects = Vec::new();
        let mut queue: Vec<View<'_, 't>> = self.documents().collect();
        queue.reverse();
        while let Some(view) = queue.pop() {
            let is_list = view.get("kind").and_then(View::text).is_some_and(|kind| kind.ends_with("List"));
            match view.get("items").filter(|items| is_list && items.is_list()) {
                // An alias is not followed here: it could lead back.
                Some(items) => queue.extend(items.items().rev().filter(|item| !item.is_alias())),
                None => objects.push(view),
            }
        }
        objects
    }

    /// Every scalar and collection of the file, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = View<'_, 't>> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(|id| View { outline: self, id })
    }
}

/// Where a place in a text that stands at `at` of another one is in that: in a block scalar exactly, in any other one
/// where it begins.
pub(crate) fn within(
    text: &str,
    (line, column): (usize, usize),
    body: &str,
) -> impl Fn((usize, usize)) -> (usize, usize) {
    let first = body.lines().next().unwrap_or_default();
    let own = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let indent = own.len() - own.trim_start_matches(' ').len();
    let is_block = own.get(indent..).is_some_and(|rest| rest.trim_end() == first.trim_end());
    move |(inner_line, inner_column)| {
        if is_block { (line + inner_line - 1, indent + inner_column) } else { (line, column) }
    }
}

impl Drop for Outline<'_> {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Content::Text { value: Cow::Owned(copied), .. } = &mut node.content {
                copied.zeroize();
            }
        }
    }
}

/// An outline that grows event by event.
struct Builder<'t> {
    outline: Outline<'t>,
    /// Collections that are still open, and the key that waits for its value.
    open: Vec<(u32, Option<u32>)>,
}

impl<'t> Builder<'t> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other events are marks around nodes, and may grow in number"
    )]
    fn take(&mut self, event: Event<'t>, at: (usize, usize), is_nothing: bool) -> Result<(), DocumentError> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                // An empty value is reported as `~` over no bytes.
                let is_absent = is_nothing && style == ScalarStyle::Plain;
                let value = if is_absent { Cow::Borrowed("") } else { value };
                let is_string = match tag.as_deref() {
                    None if style == ScalarStyle::Plain => Typed::Plain,
                    None => Typed::String,
                    Some(tag) if tag.is_yaml_core_schema_tag("str") => Typed::String,
                    Some(tag) if tag.handle().is_empty() && tag.suffix() == "!" => Typed::String,
                    Some(_) => Typed::Other,
                };
                self.add(at, anchor, Content::Text { value, is_string }).map(drop)
            }
            Event::Alias(anchor) => self.add(at, 0, Content::Alias(anchor)).map(drop),
            Event::UnresolvedAlias(_) => self.add(at, 0, Content::Alias(0)).map(drop),
            Event::MappingStart(_, anchor, _) => self.begin(at, anchor, Content::Map(Vec::new())),
            Event::SequenceStart(_, anchor, _) => self.begin(at, anchor, Content::List(Vec::new())),
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, at: (usize, usize), anchor: usize, content: Content<'t>) -> Result<(), DocumentError> {
        let id = self.add(at, anchor, content)?;
        self.open.push((id, None));
        Ok(())
    }

    fn add(&mut self, at: (usize, usize), anchor: usize, content: Content<'t>) -> Result<u32, DocumentError> {
        let nodes = &mut self.outline.nodes;
        let id = u32::try_from(nodes.len()).ok().filter(|_| nodes.len() < MAX_NODES);
        let id = id.ok_or(DocumentError::TooMany { limit: MAX_NODES })?;
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let parent = self.open.last().map_or(id, |(parent, _)| *parent);
        nodes.push(Node { line: number(at.0), column: number(at.1), parent, content });
        if anchor != 0 {
            self.outline.anchors.insert(anchor, id);
        }
        let Some((parent, key)) = self.open.last_mut() else {
            self.outline.roots.push(id);
            return Ok(id);
        };
        match nodes.get_mut(*parent as usize).map(|parent| &mut parent.content) {
            Some(Content::Map(pairs)) => match key.take() {
                None => *key = Some(id),
                Some(key) => pairs.push((key, id)),
            },
            Some(Content::List(items)) => items.push(id),
            Some(Content::Text { .. } | Content::Alias(_)) | None => {}
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests;
