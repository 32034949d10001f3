//! A word that stands in every remote value and credential of these tests, and must be seen nowhere but in Secrets.

use bulla_crds::{ExternalSecret, SecretStore};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde::Serialize;

use crate::support::logs;
use crate::world::World;

/// Part of every value and of every credential that a test can choose.
pub(crate) const CANARY: &str = "c4n4ry";

impl World<'_> {
    /// Looks through everything that was said: by all tests so far in the log, by this controller in statuses, events
    /// and metrics. `others` are credentials that somebody else chose.
    pub(crate) async fn leaks_nothing(&self, others: &[&str]) {
        let log = logs::so_far();
        assert!(log.contains("the store is ready"), "the log has content");
        let metrics = self.metrics();
        assert!(metrics.contains("externalsecret_sync_calls"), "the metrics have content: {metrics}");
        let objects = self.text::<ExternalSecret>().await;
        assert!(objects.contains("\"conditions\""), "the objects have a status: {objects}");
        let (stores, events) = (self.text::<SecretStore>().await, self.text::<Event>().await);
        let places = [("log", log), ("metrics", metrics), ("objects", objects), ("stores", stores), ("events", events)];
        for (place, text) in &places {
            for word in std::iter::once(&CANARY).chain(others) {
                let found = text.find(word).map(|at| &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
                assert!(found.is_none(), "the {place} leak {word}: {found:?}");
            }
        }
        // What is searched for can be found.
        let secrets = self.api::<Secret>().list(&ListParams::default()).await.unwrap();
        let values = secrets.items.iter().flat_map(|secret| secret.data.iter().flatten());
        let mut texts = values.map(|(_, value)| String::from_utf8_lossy(&value.0).into_owned());
        assert!(texts.any(|text| text.contains(CANARY)), "the Secrets hold the canary");
    }

    async fn text<K>(&self) -> String
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned
            + Serialize,
    {
        let list = self.api::<K>().list(&ListParams::default()).await.unwrap();
        serde_json::to_string(&list.items).unwrap()
    }
}
