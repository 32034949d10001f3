//! Conflicts as they stand in a file: written, and found again.

use super::entries::{Conflict, Piece};
use super::text::{Marks, marker};

/// A part of a text: lines that are not in dispute, or both sides of those that are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Text(&'a str),
    Dispute(Dispute<'a>),
}

/// A conflict in a text, markers and all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dispute<'a> {
    /// With its markers.
    pub(crate) whole: &'a str,
    pub(crate) ours: &'a str,
    /// If it is shown.
    pub(crate) base: Option<&'a str>,
    pub(crate) theirs: &'a str,
}

/// Which side to read a text with disputes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Ours,
    Theirs,
}

impl Dispute<'_> {
    /// The lines of one side.
    pub(crate) fn read(&self, reading: Reading) -> &str {
        match reading {
            Reading::Ours => self.ours,
            Reading::Theirs => self.theirs,
        }
    }
}

/// Takes a text apart at its conflict markers of `size` signs. Markers that do not belong together are text.
pub(crate) fn parts(text: &str, size: usize) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut begun, mut at) = (0, 0);
    while at < text.len() {
        if let Some(dispute) = dispute(&text[at..], size) {
            if begun < at {
                parts.push(Part::Text(&text[begun..at]));
            }
            at += dispute.whole.len();
            begun = at;
            parts.push(Part::Dispute(dispute));
        } else {
            at += text[at..].find('\n').map_or(text.len() - at, |end| end + 1);
        }
    }
    if begun < text.len() {
        parts.push(Part::Text(&text[begun..]));
    }
    parts
}

/// The text as one side has it.
pub(crate) fn resolved(text: &str, size: usize, reading: Reading) -> String {
    let parts = parts(text, size);
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text,
            Part::Dispute(dispute) => dispute.read(reading),
        })
        .collect()
}

/// The conflict that begins with this text.
fn dispute(text: &str, size: usize) -> Option<Dispute<'_>> {
    label(text.lines().next()?, '<', size)?;
    let mut at = next(text, 0);
    let (ours_at, mut base_at, mut theirs_at) = (at, None, None);
    let mut ends = (0, 0);
    while at < text.len() {
        let line = text[at..].lines().next().unwrap_or_default();
        let after = next(text, at);
        if label(line, '<', size).is_some() {
            return None;
        } else if theirs_at.is_none() && base_at.is_none() && label(line, '|', size).is_some() {
            ends.0 = at;
            base_at = Some(after);
        } else if theirs_at.is_none() && label(line, '=', size) == Some("") {
            ends.1 = at;
            theirs_at = Some(after);
        } else if let (Some(theirs_at), Some(_)) = (theirs_at, label(line, '>', size)) {
            let ours_end = if base_at.is_some() { ends.0 } else { ends.1 };
            return Some(Dispute {
                whole: &text[..after],
                ours: &text[ours_at..ours_end],
                base: base_at.map(|base_at| &text[base_at..ends.1]),
                theirs: &text[theirs_at..at],
            });
        }
        at = after;
    }
    None
}

/// The label of a marker; empty where it has none.
fn label(line: &str, sign: char, size: usize) -> Option<&str> {
    let rest = line.trim_end_matches('\r').trim_start_matches(sign);
    let signs = line.trim_end_matches('\r').len() - rest.len();
    (signs == size && (rest.is_empty() || rest.starts_with(' '))).then(|| rest.trim())
}

fn next(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// Both sides of one key between markers, as lines. `around` is what else stands on the line of the entry: white space
/// before it, and a comma behind it.
pub(super) fn written(conflict: &Conflict, marks: &Marks, newline: &str, around: (&str, &str)) -> String {
    let mut out = String::new();
    let line = |sign: u8, label: &str| marker(sign, label, marks.size) + newline;
    let side = |piece: &Option<Piece>| {
        let lines = piece
            .as_ref()
            .map(|piece| format!("{}{}{}{}{}{newline}", piece.lead, around.0, piece.body, piece.trail, around.1));
        lines.unwrap_or_default()
    };
    out.push_str(&line(b'<', &marks.ours));
    out.push_str(&side(&conflict.ours));
    if marks.style.shows_base() {
        out.push_str(&line(b'|', &marks.base));
        out.push_str(&side(&conflict.base));
    }
    out.push_str(&line(b'=', ""));
    out.push_str(&side(&conflict.theirs));
    out.push_str(&line(b'>', &marks.theirs));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\n<<<<<<< HEAD\nb\n||||||| base\nc\n=======\nd\ne\n>>>>>>> x y\nf\n";

    #[test]
    fn a_text_is_read_from_either_side() {
        assert_eq!(resolved(TEXT, 7, Reading::Ours), "a\nb\nf\n");
        assert_eq!(resolved(TEXT, 7, Reading::Theirs), "a\nd\ne\nf\n");
        let crlf = TEXT.replace('\n', "\r\n");
        assert_eq!(resolved(&crlf, 7, Reading::Ours), "a\r\nb\r\nf\r\n");
        let parts = parts(TEXT, 7);
        let Part::Dispute(dispute) = &parts[1] else { panic!("{parts:?}") };
        assert_eq!((dispute.base, parts.len()), (Some("c\n"), 3));
    }

    #[test]
    fn what_is_no_whole_conflict_is_text() {
        for text in [
            "<<<<<<< a\nb\n",
            "<<<<<<< a\n=======\n",
            ">>>>>>> a\n",
            "<<<<<<<a\n=======\n>>>>>>> b\n",
            "<<<<<<<< a\n=======\n>>>>>>> b\n",
            "",
        ] {
            assert_eq!(resolved(text, 7, Reading::Theirs), text);
        }
        // The inner of two is whole.
        assert_eq!(resolved("<<<<<<< a\n<<<<<<< b\n1\n=======\n2\n>>>>>>> c\n", 7, Reading::Ours), "<<<<<<< a\n1\n");
    }
}
