//! Whole numbers and floating point. What is no number counts as 0, as in the library `cast` that Sprig uses.

use super::{Call, Function, MANY, Outcome, decimal, function, wrong_type};
use crate::secret::template::{
    budget::{Budget, VALUE},
    error::{Fault, Limit},
    print,
    value::{List, ListKind, Value, Width},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("int", 1, 1, |call| Ok(Value::int(to_int(call.any(0)?)))),
    function("int64", 1, 1, |call| Ok(Value::long(to_int(call.any(0)?)))),
    function("float64", 1, 1, |call| Ok(Value::Float(to_float(call.any(0)?)))),
    function("atoi", 1, 1, |call| Ok(Value::int(integer(call.text(0)?, 10).unwrap_or_else(Overflow::nearest)))),
    function("toDecimal", 1, 1, |call| {
        let text = print::as_text(call.budget, call.any(0)?)?;
        Ok(Value::long(integer(&text, 8).unwrap_or(0)))
    }),
    function("add", 0, MANY, |call| Ok(folded(call, 0, 0, i64::wrapping_add))),
    function("add1", 1, 1, |call| Ok(folded(call, 0, 1, i64::wrapping_add))),
    function("sub", 2, 2, |call| Ok(folded(call, 1, to_int(call.any(0)?), i64::wrapping_sub))),
    function("mul", 1, MANY, |call| Ok(folded(call, 1, to_int(call.any(0)?), i64::wrapping_mul))),
    function("div", 2, 2, |call| divided(call, i64::wrapping_div)),
    function("mod", 2, 2, |call| divided(call, i64::wrapping_rem)),
    function("max", 1, MANY, |call| Ok(folded(call, 1, to_int(call.any(0)?), i64::max))),
    function("biggest", 1, MANY, |call| Ok(folded(call, 1, to_int(call.any(0)?), i64::max))),
    function("min", 1, MANY, |call| Ok(folded(call, 1, to_int(call.any(0)?), i64::min))),
    function("maxf", 1, MANY, |call| extreme(call, |left, right| left > right)),
    function("minf", 1, MANY, |call| extreme(call, |left, right| left < right)),
    function("add1f", 1, 1, |call| {
        let operands = [call.any(0)?.clone(), Value::int(1)];
        decimal::calculate(call.budget, decimal::Operation::Add, &operands)
    }),
    function("addf", 0, MANY, |call| {
        let operands: Vec<Value> = [Value::Float(0.0)].into_iter().chain(call.arguments.iter().cloned()).collect();
        decimal::calculate(call.budget, decimal::Operation::Add, &operands)
    }),
    function("subf", 1, MANY, |call| decimal::calculate(call.budget, decimal::Operation::Subtract, call.arguments)),
    function("mulf", 1, MANY, |call| decimal::calculate(call.budget, decimal::Operation::Multiply, call.arguments)),
    function("divf", 1, MANY, |call| decimal::calculate(call.budget, decimal::Operation::Divide, call.arguments)),
    function("ceil", 1, 1, |call| Ok(Value::Float(to_float(call.any(0)?).ceil()))),
    function("floor", 1, 1, |call| Ok(Value::Float(to_float(call.any(0)?).floor()))),
    function("round", 2, MANY, round),
    function("until", 1, 1, |call| {
        let count = call.int(0)?;
        numbers(call.budget, 0, count, if count < 0 { -1 } else { 1 }).map(ints)
    }),
    function("untilStep", 3, 3, |call| numbers(call.budget, call.int(0)?, call.int(1)?, call.int(2)?).map(ints)),
    function("seq", 0, MANY, sequence),
];

/// Go's `cast.ToInt64`.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(number, _) => *number,
        Value::Float(number) => truncated(*number),
        Value::Text(text) => integer(without_zero_fraction(text.bytes()), 0).unwrap_or(0),
        Value::Bool(truth) => (*truth).into(),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Moment(_) | Value::Version(_) | Value::Certificate(_) => 0,
    }
}

/// Go's `cast.ToFloat64`.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number, _) => *number as f64,
        Value::Float(number) => *number,
        Value::Text(text) => std::str::from_utf8(text.bytes()).ok().and_then(float).unwrap_or(0.0),
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Moment(_) | Value::Version(_) | Value::Certificate(_) => {
            0.0
        }
    }
}

/// Go's conversion on the usual processors: what does not fit becomes the smallest number.
fn truncated(number: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) { number as i64 } else { i64::MIN }
}

fn float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    // Too large is an error in Go unless infinity was meant.
    (number.is_finite() || text.bytes().all(|byte| !byte.is_ascii_digit())).then_some(number)
}

/// "12.00" is a whole number.
fn without_zero_fraction(text: &[u8]) -> &[u8] {
    let zeros = text.iter().rev().take_while(|byte| **byte == b'0').count();
    match text.get(..text.len() - zeros) {
        Some([whole @ .., b'.']) if zeros > 0 => whole,
        _ => text,
    }
}

/// Why a text is no number.
pub(super) enum Overflow {
    Syntax,
    High,
    Low,
}

