//! When the next key is due. Pure: ages in, a decision out.
//!
//! Due-ness is worked out from wall-clock times each time afresh, so that a clock that jumps, a process that slept and
//! a leader that changed are all the same case. A key dated in the future counts for nothing: otherwise one hour of a
//! wrong clock would stop renewal for years.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How far ahead of ours another machine's clock may be before its dates count as wrong.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// How old one key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age {
    /// From when on it has been in use here: the period counts from then.
    pub(super) since: Timestamp,
    /// The date on it: the cut-off time looks at that.
    pub(super) dated: Timestamp,
}

/// What decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// `None` is never.
    pub(super) period: Option<Duration>,
    pub(super) cutoff: Option<Timestamp>,
}

/// Why a key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There is none to seal to.
    None,
    /// The newest is as old as the period.
    Period,
    /// The newest is from before the cut-off time.
    Cutoff,
    /// Somebody asked for it.
    Asked,
}

impl Why {
    /// The word in the log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "there was none to seal to",
            Self::Period => "the newest was old enough",
            Self::Cutoff => "the newest was from before the cut-off time",
            Self::Asked => "somebody asked for it",
        }
    }
}

/// Whether a new key is due, given the ages of those that still open. That there is one to seal to is checked before.
pub(super) fn due(ages: impl Iterator<Item = Age>, rules: Rules, now: Timestamp) -> Option<Why> {
    let mut newest: Option<Age> = None;
    for age in ages.filter(|age| !is_ahead(age.since, now)) {
        let later = |a: Timestamp, b: Timestamp| if is_ahead(b, now) { a } else { a.max(b) };
        newest =
            Some(newest.map_or(age, |newest| Age {
                since: newest.since.max(age.since),
                dated: later(newest.dated, age.dated),
            }));
    }
    let Some(newest) = newest else {
        // Every one of them is dated in the future.
        return rules.period.map(|_| Why::Period);
    };
    if rules.cutoff.is_some_and(|cutoff| newest.dated < cutoff && cutoff <= now) {
        return Some(Why::Cutoff);
    }
    let period = SignedDuration::try_from(rules.period?).ok()?;
    (now.duration_since(newest.since) >= period).then_some(Why::Period)
}

/// Whether a date is in the future by more than clocks differ.
pub(super) fn is_ahead(date: Timestamp, now: Timestamp) -> bool {
    date.duration_since(now) > SLACK
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + days * DAY).unwrap()
    }

    fn due_at(now: i64, ages: &[i64], period: Option<i64>, cutoff: Option<i64>) -> Option<Why> {
        let ages = ages.iter().map(|day| Age { since: at(*day), dated: at(*day) });
        let period = period.map(|days| Duration::from_secs((days * DAY).unsigned_abs()));
        due(ages, Rules { period, cutoff: cutoff.map(at) }, at(now))
    }

    #[test]
    fn the_newest_decides() {
        assert_eq!(due_at(29, &[0], Some(30), None), None);
        assert_eq!(due_at(30, &[0], Some(30), None), Some(Why::Period));
        assert_eq!(due_at(30, &[0, 15], Some(30), None), None);
        assert_eq!(due_at(45, &[15, 0], Some(30), None), Some(Why::Period));
        assert_eq!(due_at(10_000, &[0], None, None), None, "never");
    }

    #[test]
    fn a_key_of_the_future_neither_stops_renewal_nor_makes_it_due_again() {
        // The clock was wrong by years for a while, and is right again.
        assert_eq!(due_at(10, &[0, 3650], Some(30), None), None);
        assert_eq!(due_at(31, &[0, 3650], Some(30), None), Some(Why::Period));
        assert_eq!(due_at(31, &[0, 31, 3650], Some(30), None), None);
        // All of them were made under a wrong clock: one is made, and then there is one that counts.
        assert_eq!(due_at(10, &[3650], Some(30), None), Some(Why::Period));
        assert_eq!(due_at(10, &[3650, 10], Some(30), None), None);
        assert_eq!(due_at(10, &[3650], None, None), None, "never is never");
    }

    #[test]
    fn the_cut_off_time_counts_from_when_it_has_come_and_once() {
        assert_eq!(due_at(10, &[0], Some(30), Some(5)), Some(Why::Cutoff));
        assert_eq!(due_at(10, &[0], None, Some(5)), Some(Why::Cutoff), "without a period too");
        assert_eq!(due_at(10, &[0, 10], Some(30), Some(5)), None);
        assert_eq!(due_at(10, &[0], Some(30), Some(11)), None, "still to come");
        assert_eq!(due_at(11, &[0], Some(30), Some(11)), Some(Why::Cutoff));
    }

    #[test]
    fn a_certificate_brought_along_is_as_old_as_its_stay_here() {
        let brought = Age { since: at(0), dated: at(-400) };
        let rules = |cutoff| Rules { period: Some(Duration::from_secs(30 * 86_400)), cutoff };
        assert_eq!(due([brought].into_iter(), rules(None), at(29)), None);
        assert_eq!(due([brought].into_iter(), rules(None), at(30)), Some(Why::Period));
        assert_eq!(due([brought].into_iter(), rules(Some(at(-100))), at(1)), Some(Why::Cutoff));
    }
}
