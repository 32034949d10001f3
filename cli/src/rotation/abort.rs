//! The way back: what a run has changed and nobody has merged yet is put back as it was.

use super::board::count;
use super::prepare::names;
use super::state::{Committed, Desk, State};
use super::{changes, commit, confirm};
use crate::args::{Report as Format, RotationArguments};
use crate::failure::Outcome;
use crate::git::Checkout;
use crate::output::{self, GOOD, short};

/// Gives a run up.
pub(super) fn run(arguments: &RotationArguments, checkout: &Checkout, desk: &Desk, state: &State) -> Outcome {
    if !arguments.yes {
        confirm("Put back what the run changed here?")?;
    }
    let mut done = Vec::new();
    let mut left = Vec::new();
    state.tidy(checkout, &checkout.tracked(checkout.root())?);
    let found = commit::find(checkout, state)?.map(Committed::As);
    match state.committed.as_ref().or(found.as_ref()) {
        Some(Committed::As(commit)) => drop_commit(checkout, state, commit, &mut done, &mut left)?,
        Some(Committed::Nothing) => {}
        Some(Committed::ByHand) | None => put_back(checkout, state, &mut done, &mut left)?,
    }
    if let Some(file) = state.wish.new_identity.as_ref().filter(|file| file.exists()) {
        left.push(format!("{} stays: delete it if nothing is sealed to it", file.display()));
    } else if state.wish.new_identity.is_none() && !state.new.is_empty() && !state.wish.no_new_key {
        left.push("the cluster's new key stays the newest: what is sealed from now on is sealed to it".to_owned());
    }
    desk.clear()?;
    if arguments.output == Format::Json {
        return output::print_json(
            &serde_json::json!({ "run": state.id, "standing": "aborted", "done": done, "left": left }),
        );
    }
    output::print(&format!("{GOOD}✓{GOOD:#} the run is given up\n"))?;
    done.iter().chain(&left).for_each(|line| output::note(&output::plain(line)));
    Ok(())
}

/// Before the commit: the files, then the branch.
fn put_back(checkout: &Checkout, state: &State, done: &mut Vec<String>, left: &mut Vec<String>) -> Outcome {
    if !state.new.is_empty() {
        let changed = changes::of_run(checkout, state)?;
        // What is committed by hand is committed.
        let here = checkout.changed(&changed.ours)?;
        let ours: Vec<_> = changed.ours.into_iter().filter(|file| here.contains(file)).collect();
        checkout.restore(&ours, "HEAD")?;
        if !ours.is_empty() {
            done.push(format!("{} put back", count(ours.len() as u64, "file")));
        }
        if !changed.foreign.is_empty() {
            left.push(format!("these have changes of yours too, and stay as they are: {}", names(&changed.foreign)));
        }
    }
    leave_branch(checkout, state, &state.origin.commit, done)
}

/// After the commit: off the branch, and the branch away, where it is not merged.
fn drop_commit(
    checkout: &Checkout,
    state: &State,
    commit: &str,
    done: &mut Vec<String>,
    left: &mut Vec<String>,
) -> Outcome {
    let base = state.origin.branch.as_deref().map(|branch| checkout.end_of(branch)).transpose()?.flatten();
    let is_merged = state.branch != state.origin.branch
        && base.is_some_and(|tip| checkout.is_ancestor(commit, &tip).unwrap_or(false));
    if is_merged || state.branch == state.origin.branch {
        left.push(format!("commit {} stays: `git revert` takes it back", short(commit)));
        return Ok(());
    }
    leave_branch(checkout, state, commit, done)?;
    left.push(format!(
        "commit {} can be had back by its id, until Git cleans up; a copy that was pushed stays",
        short(commit)
    ));
    Ok(())
}

/// Goes back to where the run began and takes its branch away, if it ends where the run left it.
fn leave_branch(checkout: &Checkout, state: &State, end: &str, done: &mut Vec<String>) -> Outcome {
    let Some(branch) = state.branch.as_ref().filter(|branch| state.origin.branch.as_ref() != Some(branch)) else {
        return Ok(());
    };
    if checkout.branch()?.as_ref() == Some(branch) {
        match &state.origin.branch {
            Some(origin) => checkout.switch_to(origin, false)?,
            None => checkout.switch_to(&state.origin.commit, true)?,
        }
    }
    if checkout.end_of(branch)?.as_deref() == Some(end) {
        checkout.drop_branch(branch, end)?;
        done.push(format!("branch {branch} taken away"));
    }
    Ok(())
}
