//! Strings. Positions and lengths count bytes, as in Go; only words and widths look at characters.

use bstr::ByteSlice as _;

use super::{Call, Function, MANY, Outcome, function};
use crate::secret::template::{
    error::Fault,
    print,
    value::{Map, MapKind, Text, Value, decode, runes},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("hello", 0, 0, |_| Ok(Value::text("Hello!"))),
    function("trim", 1, 1, |call| Ok(Value::text(trimmed(call.text(0)?, char::is_whitespace)))),
    function("trimall", 2, 2, trim_all),
    function("trimAll", 2, 2, trim_all),
    function("trimSuffix", 2, 2, |call| {
        let text = call.text(1)?;
        Ok(Value::text(text.strip_suffix(call.text(0)?).unwrap_or(text)))
    }),
    function("trimPrefix", 2, 2, |call| {
        let text = call.text(1)?;
        Ok(Value::text(text.strip_prefix(call.text(0)?).unwrap_or(text)))
    }),
    function("contains", 2, 2, |call| Ok(Value::Bool(call.text(1)?.contains_str(call.text(0)?)))),
    function("hasPrefix", 2, 2, |call| Ok(Value::Bool(call.text(1)?.starts_with(call.text(0)?)))),
    function("hasSuffix", 2, 2, |call| Ok(Value::Bool(call.text(1)?.ends_with(call.text(0)?)))),
    function("replace", 3, 3, replace),
    function("repeat", 2, 2, |call| {
        let count = usize::try_from(call.int(0)?).map_err(|_| Fault::refused("the count is negative"))?;
        let text = call.text(1)?;
        call.budget.text(text.len().saturating_mul(count))?;
        Ok(Value::text(text.repeat(count)))
    }),
    function("substr", 3, 3, substring),
    function("trunc", 2, 2, truncate),
    function("abbrev", 2, 2, |call| abbreviate(call.text(1)?, 0, call.int(0)?)),
    function("abbrevboth", 3, 3, |call| {
        let (left, right) = (call.int(0)?, call.int(1)?);
        if left > 0 && right < 7 {
            return Ok(Value::text(call.text(2)?));
        }
        abbreviate(call.text(2)?, left, right)
    }),
    function("quote", 0, MANY, |call| quoted(call, |value| Ok(print::quoted(&print::as_text(call.budget, value)?)))),
    function("squote", 0, MANY, |call| {
        quoted(call, |value| Ok([b"'", &*print::as_text(call.budget, value)?, b"'"].concat()))
    }),
    function("cat", 0, MANY, |call| quoted(call, |value| print::as_text(call.budget, value))),
    function("indent", 2, 2, |call| indented(call, b"")),
    function("nindent", 2, 2, |call| indented(call, b"\n")),
    function("plural", 3, 3, |call| {
        let count = call.int(2)?;
        Ok(Value::text(call.text(usize::from(count != 1))?))
    }),
    function("toString", 1, 1, |call| call.shown(0).map(Value::text)),
    function("split", 2, 2, |call| parts(call, call.text(0)?, -1, call.text(1)?).map(numbered)),
    function("splitn", 3, 3, |call| parts(call, call.text(0)?, call.int(1)?, call.text(2)?).map(numbered)),
    function("splitList", 2, 2, |call| parts(call, call.text(0)?, -1, call.text(1)?).map(Value::texts)),
    function("fail", 1, 1, |call| {
        call.text(0)?;
        Err(Fault::refused("the template gave up"))
    }),
];

/// Without the characters at both ends that are in a set.
fn trimmed(mut text: &[u8], unwanted: impl Fn(char) -> bool) -> &[u8] {
    while let Some((first, length)) = decode(text) {
        if !unwanted(first) {
            break;
        }
        text = text.get(length..).unwrap_or_default();
    }
    while let Some((last, start)) = last_rune(text) {
        if !unwanted(last) {
            break;
        }
        text = text.get(..start).unwrap_or_default();
    }
    text
}

fn last_rune(text: &[u8]) -> Option<(char, usize)> {
    let earliest = text.len().saturating_sub(4);
    (earliest..text.len()).find_map(|start| {
        let (character, length) = decode(text.get(start..)?)?;
        (start + length == text.len()).then_some((character, start))
    })
}

fn trim_all(call: &Call<'_>) -> Outcome {
    let unwanted: Vec<char> = runes(call.text(0)?).map(|(character, _)| character).collect();
    let text = call.text(1)?;
    call.budget.charge(text.len().saturating_mul(unwanted.len().min(64)))?;
    Ok(Value::text(trimmed(text, |character| unwanted.contains(&character))))
}

