//! The settings for more than one replica.

use std::time::Duration;

use crate::providers::random;

/// How replicas agree on who does what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Availability {
    /// Into how many parts the namespaces are divided, 1 to [`Self::MOST_SHARDS`]; each part is served by one replica at
    /// a time. The same for all replicas.
    pub shards: u32,
    /// How long others wait, after they last saw a Lease change, before they take it. Whole seconds.
    pub lease_duration: Duration,
    /// How long after its last renewal a replica goes on writing. Less than [`Self::lease_duration`].
    pub renew_deadline: Duration,
    /// How often a Lease is renewed. Less than half of [`Self::renew_deadline`].
    pub retry_period: Duration,
    /// Who this replica is: no two may be the same at the same time.
    pub identity: String,
}

impl Availability {
    /// The most shards that there may be.
    pub const MOST_SHARDS: u32 = 64;

    /// One shard, Kubernetes' usual times a third shorter, and this identity.
    #[must_use]
    pub fn new(identity: impl Into<String>) -> Self {
        Self {
            shards: 1,
            lease_duration: Duration::from_secs(10),
            renew_deadline: Duration::from_secs(7),
            retry_period: Duration::from_secs(2),
            identity: identity.into(),
        }
    }

    /// A name for this process that no other has: `host` and something random.
    #[must_use]
    pub fn identity_on(host: &str) -> String {
        format!("{host}_{:016x}", random())
    }

    /// Checks that the settings go together.
    ///
    /// # Errors
    /// What does not, in words for whoever set it.
    pub fn check(&self) -> Result<(), String> {
        let Self { shards, lease_duration, renew_deadline, retry_period, identity } = self;
        if !(1..=Self::MOST_SHARDS).contains(shards) {
            return Err(format!("there can be 1 to {} shards, not {shards}", Self::MOST_SHARDS));
        }
        if lease_duration.subsec_nanos() != 0 || lease_duration.is_zero() {
            return Err(format!("the lease duration must be whole seconds, not {lease_duration:?}"));
        }
        if renew_deadline >= lease_duration {
            return Err(format!(
                "the renew deadline ({renew_deadline:?}) must be less than the lease duration ({lease_duration:?}): in between, work under way ends"
            ));
        }
        if retry_period.is_zero() || *retry_period * 2 >= *renew_deadline {
            return Err(format!(
                "the retry period ({retry_period:?}) must be less than half of the renew deadline ({renew_deadline:?}): one renewal may fail"
            ));
        }
        if identity.is_empty() || identity.len() > 128 {
            return Err("the identity must have 1 to 128 bytes".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_leave_no_room_are_refused() {
        let good = Availability::new("a");
        assert_eq!(good.check(), Ok(()));
        let seconds = Duration::from_secs;
        assert!(Availability { renew_deadline: seconds(10), ..good.clone() }.check().is_err());
        assert!(Availability { retry_period: Duration::from_millis(3500), ..good.clone() }.check().is_err());
        assert!(Availability { retry_period: Duration::ZERO, ..good.clone() }.check().is_err());
        assert!(Availability { lease_duration: Duration::from_millis(10_500), ..good.clone() }.check().is_err());
        assert!(Availability { shards: 0, ..good.clone() }.check().is_err());
        assert!(Availability { shards: 65, ..good.clone() }.check().is_err());
        assert!(Availability { identity: String::new(), ..good }.check().is_err());
    }

    #[test]
    fn two_processes_on_one_host_differ() {
        assert_ne!(Availability::identity_on("pod"), Availability::identity_on("pod"));
    }
}
