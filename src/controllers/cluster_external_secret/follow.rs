//! What is known of all ClusterExternalSecrets, and who is concerned when that changes.
//!
//! One task owns what is known of ClusterExternalSecrets, namespaces and ExternalSecrets (no locks) and has passes run
//! beside it. What happens within a moment leads to one pass.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bulla_crds::ClusterExternalSecret;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::children::{Child, Children};
use super::entry::{Entry, Object};
use super::hear::Heard;
use super::pass::{Context, Report};
use super::places::Place;
use super::wanted::Wanted;
use crate::controllers::queue::{Key, Known, Timers, sleep_until};
use crate::controllers::watch::{Said, Streams};

/// What is followed.
pub(in crate::controllers) struct Watches {
    pub(in crate::controllers) objects: Streams<ClusterExternalSecret>,
    pub(in crate::controllers) namespaces: Streams<PartialObjectMeta<Namespace>>,
    pub(in crate::controllers) heard: mpsc::UnboundedReceiver<Heard>,
}

/// What is waited for after a change, so that many at once lead to one pass.
pub(super) const DEBOUNCE: Duration = Duration::from_millis(150);
/// Passes at the same time.
const PASSES: usize = 4;
/// How long passes may take to end at shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// Serves ClusterExternalSecrets until `shutdown`.
pub(in crate::controllers) async fn run(context: Context, watches: Watches, shutdown: CancellationToken) {
    let Watches { mut objects, mut namespaces, mut heard } = watches;
    let mut follower = Follower::new(Arc::new(context));
    loop {
        let due = follower.timers.next();
        let may_start = due.is_some() && follower.passes.len() < PASSES && follower.is_complete();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(done) = follower.passes.join_next_with_id(), if !follower.passes.is_empty() => follower.on_done(done),
            Some(heard) = heard.recv() => follower.on_heard(heard),
            Some(said) = namespaces.next() => follower.on_namespace(said),
            Some(said) = objects.next() => follower.on_object(said),
            () = sleep_until(due), if may_start => follower.on_due(),
        }
    }
    let all = async { while follower.passes.join_next().await.is_some() {} };
    drop(tokio::time::timeout(GRACE, all).await);
}

/// See the module.
pub(super) struct Follower {
    pub(super) context: Arc<Context>,
    pub(super) entries: HashMap<String, Entry>,
    pub(super) places: BTreeMap<String, Place>,
    /// Namespaces of the list that is under way or was last completed.
    listed: BTreeSet<String>,
    pub(super) children: Children,
    /// ClusterExternalSecrets, namespaces.
    lists: [Known; 2],
    /// Number of the list of ExternalSecrets, and whether one was ever completed.
    pub(super) list: (u32, bool),
    pub(super) timers: Timers,
    pub(super) passes: JoinSet<Report>,
    pub(super) working_on: HashMap<Id, String>,
}