fn replace(call: &Call<'_>) -> Outcome {
    let (old, new, text) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if old == new {
        return Ok(Value::text(text));
    }
    let mut replaced = Vec::new();
    if old.is_empty() {
        // Before every character and at the end.
        call.budget.text(new.len().saturating_mul(text.len() + 1).saturating_add(text.len()))?;
        for (_, spelling) in runes(text) {
            replaced.extend_from_slice(new);
            replaced.extend_from_slice(spelling);
        }
        replaced.extend_from_slice(new);
    } else {
        let count = text.find_iter(old).count();
        call.budget.text((text.len() - old.len() * count).saturating_add(new.len().saturating_mul(count)))?;
        replaced = text.replace(old, new);
    }
    Ok(Value::text(replaced))
}

fn substring(call: &Call<'_>) -> Outcome {
    let (start, end, text) = (call.int(0)?, call.int(1)?, call.text(2)?);
    let index = |index: i64| usize::try_from(index).ok();
    let part = match (index(start), index(end)) {
        (None, Some(end)) => text.get(..end),
        (None, None) => None,
        (Some(start), Some(end)) if end <= text.len() => text.get(start..end),
        (Some(start), _) => text.get(start..),
    };
    part.map(Value::text).ok_or(Fault::refused("the indices are out of range"))
}

fn truncate(call: &Call<'_>) -> Outcome {
    let (length, text) = (call.int(0)?, call.text(1)?);
    let size = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    let part = if length < 0 {
        text.len().checked_sub(size).filter(|start| *start > 0).and_then(|start| text.get(start..))
    } else {
        text.get(..size)
    };
    Ok(Value::text(part.unwrap_or(text)))
}

/// Go's `goutils.AbbreviateFull`; too small a width leaves the text alone.
fn abbreviate(text: &[u8], offset: i64, width: i64) -> Outcome {
    let Some(width) = usize::try_from(width).ok().filter(|width| *width >= 4) else {
        return Ok(Value::text(text));
    };
    if text.len() <= width {
        return Ok(Value::text(text));
    }
    let room = width - 3;
    let offset = usize::try_from(offset).unwrap_or(0).min(text.len() - room);
    if offset <= 4 {
        return Ok(Value::text([text.get(..room).unwrap_or(text), b"..."].concat()));
    }
    let tail = text.get(offset..).unwrap_or_default();
    if width < 7 {
        return Ok(Value::text(""));
    }
    let shown = if offset + room < text.len() {
        // What follows is abbreviated once more, if that is possible at all.
        match tail.get(..room - 3) {
            Some(head) if room >= 4 => [head, b"..."].concat(),
            _ => Vec::new(),
        }
    } else {
        text.get(text.len() - room..).unwrap_or_default().to_vec()
    };
    Ok(Value::text([b"...", &*shown].concat()))
}

/// All arguments but the nil ones, with spaces between.
fn quoted(call: &Call<'_>, show: impl Fn(&Value) -> Result<Vec<u8>, Fault>) -> Outcome {
    let given = call.arguments.iter().filter(|value| !matches!(value, Value::Nil));
    let words: Result<Vec<Vec<u8>>, Fault> = given.map(show).collect();
    Ok(Value::text(words?.join(&b' ')))
}

fn indented(call: &Call<'_>, before: &[u8]) -> Outcome {
    let spaces = usize::try_from(call.int(0)?).map_err(|_| Fault::refused("the indent is negative"))?;
    let text = call.text(1)?;
    let lines = text.find_iter("\n").count() + 1;
    call.budget.text(spaces.saturating_mul(lines).saturating_add(text.len()))?;
    let margin = vec![b' '; spaces];
    let mut indented = before.to_vec();
    for (index, line) in text.split_str("\n").enumerate() {
        if index > 0 {
            indented.push(b'\n');
        }
        indented.extend_from_slice(&margin);
        indented.extend_from_slice(line);
    }
    Ok(Value::text(indented))
}

/// Go's `strings.SplitN`.
fn parts<'t>(call: &Call<'_>, separator: &[u8], most: i64, text: &'t [u8]) -> Result<Vec<&'t [u8]>, Fault> {
    let most = if most < 0 { usize::MAX } else { usize::try_from(most).unwrap_or(usize::MAX) };
    if most == 0 {
        return Ok(Vec::new());
    }
    if !separator.is_empty() {
        let count = text.find_iter(separator).count().saturating_add(1).min(most);
        call.budget.elements(count)?;
        return Ok(text.splitn_str(most, separator).collect());
    }
    call.budget.elements(text.len())?;
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((_, length)) = decode(rest) {
        if parts.len() + 1 == most {
            break;
        }
        let (head, tail) = rest.split_at(length);
        parts.push(head);
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    Ok(parts)
}

/// The parts as a dictionary with the keys `_0`, `_1` and so on.
fn numbered(parts: Vec<&[u8]>) -> Value {
    let entries = parts.into_iter().enumerate();
    Value::Map(Map::new(
        entries.map(|(index, part)| (Text::from(format!("_{index}")), Value::text(part))),
        MapKind::Text,
    ))
}
