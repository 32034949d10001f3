//! `bulla edit`.

use crate::args::EditArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &EditArguments) -> Outcome {
    Err(usage!("this branch has no `bulla edit` yet"))
}
