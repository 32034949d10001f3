//! Which bytes are a text, and what it says.

use std::borrow::Cow;

use crate::git::is_text;
use crate::utf16;

/// As many bytes decide.
const SNIFFED: usize = 8000;

/// How a file is written that may have no mark.
#[derive(Clone, Copy)]
enum Written {
    /// A text, as Git sees it.
    Text,
    /// A text but for some bytes: one zero byte hides nothing.
    Nearly,
    /// UTF-16 that does not say so.
    Utf16(utf16::Unit),
    /// None.
    Other,
}

fn written(bytes: &[u8]) -> Written {
    if is_text(bytes) {
        return Written::Text;
    }
    let first = &bytes[..bytes.len().min(SNIFFED)];
    let pairs = first.as_chunks::<2>().0;
    let are_letters_beside = |zero: usize| {
        let letters = pairs.iter().filter(|pair| pair[zero] == 0 && pair[1 - zero] != 0).count();
        letters > 8 && letters * 10 >= pairs.len() * 9
    };
    if are_letters_beside(1) {
        return Written::Utf16(u16::from_le_bytes);
    }
    if are_letters_beside(0) {
        return Written::Utf16(u16::from_be_bytes);
    }
    let is_odd = |byte: &&u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0x1b);
    let odd = first.iter().filter(is_odd).count();
    let invalid: usize = first.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    if (odd + invalid) * 10 <= first.len() { Written::Nearly } else { Written::Other }
}

/// Whether bytes are a text, or nearly one.
pub(super) fn is_legible(bytes: &[u8]) -> bool {
    !matches!(written(bytes), Written::Other)
}

/// The text of a file: UTF-16 if it says so or is nothing else, else UTF-8; bytes that are neither are replaced one by
/// one, so that places stay where they are. Of what is nearly a text zero bytes are left out.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Some((letters, unit)) = utf16::marked(bytes) {
        return std::mem::take(&mut *utf16::text(letters, unit).0).into();
    }
    let is_nearly = match written(bytes) {
        Written::Utf16(unit) => return std::mem::take(&mut *utf16::text(bytes, unit).0).into(),
        Written::Nearly => true,
        Written::Text | Written::Other => false,
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                chunk.invalid().iter().for_each(|_| text.push('?'));
            }
            text.into()
        }
    };
    if is_nearly { text.replace('\0', "").into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::{is_legible, text};

    #[test]
    fn a_zero_byte_hides_no_text_and_what_is_none_stays_none() {
        let yaml = "kind: Secret\nstringData: {password: é}\n";
        assert_eq!(text(format!("# \0\n{}", yaml.replace("cret", "cr\0et")).as_bytes()), format!("# \n{yaml}"));
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            let utf16: Vec<u8> = yaml.encode_utf16().flat_map(unit).collect();
            assert!(is_legible(&utf16));
            assert_eq!(text(&utf16), yaml);
        }
        let noise: Vec<u8> = (0..4000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut program = b"\x7fELF\x02\x01\x01".to_vec();
        program.extend([0; 400]);
        program.extend(b"some strings of a program");
        assert!(!is_legible(&noise) && !is_legible(&program) && !is_legible(b"\0") && !is_legible(b"a\0b"));
    }
}
