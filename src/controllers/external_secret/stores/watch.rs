//! Follows the stores of the cluster and has them checked.

use std::collections::HashMap;
use std::sync::Arc;

use bulla_crds::external_secret::StoreKind;
use bulla_crds::{ClusterSecretStore, SecretStore, SecretStoreSpec, SecretStoreStatus, Unreadable};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::check::Checked;
use super::{Store, StoreId, Stores, Verdict, lock};
use crate::controllers::api;
use crate::controllers::queue::{Key, Known, Timer, Timers, sleep_until};
use crate::controllers::watch::{Said, Streams};
use crate::stores::admission::has_selector;

/// What is followed.
pub(in crate::controllers::external_secret) struct Watches {
    /// SecretStores.
    pub(in crate::controllers::external_secret) stores: Streams<SecretStore>,
    /// ClusterSecretStores and the labels of namespaces, where we may see them.
    pub(in crate::controllers::external_secret) cluster:
        Option<(Streams<ClusterSecretStore>, Streams<PartialObjectMeta<Namespace>>)>,
    /// How many streams of SecretStores there are.
    pub(in crate::controllers::external_secret) streams: usize,
}

/// How long the first lists may take before stores are used without them.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
/// At most this many stores are checked at the same time.
const CHECKS: usize = 32;

/// Follows the stores until `shutdown`; `better` is told of each store that became good or is new.
pub(in crate::controllers::external_secret) async fn run(
    stores: Arc<Stores>,
    watches: Watches,
    better: mpsc::UnboundedSender<StoreId>,
    shutdown: CancellationToken,
) {
    let Watches { stores: mut namespaced, cluster, streams } = watches;
    let has_cluster = cluster.is_some();
    let (mut wide, mut namespaces) = match cluster {
        Some((wide, namespaces)) => (wide, namespaces),
        None => (futures::stream::pending().boxed(), futures::stream::pending().boxed()),
    };
    let count = usize::from(has_cluster);
    let mut follower = Follower {
        stores,
        better,
        entries: HashMap::new(),
        timers: Timers::default(),
        checks: JoinSet::new(),
        checking: HashMap::new(),
        began: Instant::now(),
        lists: [Known::new(streams), Known::new(count), Known::new(count)],
    };
    // Where something of it may not be seen, those that can be used are used all the same.
    let patience = Instant::now() + PATIENCE;
    loop {
        let waits = !*follower.stores.complete.borrow();
        let due = follower.timers.next();
        let free = follower.checks.len() < CHECKS;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(done) = follower.checks.join_next_with_id(), if !follower.checks.is_empty() => {
                let (id, checked) = match done {
                    Ok((id, checked)) => (id, Some(checked)),
                    Err(panicked) => (panicked.id(), None),
                };
                follower.checked(id, checked);
            }
            Some(said) = namespaces.next() => follower.on_namespace(said),
            Some(said) = namespaced.next() => follower.on_store(said),
            Some(said) = wide.next() => follower.on_cluster_store(said),
            () = sleep_until(due), if due.is_some() && free => follower.on_due(),
            () = sleep_until(Some(patience)), if waits => follower.give_up_waiting(),
        }
    }
}

struct Follower {
    stores: Arc<Stores>,
    better: mpsc::UnboundedSender<StoreId>,
    entries: HashMap<StoreId, Entry>,
    timers: Timers,
    checks: JoinSet<Checked>,
    checking: HashMap<Id, (StoreId, Arc<Store>)>,
    /// A time before all that is due.
    began: Instant,
    /// SecretStores, ClusterSecretStores, namespaces.
    lists: [Known; 3],
}

#[derive(Default)]
struct Entry {
    timer: Option<Timer>,
    attempts: u32,
    list: (usize, u32),
    checking: bool,
}

impl Follower {
    fn on_store(&mut self, (stream, said): Said<SecretStore>) {
        let Some(event) = self.lists[0].heard(stream, said, "SecretStores") else { return };
        match event {
            Event::Init => self.lists[0].begin(stream),
            Event::InitApply(store) | Event::Apply(store) => {
                let list = (stream, self.lists[0].list(stream));
                self.see(StoreKind::SecretStore, store.metadata, store.spec, store.status, list);
            }
            Event::Delete(store) => self.gone(&id(StoreKind::SecretStore, &store.metadata)),
            Event::InitDone => self.listed(0, StoreKind::SecretStore, stream),
        }
    }

    fn on_cluster_store(&mut self, (stream, said): Said<ClusterSecretStore>) {
        let Some(event) = self.lists[1].heard(stream, said, "ClusterSecretStores") else { return };
        match event {
            Event::Init => self.lists[1].begin(stream),
            Event::InitApply(store) | Event::Apply(store) => {
                let list = (stream, self.lists[1].list(stream));
                self.see(StoreKind::ClusterSecretStore, store.metadata, store.spec, store.status, list);
            }
            Event::Delete(store) => self.gone(&id(StoreKind::ClusterSecretStore, &store.metadata)),
            Event::InitDone => self.listed(1, StoreKind::ClusterSecretStore, stream),
        }
    }

