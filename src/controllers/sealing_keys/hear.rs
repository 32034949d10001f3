//! What the watches tell: that something about the key Secrets or the ConfigMap may have changed.

use bulla_crds::names;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};

use super::{Parts, publish};
use crate::controllers::watch::{Namespaces, Streams, metadata};

/// Listens for the key Secrets.
pub(super) struct KeyEar(Streams<PartialObjectMeta<Secret>>);

/// Listens for the ConfigMap.
pub(super) struct MapEar {
    map: Streams<PartialObjectMeta<ConfigMap>>,
    /// Whether the list of ConfigMaps that is under way had ours.
    has_map: bool,
}

impl KeyEar {
    pub(super) fn new(parts: &Parts) -> Self {
        let here = Namespaces::These(vec![parts.namespace.clone()]);
        let client = parts.api.client();
        let watch = |config: watcher::Config| metadata::<Secret>(&client, &here, &config);
        let ours = watch(watcher::Config::default().labels(names::SEALING_KEY));
        let upstreams = watch(watcher::Config::default().labels(names::UPSTREAM_SEALING_KEY));
        let legacy = watch(named(&parts.config.upstream_prefix));
        Self(Box::pin(futures::stream::select_all([ours, upstreams, legacy])))
    }

    /// Waits until something about the key Secrets may have changed.
    pub(super) async fn changed(&mut self) {
        loop {
            match self.0.next().await {
                Some((_, Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone))) => return,
                Some((_, Ok(Event::Init | Event::InitApply(_)) | Err(_))) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Forgets what is known already.
    pub(super) fn drain(&mut self) {
        while self.changed().now_or_never().is_some() {}
    }
}

impl MapEar {
    pub(super) fn new(parts: &Parts) -> Self {
        let here = Namespaces::These(vec![parts.namespace.clone()]);
        Self { map: metadata(&parts.api.client(), &here, &named(publish::NAME)), has_map: false }
    }

    /// Waits until the ConfigMap is another than the one of this version.
    pub(super) async fn changed(&mut self, version: &str) {
        let is_other = |map: &PartialObjectMeta<ConfigMap>| map.metadata.resource_version.as_deref() != Some(version);
        loop {
            match self.map.next().await {
                Some((_, Ok(Event::Init))) => self.has_map = false,
                Some((_, Ok(Event::InitApply(map)))) => {
                    self.has_map = true;
                    if is_other(&map) {
                        return;
                    }
                }
                Some((_, Ok(Event::Apply(map)))) => {
                    if is_other(&map) {
                        return;
                    }
                }
                Some((_, Ok(Event::InitDone))) => {
                    if !self.has_map {
                        return;
                    }
                }
                Some((_, Ok(Event::Delete(_)))) => return,
                Some((_, Err(_))) => {}
                None => std::future::pending().await,
            }
        }
    }
}

fn named(name: &str) -> watcher::Config {
    watcher::Config::default().fields(&format!("metadata.name={name}"))
}
