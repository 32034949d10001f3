//! Sprig's floating-point arithmetic, which goes through decimal numbers: `addf 0.1 0.2` is 0.3.

use num_bigint::{BigInt, Sign};

use super::{Outcome, numbers::to_float};
use crate::secret::template::{
    budget::{Budget, STEP},
    error::Fault,
    print,
    value::Value,
};

/// What to do with the operands from left to right.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Digits after the point that a division keeps.
const DIVISION_DIGITS: i32 = 16;

/// A number times a power of ten.
struct Decimal {
    digits: BigInt,
    exponent: i32,
}

/// Applies one operation to all operands.
pub(super) fn calculate(budget: &Budget, operation: Operation, operands: &[Value]) -> Outcome {
    let mut operands = operands.iter();
    let mut total = Decimal::from_float(operands.next().map_or(0.0, to_float))?;
    for operand in operands {
        // Exact results grow with every operand.
        let size = usize::try_from(total.digits.bits()).unwrap_or(usize::MAX);
        budget.charge(STEP.saturating_add(size))?;
        let operand = Decimal::from_float(to_float(operand))?;
        total = match operation {
            Operation::Add => total.plus(operand),
            Operation::Subtract => total.plus(Decimal { digits: -operand.digits, ..operand }),
            Operation::Multiply => Decimal {
                digits: total.digits * operand.digits,
                exponent: total.exponent.saturating_add(operand.exponent),
            },
            Operation::Divide => total.divided_by(&operand)?,
        };
    }
    // The standard library rounds a decimal text of any length correctly.
    let text = format!("{}e{}", total.digits, total.exponent);
    Ok(Value::Float(text.parse().unwrap_or(f64::NAN)))
}

impl Decimal {
    fn from_float(number: f64) -> Result<Self, Fault> {
        if !number.is_finite() {
            return Err(Fault::refused("not a finite number"));
        }
        let (digits, exponent) = print::shortest_parts(number);
        let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        let magnitude: BigInt = digits.parse().unwrap_or_default();
        let digits = if number < 0.0 { -magnitude } else { magnitude };
        Ok(Self { digits, exponent: exponent + 1 - length })
    }

    fn scaled_to(self, exponent: i32) -> BigInt {
        self.digits * ten_to(self.exponent - exponent)
    }

    fn plus(self, other: Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self { digits: self.scaled_to(exponent) + other.scaled_to(exponent), exponent }
    }

    /// To sixteen digits after the point, halves away from zero.
    fn divided_by(self, other: &Self) -> Result<Self, Fault> {
        if other.digits.sign() == Sign::NoSign {
            return Err(Fault::refused("division by zero"));
        }
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let (dividend, divisor) = if shift < 0 {
            (self.digits, other.digits.clone() * ten_to(-shift))
        } else {
            (self.digits * ten_to(shift), other.digits.clone())
        };
        let quotient = &dividend / &divisor;
        let rest = &dividend % &divisor;
        let half_reached = rest.magnitude() * 2_u32 >= *divisor.magnitude();
        let away = if dividend.sign() == divisor.sign() { 1 } else { -1 };
        let digits = if half_reached { quotient + away } else { quotient };
        Ok(Self { digits, exponent: -DIVISION_DIGITS })
    }
}

fn ten_to(exponent: i32) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}
