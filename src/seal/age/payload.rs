//! The payload of an age file: a nonce of 16 bytes, then ChaCha20-Poly1305 in chunks of 64 KiB, each numbered and the
//! last one marked (the STREAM construction).

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use zeroize::Zeroizing;

use super::FileKey;

const NONCE_BYTES: usize = 16;
const CHUNK: usize = 64 * 1024;
const TAG_BYTES: usize = 16;

/// How many bytes a payload is longer than what it holds.
pub(in crate::seal) const fn overhead(plaintext: usize) -> usize {
    let chunks = if plaintext == 0 { 1 } else { plaintext.div_ceil(CHUNK) };
    NONCE_BYTES + chunks * TAG_BYTES
}

/// How many bytes a payload of this length holds; `None` if it is too short for its nonce.
pub(in crate::seal) const fn plaintext_length(payload: usize) -> Option<usize> {
    let Some(chunks) = payload.checked_sub(NONCE_BYTES) else {
        return None;
    };
    Some(chunks.saturating_sub(chunks.div_ceil(CHUNK + TAG_BYTES) * TAG_BYTES))
}

/// Appends the payload to `out`, which should have room: where it must move, it leaves a copy of the plaintext.
pub(in crate::seal) fn seal(file_key: &FileKey, plaintext: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    out.extend_from_slice(&nonce);
    let cipher = cipher(file_key, &nonce)?;
    let last = plaintext.len().saturating_sub(1) / CHUNK;
    for number in 0..=last {
        let chunk = &plaintext[number * CHUNK..plaintext.len().min((number + 1) * CHUNK)];
        let start = out.len();
        out.extend_from_slice(chunk);
        let tag = cipher.encrypt_inout_detached(&counter(number, last), &[], (&mut out[start..]).into()).ok()?;
        out.extend_from_slice(&tag);
    }
    Some(())
}

/// Opens a payload: all of it or nothing.
pub(in crate::seal) fn open(file_key: &FileKey, payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = payload.split_first_chunk::<NONCE_BYTES>()?;
    let cipher = cipher(file_key, nonce)?;
    // With this much room the buffer never moves and leaves no copy.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    let last = ciphertext.len().saturating_sub(1) / (CHUNK + TAG_BYTES);
    for (number, chunk) in ciphertext.chunks(CHUNK + TAG_BYTES).enumerate() {
        let (chunk, tag) = chunk.split_last_chunk::<TAG_BYTES>()?;
        // Only an empty file has an empty chunk.
        if chunk.is_empty() && number > 0 {
            return None;
        }
        let start = plaintext.len();
        plaintext.extend_from_slice(chunk);
        let buffer = (&mut plaintext[start..]).into();
        cipher.decrypt_inout_detached(&counter(number, last), &[], buffer, &Tag::from(*tag)).ok()?;
    }
    (!ciphertext.is_empty()).then_some(plaintext)
}

fn cipher(file_key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> Option<ChaCha20Poly1305> {
    let key = file_key.derive(Some(nonce), b"payload")?;
    ChaCha20Poly1305::new_from_slice(key.as_slice()).ok()
}

/// 11 bytes of chunk number, most significant first, and one that marks the last chunk.
fn counter(number: usize, last: usize) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&(number as u64).to_be_bytes());
    nonce[11] = u8::from(number == last);
    Nonce::from(nonce)
}
