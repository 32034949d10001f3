//! What is shown of the election.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics; clones share them.
#[derive(Clone, Default)]
pub(in crate::controllers) struct Metrics {
    /// 1 where this replica leads.
    pub(in crate::controllers) leader: Gauge,
    /// The shards that it holds.
    pub(in crate::controllers) shards_held: Gauge,
    /// The shards that there are.
    pub(super) shards: Gauge,
    /// The replicas that it knows to live, itself included; 1 where there is only one shard.
    pub(super) members: Gauge,
    /// Renewals that failed.
    pub(super) failures: Counter,
    /// Leases that were lost and not given back.
    pub(super) losses: Counter,
}

impl Metrics {
    /// Metrics that `registry` shows.
    pub(in crate::controllers) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let ours = registry.sub_registry_with_prefix("bulla");
        ours.register("leader", "Whether this replica leads", metrics.leader.clone());
        ours.register("shards_held", "Shards of the namespaces that this replica serves", metrics.shards_held.clone());
        ours.register("shards", "Shards that the namespaces are divided into", metrics.shards.clone());
        ours.register("replicas", "Replicas that are known to share the shards", metrics.members.clone());
        ours.register("lease_failures", "Calls about Leases that failed", metrics.failures.clone());
        ours.register("leases_lost", "Leases that were lost, not given back", metrics.losses.clone());
        metrics
    }

    /// A process that is the only one.
    pub(in crate::controllers) fn alone(&self) {
        for gauge in [&self.leader, &self.shards_held, &self.shards, &self.members] {
            gauge.set(1);
        }
    }
}
