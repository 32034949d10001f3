//! One commit: declare, stage, validate, flip, tell, prove, or go back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tracing::{info, warn};

use super::commit::Commit;
use super::status::{FileStatus, ServiceStatus};
use super::{Agent, Error, Good};
use crate::host::config::Config;
use crate::host::declared::declare;
use crate::host::desired::{Desired, Problem};
use crate::host::gate;
use crate::host::repository::CommitId;
use crate::host::sink::{Change, Manifest, Staged};
use crate::host::units::{self, Asked, Plan};

/// Why a commit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is new.
    New,
    /// It is the last good one, and the machine was started anew: nothing of it is there.
    Boot,
    /// It is the one in use, and values from elsewhere are due or failed before.
    Refresh,
    /// It is the one in use, and somebody changed the files by hand.
    Drift,
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

/// What would be done, by `--dry-run` and `bulla host diff`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The commit that the host has.
    pub good: Option<String>,
    /// The commit that was looked at.
    pub commit: String,
    /// Files that are not as they would be.
    pub changes: Vec<Change>,
    /// What would be told, started and stopped, in this order.
    pub steps: Vec<String>,
    /// What cannot be made.
    pub problems: Vec<Problem>,
    /// Why the commit would not be taken.
    pub refused: Option<String>,
}

impl Agent {
    /// What the commit asks of this host.
    async fn declare(&mut self, commit: &CommitId) -> Result<Desired, String> {
        let source = Commit::open(&self.repository, commit, self.config.repository.path.clone()).await?;
        let (keyring, now) = (Arc::clone(&self.keyring), Timestamp::now());
        let mut desired = declare(Arc::new(source), &self.who, keyring, &mut self.external, now).await?;
        self.rules.apply(&mut desired);
        Ok(desired)
    }

    /// Brings the host to what `commit` asks for, or leaves it as it is.
    pub(super) async fn take(&mut self, commit: &CommitId, why: Why) -> Taken {
        let mut desired = match self.declare(commit).await {
            Ok(desired) => desired,
            Err(error) => return Taken::Failed(format!("commit {} cannot be read: {error}", commit.short())),
        };
        self.refresh = desired.refresh.map(|after| Instant::now() + after.max(Duration::from_secs(1)));
        self.status.refresh = desired.refresh.and_then(|after| Timestamp::now().checked_add(after).ok());
        let (files, keep, id) =
            (std::mem::take(&mut desired.files), std::mem::take(&mut desired.keep), commit.to_string());
        let staged = self.with_sink(move |sink| sink.stage(files, &keep, Some(&id))).await;
        let staged = match staged {
            Ok(staged) => staged,
            Err(error) => return Taken::Failed(error.to_string()),
        };
        let mut problems = std::mem::take(&mut desired.problems);
        problems.extend_from_slice(staged.problems());
        let credentials = self.credentials.changed(&desired.credentials);
        let changes = staged.changes().to_vec();
        let plan = units::plan(&Asked {
            services: &desired.services,
            units: &desired.units,
            changes: &changes,
            credentials: &credentials,
        });
        problems.extend_from_slice(&plan.problems);
        if changes.is_empty() && credentials.is_empty() && why != Why::Boot {
            let manifest = self.with_sink(|sink| sink.current().clone()).await;
            self.arrived(commit, desired, problems, &manifest).await;
            return Taken::Done(false);
        }
        let scrubber = self.scrubber(&staged).await;
        if let Err(refusal) = gate::validate(&desired.services, &changes, &staged, &scrubber).await {
            return Taken::Refused(refusal.to_string());
        }
        self.flip(commit, why, desired, problems, staged, &plan, &scrubber).await
    }

