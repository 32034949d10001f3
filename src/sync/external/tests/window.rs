//! `schedules.json` holds what version 3 of the Go library robfig/cron makes of schedules.

use proptest::prelude::*;

use super::at;
use crate::sync::external::window::{Effect, Windows, schedule::Schedule};

#[test]
fn schedules_are_those_of_the_go_library() {
    let cases: Vec<serde_json::Value> = serde_json::from_str(include_str!("schedules.json")).unwrap();
    let (mut readable, mut refused) = (0, 0);
    for case in &cases {
        let text = case["schedule"].as_str().unwrap();
        let schedule = Schedule::parse(text);
        let Some(wanted) = case["next"].as_object() else {
            assert!(schedule.is_err(), "{text}");
            refused += 1;
            continue;
        };
        let schedule = schedule.unwrap();
        for (from, next) in wanted {
            assert_eq!(schedule.next(at(from)), next.as_str().map(at), "{text} from {from}");
            readable += 1;
        }
    }
    assert!(readable > 150 && refused > 15, "{readable} {refused}");
}

fn windows(effect: Effect, list: &[(&str, &str)]) -> Windows {
    let (windows, errors) = Windows::parse(effect, list.iter().copied());
    assert_eq!(errors, []);
    windows
}

#[test]
fn refreshes_are_allowed_while_a_window_is_open() {
    let nights = &[("0 22 * * *", "8h")][..];
    let workdays = &[("0 9 * * 1-5", "8h"), ("0 12 * * sat", "30m")][..];
    // 2026-11-21 is a Saturday.
    for (effect, list, from, next) in [
        (Effect::Allow, nights, "2026-11-21T21:59:59Z", Some("2026-11-21T22:00:00Z")),
        (Effect::Allow, nights, "2026-11-21T22:00:00Z", Some("2026-11-21T22:00:00Z")),
        (Effect::Allow, nights, "2026-11-22T05:59:59Z", Some("2026-11-22T05:59:59Z")),
        (Effect::Allow, nights, "2026-11-22T06:00:00Z", Some("2026-11-22T22:00:00Z")),
        (Effect::Allow, workdays, "2026-11-21T12:15:00Z", Some("2026-11-21T12:15:00Z")),
        (Effect::Allow, workdays, "2026-11-21T12:30:00Z", Some("2026-11-23T09:00:00Z")),
        (Effect::Deny, nights, "2026-11-21T21:00:00Z", Some("2026-11-21T21:00:00Z")),
        (Effect::Deny, nights, "2026-11-21T23:00:00Z", Some("2026-11-22T06:00:00Z")),
        // Windows that follow each other.
        (
            Effect::Deny,
            &[("0 0 * * *", "12h"), ("0 12 * * *", "6h")],
            "2026-11-21T01:00:00Z",
            Some("2026-11-21T18:00:00Z"),
        ),
        (
            Effect::Deny,
            &[("0 0 * * *", "10h"), ("0 9 * * *", "2h")],
            "2026-11-21T09:30:00Z",
            Some("2026-11-21T11:00:00Z"),
        ),
        (Effect::Deny, &[("@daily", "24h")], "2026-11-21T01:00:00Z", None),
        (Effect::Deny, &[("* * * * *", "1m")], "2026-11-21T01:00:00Z", None),
        (Effect::Deny, &[("@hourly", "59m")], "2026-11-21T01:10:00Z", Some("2026-11-21T01:59:00Z")),
        (Effect::Allow, &[("@daily", "0s")], "2026-11-21T00:00:00Z", None),
        (Effect::Deny, &[("@daily", "0s")], "2026-11-21T00:00:00Z", Some("2026-11-21T00:00:00Z")),
        (Effect::Allow, &[("0 0 30 2 *", "1h")], "2026-11-21T00:00:00Z", None),
        // Counted from 1970.
        (Effect::Allow, &[("@every 1h", "10m")], "2026-11-21T01:09:59Z", Some("2026-11-21T01:09:59Z")),
        (Effect::Allow, &[("@every 1h", "10m")], "2026-11-21T01:10:00Z", Some("2026-11-21T02:00:00Z")),
        (Effect::Deny, &[("@every 1h", "1h")], "2026-11-21T01:10:00Z", None),
    ] {
        let windows = windows(effect, list);
        assert_eq!(windows.next_allowed(at(from)), next.map(at), "{effect:?} {list:?} {from}");
        assert_eq!(windows.is_allowed(at(from)), next == Some(from), "{effect:?} {list:?} {from}");
    }
}

#[test]
fn what_cannot_be_read_is_left_out_and_told() {
    let now = at("2026-11-21T03:00:00Z");
    let list = [("0 0 * * 7", "1h"), ("@daily", "1d"), ("@daily", "4h")];
    let (windows, errors) = Windows::parse(Effect::Allow, list);
    assert!(windows.is_allowed(now));
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "spec.syncWindows.windows[0] is ignored: \"7\" is not a valid day of week of a schedule",
            "spec.syncWindows.windows[1] is ignored: \"1d\" is not a duration such as 1h30m or 300ms, of at most 292 years",
        ]
    );
    assert!(!Windows::parse(Effect::Allow, [("x", "1h")]).0.is_allowed(now));
    assert!(Windows::parse(Effect::Deny, [("x", "1h")]).0.is_allowed(now));
    assert!(Windows::default().is_allowed(now));
}

proptest! {
    /// The next moment is allowed, and none before it is.
    #[test]
    fn the_next_moment_is_the_first(
        allow: bool,
        hour in 0..24_u8,
        minutes in 1..1500_u32,
        weekday in 0..7_u8,
        offset in 0..1_000_000_i64,
        probe in 0.0..1.0_f64,
    ) {
        let effect = if allow { Effect::Allow } else { Effect::Deny };
        let (schedule, length) = (format!("17 {hour} * * {weekday},3"), format!("{minutes}m"));
        let windows = windows(effect, &[(&schedule, &length)]);
        let from = jiff::Timestamp::from_second(1_795_000_000 + offset).unwrap();
        let next = windows.next_allowed(from).unwrap();
        prop_assert!(next >= from && windows.is_allowed(next));
        let between = from.as_second() + ((next.as_second() - from.as_second()) as f64 * probe) as i64;
        let between = jiff::Timestamp::from_second(between).unwrap();
        prop_assert!(between == next || !windows.is_allowed(between));
    }

    #[test]
    fn no_text_panics(schedule in "[-0-9*/,?@a-z ]{0,30}", length in "[0-9hms.]{0,12}") {
        let (windows, _errors) = Windows::parse(Effect::Deny, [(schedule.as_str(), length.as_str())]);
        let _next = windows.next_allowed(at("2026-11-21T03:00:00Z"));
        let _next = windows.next_allowed(jiff::Timestamp::MAX);
        let _next = windows.next_allowed(jiff::Timestamp::MIN);
    }
}
