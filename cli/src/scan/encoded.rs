//! base64 in any text: decoded, to look inside.

use std::ops::Range;

use base64::Engine as _;

use super::worth::{LENIENT, LENIENT_URL};

/// Shorter runs hold nothing that would be recognised.
const SHORTEST: usize = 32;
/// What is decoded of one run; more than a key file in a kubeconfig.
const LONGEST: usize = 4 << 20;
/// How much must decode to text before the rest is looked at.
const TRIED: usize = 32;

/// Which bytes may be in base64: of the standard alphabet, of that for URLs, and padding.
const ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        at += 1;
    }
    table
};

/// The runs of base64 that hold text, with that text.
pub(super) fn texts(text: &[u8]) -> impl Iterator<Item = (Range<usize>, Vec<u8>)> {
    runs(text).filter_map(|run| {
        let bytes = text.get(run.clone())?;
        Some((run, decode(bytes)?))
    })
}

/// The text that a run of base64 holds; most hold none, and are left after a few bytes.
fn decode(run: &[u8]) -> Option<Vec<u8>> {
    // A token of JSON parts, which is looked at as it is.
    if run.len() > LONGEST || run.starts_with(b"eyJ") && run.len() < 200 && !run.ends_with(b"=") {
        return None;
    }
    let is_url = run.iter().any(|byte| matches!(byte, b'-' | b'_'));
    if is_url && run.iter().any(|byte| matches!(byte, b'+' | b'/')) {
        return None;
    }
    let engine = if is_url { &LENIENT_URL } else { &LENIENT };
    let first = engine.decode(run.get(..TRIED)?).ok()?;
    if !first.iter().all(is_text) {
        return None;
    }
    let trimmed = run.len() - run.iter().rev().take_while(|byte| **byte == b'=').count();
    // A character too many is a path or a word before it; nothing is known to be cut off there.
    let whole = if trimmed % 4 == 1 { trimmed - 1 } else { trimmed };
    let bytes = engine.decode(run.get(..whole)?).ok()?;
    bytes.iter().all(is_text).then_some(bytes)
}

fn is_text(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0x80..)
}

fn runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // One byte in so many is looked at until one could be within a run.
            while !ALPHABET[usize::from(*text.get(at)?)] {
                at += 1;
            }
            let start = at;
            while text.get(at).is_some_and(|byte| ALPHABET[usize::from(*byte)]) {
                at += 1;
            }
            let length = at - start;
            while text.get(at) == Some(&b'=') && at - start - length < 2 {
                at += 1;
            }
            if length >= SHORTEST {
                return Some(start..at);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

    use super::texts;

    #[test]
    fn text_in_base64_is_found_and_bytes_are_not() {
        let inner = b"user: ada\npassword: something that is long enough\n";
        for encoded in [STANDARD.encode(inner), URL_SAFE.encode(inner), STANDARD_NO_PAD.encode(inner)] {
            let text = format!("a: {encoded}\nb: \"{encoded}\"\n");
            let found: Vec<_> = texts(text.as_bytes()).collect();
            assert_eq!(found.len(), 2, "{text}");
            assert!(found.iter().all(|(_, bytes)| bytes == inner));
            assert_eq!(&text[found[0].0.clone()], encoded);
        }
        let bytes: Vec<u8> = (0..200_u8).map(|byte| byte.wrapping_mul(73)).collect();
        assert_eq!(texts(STANDARD.encode(bytes).as_bytes()).count(), 0);
        assert_eq!(texts(b"/a/path/that/is/quite/long/and/goes/on/and/on.rs").count(), 0);
    }
}
