//! Asking the controller for a new sealing key: a moment in an annotation, which it serves once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bulla_crds::names::{ROTATE_HANDLED_AT, ROTATE_REQUESTED_AT};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::cluster::{self, CONFIG_MAP, PublishedKey};
use crate::failure::{Failure, OrFail as _, Outcome, usage};

/// How often the ConfigMap is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// A request for a new key. Made twice with the same moment, it is served once.
pub(crate) struct Renewal<'a> {
    pub(crate) client: &'a Client,
    /// The controller's namespace.
    pub(crate) namespace: &'a str,
    /// What tells the request from others.
    pub(crate) asked: Timestamp,
    /// The ids of the keys that were there before.
    pub(crate) before: &'a BTreeSet<String>,
}

impl Renewal<'_> {
    /// Asks, where nobody has asked since.
    pub(crate) async fn ask(&self) -> Outcome {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace);
        let place = format!("asking for a new key on ConfigMap {CONFIG_MAP} in namespace {}", self.namespace);
        let map = api.get(CONFIG_MAP).await.or_usage(place.clone())?;
        if moment(&map, ROTATE_REQUESTED_AT).is_some_and(|at| at >= self.asked) {
            return Ok(());
        }
        let annotations = json!({ ROTATE_REQUESTED_AT: self.asked.to_string() });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        let parameters = PatchParams { field_manager: Some("bulla".to_owned()), ..PatchParams::default() };
        api.patch(CONFIG_MAP, &parameters, &patch).await.or_usage(place).map(drop)
    }

    /// Waits until the request is served, and gives the keys that are new.
    pub(crate) async fn served(&self, timeout: Duration) -> Outcome<Vec<PublishedKey>> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace);
        let began = Instant::now();
        let (mut handled_for_nothing, mut half, mut trouble) = (false, Vec::<String>::new(), None);
        while began.elapsed() < timeout {
            match api.get(CONFIG_MAP).await {
                Ok(map) => {
                    let handled = moment(&map, ROTATE_HANDLED_AT).is_some_and(|at| at >= self.asked);
                    let keys = cluster::keys_in(map, self.namespace)?;
                    let new: Vec<PublishedKey> =
                        keys.into_iter().filter(|key| !self.before.contains(&key.id)).collect();
                    // Served whole: where both kinds are made, one of them may be there before the other.
                    if handled && !new.is_empty() {
                        return Ok(new);
                    }
                    (handled_for_nothing, half) = (handled, new.into_iter().map(|key| key.id).collect());
                    trouble = None;
                }
                Err(error) => trouble = Some(error.to_string()),
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(self.too_late(timeout.as_secs_f64(), trouble, handled_for_nothing, &half))
    }

    fn too_late(&self, seconds: f64, trouble: Option<String>, handled_for_nothing: bool, half: &[String]) -> Failure {
        match trouble {
            Some(trouble) => usage!("no new key within {seconds} s; the cluster says: {trouble}"),
            None if handled_for_nothing => usage!(
                "the controller has answered the request, but published no new key within {seconds} s: see its log. It \
                 makes 5 keys a day on request at most"
            ),
            None if !half.is_empty() => usage!(
                "the controller has made {}, but not all that was asked for within {seconds} s: see its log",
                half.join(", ")
            ),
            None => usage!(
                "no controller has made a key within {seconds} s: is one running in namespace {}, and may it create \
                 Secrets there? The request stays, and is served when one starts",
                self.namespace
            ),
        }
    }
}

fn moment(map: &ConfigMap, annotation: &str) -> Option<Timestamp> {
    map.metadata.annotations.as_ref()?.get(annotation)?.parse().ok()
}
