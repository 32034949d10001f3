//! `bulla verify`.

use crate::args::VerifyArguments;
use crate::failure::Outcome;

/// Runs the verb.
pub(super) fn run(_: &VerifyArguments) -> Outcome {
    Ok(())
}
