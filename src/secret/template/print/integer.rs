//! Whole numbers.

use super::{Directive, Printer};
use crate::secret::template::error::Fault;

impl Printer<'_> {
    /// A number in a base, with sign, prefix, leading zeros and padding.
    pub(super) fn whole(&mut self, number: i64, base: u32, verb: char, directive: &Directive) -> Result<(), Fault> {
        let spaced = Directive { zero: false, ..*directive };
        let signed = number < 0 || directive.plus || directive.space;
        let zeros = match (directive.precision, directive.width) {
            (Some(0), _) if number == 0 => return self.pad(b"", &spaced),
            (Some(precision), _) => precision,
            (None, Some(width)) if directive.zero && !directive.minus => width.saturating_sub(usize::from(signed)),
            (None, _) => 0,
        };
        self.budget.text(zeros)?;
        let magnitude = number.unsigned_abs();
        let digits = match (base, verb) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, 'X') => format!("{magnitude:X}"),
            (16, _) => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let mut text = match number {
            ..0 => "-",
            _ if directive.plus => "+",
            _ if directive.space => " ",
            _ => "",
        }
        .to_owned();
        let digits = format!("{}{digits}", "0".repeat(zeros.saturating_sub(digits.len())));
        text.push_str(match (base, verb) {
            (_, 'O') => "0o",
            (2, _) if directive.sharp => "0b",
            (8, _) if directive.sharp && !digits.starts_with('0') => "0",
            (16, 'X') if directive.sharp => "0X",
            (16, _) if directive.sharp => "0x",
            _ => "",
        });
        text.push_str(&digits);
        self.pad(text.as_bytes(), &spaced)
    }

    /// `U+0041`.
    pub(super) fn unicode(&mut self, number: i64, directive: &Directive) -> Result<(), Fault> {
        let width = directive.precision.unwrap_or(4).max(4);
        self.budget.text(width)?;
        // As unsigned, as Go shows it.
        let mut text = format!("U+{:0width$X}", number.cast_unsigned());
        if directive.sharp
            && let Some(character) = u32::try_from(number).ok().and_then(char::from_u32)
            && super::quote::is_printable(character)
        {
            text.push_str(&format!(" '{character}'"));
        }
        self.pad(text.as_bytes(), &Directive { zero: false, ..*directive })
    }
}
