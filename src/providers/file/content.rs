//! From YAML text to a tree.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Options, Spanned};
use zeroize::Zeroizing;

use super::tree::{Entries, Node, Tree};

/// All text in the file, with what its aliases repeat, in bytes.
const MAX_TEXT: usize = 2 * super::MAX_FILE;
/// Values that aliases may repeat.
const MAX_REPEATED: usize = 100_000;

/// Levels of lists and maps. The library goes down by recursion, with large frames: 64 levels, its own limit, are too
/// many for a thread of 2 MiB in a debug build.
const MAX_DEPTH: usize = 16;

/// Why the content could not be read. It says where, never what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ContentError {
    #[error("is not UTF-8 text")]
    Encoding,
    #[error("is not YAML that can be read, at line {line}: {fault}")]
    Yaml { line: u64, fault: &'static str },
    #[error("is not a map of keys to values")]
    Shape,
}

/// Reads the content of the file: one YAML document that is a map, or nothing at all.
pub(super) fn parse(content: &[u8]) -> Result<Tree, ContentError> {
    let source = std::str::from_utf8(content).map_err(|_| ContentError::Encoding)?;
    let read: Located = serde_saphyr::from_str_with_options(source, options()).map_err(|error| explain(&error))?;
    match read.resolve(source) {
        Node::Map(entries) => Ok(Tree(entries)),
        Node::Null => Ok(Tree(Entries::new())),
        Node::Text(_) | Node::Plain(_) | Node::List(_) => Err(ContentError::Shape),
    }
}

/// YAML 1.2: `no` is a string. Errors carry no piece of the text.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 2,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH + 1,
            max_total_scalar_bytes: MAX_TEXT,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPEATED,
            max_replay_stack_depth: MAX_DEPTH,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        emit_comments: false,
        with_snippet: false,
    }
}

fn explain(error: &serde_saphyr::Error) -> ContentError {
    use serde_saphyr::Error;
    let line = error.location().map_or(0, |location| location.line());
    let mut error = error;
    while let Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    let fault = if matches!(error, Error::DuplicateMappingKey { .. }) {
        "a key is there twice"
    } else if matches!(error, Error::MultipleDocuments { .. }) {
        "it is more than one document"
    } else if matches!(
        error,
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. }
    ) {
        "it is too large or too deep, or its aliases repeat too much"
    } else {
        "it does not follow the format"
    };
    ContentError::Yaml { line, fault }
}

/// A value and where it stands: only there is a number as it was written.
struct Located(Spanned<Read>);

