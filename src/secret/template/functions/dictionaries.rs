//! Dictionaries. Keys come in alphabetical order, where Go's maps have none.

use super::{Call, Function, MANY, Outcome, function, wrong_type};
use crate::secret::template::{
    error::Fault,
    print,
    value::{Map, MapKind, Text, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("dict", 0, MANY, dict),
    function("get", 2, 2, |call| Ok(call.map(0)?.at(call.text(1)?).unwrap_or_else(|| Value::text("")))),
    function("set", 3, 3, |call| {
        let map = call.map(0)?;
        map.insert(call.budget, call.text(1)?.into(), call.any(2)?.clone())?;
        Ok(Value::Map(map.clone()))
    }),
    function("unset", 2, 2, |call| {
        let map = call.map(0)?;
        map.remove(call.text(1)?);
        Ok(Value::Map(map.clone()))
    }),
    function("hasKey", 2, 2, |call| Ok(Value::Bool(call.map(0)?.at(call.text(1)?).is_some()))),
    function("pluck", 1, MANY, |call| {
        let key = call.text(0)?;
        let found: Result<Vec<_>, Fault> =
            (1..call.arguments.len()).map(|index| Ok(call.map(index)?.at(key))).collect();
        Ok(Value::list(found?.into_iter().flatten().collect()))
    }),
    function("keys", 0, MANY, |call| {
        let mut keys = Vec::new();
        for index in 0..call.arguments.len() {
            keys.extend(entries(call, index)?.into_iter().map(|(key, _)| key));
        }
        Ok(Value::texts(keys))
    }),
    function("values", 1, 1, |call| Ok(Value::list(entries(call, 0)?.into_iter().map(|(_, value)| value).collect()))),
    function("pick", 1, MANY, |call| chosen(call, true)),
    function("omit", 1, MANY, |call| chosen(call, false)),
    function("dig", 0, MANY, dig),
];

fn entries(call: &Call<'_>, index: usize) -> Result<Vec<(Text, Value)>, Fault> {
    let map = call.map(index)?;
    call.budget.elements(map.len())?;
    Ok(map.entries())
}

fn dict(call: &Call<'_>) -> Outcome {
    let entries: Result<Vec<_>, Fault> = call
        .arguments
        .chunks(2)
        .map(|pair| {
            let (key, value) = match pair {
                [key, value, ..] => (key, value.clone()),
                [key] => (key, Value::text("")),
                [] => return Err(Fault::refused("a pair without a key")),
            };
            Ok((print::as_text(call.budget, key)?.into(), value))
        })
        .collect();
    Ok(Value::map(entries?))
}

fn chosen(call: &Call<'_>, listed: bool) -> Outcome {
    let keys: Result<Vec<&[u8]>, Fault> = (1..call.arguments.len()).map(|index| call.text(index)).collect();
    let keys = keys?;
    let entries = entries(call, 0)?;
    call.budget.elements(entries.len().saturating_mul(keys.len()) / 8)?;
    let kept = entries.into_iter().filter(|(key, _)| keys.contains(&key.bytes()) == listed);
    Ok(Value::Map(Map::new(kept, MapKind::Any)))
}

fn dig(call: &Call<'_>) -> Outcome {
    let [keys @ .., default, map] = call.arguments else {
        return Err(Fault::refused("at least three arguments are wanted"));
    };
    if keys.is_empty() {
        return Err(Fault::refused("at least three arguments are wanted"));
    }
    let mut value = map.clone();
    for index in 0..keys.len() {
        let key = call.text(index)?;
        let next = match &value {
            Value::Map(map) if map.kind() == MapKind::Any => map.at(key),
            other => {
                return Err(wrong_type(call.arguments.len() - 1, "map[string]interface {}", other));
            }
        };
        let Some(next) = next else {
            return Ok(default.clone());
        };
        value = next;
    }
    Ok(value)
}
