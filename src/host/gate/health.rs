//! After the flip: the services that were told must become well, and stay so for a while.

use std::time::Duration;

use bulla_crds::host::HealthCheck;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout};

use super::probe::Probe;
use crate::host::command::Scrubber;
use crate::host::desired::Service;
use crate::host::units::{Active, How, Manager, State, Told};
use crate::sync::external::duration;

/// How long it may take until a service is well, if nothing else is said.
const WITHIN: Duration = Duration::from_secs(30);
/// How long it must then stay well.
const LASTING: Duration = Duration::from_secs(5);
/// No repository makes the agent wait longer than this for one thing.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// The pauses between two looks, at first and later.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));

/// A service that is not well after a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{service} is not well: {why}")]
pub struct Unhealthy {
    /// The service, or the unit where no service is about it.
    pub service: String,
    /// What is wrong, without secrets.
    pub why: String,
}

/// What one look found.
enum Look {
    /// All is well; the process that it is.
    Well(Life),
    /// Not yet, or no longer.
    Unwell(String),
    /// It will not become well by waiting.
    Lost(String),
}

/// What tells one run of a unit from the next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Life {
    invocation: String,
    restarts: u32,
    main_pid: u32,
}

/// A unit that is watched, with one service's check.
struct Watched<'a> {
    name: &'a str,
    told: &'a Told,
    check: Option<&'a HealthCheck>,
}

/// Waits until everything in `told` is well and has stayed so, all at once.
///
/// A unit is well while it is active; one that is to end is well when it ended well. A service's own checks must hold
/// besides. Between the first moment that it is well and the last, it must not have been started again; after a reload,
/// not since it was told, either.
///
/// # Errors
/// [`Unhealthy`] for the first that fails; the others are not waited for.
pub async fn prove(
    services: &[Service],
    told: &[Told],
    manager: &Manager,
    scrubber: &Scrubber,
) -> Result<(), Unhealthy> {
    let mut all: FuturesUnordered<_> = FuturesUnordered::new();
    for told in told {
        let about = |service: &&Service| told.tell.services.contains(&service.name);
        let mut watched: Vec<Watched<'_>> = services
            .iter()
            .filter(about)
            .map(|service| Watched { name: &service.name, told, check: service.health.as_ref() })
            .collect();
        if watched.is_empty() {
            watched.push(Watched { name: &told.tell.unit, told, check: None });
        }
        all.extend(watched.into_iter().map(|watched| watched.proves(manager, scrubber)));
    }
    while let Some(proved) = all.next().await {
        proved?;
    }
    Ok(())
}

impl Watched<'_> {
    async fn proves(self, manager: &Manager, scrubber: &Scrubber) -> Result<(), Unhealthy> {
        let unhealthy = |why: String| Unhealthy { service: self.name.to_owned(), why };
        let probe = Probe::new(self.check).await.map_err(unhealthy)?;
        let within = period(self.check.and_then(|check| check.within.as_deref()), WITHIN);
        let lasting = period(self.check.and_then(|check| check.lasting.as_deref()), LASTING);
        let deadline = Instant::now() + within;
        let mut pause = PAUSES.0;
        let mut well: Option<(Instant, Life)> = None;
        // It is known why it is not well before there is no more time.
        let mut last = "no check was answered".to_owned();
        loop {
            let patience = match &well {
                None => deadline.saturating_duration_since(Instant::now()),
                Some(_) => within.max(PAUSES.1),
            };
            let look = timeout(patience, self.look(manager, &probe, scrubber)).await;
            match (look, &well) {
                (Ok(Look::Lost(why)), _) => return Err(unhealthy(why)),
                (Ok(Look::Well(life)), None) => well = Some((Instant::now(), life)),
                (Ok(Look::Well(life)), Some((since, first))) => {
                    if life != *first {
                        return Err(unhealthy(format!("it ended and was started again ({} times)", life.restarts)));
                    }
                    if since.elapsed() >= lasting {
                        return Ok(());
                    }
                }
                (Ok(Look::Unwell(why)), None) => last = why,
                (Err(_elapsed), None) => {}
                (Ok(Look::Unwell(why)), Some((since, _))) => {
                    return Err(unhealthy(format!("it was well for {} s only: {why}", since.elapsed().as_secs())));
                }
                (Err(_elapsed), Some(_)) => return Err(unhealthy("its checks are no longer answered".to_owned())),
            }
            if well.is_none() && Instant::now() >= deadline {
                return Err(unhealthy(format!("{last} (it had {} s)", within.as_secs_f32())));
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn look(&self, manager: &Manager, probe: &Probe<'_>, scrubber: &Scrubber) -> Look {
        let tell = &self.told.tell;
        let state = match manager.state(&tell.unit, tell.commands.as_ref()).await {
            Ok(state) => state,
            Err(failed) => return Look::Unwell(failed.to_string()),
        };
        // Started again by itself, it would come back out of this; failed, it does not.
        if state.active == Active::Failed {
            return Look::Lost(described(&tell.unit, &state));
        }
        if self.was_started_again(&state) {
            return Look::Lost(format!("{} ended after its reload and was started again", tell.unit));
        }
        if !state.is_well() {
            return Look::Unwell(described(&tell.unit, &state));
        }
        match probe.check(scrubber).await {
            Ok(()) => Look::Well(Life::of(&state)),
            Err(why) => Look::Unwell(why),
        }
    }

    /// Whether a unit that was only to reload is another one now.
    fn was_started_again(&self, now: &State) -> bool {
        let before = &self.told.before;
        let reloaded = self.told.tell.how == How::Reload && before.active == Active::Active && before.can_reload;
        reloaded && self.told.tell.commands.is_none() && before.invocation != now.invocation
    }
}

impl Life {
    fn of(state: &State) -> Self {
        Self { invocation: state.invocation.clone(), restarts: state.restarts, main_pid: state.main_pid }
    }
}

fn described(unit: &str, state: &State) -> String {
    format!("{unit} is {state} (see journalctl -u {unit} -n 50)")
}

/// What is said, within bounds. What cannot be read was told when the document was; then the default holds.
fn period(said: Option<&str>, default: Duration) -> Duration {
    said.and_then(|text| duration::interval(text).ok()).unwrap_or(default).min(LONGEST)
}
