//! One commit: declare, stage, validate, flip, tell, prove, or go back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use super::back::{Trial, Unproved};
use super::exposed;
use super::run::AGAIN;
use super::state::After;
use super::status::{FileStatus, ServiceStatus};
use super::untold;
use super::wake::{Cut, Under};
use super::words::{told, view};
use super::{Agent, Good};
use crate::host::command::{CommandError, Scrubber};
use crate::host::declared::declare;
use crate::host::desired::{Desired, Problem, Service};
use crate::host::gate::{self, Isolation, Refused};
use crate::host::repository::CommitId;
use crate::host::sink::{Flipped, Staged};
use crate::host::units::{self, Asked, Change, Plan};

/// Why a commit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is new.
    New,
    /// It is the last good one, and the machine was started anew: nothing of it is there.
    Boot,
    /// It is the one in use: values from elsewhere are due, or files were changed by hand.
    Again,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The host has it. Whether anything changed.
    Done(bool),
    /// It did not prove well, and the host has what it had.
    Refused {
        /// What was wrong.
        why: String,
        /// How the host did after it had gone back; nothing if there was no need to, or the good commit is taken next.
        after: Option<After>,
    },
    /// It could not be looked at: nothing was tried.
    Failed(String),
}

/// A commit on its way.
pub(super) struct Coming {
    pub(super) desired: Desired,
    pub(super) problems: Vec<Problem>,
    pub(super) staged: Staged,
    /// The files that will not be as they were.
    pub(super) changes: Vec<Change>,
    /// The credentials that units are told of.
    pub(super) credentials: Vec<(String, String)>,
    pub(super) plan: Plan,
    pub(super) scrubber: Scrubber,
}

impl Agent {
    /// What the commit asks of this host.
    async fn declare(&mut self, commit: &CommitId) -> Result<Desired, String> {
        let tree = self.repository.tree(commit, &self.config.repository.path).await;
        let tree = tree.map_err(|error| super::chain(&error))?;
        let (keyring, now) = (Arc::clone(&self.keyring), Timestamp::now());
        let mut desired = declare(Arc::new(tree), &self.who, keyring, &mut self.external, now).await?;
        self.rules.apply(&mut desired);
        Ok(desired)
    }

    /// Everything up to the flip, which nobody sees anything of.
    ///
    /// # Errors
    /// Why the commit cannot be looked at.
    pub(super) async fn prepare(&mut self, commit: &CommitId) -> Result<Coming, String> {
        let declared = self.declare(commit).await;
        let mut desired = declared.map_err(|error| format!("commit {} cannot be read: {error}", commit.short()))?;
        let scrubber = Scrubber::new(desired.hidden.iter().map(|value| value.expose()));
        let (files, keep) = (std::mem::take(&mut desired.files), std::mem::take(&mut desired.keep));
        let id = commit.to_string();
        let staged = self.with_sink(move |sink| sink.stage(files, &keep, &id)).await;
        let staged = staged.map_err(|error| super::chain(&error))?;
        let mut problems = std::mem::take(&mut desired.problems);
        problems.extend_from_slice(staged.problems());
        let changes = untold::with(told(staged.changes()), &self.untold);
        let credentials = self.changed_credentials(&desired.credentials).await;
        let asked =
            Asked { services: &desired.services, units: &desired.units, changes: &changes, credentials: &credentials };
        let plan = units::plan(&asked);
        problems.extend_from_slice(&plan.problems);
        Ok(Coming { desired, problems, staged, changes, credentials, plan, scrubber })
    }

    /// Whether the services' own `validate` commands take it.
    ///
    /// # Errors
    /// Why one does not.
    pub(super) async fn validate(&mut self, coming: &Coming) -> Result<(), Taken> {
        let Coming { desired, staged, changes, scrubber, .. } = coming;
        let view = view(staged, &self.config.run, &self.config.root);
        let outer = std::mem::replace(&mut self.under, Under::Firm);
        let validated = self.beside(gate::validate(&desired.services, changes, view, scrubber)).await;
        self.under = outer;
        let validated = validated.map_err(|_cut| Taken::Failed("ended, since the agent was told to".to_owned()))?;
        let validated = validated.map_err(|refusal| {
            // A command that could not be run says nothing about the files: it is tried again.
            let is_said = |refused: &Refused| matches!(refused.why, CommandError::Failed { .. });
            let is_refused = refusal.0.iter().any(is_said);
            let why = refusal.to_string();
            if is_refused { Taken::Refused { why, after: None } } else { Taken::Failed(why) }
        })?;
        if validated.isolation == Some(Isolation::None) {
            warn!("validate commands cannot have a mount namespace here: they saw the files that are in use");
        }
        for path in &validated.hidden {
            warn!(path = %path.display(), "validate commands could not be shown this path");
        }
        Ok(())
    }

