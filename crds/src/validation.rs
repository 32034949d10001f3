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
