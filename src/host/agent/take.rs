//! One commit: declare, stage, validate, flip, tell, prove, or go back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use super::status::{FileStatus, ServiceStatus};
use super::untold;
use super::words::{told, view};
use super::{Agent, Good};
use crate::host::command::{CommandError, Scrubber};
use crate::host::declared::declare;
use crate::host::desired::{Desired, Problem, Service};
use crate::host::gate::{self, Isolation, Refused};
use crate::host::repository::CommitId;
use crate::host::sink::{Flipped, Manifest, Staged};
use crate::host::units::{self, Asked, Change, Plan, Step};

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
    /// It did not prove well, and the host has what it had: why.
    Refused(String),
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
        let credentials = self.credentials.changed(&desired.credentials);
        let asked =
            Asked { services: &desired.services, units: &desired.units, changes: &changes, credentials: &credentials };
        let plan = units::plan(&asked);
        problems.extend_from_slice(&plan.problems);
        Ok(Coming { desired, problems, staged, changes, plan, scrubber })
    }

    /// Whether the services' own `validate` commands take it.
    ///
    /// # Errors
    /// Why one does not.
    pub(super) async fn validate(&self, coming: &Coming) -> Result<(), Taken> {
        let Coming { desired, staged, changes, scrubber, .. } = coming;
        let view = view(staged, &self.config.run, &self.config.root);
        let validated = gate::validate(&desired.services, changes, view, scrubber).await;
        let validated = validated.map_err(|refusal| {
            // A command that could not be run says nothing about the files: it is tried again.
            let is_said = |refused: &Refused| matches!(refused.why, CommandError::Failed { .. });
            let is_refused = refusal.0.iter().any(is_said);
            if is_refused { Taken::Refused(refusal.to_string()) } else { Taken::Failed(refusal.to_string()) }
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
        let Coming { mut desired, mut problems, staged, changes, plan, scrubber } = coming;
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
            let manifest = self.with_sink(|sink| sink.current().clone()).await;
            self.show(&manifest);
            return Taken::Done(from != to);
        }
        let former = self.credentials.replace(std::mem::take(&mut desired.credentials));
        let done = self.manager.carry_out(&plan, why == Why::Boot, &scrubber).await;
        let mut refused = done.failures.first().map(|failed| super::chain(failed));
        if refused.is_none() {
            let proof = gate::prove(&desired.services, &done.told, &self.manager, &scrubber).await;
            refused = proof.err().map(|unhealthy| unhealthy.to_string());
        }
        let changed = from != to || !plan.steps.is_empty();
        let Some(refused) = refused else {
            self.arrived(commit, desired, problems).await;
            return Taken::Done(changed);
        };
        let good = self.good().filter(|good| good != commit);
        if from == to && why == Why::New && good.is_some() {
            // It was in use already, unproved: an agent before this one was killed over it; or only credentials and units are
            // other ones. The good commit is taken next.
            drop(self.credentials.restore(former));
            return Taken::Refused(refused);
        }
        if from == to || from == 0 || before != good.or_else(|| Some(commit.clone())) {
            // There is nothing proved to go back to, and a service that fails for now is better off with its files.
            problems.push(Problem { object: "services".to_owned(), at: None, message: refused });
            self.arrived(commit, desired, problems).await;
            return Taken::Done(changed);
        }
        warn!(commit = commit.short(), why = refused, "going back");
        let credentials = self.credentials.restore(former);
        let changes = match self.with_sink(move |sink| sink.back_to(from)).await {
            // Also what an agent before this one did not tell.
            Ok(back) => untold::with(told(&back.changes), &self.untold),
            Err(error) => {
                return Taken::Refused(format!("{refused}; and the files cannot go back: {}", super::chain(&error)));
            }
        };
        // Those who were told of the new files are told of the old ones, also those that only the new commit has, or that
        // this agent has not read of yet; what ended over it starts again.
        let mut services = self.services.clone();
        let is_new = |service: &Service| self.services.iter().all(|known| known.name != service.name);
        services.extend(desired.services.into_iter().filter(is_new));
        let asked = Asked { services: &services, units: &[], changes: &changes, credentials: &credentials };
        let mut plan = units::plan(&asked);
        for step in &mut plan.steps {
            // Only systemd says of what does not run whether it was to.
            if let Step::Tell(tell) = step {
                tell.start |= done.told.iter().any(|told| told.tell.unit == tell.unit && told.before.is_wanted());
            }
        }
        let undone = self.manager.carry_out(&plan, true, &scrubber).await;
        self.note_untold(Vec::new());
        let failed = undone.failures.first().map(|failed| super::chain(failed));
        Taken::Refused(
            failed.map_or_else(|| refused.clone(), |failed| format!("{refused}; after going back: {failed}")),
        )
    }

    /// The host has the commit: what is said about it.
    async fn arrived(&mut self, commit: &CommitId, desired: Desired, mut problems: Vec<Problem>) {
        self.note_untold(Vec::new());
        self.refresh = desired.refresh.map(|after| Instant::now() + after.max(Duration::from_secs(1)));
        self.status.refresh = desired.refresh.and_then(|after| Timestamp::now().checked_add(after).ok());
        self.services = desired.services;
        self.known = Some(commit.clone());
        self.status.services = self.look_at_services(&mut problems).await;
        for problem in problems.iter().filter(|problem| !self.status.problems.contains(problem)) {
            warn!("{problem}");
        }
        self.status.problems = problems;
        let manifest = self.with_sink(|sink| sink.current().clone()).await;
        self.show(&manifest);
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

    pub(super) fn show(&mut self, manifest: &Manifest) {
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
