//! Files of random style, edited at random: an independent YAML reader sees the entries that were asked for, and every
//! byte outside the edited entry is where it was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// One entry as it stands in a file, whole lines.
#[derive(Clone, Debug)]
struct Line {
    key: &'static str,
    style: u8,
    above: u8,
    comment: bool,
}

/// A file and how it is laid out.
#[derive(Clone, Debug)]
struct Layout {
    lines: Vec<Line>,
    indent: usize,
    crlf: bool,
    mark: bool,
    flow: u8,
    tail: u8,
    last_break: bool,
}

const KEYS: [&str; 8] = ["password", ".dockerconfigjson", "tls.crt", "a b", "1", "é", "yes", "k_8"];

/// With at least so many entries.
fn layout(least: usize) -> impl Strategy<Value = Layout> {
    let line = (0u8..8, 0u8..4, any::<bool>());
    let lines = proptest::sample::subsequence(KEYS.to_vec(), least..=6).prop_shuffle().prop_flat_map(move |keys| {
        let count = keys.len();
        (Just(keys), proptest::collection::vec(line.clone(), count))
    });
    (lines, 1usize..5, any::<bool>(), any::<bool>(), 0u8..6, 0u8..4, any::<bool>()).prop_map(
        |((keys, shapes), indent, crlf, mark, flow, tail, last_break)| {
            let shape = |(key, (style, above, comment))| Line { key, style, above, comment };
            let lines = keys.into_iter().zip(shapes).map(shape).collect();
            Layout { lines, indent, crlf, mark, flow, tail, last_break }
        },
    )
}

impl Layout {
    fn is_flow(&self) -> bool {
        self.flow < 3
    }

    fn finish(&self, mut text: String) -> String {
        if !self.last_break && !self.lines.is_empty() && self.tail == 0 {
            text.truncate(text.trim_end_matches('\n').len());
        }
        if self.mark {
            text.insert(0, '\u{feff}');
        }
        if self.crlf { text.replace('\n', "\r\n") } else { text }
    }

    /// The file as one segment before the entries, one an entry, and one after them.
    fn segments(&self) -> Vec<String> {
        let step = " ".repeat(self.indent);
        let mut head = format!(
            "# file\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret # k\nmetadata:\n{step}name: x\nspec:\n{step}encryptedData:"
        );
        let mut segments = vec![];
        if self.is_flow() {
            head.push_str(if self.flow == 0 { " {" } else { " { " });
            let entries: Vec<_> = self
                .lines
                .iter()
                .map(|line| {
                    format!(
                        "{}: {}",
                        scalar::written(line.key, scalar::Quote::Plain),
                        ["AgB", "'AgB'", "\"AgB\""][usize::from(line.style % 3)]
                    )
                })
                .collect();
            let body = entries.join(if self.flow == 2 { ",\n          " } else { ", " });
            segments.push(format!("{head}{body}}}"));
        } else {
            if self.lines.is_empty() {
                head.push_str(if self.flow == 3 { " {}" } else { "" });
            }
            segments.push(head + if self.tail % 2 == 1 { " # c\n" } else { "\n" });
            for line in &self.lines {
                segments.push(line.block(&step.repeat(2)));
            }
        }
        segments.push(match self.tail {
            0 => "\n".repeat(usize::from(self.is_flow())),
            1 => format!("{}{step}template:\n{step}{step}type: Opaque\n", "\n".repeat(usize::from(self.is_flow()))),
            2 => "\n# end\n...\n---\nkind: Other\napiVersion: v1\n".to_owned(),
            _ => format!("{}{step}# note\n\nstatus: {{}}\n", "\n".repeat(usize::from(self.is_flow()))),
        });
        segments
    }
}

impl Line {
    fn block(&self, indent: &str) -> String {
        let key = scalar::written(self.key, scalar::Quote::Plain);
        let above = match self.above {
            1 => format!("{indent}# about it\n"),
            2 => "\n".to_owned(),
            3 => format!("\n{indent}# about it\n{indent}# and more\n"),
            _ => String::new(),
        };
        let comment = if self.comment { " # c" } else { "" };
        let value = match self.style {
            0 => format!("AgBplain{comment}"),
            1 => format!("'AgB''single'{comment}"),
            2 => format!("\"AgB\\\"double\"{comment}"),
            3 => format!("|{comment}\n{indent} AgB\n{indent} # no comment"),
            4 => format!(">-{comment}\n{indent}   AgB\n{indent}   folded"),
            5 => format!("AgB\n{indent}  over\n\n{indent}   lines{comment}"),
            6 => comment.to_owned(),
            _ => format!("!!str AgB{comment}"),
        };
        let gap = if value.starts_with(' ') || value.is_empty() { "" } else { " " };
        format!("{above}{indent}{key}:{gap}{value}\n")
    }
}

/// What another reader finds under `spec.encryptedData` of the first document.
fn read(text: &str) -> BTreeMap<String, Value> {
    let text = text.split("\n...").next().unwrap_or_default();
    let object: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let data = object["spec"]["encryptedData"].as_object().cloned().unwrap_or_default();
    data.into_iter().collect()
}

