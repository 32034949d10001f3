//! Wrapping lines; widths count bytes, as in the Go library.

use bstr::ByteSlice as _;

use super::{Call, Function, Outcome, function};
use crate::secret::template::{
    error::{Fault, Limit},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("wrap", 2, 2, |call| wrapped(call, call.text(1)?, b"\n", false)),
    function("wrapWith", 3, 3, |call| {
        let separator = call.text(1)?;
        wrapped(call, call.text(2)?, if separator.is_empty() { b"\n" } else { separator }, true)
    }),
];

fn wrapped(call: &Call<'_>, text: &[u8], separator: &[u8], break_words: bool) -> Outcome {
    let width = usize::try_from(call.int(0)?).unwrap_or(0).max(1);
    let mut lines: Vec<u8> = Vec::new();
    let mut rest = text;
    let mut line = |head: &[u8]| -> Result<(), Fault> {
        call.budget.charge(head.len() + separator.len() + 1)?;
        lines.extend_from_slice(head);
        lines.extend_from_slice(separator);
        if lines.len() > crate::secret::template::budget::VALUE { Err(Limit::Value.into()) } else { Ok(()) }
    };
    while rest.len() > width {
        if let Some(tail) = rest.strip_prefix(b" ") {
            rest = tail;
            continue;
        }
        // The space may stand right behind the last column.
        let space = rest.get(..=width).and_then(|head| head.rfind_byte(b' '));
        let (head, tail) = match space {
            Some(space) => (rest.get(..space), rest.get(space + 1..)),
            None if break_words => (rest.get(..width), rest.get(width..)),
            None => match rest.get(width..).and_then(|tail| tail.find_byte(b' ')) {
                Some(space) => (rest.get(..width + space), rest.get(width + space + 1..)),
                None => break,
            },
        };
        line(head.unwrap_or_default())?;
        rest = tail.unwrap_or_default();
    }
    call.budget.text(lines.len() + rest.len())?;
    lines.extend_from_slice(rest);
    Ok(Value::text(lines))
}
