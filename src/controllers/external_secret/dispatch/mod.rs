//! Who is worked on, and when.
//!
//! One task owns what is known of every ExternalSecret (no locks) and hands objects to passes that run at the same time.
//! Many passes may be under way, since most of them wait for a provider together: the more there are, the fuller the
//! batches. New objects go before drifted ones, and those before refreshes.

mod entry;
mod key;
mod outage;
mod recovery;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bulla_crds::ExternalSecret;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::entry::{Entry, Phase, Target, Work};
use self::key::fingerprint;
use super::error::Away;
use super::reconcile::{self, Context, Hints, Outcome, Report, data_hash, due};
use super::status::{self, SyncReason};
use super::stores::StoreId;
use super::target::{finalize, is_intact};
use crate::controllers::api::{self, ApiError};
use crate::controllers::metrics::{Depths, Kind};
use crate::controllers::queue::{Key, Known, Timers, Version, sleep_until};
use crate::controllers::watch::{Namespaces, Said, Streams};
use crate::resource::external_secret as resource;
use crate::sync::external::refresh::{self, Due, Synced};
use crate::sync::schedule::Class;
use crate::sync::target::{Creation, Marks};

/// Passes at the same time. Most of them wait for a provider.
const PASSES: usize = 512;
/// Once there are so many, new ones begin when half of them have ended: together, their requests fill batches.
const REFILL: usize = PASSES / 2;
/// How long the first lists of targets may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long passes may take to end at shutdown.
const GRACE: Duration = Duration::from_secs(10);
/// Looks at the timers at least this often: they follow a clock that may be set.
const CLOCK: Duration = Duration::from_secs(3600);

/// What the dispatcher is given.
pub(super) struct Setup {
    pub(super) context: Arc<Context>,
    pub(super) namespaces: Namespaces,
    pub(super) in_flight: Arc<AtomicUsize>,
    /// Set once every ExternalSecret that was there at the start has been looked at.
    pub(super) is_ready: Arc<AtomicBool>,
}

/// See the module.
pub(super) struct Dispatcher {
    setup: Setup,
    entries: HashMap<Key, Entry>,
    targets: HashMap<Key, Target>,
    /// Which objects write a target whose name is not theirs.
    writers: HashMap<Key, Vec<Key>>,
    objects: Known,
    secrets: Known,
    queues: [VecDeque<Key>; 3],
    timers: Timers,
    depths: Depths,
    passes: JoinSet<Done>,
    /// What each pass is on: an object of that name may have gone and come again since, which shows in the number.
    working_on: HashMap<Id, (Key, u64)>,
    /// The number of the last pass.
    last_pass: u64,
    /// Whether there are enough passes for now.
    is_full: bool,
    /// Whether failures that looked like an outage of the API server are waiting.
    outage: bool,
    /// Who looks whether a store that seems to be away is back, for all who wait for it.
    scouts: HashMap<StoreId, Key>,
}

/// What a piece of work came to.
enum Done {
    Synced(Report),
    Verified(Result<Option<(Version, bool)>, ApiError>),
    Finalized(Result<(), ApiError>),
}

impl Dispatcher {
    pub(super) fn new(setup: Setup) -> Self {
        let streams = setup.namespaces.streams();
        let depths = setup.context.metrics.passes.depths(Kind::ExternalSecret);
        Self {
            setup,
            entries: HashMap::new(),
            targets: HashMap::new(),
            writers: HashMap::new(),
            objects: Known::new(streams),
            secrets: Known::new(streams),
            queues: Default::default(),
            timers: Timers::default(),
            depths,
            passes: JoinSet::new(),
            working_on: HashMap::new(),
            last_pass: 0,
            is_full: false,
            outage: false,
            scouts: HashMap::new(),
        }
    }

