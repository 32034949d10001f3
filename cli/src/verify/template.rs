//! Files that are no YAML before somebody renders them: as far as they can be read.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::actions::{Written, written};
use crate::leaks::{FALLBACK, FILLED, LITERAL, RANDOM_FALLBACK};

/// As [`filled`], with what actions write out by themselves: a bare text stands as it will be rendered, and after
/// [`FILLED`] a mark says what else a text in the action becomes.
pub(crate) fn filled_with_texts(text: &str) -> Zeroizing<String> {
    fill(text, |action, out| match written(action) {
        Written::Bare(bare) if bare.chars().all(is_tame) => out.push_str(bare),
        Written::Bare(bare) if !bare.chars().any(char::is_alphanumeric) => out.push(FILLED),
        Written::Bare(_) | Written::Literal => out.extend([FILLED, LITERAL]),
        Written::Fallback { is_random } => out.extend([FILLED, if is_random { RANDOM_FALLBACK } else { FALLBACK }]),
        Written::Unknown => out.push(FILLED),
    })
}

/// Whether YAML reads a letter as itself wherever it stands.
const fn is_tame(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '/' | '+' | '=' | '$' | '^' | '~' | ';')
}

/// The text with its template actions filled in, so that the rest can be read where it stands: an action that has its
/// lines to itself leaves them empty, any other one becomes [`FILLED`]. Lines keep their numbers.
pub(crate) fn filled(text: &str) -> Zeroizing<String> {
    fill(text, |_, out| out.push(FILLED))
}

fn fill(text: &str, put: impl Fn(&str, &mut String)) -> Zeroizing<String> {
    // No action becomes longer: buffers that grow leave copies behind.
    let mut out = Zeroizing::new(String::with_capacity(text.len() + 16));
    let mut rest = text;
    // Whether nothing but white space is before it on the line.
    let mut is_first = true;
    while let Some(start) = rest.find("{{") {
        let Some(length) = action(&rest[start..]) else { break };
        let (before, action, after) = (&rest[..start], &rest[start..start + length], &rest[start + length..]);
        out.push_str(before);
        let line = before.rsplit_once('\n').map_or(before, |(_, line)| line);
        is_first = line.trim().is_empty() && (is_first || line.len() < before.len());
        let is_last = || {
            let line = after.split('\n').next().unwrap_or_default().trim();
            line.is_empty() || line.starts_with('#')
        };
        let breaks = action.bytes().filter(|byte| *byte == b'\n').count();
        out.extend(std::iter::repeat_n('\n', breaks));
        if !(is_first && is_last()) {
            put(action, &mut out);
            is_first = false;
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The length of the action that the text begins with: to the braces that end it, past those in quotes.
fn action(text: &str) -> Option<usize> {
    if text.starts_with("{{/*") || text.starts_with("{{- /*") {
        let end = text.find("*/")?;
        return text[end..].find("}}").map(|braces| end + braces + 2);
    }
    let mut quote = None;
    let mut letters = text.char_indices().skip(2);
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None, '"' | '`') => quote = Some(letter),
            (Some('"'), '\\') => drop(letters.next()),
            (Some(mark), _) if mark == letter => quote = None,
            // Only raw strings go over lines; a quote that is left open is none.
            (Some('"'), '\n') => quote = None,
            (None, '}') if text[at..].starts_with("}}") => return Some(at + 2),
            (None | Some(_), _) => {}
        }
    }
    None
}

/// The documents of a text, each with the number of lines before it.
pub(super) fn apart(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut parts: Vec<(usize, usize, usize)> = Vec::new();
    let (mut start, mut first, mut at) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_border = line.trim_end() == "---" || line.starts_with("--- ");
        if is_border {
            parts.push((first, start, at));
            (start, first) = (at, number);
        }
        at += line.len();
    }
    parts.push((first, start, at));
    let parts = parts.into_iter().map(|(first, start, end)| (first, &text[start..end]));
    parts.filter(|(_, part)| !part.trim().is_empty())
}

/// Whether the reason why a document cannot be read may be that it is a template: `{{` stands outside quotes and
/// comments, or what it encloses ends the quotes that it stands in.
pub(super) fn is_one(text: &str) -> bool {
    text.contains("{{") && text.lines().any(is_one_in)
}

