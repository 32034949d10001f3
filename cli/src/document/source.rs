//! Lines, indentation and punctuation: what the parser's spans leave out.

use std::ops::Range;

use super::tree::{Content, Node, Pair};

/// Offset of the first byte of the line that holds `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Offset of the line break (`\n` or `\r\n`) that ends the line that holds `at`, or of the end of the text.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let Some(newline) = text[at..].find('\n').map(|found| at + found) else {
        return text.len();
    };
    if newline > at && text.as_bytes()[newline - 1] == b'\r' { newline - 1 } else { newline }
}

/// Offset just after the line break that ends the line that holds `at`, or the end of the text.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |found| at + found + 1)
}

/// The line break that this file uses around `at`.
pub(super) fn newline(text: &str, at: usize) -> &'static str {
    let newline = text[at..].find('\n').map(|found| at + found).or_else(|| text[..at].rfind('\n'));
    match newline {
        Some(newline) if newline > 0 && text.as_bytes()[newline - 1] == b'\r' => "\r\n",
        Some(_) | None => "\n",
    }
}

/// The white space that the line of `at` begins with.
pub(super) fn indent(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// White space that reaches to the column of `at`, whatever is in front of it on the line.
pub(super) fn indent_to(text: &str, at: usize) -> String {
    text[line_start(text, at)..at].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
}

/// Is `at` the first thing on its line?
pub(super) fn begins_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].chars().all(|c| matches!(c, ' ' | '\t'))
}

/// Offset of the first of the white space, line breaks included, that ends at `at`.
pub(super) fn space_before(text: &str, at: usize) -> usize {
    text[..at].trim_end_matches([' ', '\t', '\r', '\n']).len()
}

/// Offset of the first byte at or after `at` that is neither white space nor comment.
pub(super) fn skip_space_and_comments(text: &str, at: usize) -> usize {
    let mut at = at;
    loop {
        at = text.len() - text[at..].trim_start_matches([' ', '\t', '\r', '\n']).len();
        if !text[at..].starts_with('#') {
            return at;
        }
        at = line_end(text, at);
    }
}

/// The end of the line, where nothing but white space and a comment is left on it; else `at` itself.
pub(super) fn after_comment(text: &str, at: usize) -> usize {
    let rest = &text[at..line_end(text, at)];
    if rest.trim_start().starts_with('#') { at + rest.len() } else { at }
}

/// Offset just after the colon that follows a key; none after `? key`.
pub(super) fn after_colon(text: &str, key: &Node) -> Option<usize> {
    let rest = &text[key.span.end..];
    let gap = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest[gap..].starts_with(':').then(|| key.span.end + gap + 1)
}

/// Where the pieces of a `|` or `>` scalar are.
pub(super) struct BlockScalar {
    /// `|` or `>` with its indicators.
    pub(super) header: Range<usize>,
    /// Whole lines of content, without the last line break; empty at the start of a line where there is none.
    pub(super) content: Range<usize>,
    /// White space before each line of content, if there is content.
    pub(super) indent: Option<usize>,
}

impl BlockScalar {
    /// Do blank lines after the content belong to it?
    pub(super) fn keeps_blank_lines(&self, text: &str) -> bool {
        text[self.header.clone()].contains('+')
    }
}

/// The pieces of the block scalar that is the value of `pair`, if it is one.
pub(super) fn block_scalar(text: &str, pair: &Pair) -> Option<BlockScalar> {
    if !pair.value.is_block_scalar() {
        return None;
    }
    let colon = after_colon(text, &pair.key)?;
    let start = colon + text[colon..line_end(text, colon)].find(['|', '>'])?;
    let length = 1 + text[start + 1..].bytes().take_while(|byte| b"0123456789+-".contains(byte)).count();
    let header = start..start + length;
    let outer = indent_to(text, pair.key.span.start).len();
    let explicit = text[header.clone()].bytes().find(u8::is_ascii_digit).map(|digit| outer + usize::from(digit - b'0'));
    let begin = next_line(text, start);
    let mut indent = explicit;
    let (mut at, mut end) = (begin, begin);
    while at < text.len() {
        let line = &text[at..line_end(text, at)];
        let spaces = line.len() - line.trim_start_matches(' ').len();
        if !line.trim_matches([' ', '\t']).is_empty() {
            if spaces < indent.unwrap_or(outer + 1) {
                break;
            }
            indent.get_or_insert(spaces);
            end = at + line.len();
        }
        at = next_line(text, at);
    }
    Some(BlockScalar { header, content: begin..end, indent })
}

/// Offset just after the last byte of a pair, comments aside.
pub(super) fn pair_end(text: &str, pair: &Pair) -> usize {
    let value = &pair.value;
    if let Some(block) = block_scalar(text, pair) {
        let is_empty = block.content.is_empty();
        return if is_empty { line_end(text, block.header.end) } else { block.content.end };
    }
    match &value.content {
        Content::Scalar { .. } if value.span.is_empty() => after_colon(text, &pair.key).unwrap_or(value.span.end),
        Content::Map { is_flow: false, pairs } => pairs.last().map_or(value.span.end, |last| pair_end(text, last)),
        Content::Scalar { .. } | Content::Map { .. } | Content::List { .. } | Content::Alias => value.span.end,
    }
}

/// Start of the line of a block pair, or of the comment lines directly above it that are indented like it.
pub(super) fn attached_start(text: &str, pair: &Pair, floor: usize) -> usize {
    let mut start = line_start(text, pair.key.span.start);
    let own = indent(text, pair.key.span.start);
    while start > floor {
        let above = line_start(text, start - 1);
        let line = &text[above..start];
        if above < floor || !line.strip_prefix(own).is_some_and(|rest| rest.starts_with('#')) {
            break;
        }
        start = above;
    }
    start
}