    /// Brings the host to what `commit` asks for, or leaves it as it is.
    pub(super) async fn take(&mut self, commit: &CommitId, why: Why) -> Taken {
        let outer = self.under;
        if outer == Under::Nothing {
            self.under = Under::Again;
        }
        let taken = self.take_under(commit, why).await;
        self.under = outer;
        self.status.trying = None;
        taken
    }

    async fn take_under(&mut self, commit: &CommitId, why: Why) -> Taken {
        let coming = match self.prepare(commit).await {
            Ok(coming) => coming,
            Err(error) => return Taken::Failed(error),
        };
        // What was good once needs no validation by programs that cannot do their work yet.
        if !self.files_only
            && let Err(taken) = self.validate(&coming).await
        {
            return taken;
        }
        if why == Why::New {
            self.state.trying = Some(Good { commit: commit.to_string(), since: Timestamp::now() });
            if let Err(error) = self.state.save(&self.config.state) {
                self.state.trying = None;
                let folder = self.config.state.display();
                return Taken::Failed(format!("what is being tried cannot be written to {folder}: {error}"));
            }
        }
        self.flip(commit, why, coming).await
    }

    async fn flip(&mut self, commit: &CommitId, why: Why, coming: Coming) -> Taken {
        let Coming { mut desired, mut problems, staged, changes, credentials, plan, scrubber } = coming;
        // From here on until all are told, a kill leaves services with files that are no more.
        self.note_untold(changes);
        let before = self.in_use().await;
        let flipped = match self.with_sink(move |sink| sink.flip(staged)).await {
            Ok(flipped) => flipped,
            Err(error) => return Taken::Failed(super::chain(&error)),
        };
        let Flipped { from, to, settled, .. } = flipped;
        problems.extend(settled.problems);
        for (path, backup) in &settled.kept {
            info!(path = %path.display(), backup = %backup.display(), "was there before: kept beside it");
        }
        if self.files_only {
            if why == Why::Boot {
                // Nothing runs that could have read other files.
                self.note_untold(Vec::new());
            }
            self.status.problems = problems;
            self.show_current().await;
            return Taken::Done(from != to);
        }
        self.show_current().await;
        if why == Why::New {
            self.under = Under::Trial;
            self.status.trying.clone_from(&self.state.trying);
            self.publish();
        }
        let digests = self.handed.digests(&desired.credentials);
        self.handed.strike_out(&credentials);
        let former = self.credentials.replace(std::mem::take(&mut desired.credentials));
        let mut ran = BTreeSet::new();
        let unproved = match self.tell_and_prove(&desired.services, &plan, why, &scrubber, &mut ran).await {
            Ok(()) => {
                self.handed.settle(digests);
                self.arrived(commit, desired, problems).await;
                return Taken::Done(from != to || !plan.steps.is_empty());
            }
            Err(unproved) => unproved,
        };
        if why == Why::New {
            let trial = Trial { commit, before, from, to, former, services: desired.services, ran, scrubber };
            return self.go_back(trial, unproved).await;
        }
        let good = self.good().filter(|good| good != commit);
        match unproved {
            // What was not told is noted: it is done when this commit is taken once more.
            Unproved::Cut(Cut::Back) => Taken::Failed("ended, since the host is to go back".to_owned()),
            Unproved::Cut(Cut::Stop) => Taken::Failed("ended, since the agent was told to".to_owned()),
            Unproved::Unwell(why) if from == to || from == 0 || before != good.or_else(|| Some(commit.clone())) => {
                // A service that fails for now is better off with its files.
                problems.push(Problem { object: "services".to_owned(), at: None, message: why });
                self.handed.settle(digests);
                self.arrived(commit, desired, problems).await;
                Taken::Done(from != to || !plan.steps.is_empty())
            }
            // Somebody wished to go back to it, and it is not well.
            unproved @ Unproved::Unwell(_) => {
                let trial = Trial { commit, before, from, to, former, services: desired.services, ran, scrubber };
                self.go_back(trial, unproved).await
            }
        }
    }

