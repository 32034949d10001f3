//! Templates: Go's text/template with the functions of Sprig, as SealedSecrets and External Secrets have them.
//!
//! The dot is the map of a secret's values. Rendering is pure: the time and the randomness come from the caller, and
//! nothing is read from the machine. A template is hostile input: it runs within fixed limits on time, memory, depth
//! and output, and no error says anything about a value.

#![expect(clippy::wildcard_enum_match_arm, reason = "a value of any other type is refused: a new type is too")]

mod budget;
mod error;
mod execute;
mod functions;
mod methods;
mod print;
mod program;
mod semver;
mod time;
mod tree;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;

pub use budget::{Allowance, OUTPUT as OUTPUT_LIMIT, TEMPLATE as TEMPLATE_LIMIT};
pub use error::{Limit, Position, Reason, TemplateError};
pub use tree::{Tree, check, render_tree};

use super::{Plaintext, Values};

/// What a template may use besides the values.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The time that `now` returns.
    pub now: jiff::Timestamp,
    /// Fills a buffer with random bytes. Private keys alone come from the generator of the cryptographic library.
    pub random: &'a dyn Fn(&mut [u8]),
    /// What becomes of keys that do not exist.
    pub missing_key: MissingKey,
    /// What opens and closes an action.
    pub delimiters: Delimiters<'a>,
}

/// The marks around an action. An empty one stands for Go's own, as in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters<'a> {
    /// Opens an action.
    pub left: &'a str,
    /// Closes it.
    pub right: &'a str,
}

impl Default for Delimiters<'_> {
    /// `{{` and `}}`.
    fn default() -> Self {
        Self { left: "{{", right: "}}" }
    }
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("now", &self.now)
            .field("missing_key", &self.missing_key)
            .field("delimiters", &self.delimiters)
            .finish_non_exhaustive()
    }
}

/// What becomes of `.key` when there is no such key. `index . "key"` is an empty text in any case, as in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// It renders as `<no value>`, as with SealedSecrets.
    NoValue,
    /// It is an error that names the key, as with External Secrets.
    Error,
}

/// Renders a template over the values of a secret.
///
/// Values and results are bytes; they need not be UTF-8.
///
/// # Errors
///
/// [`TemplateError`] names the place in the template and the reason, and never a value.
pub fn render(template: &str, values: &Values, environment: &Environment<'_>) -> Result<Plaintext, TemplateError> {
    let program = program::Program::parse(template, environment.delimiters)?;
    let entries = values.iter().map(|(key, value)| (key.as_str().into(), value::Value::text(value.expose())));
    let dot = value::Map::new(entries, value::MapKind::Text);
    execute::execute(&program, dot, environment, &budget::Budget::new()).map(Plaintext::from_guarded)
}

/// Compiles a regular expression of Go, as [`render`] and the rules of External Secrets have them. Nothing if it is
/// malformed, or would take more memory than one may.
pub(crate) fn compile_pattern(expression: &str) -> Option<regex::bytes::Regex> {
    functions::compile_pattern(expression).ok()
}

/// Replaces every match as Go does; `$1` and `${name}` in the replacement stand for groups.
pub(crate) fn replace_pattern(pattern: &regex::bytes::Regex, text: &str, replacement: &str) -> Vec<u8> {
    functions::replaced(pattern, text.as_bytes(), |captures, out| captures.expand(replacement.as_bytes(), out))
}

/// Reads a duration of Go, such as `1h30m`, as nanoseconds. Nothing if it is malformed or longer than 292 years.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    time::parse_duration(text.as_bytes()).map(|duration| duration.0)
}
