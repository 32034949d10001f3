//! Where the entries of a SealedSecret stand in the text, for whoever moves whole entries from one text to another.

use std::ops::Range;

use super::edit::{refuse_merge, refuse_shared};
use super::error::DocumentError;
use super::source;
use super::tree::{Content, Node, Pair};
use super::{Document, manifest};

/// The text of one `spec.encryptedData`, in pieces that follow each other without a gap: head, entries, foot.
#[derive(Debug)]
pub(crate) struct Layout {
    /// `{...}`, as in JSON, instead of lines.
    pub(crate) is_flow: bool,
    /// From behind the colon of `encryptedData` to where the entries begin: the rest of the line, or up to the brace.
    pub(crate) head: Range<usize>,
    /// In the order of the file.
    pub(crate) entries: Vec<Placed>,
    /// Behind the last entry: nothing, or white space and the closing brace.
    pub(crate) foot: Range<usize>,
}

/// One entry of it.
#[derive(Debug)]
pub(crate) struct Placed {
    /// The data key.
    pub(crate) key: String,
    /// The comment lines and empty lines above it; in a flow map the white space before it.
    pub(crate) lead: Range<usize>,
    /// Whole lines with their trailing comment, without the last line break; in a flow map without the comma.
    pub(crate) body: Range<usize>,
    /// The value alone, quotes and the sign of a block scalar included.
    pub(crate) value: Range<usize>,
    /// How many characters of white space are before its key, where it begins a line.
    pub(crate) indent: usize,
}

impl Layout {
    /// All of it.
    pub(crate) fn range(&self) -> Range<usize> {
        self.head.start..self.foot.end
    }

    /// The entry of that key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Placed> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Document {
    /// Where the entries of a SealedSecret stand.
    ///
    /// # Errors
    /// What cannot be moved without changing its meaning: anchors, aliases, merge keys, types, values that are no
    /// strings; comments and trailing commas inside of braces; an object without `encryptedData`.
    pub(crate) fn layout(&self, index: usize) -> Result<Layout, DocumentError> {
        let object = self.sealed_secret(index)?;
        let spec = object.find("spec").ok_or(DocumentError::NoSpec { line: object.line })?;
        refuse_shared(&spec.value)?;
        refuse_merge(&spec.value)?;
        let Some(data) = spec.value.find("encryptedData") else {
            return Err(spec.key.unsupported("the SealedSecret has no encryptedData"));
        };
        refuse_shared(&data.value)?;
        refuse_merge(&data.value)?;
        let colon = super::edit::colon_of(&self.text, data)?;
        match &data.value.content {
            Content::Map { is_flow: true, pairs } => flow(&self.text, colon, &data.value, pairs),
            Content::Map { is_flow: false, pairs } => block(&self.text, colon, pairs),
            Content::Scalar { .. } if data.value.is_null() => {
                let end = if data.value.span.is_empty() { colon } else { data.value.span.end };
                Ok(Layout { is_flow: false, head: colon..end, entries: Vec::new(), foot: end..end })
            }
            Content::Scalar { .. } | Content::List { .. } | Content::Alias => {
                Err(data.value.unsupported("encryptedData is not a map"))
            }
        }
    }

    /// The manifests that are SealedSecrets, with their indices.
    pub(crate) fn sealed_secrets(&self) -> impl Iterator<Item = (usize, &manifest::Manifest)> {
        self.manifests.iter().enumerate().filter(|(_, manifest)| manifest.is_sealed_secret())
    }
}

fn block(text: &str, colon: usize, pairs: &[Pair]) -> Result<Layout, DocumentError> {
    let mut at = source::next_line(text, colon);
    let head = colon..at;
    let mut entries = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let key = movable(pair)?;
        if !source::begins_line(text, pair.key.span.start) || source::after_colon(text, &pair.key).is_none() {
            return Err(pair.key.unsupported("this key does not begin its line"));
        }
        let start = source::line_start(text, pair.key.span.start);
        let end = source::pair_end(text, pair);
        let line = source::line_end(text, end);
        let rest = text.get(end..line).ok_or(DocumentError::Unsafe)?.trim_start();
        if start < at || !(rest.is_empty() || rest.starts_with('#')) {
            return Err(pair.key.unsupported("something stands on the lines of this entry that does not belong to it"));
        }
        entries.push(Placed {
            key,
            lead: at..start,
            body: start..line,
            value: value(text, pair),
            indent: pair.key.span.start - start,
        });
        at = source::next_line(text, end);
    }
    let end = entries.last().map_or(head.end, |entry| entry.body.end);
    Ok(Layout { is_flow: false, head, entries, foot: end..end })
}

fn flow(text: &str, colon: usize, map: &Node, pairs: &[Pair]) -> Result<Layout, DocumentError> {
    let odd = || map.unsupported("something but entries, white space and commas stands between these braces");
    let is_space = |range: Range<usize>| text.get(range).is_some_and(|gap| gap.trim().is_empty());
    if !text[map.span.start..].starts_with('{') || !is_space(colon..map.span.start) {
        return Err(odd());
    }
    let mut at = map.span.start + 1;
    let head = colon..at;
    let mut entries = Vec::with_capacity(pairs.len());
    for (index, pair) in pairs.iter().enumerate() {
        let key = movable(pair)?;
        let start = pair.key.span.start;
        let end = source::pair_end(text, pair);
        if source::after_colon(text, &pair.key).is_none() || !is_space(at..start) {
            return Err(odd());
        }
        let indent = source::indent(text, start).len();
        entries.push(Placed { key, lead: at..start, body: start..end, value: value(text, pair), indent });
        at = end;
        if index + 1 < pairs.len() {
            let comma = end + text[end..].find(',').ok_or_else(odd)?;
            if comma != end {
                return Err(odd());
            }
            at = comma + 1;
        }
    }
    let foot = at..map.span.end;
    let closes = text.get(foot.clone()).and_then(|foot| foot.strip_suffix('}'));
    if !closes.is_some_and(|gap| gap.trim().is_empty()) {
        return Err(odd());
    }
    Ok(Layout { is_flow: true, head, entries, foot })
}