    fn on_namespace(&mut self, (stream, said): Said<PartialObjectMeta<Namespace>>) {
        let Some(event) = self.lists[2].heard(stream, said, "Namespaces") else { return };
        match event {
            Event::Init => self.lists[2].begin(stream),
            Event::InitApply(namespace) | Event::Apply(namespace) => {
                let labels = namespace.metadata.labels.unwrap_or_default();
                let name = namespace.metadata.name.unwrap_or_default();
                let before = lock(&self.stores.namespaces).insert(name, labels.clone());
                // One that is new may have been refused because it was not known.
                let is_news = before.map_or_else(|| *self.stores.complete.borrow(), |before| before != labels);
                if is_news {
                    self.labels_changed();
                }
            }
            Event::Delete(namespace) => {
                let name = namespace.metadata.name.unwrap_or_default();
                lock(&self.stores.namespaces).remove(&name);
                self.stores.forget_namespace(&name);
            }
            Event::InitDone => {
                self.lists[2].finish(stream);
                self.announce_complete();
            }
        }
    }

    /// Whoever was denied by a label may now be admitted.
    fn labels_changed(&self) {
        let conditional: Vec<_> = {
            let known = lock(&self.stores.known);
            let by_label = |store: &Store| store.spec.as_ref().is_ok_and(|spec| has_selector(&spec.conditions));
            known.iter().filter(|(_, store)| by_label(store)).map(|(id, _)| id.clone()).collect()
        };
        for id in conditional {
            // Nobody listens any more at shutdown only.
            self.better.send(id).ok();
        }
    }

    fn listed(&mut self, which: usize, kind: StoreKind, stream: usize) {
        let list = self.lists[which].finish(stream);
        let stale = |(id, entry): (&StoreId, &Entry)| {
            (id.kind == kind && entry.list.0 == stream && entry.list.1 != list).then(|| id.clone())
        };
        let gone: Vec<_> = self.entries.iter().filter_map(stale).collect();
        gone.iter().for_each(|id| self.gone(id));
        self.announce_complete();
    }

    fn give_up_waiting(&self) {
        warn!("stores or namespaces cannot be listed; going on with what is known");
        self.stores.complete.send_replace(true);
    }

    fn announce_complete(&self) {
        if self.lists.iter().all(Known::is_complete) {
            self.stores.complete.send_if_modified(|complete| !std::mem::replace(complete, true));
        }
    }

    fn see(
        &mut self,
        kind: StoreKind,
        metadata: ObjectMeta,
        spec: Result<SecretStoreSpec, Unreadable>,
        status: Option<SecretStoreStatus>,
        list: (usize, u32),
    ) {
        let id = id(kind, &metadata);
        let entry = self.entries.entry(id.clone()).or_default();
        entry.list = list;
        let uid = metadata.uid.unwrap_or_default();
        let before = lock(&self.stores.known).get(&id).cloned();
        if let Some(before) = &before
            && before.uid == uid
            && before.generation == metadata.generation
            && before.spec == spec
        {
            return;
        }
        let ours = spec.as_ref().map_or(true, |spec| self.stores.is_ours(spec));
        self.stores.learn(&id, Some(Arc::new(Store::new(uid, metadata.generation, spec, status))));
        entry.attempts = 0;
        if let Some(timer) = entry.timer.take() {
            self.timers.cancel(timer);
        }
        if ours {
            self.check_soon(&id);
        } else {
            // Not ours to check: whoever names it is told so.
            self.better.send(id).ok();
        }
    }

    fn gone(&mut self, id: &StoreId) {
        if let Some(timer) = self.entries.remove(id).and_then(|entry| entry.timer) {
            self.timers.cancel(timer);
        }
        self.stores.learn(id, None);
        self.stores.metrics.forget_store(id);
    }

    /// Has a store checked that nobody checked yet: before all that are checked again.
    fn check_soon(&mut self, id: &StoreId) {
        if let Some(entry) = self.entries.get_mut(id)
            && entry.timer.is_none()
        {
            entry.timer = Some(self.timers.set(self.began, key(id)));
        }
    }

    fn on_due(&mut self) {
        let Some(due) = self.timers.pop(Instant::now()) else { return };
        let id = id_of(&due);
        let Some(store) = lock(&self.stores.known).get(&id).cloned() else { return };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.timer = None;
        if std::mem::replace(&mut entry.checking, true) {
            return;
        }
        let (stores, at, of) = (Arc::clone(&self.stores), id.clone(), Arc::clone(&store));
        let check = async move { stores.check(&at, &of).await };
        let task = self.checks.spawn(check).id();
        self.checking.insert(task, (id, store));
    }

    fn checked(&mut self, task: Id, checked: Option<Checked>) {
        let Some((id, store)) = self.checking.remove(&task) else { return };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.checking = false;
        if !self.stores.is_known(&id, &store) {
            // It changed meanwhile: again.
            return self.check_soon(&id);
        }
        let checked = checked.unwrap_or_else(|| Checked::panicked(&store));
        if matches!(checked.verdict, Verdict::Good | Verdict::Depends) {
            entry.attempts = 0;
            if checked.improved {
                self.better.send(id.clone()).ok();
            }
        } else {
            entry.attempts = entry.attempts.saturating_add(1);
        }
        let wait = self.stores.next_check(&store, &checked, entry.attempts);
        if entry.timer.is_none() {
            entry.timer = Some(self.timers.set(Instant::now() + wait, key(&id)));
        }
    }
}

fn id(kind: StoreKind, metadata: &ObjectMeta) -> StoreId {
    let (namespace, name) = api::place(metadata);
    StoreId::new(kind, namespace, name)
}

/// The timers' name for a store: a cluster store has no namespace.
fn key(id: &StoreId) -> Key {
    Key::new(&id.namespace, &id.name)
}

fn id_of(key: &Key) -> StoreId {
    let kind = if key.namespace().is_empty() { StoreKind::ClusterSecretStore } else { StoreKind::SecretStore };
    StoreId::new(kind, key.namespace(), key.name())
}
