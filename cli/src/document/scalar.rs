//! Scalars: when plain text is a string to every YAML reader, and how to quote what is not.
//!
//! Kubernetes tools read YAML 1.1 (`yes` is a boolean), others YAML 1.2: what either would read as something other
//! than a string is quoted.

use std::fmt::Write as _;

/// How to write a scalar, if its text allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    /// Without quotes where that is safe, else in double quotes.
    Plain,
    /// In single quotes where that is possible, else in double quotes.
    Single,
    /// In double quotes, as JSON has them.
    Double,
}

/// Appends `text` as a scalar that fits into block and flow collections alike, as key and as value.
pub(super) fn write(out: &mut String, text: &str, quote: Quote) {
    match quote {
        Quote::Plain if is_plain(text) => out.push_str(text),
        Quote::Single if !text.chars().any(is_special) => {
            out.push('\'');
            out.push_str(&text.replace('\'', "''"));
            out.push('\'');
        }
        Quote::Plain | Quote::Single | Quote::Double => write_double(out, text),
    }
}

/// [`write()`] into a new string.
pub(super) fn written(text: &str, quote: Quote) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write(&mut out, text, quote);
    out
}

/// Is `text` without quotes a string to every reader? Errs on the side of no.
pub(super) fn is_plain(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '.' | '_' | '/'));
    let is_tame = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/+=".contains(&byte);
    starts_well && !text.starts_with("...") && text.bytes().all(is_tame) && !is_typed(text)
}

/// Does plain `text` mean null, a boolean or a number to some reader?
pub(crate) fn is_typed(text: &str) -> bool {
    const WORDS: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", ""];
    text.len() <= 5 && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) || is_number(text)
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if matches!(lower.as_str(), ".inf" | ".nan") {
        return true;
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return false;
    }
    let digits = |rest: &str, radix: u32| !rest.is_empty() && rest.chars().all(|c| c == '_' || c.is_digit(radix));
    if let Some(rest) = lower.strip_prefix("0x") {
        return digits(rest, 16);
    }
    if let Some(rest) = lower.strip_prefix("0o") {
        return digits(rest, 8);
    }
    if let Some(rest) = lower.strip_prefix("0b") {
        return digits(rest, 2);
    }
    lower.replace('_', "").parse::<f64>().is_ok()
}

/// Not to be written as it is: control characters, line breaks of any kind, byte order marks.
fn is_special(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn write_double(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Four digits are enough: the special characters are all in the first plane. JSON reads them as well.
            c if is_special(c) => write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_reader_takes_for_a_string_is_plain() {
        for text in
            ["AgB+/x=", "YWdlLWVuY3J5cHRpb24", ".dockerconfigjson", "tls.crt", "_x", "Opaque", "app.kubernetes.io/name"]
        {
            assert!(is_plain(text), "{text}");
        }
        for text in [
            "",
            "~",
            "null",
            "Null",
            "yes",
            "NO",
            "on",
            "y",
            "true",
            "False",
            "1",
            "1e5",
            "0x1F",
            ".5",
            ".inf",
            ".NaN",
            "-x",
            "+x",
            "=",
            "a b",
            "a:",
            "a: b",
            "#a",
            "a #b",
            "{a",
            "[a",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "\"a",
            "'a",
            "|",
            ">",
            "?",
            "a\nb",
            "é",
            "2026-11-21",
            "---",
            "...",
            "...a b",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn numbers_are_told_from_base64() {
        for text in ["12345678", "1_000", "-1.5e10", "0b11", "0o17", "+.inf", "1e5"] {
            assert!(is_typed(text), "{text}");
        }
        for text in ["12345678a", "AgB", "0xZZ", "1e5=", ".dockercfg", "e5", "inf", "nan"] {
            assert!(!is_typed(text), "{text}");
        }
    }

    #[test]
    fn quoting_reads_back_as_the_same_text() {
        for text in [
            "",
            "a",
            "yes",
            "it's",
            "say \"x\"",
            "a\\b",
            "a\nb\r\n\tc",
            "\u{0}\u{7f}\u{85}\u{2028}\u{feff}",
            "é 🔑",
            " x ",
            "{{ .a }}: #",
        ] {
            for quote in [Quote::Plain, Quote::Single, Quote::Double] {
                let yaml = format!("k: {}\n", written(text, quote));
                let map: std::collections::BTreeMap<String, String> = serde_saphyr::from_str(&yaml).unwrap();
                assert_eq!(map["k"], text, "{yaml:?}");
            }
            let json: String = serde_json::from_str(&written(text, Quote::Double)).unwrap();
            assert_eq!(json, text);
        }
    }
}