    #[expect(clippy::too_many_arguments, reason = "the second half of `take`, which is long enough without it")]
    async fn flip(
        &mut self,
        commit: &CommitId,
        why: Why,
        mut desired: Desired,
        problems: Vec<Problem>,
        staged: Staged,
        plan: &Plan,
        scrubber: &gate::Scrubber,
    ) -> Taken {
        let before = self.with_sink(|sink| sink.current().number).await;
        if why == Why::New {
            self.state.trying = Some(Good { commit: commit.to_string(), since: Timestamp::now() });
            self.save();
        }
        let flipped = self.with_sink(move |sink| sink.flip(staged)).await;
        let manifest = match flipped {
            Ok(flipped) => flipped,
            Err(error) => {
                self.state.trying = None;
                self.save();
                return Taken::Failed(error.to_string());
            }
        };
        info!(commit = commit.short(), generation = manifest.number, "flipped");
        let former = self.credentials.replace(std::mem::take(&mut desired.credentials));
        let done = self.manager.carry_out(plan, why == Why::Boot, scrubber).await;
        let mut refused = done.failures.first().map(ToString::to_string);
        if refused.is_none() {
            let proof = gate::prove(&desired.services, &done.told, &self.manager, scrubber).await;
            refused = proof.err().map(|unhealthy| unhealthy.to_string());
        }
        let Some(refused) = refused else {
            self.arrived(commit, desired, problems, &manifest).await;
            return Taken::Done(true);
        };
        if why == Why::Boot || before == 0 {
            // There is nothing to go back to, and a service that fails for now is better off with its files.
            let mut problems = problems;
            problems.push(Problem { object: "health".to_owned(), at: None, message: refused });
            self.arrived(commit, desired, problems, &manifest).await;
            return Taken::Done(true);
        }
        warn!(commit = commit.short(), why = refused, "going back");
        self.credentials.restore(former);
        let back = self.go_back(before, scrubber).await;
        Taken::Refused(back.map_or_else(|problem| format!("{refused}; going back: {problem}"), |()| refused))
    }

    /// Back to a generation that is still there, and the same services are told again.
    pub(super) async fn go_back(&mut self, number: u64, scrubber: &gate::Scrubber) -> Result<(), String> {
        let back = self.with_sink(move |sink| sink.back_to(number)).await;
        let changes = back.map_err(|error| error.to_string())?;
        let asked = Asked { services: &self.services, units: &[], changes: &changes, credentials: &[] };
        let done = self.manager.carry_out(&units::plan(&asked), false, scrubber).await;
        done.failures.first().map_or(Ok(()), |failed| Err(failed.to_string()))
    }

    /// The host has the commit: what is said about it.
    async fn arrived(&mut self, commit: &CommitId, desired: Desired, problems: Vec<Problem>, manifest: &Manifest) {
        self.services = desired.services;
        self.status.problems = problems;
        self.status.services = self.look_at_services().await;
        self.show(manifest);
        self.state.approve(commit.as_str(), Timestamp::now());
        self.save();
        let remembered = self.repository.remember(commit).await;
        if let Err(error) = remembered {
            warn!(%error, "the clone does not remember the good commit");
        }
        self.with_sink(|sink| sink.prune()).await.unwrap_or_else(|error| warn!(%error, "old generations stay"));
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

    async fn look_at_services(&self) -> Vec<ServiceStatus> {
        let mut seen = Vec::with_capacity(self.services.len());
        for service in &self.services {
            let unit = units::name::of_service(service, self.manager.init());
            let state = self.manager.state(&unit, service.commands.as_ref()).await;
            let state = state.map_or_else(|failed| failed.to_string(), |state| state.to_string());
            seen.push(ServiceStatus { name: service.name.clone(), unit, state });
        }
        seen
    }
}

/// What would be done if the newest commit was taken. Nothing is: the sink stages and forgets.
///
/// # Errors
/// See [`Error`].
pub async fn dry_run(config: Config, file: PathBuf) -> Result<Preview, Error> {
    let mut agent = Agent::open(config, &file).await?;
    let good = agent.state.good.as_ref().map(|good| good.commit.clone());
    let mut preview = Preview { good, ..Preview::default() };
    let tip = match agent.repository.fetch().await {
        Ok(tip) => tip,
        Err(error) => {
            preview.refused = Some(error.to_string());
            return Ok(preview);
        }
    };
    preview.commit = tip.to_string();
    if let Err(refused) = agent.judge(&tip).await {
        preview.refused = Some(refused);
        return Ok(preview);
    }
    let desired = agent.declare(&tip).await;
    let mut desired = match desired {
        Ok(desired) => desired,
        Err(error) => {
            preview.refused = Some(error);
            return Ok(preview);
        }
    };
    let (files, keep, id) = (std::mem::take(&mut desired.files), std::mem::take(&mut desired.keep), tip.to_string());
    let staged = agent.with_sink(move |sink| sink.stage(files, &keep, Some(&id))).await?;
    preview.changes = staged.changes().to_vec();
    preview.problems = desired.problems;
    preview.problems.extend_from_slice(staged.problems());
    let asked =
        Asked { services: &desired.services, units: &desired.units, changes: &preview.changes, credentials: &[] };
    let plan = units::plan(&asked);
    preview.steps = plan.steps.iter().map(ToString::to_string).collect();
    let scrubber = agent.scrubber(&staged).await;
    let validated = gate::validate(&desired.services, &preview.changes, &staged, &scrubber).await;
    preview.refused = validated.err().map(|refusal| refusal.to_string());
    Ok(preview)
}
