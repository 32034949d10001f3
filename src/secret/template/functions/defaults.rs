//! Defaults and emptiness.

use super::{Call, Function, MANY, Outcome, function};
use crate::secret::template::{
    budget::{Budget, deeper},
    error::Fault,
    value::{List, Map, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("default", 1, MANY, |call| {
        Ok(call.rest(1).first().filter(|given| !is_empty(given)).unwrap_or(call.any(0)?).clone())
    }),
    function("empty", 1, 1, |call| Ok(Value::Bool(is_empty(call.any(0)?)))),
    function("coalesce", 0, MANY, |call| {
        Ok(call.arguments.iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Nil))
    }),
    function("all", 0, MANY, |call| Ok(Value::Bool(!call.arguments.iter().any(is_empty)))),
    function("any", 0, MANY, |call| Ok(Value::Bool(!call.arguments.iter().all(is_empty)))),
    function("ternary", 3, 3, |call| {
        let index = usize::from(!call.bool(2)?);
        call.any(index).cloned()
    }),
    function("deepCopy", 1, 1, deep_copy),
    function("mustDeepCopy", 1, 1, deep_copy),
];

/// Whether Sprig takes a value for not given: zero, false, or without elements. A time or a version is never empty.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.is_true()
}

fn deep_copy(call: &Call<'_>) -> Outcome {
    copy(call.budget, call.any(0)?, 0)
}

fn copy(budget: &Budget, value: &Value, depth: usize) -> Result<Value, Fault> {
    match value {
        Value::List(list) => {
            budget.elements(list.len())?;
            let depth = deeper(depth)?;
            let items: Result<_, _> = list.items().iter().map(|item| copy(budget, item, depth)).collect();
            Ok(Value::List(List::new(items?, list.kind())))
        }
        Value::Map(map) => {
            budget.elements(map.len())?;
            let depth = deeper(depth)?;
            let entries: Result<Vec<_>, Fault> =
                map.entries().into_iter().map(|(key, item)| Ok((key, copy(budget, &item, depth)?))).collect();
            Ok(Value::Map(Map::new(entries?, map.kind())))
        }
        // Everything else never changes.
        other => Ok(other.clone()),
    }
}
