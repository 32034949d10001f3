//! Values from elsewhere, for a host: what its ExternalSecrets ask of AWS, Vault, files and fakes, by the code that the
//! controller uses ([`crate::stores`], [`crate::resource`], [`crate::sync::external`]).
//!
//! | module | what it is |
//! | --- | --- |
//! | `admitted` | which stores the settings of the host let the repository name |
//! | `around` | the stores of a commit, and the objects that their settings name |
//! | `object` | one ExternalSecret: what it asks for, and the way to its Secret |
//! | `known` | what is remembered of one ExternalSecret: its last good values, and how often it failed |
//! | `sessions` | the sessions with stores, kept between passes |
//! | `cache` | the last good values on the disk, sealed to the host's own key |
//!
//! A pass asks only for what is due by its `refreshInterval`, or changed: another spec, other labels or annotations,
//! another store, another file. All that is due is asked at once, each question to a store once. What fails is tried
//! again by its class of error, and its last good value is used until then.

mod admitted;
mod around;
mod cache;
mod known;
mod object;
mod sessions;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bulla_crds::external_secret::StoreKind;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

pub use self::admitted::{Admitted, is_not_admitted};
use self::around::{Around, Parts, copy};
use self::cache::Cache;
use self::known::Known;
use self::object::{Failure, Job, Made, Open};
use self::sessions::Sessions;
use super::{Answered, Answers, Declared, Files, Full, Request, Wanted};
use crate::providers::gate::{Meter, Unmetered};
use crate::seal::Keyring;

/// How long the stores may take for an object that has a last good value, and for one that has none.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(45));
/// The folder of the kept values in the agent's state.
const FOLDER: &str = "external";

/// What fetching needs to know of the host.
pub struct Settings {
    /// Its name: the values that are kept on the disk are bound to it.
    pub host: String,
    /// Its keys. Values are kept sealed to the newest active one; without a native one none are kept.
    pub keyring: Arc<Keyring>,
    /// The folder of the agent's state; `None` keeps nothing on the disk, and reads nothing there.
    pub state: Option<PathBuf>,
    /// The folder that the paths of `file` stores are in; without one they are files of the commit, beside the store's
    /// manifest.
    pub file_stores: Option<PathBuf>,
    /// The stores that may be asked.
    pub admitted: Admitted,
    /// Is told of every call to a provider.
    pub meter: Arc<dyn Meter>,
}

impl Settings {
    /// A host that keeps nothing on the disk, counts nothing, and may ask every store.
    #[must_use]
    pub fn new(host: impl Into<String>, keyring: Arc<Keyring>) -> Self {
        let (admitted, meter) = (Admitted::default(), Arc::new(Unmetered));
        Self { host: host.into(), keyring, state: None, file_stores: None, admitted, meter }
    }
}

/// Fetches, and remembers what it fetched.
pub struct External {
    host: String,
    keyring: Arc<Keyring>,
    cache: Option<Arc<Cache>>,
    file_stores: Option<PathBuf>,
    admitted: Admitted,
    sessions: Sessions,
    known: HashMap<Full, Known>,
    /// What the last pass was asked for, each with its version.
    current: HashMap<Full, String>,
    versions: RandomState,
    /// What was remembered before a look at what would be; the disk stays as it is meanwhile.
    before_look: Option<(HashMap<Full, Known>, HashMap<Full, String>)>,
}

