//! `bulla scan`.

use crate::args::ScanArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &ScanArguments) -> Outcome {
    Err(usage!("this branch has no `bulla scan` yet"))
}
