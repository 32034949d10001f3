//! Go's quoting: `strconv.Quote` and its relatives.

use std::{fmt::Write as _, sync::LazyLock};

use regex::Regex;

use crate::secret::template::value::runes;

/// A Go string literal.
pub(crate) fn quoted(bytes: &[u8]) -> Vec<u8> {
    quoted_as(bytes, false)
}

pub(super) fn quoted_as(bytes: &[u8], ascii: bool) -> Vec<u8> {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for (character, spelling) in runes(bytes) {
        match spelling {
            // A byte that is no character.
            [byte] if *byte >= 0x80 => {
                let _infallible = write!(text, "\\x{byte:02x}");
            }
            _ => escape(&mut text, character, '"', ascii),
        }
    }
    text.push('"');
    text.into_bytes()
}

pub(super) fn quoted_rune(character: char, ascii: bool) -> String {
    let mut text = "'".to_owned();
    escape(&mut text, character, '\'', ascii);
    text.push('\'');
    text
}

fn escape(text: &mut String, character: char, quote: char, ascii: bool) {
    let code = u32::from(character);
    let written = match character {
        '\\' => write!(text, "\\\\"),
        '\u{7}' => write!(text, "\\a"),
        '\u{8}' => write!(text, "\\b"),
        '\u{c}' => write!(text, "\\f"),
        '\n' => write!(text, "\\n"),
        '\r' => write!(text, "\\r"),
        '\t' => write!(text, "\\t"),
        '\u{b}' => write!(text, "\\v"),
        _ if character == quote => write!(text, "\\{quote}"),
        ' '..='~' => write!(text, "{character}"),
        '\0'..='\u{7f}' => write!(text, "\\x{code:02x}"),
        _ if !ascii && is_printable(character) => write!(text, "{character}"),
        '\u{80}'..='\u{ffff}' => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
    debug_assert!(written.is_ok(), "writing into a String cannot fail");
}

/// Whether a string may stand between backquotes unchanged.
pub(super) fn fits_backquotes(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars()
            .all(|character| !matches!(character, '`' | '\u{7f}' | '\u{feff}' | '\0'..='\u{8}' | '\n'..='\u{1f}'))
    })
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(super) fn is_printable(character: char) -> bool {
    static PRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$").ok());
    match character {
        ' '..='~' => true,
        '\0'..='\u{9f}' => false,
        _ => PRINTABLE.as_ref().is_some_and(|class| class.is_match(character.encode_utf8(&mut [0; 4]))),
    }
}
