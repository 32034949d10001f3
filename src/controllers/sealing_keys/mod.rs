//! The sealing keys of the cluster: loaded, made, renewed, published.
//!
//! | module | what it is |
//! | --- | --- |
//! | `config` | the settings, the clock among them |
//! | `load`, `facts` | reading key Secrets; what is known of a key |
//! | `renewal` | when the next key is due |
//! | `duty`, `make` | what only the leader does |
//! | `publish` | the ConfigMap of the public halves |
//! | `usage`, `report`, `metrics` | how many live values each key opens, and where that is said |
//! | `hear` | what the watches tell |
//! | `wrap` | private halves that are wrapped at rest |
//!
//! Keys are Secrets in the controller's namespace. Their metadata is watched, and whenever it changes all of them are
//! read afresh; they are few. A key Secret that cannot be read is named in the log and the rest go on working.

mod config;
mod duty;
mod facts;
mod hear;
mod load;
mod make;
mod metrics;
mod publish;
mod renewal;
mod report;
mod trouble;
mod usage;
mod wrap;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::config::{Clock, KeyConfig, KeyOrder};
pub(super) use self::metrics::KeyMetrics;
pub use self::publish::PublishedKeys;
pub(super) use self::usage::KeyUse;
pub use self::wrap::{AgeWrapping, KmsWrapping, TransitWrapping, VaultLogin, Wrapper, Wrapping};

use self::duty::Duties;
use self::facts::Facts;
use self::hear::{KeyEar, MapEar};
use self::load::Loaded;
use self::trouble::Trouble;
use self::wrap::Wrappers;
use super::api::Api;
use super::leadership::Leadership;
use super::metrics::Metrics;
use super::notify::Notices;
use super::random;
use crate::seal::{KeyId, KeyState, Keyring};
use crate::sync::schedule::{Class, delay};

/// How long to wait for more changes before the keys are read.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest wait before the keys, or what unwraps them, are tried again: nothing works without them.
const LONGEST: Duration = Duration::from_secs(5);
/// The same where what unwraps them said no, which takes a person to change: outside the cluster, where nobody tells us.
const LONGEST_REFUSED: Duration = Duration::from_secs(60);
/// How often the keys are read again after some were made. Each line needs one; more is somebody working against us.
const ROUNDS: usize = 4;

/// Asks a running controller for a new key, as SIGUSR1 does. Clones ask the same one.
#[derive(Clone)]
pub struct Rotation(mpsc::Sender<()>);

impl Rotation {
    /// Asks for a new key now. A controller that does not lead says so in its log and does nothing; asking again before
    /// the last request was heard asks once.
    pub fn request(&self) {
        // A full channel holds such a request already; a closed one has nobody to serve it.
        self.0.try_send(()).ok();
    }
}

/// Where the requests of [`Rotation`] arrive.
pub(super) type Requests = mpsc::Receiver<()>;

/// A way to ask, and where that arrives.
pub(super) fn rotation() -> (Rotation, Requests) {
    let (sender, receiver) = mpsc::channel(1);
    (Rotation(sender), receiver)
}

/// What [`Keys`] is given.
pub(super) struct Parts {
    pub(super) api: Api,
    /// Where the keys are.
    pub(super) namespace: String,
    pub(super) config: KeyConfig,
    pub(super) metrics: Metrics,
    pub(super) published: PublishedKeys,
    pub(super) keyring: Sender<Option<Arc<Keyring>>>,
    /// Only the leader makes keys and publishes them.
    pub(super) leadership: Leadership,
    pub(super) notices: Notices,
    pub(super) key_use: KeyUse,
    pub(super) key_metrics: KeyMetrics,
}

/// Looks after the keys.
pub(super) struct Keys {
    parts: Parts,
    /// What was already complained about.
    complaints: Vec<String>,
    /// The keys as they were read last.
    known: Vec<Facts>,
    /// What of them is in the keyring that was handed out.
    delivered: Vec<(KeyId, KeyState, bool)>,
    duties: Duties,
    wrappers: Wrappers,
    /// How often keys could not be unwrapped in a row, and when they are tried again; `None` while all are.
    locked: Option<(u32, Instant)>,
    /// When annotations were written last.
    reported: Option<Instant>,
    /// The version of the ConfigMap that is as it should be.
    map: String,
}

impl Keys {
    pub(super) fn new(parts: Parts) -> Self {
        let (duties, wrappers) = (Duties::default(), Wrappers::new(parts.config.wrapping.clone()));
        Self {
            parts,
            complaints: Vec::new(),
            known: Vec::new(),
            delivered: Vec::new(),
            duties,
            wrappers,
            locked: None,
            reported: None,
            map: String::new(),
        }
    }

