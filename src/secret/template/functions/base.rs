//! Decoders for base64, base32 and hexadecimal that fail at the same byte as Go's.
//!
//! Sprig returns the decoder's error text as the result, so a template can print where a text is malformed; the
//! position has to be Go's. Line breaks are skipped, as Go does.

/// The error that Go's decoders report: the offset of the offending byte.
pub(super) struct Corrupt(pub(super) usize);

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Standard base64 with padding.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, Corrupt> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut quantum = Vec::with_capacity(4);
    let mut at = 0;
    loop {
        let Some((start, byte)) = next(text, &mut at) else {
            return if quantum.is_empty() { Ok(bytes) } else { Err(Corrupt(at - quantum.len())) };
        };
        if let Some(value) = position(BASE64, byte) {
            quantum.push(value);
            if quantum.len() == 4 {
                bytes.extend_from_slice(&join(&quantum, 6));
                quantum.clear();
            }
            continue;
        }
        if byte != b'=' || quantum.len() < 2 {
            return Err(Corrupt(start));
        }
        if quantum.len() == 2 {
            match next(text, &mut at) {
                None => return Err(Corrupt(text.len())),
                Some((_, b'=')) => {}
                Some((wrong, _)) => return Err(Corrupt(wrong)),
            }
        }
        // Nothing but line breaks may follow.
        if let Some((trailing, _)) = next(text, &mut at) {
            return Err(Corrupt(trailing));
        }
        bytes.extend_from_slice(&join(&quantum, 6));
        return Ok(bytes);
    }
}

/// Standard base32 with padding.
pub(super) fn decode_base32(text: &[u8]) -> Result<Vec<u8>, Corrupt> {
    // Go removes line breaks first here, so the offsets count without them.
    let text: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut bytes = Vec::with_capacity(text.len() / 8 * 5);
    let mut rest = &text[..];
    while !rest.is_empty() {
        let mut group = Vec::with_capacity(8);
        let mut padding = 0;
        for index in 0..8 {
            let Some((byte, tail)) = rest.split_first() else {
                return Err(Corrupt(text.len() - index));
            };
            rest = tail;
            let start = text.len() - tail.len() - 1;
            if *byte == b'=' && index >= 2 && tail.len() < 8 {
                if tail.len() + index < 7 {
                    return Err(Corrupt(text.len()));
                }
                if let Some(wrong) = tail.iter().take(7 - index).position(|byte| *byte != b'=') {
                    return Err(Corrupt(start + wrong));
                }
                if matches!(index, 1 | 3 | 6) {
                    return Err(Corrupt(start));
                }
                padding = 8 - index;
                break;
            }
            group.push(position(BASE32, *byte).ok_or(Corrupt(start))?);
        }
        bytes.extend_from_slice(&join(&group, 5));
        if padding > 0 {
            return Ok(bytes);
        }
    }
    Ok(bytes)
}

/// Standard base32 with padding.
pub(super) fn encode_base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let group = chunk.iter().chain(&[0; 5]).take(5).fold(0_u64, |group, byte| group << 8 | u64::from(*byte));
        let digits = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let digit = usize::try_from(group >> (35 - 5 * index) & 31).unwrap_or(0);
            text.push(if index < digits { BASE32.get(digit).copied().map_or('=', char::from) } else { '=' });
        }
    }
    text
}

/// The next byte that is no line break, with its offset.
fn next(text: &[u8], at: &mut usize) -> Option<(usize, u8)> {
    loop {
        let start = *at;
        let byte = *text.get(start)?;
        *at += 1;
        if !matches!(byte, b'\r' | b'\n') {
            return Some((start, byte));
        }
    }
}

fn position(alphabet: &[u8], byte: u8) -> Option<u8> {
    alphabet.iter().position(|known| *known == byte).and_then(|index| u8::try_from(index).ok())
}

/// The whole bytes of a group of digits.
fn join(digits: &[u8], width: usize) -> Vec<u8> {
    let bits = digits.iter().fold(0_u64, |bits, digit| bits << width | u64::from(*digit));
    let count = digits.len() * width / 8;
    let aligned = bits >> (digits.len() * width - count * 8);
    let bytes = aligned.to_be_bytes();
    bytes.get(8 - count..).unwrap_or_default().to_vec()
}
