//! How often somebody may ask: the generic cell rate algorithm (ITU-T I.371), one number a caller.
//!
//! For each caller the moment is kept at which all that was asked would have come evenly spaced. A request may come
//! `burst` intervals before that moment.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// How many callers are told apart. Beyond that the newcomers share one place.
const CALLERS: usize = 1 << 16;
/// How often at most the whole table is looked through for callers that may be forgotten.
const SWEEP: Duration = Duration::from_secs(1);

/// A limit for each caller. Times are counted from any fixed moment.
pub(super) struct Limiter<K> {
    /// Time between two requests at the allowed rate; zero is no limit.
    interval: Duration,
    tolerance: Duration,
    due: HashMap<K, Duration>,
    /// For whom there is no room.
    rest: Duration,
    capacity: usize,
    swept: Duration,
}

impl<K: Eq + Hash> Limiter<K> {
    /// `rate` requests a second and `burst` more at once; a rate of 0 is no limit.
    pub(super) fn new(rate: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(rate).unwrap_or_default();
        Self {
            interval,
            tolerance: interval.saturating_mul(burst),
            due: HashMap::new(),
            rest: Duration::ZERO,
            capacity: CALLERS,
            swept: Duration::ZERO,
        }
    }

    /// Counts a request of `who` at `now`.
    ///
    /// # Errors
    /// How long to wait, if it comes too early; it is then not counted.
    pub(super) fn admit(&mut self, who: K, now: Duration) -> Result<(), Duration> {
        if self.interval.is_zero() {
            return Ok(());
        }
        let is_known = self.due.contains_key(&who);
        if !is_known && self.due.len() >= self.capacity && now >= self.swept + SWEEP {
            self.swept = now;
            // Whose time has come is as good as unknown.
            self.due.retain(|_, due| *due > now);
        }
        let due =
            if is_known || self.due.len() < self.capacity { self.due.entry(who).or_default() } else { &mut self.rest };
        let at = (*due).max(now);
        let early = at.saturating_sub(now);
        if early > self.tolerance {
            return Err(early - self.tolerance);
        }
        *due = at + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_then_the_rate() {
        let mut limiter = Limiter::new(2, 2);
        let start = Duration::from_secs(7);
        assert_eq!([(); 3].map(|()| limiter.admit("a", start)), [Ok(()); 3]);
        assert_eq!(limiter.admit("a", start), Err(SECOND / 2));
        assert_eq!(limiter.admit("a", start + SECOND / 4), Err(SECOND / 4), "a refusal does not count");
        assert_eq!(limiter.admit("a", start + SECOND / 2), Ok(()));
        assert!(limiter.admit("a", start + SECOND / 2).is_err());
        assert_eq!(limiter.admit("b", start), Ok(()), "others are not concerned");
        assert_eq!([(); 3].map(|()| limiter.admit("a", start + SECOND * 9)), [Ok(()); 3], "and it is forgiven");
    }

    #[test]
    fn zero_is_no_limit() {
        let mut limiter = Limiter::new(0, 0);
        assert!((0..1000).all(|_| limiter.admit("a", SECOND).is_ok()));
    }

    #[test]
    fn the_table_is_bounded_and_newcomers_share_a_place_while_it_is_full() {
        let mut limiter = Limiter { capacity: 3, ..Limiter::new(1, 0) };
        for who in 0..3 {
            assert_eq!(limiter.admit(who, SECOND), Ok(()));
        }
        assert_eq!(limiter.admit(3, SECOND), Ok(()));
        assert!(limiter.admit(4, SECOND).is_err(), "3 took the place of them all");
        assert!(limiter.admit(0, SECOND).is_err(), "0 has its own");
        assert_eq!(limiter.due.len(), 3);
        assert_eq!(limiter.admit(5, SECOND * 3), Ok(()), "the others are forgotten by now");
        assert_eq!(limiter.due.len(), 1);
    }

    proptest! {
        /// However requests come, in any window no more pass than the rate and the burst allow.
        #[test]
        fn never_more_than_the_rate_and_the_burst(
            rate in 1_u32..20, burst in 0_u32..10, gaps in proptest::collection::vec(0_u64..700, 1..200),
        ) {
            let mut limiter = Limiter::new(rate, burst);
            let (mut now, mut passed) = (Duration::ZERO, Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                if limiter.admit((), now).is_ok() {
                    passed.push(now);
                }
            }
            for (index, start) in passed.iter().enumerate() {
                for (count, end) in passed[index..].iter().enumerate() {
                    let allowed = (*end - *start).as_secs_f64() * f64::from(rate) + f64::from(burst) + 1e-6;
                    prop_assert!(count as f64 <= allowed, "{} in {:?}", count + 1, *end - *start);
                }
            }
        }
    }
}