    /// Works until `shutdown`. `requests` are for a new key now.
    pub(super) async fn run(mut self, requests: Requests, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.look_after(requests) => {}
        }
    }

    async fn look_after(&mut self, mut requests: Requests) {
        let (mut keys, mut map) = (KeyEar::new(&self.parts), MapEar::new(&self.parts));
        let mut leadership = self.parts.leadership.clone();
        let mut attempts = 0;
        loop {
            match self.refresh().await {
                Ok(()) => attempts = 0,
                Err(error) => {
                    attempts += 1;
                    if attempts == 1 {
                        warn!(%error, "cannot read, make or publish the sealing keys; trying again");
                    }
                    // What keys open is said though they cannot be made or published.
                    self.report().await;
                    tokio::time::sleep(delay(error.class(), attempts, random()).min(LONGEST)).await;
                    continue;
                }
            }
            self.report().await;
            loop {
                tokio::select! {
                    () = keys.changed() => {
                        // A burst of changes is one change.
                        tokio::time::sleep(PAUSE).await;
                        keys.drain();
                        break;
                    }
                    () = map.changed(&self.map) => if leadership.is_leader() { break },
                    () = leadership.changed() => if leadership.is_leader() { break },
                    Some(()) = requests.recv() => {
                        if leadership.is_leader() {
                            info!("told to make a new sealing key");
                            self.duties.ask();
                            break;
                        }
                        warn!("told to make a new sealing key, but another replica leads: tell that one");
                    }
                    () = Self::unlocking(self.locked) => break,
                    // Not slept through to the end: the clock may jump, and sleeping machines do not count.
                    () = tokio::time::sleep(self.parts.config.recheck) => {
                        self.report().await;
                        if leadership.is_leader() && !self.wanted(&self.known).is_empty() {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// When keys that could not be unwrapped are tried again; never while there are none.
    async fn unlocking(locked: Option<(u32, Instant)>) {
        match locked {
            None => std::future::pending().await,
            Some((_, at)) => tokio::time::sleep_until(at.into()).await,
        }
    }

    async fn load(&mut self) -> Result<Loaded, Trouble> {
        let config = &self.parts.config;
        let mut loaded = load::all(&self.parts.api, &self.parts.namespace, &config.upstream_prefix).await?;
        self.wrappers.unwrap(&self.parts.namespace, &mut loaded).await;
        self.locked = (!loaded.locked.is_empty()).then(|| {
            let attempts = self.locked.map_or(0, |(attempts, _)| attempts) + 1;
            let longest = if loaded.is_away { LONGEST } else { LONGEST_REFUSED };
            (attempts, Instant::now() + delay(Class::Transient, attempts, random()).min(longest))
        });
        self.parts.key_metrics.show_locked(loaded.locked.len());
        let config = &self.parts.config;
        loaded.settle(config.order, config.clock.now());
        self.complain(&loaded);
        Ok(loaded)
    }

    async fn refresh(&mut self) -> Result<(), Trouble> {
        let mut made = Ok(());
        for round in 1.. {
            let mut loaded = self.load().await?;
            if !self.parts.leadership.is_leader() {
                self.deliver(loaded);
                return Ok(());
            }
            // Whatever is wrong with the ConfigMap, keys open without it.
            let map = publish::read(&self.parts.api, &self.parts.namespace).await;
            self.duties.request = map.as_ref().ok().and_then(|map| publish::request(map.as_ref()?));
            let config = &self.parts.config;
            self.duties.remember(map.as_ref().ok().and_then(Option::as_ref), &loaded, &config.upstream_prefix);
            let facts = loaded.facts();
            let wanted = if made.is_ok() && round <= ROUNDS { self.wanted(&facts) } else { Vec::new() };
            let Some((line, why)) = wanted.into_iter().next() else {
                let demoted = self.demote(&mut loaded).await;
                // Openers first: publishing may fail without stopping them.
                let listing = self.deliver(loaded);
                let handled = self.served(&facts);
                let notes = publish::Notes { handled, marks: self.duties.marks };
                self.map = publish::write(&self.parts.api, &self.parts.namespace, map?, &listing, &notes).await?;
                // Last: a key that cannot be made must not keep those that are there from opening.
                return demoted.map_err(Trouble::from).and(made);
            };
            made = self.make(line, why).await;
            if !loaded.keys.is_empty() {
                self.deliver(loaded);
            }
        }
        made
    }

    /// Hands out the keys, if they are others than before, and gives the list of their public halves.
    fn deliver(&mut self, loaded: Loaded) -> String {
        let before = std::mem::replace(&mut self.known, loaded.facts());
        if self.parts.leadership.is_leader() {
            self.tell_changes(&before);
        }
        let listing = publish::listing(&self.known);
        let now = loaded.keys.iter().map(|key| (key.facts.id, key.facts.state, key.identity.is_some()));
        let now: Vec<_> = now.collect();
        let is_first = self.parts.keyring.borrow().is_none();
        if self.parts.published.set(&listing) || self.delivered != now || is_first {
            info!(keys = now.len(), "sealing keys loaded");
            self.delivered = now;
            self.parts.keyring.send_replace(Some(Arc::new(loaded.into_keyring())));
        }
        listing
    }

    fn complain(&mut self, loaded: &Loaded) {
        self.parts.metrics.malformed_keys.set(i64::try_from(loaded.malformed.len()).unwrap_or(i64::MAX));
        let mut complaints = Vec::new();
        for (name, problem) in &loaded.malformed {
            let complaint = format!("{name}: {problem}");
            if !self.complaints.contains(&complaint) {
                warn!(secret = name, problem, "a sealing key cannot be read; the others go on working");
            }
            complaints.push(complaint);
        }
        for (name, problem) in &loaded.locked {
            let complaint = format!("{name}: {problem}");
            if !self.complaints.contains(&complaint) {
                warn!(
                    secret = name,
                    problem, "a sealing key cannot be unwrapped; trying again, and the others go on working"
                );
            }
            complaints.push(complaint);
        }
        for (name, other) in &loaded.copies {
            let complaint = format!("{name} = {other}");
            if !self.complaints.contains(&complaint) {
                warn!(secret = name, other, "two Secrets hold the same sealing key: delete one of them");
            }
            complaints.push(complaint);
        }
        self.complaints = complaints;
    }
}
