//! `bulla keys export`.

use crate::args::ExportArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &ExportArguments) -> Outcome {
    Err(usage!("this branch has no `bulla keys export` yet"))
}
