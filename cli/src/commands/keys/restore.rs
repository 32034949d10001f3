//! `bulla keys restore`.

use crate::args::RestoreArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &RestoreArguments) -> Outcome {
    Err(usage!("this branch has no `bulla keys restore` yet"))
}
