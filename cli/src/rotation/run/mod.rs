//! The steps of a run, one after the other. Each finds out first whether it is done already.

mod committing;
mod ending;
mod sealing;
mod telling;

use jiff::Timestamp;

use super::board::{Board, Mark, count};
use super::hanging::Hanging;
use super::keys::list;
use super::prepare::{self, Prepared};
use super::report::{Standing, is_over};
use super::state::{Committed, Desk, State, Wish};
use super::{commit, confirm};
use crate::args::RotationArguments;
use crate::cluster::PublishedKey;
use crate::failure::{Outcome, refuse, usage};
use crate::findings::Finding;
use crate::git::Checkout;
use crate::output::{DIM, HEAD};
use crate::reseal::FileReport;

/// A run, and what there is to tell of it.
pub(super) struct Run<'a> {
    arguments: &'a RotationArguments,
    checkout: Checkout,
    desk: Desk,
    board: Board,
    is_resumed: bool,
    failures: Vec<FileReport>,
    findings: Vec<Finding>,
    hanging: Option<Hanging>,
    retired: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Run<'a> {
    pub(super) fn new(arguments: &'a RotationArguments, checkout: Checkout, desk: Desk) -> Self {
        Self {
            arguments,
            checkout,
            desk,
            board: Board::new(arguments.output),
            is_resumed: false,
            failures: Vec::new(),
            findings: Vec::new(),
            hanging: None,
            retired: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Begins.
    pub(super) fn begin(mut self, wish: &Wish) -> Outcome {
        let prepared = prepare::look(&self.checkout, self.arguments, wish)?;
        self.notes.clone_from(&prepared.notes);
        if self.arguments.dry_run {
            self.plan(&prepared, wish)?;
            return self.finish(None, Standing::Planned, Ok(()));
        }
        if !self.arguments.yes {
            let mut shown = Self::new(self.arguments, self.checkout.clone(), Desk::look(&self.checkout));
            shown.plan(&prepared, wish)?;
            confirm("Do it?")?;
        }
        let Prepared { origin, old, newest, touched, .. } = prepared;
        let began = Timestamp::now();
        let id = format!("{}-{:06}", began.strftime("%Y%m%dT%H%M%SZ"), began.subsec_microsecond());
        let mut state = State::new(id, wish.clone(), origin, old, touched);
        state.new = newest;
        self.desk.save(&state)?;
        self.board.headline(&format!("{HEAD}{}{HEAD:#}", title(&state.old)))?;
        self.go(state)
    }

    /// Goes on.
    pub(super) fn resume(mut self, state: State) -> Outcome {
        self.is_resumed = true;
        let when = state.began.strftime("%Y-%m-%d %H:%M UTC");
        self.board.headline(&format!(
            "{HEAD}{}{HEAD:#} {DIM}goes on where it stopped; it began {when}{DIM:#}",
            title(&state.old)
        ))?;
        if self.arguments.dry_run {
            self.rest(&state)?;
            return self.finish(Some(&state), Standing::Planned, Ok(()));
        }
        // Without a cluster nothing is left that a person who types --continue has not agreed to.
        let is_agreed = self.arguments.yes || (self.arguments.resume && state.wish.new_identity.is_some());
        if !is_agreed && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            return Err(usage!("there is no terminal to ask on: say --yes, or --dry-run to see what is left"));
        }
        self.go(state)
    }

    fn go(mut self, mut state: State) -> Outcome {
        let done = self.steps(&mut state);
        let standing = match &done {
            Err(_) => Standing::Stopped,
            Ok(()) if is_over(self.board.lines()) => Standing::Done,
            Ok(()) => Standing::Waiting,
        };
        let is_told = self.board.lines().last().is_some_and(|line| line.mark == Mark::Failed);
        if let (Err(failure), Some(step), false) = (&done, self.board.next(), is_told) {
            self.board.step(step, Mark::Failed, failure.to_string().lines().next().unwrap_or_default())?;
        }
        let done = match done {
            // It went on without them, and must not be taken for a success.
            Ok(())
                if !self.failures.is_empty()
                    || (standing != Standing::Done && state.sealed.unwrap_or_default().failed > 0) =>
            {
                Err(refuse!(
                    "{} could not be sealed again and need the old key still",
                    count(state.sealed.unwrap_or_default().failed, "value")
                ))
            }
            other => other,
        };
        self.finish(Some(&state), standing, done)
    }

    fn steps(&mut self, state: &mut State) -> Outcome {
        // Killed between the commit and its note.
        if state.committed.is_none() {
            state.committed = commit::find(&self.checkout, state)?.map(Committed::As);
        }
        self.new_key(state)?;
        self.seal(state)?;
        self.verify(state)?;
        self.commit(state)?;
        self.merge_and_retire(state)
    }
}

/// What a run is called.
fn title(old: &[PublishedKey]) -> String {
    if old.is_empty() {
        "Rotation: no key is older than the newest".to_owned()
    } else {
        format!("Rotation of {}", list(old))
    }
}
