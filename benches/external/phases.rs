//! The controller over the objects of one scenario: first sync, refresh, restart, and a refresh of all that are overdue.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::arguments::{Arguments, Scenario};
use crate::cluster::audit::Tally;
use crate::cluster::bed::Bed;
use crate::cluster::controller::{ACCOUNT, Bulla};
use crate::cluster::measure::Clock;
use crate::cluster::process::Memory;
use crate::objects;
use crate::shared::progress;
use crate::source::Source;

/// What is counted by the controller itself.
const CALLS: &str = "externalsecret_provider_api_calls_count";
/// So long nothing is asked of the API server before a phase counts as over.
const QUIET: Duration = Duration::from_secs(2);
/// How long that is waited for at most: what waits of events is sent within 7 s.
const SETTLE: Duration = Duration::from_secs(12);
/// How often the audit log is looked into.
const LOOK: Duration = Duration::from_secs(1);
/// So long without any progress is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The controller starts over objects that have no status.
    FirstSync,
    /// It goes on, and each object is refreshed once, at its own time.
    Refresh,
    /// It is started again while nothing is due.
    Restart,
    /// It is started again when everything is due.
    Overdue,
}

/// One phase and its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) phase: Phase,
    pub(crate) objects: usize,
    /// From the start of the process until the last status, in seconds; until it is ready for a restart; from the
    /// first status to the last for a refresh.
    pub(crate) seconds: f64,
    /// From the first write to the last status.
    pub(crate) from_first_write: Option<f64>,
    /// Calls to the provider by their name, as the controller counts them.
    pub(crate) calls: BTreeMap<String, usize>,
    /// Requests that the provider's server had.
    pub(crate) seen: usize,
    pub(crate) tally: Tally,
    pub(crate) cpu: Duration,
    pub(crate) server_cpu: Duration,
    pub(crate) memory: Memory,
}

impl Phase {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::FirstSync => "first sync",
            Self::Refresh => "refresh, each at its time",
            Self::Restart => "restart",
            Self::Overdue => "refresh, all overdue",
        }
    }
}

impl Run {
    pub(crate) fn total_calls(&self) -> usize {
        self.calls.values().sum()
    }
}

/// What all phases of a scenario share.
struct Stage<'a> {
    bed: Bed,
    source: &'a Source,
    arguments: &'a [String],
    token: String,
    user: String,
    count: usize,
}

/// What is known at the beginning of a phase.
struct Begun {
    clock: Clock,
    cpu: Duration,
    server_cpu: Duration,
    calls: BTreeMap<String, usize>,
    seen: usize,
}

/// Runs the phases; what was measured before a failure is kept.
pub(crate) async fn run(
    scenario: Scenario,
    arguments: &Arguments,
    source: &Source,
    runs: &mut Vec<(Scenario, Run)>,
) -> anyhow::Result<()> {
    let (count, interval) = (arguments.size(scenario), arguments.interval(scenario));
    let mut bed = objects::bed().await?;
    let (token, user) = bed.account(ACCOUNT).await;
    objects::add_store(&mut bed, source).await?;
    objects::fill(&bed, scenario, count, source.keys(), interval).await?;
    let stage = Stage { bed, source, arguments: &arguments.controller_arguments, token, user, count };
    let mut keep = |run: Run| {
        progress(&format!("  {}: {:.2} s, {} provider calls", run.phase.label(), run.seconds, run.total_calls()));
        runs.push((scenario, run));
    };

    let mut bulla = {
        let begun = stage.begin(None)?;
        let bulla = stage.start()?;
        stage.bed.until_synced(count, || bulla.check()).await?;
        keep(stage.synced(Phase::FirstSync, begun, &bulla).await?);
        bulla
    };
    let begun = stage.begin(Some(&bulla))?;
    stage.until_statuses(&begun, &bulla, interval).await?;
    keep(stage.synced(Phase::Refresh, begun, &bulla).await?);
    bulla.end();
    stage.bed.rest().await;

    let begun = stage.begin(None)?;
    let mut bulla = stage.start()?;
    let ready = Timestamp::try_from(bulla.until_ready().await?)?;
    let spent = Timestamp::try_from(bulla.spent()?.began)?;
    keep(stage.finish(Phase::Restart, begun, &bulla, |_| Ok(ready.duration_since(spent).as_secs_f64())).await?);
    bulla.end();

    tokio::time::sleep(Duration::from_secs(interval as u64)).await;
    let begun = stage.begin(None)?;
    let bulla = stage.start()?;
    stage.until_statuses(&begun, &bulla, 0).await?;
    keep(stage.synced(Phase::Overdue, begun, &bulla).await?);
    Ok(())
}

