//! The documents of a manifest, each by itself: one that does not parse does not hide the others.

use serde_json::Value;

/// A document: the line where it begins, from 1, and what stands in it; or the line of the error and what is wrong,
/// without any text of the document.
pub(super) type Document = Result<(usize, Value), (usize, String)>;

/// What a document must mention to be read at all.
const OURS: [&str; 3] = ["SealedSecret", "external-secrets.io", "bulla.dev/"];

/// Whether the text may hold something of ours.
pub(super) fn is_ours(text: &str) -> bool {
    OURS.iter().any(|word| text.contains(word))
}

/// Whether the text may hold a Host document.
pub(super) fn may_be_host(text: &str) -> bool {
    text.contains("bulla.dev/") && text.contains("Host")
}

/// Whether the text may hold a ConfigMap.
pub(super) fn may_be_config_map(text: &str) -> bool {
    text.contains("ConfigMap")
}

/// The documents that `wanted` takes by their text, with that text.
pub(super) fn read(is_json: bool, text: &str, wanted: fn(&str) -> bool) -> Vec<(&str, Document)> {
    if is_json {
        let read = serde_json::from_str(text).map(|value| (1, value));
        return vec![(text, read.map_err(|error| (error.line(), without_place(&error.to_string()))))];
    }
    let parts = split(text).into_iter().filter(|(_, part)| wanted(part));
    parts.map(|(line, part)| (part, yaml(line, part))).collect()
}

fn yaml(line: usize, text: &str) -> Document {
    let before = text.lines().take_while(|line| is_nothing(line)).count();
    serde_saphyr::from_str::<Value>(text).map(|value| (line + before, value)).map_err(|error| {
        let at = error.location().and_then(|at| usize::try_from(at.line()).ok()).unwrap_or(1);
        (line + at.saturating_sub(1), without_place(&error.without_snippet().to_string()))
    })
}

/// What is wrong; where is said beside it, and for the whole file.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
}

/// The documents with the line at which each begins. A line that begins with `---` divides documents wherever it stands,
/// also in what would otherwise be a text of several lines: YAML forbids it there.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut begin, mut first) = (0, 1);
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let after = line.strip_prefix("---");
        let is_mark = after.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if is_mark && offset > begin {
            parts.push((first, &text[begin..offset]));
            (begin, first) = (offset, index + 1);
        }
        offset += line.len();
    }
    parts.push((first, &text[begin..]));
    parts.retain(|(_, part)| part.lines().any(|line| !is_nothing(line)));
    parts
}

/// Whether a line holds no part of a document: empty, a comment, a directive, a mark.
fn is_nothing(line: &str) -> bool {
    let line = line.trim();
    let line = line.strip_prefix("---").map_or(line, str::trim_start);
    line.is_empty() || line.starts_with(['#', '%']) || line == "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Result<usize, usize>> {
        let all = read(false, text, |_| true);
        all.into_iter().map(|(_, read)| read.map(|(line, _)| line).map_err(|(line, _)| line)).collect()
    }

    #[test]
    fn a_document_that_does_not_parse_does_not_hide_the_others() {
        assert!(matches!(lines("a: 1\n---\nb: [\n---\nc: 3\n")[..], [Ok(1), Err(3..=4), Ok(5)]));
        assert_eq!(lines("# nothing\n---\n\n--- # x\na: 1\n"), [Ok(5)]);
        assert_eq!(lines("a: |\n  x\n  ---\n  y\n"), [Ok(1)]);
        assert_eq!(lines("--- {a: 1}\n--- [b]\n"), [Ok(1), Ok(2)]);
        assert_eq!(lines("%YAML 1.2\n---\na: 1\n...\n"), [Ok(3)]);
    }

    #[test]
    fn an_error_says_where_and_quotes_nothing() {
        let all = read(false, "a: 1\nb: hunter2\nb: hunter3\n", |_| true);
        let Some((_, Err((line, said)))) = all.into_iter().next() else { panic!("accepted") };
        assert_eq!(line, 3);
        assert!(!said.contains("hunter"), "{said}");
        let json = read(true, "{\"a\": hunter2}", |_| true);
        assert!(matches!(&json[0].1, Err((1, said)) if !said.contains("hunter")));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let last = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![last; 10].join(",")));
        }
        assert!(matches!(lines(&bomb)[..], [Err(_)]));
        let deep = format!("a: {}1{}\n", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(lines(&deep)[..], [Err(_)]));
    }
}
