//! Files that are no YAML before somebody renders them.

use zeroize::Zeroizing;

/// The documents of a text, each after as many line ends as it has lines before it: so lines keep their numbers.
pub(super) fn apart(text: &str) -> impl Iterator<Item = Zeroizing<String>> {
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
    parts.filter(|(_, part)| !part.trim().is_empty()).map(|(first, part)| {
        let mut alone = Zeroizing::new(String::with_capacity(first + part.len()));
        alone.extend(std::iter::repeat_n('\n', first));
        alone.push_str(part);
        alone
    })
}

/// Whether the reason why a document cannot be read may be that it is a template: `{{` stands outside quotes and
/// comments, or what it encloses ends the quotes that it stands in.
pub(super) fn is_one(text: &str) -> bool {
    text.lines().any(|line| {
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
    })
}

#[cfg(test)]
mod tests {
    use super::{apart, is_one};

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
        let parts: Vec<String> = apart("a: 1\n---\nb: |\n  ---\n--- # c\nd: 2").map(|part| part.to_string()).collect();
        assert_eq!(parts, ["a: 1\n", "\n---\nb: |\n  ---\n", "\n\n\n\n--- # c\nd: 2"]);
    }
}
