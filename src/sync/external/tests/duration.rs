use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use crate::sync::external::duration::{interval, parse};

#[test]
fn go_durations() {
    const SECOND: i64 = 1_000_000_000;
    for (text, nanoseconds) in [
        ("0", 0),
        ("0s", 0),
        ("1h0m0s", 3600 * SECOND),
        ("1.5h", 5400 * SECOND),
        (".5s", SECOND / 2),
        ("5.s", 5 * SECOND),
        ("300ms", 300_000_000),
        ("-1m", -60 * SECOND),
        ("+1m", 60 * SECOND),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("1μs", 1_000),
        ("7ns", 7),
        ("1h1h", 7200 * SECOND),
        ("720h", 30 * 24 * 3600 * SECOND),
        ("9223372036854775807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
    ] {
        assert_eq!(parse(text), Ok(SignedDuration::from_nanos(nanoseconds)), "{text}");
    }
    for text in [
        "",
        "1",
        "h",
        "-",
        "+",
        ".",
        ".s",
        "1d",
        "1w",
        "1H",
        " 1h",
        "1h ",
        "1 h",
        "1h-5m",
        "1e3s",
        "9223372036854775808ns",
        "2562048h",
    ] {
        assert!(parse(text).unwrap_err().to_string().starts_with(&format!("{text:?} is not a duration")), "{text}");
    }
    assert_eq!(interval("-5m"), Ok(Duration::ZERO));
    assert_eq!(interval("5m"), Ok(Duration::from_secs(300)));
}

proptest! {
    #[test]
    fn what_is_written_is_read(hours in 0..2_000_000_i64, minutes in 0..60_i64, seconds in 0..60_i64, nanoseconds in 0..1_000_000_000_i64) {
        let total = SignedDuration::from_secs(hours * 3600 + minutes * 60 + seconds) + SignedDuration::from_nanos(nanoseconds);
        prop_assert_eq!(parse(&format!("{hours}h{minutes}m{seconds}s{nanoseconds}ns")), Ok(total));
        let joined = format!("{}.{nanoseconds:09}s", total.as_secs());
        prop_assert_eq!(parse(&joined), Ok(total));
        prop_assert_eq!(parse(&format!("-{joined}")), Ok(-total));
    }

    #[test]
    fn no_text_panics(text in ".*") {
        let _outcome = parse(&text);
    }
}
