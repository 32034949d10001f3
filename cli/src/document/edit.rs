//! Splices, and the replacing of one value.

use std::ops::Range;

use granit_parser::ScalarStyle;

use super::error::DocumentError;
use super::scalar::{self, Quote};
use super::source;
use super::tree::{Content, Node, Pair, Tag};

/// These bytes become that text.
#[derive(Debug)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Splice {
    pub(super) fn insert(at: usize, text: String) -> Self {
        Self { range: at..at, text }
    }

    pub(super) fn remove(range: Range<usize>) -> Self {
        Self { range, text: String::new() }
    }
}

/// The text with all splices done. Those at one place are done in the order given; none may overlap.
pub(super) fn apply(text: &str, mut splices: Vec<Splice>) -> Result<String, DocumentError> {
    splices.sort_by_key(|splice| splice.range.start);
    let mut out = String::with_capacity(text.len() + splices.iter().map(|splice| splice.text.len()).sum::<usize>());
    let mut at = 0;
    for splice in &splices {
        out.push_str(text.get(at..splice.range.start).ok_or(DocumentError::Unsafe)?);
        out.push_str(&splice.text);
        at = splice.range.end;
    }
    out.push_str(text.get(at..).ok_or(DocumentError::Unsafe)?);
    Ok(out)
}

/// Refuses a node whose bytes also count elsewhere, or count as something else.
pub(super) fn refuse_shared(node: &Node) -> Result<(), DocumentError> {
    if matches!(node.content, Content::Alias) {
        return Err(node.unsupported("this is an alias (*name): its value is written elsewhere"));
    }
    if node.is_anchored {
        return Err(node.unsupported("this has an anchor (&name): other places may share it"));
    }
    if node.tag == Tag::Other {
        return Err(node.unsupported("this has an explicit type (!tag)"));
    }
    Ok(())
}

/// Refuses a map that takes entries from elsewhere.
pub(super) fn refuse_merge(map: &Node) -> Result<(), DocumentError> {
    match map.pairs().iter().find(|pair| pair.key.text() == Some("<<")) {
        Some(pair) => Err(pair.key.unsupported("this map takes entries from elsewhere (<<)")),
        None => Ok(()),
    }
}

/// Makes `value` the value of `pair`, in the style of what is there.
pub(super) fn replace(text: &str, pair: &Pair, value: &str, splices: &mut Vec<Splice>) -> Result<(), DocumentError> {
    refuse_shared(&pair.value)?;
    let node = &pair.value;
    let Content::Scalar { style, .. } = node.content else {
        return Err(node.unsupported("this value is a map or a list, not a string"));
    };
    let quote = match style {
        ScalarStyle::Literal | ScalarStyle::Folded => {
            return replace_block(text, pair, value, splices);
        }
        ScalarStyle::Plain => Quote::Plain,
        ScalarStyle::SingleQuoted => Quote::Single,
        ScalarStyle::DoubleQuoted => Quote::Double,
    };
    let written = scalar::written(value, quote);
    if !node.span.is_empty() {
        splices.push(Splice { range: node.span.clone(), text: written });
        return Ok(());
    }
    if node.tag != Tag::None {
        return Err(node.unsupported("this has an explicit type (!tag) and no value"));
    }
    let colon = colon_of(text, pair)?;
    splices.push(Splice::insert(colon, format!(" {written}")));
    Ok(())
}

/// A block scalar stays one if the value is one tame line; otherwise it becomes a quoted scalar.
fn replace_block(text: &str, pair: &Pair, value: &str, splices: &mut Vec<Splice>) -> Result<(), DocumentError> {
    let unsure = || pair.value.unsupported("the block scalar is not where it is expected");
    let block = source::block_scalar(text, pair).ok_or_else(unsure)?;
    let is_tame = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_tame {
        let newline_included = if block.content.is_empty() { block.header.end } else { block.content.end };
        let comment_free = text[block.header.end..source::line_end(text, block.header.end)].trim().is_empty();
        if !comment_free {
            splices.push(Splice { range: block.header, text: scalar::written(value, Quote::Double) });
            if !block.content.is_empty() {
                // From the end of the header's line to the end of the content.
                let start = source::space_before(text, block.content.start);
                splices.push(Splice::remove(start..block.content.end));
            }
            return Ok(());
        }
        let range = block.header.start..newline_included;
        splices.push(Splice { range, text: scalar::written(value, Quote::Double) });
        return Ok(());
    }
    let sign = &text[block.header.start..=block.header.start];
    splices.push(Splice { range: block.header.clone(), text: format!("{sign}-") });
    let inner = match block.indent {
        Some(width) => " ".repeat(width),
        None => source::indent_to(text, pair.key.span.start) + "  ",
    };
    let line = format!("{inner}{value}");
    if !block.content.is_empty() {
        splices.push(Splice { range: block.content, text: line });
    } else {
        let end = source::line_end(text, block.header.end);
        splices.push(Splice::insert(end, format!("{}{line}", source::newline(text, end))));
    }
    Ok(())
}

/// Just after the colon of a pair.
pub(super) fn colon_of(text: &str, pair: &Pair) -> Result<usize, DocumentError> {
    let unsupported = || pair.key.unsupported("this key is not followed by a colon on its line");
    source::after_colon(text, &pair.key).ok_or_else(unsupported)
}
