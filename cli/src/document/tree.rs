//! From text to a tree of nodes that know their bytes. Aliases are not followed, so nothing can grow.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, options};

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

/// A collection that is still open.
struct Open {
    node: Node,
    key: Option<Node>,
}

/// The root of each document in the file.
pub(super) fn parse(text: &str, limit: usize) -> Result<Vec<Node>, DocumentError> {
    let mut roots = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut count = 0_usize;
    let options = options! { emit_comments: false };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| DocumentError::Syntax {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            message: error.info(),
        })?;
        let node = |anchor: usize, tag: Tag, content: Content| Node {
            span: span.byte_range().unwrap_or_default(),
            line: span.start.line(),
            column: span.start.col() + 1,
            is_anchored: anchor != 0,
            tag,
            content,
        };
        let done = match event {
            Event::Scalar(value, style, anchor, tag) => {
                // An empty value is reported as `~` over no bytes.
                let value = if span.byte_range().is_some_and(|bytes| bytes.is_empty()) && style == ScalarStyle::Plain {
                    String::new()
                } else {
                    value.into_owned()
                };
                node(anchor, tag_of(tag.as_deref()), Content::Scalar { value, style })
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => node(0, Tag::None, Content::Alias),
            Event::MappingStart(style, anchor, tag) => {
                let is_flow = style == StructureStyle::Flow;
                let content = Content::Map { is_flow, pairs: Vec::new() };
                open.push(Open { node: node(anchor, tag_of(tag.as_deref()), content), key: None });
                continue;
            }
            Event::SequenceStart(_, anchor, tag) => {
                let content = Content::List { items: Vec::new() };
                open.push(Open { node: node(anchor, tag_of(tag.as_deref()), content), key: None });
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let Some(Open { node: mut done, .. }) = open.pop() else {
                    continue;
                };
                let end = span.byte_range().unwrap_or_default();
                let last = match &done.content {
                    Content::Map { pairs, .. } => pairs.last().map(|pair| pair.value.span.end),
                    Content::List { items } => items.last().map(|item| item.span.end),
                    Content::Scalar { .. } | Content::Alias => None,
                };
                // The end of a flow collection is a bracket; that of a block one is merely what comes next.
                done.span.end = if end.is_empty() { last.unwrap_or(done.span.end) } else { end.end };
                done
            }
            _ => continue,
        };
        count += 1;
        if count > limit {
            return Err(DocumentError::TooMany { limit });
        }
        match open.last_mut() {
            None => roots.push(done),
            Some(Open { node: Node { content: Content::Map { pairs, .. }, .. }, key }) => match key.take() {
                None => *key = Some(done),
                Some(key) => pairs.push(Pair { key, value: done }),
            },
            Some(Open { node: Node { content: Content::List { items }, .. }, .. }) => items.push(done),
            Some(_) => {}
        }
    }
    Ok(roots)
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