impl Overflow {
    /// What Go's `Atoi` returns beside its error.
    pub(super) const fn nearest(self) -> i64 {
        match self {
            Self::Syntax => 0,
            Self::High => i64::MAX,
            Self::Low => i64::MIN,
        }
    }
}

/// Go's `strconv.ParseInt`; base 0 reads the prefixes `0x`, `0o`, `0b` and `0`, and underscores.
pub(super) fn integer(text: &[u8], base: u32) -> Result<i64, Overflow> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let (digits, radix, prefixed) = match (base, digits) {
        (0, [b'0', b'x' | b'X', digits @ ..]) => (digits, 16, true),
        (0, [b'0', b'b' | b'B', digits @ ..]) => (digits, 2, true),
        (0, [b'0', b'o' | b'O', digits @ ..]) => (digits, 8, true),
        (0, [b'0', digits @ ..]) if !digits.is_empty() => (digits, 8, true),
        (0, digits) => (digits, 10, false),
        (base, digits) => (digits, base, false),
    };
    if digits.is_empty() {
        return Err(Overflow::Syntax);
    }
    let mut total: Option<i64> = Some(0);
    // An underscore must stand between digits, or between the prefix and a digit.
    let mut separable = prefixed;
    for byte in digits {
        if *byte == b'_' && base == 0 && separable {
            separable = false;
            continue;
        }
        let digit = char::from(*byte).to_digit(radix).ok_or(Overflow::Syntax)?;
        separable = true;
        let digit = i64::from(digit);
        total = total
            .and_then(|total| total.checked_mul(radix.into()))
            .and_then(|total| if negative { total.checked_sub(digit) } else { total.checked_add(digit) });
    }
    if !separable {
        return Err(Overflow::Syntax);
    }
    total.ok_or(if negative { Overflow::Low } else { Overflow::High })
}

fn folded(call: &Call<'_>, from: usize, start: i64, operation: fn(i64, i64) -> i64) -> Value {
    Value::long(call.rest(from).iter().fold(start, |total, next| operation(total, to_int(next))))
}

fn divided(call: &Call<'_>, operation: fn(i64, i64) -> i64) -> Outcome {
    match to_int(call.any(1)?) {
        0 => Err(Fault::refused("division by zero")),
        divisor => Ok(Value::long(operation(to_int(call.any(0)?), divisor))),
    }
}

fn extreme(call: &Call<'_>, better: fn(f64, f64) -> bool) -> Outcome {
    let first = to_float(call.any(0)?);
    let best = call.rest(1).iter().map(to_float).fold(first, |best, next| {
        if best.is_nan() || next.is_nan() {
            f64::NAN
        } else if better(next, best) {
            next
        } else {
            best
        }
    });
    Ok(Value::Float(best))
}

fn round(call: &Call<'_>) -> Outcome {
    let number = to_float(call.any(0)?);
    let limit = match call.rest(2).first() {
        None => 0.5,
        Some(limit @ (Value::Float(_) | Value::Int(_, Width::Int))) => to_float(limit),
        Some(other) => return Err(wrong_type(2, "float64", other)),
    };
    let power = 10_f64.powf(call.int(1)? as f64);
    let digit = power * number;
    let rounded = if digit.fract() >= limit { digit.ceil() } else { digit.floor() };
    Ok(Value::Float(rounded / power))
}

fn ints(numbers: Vec<i64>) -> Value {
    Value::List(List::new(numbers.into_iter().map(Value::int).collect(), ListKind::Int))
}

/// Sprig's `untilStep`. The length is known before memory is taken.
fn numbers(budget: &Budget, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let distance = i128::from(stop) - i128::from(start);
    let forward = if distance < 0 { step < 0 } else { step > 0 };
    if !forward {
        return Ok(Vec::new());
    }
    let count = distance.unsigned_abs().div_ceil(u128::from(step.unsigned_abs()));
    budget.elements(usize::try_from(count).unwrap_or(usize::MAX))?;
    let mut numbers = Vec::new();
    let mut next = Some(start);
    for _ in 0..count {
        let Some(number) = next else { break };
        numbers.push(number);
        next = number.checked_add(step);
    }
    Ok(numbers)
}

fn sequence(call: &Call<'_>) -> Outcome {
    let bounds: Result<Vec<i64>, Fault> = (0..call.arguments.len()).map(|index| call.int(index)).collect();
    let (start, step, end) = match bounds?.as_slice() {
        [end] => (1, if *end < 1 { -1 } else { 1 }, *end),
        [start, end] => (*start, if end < start { -1 } else { 1 }, *end),
        [start, step, end] if end >= start || *step <= 0 => (*start, *step, *end),
        _ => return Ok(Value::text("")),
    };
    let beyond = end.checked_add(if end < start { -1 } else { 1 }).ok_or(Limit::Value)?;
    let numbers = numbers(call.budget, start, beyond, step)?;
    if numbers.len().saturating_mul(20) > 16 * VALUE {
        return Err(Limit::Value.into());
    }
    let words: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Ok(Value::text(words.join(" ")))
}
