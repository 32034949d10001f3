//! A look at the header of an age file before the library that opens it may have it.
//!
//! Hostile input comes in here, and the age crate's own header parser takes quadratic time on it: this one is a single
//! bounded pass, refuses what the format forbids, and finds the recipients' stanzas.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{Stanza, hybrid, x25519};
use crate::seal::{Damage, MAX_RECIPIENTS, Refusal};

/// The first bytes of every version of an age file.
pub(in crate::seal) const MAGIC: &[u8] = b"age-encryption.org/";
pub(super) const VERSION: &[u8] = b"v1";
/// Stanzas that a header may have: the recipients, ours, and a few that others put in to keep parsers honest.
const MAX_STANZAS: usize = MAX_RECIPIENTS + 16;
/// How many characters a full line of a stanza's body has.
const LINE: usize = 64;

/// A header that follows the format. Nothing in it is authenticated.
pub(in crate::seal) struct Header<'a> {
    pub(in crate::seal) stanzas: Vec<Stanza<'a>>,
    /// How many bytes follow the header.
    pub(in crate::seal) payload: usize,
}

const MALFORMED: Refusal = Refusal::Corrupt { what: Damage::Header };

impl<'a> Header<'a> {
    /// Reads the header in one pass.
    pub(in crate::seal) fn read(file: &'a [u8]) -> Result<Self, Refusal> {
        let mut lines = Lines { file, at: 0 };
        check_version(lines.next()?)?;
        let mut stanzas = Vec::with_capacity(4);
        let mut has_passphrase = false;
        loop {
            let line = lines.next()?;
            if let Some(mac) = line.strip_prefix(b"---") {
                mac.strip_prefix(b" ").and_then(fixed).ok_or(MALFORMED)?;
                // A passphrase stands alone, so that whoever knows it is known to be the one who sealed.
                if has_passphrase && stanzas.len() > 1 {
                    return Err(MALFORMED);
                }
                return Ok(Self { stanzas, payload: file.len() - lines.at });
            }
            if stanzas.len() == MAX_STANZAS {
                return Err(Refusal::Corrupt { what: Damage::TooManyRecipients });
            }
            let (kind, arguments) = line.strip_prefix(b"-> ").and_then(words).ok_or(MALFORMED)?;
            has_passphrase |= kind == "scrypt";
            stanzas.push(stanza(kind, arguments, lines.body()?).ok_or(MALFORMED)?);
        }
    }
}

/// The lines of a header, each ended by a line feed and nothing else.
struct Lines<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a [u8], Refusal> {
        let rest = &self.file[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Refusal::Corrupt { what: Damage::CutOff })?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    /// A stanza's body: full lines of base64, then a shorter one.
    fn body(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut body = Vec::new();
        loop {
            let line = self.next()?;
            if line.len() > LINE {
                return Err(MALFORMED);
            }
            STANDARD_NO_PAD.decode_vec(line, &mut body).map_err(|_| MALFORMED)?;
            if line.len() < LINE {
                return Ok(body);
            }
        }
    }
}

fn check_version(line: &[u8]) -> Result<(), Refusal> {
    let version = line.strip_prefix(MAGIC).ok_or(MALFORMED)?;
    if version == VERSION {
        return Ok(());
    }
    let version = std::str::from_utf8(version).ok().and_then(version_name).ok_or(MALFORMED)?;
    Err(Refusal::UnknownVersion { version })
}

/// A version as versions are written, `v` and a short number: anything else is damage, not the future.
pub(in crate::seal) fn version_name(text: &str) -> Option<String> {
    let number = text.strip_prefix('v')?;
    let is_number = (1..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.to_owned())
}

/// The type and the arguments of a stanza: words of visible ASCII between single spaces.
fn words(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    line.split(' ').all(is_word).then(|| line.split_once(' ').unwrap_or((line, "")))
}

fn stanza<'a>(kind: &'a str, arguments: &'a str, body: Vec<u8>) -> Option<Stanza<'a>> {
    match kind {
        x25519::TAG => x25519::Wrapped::read(arguments, &body).map(Stanza::X25519),
        hybrid::TAG => hybrid::Wrapped::read(arguments, &body).map(Stanza::Hybrid),
        _ => Some(Stanza::Other { kind, arguments, body }),
    }
}

/// Reads canonical base64 of exactly 32 bytes.
pub(super) fn fixed(text: &[u8]) -> Option<[u8; 32]> {
    // Bounds the work: 32 bytes are 43 characters.
    (text.len() == 43).then(|| STANDARD_NO_PAD.decode(text).ok()).flatten()?.try_into().ok()
}
