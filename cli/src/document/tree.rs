//! From text to a tree of nodes that know their bytes. Aliases are not followed, so nothing can grow.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, options};

use super::error::DocumentError;

/// One value in the file.
#[derive(Debug)]
pub(super) struct Node {
    /// Its bytes, without tag and anchor. Of a block scalar only the content, of an empty scalar nothing.
    pub(super) span: Range<usize>,
    pub(super) line: usize,
    pub(super) column: usize,
    /// `&name` is before it: other places may share it.
    pub(super) is_anchored: bool,
    pub(super) tag: Tag,
    pub(super) content: Content,
}

/// An explicit type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    None,
    /// `!!str` or `!`.
    String,
    Other,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar { value: String, style: ScalarStyle },
    Map { is_flow: bool, pairs: Vec<Pair> },
    List { items: Vec<Node> },
    Alias,
}

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Node,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn pairs(&self) -> &[Pair] {
        match &self.content {
            Content::Map { pairs, .. } => pairs,
            Content::Scalar { .. } | Content::List { .. } | Content::Alias => &[],
        }
    }

    pub(super) fn find(&self, key: &str) -> Option<&Pair> {
        self.pairs().iter().find(|pair| pair.key.text() == Some(key))
    }

    /// The text of a scalar, whatever type YAML would give it.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { value, .. } => Some(value),
            Content::Map { .. } | Content::List { .. } | Content::Alias => None,
        }
    }

    pub(super) fn style(&self) -> Option<ScalarStyle> {
        match &self.content {
            Content::Scalar { style, .. } => Some(*style),
            Content::Map { .. } | Content::List { .. } | Content::Alias => None,
        }
    }

    pub(super) fn is_flow_map(&self) -> bool {
        matches!(self.content, Content::Map { is_flow: true, .. })
    }

    pub(super) fn is_block_scalar(&self) -> bool {
        matches!(self.style(), Some(ScalarStyle::Literal | ScalarStyle::Folded))
    }

    /// `null` in one of its spellings, or nothing at all.
    pub(super) fn is_null(&self) -> bool {
        self.style() == Some(ScalarStyle::Plain) && matches!(self.text(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    pub(super) fn unsupported(&self, what: &'static str) -> DocumentError {
        DocumentError::Unsupported { line: self.line, column: self.column, what }
    }
}

/// The root of each document in the file.
pub(super) fn parse(text: &str, limit: usize) -> Result<Vec<Node>, DocumentError> {
    let mut tree = Tree { roots: Vec::new(), open: Vec::new(), count: 0, limit };
    let options = options! { emit_comments: false };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| DocumentError::Syntax {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            message: error.info(),
        })?;
        tree.take(event, span)?;
    }
    Ok(tree.roots)
}

/// A tree that grows event by event.
struct Tree {
    roots: Vec<Node>,
    open: Vec<Open>,
    count: usize,
    limit: usize,
}

/// A collection that is still open, and the key that waits for its value.
struct Open {
    node: Node,
    key: Option<Node>,
}

impl Tree {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other events are marks around nodes, and may grow in number"
    )]
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), DocumentError> {
        let bytes = span.byte_range().unwrap_or_default();
        let is_nothing = bytes.is_empty();
        let node = |anchor: usize, tag: Option<Cow<'_, granit_parser::Tag>>, content: Content| Node {
            span: bytes.clone(),
            line: span.start.line(),
            column: span.start.col() + 1,
            is_anchored: anchor != 0,
            tag: tag_of(tag.as_deref()),
            content,
        };
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                // An empty value is reported as `~` over no bytes.
                let is_absent = is_nothing && style == ScalarStyle::Plain;
                let value = if is_absent { String::new() } else { value.into_owned() };
                self.add(node(anchor, tag, Content::Scalar { value, style }))
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => self.add(node(0, None, Content::Alias)),
            Event::MappingStart(style, anchor, tag) => {
                let is_flow = style == StructureStyle::Flow;
                let node = node(anchor, tag, Content::Map { is_flow, pairs: Vec::new() });
                self.open.push(Open { node, key: None });
                Ok(())
            }
            Event::SequenceStart(_, anchor, tag) => {
                let node = node(anchor, tag, Content::List { items: Vec::new() });
                self.open.push(Open { node, key: None });
                Ok(())
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(&bytes),
            _ => Ok(()),
        }
    }

    fn close(&mut self, bytes: &Range<usize>) -> Result<(), DocumentError> {
        let Some(Open { mut node, .. }) = self.open.pop() else {
            return Ok(());
        };
        let last = match &node.content {
            Content::Map { pairs, .. } => pairs.last().map(|pair| pair.value.span.end),
            Content::List { items } => items.last().map(|item| item.span.end),
            Content::Scalar { .. } | Content::Alias => None,
        };
        // The end of a flow collection is a bracket; that of a block one is merely what comes next.
        node.span.end = if bytes.is_empty() { last.unwrap_or(node.span.end) } else { bytes.end };
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Result<(), DocumentError> {
        self.count += 1;
        if self.count > self.limit {
            return Err(DocumentError::TooMany { limit: self.limit });
        }
        let Some(Open { node: parent, key }) = self.open.last_mut() else {
            self.roots.push(node);
            return Ok(());
        };
        match &mut parent.content {
            Content::Map { pairs, .. } => match key.take() {
                None => *key = Some(node),
                Some(key) => pairs.push(Pair { key, value: node }),
            },
            Content::List { items } => items.push(node),
            Content::Scalar { .. } | Content::Alias => {}
        }
        Ok(())
    }
}

fn tag_of(tag: Option<&granit_parser::Tag>) -> Tag {
    match tag {
        None => Tag::None,
        Some(tag) if tag.is_yaml_core_schema_tag("str") || (tag.handle().is_empty() && tag.suffix() == "!") => {
            Tag::String
        }
        Some(_) => Tag::Other,
    }
}
