//! `bulla git`: what Git calls, and what tells it to.

mod diff;
mod diff_text;
mod install;
mod merge_driver;
mod pre_commit;
mod resolve;

use crate::args::GitVerb;
use crate::failure::Outcome;

/// Runs one of the verbs.
pub(super) fn run(verb: &GitVerb) -> Outcome {
    match verb {
        GitVerb::MergeDriver(arguments) => merge_driver::run(arguments),
        GitVerb::Install(arguments) => install::run(arguments),
        GitVerb::Diff(arguments) => diff::run(arguments),
        GitVerb::DiffText(arguments) => diff_text::run(arguments),
        GitVerb::PreCommit(arguments) => pre_commit::run(arguments),
        GitVerb::Resolve(arguments) => resolve::run(arguments),
    }
}
