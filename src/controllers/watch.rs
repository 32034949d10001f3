//! Watches: what the API server tells without being asked each time.
//!
//! Each namespace has its own stream; all streams of one resource are merged. A stream that breaks is taken up again
//! for ever, soon at first and every few seconds later.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::{Stream, StreamExt as _, select_all};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::random;

/// Which namespaces are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them, with cluster-wide rights.
    #[default]
    All,
    /// These, with rights in each.
    These(Vec<String>),
}

impl Namespaces {
    /// How many streams it takes.
    pub(super) fn streams(&self) -> usize {
        match self {
            Self::All => 1,
            Self::These(names) => names.len(),
        }
    }

    /// The namespace of stream number `stream`, for people.
    pub(super) fn name(&self, stream: usize) -> &str {
        match self {
            Self::All => "all namespaces",
            Self::These(names) => names.get(stream).map_or("", String::as_str),
        }
    }

    /// Whether stream number `stream` covers `namespace`.
    pub(super) fn covers(&self, stream: usize, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.get(stream).is_some_and(|name| name == namespace),
        }
    }
}

/// What stream number `.0` says.
pub(super) type Said<K> = (usize, Result<watcher::Event<K>, watcher::Error>);
/// The merged streams of one resource.
pub(super) type Streams<K> = Pin<Box<dyn Stream<Item = Said<K>> + Send>>;

/// Watches whole objects.
pub(super) fn objects<K>(client: &Client, namespaces: &Namespaces, config: &watcher::Config) -> Streams<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    merged(apis(client, namespaces), config)
}

/// Watches the metadata of objects only.
pub(super) fn metadata<K>(
    client: &Client,
    namespaces: &Namespaces,
    config: &watcher::Config,
) -> Streams<PartialObjectMeta<K>>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    merged(apis(client, namespaces), config)
}

/// Watches whole objects that have no namespace.
pub(super) fn cluster<K>(client: &Client, config: &watcher::Config) -> Streams<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    merged(vec![Api::all(client.clone())], config)
}

/// Watches the metadata of objects that have no namespace.
pub(super) fn cluster_metadata<K>(client: &Client, config: &watcher::Config) -> Streams<PartialObjectMeta<K>>
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    merged(vec![Api::all(client.clone())], config)
}

/// Watches nothing: each stream says that its list is complete, and no more.
pub(super) fn nothing<K: Send + 'static>(namespaces: &Namespaces) -> Streams<K> {
    let said = |stream| [(stream, Ok(watcher::Event::Init)), (stream, Ok(watcher::Event::InitDone))];
    let lists = futures::stream::iter((0..namespaces.streams()).flat_map(said).collect::<Vec<_>>());
    Box::pin(lists.chain(futures::stream::pending()))
}

fn apis<K>(client: &Client, namespaces: &Namespaces) -> Vec<Api<K>>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match namespaces {
        Namespaces::All => vec![Api::all(client.clone())],
        Namespaces::These(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
    }
}

fn merged<K>(apis: Vec<Api<K>>, config: &watcher::Config) -> Streams<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let streams = apis.into_iter().enumerate().map(|(number, api)| {
        let stream = watcher(api, config.clone()).backoff(Patience::default());
        stream.map(move |said| (number, said)).boxed()
    });
    Box::pin(select_all(streams))
}

/// How long to wait before a broken watch is taken up again: from a quarter of a second to five.
#[derive(Default)]
struct Patience {
    failures: u32,
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let full = Duration::from_millis(500).saturating_mul(1 << self.failures.min(8)).min(Duration::from_secs(5));
        self.failures += 1;
        Some(full / 2 + (full / 2).mul_f64((random() % 1000) as f64 / 1000.0))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.failures = 0;
    }
}
