//! `bulla keys audit`.

use crate::args::AuditArguments;
use crate::failure::{Outcome, usage};

/// Runs the verb.
pub(super) fn run(_: &AuditArguments) -> Outcome {
    Err(usage!("this branch has no `bulla keys audit` yet"))
}
