//! Lists. A `must` variant differs only in how Go reports the failure, which is the same here.

use super::{
    Call, Function, MANY, Outcome, compare::deep_equal, defaults::is_empty, function, numbers::to_int, wrong_type,
};
use crate::secret::template::{
    error::Fault,
    print,
    value::{List, ListKind, Text, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("list", 0, MANY, |call| Ok(Value::list(call.arguments.to_vec()))),
    function("tuple", 0, MANY, |call| Ok(Value::list(call.arguments.to_vec()))),
    function("append", 2, 2, push),
    function("push", 2, 2, push),
    function("mustAppend", 2, 2, push),
    function("mustPush", 2, 2, push),
    function("prepend", 2, 2, prepend),
    function("mustPrepend", 2, 2, prepend),
    function("first", 1, 1, |call| Ok(call.list(0)?.items().first().cloned().unwrap_or(Value::Nil))),
    function("mustFirst", 1, 1, |call| Ok(call.list(0)?.items().first().cloned().unwrap_or(Value::Nil))),
    function("last", 1, 1, |call| Ok(call.list(0)?.items().last().cloned().unwrap_or(Value::Nil))),
    function("mustLast", 1, 1, |call| Ok(call.list(0)?.items().last().cloned().unwrap_or(Value::Nil))),
    function("rest", 1, 1, |call| part(call, |items| items.split_first().map(|(_, rest)| rest))),
    function("mustRest", 1, 1, |call| part(call, |items| items.split_first().map(|(_, rest)| rest))),
    function("initial", 1, 1, |call| part(call, |items| items.split_last().map(|(_, rest)| rest))),
    function("mustInitial", 1, 1, |call| part(call, |items| items.split_last().map(|(_, rest)| rest))),
    function("reverse", 1, 1, reverse),
    function("mustReverse", 1, 1, reverse),
    function("compact", 1, 1, |call| filtered(call, |item| Ok(!is_empty(item)))),
    function("mustCompact", 1, 1, |call| filtered(call, |item| Ok(!is_empty(item)))),
    function("uniq", 1, 1, unique),
    function("mustUniq", 1, 1, unique),
    function("without", 1, MANY, without),
    function("mustWithout", 1, MANY, without),
    function("has", 2, 2, has),
    function("mustHas", 2, 2, has),
    function("slice", 1, MANY, slice),
    function("mustSlice", 1, MANY, slice),
    function("concat", 0, MANY, concat),
    function("chunk", 2, 2, chunk),
    function("mustChunk", 2, 2, chunk),
    function("sortAlpha", 1, 1, sort),
    function("toStrings", 1, 1, |call| Ok(Value::texts(texts(call, 0)?))),
    function("join", 2, 2, |call| {
        let (separator, parts) = (call.text(0)?, texts(call, 1)?);
        let separators = separator.len().saturating_mul(parts.len());
        call.budget.text(parts.iter().map(Vec::len).sum::<usize>().saturating_add(separators))?;
        Ok(Value::text(parts.join(separator)))
    }),
];

/// Sprig's `strslice`: the elements as strings, without the nil ones; a single value is a list of one.
pub(super) fn texts(call: &Call<'_>, index: usize) -> Result<Vec<Vec<u8>>, Fault> {
    match call.any(index)? {
        Value::List(list) => {
            let items = list.items().iter().filter(|item| !matches!(item, Value::Nil));
            items.map(|item| print::as_text(call.budget, item)).collect()
        }
        Value::Nil => Ok(Vec::new()),
        other => Ok(vec![print::as_text(call.budget, other)?]),
    }
}

fn push(call: &Call<'_>) -> Outcome {
    let items = call.list(0)?.items();
    call.budget.elements(items.len())?;
    Ok(Value::list(items.iter().chain([call.any(1)?]).cloned().collect()))
}

fn prepend(call: &Call<'_>) -> Outcome {
    let items = call.list(0)?.items();
    call.budget.elements(items.len())?;
    Ok(Value::list([call.any(1)?].into_iter().chain(items).cloned().collect()))
}

fn part(call: &Call<'_>, take: impl Fn(&[Value]) -> Option<&[Value]>) -> Outcome {
    let items = call.list(0)?.items();
    call.budget.elements(items.len())?;
    Ok(Value::List(match take(items) {
        Some(items) => List::new(items.to_vec(), ListKind::Any),
        None => List::absent(ListKind::Any),
    }))
}

fn reverse(call: &Call<'_>) -> Outcome {
    let items = call.list(0)?.items();
    call.budget.elements(items.len())?;
    Ok(Value::list(items.iter().rev().cloned().collect()))
}

fn filtered(call: &Call<'_>, mut wanted: impl FnMut(&Value) -> Result<bool, Fault>) -> Outcome {
    let mut kept = Vec::new();
    for item in call.list(0)?.items() {
        call.budget.elements(1)?;
        if wanted(item)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn contains(call: &Call<'_>, items: &[Value], wanted: &Value) -> Result<bool, Fault> {
    for item in items {
        if deep_equal(call.budget, wanted, item, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unique(call: &Call<'_>) -> Outcome {
    let mut kept: Vec<Value> = Vec::new();
    for item in call.list(0)?.items() {
        if !contains(call, &kept, item)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn without(call: &Call<'_>) -> Outcome {
    filtered(call, |item| Ok(!contains(call, call.rest(1), item)?))
}

fn has(call: &Call<'_>) -> Outcome {
    match call.any(1)? {
        Value::Nil => Ok(Value::Bool(false)),
        Value::List(list) => contains(call, list.items(), call.any(0)?).map(Value::Bool),
        other => Err(wrong_type(1, "a slice", other)),
    }
}

fn slice(call: &Call<'_>) -> Outcome {
    let list = call.list(0)?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let start = call.rest(1).first().map_or(Some(0), |start| usize::try_from(to_int(start)).ok());
    let end = call.rest(2).first().map_or(Some(list.len()), |end| usize::try_from(to_int(end)).ok());
    let items = start.zip(end).and_then(|(start, end)| list.items().get(start..end));
    let items = items.ok_or(Fault::refused("the indices are out of range"))?;
    call.budget.elements(items.len())?;
    Ok(Value::List(List::new(items.to_vec(), list.kind())))
}

fn concat(call: &Call<'_>) -> Outcome {
    let mut all = Vec::new();
    for index in 0..call.arguments.len() {
        let items = call.list(index)?.items();
        call.budget.elements(items.len())?;
        all.extend_from_slice(items);
    }
    Ok(Value::List(if all.is_empty() { List::absent(ListKind::Any) } else { List::new(all, ListKind::Any) }))
}

fn chunk(call: &Call<'_>) -> Outcome {
    let size = usize::try_from(call.int(0)?).ok().filter(|size| *size > 0);
    let size = size.ok_or(Fault::refused("the size of a chunk must be positive"))?;
    let items = call.list(1)?.items();
    call.budget.elements(items.len())?;
    let chunks = items.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect();
    Ok(Value::List(List::new(chunks, ListKind::Lists)))
}

fn sort(call: &Call<'_>) -> Outcome {
    let mut texts: Vec<Text> = match call.any(0)? {
        Value::List(_) => texts(call, 0)?.into_iter().map(Text::from).collect(),
        _ => vec![call.shown(0)?.into()],
    };
    let compared: usize = texts.iter().map(|text| text.len() + 1).sum();
    call.budget.charge(compared.saturating_mul(texts.len().checked_ilog2().unwrap_or(0) as usize + 1))?;
    texts.sort();
    Ok(Value::texts(texts))
}
