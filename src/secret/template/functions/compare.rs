//! Go's comparisons, and equality as `reflect.DeepEqual` has it.

use std::cmp::Ordering;

use super::{Call, Function, MANY, Outcome, function};
use crate::secret::template::{
    budget::{Budget, STEP, deeper},
    error::Fault,
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("eq", 2, MANY, |call| {
        for other in call.rest(1) {
            if equal(call.any(0)?, other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    function("ne", 2, 2, |call| Ok(Value::Bool(!equal(call.any(0)?, call.any(1)?)?))),
    function("lt", 2, 2, |call| ordered(call, |order| order == Some(Ordering::Less))),
    function("le", 2, 2, |call| ordered(call, |order| matches!(order, Some(Ordering::Less | Ordering::Equal)))),
    // Go defines these two as the opposites of the others, which shows with NaN.
    function("gt", 2, 2, |call| ordered(call, |order| !matches!(order, Some(Ordering::Less | Ordering::Equal)))),
    function("ge", 2, 2, |call| ordered(call, |order| order != Some(Ordering::Less))),
    function("deepEqual", 2, 2, |call| deep_equal(call.budget, call.any(0)?, call.any(1)?, 0).map(Value::Bool)),
];

fn equal(left: &Value, right: &Value) -> Result<bool, Fault> {
    match (left, right) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Int(left, _), Value::Int(right, _)) => Ok(left == right),
        (Value::Float(left), Value::Float(right)) => Ok(left == right),
        (Value::Text(left), Value::Text(right)) => Ok(left == right),
        (Value::Moment(left), Value::Moment(right)) => Ok(left.same_as(right)),
        (Value::Certificate(left), Value::Certificate(right)) => {
            Ok(left.certificate == right.certificate && left.key == right.key)
        }
        // Pointers: equal only if they are the same.
        (Value::Version(left), Value::Version(right)) => Ok(std::rc::Rc::ptr_eq(left, right)),
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => {
            Err(Fault::refused("slices and maps cannot be compared"))
        }
        _ => Err(Fault::refused("incompatible types for comparison")),
    }
}

fn ordered(call: &Call<'_>, wanted: fn(Option<Ordering>) -> bool) -> Outcome {
    let order = match (call.any(0)?, call.any(1)?) {
        (Value::Int(left, _), Value::Int(right, _)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (left, right) if left.kind_name() != right.kind_name() => {
            return Err(Fault::refused("incompatible types for comparison"));
        }
        _ => return Err(Fault::refused("invalid type for comparison")),
    };
    Ok(Value::Bool(wanted(order)))
}

/// Go's `reflect.DeepEqual`: types count, so the `int` 1 is not the `int64` 1.
pub(super) fn deep_equal(budget: &Budget, left: &Value, right: &Value, depth: usize) -> Result<bool, Fault> {
    budget.charge(STEP)?;
    match (left, right) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Int(left, width), Value::Int(right, other)) => Ok(left == right && width == other),
        (Value::Float(left), Value::Float(right)) => Ok(left == right),
        (Value::Text(left), Value::Text(right)) => {
            budget.charge(left.len().min(right.len()))?;
            Ok(left == right)
        }
        (Value::List(left), Value::List(right)) => {
            if left.kind() != right.kind() || left.len() != right.len() || left.is_absent() != right.is_absent() {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !deep_equal(budget, left, right, deeper(depth)?)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.is(right) {
                return Ok(true);
            }
            if left.kind() != right.kind() || left.len() != right.len() {
                return Ok(false);
            }
            budget.elements(left.len())?;
            for (key, left) in left.entries() {
                let Some(right) = right.at(key.bytes()) else {
                    return Ok(false);
                };
                if !deep_equal(budget, &left, &right, deeper(depth)?)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Moment(left), Value::Moment(right)) => Ok(left.same_as(right)),
        (Value::Version(left), Value::Version(right)) => Ok(left == right),
        (Value::Certificate(left), Value::Certificate(right)) => {
            Ok(left.certificate == right.certificate && left.key == right.key)
        }
        _ => Ok(false),
    }
}
