//! The sealing keys of the cluster: loaded, made where there is none, published.
//!
//! Keys are Secrets in the controller's namespace. Their metadata is watched, and whenever it changes all of them are
//! read afresh; they are few. A key Secret that cannot be read is named in the log and the rest go on working.

mod load;
mod publish;

use std::sync::Arc;
use std::time::Duration;

use bulla_crds::names;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::publish::PublishedKeys;

use self::load::Loaded;
use super::api::{Api, ApiError};
use super::leadership::Leadership;
use super::metrics::{KeyRow, Metrics};
use super::notify::Notices;
use super::watch::{Namespaces, Streams, metadata};
use super::{apply, random};
use crate::seal::{Identity, Keyring};
use crate::secret::{OPAQUE, Plaintext, Values};
use crate::sync::Head;
use crate::sync::schedule::delay;

/// How the names of upstream's keys begin unless told otherwise.
const UPSTREAM_PREFIX: &str = "sealed-secrets-key";
/// How the names of our key Secrets begin.
const PREFIX: &str = "bulla-sealing-key-";
/// How long to wait for more changes before the keys are read.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest wait before the keys are tried again: nothing works without them.
const LONGEST: Duration = Duration::from_secs(5);

/// How sealing keys are made, renewed and stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyConfig {
    /// How the names of upstream's keys begin, and the whole name of its first one.
    pub upstream_prefix: String,
}

impl Default for KeyConfig {
    fn default() -> Self {
        Self { upstream_prefix: UPSTREAM_PREFIX.to_owned() }
    }
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
}

/// Looks after the keys.
pub(super) struct Keys {
    parts: Parts,
    /// Malformed key Secrets that were already complained about.
    complaints: Vec<String>,
}

impl Keys {
    pub(super) const fn new(parts: Parts) -> Self {
        Self { parts, complaints: Vec::new() }
    }

    /// Works until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.look_after() => {}
        }
    }

    async fn look_after(&mut self) {
        let mut changes = self.watch();
        let mut attempts = 0;
        loop {
            match self.refresh().await {
                Ok(()) => {
                    attempts = 0;
                    next_change(&mut changes).await;
                    // A burst of changes is one change.
                    tokio::time::sleep(PAUSE).await;
                    while next_change(&mut changes).now_or_never().is_some() {}
                }
                Err(error) => {
                    attempts += 1;
                    if attempts == 1 {
                        warn!(%error, "cannot read or publish the sealing keys; trying again");
                    }
                    tokio::time::sleep(delay(error.class(), attempts, random()).min(LONGEST)).await;
                }
            }
        }
    }

    fn watch(&self) -> Streams<PartialObjectMeta<Secret>> {
        let here = Namespaces::These(vec![self.parts.namespace.clone()]);
        let client = self.parts.api.client();
        let watch = |config: watcher::Config| metadata::<Secret>(&client, &here, &config);
        let ours = watch(watcher::Config::default().labels(names::SEALING_KEY));
        let upstreams = watch(watcher::Config::default().labels(names::UPSTREAM_SEALING_KEY));
        let legacy =
            watch(watcher::Config::default().fields(&format!("metadata.name={}", self.parts.config.upstream_prefix)));
        Box::pin(futures::stream::select_all([ours, upstreams, legacy]))
    }

    async fn refresh(&mut self) -> Result<(), ApiError> {
        let mut loaded = load::all(&self.parts.api, &self.parts.namespace, &self.parts.config.upstream_prefix).await?;
        self.complain(&loaded);
        let mut made = Ok(());
        if !loaded.has_active_native() {
            made = self.make().await;
            if made.is_ok() {
                loaded = load::all(&self.parts.api, &self.parts.namespace, &self.parts.config.upstream_prefix).await?;
            }
        }
        let (listing, keys) = (publish::listing(&loaded), loaded.keys.len());
        let ids = loaded.ids();
        let is_news = self.parts.published.set(&listing) || self.known_ids() != ids;
        if is_news {
            info!(keys, "sealing keys loaded");
            // Openers first: publishing may fail without stopping them.
            self.parts.keyring.send_replace(Some(Arc::new(loaded.into_keyring())));
        }
        publish::config_map(&self.parts.api, &self.parts.namespace, &listing).await?;
        // Last: a key that cannot be made must not keep those that are there from opening.
        made
    }

    /// The ids of the keys in use, to tell whether a change is one.
    fn known_ids(&self) -> Vec<String> {
        let keyring = self.parts.keyring.borrow();
        keyring.iter().flat_map(|keyring| keyring.iter()).map(|(key, _)| key.key_id().to_string()).collect()
    }

    fn complain(&mut self, loaded: &Loaded) {
        self.parts.metrics.malformed_keys.set(i64::try_from(loaded.malformed.len()).unwrap_or(i64::MAX));
        self.parts.metrics.keys.show(loaded.keys.iter().map(row).collect());
        let mut complaints = Vec::new();
        for (name, problem) in &loaded.malformed {
            let complaint = format!("{name}: {problem}");
            if !self.complaints.contains(&complaint) {
                warn!(secret = name, problem, "a sealing key cannot be read; the others go on working");
            }
            complaints.push(complaint);
        }
        self.complaints = complaints;
    }

    /// Makes the first key.
    async fn make(&self) -> Result<(), ApiError> {
        let identity = Identity::generate_hybrid().map_err(|_| ApiError::Unreadable)?;
        let text = identity.to_file_text(Timestamp::now()).ok_or(ApiError::Unreadable)?;
        let mut data = Values::new();
        data.insert(load::IDENTITY.to_owned(), Plaintext::copy_of(text.as_bytes()));
        data.insert(load::RECIPIENT.to_owned(), Plaintext::from(identity.recipient().to_string()));
        let head = Head {
            kind: OPAQUE.to_owned(),
            labels: [(names::SEALING_KEY.to_owned(), names::KEY_ACTIVE.to_owned())].into(),
            ..Head::default()
        };
        apply::create_prefixed(&self.parts.api, &self.parts.namespace, PREFIX, &head, &data).await?;
        info!(key = %identity.key_id(), "made a sealing key");
        Ok(())
    }
}

/// A key as metrics show it.
fn row(key: &load::Key) -> KeyRow {
    KeyRow {
        id: key.identity.key_id().to_string(),
        kind: key.identity.kind().as_str(),
        state: key.state.as_str(),
        created: key.created.parse().ok(),
        expires: key.certificate.as_deref().and_then(expiry),
        values: None,
    }
}

/// Until when a certificate is good.
fn expiry(certificate: &str) -> Option<Timestamp> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).ok()?;
    Timestamp::from_second(pem.parse_x509().ok()?.validity().not_after.timestamp()).ok()
}

/// Waits until something about the key Secrets may have changed.
async fn next_change(changes: &mut Streams<PartialObjectMeta<Secret>>) {
    loop {
        match changes.next().await {
            Some((_, Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone))) => return,
            Some((_, Ok(Event::Init | Event::InitApply(_)) | Err(_))) => {}
            None => std::future::pending().await,
        }
    }
}
