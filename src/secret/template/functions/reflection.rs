//! Types and kinds by their Go names.

use super::{Function, function};
use crate::secret::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("typeOf", 1, 1, |call| Ok(Value::text(call.any(0)?.type_name()))),
    function("typeIs", 2, 2, |call| Ok(Value::Bool(call.text(0)? == call.any(1)?.type_name().as_bytes()))),
    function("typeIsLike", 2, 2, |call| {
        let (wanted, name) = (call.text(0)?, call.any(1)?.type_name().as_bytes());
        Ok(Value::Bool(wanted == name || name.strip_prefix(b"*") == Some(wanted)))
    }),
    function("kindOf", 1, 1, |call| Ok(Value::text(call.any(0)?.kind_name()))),
    function("kindIs", 2, 2, |call| Ok(Value::Bool(call.text(0)? == call.any(1)?.kind_name().as_bytes()))),
];