impl External {
    /// Nothing is read or asked yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { host, keyring, state, file_stores, admitted, meter } = settings;
        let cache = state.map(|state| Arc::new(Cache::new(state.join(FOLDER), host.clone())));
        let (known, current, versions) = (HashMap::new(), HashMap::new(), RandomState::new());
        Self {
            host,
            keyring,
            cache,
            file_stores,
            admitted,
            sessions: Sessions::new(meter),
            known,
            current,
            versions,
            before_look: None,
        }
    }

    /// Takes other keys from now on.
    pub fn set_keyring(&mut self, keyring: Arc<Keyring>) {
        self.keyring = keyring;
    }

    /// From now on it is only for a look at what would be: nothing is written, and [`Self::end_look`] forgets it all.
    pub fn begin_look(&mut self) {
        if self.before_look.is_none() {
            self.before_look = Some((self.known.clone(), self.current.clone()));
        }
    }

    /// Remembers what it did before [`Self::begin_look`], and nothing else.
    pub fn end_look(&mut self) {
        if let Some((known, current)) = self.before_look.take() {
            (self.known, self.current) = (known, current);
        }
    }

    /// Forgets what the last pass was not asked for, in memory and on the disk. To be called once its commit has proven
    /// good: until then the host may go back to a commit that asks for it.
    pub async fn forget_others(&mut self) {
        let current = std::mem::take(&mut self.current);
        self.known.retain(|full, _| current.contains_key(full));
        for (full, version) in &current {
            if let Some(known) = self.known.get_mut(full) {
                known.keep_only(version);
            }
        }
        self.current = current;
        if let Some(cache) = self.cache.clone().filter(|_| self.before_look.is_none()) {
            let of = |(full, known): (&Full, &Known)| {
                known.on_disk().map(|version| (full.clone(), version.to_owned())).collect::<Vec<_>>()
            };
            let kept: Vec<_> = self.known.iter().flat_map(of).collect();
            let work = move || cache.retain(kept.iter().map(|(full, version)| (full, version.as_str())));
            // It is done, or the program is ending.
            drop(spawn_blocking(work).await);
        }
    }

    /// Gives back every login. Nothing is to be asked afterwards.
    pub async fn close(&mut self) {
        self.sessions.close().await;
    }

    /// Reads from the disk what is kept of objects that are seen for the first time.
    async fn load(&mut self, fulls: &[Full]) {
        let new: BTreeSet<_> = fulls.iter().filter(|full| !self.known.contains_key(*full)).cloned().collect();
        let mut loaded = Vec::new();
        if let Some(cache) = self.cache.clone().filter(|_| !new.is_empty()) {
            let (new, keyring) = (new.clone(), Arc::clone(&self.keyring));
            let work = move || {
                let identities = around::identities(&keyring);
                let load = |full: Full| (cache.load(&full, &identities), full);
                new.into_iter().map(load).collect::<Vec<_>>()
            };
            loaded = spawn_blocking(work).await.unwrap_or_default();
        }
        for (kept, full) in loaded {
            self.known.insert(full, Known::loaded(kept));
        }
        for full in new {
            self.known.entry(full).or_default();
        }
    }

    async fn gather(&self, wanted: Wanted) -> Result<Around, String> {
        let Wanted { externals: _, stores, cluster_stores, secrets, config_maps, files } = wanted;
        let of_namespace = stores.into_iter().map(|Declared { object, file, line }| {
            let metadata = &object.metadata;
            let id = around::id(StoreKind::SecretStore, metadata.namespace.as_ref(), metadata.name.as_ref());
            (id, Declared { object: object.spec.map_err(|error| error.to_string()), file, line })
        });
        let of_all = cluster_stores.into_iter().map(|Declared { object, file, line }| {
            let id = around::id(StoreKind::ClusterSecretStore, None, object.metadata.name.as_ref());
            (id, Declared { object: object.spec.map_err(|error| error.to_string()), file, line })
        });
        let made = self.known.iter().filter_map(|((namespace, _), known)| {
            let target = known.latest()?;
            Some(((namespace.clone(), target.name.clone()), Arc::clone(target)))
        });
        let parts = Parts {
            stores: of_namespace.chain(of_all).collect(),
            secrets,
            config_maps,
            made: made.collect(),
            files,
            folder: self.file_stores.clone(),
            admitted: self.admitted.clone(),
            keyring: Arc::clone(&self.keyring),
            versions: self.versions.clone(),
        };
        let gathered = spawn_blocking(move || Around::gather(parts)).await;
        gathered.map_err(|_| "the stores could not be read; this is a bug".to_owned())
    }

    /// The sessions for these jobs.
    async fn open(&mut self, around: &Around, jobs: &[&Job]) -> Open {
        let mut open = Open::new();
        let uses = jobs.iter().flat_map(|job| job.stores().map(|id| (id, job.full.0.clone())));
        for (id, namespace) in uses.collect::<HashSet<_>>() {
            let session = self.sessions.get(around, &id, &namespace).await;
            open.insert((id, namespace), session);
        }
        open
    }

    /// Keeps on the disk what is not there as it is in memory.
    async fn store(&mut self, fulls: &[Full]) {
        let cache = self.cache.clone().filter(|_| self.before_look.is_none());
        let Some((cache, recipient)) = cache.zip(self.keyring.active().cloned()) else { return };
        let known = fulls.iter().filter_map(|full| self.known.get(full).map(|known| (full, known)));
        let (mut stored, mut removed) = (Vec::new(), Vec::new());
        for (full, known) in known {
            stored.extend(known.to_store().map(|kept| (full.clone(), kept)));
            removed.extend(known.to_remove().map(|version| (full.clone(), version.to_owned())));
        }
        if stored.is_empty() && removed.is_empty() {
            return;
        }
        let work = move || {
            removed.iter().for_each(|(full, version)| cache.remove(full, version));
            let store = |(full, kept): (Full, cache::Kept)| {
                let result = cache.store(&full, &kept, &recipient).map_err(|error| error.to_string());
                (full, kept.version, result)
            };
            stored.into_iter().map(store).collect::<Vec<_>>()
        };
        for (full, version, result) in spawn_blocking(work).await.unwrap_or_default() {
            if let Err(problem) = &result {
                let (namespace, name) = &full;
                tracing::warn!(namespace, name, problem, "a value cannot be kept for a start without network");
            }
            if let Some(known) = self.known.get_mut(&full) {
                known.stored(&version, result);
            }
        }
        for full in fulls {
            if let Some(known) = self.known.get_mut(full) {
                known.removed();
            }
        }
    }
}

