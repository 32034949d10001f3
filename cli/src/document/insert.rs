//! New entries: after the last one, into an empty map, or with the map itself, in the style of what is around.

use granit_parser::ScalarStyle;

use super::edit::{Splice, colon_of, refuse_merge, refuse_shared};
use super::error::DocumentError;
use super::scalar::{self, Quote};
use super::source;
use super::tree::{Content, Node, Pair};

const MAP: &str = "encryptedData";

/// Adds `entries`, none of which is there yet, to the object's `spec.encryptedData`.
pub(super) fn insert(
    text: &str,
    object: &Node,
    entries: &[(&str, &str)],
    splices: &mut Vec<Splice>,
) -> Result<(), DocumentError> {
    if entries.is_empty() {
        return Ok(());
    }
    let no_spec = DocumentError::NoSpec { line: object.line };
    let spec = object.find("spec").ok_or(no_spec)?;
    refuse_shared(&spec.value)?;
    refuse_merge(&spec.value)?;
    let step = step_between(text, object, spec);
    let Some(data) = spec.value.find(MAP) else {
        return add_map(text, object, spec, entries, step, splices);
    };
    refuse_shared(&data.value)?;
    refuse_merge(&data.value)?;
    match &data.value.content {
        Content::Map { is_flow: true, pairs } if !pairs.is_empty() => {
            append_flow(text, &data.value, &|style| flow_entries(entries, style), splices)
        }
        Content::Map { pairs, .. } if !pairs.is_empty() => append_block(text, data, entries, splices),
        Content::Map { .. } | Content::Scalar { .. } if is_empty(&data.value) => {
            let step = column_step(text, spec, data).unwrap_or(step);
            fill(text, &spec.value, data, &Filling::Entries(entries), step, splices)
        }
        Content::Map { .. } | Content::Scalar { .. } | Content::List { .. } | Content::Alias => {
            Err(data.value.unsupported("encryptedData is not a map"))
        }
    }
}

/// What goes into an empty `spec` or `encryptedData`.
enum Filling<'a> {
    Entries(&'a [(&'a str, &'a str)]),
    Map(&'a [(&'a str, &'a str)]),
}

fn add_map(
    text: &str,
    object: &Node,
    spec: &Pair,
    entries: &[(&str, &str)],
    step: usize,
    splices: &mut Vec<Splice>,
) -> Result<(), DocumentError> {
    let content = Filling::Map(entries);
    match &spec.value.content {
        Content::Map { is_flow: true, pairs } if !pairs.is_empty() => append_flow(
            text,
            &spec.value,
            &|style| vec![format!("{}:{}{{{}}}", style.key(MAP), style.gap, flow_entries(entries, style).join(", "))],
            splices,
        ),
        Content::Map { pairs, .. } if !pairs.is_empty() => {
            let Some(first) = pairs.first() else {
                return Ok(());
            };
            let own = source::indent(text, first.key.span.start).to_owned();
            let at = source::line_end(text, colon_of(text, spec)?);
            let lines = content.lines(&own, &" ".repeat(step));
            splices.push(Splice::insert(at, joined(text, at, &lines)));
            Ok(())
        }
        Content::Map { .. } | Content::Scalar { .. } if is_empty(&spec.value) => {
            fill(text, object, spec, &content, step, splices)
        }
        Content::Map { .. } | Content::Scalar { .. } | Content::List { .. } | Content::Alias => {
            Err(spec.value.unsupported("spec is not a map"))
        }
    }
}

impl Filling<'_> {
    /// As lines of a block map.
    fn lines(&self, indent: &str, step: &str) -> Vec<String> {
        let (mut lines, entries, indent) = match self {
            Self::Entries(entries) => (vec![], entries, indent.to_owned()),
            Self::Map(entries) => (vec![format!("{indent}{MAP}:")], entries, format!("{indent}{step}")),
        };
        let plain = |text: &str| scalar::written(text, Quote::Plain);
        lines.extend(entries.iter().map(|(key, value)| format!("{indent}{}: {}", plain(key), plain(value))));
        lines
    }

    /// As the inside of a flow map.
    fn flow(&self, style: &Style) -> String {
        match self {
            Self::Entries(entries) => flow_entries(entries, style).join(", "),
            Self::Map(entries) => {
                format!("{}:{}{{{}}}", style.key(MAP), style.gap, flow_entries(entries, style).join(", "))
            }
        }
    }
}

