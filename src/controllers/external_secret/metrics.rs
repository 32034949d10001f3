//! What is counted of ExternalSecrets, stores and providers. Names that the External Secrets Operator has are its.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::providers::gate::Meter;

/// The metrics; clones share them.
#[derive(Clone, Default)]
pub(in crate::controllers) struct Metrics {
    sync_calls: Family<Object, Counter>,
    sync_errors: Family<Object, Counter>,
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
    calls: Family<Call, Counter>,
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
        // The encoder ends a counter's name in _total, which ESO's second name does not have.
        theirs.register("sync_calls_error", "Passes that failed", metrics.sync_errors.clone());
        theirs.register("status_condition", "Conditions of ExternalSecrets", metrics.conditions.clone());
        theirs.register("reconcile_duration", "Nanoseconds of the last pass", metrics.durations.clone());
        let calls = &metrics.provider_calls;
        theirs.register("provider_api_calls_count", "Calls to providers", calls.calls.clone());
        let ours = registry.sub_registry_with_prefix("bulla_external");
        ours.register("provider_seconds", "Time spent waiting for providers", calls.seconds.clone());
        ours.register("in_flight", "ExternalSecrets in work", metrics.in_flight.clone());
        ours.register("queued", "ExternalSecrets that wait for their turn", metrics.queued.clone());
        ours.register("objects", "ExternalSecrets known", metrics.objects.clone());
        metrics
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