fn is_one_in(line: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        let opens = matches!(before, ' ' | '\t' | '[' | '{' | ',' | ':' | '(');
        match (quote, letter) {
            (None, '#') if matches!(before, ' ' | '\t') => return false,
            (None, '"' | '\'') if opens => quote = Some(letter),
            (Some(mark), _) if mark == letter && !(mark == '"' && before == '\\') => quote = None,
            (_, '{') => {
                if let Some(rest) = line[at..].strip_prefix("{{") {
                    let inside = rest.split("}}").next().unwrap_or(rest);
                    if quote.is_none_or(|mark| inside.contains(mark)) {
                        return true;
                    }
                }
            }
            (None | Some(_), _) => {}
        }
        before = letter;
    }
    false
}

/// A text for messages: what a template puts in is not known.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(FILLED) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace([LITERAL, FALLBACK, RANDOM_FALLBACK], "").replace(FILLED, "{{...}}"))
}

/// The text, unless a template has a say in it.
pub(super) fn known(text: &str) -> Option<&str> {
    (!text.contains(FILLED)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{apart, filled, filled_with_texts, is_one, shown};

    #[test]
    fn braces_in_quotes_and_comments_make_no_template() {
        for text in
            ["{{- if .a }}", "a: {{ .b }}", "a: 'b'{{ .c }}", "it's: {{ .a }}", r#"a: "{{ .b | default "c" }}""#]
        {
            assert!(is_one(text), "{text}");
        }
        for text in ["a: '{{ .b }}'", r#"a: "{{ .b }}""#, "# {{ .a }}", "a: b # {{ .c }}", "a: {b: {c: d}}"] {
            assert!(!is_one(text), "{text}");
        }
    }

    #[test]
    fn documents_keep_their_lines() {
        let parts: Vec<(usize, &str)> = apart("a: 1\n---\nb: |\n  ---\n--- # c\nd: 2").collect();
        assert_eq!(parts, [(0, "a: 1\n"), (1, "---\nb: |\n  ---\n"), (4, "--- # c\nd: 2")]);
    }

    #[test]
    fn what_actions_write_out_by_themselves_is_marked() {
        for (text, expected) in [
            ("kind: {{ \"Secret\" }}\n", "kind: Secret\n"),
            ("a: '{{ `Zq8f` }}'\n", "a: 'Zq8f'\n"),
            ("a: {{ \"\" }}b\n", "a: b\n"),
            ("a: \"{{ \"it's: so\" }}\"\n", "a: \"\u{e000}\u{e001}\"\n"),
            ("a: {{ \"{{\" }}\n", "a: \u{e000}\n"),
            ("a: {{ \"b\" | b64enc }}\n", "a: \u{e000}\u{e001}\n"),
            ("a: {{ .b | default \"c\" }}\n", "a: \u{e000}\u{e002}\n"),
        ] {
            assert_eq!(filled_with_texts(text).as_str(), expected, "{text}");
            assert!(!shown(&filled_with_texts(text)).contains(['\u{e001}', '\u{e002}']));
        }
    }

    #[test]
    fn actions_are_filled_and_lines_keep_their_numbers() {
        for (text, expected) in [
            ("{{- if .a }}\na: b\n{{- end }}\n", "\na: b\n\n"),
            ("a: {{ .b }}\n", "a: \u{e000}\n"),
            ("a: \"{{ .b | default \"}}\" }}x\"\n", "a: \"\u{e000}x\"\n"),
            ("a: {{ `}}` }}{{ \"\\\"}}\" }}\n", "a: \u{e000}\u{e000}\n"),
            ("{{/* a \" b\n }} */}}\nc: d\n", "\n\nc: d\n"),
            ("  {{ include \"x\"\n . }} # why\na: b\n", "  \n # why\na: b\n"),
            ("a: {{\n", "a: {{\n"),
            ("- {{ .a }}: {{ .b }}\n", "- \u{e000}: \u{e000}\n"),
            ("é{{}}ü", "é\u{e000}ü"),
        ] {
            assert_eq!(filled(text).as_str(), expected, "{text}");
        }
    }
}
