//! UTF-16: how it is marked, and what it says.

use zeroize::Zeroizing;

/// A letter of two bytes, or half of one.
pub(crate) type Unit = fn([u8; 2]) -> u16;

/// The bytes after a mark of UTF-16, and how they are read.
pub(crate) const fn marked(bytes: &[u8]) -> Option<(&[u8], Unit)> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => Some((rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Some((rest, u16::from_be_bytes)),
        _ => None,
    }
}

/// The text, and whether nothing of it had to be replaced or left out.
pub(crate) fn text(bytes: &[u8], unit: Unit) -> (Zeroizing<String>, bool) {
    // Twice the room: no letter of one unit needs more than three bytes, and buffers that grow leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    let mut is_whole = bytes.len().is_multiple_of(2);
    for letter in char::decode_utf16(bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair))) {
        is_whole &= letter.is_ok();
        text.push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    (text, is_whole)
}
