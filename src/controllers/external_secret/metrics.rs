//! What is counted of ExternalSecrets, stores and providers. Names that the External Secrets Operator has are its.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::stores::StoreId;
use crate::providers::gate::Meter;

/// The metrics; clones share them.
#[derive(Clone, Default)]
pub(in crate::controllers) struct Metrics {
    sync_calls: Family<Object, Counter>,
    // ESO's names of these do not end in `_total`, as a counter's must here: gauges that only grow.
    sync_errors: Family<Object, Gauge>,
    stores: Family<Condition, Gauge>,
    cluster_stores: Family<Condition, Gauge>,
    conditions: Family<Condition, Gauge>,
    durations: Family<Object, Gauge>,
    provider_calls: Arc<ProviderCalls>,
    /// Objects in work.
    pub(super) in_flight: Gauge,
    /// Objects that wait for their turn.
    pub(super) queued: Gauge,
    /// Objects known.
    pub(super) objects: Gauge,
}

#[derive(Default)]
struct ProviderCalls {
    calls: Family<Call, Gauge>,
    seconds: Family<Provider, Counter<f64, AtomicU64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    name: String,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Condition {
    name: String,
    namespace: String,
    condition: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    provider: &'static str,
    call: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Provider {
    provider: &'static str,
}

impl Metrics {
    /// Metrics that `registry` shows.
    pub(in crate::controllers) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let theirs = registry.sub_registry_with_prefix("externalsecret");
        theirs.register("sync_calls", "Passes over ExternalSecrets", metrics.sync_calls.clone());
        theirs.register("sync_calls_error", "Passes that failed", metrics.sync_errors.clone());
        theirs.register("status_condition", "Conditions of ExternalSecrets", metrics.conditions.clone());
        theirs.register("reconcile_duration", "Nanoseconds of the last pass", metrics.durations.clone());
        let calls = &metrics.provider_calls;
        theirs.register("provider_api_calls_count", "Calls to providers", calls.calls.clone());
        let theirs = registry.sub_registry_with_prefix("secretstore");
        theirs.register("status_condition", "Conditions of SecretStores", metrics.stores.clone());
        let theirs = registry.sub_registry_with_prefix("clustersecretstore");
        theirs.register("status_condition", "Conditions of ClusterSecretStores", metrics.cluster_stores.clone());
        let ours = registry.sub_registry_with_prefix("bulla_external");
        ours.register("provider_seconds", "Time spent waiting for providers", calls.seconds.clone());
        ours.register("in_flight", "ExternalSecrets in work", metrics.in_flight.clone());
        ours.register("queued", "ExternalSecrets that wait for their turn", metrics.queued.clone());
        ours.register("objects", "ExternalSecrets known", metrics.objects.clone());
        metrics
    }

    /// Nothing is served any more: what objects and stores are like is another replica's to say. What was counted stays.
    pub(in crate::controllers) fn rest(&self) {
        for family in [&self.conditions, &self.stores, &self.cluster_stores] {
            family.clear();
        }
        self.durations.clear();
        for gauge in [&self.in_flight, &self.queued, &self.objects] {
            gauge.set(0);
        }
    }

    /// Is told of the providers' calls.
    pub(in crate::controllers) fn meter(&self) -> Arc<dyn Meter> {
        Arc::clone(&self.provider_calls) as _
    }

    /// A pass begins.
    pub(super) fn sync_calls(&self, namespace: &str, name: &str) {
        self.sync_calls.get_or_create(&object(namespace, name)).inc();
    }

    /// A pass ended.
    pub(super) fn synced(&self, namespace: &str, name: &str, is_ok: bool, took: Duration) {
        let object = object(namespace, name);
        self.durations.get_or_create(&object).set(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX));
        if !is_ok {
            self.sync_errors.get_or_create(&object).inc();
        }
        for (status, holds) in [("True", is_ok), ("False", !is_ok)] {
            self.conditions.get_or_create(&condition(&object, status)).set(i64::from(holds));
        }
    }

    /// A store was checked.
    pub(super) fn checked(&self, store: &StoreId, is_good: bool) {
        for (status, holds) in [("True", is_good), ("False", !is_good)] {
            self.family_of(store).get_or_create(&condition(&of_store(store), status)).set(i64::from(holds));
        }
    }

    /// A store is gone, and its series with it.
    pub(super) fn forget_store(&self, store: &StoreId) {
        for status in ["True", "False"] {
            self.family_of(store).remove(&condition(&of_store(store), status));
        }
    }

    fn family_of(&self, store: &StoreId) -> &Family<Condition, Gauge> {
        if store.is_cluster() { &self.cluster_stores } else { &self.stores }
    }

    /// An object is gone, and its series with it.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        let object = object(namespace, name);
        self.sync_calls.remove(&object);
        self.sync_errors.remove(&object);
        self.durations.remove(&object);
        for status in ["True", "False"] {
            self.conditions.remove(&condition(&object, status));
        }
    }
}

fn object(namespace: &str, name: &str) -> Object {
    Object { name: name.to_owned(), namespace: namespace.to_owned() }
}

fn of_store(store: &StoreId) -> Object {
    object(&store.namespace, &store.name)
}

fn condition(object: &Object, status: &'static str) -> Condition {
    Condition { name: object.name.clone(), namespace: object.namespace.clone(), condition: "Ready", status }
}

impl Meter for ProviderCalls {
    fn called(&self, provider: &'static str, call: &'static str, is_ok: bool, took: Duration) {
        let status = if is_ok { "success" } else { "error" };
        self.calls.get_or_create(&Call { provider, call, status }).inc();
        self.seconds.get_or_create(&Provider { provider }).inc_by(took.as_secs_f64());
    }
}
