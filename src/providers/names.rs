//! Which names a [`Find`] asks for.

use regex::bytes::Regex;

use super::{Cause, ProviderError};
use crate::secret::template::compile_pattern;
use crate::sync::remote::Find;

/// The names that a [`Find`] asks for: those in which its regular expression finds a match, or all.
pub(super) struct Names(Option<Regex>);

impl Names {
    /// Compiles the expression.
    pub(super) fn of(find: &Find) -> Result<Self, ProviderError> {
        let Some(expression) = &find.name else {
            return Ok(Self(None));
        };
        let malformed = || ProviderError::new(Cause::Invalid, "find.name.regexp is malformed or too large");
        compile_pattern(expression).map(|pattern| Self(Some(pattern))).ok_or_else(malformed)
    }

    /// Whether `name` is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|pattern| pattern.is_match(name.as_bytes()))
    }
}