impl Stage<'_> {
    fn start(&self) -> anyhow::Result<Bulla> {
        Bulla::start(&self.bed, &self.token, self.arguments)
    }

    /// Takes the numbers to count from; a controller that is still to be started has none.
    fn begin(&self, bulla: Option<&Bulla>) -> anyhow::Result<Begun> {
        Ok(Begun {
            cpu: bulla.map_or(Duration::ZERO, |bulla| bulla.process.cpu()),
            calls: bulla.map(calls).transpose()?.unwrap_or_default(),
            seen: self.source.requests(),
            server_cpu: self.bed.api_server.cpu(),
            clock: Clock::start(&self.bed, self.user.clone()),
        })
    }

    /// Waits until as many statuses were written as there are objects; nothing may happen for `still` seconds first.
    async fn until_statuses(&self, begun: &Begun, bulla: &Bulla, still: usize) -> anyhow::Result<()> {
        let patience = PATIENCE + Duration::from_secs(still as u64);
        let (mut last, mut since) = (0, Instant::now());
        loop {
            tokio::time::sleep(LOOK).await;
            bulla.check()?;
            let statuses = begun.clock.tally()?.statuses;
            if statuses >= self.count {
                return Ok(());
            }
            if statuses > last {
                (last, since) = (statuses, Instant::now());
            } else if since.elapsed() > patience {
                bail!("stuck at {statuses} statuses of {}", self.count);
            }
        }
    }

    /// The numbers of a phase at whose end every object has a new status.
    async fn synced(&self, phase: Phase, begun: Begun, bulla: &Bulla) -> anyhow::Result<Run> {
        let began = Timestamp::try_from(bulla.spent()?.began)?;
        let seconds = |tally: &Tally| {
            let first = if phase == Phase::Refresh { tally.first_write } else { Some(began) };
            let last = tally.last_status.context("the audit log has no status")?;
            Ok(last.duration_since(first.context("the audit log has no write")?).as_secs_f64())
        };
        self.finish(phase, begun, bulla, seconds).await
    }

    async fn finish(
        &self,
        phase: Phase,
        begun: Begun,
        bulla: &Bulla,
        seconds: impl Fn(&Tally) -> anyhow::Result<f64>,
    ) -> anyhow::Result<Run> {
        let cpu = bulla.process.cpu().saturating_sub(begun.cpu);
        let server_cpu = self.bed.api_server.cpu().saturating_sub(begun.server_cpu);
        let mut tally = begun.clock.tally()?;
        let mut calls = calls(bulla)?;
        // Events that were left belong to a start; after a refresh, what follows is the next refresh.
        let ends = match phase {
            Phase::FirstSync | Phase::Restart => Instant::now() + SETTLE,
            Phase::Refresh | Phase::Overdue => Instant::now(),
        };
        while Instant::now() < ends {
            tokio::time::sleep(QUIET).await;
            bulla.check()?;
            let now = begun.clock.tally()?;
            if now.requests() == tally.requests() {
                break;
            }
            tally = now;
            calls = self::calls(bulla)?;
        }
        for (name, before) in &begun.calls {
            if let Some(count) = calls.get_mut(name) {
                *count -= before;
            }
        }
        calls.retain(|_, count| *count > 0);
        let between = tally.first_write.zip(tally.last_status);
        let seen = self.source.requests() - begun.seen;
        let counted: usize = calls.values().sum();
        // A renamed metric would otherwise read as a store that is never asked.
        anyhow::ensure!(
            (counted == 0) == (seen == 0),
            "{CALLS} says {counted} provider calls where the provider's server counted {seen}"
        );
        Ok(Run {
            phase,
            objects: self.count,
            seconds: seconds(&tally)?,
            from_first_write: between.map(|(first, last)| last.duration_since(first).as_secs_f64()),
            calls,
            seen,
            tally,
            cpu,
            server_cpu,
            memory: bulla.process.memory(),
        })
    }
}

/// Calls to the provider since the start of the process; those that failed have it in their name.
fn calls(bulla: &Bulla) -> anyhow::Result<BTreeMap<String, usize>> {
    let label = |labels: &str, name: &str| {
        let (_, rest) = labels.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let mut calls = BTreeMap::new();
    for (labels, value) in bulla.metrics(CALLS)? {
        let mut name = label(&labels, "call").context("a call without a name")?;
        if label(&labels, "status").as_deref() != Some("success") {
            name.push_str(" failed");
        }
        *calls.entry(name).or_default() += value as usize;
    }
    Ok(calls)
}
