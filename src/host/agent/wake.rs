//! What wakes the agent, in one place: it is heard also while something takes long, such as a health check of half an
//! hour or a server that does not answer.
//!
//! Beside such work changes by hand are put back, and a wish to go back and the end of the agent are obeyed at once. All
//! else waits for its end: one commit is finished before the next one is begun.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Agent;
use super::control::{Asked, Request};
use super::systemd::Pulse;
use crate::host::config::Config;
use crate::host::sink::Watch;

/// After a change by hand, this long for more of them, and never longer than this.
const QUIET: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// What is done sooner than this has nothing done beside it.
const SHORT: Duration = Duration::from_millis(300);
/// Somebody is told that the loop lives, at least so often.
const BEAT: Duration = Duration::from_secs(60);

/// Why the agent is awake.
pub(super) enum Wake {
    /// It is to end.
    Stop,
    /// The repository may have something new.
    Ask,
    /// It has: somebody pushed.
    Push,
    /// Somebody asks.
    Asked(Asked),
    /// Files are to be compared with what they should be.
    Look,
    /// Values from elsewhere are due.
    Refresh,
    /// Nothing: it lives.
    Beat,
}

/// Why something was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The agent is to end.
    Stop,
    /// The host is to go back.
    Back,
}

/// What is under way: what a wish to go back means for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Under {
    /// No commit.
    #[default]
    Nothing,
    /// The good commit once more. It can be ended, and begun again.
    Again,
    /// A new commit has to prove well. Ended, it did not.
    Trial,
    /// It waits: the host goes back already, or nothing new is in place yet.
    Firm,
}

/// What wakes the agent.
pub(super) struct Wakes {
    shutdown: CancellationToken,
    requests: mpsc::Receiver<Asked>,
    pushed: Arc<Notify>,
    hang_up: Signal,
    /// How often the repository is asked, and files are compared.
    periods: (Duration, Duration),
    next_ask: Option<Instant>,
    next_look: Option<Instant>,
    watch: Option<Watch>,
    /// The generation that is watched.
    watched: Option<u64>,
    pulse: Pulse,
    /// What came while something else was under way.
    waiting: VecDeque<Asked>,
    /// The repository is to be asked, files are to be compared, when that is over.
    again: (bool, bool),
}

impl Wakes {
    /// Nothing is waited for yet.
    ///
    /// # Errors
    /// If signals cannot be handled.
    pub(super) fn new(
        config: &Config,
        shutdown: CancellationToken,
        requests: mpsc::Receiver<Asked>,
        pushed: Arc<Notify>,
        pulse: Pulse,
    ) -> std::io::Result<Self> {
        Ok(Self {
            shutdown,
            requests,
            pushed,
            hang_up: signal(SignalKind::hangup())?,
            periods: (config.repository.poll, config.drift.every),
            next_ask: next(config.repository.poll),
            next_look: next(config.drift.every),
            watch: None,
            watched: None,
            pulse,
            waiting: VecDeque::new(),
            again: (false, false),
        })
    }

    /// The repository was asked just now.
    pub(super) fn asked(&mut self) {
        self.next_ask = next(self.periods.0);
    }

    /// What is to be done, first of all what had to wait.
    async fn first(&mut self, due: Option<Instant>) -> Wake {
        if self.shutdown.is_cancelled() {
            return Wake::Stop;
        }
        if let Some(asked) = self.waiting.pop_front() {
            return Wake::Asked(asked);
        }
        if std::mem::take(&mut self.again.1) {
            return Wake::Look;
        }
        if std::mem::take(&mut self.again.0) {
            return Wake::Ask;
        }
        self.next(due).await
    }

    /// Waits for the next thing. It can be dropped at any time, and nothing is lost.
    async fn next(&mut self, due: Option<Instant>) -> Wake {
        self.pulse.beat();
        tokio::select! {
            () = self.shutdown.cancelled() => Wake::Stop,
            () = at(self.next_ask) => {
                self.asked();
                Wake::Ask
            }
            () = self.pushed.notified() => Wake::Push,
            _ = self.hang_up.recv() => Wake::Ask,
            Some(asked) = self.requests.recv() => Wake::Asked(asked),
            () = at(self.next_look) => {
                self.next_look = next(self.periods.1);
                Wake::Look
            }
            is_good = changed(&mut self.watch) => {
                if !is_good {
                    self.watch = None;
                }
                Wake::Look
            }
            () = at(due) => Wake::Refresh,
            () = tokio::time::sleep(BEAT) => Wake::Beat,
        }
    }
}

