//! What metrics say about keys.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::facts::Facts;
use super::usage::Use;
use crate::seal::KeyId;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    key: String,
    state: &'static str,
    kind: &'static str,
}

/// The metrics of keys; clones share them.
#[derive(Clone, Default)]
pub(in crate::controllers) struct KeyMetrics {
    values: Family<Labels, Gauge>,
    objects: Family<Labels, Gauge>,
    created: Family<Labels, Gauge>,
    expires: Family<Labels, Gauge>,
    locked: Gauge,
}

impl KeyMetrics {
    /// Metrics that `registry` shows.
    pub(in crate::controllers) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let ours = registry.sub_registry_with_prefix("bulla");
        let values = "Live values that a sealing key opened, on the leader";
        ours.register("sealing_key_values", values, metrics.values.clone());
        let objects = "SealedSecrets with values that a sealing key opened, on the leader";
        ours.register("sealing_key_objects", objects, metrics.objects.clone());
        let created = "When a sealing key was made, in seconds since 1970";
        ours.register("sealing_key_created_timestamp_seconds", created, metrics.created.clone());
        let expires = "When the certificate of a sealing key expires, in seconds since 1970";
        ours.register("sealing_key_expires_timestamp_seconds", expires, metrics.expires.clone());
        let locked = "Sealing keys that cannot be unwrapped at present";
        ours.register("locked_sealing_keys", locked, metrics.locked.clone());
        metrics
    }

    /// Shows these keys, and no others. `uses` is `None` where they are not known.
    pub(super) fn show(&self, keys: &[Facts], uses: Option<&BTreeMap<KeyId, Use>>) {
        let families = [&self.values, &self.objects, &self.created, &self.expires];
        for family in families {
            family.clear();
        }
        for key in keys {
            let labels = Labels { key: key.id.to_string(), state: key.state.as_str(), kind: key.kind.as_str() };
            self.created.get_or_create(&labels).set(key.created().as_second());
            if let Some((_, until)) = key.validity {
                self.expires.get_or_create(&labels).set(until.as_second());
            }
            if let Some(uses) = uses {
                let used = uses.get(&key.id).copied().unwrap_or_default();
                self.values.get_or_create(&labels).set(i64::try_from(used.values).unwrap_or(i64::MAX));
                self.objects.get_or_create(&labels).set(i64::try_from(used.objects).unwrap_or(i64::MAX));
            }
        }
    }

    /// Shows how many keys cannot be unwrapped.
    pub(super) fn show_locked(&self, count: usize) {
        self.locked.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
