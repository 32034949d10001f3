//! `bulla git`: what Git calls, and what tells it to.

mod install;
mod merge_driver;

use crate::args::GitVerb;
use crate::failure::{Outcome, usage};

/// Runs one of the verbs.
pub(super) fn run(verb: &GitVerb) -> Outcome {
    match verb {
        GitVerb::MergeDriver(arguments) => merge_driver::run(arguments),
        GitVerb::Install(arguments) => install::run(arguments),
        GitVerb::Diff(_) | GitVerb::Resolve(_) | GitVerb::PreCommit(_) | GitVerb::DiffText(_) => {
            Err(usage!("this branch has no such verb yet"))
        }
    }
}
