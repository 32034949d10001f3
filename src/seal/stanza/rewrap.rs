//! A header of an age file, written with a file key that there is already: some recipients stay as they are in the old
//! header, though only the file key and not their public halves are at hand, and others come in.
//!
//! The age crate makes a file key with each file that it writes. Under the same file key nothing is given away: whoever
//! had it could read the content before, and the content is the same, byte for byte of its ciphertext.

use age_core::format::FileKey;
use age_core::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::header::{MAGIC, VERSION};
use super::{Stanza, derive};

/// Base64 in a header is broken into lines of so many characters.
const LINE: usize = 64;
/// The end of a header: what the MAC covers last, then a space, the MAC and a line feed.
const FOOTER: &[u8] = b"---";
const MAC_CHARACTERS: usize = 43;

/// Writes a header of these stanzas, and its MAC.
pub(in crate::seal) fn header(file_key: &FileKey, stanzas: Vec<Stanza<'_>>) -> Option<Vec<u8>> {
    let mut header = [MAGIC, VERSION, b"\n"].concat();
    for stanza in stanzas {
        let stanza = stanza.into_age();
        header.extend_from_slice(b"-> ");
        header.extend_from_slice(stanza.tag.as_bytes());
        for argument in &stanza.args {
            header.push(b' ');
            header.extend_from_slice(argument.as_bytes());
        }
        header.push(b'\n');
        let body = STANDARD_NO_PAD.encode(&stanza.body);
        let (lines, rest) = body.as_bytes().as_chunks::<LINE>();
        for line in lines.iter().map(<[u8; LINE]>::as_slice).chain([rest]) {
            header.extend_from_slice(line);
            header.push(b'\n');
        }
    }
    header.extend_from_slice(FOOTER);
    let mac = mac(file_key, &header)?.finalize().into_bytes();
    header.push(b' ');
    header.extend_from_slice(STANDARD_NO_PAD.encode(mac).as_bytes());
    header.push(b'\n');
    Some(header)
}

/// Whether a header, which ends with its MAC, is the one that was written with this file key.
pub(in crate::seal) fn is_authentic(file_key: &FileKey, header: &[u8]) -> bool {
    let parts = header.strip_suffix(b"\n").and_then(|header| header.split_last_chunk::<MAC_CHARACTERS>());
    let Some((covered, written)) = parts.and_then(|(before, mac)| Some((before.strip_suffix(b" ")?, mac))) else {
        return false;
    };
    let (Ok(written), Some(mac)) = (STANDARD_NO_PAD.decode(written), mac(file_key, covered)) else { return false };
    covered.ends_with(FOOTER) && mac.verify_slice(&written).is_ok()
}

fn mac(file_key: &FileKey, covered: &[u8]) -> Option<Hmac<Sha256>> {
    let key = derive(file_key.expose_secret(), None, b"header")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
    mac.update(covered);
    Some(mac)
}
