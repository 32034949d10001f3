//! The header of an age file: who can open it, and a MAC over that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{FileKey, hybrid, x25519};
use crate::seal::{Damage, MAX_RECIPIENTS, Refusal};

/// The first bytes of every version of an age file.
pub(in crate::seal) const MAGIC: &[u8] = b"age-encryption.org/";
const VERSION: &[u8] = b"v1";
/// Stanzas that a header may have: the recipients, ours, and a few that others put in to keep parsers honest.
const MAX_STANZAS: usize = MAX_RECIPIENTS + 16;
/// How many characters a full line of a stanza's body has.
const LINE: usize = 64;

/// One section of the header. The types that we know are checked when they are read, whether or not a key of theirs
/// is at hand: a malformed one makes the header malformed.
pub(in crate::seal) enum Stanza<'a> {
    /// The file key, wrapped for an X25519 recipient.
    X25519(x25519::Wrapped),
    /// The file key, wrapped for a hybrid recipient.
    Hybrid(hybrid::Wrapped),
    /// Any other.
    Other {
        /// Its type.
        kind: &'a str,
        /// Its arguments, separated by single spaces.
        arguments: &'a str,
        /// Its body.
        body: Vec<u8>,
    },
}

impl Stanza<'_> {
    /// The type, as the header spells it.
    pub(in crate::seal) const fn kind(&self) -> &str {
        match self {
            Self::X25519(_) => x25519::TAG,
            Self::Hybrid(_) => hybrid::TAG,
            Self::Other { kind, .. } => kind,
        }
    }
}

/// A header that was read. Nothing in it is authenticated before [`Header::verify`].
pub(in crate::seal) struct Header<'a> {
    pub(in crate::seal) stanzas: Vec<Stanza<'a>>,
    /// What follows the header.
    pub(in crate::seal) payload: &'a [u8],
    authenticated: &'a [u8],
    mac: [u8; 32],
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
            let start = lines.at;
            let line = lines.next()?;
            if let Some(mac) = line.strip_prefix(b"---") {
                let mac = mac.strip_prefix(b" ").and_then(fixed).ok_or(MALFORMED)?;
                // A passphrase stands alone, so that whoever knows it is known to be the one who sealed.
                if has_passphrase && stanzas.len() > 1 {
                    return Err(MALFORMED);
                }
                let authenticated = &file[..start + "---".len()];
                return Ok(Self { stanzas, payload: &file[lines.at..], authenticated, mac });
            }
            if stanzas.len() == MAX_STANZAS {
                return Err(Refusal::Corrupt { what: Damage::TooManyRecipients });
            }
            let (kind, arguments) = line.strip_prefix(b"-> ").and_then(words).ok_or(MALFORMED)?;
            has_passphrase |= kind == "scrypt";
            stanzas.push(stanza(kind, arguments, lines.body()?).ok_or(MALFORMED)?);
        }
    }

    /// Checks the MAC: whoever wrote this header had the file key.
    pub(in crate::seal) fn verify(&self, file_key: &FileKey) -> Result<(), Refusal> {
        let altered = Refusal::Corrupt { what: Damage::HeaderMac };
        let mac = mac(file_key, self.authenticated).ok_or(altered.clone())?;
        mac.verify_slice(&self.mac).map_err(|_| altered)
    }
}

/// Writes a header; `None` if the library refuses, which it has no documented case for.
pub(in crate::seal) fn write(stanzas: &[Stanza<'_>], file_key: &FileKey, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(VERSION);
    out.push(b'\n');
    for stanza in stanzas {
        match stanza {
            Stanza::X25519(x25519::Wrapped { share, body }) => write_stanza(out, x25519::TAG, &encode(share), body),
            Stanza::Hybrid(hybrid::Wrapped { enc, body }) => write_stanza(out, hybrid::TAG, &encode(enc), body),
            Stanza::Other { kind, arguments, body } => write_stanza(out, kind, arguments, body),
        }
    }
    out.extend_from_slice(b"---");
    let mac = mac(file_key, &out[start..])?.finalize().into_bytes();
    out.push(b' ');
    out.extend_from_slice(encode(&mac).as_bytes());
    out.push(b'\n');
    Some(())
}

fn write_stanza(out: &mut Vec<u8>, kind: &str, arguments: &str, body: &[u8]) {
    for part in ["-> ", kind, " ", arguments, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let body = encode(body);
    let mut lines = body.as_bytes().chunks_exact(LINE);
    for line in &mut lines {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    // The last line is shorter than the others, so that the end shows: empty if need be.
    out.extend_from_slice(lines.remainder());
    out.push(b'\n');
}

fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

fn mac(file_key: &FileKey, header: &[u8]) -> Option<Hmac<Sha256>> {
    let key = file_key.derive(None, b"header")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
    mac.update(header);
    Some(mac)
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
