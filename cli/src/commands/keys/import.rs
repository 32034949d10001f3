//! `bulla keys import`.

use crate::args::ImportArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &ImportArguments) -> Outcome {
    Err(usage!("this branch has no `bulla keys import` yet"))
}
