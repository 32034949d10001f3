//! What is counted of ExternalSecrets, stores and providers. Names that the External Secrets Operator has are its.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::stores::StoreId;
use crate::controllers::metrics::{self, Kind, Objects, Passes, Standing};
use crate::controllers::queue::Key;
use crate::providers::gate::Meter;

/// The metrics; clones share them.
#[derive(Clone)]
pub(in crate::controllers) struct Metrics {
    /// How every object stands.
    pub(in crate::controllers) objects: Objects,
    /// Passes of every kind.
    pub(in crate::controllers) passes: Passes,
    provider_calls: Arc<ProviderCalls>,
}

struct ProviderCalls {
    // ESO's name of this does not end in `_total`, as a counter's must here: a gauge that only grows.
    calls: Family<Call, Gauge>,
    seconds: Family<Named, Histogram, Buckets>,
}

/// From a server next door to the longest that is waited for, in seconds.
#[derive(Clone, Copy)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0])
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    provider: &'static str,
    call: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    provider: &'static str,
    call: &'static str,
}

impl Metrics {
    /// Metrics that `registry` shows beside `shared`, which it shows already.
    pub(in crate::controllers) fn register(registry: &mut Registry, shared: &metrics::Metrics) -> Self {
        let calls = Family::default();
        let seconds = Family::new_with_constructor(Buckets);
        let theirs = registry.sub_registry_with_prefix("externalsecret");
        theirs.register("provider_api_calls_count", "Calls to providers", calls.clone());
        let ours = registry.sub_registry_with_prefix("bulla");
        ours.register("provider_call_duration_seconds", "Time that calls to providers took", seconds.clone());
        let (objects, passes) = (shared.objects.clone(), shared.passes.clone());
        Self { objects, passes, provider_calls: Arc::new(ProviderCalls { calls, seconds }) }
    }

    /// Is told of the providers' calls.
    pub(in crate::controllers) fn meter(&self) -> Arc<dyn Meter> {
        Arc::clone(&self.provider_calls) as _
    }

    /// A pass over an ExternalSecret ended; `failure` is its reason if it failed.
    pub(super) fn passed(&self, key: &Key, failure: Option<&'static str>, took: Duration, interval: Duration) {
        let standing = Standing::new(failure.is_none(), failure.unwrap_or("Synced"));
        self.passes.took(Kind::ExternalSecret, took);
        self.objects.passed(Kind::ExternalSecret, key, failure.is_none(), took, interval);
        self.objects.stands(Kind::ExternalSecret, key, standing);
    }

    /// An ExternalSecret is in sync, as its status says.
    pub(super) fn was_synced(&self, key: &Key, at: Timestamp, interval: Duration) {
        self.objects.was_synced(Kind::ExternalSecret, key, at, interval);
        self.objects.stands(Kind::ExternalSecret, key, Standing::new(true, "Synced"));
    }

    /// A store was checked, which took so long.
    pub(super) fn checked(&self, store: &StoreId, is_good: bool, took: Duration) {
        let (kind, key) = of_store(store);
        self.passes.took(kind, took);
        self.objects.passed(kind, &key, is_good, took, Duration::ZERO);
        let reason = if is_good { "Valid" } else { "ValidationFailed" };
        self.objects.stands(kind, &key, Standing::new(is_good, reason));
    }

    /// A store is gone, and its series with it.
    pub(super) fn forget_store(&self, store: &StoreId) {
        let (kind, key) = of_store(store);
        self.objects.forget(kind, &key);
    }

    /// An object is gone, and its series with it.
    pub(super) fn forget(&self, key: &Key) {
        self.objects.forget(Kind::ExternalSecret, key);
    }
}

fn of_store(store: &StoreId) -> (Kind, Key) {
    let kind = if store.is_cluster() { Kind::ClusterSecretStore } else { Kind::SecretStore };
    (kind, Key::new(&store.namespace, &store.name))
}

impl Meter for ProviderCalls {
    fn called(&self, provider: &'static str, call: &'static str, is_ok: bool, took: Duration) {
        let status = if is_ok { "success" } else { "error" };
        self.calls.get_or_create(&Call { provider, call, status }).inc();
        self.seconds.get_or_create(&Named { provider, call }).observe(took.as_secs_f64());
    }
}
