//! What can be wrong with a file, or with an edit of it. Lines and columns count from 1, columns in characters.

use thiserror::Error;

/// Why a file cannot be read or edited.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum DocumentError {
    /// The file is longer than any manifest.
    #[error("the file has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// Bytes in the file.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The file holds more values than any manifest.
    #[error("the file holds more than {limit} values")]
    TooMany {
        /// Values allowed.
        limit: usize,
    },
    /// Neither YAML nor JSON.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// One map has the same key twice: tools disagree on which counts.
    #[error("line {line}, column {column}: the key `{key}` is there twice; remove one")]
    Duplicate {
        /// Line of the second one.
        line: usize,
        /// Column of the second one.
        column: usize,
        /// The key.
        key: String,
    },
    /// There is no manifest of that index, or it is not a SealedSecret.
    #[error("there is no SealedSecret number {manifest} in the file")]
    NoManifest {
        /// The index asked for.
        manifest: usize,
    },
    /// The SealedSecret has no `spec`.
    #[error("line {line}: the SealedSecret has no spec")]
    NoSpec {
        /// Line where the SealedSecret begins.
        line: usize,
    },
    /// Nothing has that key.
    #[error("encryptedData has no key `{key}`")]
    NoKey {
        /// The key asked for.
        key: String,
    },
    /// YAML that cannot be edited in place without changing something else.
    #[error("line {line}, column {column}: {what}; edit it by hand")]
    Unsupported {
        /// Line of the construct.
        line: usize,
        /// Column of the construct.
        column: usize,
        /// What it is, and why not.
        what: &'static str,
    },
    /// The edited text would not read back as intended; nothing was changed.
    #[error("the file is written in a way that cannot be edited in place safely; edit it by hand")]
    Unsafe,
}

impl DocumentError {
    /// The line that it is about, where it is about one place.
    pub(crate) fn line(&self) -> Option<usize> {
        self.place().map(|(line, _)| line)
    }

    /// The line and the column that it is about, where it is about one place.
    pub(crate) const fn place(&self) -> Option<(usize, usize)> {
        match self {
            Self::Syntax { line, column, .. }
            | Self::Duplicate { line, column, .. }
            | Self::Unsupported { line, column, .. } => Some((*line, *column)),
            Self::NoSpec { line } => Some((*line, 1)),
            Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::NoManifest { .. }
            | Self::NoKey { .. }
            | Self::Unsafe => None,
        }
    }
}
