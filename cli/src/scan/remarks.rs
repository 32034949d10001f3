//! `# bulla:allow REASON`: said beside what may stay, in any kind of comment.

use std::collections::HashSet;

use super::hit::Hit;
use super::look::Span;

/// What a remark begins with.
const MARK: &str = concat!("bulla", ":allow");

/// The remarks of a text.
#[derive(Default)]
pub(super) struct Remarks {
    /// Lines that they are about, by the byte that the line begins at.
    lines: HashSet<usize>,
    /// Lines, from 1, of remarks that give no reason: they count for nothing.
    pub(super) unreasoned: Vec<usize>,
}

/// Reads the remarks of a text. One that stands alone in its line is about the next line that is more than a comment.
pub(super) fn read(text: &str) -> Remarks {
    let mut remarks = Remarks::default();
    for found in memchr::memmem::find_iter(text.as_bytes(), MARK) {
        let start = line_start(text, found);
        let line = line_of(text, start);
        let reason = line[found + MARK.len() - start..].trim_start_matches([':', ' ', '\t']);
        let reason = reason.trim_end_matches(|sign: char| !sign.is_alphanumeric());
        if !reason.chars().any(char::is_alphabetic) {
            remarks.unreasoned.push(text[..start].matches('\n').count() + 1);
            continue;
        }
        let is_alone = !line[..found - start].chars().any(char::is_alphanumeric);
        remarks.lines.insert(if is_alone { next_line(text, start) } else { start });
    }
    remarks
}

impl Remarks {
    /// Whether what was found may stay.
    pub(super) fn allow(&self, text: &str, hit: &Hit) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        let starts = std::iter::once(&hit.span.start).chain(&hit.starts);
        starts.into_iter().any(|at| self.lines.contains(&line_start(text, *at)))
    }
}

/// The beginning of the next line that says more than a comment.
fn next_line(text: &str, start: usize) -> usize {
    let mut at = start;
    loop {
        let line = line_of(text, at);
        let inner = line.trim_start();
        let is_comment = ["#", "//", "--", ";", "/*", "*", "<!--", "{{/*"].iter().any(|mark| inner.starts_with(mark))
            && !inner.starts_with("---");
        if at > start && !inner.is_empty() && !is_comment {
            return at;
        }
        let next: Span = at..at + line.len() + 1;
        if next.end >= text.len() {
            return start;
        }
        at = next.end;
    }
}

fn line_start(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    memchr::memrchr(b'\n', &text.as_bytes()[..at]).map_or(0, |newline| newline + 1)
}

/// The line that begins there, without its end.
fn line_of(text: &str, start: usize) -> &str {
    let end = memchr::memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |newline| start + newline);
    &text[start..end]
}
