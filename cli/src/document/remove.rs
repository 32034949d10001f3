//! An entry goes, and with it what belongs to it: its line, its trailing comment, the comment lines directly above.

use super::edit::{Splice, colon_of, refuse_merge, refuse_shared};
use super::error::DocumentError;
use super::source;
use super::tree::{Content, Node, Pair};

/// Removes the entry `key` from the object's `spec.encryptedData`; the last one leaves `{}`.
pub(super) fn remove(text: &str, object: &Node, key: &str, splices: &mut Vec<Splice>) -> Result<(), DocumentError> {
    let no_key = || DocumentError::NoKey { key: key.to_owned() };
    let spec = object.find("spec").ok_or_else(no_key)?;
    let data = spec.value.find("encryptedData").ok_or_else(no_key)?;
    for node in [&spec.value, &data.value] {
        refuse_shared(node)?;
        refuse_merge(node)?;
    }
    let pairs = data.value.pairs();
    let index = pairs.iter().position(|pair| pair.key.text() == Some(key)).ok_or_else(no_key)?;
    let pair = &pairs[index];
    for node in [&pair.key, &pair.value] {
        refuse_inner_anchors(node)?;
    }
    match (data.value.is_flow_map(), pairs.len()) {
        (true, 1) => splices.push(Splice { range: data.value.span.clone(), text: "{}".to_owned() }),
        (true, _) => remove_flow(text, pairs, index, splices)?,
        (false, count) => {
            let floor = match index.checked_sub(1) {
                Some(before) => source::next_line(text, source::pair_end(text, &pairs[before])),
                None => source::next_line(text, data.key.span.end),
            };
            if count == 1 {
                splices.push(Splice::insert(colon_of(text, data)?, " {}".to_owned()));
            }
            splices.push(Splice::remove(block_range(text, pairs, index, floor)));
        }
    }
    Ok(())
}

/// An anchor that goes would break its aliases.
fn refuse_inner_anchors(node: &Node) -> Result<(), DocumentError> {
    if node.is_anchored {
        return Err(node.unsupported("this has an anchor (&name): other places may share it"));
    }
    match &node.content {
        Content::Map { pairs, .. } => {
            pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).try_for_each(refuse_inner_anchors)
        }
        Content::List { items } => items.iter().try_for_each(refuse_inner_anchors),
        Content::Scalar { .. } | Content::Alias => Ok(()),
    }
}

/// Whole lines; at the end of a file without a last line break, the line break before them.
fn block_range(text: &str, pairs: &[Pair], index: usize, floor: usize) -> std::ops::Range<usize> {
    let pair = &pairs[index];
    let start = source::attached_start(text, pair, floor);
    let mut next = source::next_line(text, source::pair_end(text, pair));
    if source::block_scalar(text, pair).is_some_and(|block| block.keeps_blank_lines(text)) {
        while next < text.len() && text[next..source::line_end(text, next)].trim().is_empty() {
            next = source::next_line(text, next);
        }
    }
    // A block scalar before it needs its line break: without one it would be another text.
    let is_after_block = index.checked_sub(1).is_some_and(|before| pairs[before].value.is_block_scalar());
    if next == text.len() && !text.ends_with('\n') && !is_after_block {
        return before_newline(text, start)..next;
    }
    start..next
}

/// `at` follows a line break: the offset before it.
fn before_newline(text: &str, at: usize) -> usize {
    let line = text[..at].strip_suffix('\n').unwrap_or(&text[..at]);
    line.strip_suffix('\r').unwrap_or(line).len()
}

/// From the white space before the entry to its comma and the comment behind that.
fn remove_flow(text: &str, pairs: &[Pair], index: usize, splices: &mut Vec<Splice>) -> Result<(), DocumentError> {
    let pair = &pairs[index];
    let end = source::pair_end(text, pair);
    let start = source::space_before(text, pair.key.span.start);
    if let Some(next) = pairs.get(index + 1) {
        let comma = comma_after(text, pair)?;
        let stop = source::after_comment(text, comma + 1);
        let shares_line = !source::begins_line(text, pair.key.span.start);
        let gap = text.get(stop..next.key.span.start).ok_or(DocumentError::Unsafe)?;
        if index == 0 && shares_line && gap.trim().is_empty() {
            // The first of a line: the next takes its place.
            splices.push(Splice::remove(pair.key.span.start..next.key.span.start));
        } else {
            splices.push(Splice::remove(start..stop));
        }
    } else if let Some(before) = index.checked_sub(1).map(|before| &pairs[before]) {
        // The last one: the comma before it goes instead of one behind it.
        let comma = comma_after(text, before)?;
        splices.push(Splice::remove(comma..comma + 1));
        splices.push(Splice::remove(start.max(comma + 1)..source::after_comment(text, end)));
    }
    Ok(())
}

/// Where the comma behind an entry is.
fn comma_after(text: &str, pair: &Pair) -> Result<usize, DocumentError> {
    let comma = source::skip_space_and_comments(text, source::pair_end(text, pair));
    let is_comma = text[comma..].starts_with(',');
    is_comma.then_some(comma).ok_or_else(|| pair.key.unsupported("this entry is not followed by a comma"))
}
