//! What an object that can be read may still have wrong.

use std::fmt;

/// A rule that an object breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, such as `spec.dataFrom[0]`.
    pub path: String,
    /// What is wrong, in a sentence that quotes no value.
    pub message: String,
}

impl Violation {
    /// A rule that is broken there.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Whether this is a duration as Go writes it, such as `1h30m` or `-1.5s`.
pub(crate) fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, unit) = rest.split_at(number);
        if !digits.contains(|c: char| c.is_ascii_digit()) || digits.matches('.').count() > 1 {
            return false;
        }
        let units = ["ns", "us", "\u{b5}s", "\u{3bc}s", "ms", "s", "m", "h"];
        let Some(after) = units.iter().find_map(|name| unit.strip_prefix(name)) else { return false };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for good in
            ["0", "-0", "1h", "1h30m", "1.5s", ".5s", "1.s", "-1m", "+1ms", "100us", "1\u{b5}s", "1ns", "1h0m0s"]
        {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "-", "1", "1d", "h", "1h ", " 1h", "1 h", ".s", "1.2.3s", "1hh", "1m2", "00", "--1s"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }
}
