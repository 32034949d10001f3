//! The loop: what wakes the agent, and what it does then.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::control::{self, Asked};
use super::pass::Ask;
use super::systemd::{Pulse, keep_alive};
use super::take::Why;
use super::wake::{Under, Wake, Wakes};
use super::{Agent, Answer, Condition, Error, Request, listeners};
use crate::host::config::Config;
use crate::host::credentials;
use crate::host::repository::CommitId;

/// After a push, this long for more of them.
const SETTLE: Duration = Duration::from_millis(50);
/// Values from elsewhere that could not be taken are tried again after this time, which doubles, up to this: each time
/// services may be told twice.
pub(super) const AGAIN: Duration = Duration::from_secs(30);
const AT_LAST: Duration = Duration::from_secs(60 * 60);

/// How far one pass goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// The repository is asked.
    Remote,
    /// It is not, and the last good commit is taken.
    Offline,
    /// The files of the last good commit are put in place, and that is all.
    Files,
}

/// One pass: whether the host is as its repository says.
///
/// # Errors
/// See [`Error`].
pub async fn once(
    config: Config,
    file: &Path,
    how: Once,
    accept_rewrite: Option<CommitId>,
) -> Result<Condition, Error> {
    let mut agent = Agent::open(config, file).await?;
    agent.accepted = accept_rewrite;
    agent.files_only = how == Once::Files;
    agent.finish_interrupted().await;
    agent.pass(if how == Once::Remote { Ask::Remote } else { Ask::Nobody }).await;
    agent.look_for_drift().await;
    agent.external.close().await;
    Ok(agent.status.condition)
}

/// Follows the repository until `shutdown`.
///
/// # Errors
/// See [`Error`]: only what keeps the agent from beginning. What fails afterwards is in the status and tried again.
pub async fn follow(
    config: Config,
    file: &Path,
    accept_rewrite: Option<CommitId>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut agent = Agent::open(config, file).await?;
    agent.accepted = accept_rewrite;
    agent.status.follows = true;
    let mut tasks = JoinSet::new();
    let (asked, requests) = mpsc::channel(16);
    let pushed = Arc::new(Notify::new());
    tasks.spawn(control::listen(&agent.config.run, asked).map_err(Error::io("cannot listen on the control socket"))?);
    if let Some(hook) = &agent.config.hook {
        let listening = listeners::hook(hook.listen, &hook.secret_file, Arc::clone(&pushed)).await;
        let (address, served) = listening.map_err(Error::io(format!("cannot serve the hook at {}", hook.listen)))?;
        info!(%address, "POST /hook tells of a push");
        tasks.spawn(served);
    }
    if let Some(address) = agent.config.metrics.listen {
        let listening = listeners::metrics(address, &agent.config.run).await;
        let (address, served) = listening.map_err(Error::io(format!("cannot serve metrics at {address}")))?;
        info!(%address, "GET /metrics");
        tasks.spawn(served);
    }
    let served = credentials::listen(&agent.config.run, agent.credentials.clone());
    tasks.spawn(served.map_err(Error::io("cannot listen on the socket for credentials"))?);
    let pulse = Pulse::new();
    tasks.spawn(keep_alive(pulse.clone()));
    let wakes = Wakes::new(&agent.config, shutdown, requests, pushed, pulse);
    agent.wakes = Some(wakes.map_err(Error::io("cannot handle signals"))?);
    let done = Box::pin(agent.run()).await;
    info!("ends");
    // What was answered may be read no more; files stay, for the programs that use them.
    agent.external.close().await;
    done
}

impl Agent {
    /// Does what it is woken for, until it is to end.
    async fn run(&mut self) -> Result<(), Error> {
        // With the network away the host is to have its files at once, before the repository is asked.
        self.finish_interrupted().await;
        self.pass(Ask::Nobody).await;
        if self.good().is_some() {
            // What it has is in place.
            self.ready();
        }
        self.pass(Ask::Remote).await;
        self.ready();
        loop {
            self.stand_fast().await?;
            match self.wake().await {
                Wake::Stop => return Ok(()),
                Wake::Ask => self.pass(Ask::Remote).await,
                Wake::Push => {
                    tokio::time::sleep(SETTLE).await;
                    self.pass(Ask::Remote).await;
                }
                Wake::Asked(asked) => self.answer(asked).await,
                Wake::Look => self.look_for_drift().await,
                Wake::Refresh => self.refresh().await,
                Wake::Beat => {}
            }
            self.tell_systemd();
        }
    }

