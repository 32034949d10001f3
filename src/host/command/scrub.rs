//! Takes secrets out of what programs say.
//!
//! A program quotes what it does not understand: a whole value, one of its lines, or the word up to the next blank. So
//! every value, every line and longer word of it, and every run of [`RUN`] bytes that it has somewhere, is replaced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bstr::ByteSlice as _;
use zeroize::Zeroizing;

use crate::secret::Plaintext;

/// What is shown in place of a secret.
const STARS: &str = "***";
/// So many bytes in a row that a secret also has are taken for a part of it.
const RUN: usize = 8;
/// Words of a value that are at least so long are secrets by themselves.
const WORD: usize = 6;
/// Lines of a value that are at least so long are; a whole value is however short it is, but only as a whole word.
const LINE: usize = 4;

/// What must not be seen.
#[derive(Default)]
pub struct Scrubber {
    /// Pieces that are replaced wherever they are.
    pieces: Vec<Plaintext>,
    /// Values that are so short that they are replaced as whole words only.
    short: Vec<Plaintext>,
    /// Runs of bytes, each packed into a number; sorted.
    runs: Zeroizing<Vec<u64>>,
}

impl Scrubber {
    /// Hides these values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut scrubber = Self::default();
        // The number of runs is known before: the buffer must not move and leave copies behind.
        let values: Vec<&[u8]> = values.into_iter().collect();
        let sizes = values.iter().map(|value| value.len() + value.len() * 4 / 3 + 4);
        scrubber.runs.reserve_exact(sizes.sum());
        for value in values {
            scrubber.add(value);
        }
        scrubber.runs.sort_unstable();
        scrubber.runs.dedup();
        scrubber.pieces.sort_unstable_by(|a, b| a.expose().cmp(b.expose()));
        scrubber.pieces.dedup_by(|a, b| a.expose() == b.expose());
        scrubber
    }

    fn add(&mut self, value: &[u8]) {
        let whole = value.trim_ascii();
        if whole.is_empty() {
            return;
        }
        if whole.len() < LINE {
            self.short.push(Plaintext::copy_of(whole));
            return;
        }
        let mut pieces = vec![whole];
        pieces.extend(whole.lines().map(|line| line.trim_ascii()).filter(|line| line.len() >= LINE));
        pieces.extend(whole.split(|byte| separates(*byte)).filter(|word| word.len() >= WORD));
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(value).into_bytes());
        for text in [whole, encoded.as_slice()] {
            self.runs.extend(text.windows(RUN).filter_map(packed));
        }
        // Longer pieces are all runs.
        pieces.retain(|piece| piece.len() < RUN);
        self.pieces.extend(pieces.into_iter().map(Plaintext::copy_of));
    }

    /// The text without them, and without control characters: it is shown on terminals.
    #[must_use]
    pub fn scrub(&self, text: &[u8]) -> String {
        let mut hidden = vec![false; text.len()];
        let mut hide = |at: usize, count: usize| {
            if let Some(part) = hidden.get_mut(at..at + count) {
                part.fill(true);
            }
        };
        for piece in &self.pieces {
            for at in text.find_iter(piece.expose()) {
                hide(at, piece.len());
            }
        }
        for value in &self.short {
            for at in text.find_iter(value.expose()) {
                let before = at.checked_sub(1).and_then(|before| text.get(before));
                let after = text.get(at + value.len());
                if [before, after].into_iter().flatten().all(|byte| !byte.is_ascii_alphanumeric()) {
                    hide(at, value.len());
                }
            }
        }
        if !self.runs.is_empty() {
            for (at, run) in text.windows(RUN).enumerate() {
                if packed(run).is_some_and(|run| self.runs.binary_search(&run).is_ok()) {
                    hide(at, RUN);
                }
            }
        }
        let mut shown = Vec::with_capacity(text.len());
        let mut inside = false;
        for (byte, hidden) in text.iter().zip(hidden) {
            if !hidden {
                shown.push(*byte);
            } else if !inside {
                shown.extend_from_slice(STARS.as_bytes());
            }
            inside = hidden;
        }
        let shown = String::from_utf8_lossy(&shown).into_owned();
        shown.replace(|character: char| character.is_control() && character != '\n' && character != '\t', "")
    }
}

fn packed(run: &[u8]) -> Option<u64> {
    run.try_into().ok().map(u64::from_ne_bytes)
}

fn separates(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\"'`;,=&{}()[]<>|".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::Scrubber;

    fn scrub(values: &[&str], text: &str) -> String {
        Scrubber::new(values.iter().map(|value| value.as_bytes())).scrub(text.as_bytes())
    }

    #[test]
    fn values_their_lines_their_words_and_parts_of_them_are_hidden() {
        assert_eq!(scrub(&["hunter2hunter2"], "password is hunter2hunter2!"), "password is ***!");
        assert_eq!(scrub(&["abcd"], "xabcdx"), "x***x");
        assert_eq!(scrub(&["first line\nsecond line\n"], "at: second line"), "at: ***");
        assert_eq!(scrub(&["user=frodo;pass=mellon"], "bad word mellon"), "bad word ***");
        assert_eq!(scrub(&["correct-horse-battery-staple"], "cut at \"horse-batt\""), "cut at \"***\"");
        assert_eq!(scrub(&["correct-horse-battery-staple"], "as Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ=="), "as ***==");
        assert_eq!(scrub(&["on"], "on one line, on"), "*** one line, ***");
        assert_eq!(scrub(&["", " \n"], "nothing to hide"), "nothing to hide");
        assert_eq!(scrub(&[], "nothing to hide"), "nothing to hide");
    }

    #[test]
    fn terminals_are_not_told_what_to_do() {
        assert_eq!(scrub(&[], "a\u{1b}[2Jb\r\n\tc\u{7}"), "a[2Jb\n\tc");
    }
}
