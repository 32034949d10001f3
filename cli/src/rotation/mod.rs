//! Rotation as one run that can be taken up where it stopped.
//!
//! | module | what it is |
//! | --- | --- |
//! | `prepare` | what is looked at before anything is changed |
//! | `keys` | the keys that go, and those that come |
//! | `rules` | the files that name recipients |
//! | `openers` | who opens the values afterwards |
//! | `survey` | which values are sealed to which keys, in files and in commits |
//! | `changes` | what is different from the commit where the run began |
//! | `check` | what `bulla verify` finds |
//! | `commit` | name of the branch, message of the commit |
//! | `hanging` | what still needs an old key |
//! | `run` | the steps, one after the other |
//! | `abort` | the way back |
//! | `state` | what a run knows, in Git's folder |
//! | `board`, `report` | how it is shown |
//!
//! Every step can be done twice: what is done already is found done. So a run that was killed at any moment goes on as
//! if it had not been.

mod abort;
mod board;
mod changes;
mod check;
mod commit;
mod hanging;
mod keys;
mod openers;
mod prepare;
mod report;
mod rules;
mod run;
mod state;
mod survey;

use std::io::{self, BufRead as _, IsTerminal as _};

use self::run::Run;
use self::state::{Desk, Wish};
use crate::args::RotationArguments;
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::git::Checkout;
use crate::output;

/// Begins a run, goes on with one, or gives one up.
pub(crate) fn run(arguments: &RotationArguments) -> Outcome {
    let checkout = Checkout::find(&arguments.path)?;
    let wish = Wish::of(arguments, &checkout)?;
    // Names of files are from the root from here on, in messages too.
    std::env::set_current_dir(checkout.root()).or_usage(checkout.root().display().to_string())?;
    let desk = if arguments.dry_run { Desk::look(&checkout) } else { Desk::take(&checkout)? };
    let state = desk.load()?;
    match state {
        None if arguments.resume || arguments.abort => Err(usage!(
            "no run has begun in this working tree. After the merge, from any clone: `bulla rotate --no-new-key` goes on \
             with what the cluster and the repository say"
        )),
        Some(state) if arguments.abort => abort::run(arguments, &checkout, &desk, &state),
        None => Run::new(arguments, checkout, desk).begin(&wish),
        Some(state) => {
            let state = resumed(state, &wish)?;
            Run::new(arguments, checkout, desk).resume(state)
        }
    }
}

/// The run with what was typed now, where that may differ from what was typed then.
fn resumed(mut state: state::State, wish: &Wish) -> Outcome<state::State> {
    let differs = |flag: &str| {
        usage!(
            "{flag} differs from the run that began here at {}: `bulla rotate --continue` goes on with it, `--abort` gives it up",
            state.began
        )
    };
    let then = &state.wish;
    if wish.new_identity.is_some() && wish.new_identity != then.new_identity {
        return Err(differs("--new-identity"));
    }
    if wish.branch.is_some() && wish.branch != then.branch {
        return Err(differs("--branch"));
    }
    if wish.no_new_key && !then.no_new_key && state.new.is_empty() {
        return Err(differs("--no-new-key"));
    }
    if wish.no_commit && !then.no_commit {
        return Err(differs("--no-commit"));
    }
    if !wish.identity.is_empty() {
        state.wish.identity.clone_from(&wish.identity);
    }
    if wish.kubeconfig.is_some() {
        state.wish.kubeconfig.clone_from(&wish.kubeconfig);
    }
    if wish.context.is_some() {
        state.wish.context.clone_from(&wish.context);
    }
    state.wish.accept_recipient.extend(wish.accept_recipient.iter().cloned());
    state.wish.keep_old |= wish.keep_old;
    Ok(state)
}

/// Asks on the terminal.
fn confirm(question: &str) -> Outcome {
    if !io::stdin().is_terminal() {
        return Err(usage!("{question} There is no terminal to ask on: say --yes, or --dry-run to see it only"));
    }
    output::note(&format!("{question} Type yes:"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(refuse!("nothing was changed")) }
}
