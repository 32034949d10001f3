//! What goes wrong, with the exit code that a script can act on.

use std::process::ExitCode;

use crate::output;

/// A failure that ends the command.
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// The result of a command or a step of it.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// The input was understood and refused, or findings were made: exit code 1.
    pub(crate) fn refused(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 1, error: error.into() }
    }

    /// The command could not do its work as asked or where it ran: exit code 2.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 2, error: error.into() }
    }

    /// Puts a sentence in front: where it happened.
    pub(crate) fn at(self, place: impl std::fmt::Display + Send + Sync + 'static) -> Self {
        Self { code: self.code, error: self.error.context(place.to_string()) }
    }

    /// Whether the input was understood and refused.
    pub(crate) const fn is_refusal(&self) -> bool {
        self.code == 1
    }

    /// A refusal that was explained already, or that whoever called the command explains.
    pub(crate) fn said() -> Self {
        Self { code: 1, error: anyhow::Error::msg("") }
    }

    /// Prints the failure and gives its exit code.
    pub(crate) fn report(self) -> ExitCode {
        let text = format!("{:#}", self.error);
        if !text.is_empty() {
            output::error(&text);
        }
        ExitCode::from(self.code)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::usage(error)
    }
}

/// Gives a library's error its exit code.
pub(crate) trait OrFail<T> {
    /// See [`Failure::refused`].
    fn or_refuse(self, place: impl std::fmt::Display + Send + Sync + 'static) -> Outcome<T>;
    /// See [`Failure::usage`].
    fn or_usage(self, place: impl std::fmt::Display + Send + Sync + 'static) -> Outcome<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_refuse(self, place: impl std::fmt::Display + Send + Sync + 'static) -> Outcome<T> {
        self.map_err(|error| Failure::refused(error).at(place))
    }

    fn or_usage(self, place: impl std::fmt::Display + Send + Sync + 'static) -> Outcome<T> {
        self.map_err(|error| Failure::usage(error).at(place))
    }
}

/// A refusal from a sentence.
macro_rules! refuse {
    ($($part:tt)*) => { $crate::failure::Failure::refused(anyhow::anyhow!($($part)*)) };
}
/// A usage failure from a sentence.
macro_rules! usage {
    ($($part:tt)*) => { $crate::failure::Failure::usage(anyhow::anyhow!($($part)*)) };
}
pub(crate) use {refuse, usage};