    /// Tells the services what is new, and waits until they have proved well. `ran` are then the units that ran before.
    async fn tell_and_prove(
        &mut self,
        services: &[Service],
        plan: &Plan,
        why: Why,
        scrubber: &Scrubber,
        ran: &mut BTreeSet<String>,
    ) -> Result<(), Unproved> {
        let manager = Arc::clone(&self.manager);
        // A command that is cut off between its stop and its start would leave a service down.
        let (done, cut) = self.wholly(manager.carry_out(plan, why == Why::Boot, scrubber)).await;
        let before = done.told.iter().filter(|told| told.before.is_wanted());
        ran.extend(before.map(|told| told.tell.unit.clone()));
        if let Some(failed) = done.failures.first() {
            return Err(Unproved::Unwell(super::chain(failed)));
        }
        if let Some(cut) = cut {
            return Err(Unproved::Cut(cut));
        }
        if !done.told.is_empty() {
            // The files are there and known to all: who waits for the agent at boot need not wait for the proof.
            self.ready();
        }
        let proof = self.beside(gate::prove(services, &done.told, &manager, scrubber)).await.map_err(Unproved::Cut)?;
        proof.map_err(|unhealthy| Unproved::Unwell(unhealthy.to_string()))
    }

    /// The host has the commit: what is said about it.
    async fn arrived(&mut self, commit: &CommitId, desired: Desired, mut problems: Vec<Problem>) {
        self.note_untold(Vec::new());
        self.pause = AGAIN;
        self.refresh = desired.refresh.map(|after| Instant::now() + after.max(Duration::from_secs(1)));
        self.status.refresh = desired.refresh.and_then(|after| Timestamp::now().checked_add(after).ok());
        self.services = desired.services;
        self.known = Some(commit.clone());
        self.status.services = self.look_at_services(&mut problems).await;
        for problem in problems.iter().filter(|problem| !self.status.problems.contains(problem)) {
            warn!("{problem}");
        }
        self.status.problems = problems;
        self.show_current().await;
        self.state.approve(commit.as_str(), Timestamp::now());
        self.save();
        if let Err(error) = self.repository.remember(commit).await {
            warn!(error = super::chain(&error), "the clone does not remember the good commit");
        }
        self.external.forget_others().await;
        if let Err(error) = self.with_sink(|sink| sink.prune()).await {
            warn!(error = super::chain(&error), "old generations stay");
        }
    }

    /// The generation in use, in the status.
    pub(super) async fn show_current(&mut self) {
        let manifest = self.with_sink(|sink| sink.current().clone()).await;
        let warnings = exposed::warnings(&manifest, &self.config.allow, &self.config.root);
        for warning in warnings.iter().filter(|warning| !self.status.warnings.contains(warning)) {
            warn!("{warning}");
        }
        self.status.warnings = warnings;
        self.status.generation = manifest.number;
        let files = manifest.files.iter().map(|(path, entry)| FileStatus {
            path: path.clone(),
            uid: entry.uid,
            gid: entry.gid,
            mode: format!("{:04o}", entry.mode),
            secrets: entry.secrets.clone(),
            is_stale: entry.stale,
        });
        self.status.files = files.collect();
    }

    /// How the services are; one that is to be well and does not run is a problem.
    async fn look_at_services(&self, problems: &mut Vec<Problem>) -> Vec<ServiceStatus> {
        let mut seen = Vec::with_capacity(self.services.len());
        for service in &self.services {
            let unit = units::name::of_service(service, self.manager.init());
            let state = self.manager.state(&unit, service.commands.as_ref()).await;
            if service.health.is_some() && state.as_ref().is_ok_and(|state| !state.runs() && !state.ends) {
                let message = "does not run, so its health was not looked at; start it, or declare it under `units` with \
                               `start: true`";
                problems.push(Problem {
                    object: format!("service {}", service.name),
                    at: None,
                    message: message.to_owned(),
                });
            }
            let state = state.map_or_else(|failed| super::chain(&failed), |state| state.to_string());
            seen.push(ServiceStatus { name: service.name.clone(), unit, state });
        }
        seen
    }
}
