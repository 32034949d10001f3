//! `bulla reseal`.

use crate::args::ResealArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &ResealArguments) -> Outcome {
    Err(usage!("this branch has no `bulla reseal` yet"))
}