/// Puts content into the empty map (or the null, or the nothing) that is the value of `owner`.
fn fill(
    text: &str,
    parent: &Node,
    owner: &Pair,
    content: &Filling<'_>,
    step: usize,
    splices: &mut Vec<Splice>,
) -> Result<(), DocumentError> {
    let colon = colon_of(text, owner)?;
    let span = &owner.value.span;
    let has_text = !span.is_empty();
    let inside = if owner.value.is_flow_map() { &text[span.start + 1..span.end - 1] } else { "" };
    let own = source::indent_to(text, owner.key.span.start);
    let unit = " ".repeat(step);
    if !parent.is_flow_map() && !inside.contains(['#', '\n']) {
        // Block: what was there goes, and lines follow.
        if has_text {
            splices.push(Splice::remove(colon..span.end));
        }
        let at = source::line_end(text, if has_text { span.end } else { colon });
        splices.push(Splice::insert(at, joined(text, at, &content.lines(&format!("{own}{unit}"), &unit))));
        return Ok(());
    }
    let style = Style::beside(owner);
    let inner = content.flow(&style);
    if inside.contains('#') {
        let newline = source::newline(text, span.start);
        let at = span.end - 1;
        splices.push(Splice::insert(at, format!("{own}{unit}{inner}{newline}{own}")));
        return Ok(());
    }
    let is_pretty = source::begins_line(text, owner.key.span.start);
    let filled = if is_pretty && parent.is_flow_map() {
        let newline = source::newline(text, span.start);
        let unit = if own.contains('\t') { "\t" } else { &unit };
        let lines = match content {
            Filling::Entries(entries) => flow_entries(entries, &style),
            Filling::Map(_) => vec![inner],
        };
        let lines: Vec<_> = lines.iter().map(|line| format!("{newline}{own}{unit}{line}")).collect();
        format!("{{{}{newline}{own}}}", lines.join(","))
    } else {
        format!("{{{inner}}}")
    };
    match has_text {
        true => splices.push(Splice { range: span.clone(), text: filled }),
        false => splices.push(Splice::insert(colon, format!(" {filled}"))),
    }
    Ok(())
}

/// After the last entry of a block map; before it where text after it would become part of it.
fn append_block(
    text: &str,
    data: &Pair,
    entries: &[(&str, &str)],
    splices: &mut Vec<Splice>,
) -> Result<(), DocumentError> {
    let pairs = data.value.pairs();
    let Some(last) = pairs.last() else {
        return Ok(());
    };
    colon_of(text, last)?;
    let own = source::indent(text, last.key.span.start);
    let style = Style::like(last, " ");
    let lines: Vec<_> = entries.iter().map(|(key, value)| format!("{own}{}", style.entry(key, value))).collect();
    let at = source::line_end(text, source::pair_end(text, last));
    let swallows = source::block_scalar(text, last)
        .is_some_and(|block| block.keeps_blank_lines(text) || source::line_end(text, at) == text.len());
    if !swallows {
        splices.push(Splice::insert(at, joined(text, at, &lines)));
        return Ok(());
    }
    let floor = match pairs.len().checked_sub(2).and_then(|index| pairs.get(index)) {
        Some(before) => source::next_line(text, source::pair_end(text, before)),
        None => source::next_line(text, data.key.span.end),
    };
    let start = source::attached_start(text, last, floor);
    let newline = source::newline(text, start);
    splices.push(Splice::insert(start, lines.iter().map(|line| format!("{line}{newline}")).collect()));
    Ok(())
}

