//! The branch and the commit.

use super::Run;
use crate::failure::{Outcome, refuse};
use crate::output::short;
use crate::rotation::board::{Mark, Step};
use crate::rotation::prepare::names;
use crate::rotation::state::{Committed, State};
use crate::rotation::{changes, commit};

impl Run<'_> {
    pub(super) fn commit(&mut self, state: &mut State) -> Outcome {
        if state.committed.is_none() {
            let done = self.committed(state)?;
            state.committed = Some(done);
            self.desk.save(state)?;
        }
        let branch = state.branch.as_deref().unwrap_or_default();
        match &state.committed {
            Some(Committed::As(commit)) => {
                self.board.step(Step::Commit, Mark::Done, format!("{} on {branch}", short(commit)))
            }
            Some(Committed::ByHand) => {
                self.board.step(Step::Commit, Mark::Skipped, "left to you (--no-commit): the files are changed")
            }
            Some(Committed::Nothing) | None => {
                self.board.step(Step::Commit, Mark::Skipped, "there is nothing to commit")
            }
        }
    }

    pub(super) fn committed(&mut self, state: &mut State) -> Outcome<Committed> {
        let changed = changes::of_run(&self.checkout, state)?;
        if !changed.foreign.is_empty() {
            return Err(refuse!(
                "files of the run have changes of yours too: take them back, or commit them on their own: {}",
                names(&changed.foreign)
            ));
        }
        if changed.ours.is_empty() {
            return Ok(Committed::Nothing);
        }
        if state.wish.no_commit {
            return Ok(Committed::ByHand);
        }
        let branch = match &state.branch {
            Some(branch) => branch.clone(),
            None => {
                let branch = commit::branch_of(&self.checkout, state)?;
                state.branch = Some(branch.clone());
                self.desk.save(state)?;
                branch
            }
        };
        self.stand_on(&branch, state)?;
        let sealed = state.sealed.unwrap_or_default();
        let has_rules = (changed.ours.len() as u64) > sealed.files;
        let message = commit::message(state, sealed, has_rules);
        self.checkout.commit(&changed.ours, &message, self.desk.folder()).map(Committed::As)
    }

    /// Makes sure that the branch of the run is checked out.
    pub(super) fn stand_on(&self, branch: &str, state: &State) -> Outcome {
        let here = self.checkout.branch()?;
        if here.as_deref() == Some(branch) {
            return Ok(());
        }
        if here != state.origin.branch {
            return Err(refuse!(
                "the run began on {}, and {} is checked out now: go back to it, then `bulla rotate --continue`; or --abort",
                state.origin.branch.as_deref().unwrap_or("a detached HEAD"),
                here.as_deref().unwrap_or("a detached HEAD")
            ));
        }
        match self.checkout.end_of(branch)? {
            None => self.checkout.start_branch(branch),
            Some(_) => self.checkout.switch_to(branch, false),
        }
    }
}