impl Agent {
    /// Waits for the next thing to do.
    pub(super) async fn wake(&mut self) -> Wake {
        self.watch_anew().await;
        let due = self.refresh;
        match &mut self.wakes {
            Some(wakes) => wakes.first(due).await,
            None => pending().await,
        }
    }

    /// Whether the agent is to end.
    pub(super) fn is_to_stop(&self) -> bool {
        self.wakes.as_ref().is_some_and(|wakes| wakes.shutdown.is_cancelled())
    }

    /// Does `work` to its end, and beside it what cannot wait. One pass has nobody to listen to: it only works.
    ///
    /// # Errors
    /// Why it was ended before: it is dropped then.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T> + Send) -> Result<T, Cut> {
        let mut work = pin!(work);
        if let Ok(done) = timeout(SHORT, &mut work).await {
            return Ok(done);
        }
        if self.wakes.is_none() {
            return Ok(work.await);
        }
        loop {
            if self.is_to_go_back() && self.under != Under::Firm {
                // Somebody wished it while something before this was under way.
                return Err(Cut::Back);
            }
            self.watch_anew().await;
            let Some(wakes) = &mut self.wakes else { return Ok(work.await) };
            let wake = tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                wake = wakes.next(None) => wake,
            };
            match wake {
                Wake::Stop => return Err(Cut::Stop),
                Wake::Asked(asked) if asked.request == Request::Rollback => match self.under {
                    Under::Trial => {
                        self.ended_by.push(asked);
                        return Err(Cut::Back);
                    }
                    Under::Nothing | Under::Again => {
                        wakes.waiting.push_front(asked);
                        return Err(Cut::Back);
                    }
                    // It does so already: one answer is for all who wish it.
                    Under::Firm => self.ended_by.push(asked),
                },
                Wake::Asked(asked) => wakes.waiting.push_back(asked),
                Wake::Ask | Wake::Push => wakes.again.0 = true,
                Wake::Look => self.look_for_drift().await,
                // Those who look at the status see that the agent lives.
                Wake::Beat => {
                    self.publish();
                    self.not_yet_ready();
                }
                Wake::Refresh => {}
            }
        }
    }

    /// Does `work` to its end in any case, since half of it would be worse than all; who wished to end it waits so long.
    pub(super) async fn wholly<T>(&mut self, work: impl Future<Output = T> + Send) -> (T, Option<Cut>) {
        let mut work = pin!(work);
        match self.beside(work.as_mut()).await {
            Ok(done) => (done, None),
            Err(cut) => (work.await, Some(cut)),
        }
    }

    /// Whether somebody waits for the host to go back.
    pub(super) fn is_to_go_back(&self) -> bool {
        let is_wish = |asked: &Asked| asked.request == Request::Rollback;
        self.wakes.as_ref().is_some_and(|wakes| wakes.waiting.iter().any(is_wish))
    }

    /// Those who wait for the host to go back are all answered at once, when it has.
    pub(super) fn gather_wishes(&mut self) {
        let Some(wakes) = &mut self.wakes else { return };
        for asked in std::mem::take(&mut wakes.waiting) {
            if asked.request == Request::Rollback {
                self.ended_by.push(asked);
            } else {
                wakes.waiting.push_back(asked);
            }
        }
    }

    /// Files are compared again when what is under way is over.
    pub(super) fn look_again(&mut self) {
        if let Some(wakes) = &mut self.wakes {
            wakes.again.1 = true;
        }
    }

    /// Another generation has other files to watch.
    async fn watch_anew(&mut self) {
        let generation = Some(self.status.generation);
        let is_watched = |wakes: &Wakes| wakes.watch.is_some() && wakes.watched == generation;
        if self.wakes.as_ref().is_none_or(is_watched) {
            return;
        }
        let watch = self.watch().await;
        if let Some(wakes) = &mut self.wakes {
            wakes.watch = watch;
            wakes.watched = generation;
        }
        // Between one watch and the next nobody looked.
        self.look_for_drift().await;
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
