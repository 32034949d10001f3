//! One file a verb: resolve what was typed, call the library, print.

mod demo;
mod drill;
mod edit;
mod git;
mod host;
mod inspect;
mod keys;
mod manual;
mod open;
mod plan;
mod reseal;
mod rotate;
mod scan;
mod seal;
mod set;
mod status;
mod sync;
mod verify;
mod wait;

use crate::args::{Arguments, Verb};
use crate::failure::{Outcome, refuse};
use crate::sealing::no_namespace;

/// Runs what was typed.
pub(crate) fn run(arguments: Arguments) -> Outcome {
    match arguments.verb {
        Verb::Keys(verb) => keys::run(verb),
        Verb::Seal(arguments) => seal::run(arguments),
        Verb::Set(arguments) => set::set(&arguments),
        Verb::Unset(arguments) => set::unset(&arguments),
        Verb::Open(arguments) => open::run(&arguments),
        Verb::Plan(arguments) => plan::run(&arguments),
        Verb::Sync(arguments) => sync::run(&arguments),
        Verb::Status(arguments) => status::run(&arguments),
        Verb::Wait(arguments) => wait::run(&arguments),
        Verb::Verify(arguments) => verify::run(&arguments),
        Verb::Reseal(arguments) => reseal::run(&arguments),
        Verb::Rotate(arguments) => rotate::run(&arguments),
        Verb::Scan(arguments) => scan::run(&arguments),
        Verb::Edit(arguments) => edit::run(&arguments),
        Verb::Drill(arguments) => drill::run(&arguments),
        Verb::Git(verb) => git::run(&verb),
        Verb::Host(verb) => host::run(&verb),
        Verb::Inspect(arguments) => inspect::run(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Completions { shell } => manual::completions(shell),
        Verb::Man { out } => manual::pages(out.as_deref()),
    }
}

/// Refuses what Kubernetes would refuse as a data key, before anything is sealed.
fn valid_key(key: &str) -> Outcome {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || key.len() > 253 || !key.chars().all(valid) || key == "." || key.starts_with("..") {
        return Err(refuse!("{key:?} is not a valid data key: letters, digits, `-`, `_` and `.`, at most 253"));
    }
    Ok(())
}
