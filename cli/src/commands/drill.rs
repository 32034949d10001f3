//! `bulla drill`.

use crate::args::DrillArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &DrillArguments) -> Outcome {
    Err(usage!("this branch has no `bulla drill` yet"))
}
