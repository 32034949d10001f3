//! How sealing keys are made, renewed and stored.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::wrap::Wrapping;
use crate::seal::RsaBits;

/// How sealing keys are made, renewed and stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyConfig {
    /// How the names of upstream's keys begin, and the whole name of its first one.
    pub upstream_prefix: String,
    /// How old the newest key gets before a new one is made; `None` is for ever.
    pub renew_period: Option<Duration>,
    /// Keys from before this moment are followed by a new one. A moment that is still to come counts when it has.
    pub cutoff: Option<Timestamp>,
    /// Whether RSA certificates are made for people who seal with kubeseal; `None`: where there is one already.
    pub certificates: Option<bool>,
    /// The length of the RSA keys that are made.
    pub rsa_bits: RsaBits,
    /// How long the certificates that are made say that they are good for.
    pub certificate_life: Duration,
    /// The common name of the certificates that are made; empty is none.
    pub common_name: String,
    /// Which certificate is the newest, the one to seal to.
    pub order: KeyOrder,
    /// Labels for the Secrets of the keys that are made.
    pub labels: BTreeMap<String, String>,
    /// Annotations for the Secrets of the keys that are made.
    pub annotations: BTreeMap<String, String>,
    /// How private halves are wrapped at rest.
    pub wrapping: Wrapping,
    /// What time it is.
    pub clock: Clock,
    /// How often the clock is looked at, which may jump.
    pub recheck: Duration,
    /// The shortest time between two reports on the key Secrets of how many values each opens.
    pub report: Duration,
    /// The shortest time between two keys that nobody needed at once: what a mad clock, or somebody who asks for a key
    /// over and over, can do at worst.
    pub pause: Duration,
}

impl Default for KeyConfig {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            upstream_prefix: "sealed-secrets-key".to_owned(),
            renew_period: Some(720 * HOUR),
            cutoff: None,
            certificates: None,
            rsa_bits: RsaBits::default(),
            certificate_life: 87_600 * HOUR,
            common_name: String::new(),
            order: KeyOrder::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            wrapping: Wrapping::default(),
            clock: Clock::default(),
            recheck: Duration::from_secs(30),
            report: Duration::from_secs(60),
            pause: Duration::from_secs(60),
        }
    }
}

/// Which of several certificates is the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyOrder {
    /// The one whose validity begins last.
    #[default]
    CertNotBefore,
    /// The one whose Secret was made last.
    SecretCreationTimestamp,
}

/// Tells the time. A test has one that it can turn.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that shows what `now` says.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(Timestamp::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Clock({})", self.now())
    }
}
