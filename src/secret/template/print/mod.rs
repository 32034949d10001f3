//! Go's `fmt`: how values become text.

mod float;
mod integer;
mod quote;
mod verb;

use super::{
    budget::Budget,
    error::{Fault, Limit},
    value::{Value, decode},
};

pub(super) use float::shortest_parts;
pub(super) use quote::quoted;

/// Flags, width and precision of one directive such as `%-08.3f`.
#[derive(Clone, Copy, Default)]
struct Directive {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Text under construction, within the limits.
struct Printer<'b> {
    budget: &'b Budget,
    text: Vec<u8>,
}

/// As `fmt.Sprint(value)` shows it.
pub(super) fn display(budget: &Budget, value: &Value) -> Result<Vec<u8>, Fault> {
    let mut printer = Printer::new(budget);
    printer.value(value, 'v', &Directive::default(), 0)?;
    Ok(printer.text)
}

/// Sprig's `strval`: strings as they are, all else as Go shows it.
pub(super) fn as_text(budget: &Budget, value: &Value) -> Result<Vec<u8>, Fault> {
    match value {
        Value::Text(text) => {
            budget.charge(text.len())?;
            Ok(text.bytes().to_vec())
        }
        other => display(budget, other),
    }
}

/// `print`: spaces only between operands of which neither is a string.
pub(super) fn sprint(budget: &Budget, values: &[Value]) -> Result<Vec<u8>, Fault> {
    let mut printer = Printer::new(budget);
    let mut after_text = true;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if index > 0 && !is_text && !after_text {
            printer.push(b" ")?;
        }
        printer.value(value, 'v', &Directive::default(), 0)?;
        after_text = is_text;
    }
    Ok(printer.text)
}

/// `println`: spaces between all operands and a line break at the end.
pub(super) fn sprintln(budget: &Budget, values: &[Value]) -> Result<Vec<u8>, Fault> {
    let mut printer = Printer::new(budget);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.push(b" ")?;
        }
        printer.value(value, 'v', &Directive::default(), 0)?;
    }
    printer.push(b"\n")?;
    Ok(printer.text)
}

/// `printf`.
pub(super) fn sprintf(budget: &Budget, format: &[u8], values: &[Value]) -> Result<Vec<u8>, Fault> {
    let mut printer = Printer::new(budget);
    let mut cursor = Cursor { rest: format, values, next: 0, reordered: false, good_index: true };
    while let Some(at) = cursor.rest.iter().position(|byte| *byte == b'%') {
        let (literal, rest) = cursor.rest.split_at(at);
        printer.push(literal)?;
        cursor.rest = rest.get(1..).unwrap_or_default();
        cursor.directive(&mut printer)?;
    }
    printer.push(cursor.rest)?;
    cursor.extra(&mut printer)?;
    Ok(printer.text)
}

impl<'b> Printer<'b> {
    const fn new(budget: &'b Budget) -> Self {
        Self { budget, text: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.budget.charge(bytes.len() + 1)?;
        if self.text.len() + bytes.len() > super::budget::VALUE {
            return Err(Limit::Value.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes `bytes`, filled up to the width.
    fn pad(&mut self, bytes: &[u8], directive: &Directive) -> Result<(), Fault> {
        let length = super::value::runes(bytes).count();
        let missing = directive.width.unwrap_or(0).saturating_sub(length);
        if directive.minus {
            self.push(bytes)?;
            return self.fill(missing, b' ');
        }
        self.fill(missing, if directive.zero { b'0' } else { b' ' })?;
        self.push(bytes)
    }

    fn fill(&mut self, count: usize, with: u8) -> Result<(), Fault> {
        self.budget.text(count)?;
        self.push(&vec![with; count])
    }
}

/// The position in a format and its operands.
struct Cursor<'a> {
    rest: &'a [u8],
    values: &'a [Value],
    next: usize,
    reordered: bool,
    good_index: bool,
}

impl Cursor<'_> {
    fn directive(&mut self, printer: &mut Printer<'_>) -> Result<(), Fault> {
        let mut directive = Directive::default();
        self.good_index = true;
        self.reordered = false;
        while let Some((flag, rest)) = self.rest.split_first() {
            match flag {
                b'#' => directive.sharp = true,
                b'0' => directive.zero = true,
                b'+' => directive.plus = true,
                b'-' => directive.minus = true,
                b' ' => directive.space = true,
                _ => break,
            }
            self.rest = rest;
        }
        let mut after_index = self.index();
        if let Some(rest) = self.rest.strip_prefix(b"*") {
            self.rest = rest;
            match self.operand() {
                Some(width) => {
                    directive.minus |= width < 0;
                    directive.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => printer.push(b"%!(BADWIDTH)")?,
            }
            after_index = false;
        } else {
            directive.width = self.digits();
            if after_index && directive.width.is_some() {
                self.good_index = false;
            }
        }
        if let Some(rest) = self.rest.strip_prefix(b".") {
            self.rest = rest;
            if after_index {
                self.good_index = false;
            }
            after_index = self.index();
            if let Some(rest) = self.rest.strip_prefix(b"*") {
                self.rest = rest;
                match self.operand() {
                    Some(precision) => directive.precision = usize::try_from(precision).ok(),
                    None => printer.push(b"%!(BADPREC)")?,
                }
                after_index = false;
            } else {
                directive.precision = Some(self.digits().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let Some((verb, length)) = decode(self.rest) else {
            return printer.push(b"%!(NOVERB)");
        };
        let (spelling, rest) = self.rest.split_at(length);
        self.rest = rest;
        if verb == '%' {
            return printer.push(b"%");
        }
        let refused: &[u8] = if !self.good_index {
            b"(BADINDEX)"
        } else if let Some(value) = self.values.get(self.next) {
            self.next += 1;
            return printer.operand(value, verb, &directive);
        } else {
            b"(MISSING)"
        };
        printer.push(b"%!")?;
        printer.push(spelling)?;
        printer.push(refused)
    }

    /// `[3]`: the number of the next operand.
    fn index(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix(b"[") else {
            return false;
        };
        self.reordered = true;
        let Some(end) = rest.iter().position(|byte| *byte == b']') else {
            self.good_index = false;
            self.rest = rest;
            return false;
        };
        let (number, rest) = rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse::<usize>().ok());
        match number.and_then(|number| number.checked_sub(1)).filter(|index| *index < self.values.len()) {
            Some(index) => {
                self.next = index;
                true
            }
            None => {
                self.good_index = false;
                true
            }
        }
    }

    fn digits(&mut self) -> Option<usize> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        // Go gives up on more than a million.
        std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number <= 1_000_000)
    }

    /// The operand that a `*` stands for.
    fn operand(&mut self) -> Option<i64> {
        let value = self.values.get(self.next);
        self.next += usize::from(value.is_some());
        match value {
            Some(Value::Int(number, _)) if number.unsigned_abs() <= 1_000_000 => Some(*number),
            _ => None,
        }
    }

    fn extra(&self, printer: &mut Printer<'_>) -> Result<(), Fault> {
        let extra = self.values.get(self.next..).unwrap_or_default();
        if self.reordered || extra.is_empty() {
            return Ok(());
        }
        printer.push(b"%!(EXTRA ")?;
        for (index, value) in extra.iter().enumerate() {
            if index > 0 {
                printer.push(b", ")?;
            }
            if !matches!(value, Value::Nil) {
                printer.push(value.type_name().as_bytes())?;
                printer.push(b"=")?;
            }
            printer.value(value, 'v', &Directive::default(), 0)?;
        }
        printer.push(b")")
    }
}
