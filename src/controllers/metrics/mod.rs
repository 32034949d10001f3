//! What the controller counts. Names that upstream has are upstream's.
//!
//! | module | what it is |
//! | --- | --- |
//! | `objects` | how every object stands: counted by reason, and shown one by one |
//! | `passes` | how long passes take and how many wait, for each kind of object |
//! | `process` | memory, processor time and files of the process |
//! | `exposition` | how a scrape looks |

mod exposition;
mod objects;
mod passes;
mod process;

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use self::exposition::exposition;
pub(super) use self::objects::{Kind, Objects, Standing};
pub(super) use self::passes::{Depths, Passes};

/// The controller's metrics; clones share them.
#[derive(Clone, Default)]
pub(super) struct Metrics {
    /// Passes over SealedSecrets.
    pub(super) unseal_requests: Counter,
    unseal_errors: Family<Failure, Counter>,
    /// How every object stands.
    pub(super) objects: Objects,
    /// Passes of every kind.
    pub(super) passes: Passes,
    /// SealedSecrets and targets known.
    pub(super) tracked: Gauge,
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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    revision: &'static str,
}

impl Metrics {
    /// Metrics that `registry` shows; with `shows_objects` also a few series for each object.
    pub(super) fn register(registry: &mut Registry, shows_objects: bool) -> Self {
        let metrics = Self { objects: Objects::new(shows_objects), ..Self::default() };
        registry.register_collector(Box::new(metrics.objects.clone()));
        registry.register_collector(Box::new(process::Process));
        let upstream = registry.sub_registry_with_prefix("sealed_secrets_controller");
        upstream.register("unseal_requests", "Passes over SealedSecrets", metrics.unseal_requests.clone());
        upstream.register("unseal_errors", "Passes that failed, by reason", metrics.unseal_errors.clone());
        let build = Family::<Build, Gauge>::default();
        let revision = option_env!("BULLA_REVISION").unwrap_or(env!("CARGO_PKG_VERSION"));
        build.get_or_create(&Build { revision }).set(1);
        upstream.register("build_info", "The program: always 1", build);
        let ours = registry.sub_registry_with_prefix("bulla");
        metrics.passes.register(ours);
        ours.register("tracked", "SealedSecrets and targets known", metrics.tracked.clone());
        ours.register("events_dropped", "Events dropped under load", metrics.events_dropped.clone());
        ours.register("malformed_sealing_keys", "Sealing keys that cannot be read", metrics.malformed_keys.clone());
        metrics
    }

    /// Nothing is served any more: how objects stand is another replica's to say. What was counted stays.
    pub(super) fn rest(&self) {
        self.objects.clear();
        self.passes.rest();
        self.tracked.set(0);
    }

    /// Counts a failed pass under upstream's word for it.
    pub(super) fn failed(&self, reason: &'static str, namespace: &str) {
        self.unseal_errors.get_or_create(&Failure { reason, namespace: namespace.to_owned() }).inc();
    }
}
