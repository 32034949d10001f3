//! Who is worked on, and when.
//!
//! One task owns what is known of every object (no locks) and hands objects to passes that run at the same time. The
//! watch on SealedSecrets is read only while there are passes to spare, so specs never pile up in memory; everything
//! else that may be due (a retry, a drifted target, a key that arrived) is remembered by name and read again with one
//! GET. No object is worked on twice at the same time.

mod entry;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bulla_crds::SealedSecret;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::entry::{Entry, Phase, Target};
use super::reconcile::{Context, Job, Outcome, Report, reconcile};
use super::status::is_settled;
use crate::controllers::api;
use crate::controllers::metrics::{Depths, Kind};
use crate::controllers::queue::{Key, Known, Timers, Version, sleep_until};
use crate::controllers::random;
use crate::controllers::watch::{Namespaces, Said, Streams};
use crate::seal::Keyring;
use crate::sync::Annotations;
use crate::sync::schedule::{self, Class};

/// What the dispatcher is given.
pub(in crate::controllers) struct Setup {
    pub(in crate::controllers) context: Arc<Context>,
    pub(in crate::controllers) namespaces: Namespaces,
    /// Passes over objects that the watch delivers.
    pub(in crate::controllers) concurrency: usize,
    pub(in crate::controllers) keyring: watch::Receiver<Option<Arc<Keyring>>>,
    pub(in crate::controllers) in_flight: Arc<AtomicUsize>,
    /// Set once every SealedSecret that was there at the start has been looked at.
    pub(in crate::controllers) is_ready: Arc<AtomicBool>,
}

/// How long passes may take to end at shutdown.
const GRACE: Duration = Duration::from_secs(10);

/// See the module.
pub(in crate::controllers) struct Dispatcher {
    setup: Setup,
    keyring: Arc<Keyring>,
    entries: HashMap<Key, Entry>,
    sealed: Known,
    targets: Known,
    queue: VecDeque<Key>,
    timers: Timers,
    depths: Depths,
    passes: JoinSet<Report>,
    working_on: HashMap<Id, Work>,
    /// Passes over objects that had to be read.
    rereads: usize,
    /// Whether failures that looked like an outage are waiting.
    outage: bool,
}

struct Work {
    key: Key,
    reread: bool,
    keyring: Arc<Keyring>,
}

impl Dispatcher {
    pub(in crate::controllers) fn new(setup: Setup) -> Self {
        let streams = setup.namespaces.streams();
        let depths = setup.context.metrics.passes.depths(Kind::SealedSecret);
        Self {
            setup,
            keyring: Arc::default(),
            entries: HashMap::new(),
            sealed: Known::new(streams),
            targets: Known::new(streams),
            queue: VecDeque::new(),
            timers: Timers::default(),
            depths,
            passes: JoinSet::new(),
            working_on: HashMap::new(),
            rereads: 0,
            outage: false,
        }
    }