/// After the last entry of a flow map that is not empty.
fn append_flow(
    text: &str,
    map: &Node,
    entries: &dyn Fn(&Style) -> Vec<String>,
    splices: &mut Vec<Splice>,
) -> Result<(), DocumentError> {
    let Some(last) = map.pairs().last() else {
        return Ok(());
    };
    let colon = colon_of(text, last)?;
    let end = source::pair_end(text, last);
    let gap = if text[colon..].starts_with([' ', '\t', '\r', '\n']) || colon >= end { " " } else { "" };
    let style = Style::like(last, gap);
    let separator = if source::begins_line(text, last.key.span.start) {
        format!("{}{}", source::newline(text, last.key.span.start), source::indent(text, last.key.span.start))
    } else {
        gap.to_owned()
    };
    let after = source::skip_space_and_comments(text, end);
    let added: Vec<_> = entries(&style).iter().map(|entry| format!("{separator}{entry}")).collect();
    if text[after..].starts_with(',') {
        // A comma after the last entry is already there, and stays the file's way.
        splices.push(Splice::insert(source::after_comment(text, after + 1), format!("{},", added.join(","))));
        return Ok(());
    }
    splices.push(Splice::insert(end, ",".to_owned()));
    splices.push(Splice::insert(source::after_comment(text, end), added.join(",")));
    Ok(())
}

/// How the entries around are written.
struct Style {
    key: Quote,
    value: Quote,
    gap: &'static str,
}

impl Style {
    fn like(pair: &Pair, gap: &'static str) -> Self {
        Self { key: quote_of(&pair.key), value: quote_of(&pair.value), gap }
    }

    /// For an empty map: as its own key is written.
    fn beside(owner: &Pair) -> Self {
        let quote = quote_of(&owner.key);
        Self { key: quote, value: quote, gap: " " }
    }

    fn key(&self, key: &str) -> String {
        scalar::written(key, self.key)
    }

    fn entry(&self, key: &str, value: &str) -> String {
        // A map beside us (JSON's `"template": {}`) says nothing about the quoting of values; its key does.
        let quote = if self.key == Quote::Double { Quote::Double } else { self.value };
        format!("{}:{}{}", self.key(key), self.gap, scalar::written(value, quote))
    }
}

fn quote_of(node: &Node) -> Quote {
    match node.style() {
        Some(ScalarStyle::SingleQuoted) => Quote::Single,
        Some(ScalarStyle::DoubleQuoted) => Quote::Double,
        Some(ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded) | None => Quote::Plain,
    }
}

fn flow_entries(entries: &[(&str, &str)], style: &Style) -> Vec<String> {
    entries.iter().map(|(key, value)| style.entry(key, value)).collect()
}

fn is_empty(node: &Node) -> bool {
    node.is_null() || matches!(&node.content, Content::Map { pairs, .. } if pairs.is_empty())
}

/// Each line behind a line break, to follow what ends at `at`.
fn joined(text: &str, at: usize, lines: &[String]) -> String {
    let newline = source::newline(text, at);
    lines.iter().map(|line| format!("{newline}{line}")).collect()
}

/// By how much the file indents: what `spec` or `metadata` holds against itself; 2 where nothing shows it.
fn step_between(text: &str, object: &Node, spec: &Pair) -> usize {
    let children = [Some(spec), object.find("metadata")].into_iter().flatten();
    let steps = children.filter_map(|owner| column_step(text, owner, owner.value.pairs().first()?));
    steps.into_iter().next().unwrap_or(2)
}

fn column_step(text: &str, outer: &Pair, inner: &Pair) -> Option<usize> {
    if !source::begins_line(text, inner.key.span.start) {
        return None;
    }
    inner.key.column.checked_sub(outer.key.column).filter(|step| (1..=8).contains(step))
}
