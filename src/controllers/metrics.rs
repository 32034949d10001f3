//! What the controller counts. Names that upstream has are upstream's.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The controller's metrics; clones share them.
#[derive(Clone, Default)]
pub(super) struct Metrics {
    /// Passes over SealedSecrets.
    pub(super) unseal_requests: Counter,
    unseal_errors: Family<Failure, Counter>,
    /// Objects in work.
    pub(super) in_flight: Gauge,
    /// Objects that wait for a turn.
    pub(super) queued: Gauge,
    /// Objects that wait for another try.
    pub(super) retrying: Gauge,
    /// Objects known.
    pub(super) objects: Gauge,
    /// Events that did not fit into the queue.
    pub(super) events_dropped: Counter<u64, AtomicU64>,
    /// Sealing keys that could not be read.
    pub(super) malformed_keys: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    reason: &'static str,
    namespace: String,
}

impl Metrics {
    /// Metrics that `registry` shows.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let upstream = registry.sub_registry_with_prefix("sealed_secrets_controller");
        upstream.register("unseal_requests", "Passes over SealedSecrets", metrics.unseal_requests.clone());
        upstream.register("unseal_errors", "Passes that failed, by reason", metrics.unseal_errors.clone());
        let ours = registry.sub_registry_with_prefix("bulla");
        ours.register("in_flight", "SealedSecrets in work", metrics.in_flight.clone());
        ours.register("queued", "SealedSecrets that wait for their turn", metrics.queued.clone());
        ours.register("retrying", "SealedSecrets that wait for another try", metrics.retrying.clone());
        ours.register("objects", "SealedSecrets and targets known", metrics.objects.clone());
        ours.register("events_dropped", "Events dropped under load", metrics.events_dropped.clone());
        ours.register("malformed_sealing_keys", "Sealing keys that cannot be read", metrics.malformed_keys.clone());
        metrics
    }

    /// Counts a failed pass under upstream's word for it.
    pub(super) fn failed(&self, reason: &'static str, namespace: &str) {
        self.unseal_errors.get_or_create(&Failure { reason, namespace: namespace.to_owned() }).inc();
    }
}
