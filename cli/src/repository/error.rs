//! What can be wrong with `.bulla.yaml` or what it points at, and how to mend it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a file's recipients cannot be told. Lines and columns count from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum RepositoryError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is longer than it may be.
    #[error("{} is longer than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes allowed.
        limit: usize,
    },
    /// The file does not say what it must.
    #[error("{}: {message}", path.display())]
    Format {
        /// The `.bulla.yaml`.
        path: PathBuf,
        /// With line and column where they are known.
        message: String,
    },
    /// One rule does not say what it must.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    Rule {
        /// The `.bulla.yaml`.
        path: PathBuf,
        /// Line of the value.
        line: u64,
        /// Column of the value.
        column: u64,
        /// What is wrong, and what to write instead.
        message: String,
    },
    /// A recipient file holds something that is not a recipient.
    #[error("{}, line {line}: {message}", path.display())]
    RecipientFile {
        /// The recipient file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong.
        message: &'static str,
    },
}
