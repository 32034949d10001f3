//! PEM as Go's `encoding/pem` reads and writes it: what is between the blocks, and blocks that are broken, do not count.

use base64::{Engine as _, alphabet::STANDARD, engine::general_purpose::GeneralPurpose, engine::general_purpose::PAD};
use bstr::ByteSlice as _;
use zeroize::Zeroizing;

use super::keys::encode_pem;

/// One block.
pub(super) struct Block {
    /// What stands after BEGIN.
    pub(super) label: String,
    /// The lines with a colon before the content.
    headers: Vec<(String, String)>,
    /// The content.
    pub(super) der: Zeroizing<Vec<u8>>,
}

impl Block {
    /// The block as text.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(encode_pem(&self.label, &self.der));
        if self.headers.is_empty() {
            return text;
        }
        // Go writes this one first and the others by name.
        let mut headers: Vec<_> = self.headers.iter().collect();
        headers.sort_by_key(|(name, _)| (name != "Proc-Type", name.clone()));
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let start = text.find_byte(b'\n').map_or(0, |end| end + 1);
        let tail = Zeroizing::new(text.split_off(start));
        text.extend_from_slice(lines.as_bytes());
        text.push(b'\n');
        text.extend_from_slice(&tail);
        text
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

/// The first block, and what follows it. A text without a block is its own rest.
pub(super) fn first(text: &[u8]) -> Option<(Block, &[u8])> {
    let mut rest = text;
    loop {
        let at = rest.find_iter(BEGIN).find(|at| *at == 0 || rest.get(at - 1) == Some(&b'\n'))?;
        rest = rest.get(at + BEGIN.len()..)?;
        if let Some(found) = block(rest) {
            return Some(found);
        }
    }
}

/// All blocks.
pub(super) fn all(mut text: &[u8]) -> impl Iterator<Item = Block> {
    std::iter::from_fn(move || {
        let (block, rest) = first(text)?;
        text = rest;
        Some(block)
    })
}

fn block(text: &[u8]) -> Option<(Block, &[u8])> {
    let (line, mut rest) = line(text);
    let label = line.strip_suffix(DASHES)?.to_str().ok()?.to_owned();
    let mut headers = Vec::new();
    // A line of dashes can only be the end: to look further would take time by the square of the text.
    while !rest.is_empty() && !rest.starts_with(DASHES) {
        let (header, after) = self::line(rest);
        let Some((name, value)) = header.split_once_str(b":") else { break };
        headers.push((name.trim_ascii().to_str().ok()?.to_owned(), value.trim_ascii().to_str().ok()?.to_owned()));
        rest = after;
    }
    let end = format!("-----END {label}-----");
    let at = if rest.starts_with(DASHES) { 0 } else { rest.find(b"\n-----")? + 1 };
    let (content, after) = rest.split_at_checked(at)?;
    let (closing, after) = self::line(after);
    if closing != end.as_bytes() {
        return None;
    }
    let mut digits = Zeroizing::new(Vec::with_capacity(content.len()));
    digits.extend(content.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')));
    let engine = GeneralPurpose::new(&STANDARD, PAD.with_decode_allow_trailing_bits(true));
    let der = Zeroizing::new(engine.decode(digits.as_slice()).ok()?);
    Some((Block { label, headers, der }, after))
}

/// A line without the white space at its end, and what follows it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = text.split_once_str(b"\n").unwrap_or((text, b""));
    (line.trim_end_with(|character| matches!(character, ' ' | '\t' | '\r')), rest)
}
