//! Taking, renewing and giving back.
//!
//! One task owns all of it (no locks) and has calls run beside it, one a Lease, so that none that hangs keeps it from
//! looking at the clock. It is told of others' Leases by a watch: a Lease that is given back is taken at once, one that
//! runs out at that very moment, and a replica that only waits makes no calls.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Settled;
use super::config::Availability;
use super::fence::Fence;
use super::lease::{Failure, Leases, Slot, holder};
use super::metrics::Metrics;
use super::observed::Observations;
use super::quota::quota;
use super::share::Share;
use crate::controllers::api::{Api, ApiError};

/// How long giving back may take at shutdown; others then wait until the Leases run out.
const FAREWELL: Duration = Duration::from_secs(3);
/// How many durations long a Lease that nobody needs is kept.
const LITTER: u32 = 6;

/// Whom the elector tells.
pub(super) struct Out {
    pub(super) share: watch::Sender<Option<Share>>,
    pub(super) leads: watch::Sender<bool>,
    pub(super) fence: Fence,
    pub(super) leader_fence: Fence,
    pub(super) metrics: Metrics,
}

/// See the module.
pub(super) struct Elector {
    settings: Availability,
    leases: Leases,
    out: Out,
    seen: Observations,
    held: BTreeMap<Slot, Held>,
    /// What is worked on at the moment, as far as is known.
    running: Share,
    calls: JoinSet<Answer>,
    under_way: BTreeMap<Slot, Call>,
    /// When a Lease may be tried again that was not got.
    next_try: BTreeMap<Slot, Instant>,
    chores: JoinSet<()>,
    next_chores: Instant,
    /// What was last complained about.
    complaint: Option<&'static str>,
}

/// A Lease that we hold.
struct Held {
    lease: Lease,
    /// When the last renewal that succeeded was sent.
    renewed: Instant,
    /// When the next is due.
    due: Instant,
    /// Whether it is to be given back as soon as nothing is worked on there.
    leaving: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Take,
    Renew,
    Release,
}

struct Answer {
    slot: Slot,
    call: Call,
    sent: Instant,
    result: Result<Option<(Lease, Vec<Lease>)>, Failure>,
}

impl Elector {
    pub(super) fn new(api: Api, namespace: &str, settings: Availability, out: Out) -> Self {
        Self {
            leases: Leases::new(api, namespace, settings.clone()),
            out,
            seen: Observations::new(&settings.identity, settings.lease_duration),
            held: BTreeMap::new(),
            running: Share::of(settings.shards, []),
            calls: JoinSet::new(),
            under_way: BTreeMap::new(),
            next_try: BTreeMap::new(),
            chores: JoinSet::new(),
            next_chores: Instant::now() + settings.lease_duration,
            complaint: None,
            settings,
        }
    }