    /// Works until `shutdown`, then lets the passes under way end.
    pub(super) async fn run(
        mut self,
        mut objects: Streams<ExternalSecret>,
        mut secrets: Streams<PartialObjectMeta<Secret>>,
        mut better: mpsc::UnboundedReceiver<StoreId>,
        shutdown: CancellationToken,
    ) {
        let patience = Instant::now() + PATIENCE;
        loop {
            let next_due = self.timers.next();
            // Objects are of use only once the targets are known; where some cannot be listed, the others are served.
            let waits = !self.secrets.is_complete() && Instant::now() < patience;
            let open = !waits;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(done) = self.passes.join_next_with_id(), if !self.passes.is_empty() => self.on_done(done),
                Some(said) = secrets.next() => self.on_secret(said),
                Some(said) = objects.next(), if open => self.on_object(said),
                Some(store) = better.recv() => self.on_better(&store),
                () = sleep_until(next_due), if next_due.is_some() => self.on_due(),
                () = sleep_until(Some(patience)), if waits => warn!("target Secrets cannot be listed everywhere"),
                () = std::future::ready(()), if self.may_start() => self.start_next(),
            }
            self.count_passes();
            self.show();
        }
        drop((objects, secrets));
        info!(in_flight = self.passes.len(), "shutting down");
        let all = async { while self.passes.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            warn!("gave up on passes that did not end in time");
        }
    }

    fn may_start(&self) -> bool {
        !self.is_full && self.queues.iter().any(|queue| !queue.is_empty())
    }

    fn count_passes(&mut self) {
        let most = if self.is_full { REFILL } else { PASSES };
        self.is_full = self.passes.len() >= most;
    }

    fn show(&self) {
        let queued = self.queues.iter().map(VecDeque::len).sum();
        self.depths.show([self.passes.len(), queued, self.timers.len()]);
        self.setup.in_flight.store(self.passes.len(), Ordering::Relaxed);
    }

    fn on_object(&mut self, (stream, said): Said<ExternalSecret>) {
        let Some(event) = self.objects.heard(stream, said, "ExternalSecrets") else {
            return self.announce_ready();
        };
        match event {
            Event::Init => self.objects.begin(stream),
            Event::InitApply(object) | Event::Apply(object) => self.consider(object, stream),
            Event::Delete(object) => {
                let (namespace, name) = api::place(&object.metadata);
                self.forget(&Key::new(namespace, name));
            }
            Event::InitDone => {
                let list = self.objects.finish(stream);
                let namespaces = &self.setup.namespaces;
                let stale = |(key, entry): (&Key, &Entry)| {
                    (namespaces.covers(stream, key.namespace()) && entry.list != list).then(|| key.clone())
                };
                let gone: Vec<_> = self.entries.iter().filter_map(stale).collect();
                gone.iter().for_each(|key| self.forget(key));
                self.announce_ready();
            }
        }
    }

    fn announce_ready(&self) {
        if self.objects.is_complete() && !self.setup.is_ready.swap(true, Ordering::Relaxed) {
            info!(objects = self.entries.len(), "every ExternalSecret has been looked at");
        }
    }

    /// Decides what an object that the watch delivered needs.
    fn consider(&mut self, mut object: ExternalSecret, stream: usize) {
        let (namespace, name) = api::place(&object.metadata);
        let key = Key::new(namespace, name);
        object.metadata.managed_fields = None;
        let print = fingerprint(&object);
        let list = self.objects.list(stream);
        let asked = resource::read(&object);
        let target = asked.as_ref().map_or(key.name(), |asked| asked.target.as_str());
        let target = if target == key.name() { key.clone() } else { Key::new(key.namespace(), target) };
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry::new(list, target.clone()));
        entry.list = list;
        let is_known = entry.fingerprint == print;
        entry.keep(&object);
        if is_known {
            // Our own status write, or another's: nothing that decides about the Secret.
            return;
        }
        entry.fingerprint = print;
        entry.is_going = object.metadata.deletion_timestamp.is_some();
        entry.writes = asked.as_ref().is_ok_and(|asked| asked.creation != Creation::None);
        let before = std::mem::replace(&mut entry.target, target.clone());
        if before != target {
            entry.right = None;
            self.unlink(&before, &key);
        }
        if target != key {
            let writers = self.writers.entry(target.clone()).or_default();
            if !writers.contains(&key) {
                writers.push(key.clone());
            }
        }
        self.restore_right(&key, &object);
        let work = self.work_for(&key, &object, asked.as_ref().ok());
        self.setup.context.saw(&key, &object, asked.as_ref().ok(), work.is_err());
        match work {
            Ok(work) => self.enqueue(&key, work),
            Err(next) => self.rest(&key, next),
        }
    }

    /// After a restart, the status says which version of the target was left behind.
    fn restore_right(&mut self, key: &Key, object: &ExternalSecret) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let secret = object.status.as_ref().and_then(|status| status.secret.as_ref());
        let bound = object.status.as_ref().and_then(|status| status.binding.as_ref()).map(|binding| &binding.name);
        if entry.right.is_none() && bound.is_some_and(|name| name == entry.target.name()) {
            entry.right = secret.map(|secret| Version::parse(&secret.resource_version));
        }
    }

    /// What is to be done for an object now, or when it is due.
    fn work_for(
        &self,
        key: &Key,
        object: &ExternalSecret,
        asked: Option<&resource::Asked>,
    ) -> Result<Work, Option<Timestamp>> {
        if object.metadata.deletion_timestamp.is_some() {
            let waits = object
                .metadata
                .finalizers
                .as_ref()
                .is_some_and(|all| all.iter().any(|name| name == bulla_crds::names::external_secrets::FINALIZER));
            return if waits { Ok(Work::Finalize) } else { Err(None) };
        }
        let first = Work::Sync(SyncReason::Due(refresh::Reason::First));
        // What cannot be read is reported by a pass.
        let (Some(asked), Some(entry)) = (asked, self.entries.get(key)) else { return Ok(first) };
        let status = object.status.as_ref();
        let synced = status.and_then(|status| {
            let version = status.synced_resource_version.clone()?;
            Some(Synced { version, at: status.refresh_time.as_ref()?.0 })
        });
        let next = match due(object, asked, synced.as_ref(), Timestamp::now()) {
            Due::Now(reason) => return Ok(Work::Sync(SyncReason::Due(reason))),
            Due::At(next) => Some(next),
            Due::Never => None,
        };
        if !status::is_ready(object) {
            return Ok(Work::Sync(SyncReason::Retry));
        }
        if asked.creation == Creation::None {
            return Err(next);
        }
        let ready = bulla_crds::condition::find_condition(
            status.map(|status| status.conditions.as_slice()).unwrap_or_default(),
            bulla_crds::ConditionType::Ready,
        );
        let wants_none = ready
            .and_then(|ready| ready.reason.as_deref())
            .is_some_and(|reason| matches!(reason, "SecretDeleted" | "SecretMissing"));
        match (self.targets.get(&entry.target), entry.right) {
            (None, _) if wants_none => Err(next),
            (None, _) => Ok(Work::Sync(SyncReason::Drift)),
            (Some(target), Some(right)) if target.version == right => Err(next),
            (Some(_), Some(_)) => Ok(Work::Sync(SyncReason::Drift)),
            // Left by another controller, or its CRD has no place for what we note.
            (Some(_), None) => Ok(Work::Verify),
        }
    }

    fn on_secret(&mut self, (stream, said): Said<PartialObjectMeta<Secret>>) {
        let Some(event) = self.secrets.heard(stream, said, "target Secrets of ExternalSecrets") else { return };
        match event {
            Event::Init => self.secrets.begin(stream),
            Event::InitApply(secret) | Event::Apply(secret) => {
                let (namespace, name) = api::place(&secret.metadata);
                let key = Key::new(namespace, name);
                let version = Version::parse(secret.metadata.resource_version.as_deref().unwrap_or_default());
                let annotations = secret.metadata.annotations.as_ref();
                let hash = annotations.and_then(|all| all.get(Marks::DATA_HASH)).and_then(|text| data_hash(text));
                let list = self.secrets.list(stream);
                self.targets.insert(key.clone(), Target { version, list, hash });
                self.drifted(&key, Some(version));
            }
            Event::Delete(secret) => {
                let (namespace, name) = api::place(&secret.metadata);
                self.target_gone(&Key::new(namespace, name));
            }
            Event::InitDone => {
                let list = self.secrets.finish(stream);
                let namespaces = &self.setup.namespaces;
                let stale = |(key, target): (&Key, &Target)| {
                    (namespaces.covers(stream, key.namespace()) && target.list != list).then(|| key.clone())
                };
                let gone: Vec<_> = self.targets.iter().filter_map(stale).collect();
                gone.iter().for_each(|key| self.target_gone(key));
            }
        }
    }

    fn target_gone(&mut self, target: &Key) {
        self.targets.remove(target);
        self.drifted(target, None);
    }

    /// A target changed, or went: whoever left it otherwise looks again.
    fn drifted(&mut self, target: &Key, version: Option<Version>) {
        let mut writers = self.writers.get(target).cloned().unwrap_or_default();
        writers.push(target.clone());
        for key in writers {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if !entry.writes || entry.target != *target {
                continue;
            }
            let changed = entry.right.is_some_and(|right| version.is_none_or(|version| version > right));
            if version.is_none() {
                (entry.right, entry.digest) = (None, None);
                if matches!(entry.phase, Phase::InWork(_)) {
                    // Before or after the write of the pass: seen to when it ends.
                    entry.gone = true;
                } else if entry.refused.take().is_some() {
                    // What was in the way may be gone.
                    self.enqueue(&key, Work::Sync(SyncReason::Retry));
                    continue;
                }
            }
            if changed {
                self.repair(&key);
            }
        }
    }

    fn on_due(&mut self) {
        let now = Instant::now();
        while let Some(key) = self.timers.pop(now) {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Phase::Waiting(_, work) = entry.phase else { continue };
            // The clock may have been set, or the wait was longer than a timer's.
            if entry.next.is_some_and(|next| next > Timestamp::now()) && entry.attempts == 0 {
                let next = entry.next;
                entry.phase = Phase::Idle;
                self.rest(&key, next);
                continue;
            }
            entry.phase = Phase::Queued(work);
            self.queues[work.lane()].push_back(key);
        }
    }

    /// Puts an object into the queue; one in work is done again afterwards.
    fn enqueue(&mut self, key: &Key, work: Work) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        // Nothing is written any more for what is being deleted.
        if entry.is_going && work != Work::Finalize {
            return;
        }
        match &mut entry.phase {
            Phase::InWork(again) => {
                // What only looks like a drift is mostly the pass's own write: it must not hide a change of the object.
                if again.is_none_or(|before| work.weight() < before.weight()) {
                    *again = Some(work);
                }
                return;
            }
            Phase::Queued(queued) if queued.lane() <= work.lane() && !matches!(work, Work::Finalize) => return,
            Phase::Queued(_) | Phase::Idle => {}
            Phase::Waiting(timer, _) => self.timers.cancel(*timer),
        }
        entry.phase = Phase::Queued(work);
        self.queues[work.lane()].push_back(key.clone());
    }

    fn start_next(&mut self) {
        let Some(lane) = self.queues.iter().position(|queue| !queue.is_empty()) else { return };
        let Some(key) = self.queues[lane].pop_front() else { return };
        let Some(entry) = self.entries.get_mut(&key) else { return };
        // One that moved to another queue is in both.
        let Phase::Queued(work) = entry.phase else { return };
        if work.lane() != lane {
            return;
        }
        let Some(object) = entry.read() else { return };
        self.last_pass += 1;
        (entry.phase, entry.pass, entry.gone) = (Phase::InWork(None), self.last_pass, false);
        let target = self.targets.get(&entry.target).map(|target| (target.version, target.hash));
        let refused = entry.refused.clone();
        let hints = Hints { target, right: entry.right, digest: entry.digest, refused };
        let (context, at, name) = (Arc::clone(&self.setup.context), key.clone(), entry.target.clone());
        let id = match work {
            Work::Sync(reason) => self
                .passes
                .spawn(async move { Done::Synced(reconcile::reconcile(&context, &at, object, hints, reason).await) }),
            Work::Verify => {
                self.passes.spawn(async move { Done::Verified(is_intact(&context, &at, name.name()).await) })
            }
            Work::Finalize => self.passes.spawn(async move { Done::Finalized(finalize(&context, &at, &object).await) }),
        };
        self.working_on.insert(id.id(), (key, self.last_pass));
    }

    fn on_done(&mut self, done: Result<(Id, Done), JoinError>) {
        let (id, done) = match done {
            Ok((id, done)) => (id, Some(done)),
            Err(panicked) => (panicked.id(), None),
        };
        let Some((key, pass)) = self.working_on.remove(&id) else { return };
        let Some(entry) = self.entries.get_mut(&key) else {
            // The pass may have counted what was forgotten before.
            return self.setup.context.forget(&key);
        };
        let Phase::InWork(again) = entry.phase else { return };
        if entry.pass != pass {
            return;
        }
        entry.phase = Phase::Idle;
        match done {
            Some(Done::Synced(report)) => {
                if let Some(object) = report.object {
                    entry.keep_status(*object);
                }
                self.on_outcome(&key, report.outcome, again);
            }
            Some(Done::Verified(Ok(found))) => {
                let next = match found {
                    Some((version, true)) => {
                        entry.right = Some(version);
                        None
                    }
                    Some((_, false)) | None => Some(Work::Sync(SyncReason::Drift)),
                };
                match again.or(next) {
                    Some(work) => self.enqueue(&key, work),
                    None => self.rest_until_due(&key),
                }
            }
            Some(Done::Verified(Err(error))) => self.try_again(&key, error.class(), Work::Verify, None, again),
            Some(Done::Finalized(Ok(()))) => {}
            Some(Done::Finalized(Err(error))) => self.try_again(&key, error.class(), Work::Finalize, None, again),
            None => self.try_again(&key, Class::Terminal, Work::Sync(SyncReason::Retry), None, again),
        }
    }

    fn on_outcome(&mut self, key: &Key, outcome: Outcome, again: Option<Work>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        match outcome {
            Outcome::Gone => {
                if again.is_none() {
                    self.forget(key);
                }
            }
            Outcome::Left => {
                // Another's to count. Should its store become ours, that is told as a store that became good.
                self.setup.context.forget(key);
                let stores = self.stores_of(key);
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.waits_for = stores;
                }
                match again {
                    Some(work) => self.enqueue(key, work),
                    None => self.rest(key, None),
                }
            }
            Outcome::Synced { target, digest, next } => {
                (entry.attempts, entry.away) = (0, Away::Nobody);
                entry.waits_for = Vec::new();
                (entry.right, entry.digest, entry.next) = (target, digest, next);
                entry.refused = None;
                let stale = match (target, self.targets.get(&entry.target)) {
                    (Some(right), Some(seen)) => seen.version > right,
                    // Deleted while the pass was under way, which may have written it before.
                    (Some(_), None) if entry.gone => true,
                    (Some(right), None) => {
                        // The watch will bring it; until then it counts as there.
                        let list = self.secrets.current(&self.setup.namespaces, key.namespace());
                        let seen = Target { version: right, list, hash: None };
                        self.targets.insert(entry.target.clone(), seen);
                        false
                    }
                    (None, _) => false,
                };
                // A drift that was noted while the pass was under way was its own write, unless the versions say more.
                let again = again.filter(|again| *again != Work::Sync(SyncReason::Drift));
                match again {
                    Some(work) => self.enqueue(key, work),
                    None => {
                        self.rest(key, next);
                        if stale {
                            self.repair(key);
                        }
                    }
                }
                self.outage_is_over();
                self.store_answered(key);
            }
            Outcome::Failed { class, interval, waits_for, away, refused } => {
                entry.refused = refused;
                self.note_away(key, waits_for, away);
                self.try_again(key, class, Work::Sync(SyncReason::Retry), Some(interval), again);
            }
        }
    }

    fn rest_until_due(&mut self, key: &Key) {
        let Some(object) = self.entries.get(key).and_then(Entry::read) else { return };
        let asked = resource::read(&object);
        match self.work_for(key, &object, asked.as_ref().ok()) {
            Ok(work) => self.enqueue(key, work),
            Err(next) => self.rest(key, next),
        }
    }

    /// Nothing is to be done for `key` before `next`.
    fn rest(&mut self, key: &Key, next: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        match &mut entry.phase {
            Phase::InWork(again) => {
                *again = None;
                return;
            }
            Phase::Waiting(timer, _) => self.timers.cancel(*timer),
            Phase::Idle | Phase::Queued(_) => {}
        }
        entry.next = next;
        entry.attempts = 0;
        entry.phase = match next {
            None => Phase::Idle,
            Some(next) => {
                let wait = Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or_default();
                let timer = self.timers.set(Instant::now() + wait.min(CLOCK), key.clone());
                Phase::Waiting(timer, Work::Sync(SyncReason::Due(refresh::Reason::Interval)))
            }
        };
    }

    fn forget(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        if let Phase::Waiting(timer, _) = entry.phase {
            self.timers.cancel(timer);
        }
        self.scouts.retain(|_, scout| scout != key);
        self.unlink(&entry.target, key);
        self.setup.context.forget(key);
    }

    fn unlink(&mut self, target: &Key, key: &Key) {
        if let Some(writers) = self.writers.get_mut(target) {
            writers.retain(|writer| writer != key);
            if writers.is_empty() {
                self.writers.remove(target);
            }
        }
    }
}
