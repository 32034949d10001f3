//! Go's built-in functions other than comparisons. `and` and `or` are part of the language: see `execute`.

use super::{Call, Function, MANY, Outcome, encoding::query_escape, function, wrong_type};
use crate::secret::template::{
    error::Fault,
    print,
    value::{MapKind, Value, Width},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("and", 1, MANY, |call| call.any(0).cloned()),
    function("or", 1, MANY, |call| call.any(0).cloned()),
    function("not", 1, 1, |call| Ok(Value::Bool(!call.any(0)?.is_true()))),
    function("print", 0, MANY, |call| print::sprint(call.budget, call.arguments).map(Value::text)),
    function("println", 0, MANY, |call| print::sprintln(call.budget, call.arguments).map(Value::text)),
    function("printf", 1, MANY, |call| print::sprintf(call.budget, call.text(0)?, call.rest(1)).map(Value::text)),
    function("len", 1, 1, length),
    function("index", 1, MANY, index),
    function("call", 1, MANY, |_| Err(Fault::refused("there are no function values"))),
    function("html", 0, MANY, |call| escaped(call, html)),
    function("js", 0, MANY, |call| {
        escaped(call, |text| gotmpl::js_escape(&String::from_utf8_lossy(text)).into_bytes())
    }),
    function("urlquery", 0, MANY, |call| escaped(call, query_escape)),
];

fn length(call: &Call<'_>) -> Outcome {
    match call.any(0)? {
        Value::Text(text) => Ok(Value::count(text.len())),
        Value::List(list) => Ok(Value::count(list.len())),
        Value::Map(map) => Ok(Value::count(map.len())),
        other => Err(wrong_type(0, "something with a length", other)),
    }
}

fn index(call: &Call<'_>) -> Outcome {
    let mut value = call.any(0)?.clone();
    for (at, key) in call.rest(1).iter().enumerate() {
        value = match (&value, key) {
            (Value::Map(map), Value::Text(key)) => match (map.at(key.bytes()), map.lacks(key.bytes()), map.kind()) {
                (Some(value), _, _) => value,
                (None, Some(fault), _) => return Err(fault),
                // Go's zero value; a missing key is no error here, whatever the option for missing keys says.
                (None, None, MapKind::Text) => Value::text(""),
                (None, None, MapKind::Any) => Value::Nil,
            },
            (Value::Map(_), other) => return Err(wrong_type(at + 1, "string", other)),
            (Value::List(list), Value::Int(at, _)) => {
                let item = usize::try_from(*at).ok().and_then(|at| list.items().get(at));
                item.cloned().ok_or(Fault::refused("the index is out of range"))?
            }
            (Value::Text(text), Value::Int(at, _)) => {
                let byte = usize::try_from(*at).ok().and_then(|at| text.bytes().get(at));
                let byte = byte.ok_or(Fault::refused("the index is out of range"))?;
                Value::Int(i64::from(*byte), Width::Byte)
            }
            (Value::List(_) | Value::Text(_), other) => {
                return Err(wrong_type(at + 1, "int", other));
            }
            (other, _) => return Err(wrong_type(0, "something with an index", other)),
        };
    }
    Ok(value)
}

fn escaped(call: &Call<'_>, escape: impl Fn(&[u8]) -> Vec<u8>) -> Outcome {
    let text = match call.arguments {
        [Value::Nil] => b"<no value>".to_vec(),
        values => print::sprint(call.budget, values)?,
    };
    // The longest escape of one byte has six.
    call.budget.text(text.len().saturating_mul(6))?;
    Ok(Value::text(escape(&text)))
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'\0' => escaped.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => escaped.extend_from_slice(b"&#34;"),
            b'\'' => escaped.extend_from_slice(b"&#39;"),
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            other => escaped.push(*other),
        }
    }
    escaped
}