    /// Works until `stop`, then gives everything back.
    pub(super) async fn run(mut self, mut settled: mpsc::Receiver<Settled>, stop: CancellationToken) {
        let mut watch = self.leases.watch();
        loop {
            self.act(Instant::now());
            let wake = self.next_wake(Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(answer) = self.calls.join_next() => match answer {
                    Ok(answer) => self.on_answer(answer),
                    // A panic: which call it was is not known, and another beside it does no harm.
                    Err(_) => self.under_way.clear(),
                },
                Some(told) = settled.recv() => self.on_settled(told),
                Some((_, said)) = watch.next() => {
                    if said.as_ref().is_err_and(is_forbidden) {
                        self.complain_about_rights();
                    }
                    self.seen.hear(said, Instant::now());
                }
                Some(_) = self.chores.join_next() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        drop(tokio::time::timeout(FAREWELL, self.leave()).await);
    }

    /// Does all that is due.
    fn act(&mut self, now: Instant) {
        self.look_at_own(now);
        if self.seen.is_complete() {
            self.share_out(now);
            self.tidy(now);
        }
        for (slot, call, lease) in self.calls_due(now) {
            self.call(slot, call, Some(lease), now);
        }
        self.tell();
        self.set_fences();
    }

    /// What is to be renewed or given back now.
    fn calls_due(&self, now: Instant) -> Vec<(Slot, Call, Lease)> {
        let idle = self.held.iter().filter(|(slot, _)| !self.under_way.contains_key(*slot));
        let due = idle.filter_map(|(slot, held)| {
            let call = if held.leaving && !self.runs(*slot) { Call::Release } else { Call::Renew };
            (call == Call::Release || now >= held.due).then(|| (*slot, call, held.lease.clone()))
        });
        due.collect()
    }

    fn runs(&self, slot: Slot) -> bool {
        matches!(slot, Slot::Shard(shard) if self.running.has(shard))
    }

    /// Looks whether what we hold is still ours.
    fn look_at_own(&mut self, now: Instant) {
        let deadline = self.settings.renew_deadline;
        let is_lost =
            |seen: &Observations, held: &Held| now >= held.renewed + deadline || seen.is_taken_from(&held.lease);
        while let Some(slot) = self.held.iter().find(|(_, held)| is_lost(&self.seen, held)).map(|(slot, _)| *slot) {
            self.lose(slot);
        }
    }

    /// A Lease is not ours any more, or may not be for much longer.
    fn lose(&mut self, slot: Slot) {
        if self.held.remove(&slot).is_none() {
            return;
        }
        self.out.metrics.losses.inc();
        warn!(
            lease = self.leases.name(slot),
            "lost the Lease: what it is about is not worked on until it is ours again"
        );
        if self.runs(slot) {
            // Not even for the rest, until those who work on it have heard.
            self.running = Share::of(self.settings.shards, []);
        }
        self.set_fences();
    }

    /// Takes Leases that are free and marks those that are too many.
    fn share_out(&mut self, now: Instant) {
        let shards = self.settings.shards;
        let is_shard = |slot: &Slot| matches!(slot, Slot::Shard(_));
        let staying = self.held.iter().filter(|(slot, held)| is_shard(slot) && !held.leaving).count();
        let mut quota_of_mine = 1;
        if shards > 1 {
            if !self.held.contains_key(&Slot::Member) {
                self.try_to_take(Slot::Member, now);
            }
            let members = self.seen.members(shards, staying, now);
            self.out.metrics.members.set(i64::try_from(members.len()).unwrap_or(i64::MAX));
            quota_of_mine = quota(shards as usize, &members, &self.settings.identity);
        } else {
            self.out.metrics.members.set(1);
        }
        // Those with the highest numbers first: the leader stays the leader.
        let surplus = staying.saturating_sub(quota_of_mine);
        let own = self.held.iter_mut().rev().filter(|(slot, held)| is_shard(slot) && !held.leaving);
        for (slot, held) in own.take(surplus) {
            info!(lease = self.leases.name(*slot), "giving back the Lease to a replica that has fewer");
            held.leaving = true;
        }
        if let Some(count) = self.seen.other_count(shards, now) {
            return self.complain_about_count(count);
        }
        let mut have = staying + self.under_way.iter().filter(|(s, call)| is_shard(s) && **call == Call::Take).count();
        for shard in 0..shards {
            if have >= quota_of_mine {
                break;
            }
            let slot = Slot::Shard(shard);
            if !self.held.contains_key(&slot) && self.try_to_take(slot, now) {
                have += 1;
            }
        }
    }

    fn complain_about_count(&mut self, theirs: u32) {
        if self.complaint.replace("shards") != Some("shards") {
            let ours = self.settings.shards;
            warn!(
                ours,
                theirs, "a replica that still works divides the namespaces otherwise: waiting until it is gone"
            );
        }
    }

    fn try_to_take(&mut self, slot: Slot, now: Instant) -> bool {
        let name = self.leases.name(slot);
        let may = !self.under_way.contains_key(&slot)
            && self.next_try.get(&slot).is_none_or(|next| now >= *next)
            && self.seen.is_free(&name, now);
        if may {
            let seen = self.seen.get(&name).cloned();
            self.call(slot, Call::Take, seen, now);
        }
        may
    }

    fn call(&mut self, slot: Slot, call: Call, lease: Option<Lease>, now: Instant) {
        self.under_way.insert(slot, call);
        let leases = self.leases.clone();
        self.calls.spawn(async move {
            let result = match (call, lease) {
                (Call::Take, seen) => leases.take(slot, seen).await.map(Some),
                (Call::Renew, Some(lease)) => leases.renew(slot, lease).await.map(|lease| Some((lease, Vec::new()))),
                (Call::Release, Some(lease)) => leases.release(slot, lease).await.map(|()| None),
                (Call::Renew | Call::Release, None) => Ok(None),
            };
            Answer { slot, call, sent: now, result }
        });
    }

    fn on_answer(&mut self, answer: Answer) {
        let Answer { slot, call, sent, result } = answer;
        self.under_way.remove(&slot);
        let (now, period) = (Instant::now(), self.settings.retry_period);
        match result {
            Ok(Some((lease, others))) => {
                self.seen.see(lease.clone(), now);
                others.into_iter().for_each(|other| self.seen.see(other, now));
                let known = self.held.get_mut(&slot);
                match (call, known) {
                    (Call::Renew, Some(held)) => {
                        self.complaint = None;
                        (held.lease, held.renewed, held.due) = (lease, sent, sent + period);
                    }
                    // Lost by the clock while the answer was on its way: it is ours from before, and taken as such.
                    (Call::Renew | Call::Release, _) => {}
                    (Call::Take, _) => self.taken(slot, lease, sent),
                }
            }
            Ok(None) => {
                self.held.remove(&slot);
                self.next_try.insert(slot, now + period);
                info!(lease = self.leases.name(slot), "gave back the Lease");
            }
            Err(Failure::Lost(current)) => {
                match current {
                    Some(lease) => self.seen.see(*lease, now),
                    None => self.seen.gone(&self.leases.name(slot)),
                }
                self.lose(slot);
                self.next_try.insert(slot, now + period);
            }
            Err(Failure::Doubled(lease)) => {
                let (name, identity) = (self.leases.name(slot), &self.settings.identity);
                error!(
                    lease = name,
                    identity, "another process has the same identity: give each replica its own (--identity)"
                );
                self.seen.see(*lease, now);
                self.lose(slot);
                // Not at once: the other would lose it in turn.
                self.next_try.insert(slot, now + self.settings.lease_duration);
            }
            Err(Failure::Call(error)) => self.failed(slot, call, &error, now),
        }
    }

    fn taken(&mut self, slot: Slot, lease: Lease, sent: Instant) {
        // Whoever took one meanwhile with another number of shards in mind would serve the same namespaces.
        let now = Instant::now();
        let other = self.seen.other_count(self.settings.shards, now).filter(|_| slot != Slot::Member);
        if let Some(count) = other {
            self.complain_about_count(count);
            self.next_try.insert(slot, now + self.settings.lease_duration / 2);
        } else {
            self.complaint = None;
            info!(lease = self.leases.name(slot), me = holder(&lease), "took the Lease");
        }
        let due = sent + self.settings.retry_period;
        self.held.insert(slot, Held { lease, renewed: sent, due, leaving: other.is_some() });
    }

    fn failed(&mut self, slot: Slot, call: Call, error: &ApiError, now: Instant) {
        self.out.metrics.failures.inc();
        let lease = self.leases.name(slot);
        if matches!(error, ApiError::Forbidden(_)) {
            self.complain_about_rights();
        } else if self.complaint.replace(error.reason()) == Some(error.reason()) {
            debug!(lease, %error, "still no answer about the Lease that helps");
        } else {
            warn!(lease, %error, "cannot take, renew or give back the Lease; trying again");
        }
        let soon = now + self.settings.retry_period / 2;
        match (call, self.held.get_mut(&slot)) {
            // It runs out by itself.
            (Call::Release, Some(_)) => drop(self.held.remove(&slot)),
            (Call::Renew, Some(held)) => held.due = soon,
            (Call::Take | Call::Renew | Call::Release, _) => drop(self.next_try.insert(slot, soon)),
        }
    }

    fn complain_about_rights(&mut self) {
        if self.complaint.replace("rights") != Some("rights") {
            warn!(
                "this replica may not use Leases and does no work: give its role get, list, watch, create, update and \
                 delete on leases.coordination.k8s.io in the controller's namespace, or, where it is the only one, run it \
                 with --leader-elect=false"
            );
        }
    }

    fn on_settled(&mut self, told: Settled) {
        self.running = told.share;
        // What was lost, or is being given back meanwhile, is not ours again by somebody's working on it.
        let is_ours = |shard: &u32| self.held.get(&Slot::Shard(*shard)).is_some_and(|held| !held.leaving);
        if !self.running.shards().iter().all(is_ours) {
            self.running = Share::of(self.settings.shards, []);
        }
        self.set_fences();
        told.heard.send(()).ok();
    }

    /// Says what is ours. While there may be more in a moment, only what is less is said: each change is a new start.
    fn tell(&mut self) {
        let taking = self.under_way.iter().any(|(slot, call)| *slot != Slot::Member && *call == Call::Take);
        let ours = self.held.iter().filter(|(_, held)| !held.leaving).filter_map(|(slot, _)| match slot {
            Slot::Shard(shard) => Some(*shard),
            Slot::Member => None,
        });
        let mut ours = Share::of(self.settings.shards, ours);
        let before = self.out.share.borrow().clone();
        match before {
            None if taking || !self.seen.is_complete() => return,
            Some(before) if taking => ours = ours.and(&before),
            None | Some(_) => {}
        }
        let metrics = &self.out.metrics;
        metrics.shards.set(i64::from(self.settings.shards));
        metrics.shards_held.set(i64::try_from(ours.shards().len()).unwrap_or(i64::MAX));
        metrics.leader.set(i64::from(ours.leads()));
        let leads = ours.leads();
        self.out.leads.send_if_modified(|known| std::mem::replace(known, leads) != leads);
        self.out.share.send_if_modified(|known| {
            let is_news = known.as_ref() != Some(&ours);
            if is_news {
                info!(shards = ?ours.shards(), of = self.settings.shards, "the shards of this replica");
                *known = Some(ours);
            }
            is_news
        });
    }

    fn set_fences(&self) {
        let deadline = self.settings.renew_deadline;
        let until = |shard: u32| self.held.get(&Slot::Shard(shard)).map(|held| held.renewed + deadline);
        let set = |fence: &Fence, until: Option<Instant>| match until {
            Some(until) => fence.open_until(until),
            None => fence.shut_now(),
        };
        set(&self.out.fence, self.running.shards().iter().map(|shard| until(*shard)).min().flatten());
        set(&self.out.leader_fence, until(0));
    }

    /// The leader deletes what nobody needs.
    fn tidy(&mut self, now: Instant) {
        if now < self.next_chores || !self.held.contains_key(&Slot::Shard(0)) {
            return;
        }
        self.next_chores = now + self.settings.lease_duration;
        for lease in self.seen.litter(self.settings.shards, self.settings.lease_duration * LITTER, now) {
            let leases = self.leases.clone();
            self.chores.spawn(async move {
                if let Err(error) = leases.delete(&lease).await {
                    debug!(%error, "cannot delete a Lease that nobody needs");
                }
            });
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let own = self.held.values().flat_map(|held| [held.due, held.renewed + self.settings.renew_deadline]);
        let tries = self.next_try.values().copied();
        let moments = own.chain(tries).chain(self.seen.next_end(now)).filter(|moment| *moment > now);
        moments.min().unwrap_or(now + self.settings.retry_period).min(now + self.settings.retry_period)
    }

    /// Gives everything back: nothing is worked on any more.
    async fn leave(mut self) {
        self.out.leads.send_replace(false);
        self.running = Share::of(self.settings.shards, []);
        self.out.fence.shut_now();
        self.out.leader_fence.shut_now();
        // Whatever is under way may have succeeded: only its answer tells.
        let rest = async {
            while let Some(answer) = self.calls.join_next().await {
                if let Ok(answer) = answer {
                    self.on_answer(answer);
                }
            }
        };
        drop(tokio::time::timeout(FAREWELL / 2, rest).await);
        let mut releases = JoinSet::new();
        for (slot, held) in self.held {
            let leases = self.leases.clone();
            releases.spawn(async move { leases.release(slot, held.lease).await });
        }
        while releases.join_next().await.is_some() {}
        info!("gave back all Leases");
    }
}

/// Whether the watch is refused, and not only interrupted.
fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => matches!(status.code, 401 | 403),
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}
