//! Floating-point numbers in Go's spelling.

use super::{Directive, Printer};
use crate::secret::template::{error::Fault, value::Value};

impl Printer<'_> {
    pub(super) fn float(&mut self, value: &Value, number: f64, verb: char, directive: &Directive) -> Result<(), Fault> {
        let precision = directive.precision;
        self.budget.text(precision.unwrap_or(6).saturating_add(400))?;
        let unsigned = number.abs();
        let text = match verb {
            _ if !number.is_finite() => String::new(),
            'v' | 'g' => general_to(unsigned, precision),
            'G' => general_to(unsigned, precision).replace('e', "E"),
            'f' | 'F' => format!("{unsigned:.*}", precision.unwrap_or(6)),
            'e' => exponential(unsigned, precision.unwrap_or(6)),
            'E' => exponential(unsigned, precision.unwrap_or(6)).replace('e', "E"),
            _ => return self.bad_verb(value, verb),
        };
        let negative = number.is_sign_negative() && !number.is_nan();
        let sign = match (negative, directive.plus, directive.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        if !number.is_finite() {
            let spaced = Directive { zero: false, ..*directive };
            let name = match (number.is_nan(), sign) {
                (true, _) => "NaN",
                // An infinity shows its sign always.
                (false, "") => "+Inf",
                (false, _) => "Inf",
            };
            return self.pad(format!("{sign}{name}").as_bytes(), &spaced);
        }
        if directive.zero && !directive.minus && !sign.is_empty() {
            // The sign stands before the zeros.
            self.push(sign.as_bytes())?;
            let width = directive.width.map(|width| width.saturating_sub(sign.len()));
            return self.pad(text.as_bytes(), &Directive { width, ..*directive });
        }
        self.pad(format!("{sign}{text}").as_bytes(), directive)
    }
}

/// The shortest decimal digits and the power of ten of the first of them.
pub(crate) fn shortest_parts(number: f64) -> (String, i32) {
    parts(&format!("{:e}", number.abs()))
}

fn parts(scientific: &str) -> (String, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    (digits, exponent.parse().unwrap_or(0))
}

fn general_to(number: f64, precision: Option<usize>) -> String {
    let (digits, exponent) = match precision {
        None => shortest_parts(number),
        Some(precision) => parts(&format!("{number:.*e}", precision.max(1) - 1)),
    };
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let threshold = match precision {
        None => 6,
        Some(precision) => {
            let precision = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
            if precision > length && length > exponent { length } else { precision }
        }
    };
    if exponent < -4 || exponent >= threshold {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{first}{point}{rest}{}", power(exponent));
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent + 1).unwrap_or(1);
    match digits.split_at_checked(whole) {
        Some((whole, "")) => whole.to_owned(),
        Some((whole, rest)) => format!("{whole}.{rest}"),
        None => format!("{digits}{}", "0".repeat(whole - digits.len())),
    }
}

fn exponential(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}{}", power(exponent.parse().unwrap_or(0)))
}

fn power(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.unsigned_abs())
}
