//! `bulla git diff-text`: what Git calls to show a file.

use std::fs;

use crate::args::DiffTextArguments;
use crate::failure::{OrFail as _, Outcome};
use crate::merge::shown::shown;
use crate::output;

/// Runs the verb.
pub(super) fn run(arguments: &DiffTextArguments) -> Outcome {
    let bytes = fs::read(&arguments.file).or_usage(format!("reading {}", arguments.file.display()))?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => output::print_bytes(shown(text).as_bytes()),
        Err(_) => output::print_bytes(&bytes),
    }
}
