//! `bulla rotate`: the whole run.

use crate::args::RotationArguments;
use crate::failure::Outcome;
use crate::rotation;

/// Runs the verb.
pub(super) fn run(arguments: &RotationArguments) -> Outcome {
    rotation::run(arguments)
}