/// A value as the library gives it.
enum Read {
    Text(Zeroizing<String>),
    Number(Zeroizing<String>),
    Bool(bool),
    Null,
    List(Vec<Located>),
    Map(BTreeMap<String, Located>),
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl Located {
    fn resolve(self, source: &str) -> Node {
        let Self(Spanned { value, defined, .. }) = self;
        match value {
            Read::Text(text) => Node::Text(text),
            Read::Number(number) => {
                let written = written(source, defined.span()).map(|text| Zeroizing::new(text.to_owned()));
                Node::Plain(written.unwrap_or(number))
            }
            Read::Bool(truth) => Node::Plain(Zeroizing::new(truth.to_string())),
            Read::Null => Node::Null,
            Read::List(items) => Node::List(items.into_iter().map(|item| item.resolve(source)).collect()),
            Read::Map(entries) => {
                Node::Map(entries.into_iter().map(|(key, value)| (key, value.resolve(source))).collect())
            }
        }
    }
}

/// The text at a place of the source.
fn written(source: &str, span: serde_saphyr::Span) -> Option<&str> {
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    // A number in another place than it seems would be a wrong secret.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b':');
    (!text.is_empty() && text.bytes().all(is_plain)).then_some(text)
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

/// Numbers of all sorts, in the library's words.
macro_rules! numbers {
    ($($visit:ident: $number:ty),*) => {$(
        fn $visit<E>(self, number: $number) -> Result<Read, E> {
            Ok(Read::Number(Zeroizing::new(number.to_string())))
        }
    )*};
}

impl<'de> Visitor<'de> for Reader {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    numbers!(visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64);

    fn visit_bool<E>(self, truth: bool) -> Result<Read, E> {
        Ok(Read::Bool(truth))
    }

    fn visit_str<E>(self, text: &str) -> Result<Read, E> {
        Ok(Read::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Read, E> {
        Ok(Read::Text(Zeroizing::new(text)))
    }

    fn visit_unit<E>(self) -> Result<Read, E> {
        Ok(Read::Null)
    }

    fn visit_none<E>(self) -> Result<Read, E> {
        Ok(Read::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read, D::Error> {
        Read::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Read, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Read::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Read, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<String, Located>()? {
            map.insert(key, value);
        }
        Ok(Read::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(yaml: &str, key: &str) -> String {
        let tree = parse(yaml.as_bytes()).unwrap();
        String::from_utf8(tree.get(key).unwrap_or_else(|| panic!("no {key}")).expose().to_vec()).unwrap()
    }

    fn fault(yaml: &str) -> ContentError {
        parse(yaml.as_bytes()).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_scalar_is_what_was_written() {
        for written in [
            "7",
            "-7",
            "007",
            "0x1F",
            "0o17",
            "1_000",
            "1.50",
            "1e5",
            ".5",
            "+3",
            "123456789012345678901234567890",
            "18446744073709551616",
            "3.14159265358979323846264338327950288",
            "true",
            "false",
            "no",
            "yes",
            "on",
            "Off",
            "2026-11-21",
            "12:30:45",
            "1.2.3",
            ".inf",
            "text",
            "a b",
            "=",
            "0",
        ] {
            let yaml = format!("# ümlaut\nä: ü\nkey: {written}   # comment\nother: &a {written}\nalias: *a\n");
            for key in ["key", "other", "alias"] {
                assert_eq!(value(&yaml, key), written, "{key}");
            }
            assert_eq!(value(&format!("key:\r\n  {written}\r\n"), "key"), written);
            assert_eq!(value(&format!("map: {{key: {written}, b: [{written}]}}"), "map/key"), written);
        }
        assert_eq!(value("key: \"007\"", "key"), "007");
        assert_eq!(value("key: |\n  a\n  b\n", "key"), "a\nb\n");
        assert_eq!(value("key:", "key"), "");
        assert_eq!(value("key: ~", "key"), "");
        assert_eq!(value("12: a\ntrue: b\n", "12"), "a");
    }

    #[test]
    fn what_is_no_scalar_is_json() {
        let yaml =
            "b:\n  y: 1.50\n  x: [true, null, 007, 0x1F, 'a\"b', 12345678901234567890123]\nl: [1, {a: b}]\ne: {}";
        let json = r#"{"x":[true,null,"007","0x1F","a\"b",12345678901234567890123],"y":1.50}"#;
        assert_eq!(value(yaml, "b"), json);
        assert_eq!(value(yaml, "l"), r#"[1,{"a":"b"}]"#);
        assert_eq!(value(yaml, "e"), "{}");
        assert_eq!(value(yaml, "b/y"), "1.50");
    }

    #[test]
    fn an_exact_key_comes_before_a_path() {
        let yaml = "a:\n  b: {c: nested}\n  b/c: halfway\na/b/d: exact\na/b: {e: flat}\n";
        assert_eq!(value(yaml, "a/b/c"), "halfway");
        assert_eq!(value(yaml, "a/b/d"), "exact");
        assert_eq!(value(yaml, "a/b/e"), "flat");
        assert_eq!(value(yaml, "a/b"), r#"{"e":"flat"}"#);
        let tree = parse(yaml.as_bytes()).unwrap();
        for missing in ["", "a/", "/a", "a/x", "a/b/c/d", "b"] {
            assert!(tree.get(missing).is_none(), "{missing}");
        }
    }

    #[test]
    fn find_gives_the_outermost_match_below_the_path() {
        let tree = parse(b"db: {user: u, pass: p}\nkey: k\nprod/a: 1\nprod: {a: hidden, b: 2, c: {d: 3}}\n").unwrap();
        let names =
            |path, wanted: &str| -> Vec<String> { tree.find(path, |name| name.contains(wanted)).into_keys().collect() };
        assert_eq!(names(None, ""), ["db", "key", "prod", "prod/a"]);
        assert_eq!(names(None, "user"), ["db/user"]);
        assert_eq!(names(None, "/"), ["db/pass", "db/user", "prod/a", "prod/b", "prod/c"]);
        assert_eq!(names(Some("prod"), ""), ["prod/a", "prod/b", "prod/c"]);
        assert_eq!(names(Some("/prod/"), "d/"), ["prod/a", "prod/b", "prod/c"]);
        assert_eq!(names(Some("prod/c"), ""), ["prod/c/d"]);
        assert_eq!(names(Some("pro"), ""), Vec::<String>::new());
        assert_eq!(names(Some("/"), "key"), ["key"]);
        assert!(tree.find(Some("prod"), |name| name == "prod/a")["prod/a"].same_as(b"1"));
    }

    #[test]
    fn an_error_says_where_and_never_what() {
        let canary = "canary-7f3a";
        for (yaml, line, what) in [
            (format!("a: b\nb: [{canary}\nc: d\n"), 2..=4, "does not follow"),
            (format!("a: b\n{canary}: c\n{canary}: d\n"), 3..=3, "twice"),
            (format!("a: b\nb: *{canary}\n"), 2..=2, "does not follow"),
            (format!("a: b\n---\nb: {canary}\n"), 0..=3, "more than one"),
            (format!("a: \"{canary}\n"), 1..=3, "does not follow"),
            (format!("a: !!int {canary}\n"), 1..=1, "does not follow"),
            (format!("a: {}{canary}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)), 1..=1, "too deep"),
            // The parser has a word to say before its reader.
            (format!("a: {}{canary}{}", "[".repeat(1000), "]".repeat(1000)), 1..=1, ""),
        ] {
            let error = fault(&yaml);
            let ContentError::Yaml { line: found, fault } = error else { panic!("{yaml}: {error}") };
            assert!(line.contains(&found) && fault.contains(what), "{yaml}: {error}");
            assert!(!error.to_string().contains(canary), "{error}");
        }
        let deepest = format!("a: {}x{}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1));
        assert_eq!(value(&deepest, "a").len(), (MAX_DEPTH - 1) * 2 + 3);
        assert_eq!(fault("- a"), ContentError::Shape);
        assert_eq!(fault("text"), ContentError::Shape);
        assert_eq!(parse(b"\xff").map(|_| ()).unwrap_err(), ContentError::Encoding);
        assert!(parse(b"").unwrap().find(None, |_| true).is_empty());
    }

    #[test]
    fn aliases_cannot_blow_it_up() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let above = level - 1;
            let repeated = vec![format!("*a{above}"); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{repeated}]\n"));
        }
        assert!(fault(&bomb).to_string().contains("repeat too much"), "{}", fault(&bomb));
        // Few aliases of one long text.
        let long = "x".repeat(1 << 20);
        let aliases: String = (0..90).map(|index| format!("b{index}: *a\n")).collect();
        assert!(fault(&format!("a: &a {long}\n{aliases}")).to_string().contains("repeat too much"));
    }
}
