//! The loop: what wakes the agent, and what it does then.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::control::{self, Asked};
use super::pass::Ask;
use super::take::Why;
use super::{Agent, Answer, Condition, Error, Request, listeners};
use crate::host::config::Config;
use crate::host::credentials;
use crate::host::repository::CommitId;
use crate::host::sink::Watch;

/// After a push, this long for more of them.
const SETTLE: Duration = Duration::from_millis(50);
/// After a change by hand, this long for more of them, and never longer than this.
const QUIET: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Failures of what is not the repository's fault are tried again after this time.
const AGAIN: Duration = Duration::from_secs(30);

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
    let (asked, mut requests) = mpsc::channel(16);
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
    let mut hang_up = signal(SignalKind::hangup()).map_err(Error::io("cannot handle signals"))?;

    // With the network away the host is to have its files at once, before the repository is asked.
    agent.finish_interrupted().await;
    agent.pass(Ask::Nobody).await;
    agent.pass(Ask::Remote).await;
    notify_systemd(&agent, true);
    tasks.spawn(keep_alive());
    let poll = agent.config.repository.poll;
    let mut next_poll = next(poll);
    let mut next_look = next(agent.config.drift.every);
    let mut watch = None;
    let mut watched = None;
    loop {
        // Another generation has other files.
        if watched != Some(agent.status.generation) || watch.is_none() {
            watch = agent.watch().await;
            watched = Some(agent.status.generation);
            // Between one watch and the next nobody looked.
            agent.look_for_drift().await;
        }
        let due = agent.refresh;
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = at(next_poll) => {
                agent.pass(Ask::Remote).await;
                next_poll = next(poll);
            }
            () = pushed.notified() => {
                tokio::time::sleep(SETTLE).await;
                agent.pass(Ask::Remote).await;
                next_poll = next(poll);
            }
            _ = hang_up.recv() => agent.pass(Ask::Remote).await,
            Some(asked) = requests.recv() => agent.answer(asked).await,
            () = at(next_look) => {
                agent.look_for_drift().await;
                next_look = next(agent.config.drift.every);
            }
            changed = changed(&mut watch) => {
                if !changed {
                    watch = None;
                }
                agent.look_for_drift().await;
            }
            () = at(due) => agent.refresh().await,
        }
        notify_systemd(&agent, false);
    }
    info!("told to stop");
    // What was answered may be read no more; files stay, for the programs that use them.
    agent.external.close().await;
    Ok(())
}

/// When a period is over; up to a tenth is added or taken by chance, so that hosts do not ask all at once.
fn next(period: Duration) -> Option<Instant> {
    if period.is_zero() {
        return None;
    }
    let share = u32::try_from(crate::providers::random() % 201).unwrap_or_default();
    Some(Instant::now() + period * (900 + share) / 1000)
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

/// Waits until something may have been changed by hand; whether the watch is still good.
async fn changed(watch: &mut Option<Watch>) -> bool {
    match watch {
        Some(watch) => watch.changed().await.is_ok(),
        None => pending().await,
    }
}

/// Says that the agent is up, and how the host is. Without systemd nobody listens.
fn notify_systemd(agent: &Agent, is_ready: bool) {
    let message = sd_notify::NotifyState::Status(&agent.status.message);
    let told = if is_ready {
        sd_notify::notify(&[sd_notify::NotifyState::Ready, message])
    } else {
        sd_notify::notify(&[message])
    };
    if let Err(error) = told {
        warn!(%error, "systemd cannot be told");
    }
}

/// Tells systemd's watchdog that the process lives: a task that blocks the only thread would keep it from that.
async fn keep_alive() {
    let Some(period) = sd_notify::watchdog_enabled() else { return pending().await };
    loop {
        if sd_notify::notify(&[sd_notify::NotifyState::Watchdog]).is_err() {
            return pending().await;
        }
        tokio::time::sleep(period / 2).await;
    }
}

impl Agent {
    /// A commit that was being tried when the agent, or the machine, went away: it has not proved well. If it is in use,
    /// what the agent did last may not have been told to anybody, so the last good one is taken and all are told anew;
    /// then the tip gets its chance in the ordinary way.
    async fn finish_interrupted(&mut self) {
        let manifest = self.with_sink(|sink| sink.current().clone()).await;
        self.show(&manifest);
        if let Some(trying) = &self.state.trying {
            warn!(commit = trying.commit, "was being tried when the agent went away");
            self.state.interrupt(Timestamp::now());
            self.save();
        }
    }

    /// Watches what the generation in use consists of.
    async fn watch(&self) -> Option<Watch> {
        let list = self.with_sink(|sink| sink.watch_list()).await;
        match Watch::new(list, QUIET.0, QUIET.1) {
            Ok(watch) => {
                let every = self.config.drift.every;
                if let [(folder, error), ..] = watch.unwatched().as_slice() {
                    let (folder, count) = (folder.display(), watch.unwatched().len());
                    warn!(%folder, %error, count, "folders cannot be watched: changes by hand there are found only every {every:?}");
                }
                Some(watch.trying_again(every))
            }
            Err(error) => {
                warn!(%error, "changes by hand are found only every {:?}", self.config.drift.every);
                None
            }
        }
    }

    /// Values from elsewhere are due.
    async fn refresh(&mut self) {
        self.refresh = Some(Instant::now() + AGAIN);
        if let Some(good) = self.good() {
            self.status.refused = None;
            self.take_again(&good, Why::Again).await;
            self.publish();
        }
    }

    async fn answer(&mut self, asked: Asked) {
        let answer = match asked.request {
            Request::Sync => {
                self.pass(Ask::Remote).await;
                self.said()
            }
            Request::Rollback => self.roll_back().await,
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
        self.state.condemn(present.as_str(), "it was gone back from by hand".to_owned(), Timestamp::now());
        self.save();
        self.take_again(&commit, Why::Again).await;
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
