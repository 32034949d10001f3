//! From the start of a phase to its numbers.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use jiff::Timestamp;

use super::audit::Tally;
use super::bed::{Bed, NAMESPACE};
use super::process::Memory;

/// What a phase is measured against.
pub(crate) struct Clock {
    log: PathBuf,
    from: u64,
    user: String,
    plural: &'static str,
    server_cpu: Duration,
}

/// One run of a phase.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) objects: usize,
    /// From the start of the controller's process until the last status was written, in seconds.
    pub(crate) from_start: Option<f64>,
    /// From the first write until then.
    pub(crate) from_first_write: f64,
    /// Processor time of the client.
    pub(crate) cpu: Duration,
    /// Processor time of the API server.
    pub(crate) server_cpu: Duration,
    pub(crate) tally: Tally,
    pub(crate) memory: Option<Memory>,
}

/// What a controller's process is known to have done.
pub(crate) struct Spent {
    pub(crate) began: SystemTime,
    pub(crate) memory: Memory,
}

impl Clock {
    /// From now on what `user` does counts.
    pub(crate) fn start(bed: &Bed, user: String) -> Self {
        let log = bed.server.folder().join("audit.log");
        let plural = bed.kind.plural;
        Self { log, from: bed.server.audit_mark().0, user, plural, server_cpu: bed.api_server.cpu() }
    }

    /// What `user` asked for so far.
    pub(crate) fn tally(&self) -> anyhow::Result<Tally> {
        Tally::of(&self.log, self.from, &self.user, NAMESPACE, self.plural)
    }

    /// The numbers of a phase that is over.
    pub(crate) fn stop(self, bed: &Bed, objects: usize, cpu: Duration, spent: Option<&Spent>) -> anyhow::Result<Run> {
        let server_cpu = bed.api_server.cpu().saturating_sub(self.server_cpu);
        let tally = self.tally()?;
        let first = tally.first_write.context("the audit log has no write")?;
        let last = tally.last_status.context("the audit log has no status")?;
        let from_start = spent.map(|spent| Timestamp::try_from(spent.began)).transpose()?;
        Ok(Run {
            objects,
            from_start: from_start.map(|began| seconds(began, last)),
            from_first_write: seconds(first, last),
            cpu,
            server_cpu,
            tally,
            memory: spent.map(|spent| spent.memory),
        })
    }
}

impl Run {
    /// Objects a second between the first write and the last.
    pub(crate) fn rate(&self) -> f64 {
        self.objects as f64 / self.from_first_write
    }

    /// `total` for one object.
    pub(crate) fn each(&self, total: usize) -> f64 {
        total as f64 / self.objects as f64
    }

    /// `time` for one object, in milliseconds.
    pub(crate) fn milliseconds_each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1000.0 / self.objects as f64
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
