//! How long something may take.

use std::time::Duration;

/// The longest that a document may ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads a duration such as `30s`, `1m30s` or `500ms`: whole numbers with `h`, `m`, `s` and `ms`, largest first, each once.
/// Nothing if it is something else, or longer than an hour.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = text;
    let mut total: u64 = 0;
    let mut smaller = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at(letters);
        let at = UNITS.iter().skip(smaller).position(|(name, _)| *name == unit)?;
        let (_, milliseconds) = UNITS.get(smaller + at)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*milliseconds)?)?;
        smaller += at + 1;
        rest = after;
    }
    let total = Duration::from_millis(total);
    (!text.is_empty() && total <= LONGEST).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_up_to_an_hour() {
        for (text, milliseconds) in
            [("30s", 30_000), ("1m30s", 90_000), ("1h", 3_600_000), ("500ms", 500), ("60m", 3_600_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in
            ["", "30", "s", "1h1s", "61m", "1s1s", "1s1m", "-1s", "1.5s", "1 s", "1d", "99999999999999999999s", "1ms1s"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