    /// Whether what is at the run folder's path is still the folder that this agent holds.
    ///
    /// # Errors
    /// If it is another one, or none: nothing that is done here has any effect then.
    async fn stand_fast(&self) -> Result<(), Error> {
        self.with_sink(|sink| sink.stands_fast()).await.map_err(Error::from)
    }

    /// A commit that was being tried when the agent, or the machine, went away: it has not proved well. If it is in use,
    /// what the agent did last may not have been told to anybody, so the last good one is taken and all are told anew;
    /// then the tip gets its chance in the ordinary way.
    async fn finish_interrupted(&mut self) {
        self.show_current().await;
        if let Some(trying) = &self.state.trying {
            warn!(commit = trying.commit, "was being tried when the agent went away");
            self.state.interrupt(Timestamp::now());
            self.save();
        }
    }

    /// Values from elsewhere are due.
    async fn refresh(&mut self) {
        self.refresh = Some(Instant::now() + self.pause);
        self.pause = AT_LAST.min(self.pause * 2);
        if let Some(good) = self.good() {
            self.status.refused = None;
            self.take_again(&good, Why::Again).await;
            self.publish();
        }
    }

    async fn answer(&mut self, asked: Asked) {
        let answer = match asked.request {
            Request::Sync => {
                // Who asks by hand has mended something, such as a program that was not there.
                self.repository.forget_refusals();
                self.pass(Ask::Remote).await;
                self.said()
            }
            Request::Rollback => {
                self.gather_wishes();
                let answer = self.roll_back().await;
                self.answer_who_ended();
                answer
            }
            Request::Forgive { commit } => {
                self.state.bad.retain(|bad| commit.as_ref().is_some_and(|commit| *commit != bad.commit));
                self.save();
                self.pass(Ask::Remote).await;
                self.said()
            }
            Request::AcceptRewrite { commit } => match commit.parse() {
                Ok(commit) => {
                    self.accepted = Some(commit);
                    self.pass(Ask::Remote).await;
                    self.accepted = None;
                    self.said()
                }
                Err(_) => self.no(format!("{commit:?} is no commit id: it takes all 40 or 64 digits")),
            },
            Request::Preview => {
                let preview = self.preview().await;
                let message = preview.refused.clone().unwrap_or_else(|| "nothing was taken".to_owned());
                let done = preview.refused.is_none();
                Answer { done, message, preview: Some(Box::new(preview)), ..self.said() }
            }
        };
        // Who asked may be gone.
        drop(asked.answer.send(answer));
    }

    /// Answers those who ended a trial, or wished to go back while the host did: it is back, or why not.
    pub(super) fn answer_who_ended(&mut self) {
        let present = self.status.generation;
        let is_bad = self.status.condition == Condition::RolledBack;
        for asked in std::mem::take(&mut self.ended_by) {
            let answer = if is_bad {
                Answer { done: true, ..self.said() }
            } else {
                self.no(format!("generation {present} is in use: {}", self.status.message))
            };
            drop(asked.answer.send(answer));
        }
    }

    /// How the host is, as an answer.
    fn said(&self) -> Answer {
        let done = matches!(self.status.condition, Condition::InSync | Condition::Degraded);
        Answer { done, message: self.status.message.clone(), status: Box::new(self.status.clone()), preview: None }
    }

    fn no(&self, message: String) -> Answer {
        Answer { done: false, message, status: Box::new(self.status.clone()), preview: None }
    }

    /// Back to the commit before; the present one is remembered as bad.
    async fn roll_back(&mut self) -> Answer {
        let (Some(present), Some(previous)) = (self.good(), self.state.previous.clone()) else {
            return self.no("there is no commit to go back to".to_owned());
        };
        let Ok(commit) = previous.commit.parse::<CommitId>() else {
            return self.no("the commit before is not known any more".to_owned());
        };
        // First of all, so that a kill does not lead forward again.
        self.state.condemn(present.as_str(), "it was gone back from by hand".to_owned(), None, Timestamp::now());
        self.save();
        self.under = Under::Firm;
        self.take_again(&commit, Why::Again).await;
        self.under = Under::Nothing;
        if self.good().as_ref() != Some(&commit) {
            self.state.bad.retain(|bad| bad.commit != present.as_str());
            self.save();
            let why = self.status.refused.clone().unwrap_or_default();
            return self.no(format!("commit {} cannot be gone back to: {why}", commit.short()));
        }
        self.state.previous = None;
        self.save();
        self.publish();
        let message = format!("back at commit {}; {} is not tried again", commit.short(), present.short());
        Answer { done: true, message, status: Box::new(self.status.clone()), preview: None }
    }
}
