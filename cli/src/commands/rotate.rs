//! `bulla rotate`.

use crate::args::RotationArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &RotationArguments) -> Outcome {
    Err(usage!("this branch has no `bulla rotate` yet"))
}
