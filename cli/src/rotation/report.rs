//! A run for machines.

use serde::Serialize;

use super::board::{Line, Mark, Step};
use super::hanging::Hanging;
use super::state::{Committed, Sealed, State};
use crate::cluster::PublishedKey;
use crate::findings::Finding;
use crate::reseal::FileReport;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Standing {
    /// Nothing was done: it was a dry run.
    Planned,
    /// It waits for the merge, or for what still needs the old key.
    Waiting,
    /// It is over.
    Done,
    /// It stopped, and goes on when it is called again.
    Stopped,
}

/// What came of it; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    pub(super) run: Option<&'a str>,
    pub(super) standing: Standing,
    /// Whether an earlier call began it.
    pub(super) resumed: bool,
    pub(super) steps: &'a [Line],
    pub(super) old_keys: Vec<&'a str>,
    pub(super) new_keys: &'a [PublishedKey],
    pub(super) resealed: Sealed,
    /// Files with values that could not be sealed again, and why.
    pub(super) failures: &'a [FileReport],
    /// What stopped the run before its commit.
    pub(super) findings: &'a [Finding],
    pub(super) branch: Option<&'a str>,
    pub(super) commit: Option<&'a str>,
    pub(super) hanging: Option<&'a Hanging>,
    /// Keys that were retired by this call.
    pub(super) retired: &'a [String],
    /// What stays outside of the run, and what follows.
    pub(super) notes: &'a [String],
    pub(super) error: Option<String>,
}

impl<'a> Report<'a> {
    /// What a state says by itself.
    pub(super) fn of(state: Option<&'a State>, steps: &'a [Line]) -> Self {
        let commit = state.and_then(|state| match &state.committed {
            Some(Committed::As(commit)) => Some(commit.as_str()),
            Some(Committed::ByHand | Committed::Nothing) | None => None,
        });
        Self {
            run: state.map(|state| state.id.as_str()),
            standing: Standing::Waiting,
            resumed: false,
            steps,
            old_keys: state.map(|state| state.old.iter().map(|key| key.id.as_str()).collect()).unwrap_or_default(),
            new_keys: state.map(|state| state.new.as_slice()).unwrap_or_default(),
            resealed: state.and_then(|state| state.sealed).unwrap_or_default(),
            failures: &[],
            findings: &[],
            branch: state.and_then(|state| state.branch.as_deref()),
            commit,
            hanging: None,
            retired: &[],
            notes: &[],
            error: None,
        }
    }
}

/// Whether all steps are over.
pub(super) fn is_over(steps: &[Line]) -> bool {
    steps.iter().any(|line| line.step == Step::Retire && matches!(line.mark, Mark::Done | Mark::Skipped))
}
