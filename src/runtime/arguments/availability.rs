//! More than one replica.

use std::time::Duration;

use clap::Args;

use crate::controllers::Availability;
use crate::sync::external::duration::interval;

/// Flags for replicas.
#[derive(Debug, Args)]
pub struct AvailabilityArguments {
    /// Whether replicas agree by Leases on who does what; false only where there can never be two.
    #[arg(long, env = "BULLA_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub leader_elect: bool,
    /// Divide the namespaces into so many parts, 1 to 64, each served by one replica at a time. The same for all replicas.
    #[arg(long, env = "BULLA_SHARDS", default_value_t = 1, value_name = "NUMBER")]
    pub shards: u32,
    /// How long others wait before they take the Lease of a replica that does not renew it, in whole seconds.
    #[arg(long, env = "BULLA_LEASE_DURATION", default_value = "10s", value_name = "DURATION", value_parser = duration)]
    pub lease_duration: Duration,
    /// How long a replica that cannot renew its Lease goes on working; less than the lease duration.
    #[arg(long, env = "BULLA_RENEW_DEADLINE", default_value = "7s", value_name = "DURATION", value_parser = duration)]
    pub renew_deadline: Duration,
    /// How often a Lease is renewed; less than half of the renew deadline.
    #[arg(long, env = "BULLA_RETRY_PERIOD", default_value = "2s", value_name = "DURATION", value_parser = duration)]
    pub retry_period: Duration,
    /// The name of this replica in Leases; no two replicas may have the same [default: the host's name and a random number].
    ///
    /// A process that finds its own name in a Lease takes it without waiting: with the pod's UID here, a container that
    /// is started again goes on at once.
    #[arg(long, env = "BULLA_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    interval(text).map_err(|error| error.to_string())
}

impl AvailabilityArguments {
    /// Checks that the flags go together.
    ///
    /// # Errors
    /// What does not, in words for whoever gave them.
    pub fn check(&self) -> Result<(), String> {
        self.config().map_or(Ok(()), |config| config.check())
    }

    /// How replicas agree on who does what; `None` is a process that is the only one.
    pub(super) fn config(&self) -> Option<Availability> {
        if !self.leader_elect {
            return None;
        }
        let identity = match self.identity.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => Availability::identity_on(&rustix::system::uname().nodename().to_string_lossy()),
        };
        let mut config = Availability::new(identity);
        config.shards = self.shards;
        config.lease_duration = self.lease_duration;
        config.renew_deadline = self.renew_deadline;
        config.retry_period = self.retry_period;
        Some(config)
    }
}
