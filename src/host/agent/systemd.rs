//! What systemd is told: that the agent is up, how the host is, and that the loop lives. Without systemd nobody listens.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;
use tracing::{error, warn};

use super::Agent;

/// A loop that did nothing for so long hangs. What takes longer is done beside it; what is not, reading a commit, asking
/// stores and writing files, has limits of its own that are shorter.
const DEAD: Duration = Duration::from_secs(15 * 60);

/// How much longer systemd waits for a start that goes on, in microseconds: five minutes.
const PATIENCE: u32 = 300_000_000;

/// The last sign of life of the loop.
#[derive(Clone)]
pub(super) struct Pulse {
    began: Instant,
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// It lives now.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), last: Arc::default() }
    }

    /// It lives.
    pub(super) fn beat(&self) {
        self.last.store(self.began.elapsed().as_secs(), Ordering::Relaxed);
    }

    /// How long ago it was seen alive.
    fn age(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_secs(self.last.load(Ordering::Relaxed)))
    }
}

/// Feeds systemd's watchdog as long as the loop lives, which is looked at twice in the watchdog's period.
pub(super) async fn keep_alive(pulse: Pulse) {
    let Some(period) = sd_notify::watchdog_enabled() else { return pending().await };
    let mut hangs = false;
    loop {
        if pulse.age() < DEAD {
            hangs = false;
            tell(&[NotifyState::Watchdog]);
        } else if !hangs {
            hangs = true;
            error!("the agent hangs: systemd's watchdog is to start it anew");
        }
        tokio::time::sleep(period / 2).await;
    }
}

impl Agent {
    /// The host has its files, and its services know of them. Said once.
    pub(super) fn ready(&mut self) {
        if self.wakes.is_some() && !std::mem::replace(&mut self.is_ready, true) {
            tell(&[NotifyState::Ready, NotifyState::Status(&self.status.message)]);
        }
    }

    /// A first clone over a slow line may take hours: whoever starts the agent has to wait, and not to give up.
    pub(super) fn not_yet_ready(&self) {
        if self.wakes.is_some() && !self.is_ready {
            tell(&[NotifyState::ExtendTimeoutUsec(PATIENCE)]);
        }
    }

    /// How the host is, for `systemctl status`.
    pub(super) fn tell_systemd(&self) {
        tell(&[NotifyState::Status(&self.status.message)]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pulse;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_nothing_grows_old_and_one_that_beats_does_not() {
        let pulse = Pulse::new();
        tokio::time::advance(super::DEAD).await;
        assert!(pulse.age() >= super::DEAD);
        pulse.clone().beat();
        assert!(pulse.age() < Duration::from_secs(1));
    }
}