    /// Works until `shutdown`, then lets the passes under way end.
    pub(in crate::controllers) async fn run(
        mut self,
        mut sealed: Streams<SealedSecret>,
        mut targets: Streams<PartialObjectMeta<Secret>>,
        shutdown: CancellationToken,
    ) {
        let fresh = self.setup.concurrency.max(1);
        let rereads = (fresh / 4).max(1);
        let mut keys = self.setup.keyring.clone();
        let mut keys_known = false;
        loop {
            let next_due = self.timers.next();
            // SealedSecrets are of use only once the keys and the targets are known.
            let open = keys_known && self.targets.is_complete();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(done) = self.passes.join_next_with_id(), if !self.passes.is_empty() => self.on_done(done),
                Some(said) = targets.next() => self.on_target(said),
                Ok(()) = keys.changed() => {
                    if let Some(keyring) = keys.borrow_and_update().clone() {
                        keys_known = true;
                        self.on_keys(keyring);
                    }
                }
                () = sleep_until(next_due), if next_due.is_some() => self.on_due(),
                () = std::future::ready(()), if open && !self.queue.is_empty() && self.rereads < rereads => self.reread(),
                Some(said) = sealed.next(), if open && self.passes.len() - self.rereads < fresh => self.on_sealed(said),
            }
            self.show();
        }
        drop((sealed, targets));
        self.finish().await;
    }

    async fn finish(mut self) {
        info!(in_flight = self.passes.len(), "shutting down");
        let all = async { while self.passes.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            warn!("gave up on passes that did not end in time");
        }
    }

    fn show(&self) {
        let metrics = &self.setup.context.metrics;
        self.depths.show([self.passes.len(), self.queue.len(), self.timers.len()]);
        metrics.tracked.set(i64::try_from(self.entries.len()).unwrap_or(i64::MAX));
        self.setup.in_flight.store(self.passes.len(), Ordering::Relaxed);
    }

    fn on_sealed(&mut self, (stream, said): Said<SealedSecret>) {
        let was_refused = self.sealed.is_refused(stream);
        let Some(event) = self.sealed.heard(stream, said, "SealedSecrets") else {
            if !was_refused && self.sealed.is_refused(stream) {
                let namespace = self.setup.namespaces.name(stream);
                warn!(namespace, "no right to read SealedSecrets there; waiting for it while the others are served");
            }
            return self.note_ready();
        };
        match event {
            Event::Init => self.sealed.begin(stream),
            Event::InitApply(object) | Event::Apply(object) => self.consider(object, stream),
            Event::Delete(object) => {
                let (namespace, name) = api::place(&object.metadata);
                self.forget_sealed(&Key::new(namespace, name));
            }
            Event::InitDone => {
                let list = self.sealed.finish(stream);
                let gone = self.keys_where(stream, |entry| entry.sealed.is_some_and(|seen| seen != list));
                gone.iter().for_each(|key| self.forget_sealed(key));
                if self.setup.context.config.deletes_targets {
                    // What was deleted while nobody looked.
                    let orphans = self.keys_where(stream, |entry| entry.sealed.is_none() && entry.target.is_some());
                    orphans.iter().for_each(|key| self.enqueue(key));
                }
                self.note_ready();
            }
        }
    }

    fn note_ready(&self) {
        if self.sealed.is_complete() && !self.setup.is_ready.swap(true, Ordering::Relaxed) {
            info!(objects = self.entries.len(), "every SealedSecret has been looked at");
        }
    }

    /// Decides whether an object that the watch delivered needs a pass.
    fn consider(&mut self, object: SealedSecret, stream: usize) {
        let (namespace, name) = api::place(&object.metadata);
        let key = Key::new(namespace, name);
        if object.metadata.deletion_timestamp.is_some() {
            // Its Secret goes with it; nothing is written for it any more.
            return self.forget_sealed(&key);
        }
        let print = fingerprint(&object);
        let version = object.metadata.resource_version.as_deref().map(Version::parse);
        let entry = self.entries.entry(key.clone()).or_default();
        let is_known = entry.sealed.is_some() && entry.fingerprint == print;
        entry.sealed = Some(self.sealed.list(stream));
        match &mut entry.phase {
            // Our own status write, or another's: nothing that decides about the Secret.
            Phase::InWork { dirty } => *dirty |= !is_known,
            Phase::Waiting(_) | Phase::Queued if is_known => {}
            Phase::Idle | Phase::Waiting(_) | Phase::Queued => {
                let settled = entry.seen().version.is_some_and(|target| is_settled(&object, target));
                entry.fingerprint = print;
                self.setup.context.saw(&key, &object, settled);
                if settled {
                    entry.right = entry.known();
                    entry.status = version;
                    self.rest(&key);
                } else if !(is_known && version.is_some() && entry.status == version) {
                    self.start(&key, Job::Fresh(Box::new(object)));
                }
            }
        }
    }

    fn on_target(&mut self, (stream, said): Said<PartialObjectMeta<Secret>>) {
        let Some(event) = self.targets.heard(stream, said, "target Secrets") else { return };
        match event {
            Event::Init => self.targets.begin(stream),
            Event::InitApply(secret) | Event::Apply(secret) => {
                let (namespace, name) = api::place(&secret.metadata);
                let key = Key::new(namespace, name);
                let version = Version::parse(secret.metadata.resource_version.as_deref().unwrap_or_default());
                let list = self.targets.list(stream);
                let entry = self.entries.entry(key.clone()).or_default();
                let is_bare = lacks(&self.setup.context.config.labels, &secret);
                entry.target = Some(Target { version, list, is_bare });
                if entry.right.is_some_and(|right| version > right) {
                    self.drifted(&key);
                }
            }
            Event::Delete(secret) => {
                let (namespace, name) = api::place(&secret.metadata);
                let version = secret.metadata.resource_version.as_deref().map(Version::parse);
                self.target_gone(&Key::new(namespace, name), version);
            }
            Event::InitDone => {
                let list = self.targets.finish(stream);
                let gone = self.keys_where(stream, |entry| entry.target.is_some_and(|target| target.list != list));
                gone.iter().for_each(|key| self.target_gone(key, None));
            }
        }
    }

    /// `version` is that of the deletion, where the watch has told it.
    fn target_gone(&mut self, key: &Key, version: Option<Version>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.target = None;
        entry.right = None;
        if let Phase::InWork { dirty } = &mut entry.phase {
            // Before or after the write of the pass: known when it ends, by the versions.
            *dirty |= version.is_none();
            entry.gone = version;
        }
        // One that we only merged into is its owner's to delete: the pass will say so, and not make another.
        self.drifted(key);
        self.tidy(key);
    }

    /// The target of `key` is not as we left it: look again, if there is a SealedSecret that asks for it.
    fn drifted(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.sealed.is_some()) else { return };
        match &mut entry.phase {
            // The pass' own write comes by here too: the two are told apart when it ends.
            Phase::InWork { .. } => {}
            Phase::Idle | Phase::Queued | Phase::Waiting(_) => self.enqueue(key),
        }
    }

    fn on_keys(&mut self, keyring: Arc<Keyring>) {
        self.keyring = keyring;
        let waiting: Vec<_> = self.entries.iter().filter(|(_, e)| e.wants_key).map(|(key, _)| key.clone()).collect();
        if !waiting.is_empty() {
            info!(objects = waiting.len(), "the sealing keys changed: trying again what did not open");
        }
        waiting.iter().for_each(|key| self.enqueue(key));
    }

    fn on_due(&mut self) {
        let now = Instant::now();
        while let Some(key) = self.timers.pop(now) {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.phase = Phase::Queued;
                self.queue.push_back(key);
            }
        }
    }

    /// Puts `key` into the queue unless it is there or in work.
    fn enqueue(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        match entry.phase {
            Phase::Queued | Phase::InWork { .. } => return,
            Phase::Waiting(timer) => self.timers.cancel(timer),
            Phase::Idle => {}
        }
        entry.phase = Phase::Queued;
        self.queue.push_back(key.clone());
    }

    fn reread(&mut self) {
        let Some(key) = self.queue.pop_front() else { return };
        let queued = self.entries.get(&key).is_some_and(|entry| entry.phase == Phase::Queued);
        if queued {
            let is_orphan = self.entries.get(&key).is_some_and(|entry| entry.sealed.is_none());
            let orphaned = is_orphan && self.setup.context.config.deletes_targets;
            self.start(&key, if orphaned { Job::Orphan } else { Job::Again });
        }
    }

    fn start(&mut self, key: &Key, job: Job) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Phase::Waiting(timer) = entry.phase {
            self.timers.cancel(timer);
        }
        entry.phase = Phase::InWork { dirty: false };
        entry.gone = None;
        let seen = entry.seen();
        let reread = matches!(job, Job::Again | Job::Orphan);
        self.rereads += usize::from(reread);
        let (context, keyring, at) = (Arc::clone(&self.setup.context), Arc::clone(&self.keyring), key.clone());
        let pass = async move { reconcile(&context, keyring, &at, job, seen).await };
        let id = self.passes.spawn(pass).id();
        let keyring = Arc::clone(&self.keyring);
        self.working_on.insert(id, Work { key: key.clone(), reread, keyring });
    }

    fn on_done(&mut self, done: Result<(Id, Report), JoinError>) {
        let (id, report) = match done {
            Ok(done) => done,
            Err(problem) => {
                let outcome = Outcome::Failed { class: Class::Terminal, wants_key: false, outage: false };
                (problem.id(), Report { fingerprint: None, status: None, outcome })
            }
        };
        let Some(work) = self.working_on.remove(&id) else { return };
        self.rereads -= usize::from(work.reread);
        if self.entries.get(&work.key).is_none_or(|entry| entry.sealed.is_none()) {
            // It went while the pass was under way, which may have told of it since.
            self.setup.context.forget(&work.key);
        }
        let Some(entry) = self.entries.get_mut(&work.key) else { return };
        let dirty = entry.phase == Phase::InWork { dirty: true };
        entry.phase = Phase::Idle;
        if let Some(fingerprint) = report.fingerprint {
            entry.fingerprint = fingerprint;
        }
        entry.status = report.status.or(entry.status);
        entry.wants_key = false;
        match report.outcome {
            // One of the same name has come since.
            Outcome::Gone if dirty => self.enqueue(&work.key),
            Outcome::Gone => self.forget(&work.key),
            Outcome::Synced(version) => {
                (entry.attempts, entry.outage) = (0, false);
                // The stream is found by the namespace: versions are noted under the list that is current there.
                let list = self.targets.current(&self.setup.namespaces, work.key.namespace());
                if !entry.is_right_at(version, list) || dirty {
                    self.enqueue(&work.key);
                }
                self.outage_is_over();
            }
            Outcome::Failed { class, wants_key, outage } => {
                entry.attempts = entry.attempts.saturating_add(1);
                (entry.wants_key, entry.outage) = (wants_key, outage);
                self.outage |= outage;
                let key_came = wants_key && !Arc::ptr_eq(&work.keyring, &self.keyring);
                if dirty || key_came {
                    self.enqueue(&work.key);
                } else {
                    let wait = schedule::delay(class, entry.attempts, random());
                    debug!(key = %work.key, ?class, attempts = entry.attempts, ?wait, "will try again");
                    entry.phase = Phase::Waiting(self.timers.set(Instant::now() + wait, work.key));
                }
            }
        }
    }

    /// The API server answers again: what waits because it did not comes first, spread over a second.
    fn outage_is_over(&mut self) {
        if !std::mem::take(&mut self.outage) {
            return;
        }
        for (key, entry) in &mut self.entries {
            if let (Phase::Waiting(timer), true) = (entry.phase, entry.outage) {
                self.timers.cancel(timer);
                let soon = Instant::now() + Duration::from_millis(random() % 1000);
                entry.phase = Phase::Waiting(self.timers.set(soon, key.clone()));
            }
        }
    }

    /// Nothing is to be done for `key` now.
    fn rest(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Phase::Waiting(timer) = entry.phase {
            self.timers.cancel(timer);
        }
        (entry.attempts, entry.wants_key, entry.phase) = (0, false, Phase::Idle);
    }

    /// The SealedSecret is gone or none of ours any more.
    fn forget_sealed(&mut self, key: &Key) {
        self.forget(key);
        let orphaned = self.setup.context.config.deletes_targets
            && self.entries.get(key).is_some_and(|entry| entry.target.is_some() && entry.sealed.is_none());
        if orphaned {
            self.enqueue(key);
        }
    }

    fn forget(&mut self, key: &Key) {
        self.setup.context.forget(key);
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.sealed = None;
        (entry.right, entry.status) = (None, None);
        if !matches!(entry.phase, Phase::InWork { .. }) {
            self.rest(key);
        }
        self.tidy(key);
    }

    fn tidy(&mut self, key: &Key) {
        if self.entries.get(key).is_some_and(Entry::is_empty) {
            self.entries.remove(key);
        }
    }

    fn keys_where(&self, stream: usize, wanted: impl Fn(&Entry) -> bool) -> Vec<Key> {
        let covered = |key: &Key| self.setup.namespaces.covers(stream, key.namespace());
        self.entries.iter().filter(|(key, entry)| covered(key) && wanted(entry)).map(|(key, _)| key.clone()).collect()
    }
}

/// Whether a target of ours has not got all of these labels; one that its template gave another value is looked at in
/// vain once a start.
fn lacks(labels: &BTreeMap<String, String>, target: &PartialObjectMeta<Secret>) -> bool {
    let has = |name: &str, value: &str| {
        target.metadata.labels.as_ref().and_then(|all| all.get(name)).is_some_and(|found| found == value)
    };
    has(Annotations::MANAGED_BY, Annotations::OWNED) && labels.iter().any(|(name, value)| !has(name, value))
}

/// What of an object decides about its Secret, in one number: identity, generation and annotations. The status does
/// not count, nor do labels.
pub(super) fn fingerprint(object: &SealedSecret) -> u64 {
    let mut hasher = DefaultHasher::new();
    let metadata = &object.metadata;
    metadata.uid.hash(&mut hasher);
    metadata.generation.hash(&mut hasher);
    metadata.deletion_timestamp.is_some().hash(&mut hasher);
    metadata.annotations.hash(&mut hasher);
    hasher.finish()
}
