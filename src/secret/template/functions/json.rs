//! JSON as Go's `encoding/json` reads and writes it.

use super::{Call, Function, Outcome, function};
use crate::secret::template::{
    budget::{Budget, VALUE, deeper},
    error::{Fault, Limit},
    print,
    value::{Text, Value, runes},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("fromJson", 1, 1, |call| Ok(parsed(call)?.unwrap_or(Value::Nil))),
    function("mustFromJson", 1, 1, |call| parsed(call)?.ok_or(Fault::refused("the text is not JSON"))),
    function("toJson", 1, 1, |call| or_nothing(written(call, Style::Compact))),
    function("mustToJson", 1, 1, |call| written(call, Style::Compact)),
    function("toPrettyJson", 1, 1, |call| or_nothing(written(call, Style::Pretty))),
    function("mustToPrettyJson", 1, 1, |call| written(call, Style::Pretty)),
    function("toRawJson", 1, 1, |call| written(call, Style::Raw)),
    function("mustToRawJson", 1, 1, |call| written(call, Style::Raw)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Compact,
    Pretty,
    /// Without the escapes for HTML.
    Raw,
}

/// What Sprig's forgiving variants return for what JSON cannot express.
fn or_nothing(written: Outcome) -> Outcome {
    match written {
        Err(Fault::Because(_)) => Ok(Value::text("")),
        other => other,
    }
}

fn parsed(call: &Call<'_>) -> Result<Option<Value>, Fault> {
    let text = call.text(0)?;
    // A JSON document makes values of up to that much memory per byte.
    call.budget.elements(text.len())?;
    let text = String::from_utf8_lossy(text);
    Ok(serde_json::from_str(&text).ok().and_then(|json| from_json(&json)))
}

/// Nothing for a number that no `float64` can hold.
pub(super) fn from_json(json: &serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        // All numbers, as in Go.
        serde_json::Value::Number(number) => Value::Float(number.as_f64()?),
        serde_json::Value::String(text) => Value::text(&**text),
        serde_json::Value::Array(items) => Value::list(items.iter().map(from_json).collect::<Option<_>>()?),
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| Some((Text::from(&**key), from_json(value)?)));
            Value::map(entries.collect::<Option<Vec<_>>>()?)
        }
    })
}

/// The first argument as compact JSON.
pub(super) fn to_json(call: &Call<'_>) -> Outcome {
    written(call, Style::Raw)
}

fn written(call: &Call<'_>, style: Style) -> Outcome {
    let mut writer = Writer { budget: call.budget, style, text: Vec::new() };
    writer.value(call.any(0)?, 0)?;
    Ok(Value::text(writer.text))
}

struct Writer<'b> {
    budget: &'b Budget,
    style: Style,
    text: Vec<u8>,
}

impl Writer<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.budget.charge(bytes.len() + 1)?;
        self.text.extend_from_slice(bytes);
        if self.text.len() > VALUE { Err(Limit::Value.into()) } else { Ok(()) }
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Fault> {
        match value {
            Value::Nil => self.push(b"null"),
            Value::Bool(truth) => self.push(if *truth { b"true" } else { b"false" }),
            Value::Int(number, _) => self.push(number.to_string().as_bytes()),
            Value::Float(number) if number.is_finite() => self.push(float(*number).as_bytes()),
            Value::Float(_) => Err(Fault::refused("JSON has no such number")),
            Value::Text(text) => self.string(text.bytes()),
            Value::Moment(moment) => self.string(&moment.json()),
            Value::Version(version) => self.string(version.to_string().as_bytes()),
            Value::Certificate(certificate) => self.object(
                vec![
                    ("Cert".into(), Value::Text(certificate.certificate.clone())),
                    ("Key".into(), Value::Text(certificate.key.clone())),
                ],
                depth,
            ),
            Value::Map(map) => self.object(map.entries(), depth),
            Value::List(list) if list.is_absent() => self.push(b"null"),
            Value::List(list) => {
                self.push(b"[")?;
                for (index, item) in list.items().iter().enumerate() {
                    self.next(index, depth)?;
                    self.value(item, deeper(depth)?)?;
                }
                self.close(list.is_empty(), depth, b"]")
            }
        }
    }

    fn object(&mut self, entries: Vec<(Text, Value)>, depth: usize) -> Result<(), Fault> {
        self.push(b"{")?;
        let empty = entries.is_empty();
        for (index, (key, value)) in entries.into_iter().enumerate() {
            self.next(index, depth)?;
            self.string(key.bytes())?;
            self.push(if self.style == Style::Pretty { b": " } else { b":" })?;
            self.value(&value, deeper(depth)?)?;
        }
        self.close(empty, depth, b"}")
    }

    fn next(&mut self, index: usize, depth: usize) -> Result<(), Fault> {
        if index > 0 {
            self.push(b",")?;
        }
        self.line(depth + 1)
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: &[u8]) -> Result<(), Fault> {
        if !empty {
            self.line(depth)?;
        }
        self.push(bracket)
    }

    fn line(&mut self, depth: usize) -> Result<(), Fault> {
        if self.style != Style::Pretty {
            return Ok(());
        }
        self.push(b"\n")?;
        (0..depth).try_for_each(|_| self.push(b"  "))
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.push(b"\"")?;
        for (character, spelling) in runes(bytes) {
            match character {
                '"' => self.push(b"\\\""),
                '\\' => self.push(b"\\\\"),
                '\n' => self.push(b"\\n"),
                '\r' => self.push(b"\\r"),
                '\t' => self.push(b"\\t"),
                '\u{8}' => self.push(b"\\b"),
                '\u{c}' => self.push(b"\\f"),
                '<' | '>' | '&' if self.style == Style::Raw => self.push(spelling),
                '\0'..=' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if character != ' ' => {
                    self.push(format!("\\u{:04x}", u32::from(character)).as_bytes())
                }
                char::REPLACEMENT_CHARACTER if spelling.len() == 1 => self.push(b"\\ufffd"),
                _ => self.push(spelling),
            }?;
        }
        self.push(b"\"")
    }
}

/// Go's numbers in JSON: exponents only for the very large and the very small.
fn float(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let (digits, exponent) = print::shortest_parts(number);
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let (minus, sign) = (if number < 0.0 { "-" } else { "" }, if exponent < 0 { '-' } else { '+' });
        return format!("{minus}{first}{point}{rest}e{sign}{:02}", exponent.unsigned_abs()).replace("e-0", "e-");
    }
    // Rust's shortest form never has an exponent.
    format!("{number}")
}