/// The key of an entry that means the same wherever it stands.
fn movable(pair: &Pair) -> Result<String, DocumentError> {
    refuse_shared(&pair.key)?;
    refuse_shared(&pair.value)?;
    let key = pair.key.text().ok_or_else(|| pair.key.unsupported("this key is not a string"))?;
    if pair.value.text().is_none() {
        return Err(pair.value.unsupported("this value is a map or a list, not a string"));
    }
    Ok(key.to_owned())
}

fn value(text: &str, pair: &Pair) -> Range<usize> {
    if let Some(block) = source::block_scalar(text, pair) {
        return block.header.start..block.content.end.max(block.header.end);
    }
    match source::after_colon(text, &pair.key) {
        Some(colon) if pair.value.span.is_empty() => colon..colon,
        _ => pair.value.span.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "# c
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: db}
spec:
  encryptedData: # values
    # the first
    a: AgBy # one

    b: |-
      AgBz
      AgBq
    'c': \"AgBx\"
  # after
  template: {}
";

    fn pieces(text: &str) -> (String, Vec<(String, String)>, String) {
        let document = Document::parse(text.to_owned()).unwrap();
        let layout = document.layout(0).unwrap();
        let of = |range: &Range<usize>| text[range.clone()].to_owned();
        let entries = layout.entries.iter().map(|entry| (of(&entry.lead), of(&entry.body))).collect();
        (of(&layout.head), entries, of(&layout.foot))
    }

    #[test]
    fn the_pieces_of_a_block_are_lines_with_their_comments() {
        let (head, entries, foot) = pieces(YAML);
        assert_eq!((head.as_str(), foot.as_str()), (" # values\n", ""));
        let expected = [
            ("    # the first\n", "    a: AgBy # one"),
            ("\n", "    b: |-\n      AgBz\n      AgBq"),
            ("", "    'c': \"AgBx\""),
        ];
        assert_eq!(entries, expected.map(|(lead, body)| (lead.to_owned(), body.to_owned())));
        let crlf = pieces(&YAML.replace('\n', "\r\n"));
        assert_eq!(crlf.1[0].1, "    a: AgBy # one");
        assert_eq!(crlf.0, " # values\r\n");
    }

    #[test]
    fn the_pieces_of_braces_leave_the_commas_out() {
        let json = "{\"apiVersion\":\"bitnami.com/v1\",\"kind\":\"SealedSecret\",\"spec\":{\"encryptedData\": {\n  \"a\": \"x\",\n  \"b\": \"y\"\n}}}";
        let (head, entries, foot) = pieces(json);
        assert_eq!((head.as_str(), foot.as_str()), (" {", "\n}"));
        assert_eq!(entries[1], ("\n  ".to_owned(), "\"b\": \"y\"".to_owned()));
    }

    #[test]
    fn the_value_alone_is_found_in_every_style() {
        let document = Document::parse(YAML.to_owned()).unwrap();
        let values: Vec<&str> =
            document.layout(0).unwrap().entries.iter().map(|entry| &YAML[entry.value.clone()]).collect();
        assert_eq!(values, ["AgBy", "|-\n      AgBz\n      AgBq", "\"AgBx\""]);
    }

    #[test]
    fn what_would_change_its_meaning_when_moved_is_refused() {
        for (from, to) in [
            ("a: AgBy", "a: &x AgBy"),
            ("'c': \"AgBx\"", "'c': *x"),
            ("a: AgBy # one", "a: {b: c}"),
            ("a: AgBy # one", "<<: {b: c}"),
            ("a: AgBy # one", "? a\n    : AgBy"),
            ("encryptedData: # values", "encryptedData: !!map # values"),
        ] {
            assert!(YAML.contains(from), "{from}");
            let anchored = YAML.replace("metadata: {name", "metadata: {x: &x y, name").replace(from, to);
            let read = Document::parse(anchored).map(|document| document.layout(0).is_err());
            assert!(read.unwrap_or(true), "{to}");
        }
        let flow = "apiVersion: bitnami.com/v1\nkind: SealedSecret\nspec:\n  encryptedData: {\n    a: x, # c\n    b: y,\n  }\n";
        assert!(Document::parse(flow.to_owned()).unwrap().layout(0).is_err());
    }

    #[test]
    fn an_empty_map_has_no_entries_in_any_spelling() {
        for empty in ["", " {}", " {  }", " null", " # c"] {
            let text = format!("apiVersion: bitnami.com/v1\nkind: SealedSecret\nspec:\n  encryptedData:{empty}\n");
            let layout = Document::parse(text.clone()).unwrap().layout(0).unwrap();
            assert!(layout.entries.is_empty(), "{empty}");
            assert!(!text[layout.range()].contains('\n'), "{empty}");
        }
    }
}
