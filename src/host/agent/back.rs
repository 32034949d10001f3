//! The way back from a commit that did not prove well: the files, the credentials, and the services, which are told of the
//! old files and looked at once more.
//!
//! A host that never had a good commit goes back to what it was before Bulla: nothing is declared, and what was at the
//! declared paths before is there again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tracing::warn;

use super::state::After;
use super::take::Taken;
use super::untold;
use super::wake::{Cut, Under};
use super::words::told;
use super::{Agent, chain};
use crate::host::command::Scrubber;
use crate::host::credentials::Former;
use crate::host::desired::Service;
use crate::host::gate;
use crate::host::repository::CommitId;
use crate::host::sink::Flipped;
use crate::host::units::{self, Asked, Change, Step, What};

/// A commit that is in place and did not prove well.
pub(super) struct Trial<'a> {
    pub(super) commit: &'a CommitId,
    /// The commit before it.
    pub(super) before: Option<CommitId>,
    /// The generation before it, and its own.
    pub(super) from: u64,
    pub(super) to: u64,
    /// The credentials before it.
    pub(super) former: Former,
    pub(super) services: Vec<Service>,
    /// The units that ran before they were told of it.
    pub(super) ran: BTreeSet<String>,
    pub(super) scrubber: Scrubber,
}

/// Why a commit did not prove well.
pub(super) enum Unproved {
    /// It is not well.
    Unwell(String),
    /// The proof was ended.
    Cut(Cut),
}

impl Agent {
    /// Takes the files of `trial` away again, and tells those who were told of them.
    pub(super) async fn go_back(&mut self, trial: Trial<'_>, unproved: Unproved) -> Taken {
        let (why, stops) = match unproved {
            Unproved::Unwell(why) => (why, false),
            Unproved::Cut(Cut::Back) => ("it was gone back from by hand before it had proved well".to_owned(), false),
            Unproved::Cut(Cut::Stop) => ("the agent was told to end before it had proved well".to_owned(), true),
        };
        let Trial { commit, before, from, to, former, services, ran, scrubber } = trial;
        let good = self.good();
        let is_good = good.as_ref() == Some(commit);
        if !is_good {
            // The good one is taken once more after this: units that only this one stopped or disabled are as it says again.
            self.known = None;
        }
        let credentials = self.credentials.restore(former);
        self.handed.strike_out(&credentials);
        if good.is_some() && (from == to || from == 0 || before != good) {
            // What was in use before is not proved either, since an agent was killed over it; or only credentials and units
            // are other ones. The good commit is taken next.
            return if stops { Taken::Failed(why) } else { Taken::Refused { why, after: None } };
        }
        warn!(commit = commit.short(), why, "going back");
        self.under = Under::Firm;
        let is_first = good.is_none();
        let went = self.with_sink(move |sink| if is_first { sink.back_to_nothing() } else { sink.back_to(from) }).await;
        let changes = match went {
            Ok(back) => untold::with(what_is_back(&back), &self.untold),
            Err(error) => {
                let why = format!("{why}; and the files cannot go back: {}", chain(&error));
                return Taken::Refused { why, after: None };
            }
        };
        self.status.trying = None;
        self.show_current().await;
        if !stops && !is_good {
            // Before the services are looked at: a kill does not lead forward again.
            self.state.condemn(commit.as_str(), why.clone(), None, Timestamp::now());
            self.save();
            self.publish();
        }
        // Those who were told of the new files are told of the old ones, also those that only the new commit has, or that
        // this agent has not read of yet; what ended over it starts again.
        let mut all = self.services.clone();
        let is_new = |service: &Service| self.services.iter().all(|known| known.name != service.name);
        all.extend(services.into_iter().filter(is_new));
        let asked = Asked { services: &all, units: &[], changes: &changes, credentials: &credentials };
        let mut plan = units::plan(&asked);
        for step in &mut plan.steps {
            // Only systemd says of what does not run whether it was to.
            if let Step::Tell(tell) = step {
                tell.start |= ran.contains(&tell.unit);
            }
        }
        let manager = std::sync::Arc::clone(&self.manager);
        let (done, cut) = self.wholly(manager.carry_out(&plan, true, &scrubber)).await;
        self.note_untold(Vec::new());
        for (unit, name) in credentials {
            if let Some(value) = self.credentials.value(&unit, &name) {
                self.handed.add((unit, name), &value);
            }
        }
        if stops {
            return Taken::Failed(why);
        }
        if cut.is_some() {
            return Taken::Refused { why, after: None };
        }
        let unwell = match done.failures.first() {
            Some(failed) => Some(chain(failed)),
            None => {
                let known = self.services.clone();
                let proof = self.beside(gate::prove(&known, &done.told, &manager, &scrubber)).await;
                let Ok(proof) = proof else { return Taken::Refused { why, after: None } };
                proof.err().map(|unhealthy| unhealthy.to_string())
            }
        };
        let looked_at = done.units();
        Taken::Refused { why, after: Some(After { commit: good.map(|good| good.to_string()), looked_at, unwell }) }
    }
}

/// What is another file for the services. One that was there before Bulla, and is back, is not gone.
fn what_is_back(back: &Flipped) -> Vec<Change> {
    let mut changes = told(&back.changes);
    for change in changes.iter_mut().filter(|change| back.settled.restored.contains(&change.path)) {
        change.what = What::Changed;
    }
    changes
}