impl Answers for External {
    async fn answers(&mut self, mut wanted: Wanted) -> Answered {
        let began = (Timestamp::now(), Instant::now());
        let externals = std::mem::take(&mut wanted.externals);
        let externals: Vec<Request> = externals.into_iter().map(|external| external.object).collect();
        let fulls: Vec<Full> = externals.iter().map(Request::full).collect();
        self.load(&fulls).await;
        let around = match self.gather(wanted).await {
            Ok(around) => around,
            Err(problem) => {
                let targets = fulls.iter().map(|_| Err(problem.clone())).collect();
                return Answered { targets, ..Answered::default() };
            }
        };
        self.sessions.retain(&around);
        let jobs: Vec<Result<Job, Failure>> =
            externals.iter().zip(&fulls).map(|(request, full)| Job::new(request, full, &around)).collect();
        self.current = fulls
            .iter()
            .zip(&jobs)
            .map(|(full, job)| (full.clone(), job.as_ref().map(|job| job.version.clone()).unwrap_or_default()))
            .collect();
        let due = |job: &&Job| {
            self.known.get(&job.full).is_some_and(|known| known.is_due(job, &self.host, around.digest(), began))
        };
        let due: Vec<&Job> = jobs.iter().flatten().filter(due).collect();
        let open = self.open(&around, &due).await;
        let running = due.iter().map(|job| {
            let has_value = self.known.get(&job.full).is_some_and(|known| known.latest().is_some());
            job.run(&open, began, if has_value { PATIENCE.0 } else { PATIENCE.1 })
        });
        let results: Vec<Result<Made, Failure>> = join_all(running).await;
        for (job, result) in due.iter().zip(results) {
            if let Some(known) = self.known.get_mut(&job.full) {
                known.record(job, result, around.digest(), began.0);
            }
        }
        self.store(&fulls).await;
        let mut answered = Answered::default();
        let now = (Timestamp::now(), Instant::now());
        for (index, (full, job)) in fulls.iter().zip(&jobs).enumerate() {
            let Some(known) = self.known.get(full) else { continue };
            if job.as_ref().is_ok_and(|job| known.is_gone(job)) {
                answered.gone.insert(index);
            }
            let (target, note) = known.answer(job.as_ref());
            answered.targets.push(target);
            answered.stale.extend(note.map(|note| (index, note)));
            let next = job.as_ref().map_or(None, |job| known.next(job, &self.host, now));
            answered.refresh = [answered.refresh, next].into_iter().flatten().min();
        }
        answered
    }
}