/// The same of a file that may be anything; `None` unless it is one SealedSecret in a form all readers agree on.
fn whole(text: &str) -> Option<BTreeMap<String, Value>> {
    let object: Value = serde_saphyr::from_str(text).ok()?;
    let (kind, data) = (object.get("kind")?, &object["spec"]["encryptedData"]);
    let data = if data.is_null() { Default::default() } else { data.as_object()?.clone() };
    (kind == "SealedSecret").then(|| data.into_iter().collect())
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

fn common_suffix(a: &str, b: &str) -> usize {
    a.bytes().rev().zip(b.bytes().rev()).take_while(|(a, b)| a == b).count()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn setting_an_entry_changes_that_entry_only(layout in layout(1), pick in any::<prop::sample::Index>(), value in "[A-Za-z0-9+/]{0,90}={0,2}|[ -~]{1,20}|\\PC{1,10}") {
        let segments = layout.segments();
        let before = layout.finish(segments.concat());
        let index = pick.index(layout.lines.len());
        let key = layout.lines[index].key;
        let mut expected = read(&before);
        let mut document = Document::parse(before.clone()).unwrap();
        document.set(0, key, &value).unwrap();
        let after = document.text();
        expected.insert(key.to_owned(), Value::String(value));
        prop_assert_eq!(read(after), expected, "{}\n{}", before, after);
        if !layout.is_flow() {
            let plain = |text: String| if layout.crlf { text.replace('\n', "\r\n") } else { text };
            let head = plain(segments[..=index].concat());
            let tail = plain(segments[index + 2..].concat());
            let after = after.trim_start_matches('\u{feff}');
            prop_assert!(after.starts_with(&head), "{}\n{}", before, after);
            prop_assert!(after.ends_with(&tail) || !layout.last_break, "{}\n{}", before, after);
        }
    }

    #[test]
    fn adding_an_entry_adds_bytes_and_changes_none(layout in layout(0), value in "[A-Za-z0-9+/]{1,90}={0,2}") {
        let before = layout.finish(layout.segments().concat());
        let mut expected = read(&before);
        let mut document = Document::parse(before.clone()).unwrap();
        document.set(0, "new", &value).unwrap();
        let after = document.text();
        expected.insert("new".to_owned(), Value::String(value));
        prop_assert_eq!(read(after), expected, "{}\n{}", before, after);
        if !layout.lines.is_empty() {
            let kept = common_prefix(&before, after) + common_suffix(&before, after);
            prop_assert!(kept >= before.len(), "{}\n{}", before, after);
        }
    }

    #[test]
    fn removing_an_entry_removes_bytes_and_changes_none(layout in layout(1), pick in any::<prop::sample::Index>()) {
        let before = layout.finish(layout.segments().concat());
        let key = layout.lines[pick.index(layout.lines.len())].key;
        let mut expected = read(&before);
        let mut document = Document::parse(before.clone()).unwrap();
        document.unset(0, key).unwrap();
        let after = document.text();
        expected.remove(key);
        prop_assert_eq!(read(after), expected, "{}\n{}", before, after);
        if layout.lines.len() > 1 {
            let kept = common_prefix(&before, after) + common_suffix(&before, after);
            prop_assert!(kept >= after.len(), "{}\n{}", before, after);
        }
    }

    #[test]
    fn any_text_is_an_answer_and_never_a_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n", "spec:\n", "  encryptedData:", "\n", "\r\n", "    a: b\n",
        "    a: |\n", "      x\n", " ", "{", "}", ",", "a: ", "\"a\"", ":", "'", "\"", "|+", ">", "- ", "? ", "# c", "&x ", "*x",
        "<<: ", "!!str ", "---\n", "...\n", "é", "\t", "\u{feff}", "\r", "kind: List\nitems:\n", "{\"apiVersion\":\"bitnami.com/v1alpha1\",\"kind\":\"SealedSecret\",\"spec\":{\"encryptedData\":{",
        "}}}", "a", "\u{2028}", "# c\ré", "%YAML 1.2\n",
    ]), 0..24)) {
        let head = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec:\n  encryptedData:";
        let text = pieces.concat();
        for text in [format!("{head}{text}"), format!("{head}\n    k: v\n{text}"), format!("{head}\n    a: {text}"), text] {
            let Ok(document) = Document::parse(text.clone()) else { continue };
            for manifest in 0..document.manifests().len() {
                for key in ["a", "k", "new"] {
                    let mut document = Document::parse(text.clone()).unwrap();
                    let before = whole(&text);
                    if document.set(manifest, key, "AgB").is_err() {
                        prop_assert_eq!(document.text(), &text);
                        continue;
                    }
                    if let Some(mut expected) = before && manifest == 0 {
                        expected.insert(key.to_owned(), Value::String("AgB".to_owned()));
                        prop_assert_eq!(whole(document.text()), Some(expected), "{:?}\n{:?}", text, document.text());
                    }
                    document.unset(manifest, key).ok();
                    document.unset(manifest, "k").ok();
                }
            }
        }
    }
}
