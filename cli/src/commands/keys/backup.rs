//! `bulla keys backup`.

use crate::args::BackupArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &BackupArguments) -> Outcome {
    Err(usage!("this branch has no `bulla keys backup` yet"))
}
