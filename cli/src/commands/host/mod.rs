//! `bulla host`: a machine without Kubernetes.

mod diff;
mod drill;
mod enroll;
mod status;
mod tell;

use bulla::host::config::Config;

use crate::args::{HostPlace, HostVerb};
use crate::failure::{OrFail as _, Outcome};

/// Runs the verb.
pub(super) fn run(verb: &HostVerb) -> Outcome {
    match verb {
        HostVerb::Enroll(arguments) => enroll::run(arguments),
        HostVerb::Status(arguments) => status::run(arguments),
        HostVerb::Sync(arguments) => tell::sync(arguments),
        HostVerb::Diff(arguments) => diff::run(arguments),
        HostVerb::Rollback(arguments) => tell::rollback(arguments),
        HostVerb::Drill(arguments) => drill::run(arguments),
    }
}

fn config(place: &HostPlace) -> Outcome<Config> {
    Config::read(&place.config)
        .or_usage("reading the agent's settings (`bulla host enroll` makes them, --config says where they are)")
}
