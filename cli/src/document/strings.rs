//! Strings of a file that is no manifest, replaced in place.

use granit_parser::ScalarStyle;

use super::edit::{self, Splice};
use super::error::DocumentError;
use super::scalar::{self, Quote};
use super::tree::{self, Content, Node};

/// More than any file of settings has.
const MAX_NODES: usize = 1 << 16;

/// Replaces every string for which `change` gives another; every other byte stays. Keys of maps are left alone, and so
/// are aliases: they follow the string that they name. `None` if nothing changed.
///
/// # Errors
/// The file does not parse, or such a string is written as a block (`|`, `>`) or with an explicit type.
pub(crate) fn replace_strings(
    text: &str,
    change: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, DocumentError> {
    let mut splices = Vec::new();
    let roots = tree::parse(text, MAX_NODES)?;
    let mut nodes: Vec<&Node> = roots.iter().collect();
    while let Some(node) = nodes.pop() {
        match &node.content {
            Content::Map { pairs, .. } => nodes.extend(pairs.iter().map(|pair| &pair.value)),
            Content::List { items } => nodes.extend(items),
            Content::Alias => {}
            Content::Scalar { value, style } => {
                let Some(new) = change(value) else { continue };
                let quote = match style {
                    ScalarStyle::Plain => Quote::Plain,
                    ScalarStyle::SingleQuoted => Quote::Single,
                    ScalarStyle::DoubleQuoted => Quote::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        return Err(node.unsupported("this string is written as a block"));
                    }
                };
                if node.tag == tree::Tag::Other {
                    return Err(node.unsupported("this has an explicit type (!tag)"));
                }
                splices.push(Splice { range: node.span.clone(), text: scalar::written(&new, quote) });
            }
        }
    }
    if splices.is_empty() { Ok(None) } else { edit::apply(text, splices).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::replace_strings;

    fn replaced(text: &str) -> Option<String> {
        replace_strings(text, |found| (found == "age1old").then(|| "age1new".to_owned())).unwrap()
    }

    #[test]
    fn only_the_string_changes_in_its_own_style() {
        let text = "# age1old\nversion: 1\r\nrules:\n- path: 'a' # age1old\n  recipients:\n  - age1old   # ours\n  - \"age1old\"\n  \
                    - 'age1old'\n  - age1older\n- {path: b, recipients: [age1old, age1x]}\n";
        let new = replaced(text).unwrap();
        let expected = text
            .replace("- age1old ", "- age1new ")
            .replace("\"age1old\"", "\"age1new\"")
            .replace("'age1old'", "'age1new'")
            .replace("[age1old,", "[age1new,");
        assert_eq!(new, expected);
    }

    #[test]
    fn a_shared_string_changes_where_it_is_written() {
        let text = "a: [&prod age1old]\nb: [*prod]\n";
        assert_eq!(replaced(text).unwrap(), "a: [&prod age1new]\nb: [*prod]\n");
    }

    #[test]
    fn nothing_to_change_is_no_change_and_a_block_is_refused() {
        assert_eq!(replaced("a: [age1other]\nage1old: b\n"), None);
        let block = replace_strings("a: |-\n  age1old\n", |_| Some("x".to_owned())).unwrap_err();
        assert!(block.to_string().contains("line 2"), "{block}");
    }
}
