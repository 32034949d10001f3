//! `bulla git`: what Git calls, and what tells it to.

use crate::args::GitVerb;
use crate::failure::{Outcome, usage};

/// Runs one of the verbs.
pub(super) fn run(verb: &GitVerb) -> Outcome {
    match verb {
        GitVerb::Install(_) => Err(usage!("this branch has no `bulla git install` yet")),
    }
}
