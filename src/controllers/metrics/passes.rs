//! How long passes take and how many wait, for each kind of object.

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::objects::Kind;

/// From a pass that finds all in order to one that waits for a slow server, in seconds.
const PASS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Creation times are whole seconds.
const SYNC: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// See the module; clones share it.
#[derive(Clone)]
pub(in crate::controllers) struct Passes {
    durations: Family<OfKind, Histogram, Buckets>,
    to_sync: Family<OfKind, Histogram, Buckets>,
    in_flight: Family<OfKind, Gauge>,
    queued: Family<OfKind, Gauge>,
    waiting: Family<OfKind, Gauge>,
    began: Timestamp,
}

#[derive(Clone, Copy)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

impl Default for Passes {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(Buckets(&PASS)),
            to_sync: Family::new_with_constructor(Buckets(&SYNC)),
            in_flight: Family::default(),
            queued: Family::default(),
            waiting: Family::default(),
            began: Timestamp::now(),
        }
    }
}

impl Passes {
    pub(super) fn register(&self, ours: &mut Registry) {
        ours.register("reconcile_duration_seconds", "Time of one pass over an object", self.durations.clone());
        ours.register("time_to_sync_seconds", "From the creation of an object to its first sync", self.to_sync.clone());
        ours.register("in_flight", "Objects in work", self.in_flight.clone());
        ours.register("queue_depth", "Objects that wait for their turn", self.queued.clone());
        ours.register("waiting", "Objects that wait for another try or their next refresh", self.waiting.clone());
    }

    /// A pass over an object of this kind took so long.
    pub(in crate::controllers) fn took(&self, kind: Kind, duration: Duration) {
        self.durations.get_or_create(&of(kind)).observe(duration.as_secs_f64());
    }

    /// An object that was created then is in sync for the first time. Those that were there before this process was
    /// are not counted: they did not wait for us.
    pub(in crate::controllers) fn first_synced(&self, kind: Kind, created: Option<Timestamp>) {
        // Creation times are cut to whole seconds.
        let Some(created) = created.filter(|created| created.as_second() >= self.began.as_second()) else { return };
        let waited = Duration::try_from(Timestamp::now().duration_since(created)).unwrap_or_default();
        self.to_sync.get_or_create(&of(kind)).observe(waited.as_secs_f64());
    }

    /// What shows how many objects of this kind are in work and wait, until [`Passes::rest`].
    pub(in crate::controllers) fn depths(&self, kind: Kind) -> Depths {
        let kind = of(kind);
        let gauge = |family: &Family<OfKind, Gauge>| family.get_or_create(&kind).clone();
        Depths { in_flight: gauge(&self.in_flight), queued: gauge(&self.queued), waiting: gauge(&self.waiting) }
    }

    /// Nothing is in work and nothing waits.
    pub(super) fn rest(&self) {
        for family in [&self.in_flight, &self.queued, &self.waiting] {
            family.clear();
        }
    }
}

/// The gauges of one kind, held by whoever sets them at every turn.
pub(in crate::controllers) struct Depths {
    in_flight: Gauge,
    queued: Gauge,
    waiting: Gauge,
}

impl Depths {
    /// So many objects are in work, wait for their turn, and for a moment to come.
    pub(in crate::controllers) fn show(&self, [in_flight, queued, waiting]: [usize; 3]) {
        for (gauge, count) in [(&self.in_flight, in_flight), (&self.queued, queued), (&self.waiting, waiting)] {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

fn of(kind: Kind) -> OfKind {
    OfKind { kind: kind.as_str() }
}
