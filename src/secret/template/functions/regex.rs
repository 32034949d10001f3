//! Regular expressions.

use regex::bytes::{Captures, Match, Regex};

use super::{Call, Function, Outcome, function, pattern::compile};
use crate::secret::template::{
    budget::STEP,
    error::Fault,
    value::{List, ListKind, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("regexMatch", 2, 2, |call| {
        // A malformed expression matches nothing; the variant below tells.
        match (call.utf8(0), matches(call)) {
            (Ok(_), Err(Fault::Because(_))) => Ok(Value::Bool(false)),
            (_, outcome) => outcome,
        }
    }),
    function("mustRegexMatch", 2, 2, matches),
    function("regexFind", 2, 2, find),
    function("mustRegexFind", 2, 2, find),
    function("regexFindAll", 3, 3, find_all),
    function("mustRegexFindAll", 3, 3, find_all),
    function("regexReplaceAll", 3, 3, replace),
    function("mustRegexReplaceAll", 3, 3, replace),
    function("regexReplaceAllLiteral", 3, 3, replace_literally),
    function("mustRegexReplaceAllLiteral", 3, 3, replace_literally),
    function("regexSplit", 3, 3, split),
    function("mustRegexSplit", 3, 3, split),
    function("regexQuoteMeta", 1, 1, |call| {
        let text = call.text(0)?;
        call.budget.text(text.len().saturating_mul(2))?;
        let mut quoted = Vec::with_capacity(text.len());
        for byte in text {
            if br"\.+*?()|[]{}^$".contains(byte) {
                quoted.push(b'\\');
            }
            quoted.push(*byte);
        }
        Ok(Value::text(quoted))
    }),
];

/// Compiling costs about as much as a small search.
const COMPILING: usize = 64 * 1024;

/// The expression and the text that it is for.
fn expression<'a>(call: &Call<'a>) -> Result<(Regex, &'a [u8]), Fault> {
    let (expression, text) = (call.utf8(0)?, call.text(1)?);
    call.budget.charge(COMPILING.saturating_add(expression.len().saturating_mul(64)))?;
    call.budget.charge(text.len().saturating_mul(4))?;
    Ok((compile(expression)?, text))
}

/// All matches up to a number. Each search may look at the whole rest of the text, and is charged for it.
fn all<'t>(call: &Call<'_>, regex: &Regex, text: &'t [u8], most: usize) -> Result<Vec<(usize, &'t [u8])>, Fault> {
    let mut found = Vec::new();
    for each in regex.find_iter(text).filter(|each| is_whole(text, each)).take(most) {
        call.budget.charge(STEP + (text.len() - each.start()) / 64)?;
        found.push((each.start(), text.get(each.range()).unwrap_or_default()));
    }
    Ok(found)
}

/// Whether a match is one to Go, which finds no empty matches within a character.
fn is_whole(text: &[u8], found: &Match<'_>) -> bool {
    let within = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    !(found.is_empty() && text.get(found.start()).is_some_and(within))
}

/// The text with every match replaced by what `put` makes of it.
pub(in crate::secret::template) fn replaced(
    regex: &Regex,
    text: &[u8],
    mut put: impl FnMut(&Captures<'_>, &mut Vec<u8>),
) -> Vec<u8> {
    let (mut out, mut end) = (Vec::with_capacity(text.len()), 0);
    for captures in regex.captures_iter(text) {
        let Some(found) = captures.get(0).filter(|found| is_whole(text, found)) else { continue };
        out.extend_from_slice(text.get(end..found.start()).unwrap_or_default());
        put(&captures, &mut out);
        end = found.end();
    }
    out.extend_from_slice(text.get(end..).unwrap_or_default());
    out
}

fn limit(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn matches(call: &Call<'_>) -> Outcome {
    let (regex, text) = expression(call)?;
    Ok(Value::Bool(regex.is_match(text)))
}

fn find(call: &Call<'_>) -> Outcome {
    let (regex, text) = expression(call)?;
    Ok(Value::text(regex.find(text).map_or(&[][..], |found| found.as_bytes())))
}

fn find_all(call: &Call<'_>) -> Outcome {
    let (regex, text) = expression(call)?;
    let found = all(call, &regex, text, limit(call.int(2)?))?;
    Ok(if found.is_empty() {
        Value::List(List::absent(ListKind::Text))
    } else {
        Value::texts(found.into_iter().map(|(_, part)| part))
    })
}

fn replace(call: &Call<'_>) -> Outcome {
    let (regex, text) = expression(call)?;
    let template = call.text(2)?;
    let found = all(call, &regex, text, usize::MAX)?;
    // Each reference in the template stands for at most what was matched.
    let references = template.iter().filter(|byte| **byte == b'$').count();
    let matched: usize = found.iter().map(|(_, part)| part.len()).sum();
    let size = template.len().saturating_mul(found.len()).saturating_add(matched.saturating_mul(references));
    call.budget.text(size.saturating_add(text.len()))?;
    Ok(Value::text(replaced(&regex, text, |captures, out| captures.expand(template, out))))
}

fn replace_literally(call: &Call<'_>) -> Outcome {
    let (regex, text) = expression(call)?;
    let replacement = call.text(2)?;
    let found = all(call, &regex, text, usize::MAX)?;
    call.budget.text(replacement.len().saturating_mul(found.len()).saturating_add(text.len()))?;
    Ok(Value::text(replaced(&regex, text, |_, out| out.extend_from_slice(replacement))))
}

/// Go's `Regexp.Split`.
fn split(call: &Call<'_>) -> Outcome {
    let (regex, text) = expression(call)?;
    let most = limit(call.int(2)?);
    if most == 0 {
        return Ok(Value::List(List::absent(ListKind::Text)));
    }
    if !call.text(0)?.is_empty() && text.is_empty() {
        return Ok(Value::texts([""]));
    }
    let (mut parts, mut start, mut end) = (Vec::new(), 0, 0);
    for (at, part) in all(call, &regex, text, most)? {
        if parts.len() + 1 == most {
            break;
        }
        end = at;
        if at + part.len() != 0 {
            parts.push(text.get(start..end).unwrap_or_default());
        }
        start = at + part.len();
    }
    if end != text.len() {
        parts.push(text.get(start..).unwrap_or_default());
    }
    Ok(Value::texts(parts))
}
