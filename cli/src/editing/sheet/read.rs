//! Text into values.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::secret::Plaintext;
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag, options};
use zeroize::Zeroizing;

use super::BINARY;

/// What is wrong with the text, and where. It repeats nothing of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub(crate) struct Mistake {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) what: &'static str,
}

const SYNTAX: &str = "not readable: put a value in quotes that holds `: ` or ` #`, or that begins with one of [ ] { } * & ! | > ' \" % @ ` or a dash; a value of several lines is `key: |` and the lines below, indented";
const NOT_A_MAP: &str = "expected one `key: value` a line and nothing else";
const NOT_TEXT: &str =
    "a value is text, here begins a list or a map: put it in quotes, or under `key: |` if it has several lines";
const NO_VALUE: &str = "no value: write \"\" for an empty one, or take the line out";
const NAMED: &str = "begins with `&`, `*` or `!`, which mean something in YAML: put the value in quotes";
const SEVERAL_LINES: &str =
    "a value over several lines loses its line ends: write `key: |` and the lines below, indented";
const CUT_OFF: &str = "in a value without quotes ` #` begins a comment: put the value in quotes, or the comment above";
const TWICE: &str = "this key is there twice";
const NOT_A_KEY: &str = "not a data key: letters, digits, `-`, `_` and `.`, at most 253";
const NOT_BASE64: &str = "after !!binary comes base64";
const MERGE: &str = "`<<` takes values from elsewhere in YAML, which makes no sense here";

/// Reads a sheet: the values in the order in which they stand. An empty text has none.
///
/// # Errors
/// The first mistake.
pub(crate) fn read(text: &str) -> Result<Vec<(String, Plaintext)>, Mistake> {
    let mut reader = Reader::default();
    for next in Parser::new_from_str_with_options(text, options! { emit_comments: true }) {
        // The parser's own message may quote the text.
        let (event, span) = next.map_err(|error| Mistake { line: error.marker().line().max(1), what: SYNTAX })?;
        reader.take(event, span)?;
    }
    match reader.unquoted.iter().find(|line| reader.comments.contains(line)) {
        Some(line) => Err(Mistake { line: *line, what: CUT_OFF }),
        None => Ok(reader.values),
    }
}

#[derive(Default)]
struct Reader {
    values: Vec<(String, Plaintext)>,
    seen: HashSet<String>,
    state: State,
    /// Lines with a value without quotes.
    unquoted: Vec<usize>,
    /// Lines with a comment.
    comments: HashSet<usize>,
}

#[derive(Default)]
enum State {
    #[default]
    Before,
    Key,
    Value(String),
    After,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        let line = span.start.line().max(1);
        let mistake = |what| Err(Mistake { line, what });
        match (std::mem::take(&mut self.state), event) {
            (state, Event::Comment(..)) => {
                self.comments.insert(line);
                self.state = state;
            }
            (state, Event::StreamStart | Event::StreamEnd | Event::DocumentEnd) => self.state = state,
            // A second document.
            (State::After, _) => return mistake(NOT_A_MAP),
            (state, Event::DocumentStart(..)) => self.state = state,
            (State::Before, Event::MappingStart(..)) => self.state = State::Key,
            // A document of nothing but comments.
            (State::Before, Event::Scalar(_, ScalarStyle::Plain, 0, None)) if is_nothing(&span) => {
                self.state = State::After;
            }
            (State::Before, _) => return mistake(NOT_A_MAP),
            (State::Key, Event::MappingEnd) => self.state = State::After,
            (State::Key, Event::Scalar(key, style, anchor, tag)) => {
                if style == ScalarStyle::Plain && key == "<<" {
                    return mistake(MERGE);
                }
                if !is_key(&key) || anchor != 0 || tag.is_some() {
                    return mistake(NOT_A_KEY);
                }
                if !self.seen.insert(key.clone().into_owned()) {
                    return mistake(TWICE);
                }
                self.state = State::Value(key.into_owned());
            }
            (State::Key, _) => return mistake(NOT_A_MAP),
            (State::Value(key), Event::Scalar(value, style, anchor, tag)) => {
                let value = Zeroizing::new(value.into_owned());
                let value = self.value(value, style, anchor != 0, tag, &span)?;
                self.values.push((key, value));
                self.state = State::Key;
            }
            (State::Value(_), Event::Alias(_) | Event::UnresolvedAlias(_)) => return mistake(NAMED),
            (State::Value(_), _) => return mistake(NOT_TEXT),
        }
        Ok(())
    }

    fn value(
        &mut self,
        mut text: Zeroizing<String>,
        style: ScalarStyle,
        is_anchored: bool,
        tag: Option<Cow<'_, Tag>>,
        span: &Span,
    ) -> Result<Plaintext, Mistake> {
        let line = span.start.line().max(1);
        let mistake = |what| Err(Mistake { line, what });
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let is_binary = tag.as_ref().is_some_and(|tag| is_core(tag, BINARY));
        if is_anchored || tag.as_ref().is_some_and(|tag| !is_binary && !is_core(tag, "str")) {
            return mistake(NAMED);
        }
        if style == ScalarStyle::Plain {
            if is_nothing(span) {
                return mistake(NO_VALUE);
            }
            self.unquoted.push(span.end.line());
        }
        if !is_block && !is_binary && span.end.line() > span.start.line() {
            return mistake(SEVERAL_LINES);
        }
        if is_binary {
            let encoded = Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>());
            return STANDARD.decode(encoded.as_bytes()).map(Plaintext::new).or_else(|_| mistake(NOT_BASE64));
        }
        Ok(Plaintext::from(std::mem::take(&mut *text)))
    }
}

/// An absent value is a scalar over no bytes.
fn is_nothing(span: &Span) -> bool {
    span.byte_range().is_none_or(|bytes| bytes.is_empty())
}

fn is_core(tag: &Tag, name: &str) -> bool {
    tag.handle() == "tag:yaml.org,2002:" && tag.suffix() == name
}

fn is_key(key: &str) -> bool {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !key.is_empty() && key.len() <= 253 && key.chars().all(is_valid) && key != "." && !key.starts_with("..")
}
