//! What comes after the commit: the merge, which is a person's, and the end of the old key.

use std::path::PathBuf;

use super::Run;
use crate::failure::Outcome;
use crate::output::{DIM, Progress, WARN};
use crate::rotation::board::{Mark, Step, count};
use crate::rotation::confirm;
use crate::rotation::hanging::Hanging;
use crate::rotation::keys::{self, list};
use crate::rotation::prepare::names;
use crate::rotation::state::{Committed, State};

impl Run<'_> {
    pub(super) fn merge_and_retire(&mut self, state: &State) -> Outcome {
        let hanging = {
            let _looking = Progress::spinner("looking for what still needs the old key");
            Hanging::look(&self.checkout, state)?
        };
        let hanging = self.hanging.insert(hanging).clone();
        let base = self.base();
        if !hanging.merged {
            let what = match &state.committed {
                Some(Committed::ByHand) => "commit the files, and merge them".to_owned(),
                _ => format!("merge {}", state.branch.as_deref().unwrap_or("the branch")),
            };
            let into = match hanging.decisive() {
                Some(branch) => {
                    let held = count(branch.values + branch.unnamed, "value");
                    format!("{what} into {base}, which holds {held} sealed to the old key")
                }
                None => format!("{what}, and check out where it is merged: the run began on a detached HEAD"),
            };
            self.board.step(Step::Merge, Mark::Now, into)?;
            self.notes.push("after the merge: `bulla rotate --continue`".to_owned());
            if let Some(file) = &state.wish.new_identity {
                self.notes.push(format!(
                    "before the merge: put {} beside the old key wherever these values are opened, or they will not open there",
                    file.display()
                ));
            }
            return Ok(());
        }
        self.board.step(Step::Merge, Mark::Done, format!("{base} has it"))?;
        for branch in &hanging.branches {
            let held = count(branch.values, "value");
            self.board.detail(WARN, "!", &format!("branch {} holds {held} sealed to the old key", branch.name))?;
        }
        self.retire(state, &hanging)
    }

    pub(super) fn retire(&mut self, state: &State, hanging: &Hanging) -> Outcome {
        let waiting: Vec<(&str, Vec<String>)> = state
            .old
            .iter()
            .map(|key| (key.id.as_str(), hanging.reasons(key)))
            .filter(|(_, why)| !why.is_empty())
            .collect();
        if state.wish.keep_old {
            self.board.step(Step::Retire, Mark::Skipped, "the old key stays as it is (--keep-old)")?;
            return self.desk.clear();
        }
        if state.wish.is_offline() {
            if waiting.is_empty() {
                let text =
                    format!("{} is in no rule any more, and no value of {} needs it", list(&state.old), self.base());
                self.board.step(Step::Retire, Mark::Done, text)?;
                return self.desk.clear();
            }
        } else {
            let all = state.old.iter().map(|key| key.id.as_str());
            let free: Vec<&str> = all.filter(|id| waiting.iter().all(|(other, _)| other != id)).collect();
            if !free.is_empty() && !self.arguments.yes {
                confirm(&format!("Nothing needs {} any more. Retire?", free.join(", ")))?;
            }
            self.retired = keys::retire(&state.wish, &free)?;
        }
        if waiting.is_empty() {
            let text =
                if self.retired.is_empty() { "nothing was left to retire".to_owned() } else { self.retired.join(", ") };
            self.board.step(Step::Retire, Mark::Done, text)?;
            return self.desk.clear();
        }
        self.board.step(Step::Retire, Mark::Now, "waits for what still needs the old key")?;
        for (id, why) in &waiting {
            self.board.detail(WARN, "!", &format!("{id}: {}", why.join("; ")))?;
        }
        let files: Vec<PathBuf> =
            hanging.decisive().map(|branch| branch.files.iter().map(PathBuf::from).collect()).unwrap_or_default();
        if !files.is_empty() {
            self.board.detail(DIM, " ", &format!("in {}", names(&files)))?;
        }
        self.notes.push("when they are sealed again and live: `bulla rotate --continue`".to_owned());
        Ok(())
    }

    pub(super) fn base(&self) -> String {
        self.hanging.as_ref().and_then(Hanging::decisive).map(|branch| branch.name.clone()).unwrap_or_default()
    }
}
