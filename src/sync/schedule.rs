//! When to try again: exponential backoff with jitter by class of failure, for ever.
//!
//! Nothing is abandoned: the longest wait is the class's ceiling. Random numbers are passed in.

use std::time::Duration;

/// What kind of failure it was, and therefore how soon another try makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The API server or the network: likely gone soon.
    Transient,
    /// Another writer was faster, or a foreign Secret is in the way: heals when somebody else acts.
    Blocked,
    /// The server asked for patience.
    Throttled {
        /// How long, where it said so.
        after: Option<Duration>,
    },
    /// A provider answered that it will not answer: no such key, no right to it. Heals when somebody changes the
    /// provider's side, and asking costs money.
    Refused,
    /// Only a person, or a new key, can mend it; looked at again in case that was wrong.
    Terminal,
}

impl Class {
    /// Shortest and longest wait.
    const fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Transient => (Duration::from_millis(500), Duration::from_secs(60)),
            Self::Blocked => (Duration::from_secs(1), Duration::from_secs(30)),
            Self::Throttled { .. } => (Duration::from_secs(1), Duration::from_secs(60)),
            Self::Refused => (Duration::from_secs(10), Duration::from_secs(900)),
            Self::Terminal => (Duration::from_secs(300), Duration::from_secs(3600)),
        }
    }

    /// Whether retrying by itself cannot be expected to help.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Terminal => true,
            Self::Transient | Self::Blocked | Self::Throttled { .. } | Self::Refused => false,
        }
    }
}

/// How long to wait before try `attempt + 1`, `attempt` counting failures from 1.
///
/// The wait doubles from the class's floor to its ceiling and is then spread over its upper half by `random`, any
/// uniform number; it is never shorter than what the server asked for.
#[must_use]
pub fn delay(class: Class, attempt: u32, random: u64) -> Duration {
    let (floor, ceiling) = class.bounds();
    let doublings = attempt.saturating_sub(1).min(16);
    let full = floor.saturating_mul(1 << doublings).min(ceiling);
    let half = full / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    let wait = half + Duration::from_micros(random % spread.saturating_add(1));
    match class {
        Class::Throttled { after: Some(asked) } => wait.max(asked.min(Duration::from_secs(600))),
        Class::Throttled { after: None } | Class::Transient | Class::Blocked | Class::Refused | Class::Terminal => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn waits_double_from_floor_to_ceiling() {
        let table = [
            (Class::Transient, 1, MS(250), MS(500)),
            (Class::Transient, 2, MS(500), MS(1_000)),
            (Class::Transient, 8, MS(30_000), MS(60_000)),
            (Class::Transient, u32::MAX, MS(30_000), MS(60_000)),
            (Class::Blocked, 1, MS(500), MS(1_000)),
            (Class::Blocked, 40, MS(15_000), MS(30_000)),
            (Class::Terminal, 1, MS(150_000), MS(300_000)),
            (Class::Terminal, 9, MS(1_800_000), MS(3_600_000)),
            (Class::Throttled { after: None }, 1, MS(500), MS(1_000)),
        ];
        for (class, attempt, shortest, longest) in table {
            assert_eq!(delay(class, attempt, 0), shortest, "{class:?} {attempt}");
            for random in [1, 77, 1 << 20, u64::MAX] {
                let wait = delay(class, attempt, random);
                assert!((shortest..=longest).contains(&wait), "{class:?} {attempt} {wait:?}");
            }
        }
    }

    #[test]
    fn the_servers_wish_is_respected_within_reason() {
        let asked = |after| Class::Throttled { after: Some(after) };
        assert_eq!(delay(asked(MS(7_000)), 1, 0), MS(7_000));
        assert_eq!(delay(asked(MS(1)), 1, 0), MS(500));
        assert_eq!(delay(asked(MS(10_000_000)), 1, 0), MS(600_000));
    }
}
