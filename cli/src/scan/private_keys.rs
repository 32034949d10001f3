//! Private keys: PEM of every kind, OpenSSH, PGP, PuTTY, age.

use std::ops::Range;

use base64::Engine as _;
use bulla::seal::Identity;

use super::hit::Hit;
use super::rules::{AGE_IDENTITY, GCP_ACCOUNT, LOCKED_KEY, PRIVATE_KEY};
use super::worth::LENIENT;

/// What stands in the first line of a private key, and in an age identity.
pub(super) const ANCHORS: [&str; 5] =
    ["PRIVATE KEY-----", "PRIVATE KEY BLOCK-----", "PuTTY-User-Key-File-", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"];

/// Keys in one file that is no text; more would tell nobody anything.
const MOST: usize = 100;
/// More than the longest private key, with every line break written as two characters.
const LONGEST: usize = 64 << 10;
/// How far from the key of a service account it says that it is of one.
const ACCOUNT: usize = 2048;
/// Characters of base64 in the shortest private key; fewer are an ellipsis.
const SHORTEST: usize = 60;

/// Whether there may be one in bytes that are no text.
pub(super) fn may_hold_one(bytes: &[u8]) -> bool {
    ANCHORS.iter().any(|anchor| memchr::memmem::find(bytes, anchor.as_bytes()).is_some())
}

/// Every private key in bytes that need not be a text.
pub(super) fn all(bytes: &[u8]) -> Vec<Hit> {
    let places = ANCHORS.iter().flat_map(|anchor| memchr::memmem::find_iter(bytes, anchor.as_bytes()));
    places.filter_map(|anchor| find(bytes, anchor)).take(MOST).collect()
}

/// The private key whose anchor begins at `anchor`.
pub(super) fn find(text: &[u8], anchor: usize) -> Option<Hit> {
    let rest = text.get(anchor..)?;
    if rest.starts_with(b"AGE-") {
        return age(text, anchor);
    }
    if rest.starts_with(b"PuTTY") {
        return putty(text, anchor);
    }
    let line = anchor.saturating_sub(32);
    let begin = text[line..anchor].windows(11).rposition(|window| window == b"-----BEGIN ").map(|at| line + at)?;
    let label = std::str::from_utf8(text.get(begin + 11..anchor)?).ok()?.trim_end();
    let is_pgp = label == "PGP";
    if !is_pgp && !matches!(label, "" | "RSA" | "EC" | "DSA" | "OPENSSH" | "ENCRYPTED" | "ANY") {
        return None;
    }
    let head = anchor + rest.iter().position(|byte| *byte == b'-')? + 5;
    let body = Body::read(text.get(head..text.len().min(head + LONGEST))?, is_pgp);
    if body.base64.len() < SHORTEST {
        return None;
    }
    let first = LENIENT.decode(body.base64.get(..SHORTEST)?).ok()?;
    let is_open_ssh = first.starts_with(b"openssh-key-v1\0");
    let is_right = match label {
        "OPENSSH" => is_open_ssh,
        // A secret key packet, of the old and of the new form.
        "PGP" => matches!(first.first(), Some(0x94..=0x97 | 0xc5)),
        // A sequence of at least 128 bytes, or a short one.
        _ => first.first() == Some(&0x30),
    };
    if !is_right || body.base64.windows(12).any(|window| window == b"AAAAAAAAAAAA") && !is_open_ssh && !is_pgp {
        return None;
    }
    // After the magic word comes the cipher, after its length.
    let is_locked = label == "ENCRYPTED" || body.is_locked || (is_open_ssh && !first.get(19..)?.starts_with(b"none"));
    let around = &text[begin.saturating_sub(ACCOUNT)..text.len().min(head + body.end + ACCOUNT)];
    let is_account = || contains(around, b"\"service_account\"") || contains(around, b"\\\"service_account\\\"");
    let (rule, what) = match label {
        _ if is_locked => (&LOCKED_KEY, "a private key under a passphrase"),
        "PGP" => (&PRIVATE_KEY, "a private key of PGP"),
        "OPENSSH" => (&PRIVATE_KEY, "a private key of OpenSSH"),
        _ if is_account() => (&GCP_ACCOUNT, "the private key of a Google Cloud service account"),
        "RSA" => (&PRIVATE_KEY, "an RSA private key"),
        "EC" => (&PRIVATE_KEY, "an EC private key"),
        _ => (&PRIVATE_KEY, "a private key"),
    };
    let span = begin..head + body.end;
    Some(Hit::new(rule, span, what, &body.base64))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// What is between BEGIN and END.
struct Body {
    base64: Vec<u8>,
    /// It says that it is encrypted.
    is_locked: bool,
    /// Where it ends.
    end: usize,
}

impl Body {
    /// Line breaks may be written out (`\n`), and lines may be quoted, joined or commented, as source code has them.
    fn read(text: &[u8], is_pgp: bool) -> Self {
        let mut body = Self { base64: Vec::new(), is_locked: false, end: 0 };
        let mut at = 0;
        let mut line = Vec::new();
        while let Some(byte) = text.get(at) {
            at += 1;
            let is_escape = *byte == b'\\' && matches!(text.get(at), Some(b'n' | b'r'));
            at += usize::from(is_escape);
            if is_escape || matches!(byte, b'\n' | b'\r') {
                if !body.take(&mut line) {
                    break;
                }
                continue;
            }
            if *byte == b'-' && text[at..].starts_with(b"----END") {
                break;
            }
            line.push(*byte);
            // Nothing that is not a key has so much to say in one line before any of it was base64.
            if line.len() > 8192 {
                break;
            }
            body.end = at;
        }
        body.take(&mut line);
        if is_pgp && let Some(checksum) = body.base64.iter().position(|byte| *byte == b'=') {
            body.base64.truncate(checksum);
        }
        body
    }

    /// Takes a line, and says whether there can be more: after what is neither base64 nor the header of a key, not.
    fn take(&mut self, line: &mut Vec<u8>) -> bool {
        let is_wrapping = |byte: &u8| {
            byte.is_ascii_whitespace()
                || matches!(byte, b'"' | b'\'' | b',' | b'#' | b'*' | b'|' | b'>' | b'`' | b';' | b'\\')
        };
        let start = line.iter().position(|byte| !is_wrapping(byte)).unwrap_or(line.len());
        let mut inner = &line[start..];
        if let [b'+', b' ' | b'"' | b'\'', ..] = inner {
            let quote = inner.iter().position(|byte| matches!(byte, b'"' | b'\'')).map_or(inner.len(), |at| at + 1);
            inner = &inner[quote..];
        }
        // `"..." +` of source code.
        while let Some((last, rest)) = inner.split_last() {
            let is_joined = *last == b'+'
                && rest
                    .iter()
                    .rev()
                    .find(|byte| !byte.is_ascii_whitespace())
                    .is_some_and(|byte| matches!(byte, b'"' | b'\''));
            if !is_wrapping(last) && !is_joined {
                break;
            }
            inner = rest;
        }
        let is_base64 = inner.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        let is_header = self.base64.is_empty() && contains(inner, b": ");
        if is_base64 {
            self.base64.extend_from_slice(inner);
        } else if is_header {
            self.is_locked |= contains(inner, b"ENCRYPTED") || contains(inner, b"DEK-Info");
        }
        line.clear();
        is_base64 || is_header
    }
}

fn putty(text: &[u8], anchor: usize) -> Option<Hit> {
    let rest = text.get(anchor..text.len().min(anchor + LONGEST))?;
    // The version, then the kind of key.
    let is_file = matches!(rest.get(ANCHORS[2].len()..), Some([b'1'..=b'9', b':', ..]));
    let lines = memchr::memmem::find(rest, b"Private-Lines:").filter(|_| is_file)?;
    let is_open = contains(&rest[..lines], b"Encryption: none");
    let body = rest.get(lines..)?.split(|byte| *byte == b'\n').nth(1)?;
    if body.len() < 40 {
        return None;
    }
    let (rule, what) = if is_open {
        (&PRIVATE_KEY, "a private key of PuTTY")
    } else {
        (&LOCKED_KEY, "a private key of PuTTY under a passphrase")
    };
    Some(Hit::new(rule, anchor..anchor + lines, what, body))
}

/// Only what would open something: the checksum must be right.
fn age(text: &[u8], anchor: usize) -> Option<Hit> {
    let length =
        text[anchor..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').take(4096).count();
    let span: Range<usize> = anchor..anchor + length;
    let word = std::str::from_utf8(text.get(span.clone())?).ok()?;
    let identities = Identity::parse_all(word).ok().filter(|identities| !identities.is_empty());
    identities.map(|_| Hit::new(&AGE_IDENTITY, span, "an age identity", word.as_bytes()))
}
