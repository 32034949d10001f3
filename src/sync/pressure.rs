//! How hard a store may be pressed: a budget of calls, and a breaker for a store that does not answer.
//!
//! Both are plain state; the time is passed in, as the time since some fixed moment.

use std::time::Duration;

/// A token bucket.
#[derive(Clone, Debug)]
pub struct Budget {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Duration,
}

impl Budget {
    /// `per_second` calls in the long run, `burst` at once after a rest. Both are at least a little above zero.
    #[must_use]
    pub fn new(per_second: f64, burst: f64) -> Self {
        let (per_second, burst) = (per_second.max(0.01), burst.max(1.0));
        Self { per_second, burst, tokens: burst, at: Duration::ZERO }
    }

    /// Takes one call out of the budget and says how long to wait before it is made. Whoever comes later waits longer.
    pub fn take(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = passed.mul_add(self.per_second, self.tokens).min(self.burst) - 1.0;
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.per_second) }
    }
}

/// Stops calls to a store that does not answer, and lets one through now and then to see whether it does again.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    failures: u32,
    /// Until when nothing goes through, and whether the one try after that is under way.
    open: Option<(Duration, bool)>,
}

/// Failures in a row that open the breaker.
const LIMIT: u32 = 5;
/// Shortest and longest time that it stays open.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Breaker {
    /// Whether a call may be made; if not, in how long it is worth asking again.
    ///
    /// # Errors
    /// The time to wait.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match &mut self.open {
            None => Ok(()),
            Some((until, _)) if now < *until => Err(*until - now),
            // One call tries; the others wait for what it finds out.
            Some((_, trying @ false)) => {
                *trying = true;
                Ok(())
            }
            Some((_, true)) => Err(REST.0),
        }
    }

    /// A call was answered, if only with a refusal.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// A call was given up before its end was known: the next one may try.
    pub const fn abandoned(&mut self) {
        if let Some((_, trying)) = &mut self.open {
            *trying = false;
        }
    }

    /// A call was not answered. `random` spreads the next try over the upper half of the wait.
    pub fn failed(&mut self, now: Duration, random: u64) {
        // A call that was under way when it opened: it says nothing that is not known.
        if self.open.is_some_and(|(until, trying)| !trying && now < until) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= LIMIT {
            let full = REST.0.saturating_mul(1 << (self.failures - LIMIT).min(8)).min(REST.1);
            let spread = (full / 2).mul_f64((random % 1000) as f64 / 1000.0);
            self.open = Some((now + full / 2 + spread, false));
        }
    }

    /// Whether calls are being held back.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_budget_gives_its_burst_and_then_its_rate() {
        let mut budget = Budget::new(10.0, 3.0);
        let waits: Vec<_> = (0..6).map(|_| budget.take(MS(1)).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        assert_eq!(budget.take(MS(401)), Duration::ZERO, "300 ms of debt and one call are paid after 400 ms");
    }

    #[test]
    fn a_rested_budget_is_no_larger_than_its_burst() {
        let mut budget = Budget::new(1000.0, 2.0);
        assert_eq!((0..4).filter(|_| budget.take(MS(1_000_000)).is_zero()).count(), 2);
    }

    #[test]
    fn a_breaker_opens_tries_once_and_closes() {
        let mut breaker = Breaker::default();
        for _ in 0..LIMIT {
            assert_eq!(breaker.admit(MS(0)), Ok(()));
            breaker.failed(MS(0), 0);
        }
        assert_eq!(breaker.admit(MS(100)), Err(MS(400)));
        assert_eq!(breaker.admit(MS(500)), Ok(()), "one try");
        assert!(breaker.admit(MS(500)).is_err(), "and no second one meanwhile");
        breaker.failed(MS(600), 0);
        assert_eq!(breaker.admit(MS(700)), Err(MS(900)), "twice as long");
        assert_eq!(breaker.admit(MS(1700)), Ok(()));
        breaker.answered();
        assert!(!breaker.is_open());
        assert_eq!(breaker.admit(MS(1700)), Ok(()));
    }

    #[test]
    fn calls_that_were_under_way_when_it_opened_do_not_keep_it_open_longer() {
        let mut breaker = Breaker::default();
        (0..LIMIT + 3).for_each(|_| breaker.failed(MS(0), 0));
        assert_eq!(breaker.admit(MS(100)), Err(MS(400)));
        assert_eq!(breaker.admit(MS(500)), Ok(()));
    }

    #[test]
    fn a_try_that_is_given_up_leaves_room_for_the_next() {
        let mut breaker = Breaker::default();
        (0..LIMIT).for_each(|_| breaker.failed(MS(0), 0));
        assert_eq!(breaker.admit(MS(600)), Ok(()));
        breaker.abandoned();
        assert_eq!(breaker.admit(MS(601)), Ok(()));
    }
}
