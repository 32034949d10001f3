//! Merging dictionaries the way the Go library `mergo` does it, with its surprises.

use super::{Call, Function, MANY, Outcome, function};
use crate::secret::template::{
    budget::{Budget, deeper},
    error::Fault,
    value::{Map, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("merge", 1, MANY, |call| merge(call, false)),
    function("mustMerge", 1, MANY, |call| merge(call, false)),
    function("mergeOverwrite", 1, MANY, |call| merge(call, true)),
    function("mustMergeOverwrite", 1, MANY, |call| merge(call, true)),
];

fn merge(call: &Call<'_>, overwrite: bool) -> Outcome {
    let destination = call.map(0)?;
    for index in 1..call.arguments.len() {
        merge_into(call.budget, destination, call.map(index)?, overwrite, 0)?;
    }
    Ok(Value::Map(destination.clone()))
}

/// Fills what is empty in the destination; the destination of an inner dictionary is changed in place.
fn merge_into(budget: &Budget, destination: &Map, source: &Map, overwrite: bool, depth: usize) -> Result<(), Fault> {
    budget.elements(source.len())?;
    for (key, new) in source.entries() {
        if matches!(new, Value::Nil) {
            if overwrite {
                destination.insert(budget, key, new)?;
            }
            continue;
        }
        let old = destination.at(key.bytes());
        if let (Value::Map(new), Some(Value::Map(old))) = (&new, &old)
            && !old.is(new)
        {
            merge_into(budget, old, new, overwrite, deeper(depth)?)?;
        }
        let replaced = match (&new, &old) {
            (_, None) => true,
            // An inner dictionary has been merged above; only an empty one is replaced as a whole.
            (Value::Map(_), Some(Value::Map(old))) => old.is_empty(),
            (_, Some(old)) => overwrite || is_zero(old),
        };
        if replaced {
            destination.insert(budget, key, new)?;
        }
    }
    Ok(())
}

/// What `mergo` fills: zero values. A time or a version is none.
fn is_zero(value: &Value) -> bool {
    !value.is_true()
}
