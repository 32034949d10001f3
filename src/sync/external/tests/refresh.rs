use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::at;
use crate::sync::external::{
    refresh::{Due, Policy, Reason, Refresh, Synced, due, spread},
    window::{Effect, Windows},
};

const HOUR: Duration = Duration::from_secs(3600);

fn asked(policy: Policy, interval: Duration, synced: Option<(&str, &str)>, version: &str, now: &str) -> Due {
    let windows = Windows::default();
    let synced = synced.map(|(version, time)| Synced { version: version.to_owned(), at: at(time) });
    due(&Refresh { policy, interval, windows: &windows, synced: synced.as_ref(), version, random: 0 }, at(now))
}

#[test]
fn when_a_sync_is_due() {
    use Policy::{CreatedOnce, OnChange, Periodic};
    let (noon, one, half) = ("2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z", "2026-11-21T12:30:00Z");
    let same = Some(("2-abc", noon));
    let zero = Duration::ZERO;
    for (policy, interval, synced, version, now, wanted) in [
        (CreatedOnce, HOUR, None, "1-abc", noon, Due::Now(Reason::First)),
        (OnChange, HOUR, None, "1-abc", noon, Due::Now(Reason::First)),
        (Periodic, zero, None, "1-abc", noon, Due::Now(Reason::First)),
        (Periodic, HOUR, Some(("", noon)), "1-abc", noon, Due::Now(Reason::First)),
        (CreatedOnce, HOUR, same, "3-abd", one, Due::Never),
        (OnChange, HOUR, same, "2-abc", "2030-01-01T00:00:00Z", Due::Never),
        (OnChange, HOUR, same, "3-abc", noon, Due::Now(Reason::Spec)),
        (OnChange, HOUR, same, "2-abd", noon, Due::Now(Reason::Metadata)),
        (Periodic, HOUR, same, "2-abc", noon, Due::At(at(one))),
        (Periodic, HOUR, same, "2-abc", half, Due::At(at(one))),
        (Periodic, HOUR, same, "2-abc", one, Due::Now(Reason::Interval)),
        (Periodic, HOUR, same, "2-abc", "2027-01-01T00:00:00Z", Due::Now(Reason::Interval)),
        (Periodic, HOUR, same, "3-abd", half, Due::Now(Reason::Spec)),
        (Periodic, HOUR, same, "2-abd", half, Due::Now(Reason::Metadata)),
        (Periodic, HOUR, same, "2-abc", "2026-11-21T11:00:00Z", Due::Now(Reason::Clock)),
        // External Secrets never syncs these again.
        (Periodic, zero, same, "2-abc", "2030-01-01T00:00:00Z", Due::Never),
        (Periodic, zero, same, "2-abd", noon, Due::Now(Reason::Metadata)),
        (Periodic, zero, same, "3-abc", noon, Due::Now(Reason::Spec)),
        (Periodic, Duration::MAX, same, "2-abc", noon, Due::Never),
    ] {
        assert_eq!(
            asked(policy, interval, synced, version, now),
            wanted,
            "{policy:?} {interval:?} {synced:?} {version} {now}"
        );
    }
}

#[test]
fn windows_hold_back_what_is_periodic_only() {
    let (windows, errors) = Windows::parse(Effect::Allow, [("0 22 * * *", "2h")]);
    assert_eq!(errors, []);
    let synced = Synced { version: "1-a".to_owned(), at: at("2026-11-21T12:00:00Z") };
    let refresh = Refresh {
        policy: Policy::Periodic,
        interval: HOUR,
        windows: &windows,
        synced: Some(&synced),
        version: "1-a",
        random: 0,
    };
    let opens = at("2026-11-21T22:00:00Z");
    assert_eq!(due(&refresh, at("2026-11-21T12:30:00Z")), Due::At(opens));
    assert_eq!(due(&refresh, at("2026-11-21T15:00:00Z")), Due::At(opens));
    assert_eq!(due(&refresh, opens), Due::Now(Reason::Interval));
    assert_eq!(due(&Refresh { version: "2-a", ..refresh }, at("2026-11-21T15:00:00Z")), Due::Now(Reason::Spec));
    assert_eq!(due(&Refresh { synced: None, ..refresh }, at("2026-11-21T15:00:00Z")), Due::Now(Reason::First));
    let (never, _errors) = Windows::parse(Effect::Deny, [("@daily", "24h")]);
    assert_eq!(due(&Refresh { windows: &never, ..refresh }, opens), Due::Never);
}

#[test]
fn ten_thousand_objects_do_not_fire_together() {
    let (windows, last) = (Windows::default(), at("2026-11-21T12:00:00Z"));
    let synced = Synced { version: "1-a".to_owned(), at: last };
    let mut moments = std::collections::BTreeMap::<i64, u32>::new();
    for index in 0..10_000 {
        let random = spread(&format!("uid-{index}"), last);
        let refresh = Refresh {
            policy: Policy::Periodic,
            interval: HOUR,
            windows: &windows,
            synced: Some(&synced),
            version: "1-a",
            random,
        };
        let Due::At(next) = due(&refresh, last) else { panic!("not due at a moment") };
        *moments.entry(next.as_second()).or_default() += 1;
    }
    // Ten moments of about a thousand objects each: enough to fill batches, few enough to be no surprise.
    assert!((10..=11).contains(&moments.len()), "{moments:?}");
    assert!(moments.values().all(|count| *count < 1_200), "{moments:?}");
    assert!(moments.keys().all(|moment| (3240..=3600).contains(&(moment - last.as_second()))), "{moments:?}");
}

proptest! {
    /// Never later than asked, never earlier than nine tenths, and the same each time.
    #[test]
    fn jitter_has_bounds(interval in 1..40_000_000_000_000_000_u64, random: u64, passed in 0.0..1.0_f64) {
        let (windows, last) = (Windows::default(), Timestamp::from_second(1_795_000_000).unwrap());
        let synced = Synced { version: "1-a".to_owned(), at: last };
        let interval = Duration::from_nanos(interval);
        let refresh = Refresh { policy: Policy::Periodic, interval, windows: &windows, synced: Some(&synced), version: "1-a", random };
        let Due::At(next) = due(&refresh, last) else { panic!("not due at a moment") };
        prop_assert!(next <= last.checked_add(interval).unwrap());
        prop_assert!(next >= last.checked_add(interval - interval / 10).unwrap());
        let now = last.checked_add(interval.mul_f64(passed)).unwrap();
        let wanted = if now < next { Due::At(next) } else { Due::Now(Reason::Interval) };
        prop_assert_eq!(due(&refresh, now), wanted);
    }
}
