//! What can go wrong, in words that never hold a secret.
//!
//! A template works on secret values, and the usual engines quote those values in their errors. Here an error names
//! the place, the function and one of a fixed set of reasons: every reason is a `&'static str`, so that no argument of a
//! function can get into a message. The only free words are names that stand in the template itself.

use std::fmt;

/// Why a template was not rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template's text is longer than is accepted.
    #[error("the template has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Bytes of the template.
        size: usize,
        /// The most that is accepted.
        limit: usize,
    },

    /// The text is not a template.
    #[error("cannot parse the template at {at}: {reason}")]
    Parse {
        /// Where the parser stopped.
        at: Position,
        /// What it found there.
        reason: &'static str,
    },

    /// No function has this name.
    #[error("cannot parse the template at {at}: unknown function {name}")]
    UnknownFunction {
        /// Where it is called.
        at: Position,
        /// The name in the template.
        name: String,
    },

    /// The function exists in Sprig and is withheld here on purpose.
    #[error("cannot parse the template at {at}: the function {name} is not available: {reason}")]
    Unavailable {
        /// Where it is called.
        at: Position,
        /// The name in the template.
        name: String,
        /// Why it is withheld.
        reason: &'static str,
    },

    /// A variable is used that was never declared.
    #[error("cannot parse the template at {at}: undefined variable {name}")]
    UndefinedVariable {
        /// Where it is used.
        at: Position,
        /// The name in the template, with its dollar sign.
        name: String,
    },

    /// `{{template "name"}}` without a `{{define "name"}}`.
    #[error("cannot render the template at {at}: no template is defined with the name {name}")]
    UndefinedTemplate {
        /// Where it is called.
        at: Position,
        /// The name in the template.
        name: String,
    },

    /// The values have no such key, and the caller asked for that to be an error.
    #[error("cannot render the template at {at}: there is no value with the key {name}")]
    MissingKey {
        /// Where it is used.
        at: Position,
        /// The key in the template.
        name: String,
    },

    /// A secret has no such key, or there is no such secret.
    #[error("cannot render the template at {at}: {called} has no key {key}")]
    MissingIn {
        /// Where it is used.
        at: Position,
        /// The secret, for people.
        called: String,
        /// The key, if it stands in the template; `of that name` if the template makes it.
        key: String,
    },

    /// A limit on time, memory, depth or output was reached.
    #[error("cannot render the template at {at}: {limit}")]
    Limit {
        /// Where the template was when it happened.
        at: Position,
        /// Which limit.
        limit: Limit,
    },

    /// A function refused its arguments.
    #[error("cannot render the template at {at}: {function}: {reason}")]
    Function {
        /// Where it is called.
        at: Position,
        /// The name in the template.
        function: String,
        /// Why, without the arguments.
        reason: Reason,
    },

    /// Something other than a function cannot be evaluated.
    #[error("cannot render the template at {at}: {reason}")]
    Execute {
        /// Where in the template.
        at: Position,
        /// Why, without the values.
        reason: Reason,
    },
}

/// A place in a template; both numbers start at 1, and columns count bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset.
    pub(crate) fn of(source: &str, offset: usize) -> Self {
        let before = source.as_bytes().get(..offset).unwrap_or(source.as_bytes());
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Self { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The limits that keep a template from being a weapon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// Too many steps, or too many bytes made on the way.
    #[error("it takes more work than a template may do")]
    Work,
    /// The result does not fit into a Secret anyway.
    #[error("its output is larger than a Secret can be")]
    Output,
    /// One value on the way is too large.
    #[error("it makes a value that is larger than a Secret can be")]
    Value,
    /// Templates call each other, or values contain each other, too deeply.
    #[error("it is nested too deeply")]
    Depth,
}

/// Why a value was refused; by construction without the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A wrong number of arguments.
    #[error("{found} arguments where {expected}")]
    Arguments {
        /// What the function wants, in words.
        expected: &'static str,
        /// How many it got.
        found: usize,
    },
    /// An argument of a wrong type.
    #[error("argument {argument} must be {expected}, not {found}")]
    Type {
        /// Which argument, from 1.
        argument: usize,
        /// The Go name of the type it wants.
        expected: &'static str,
        /// The Go name of the type it got.
        found: &'static str,
    },
    /// Any other refusal.
    #[error("{0}")]
    Refused(&'static str),
}

/// What a function or an operator returns instead of a value: an error that does not know its place yet.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A limit was reached.
    Limit(Limit),
    /// The value was refused.
    Because(Reason),
    /// A key is missing from a map.
    MissingKey(String),
    /// A key is missing from a map that says what it is. The key may be a value: it is for the template to say.
    MissingIn {
        /// What it is.
        called: String,
        /// The key.
        key: String,
    },
}

impl Fault {
    /// A refusal in fixed words.
    pub(crate) const fn refused(reason: &'static str) -> Self {
        Self::Because(Reason::Refused(reason))
    }
}

impl From<Limit> for Fault {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}