impl Follower {
    fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            entries: HashMap::new(),
            places: BTreeMap::new(),
            listed: BTreeSet::new(),
            children: Children::default(),
            lists: [Known::new(1), Known::new(1)],
            list: (0, false),
            timers: Timers::default(),
            passes: JoinSet::new(),
            working_on: HashMap::new(),
        }
    }

    /// Whether enough is known to create and, above all, to delete.
    fn is_complete(&self) -> bool {
        self.list.1 && self.lists.iter().all(Known::is_complete)
    }

    fn on_object(&mut self, (stream, said): Said<ClusterExternalSecret>) {
        let Some(event) = self.lists[0].heard(stream, said, "ClusterExternalSecrets") else { return };
        match event {
            Event::Init => self.lists[0].begin(stream),
            Event::InitApply(object) | Event::Apply(object) => {
                self.see(Object::read(object), self.lists[0].list(stream))
            }
            Event::Delete(object) => self.gone(object.metadata.name.as_deref().unwrap_or_default()),
            Event::InitDone => {
                let list = self.lists[0].finish(stream);
                let stale = |(name, entry): (&String, &Entry)| {
                    (entry.object.is_some() && entry.list != list).then(|| name.clone())
                };
                let stale: Vec<_> = self.entries.iter().filter_map(stale).collect();
                stale.iter().for_each(|name| self.gone(name));
            }
        }
    }

    fn see(&mut self, object: Object, list: u32) {
        let name = object.parent.name.clone();
        let entry = self.entries.entry(name.clone()).or_default();
        entry.list = list;
        let same = entry.object.as_ref().is_some_and(|known| known.asks_the_same_as(&object));
        if same && entry.object.as_ref().is_some_and(|known| known.version > object.version) {
            // From before our own write of the status.
            return;
        }
        entry.object = Some(object);
        if !same {
            (entry.attempts, entry.recheck) = (0, None);
            entry.foreign.clear();
            self.mark(&name, DEBOUNCE);
        }
    }

    /// Its ExternalSecrets go by their owner references.
    fn gone(&mut self, name: &str) {
        self.context.forget(&Key::new("", name));
        let Some(entry) = self.entries.get_mut(name) else { return };
        (entry.object, entry.attempts) = (None, 0);
        entry.foreign.clear();
        self.mark(name, DEBOUNCE);
    }

    fn on_namespace(&mut self, (stream, said): Said<PartialObjectMeta<Namespace>>) {
        let Some(event) = self.lists[1].heard(stream, said, "Namespaces") else { return };
        match event {
            Event::Init => {
                self.lists[1].begin(stream);
                self.listed.clear();
            }
            Event::InitApply(namespace) | Event::Apply(namespace) => {
                let name = namespace.metadata.name.clone().unwrap_or_default();
                self.listed.insert(name.clone());
                self.place(&name, Some(Place::read(namespace.metadata)));
            }
            Event::Delete(namespace) => self.place(namespace.metadata.name.as_deref().unwrap_or_default(), None),
            Event::InitDone => {
                self.lists[1].finish(stream);
                let stale: Vec<_> = self.places.keys().filter(|name| !self.listed.contains(*name)).cloned().collect();
                stale.iter().for_each(|name| self.place(name, None));
            }
        }
    }

    /// A namespace is there, changed or, with `None`, is gone.
    fn place(&mut self, name: &str, now: Option<Place>) {
        let before = self.places.remove(name);
        if before == now {
            self.places.extend(now.map(|now| (name.to_owned(), now)));
            return;
        }
        let concerned = |(ces, entry): (&String, &Entry)| {
            let selection = &entry.wanted()?.selection;
            let takes = |place: &Option<Place>| place.as_ref().is_some_and(|place| selection.takes(name, place));
            (takes(&before) != takes(&now)).then(|| ces.clone())
        };
        let mut concerned: Vec<_> = self.entries.iter().filter_map(concerned).collect();
        concerned.extend(now.iter().flat_map(Place::waits_for).map(str::to_owned));
        self.places.extend(now.map(|now| (name.to_owned(), now)));
        for ces in concerned {
            self.mark(&ces, DEBOUNCE);
        }
    }

    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Begun => self.list.0 += 1,
            Heard::Seen(key, Some(child)) => self.child(&key, *child),
            Heard::Seen(key, None) => {
                // It may have been somebody's.
                let parent = self.children.remove(&key);
                parent.into_iter().for_each(|parent| self.mark(&parent.name, DEBOUNCE));
            }
            Heard::Gone(key) => self.freed(&key),
            Heard::Listed => {
                self.list.1 = true;
                for key in self.children.missing(self.list.0) {
                    self.freed(&key);
                }
                // Those in the way may have gone unseen; they are met again where they have not.
                let blocked = self.entries.iter_mut().filter(|(_, entry)| !entry.foreign.is_empty());
                let blocked = blocked.map(|(name, entry)| {
                    entry.foreign.clear();
                    name.clone()
                });
                for name in blocked.collect::<Vec<_>>() {
                    self.mark(&name, DEBOUNCE);
                }
            }
        }
    }

    fn child(&mut self, key: &Key, child: Child) {
        if let Some(entry) = self.entries.get_mut(&child.parent.name) {
            entry.foreign.remove(key.namespace());
        }
        for parent in self.children.see(key, child, self.list.0) {
            if self.entries.contains_key(&parent.name) {
                self.mark(&parent.name, DEBOUNCE);
            }
        }
    }

    /// An ExternalSecret is gone: whoever had it, or could not have it, looks again.
    fn freed(&mut self, key: &Key) {
        let mut concerned: Vec<_> = self.children.remove(key).map(|parent| parent.name).into_iter().collect();
        let place = self.places.get(key.namespace());
        for (name, entry) in &mut self.entries {
            let takes = |wanted: &Arc<Wanted>| {
                wanted.name == key.name() && place.is_some_and(|place| wanted.selection.takes(key.namespace(), place))
            };
            if !entry.wanted().is_some_and(takes) {
                continue;
            }
            if entry.working {
                entry.freed.insert(key.namespace().to_owned());
            }
            entry.foreign.remove(key.namespace());
            concerned.push(name.clone());
        }
        concerned.retain(|name| self.entries.contains_key(name));
        concerned.iter().for_each(|name| self.mark(name, DEBOUNCE));
    }
}
