//! Go's durations: `1h30m`, `-2.5s`.

/// A signed number of nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Duration(pub(crate) i64);

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Duration {
    /// Whole seconds; wraps as Go's multiplication does.
    pub(crate) const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.wrapping_mul(1_000_000_000))
    }

    /// To the nearest second, halves away from zero.
    pub(crate) const fn round_to_seconds(self) -> Self {
        let rest = self.0 % 1_000_000_000;
        let whole = self.0 - rest;
        if rest >= 500_000_000 {
            Self(whole.saturating_add(1_000_000_000))
        } else if rest <= -500_000_000 {
            Self(whole.saturating_sub(1_000_000_000))
        } else {
            Self(whole)
        }
    }

    /// As Go prints it: `72h3m0.5s`.
    pub(crate) fn display(self) -> String {
        let total = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        if total == 0 {
            return "0s".to_owned();
        }
        if total < SECOND {
            let (unit, name) = match total {
                0..MICROSECOND => (1, "ns"),
                MICROSECOND..MILLISECOND => (MICROSECOND, "µs"),
                _ => (MILLISECOND, "ms"),
            };
            return format!("{sign}{}{name}", decimal(total, unit));
        }
        let seconds = format!("{}s", decimal(total % MINUTE, SECOND));
        let minutes = total / MINUTE;
        match (minutes / 60, minutes % 60) {
            (0, 0) => format!("{sign}{seconds}"),
            (0, minutes) => format!("{sign}{minutes}m{seconds}"),
            (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
        }
    }

    /// Sprig's `durationRound`: the largest unit that fits more than once.
    pub(crate) fn rounded(self) -> String {
        let total = self.0.unsigned_abs();
        let units = [(365 * DAY, "y"), (30 * DAY, "mo"), (DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")];
        units
            .iter()
            .find(|(unit, _)| total > *unit)
            .map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", total / unit))
    }
}

fn decimal(total: u64, unit: u64) -> String {
    let (whole, rest) = (total / unit, total % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// Go's `time.ParseDuration`.
pub(crate) fn parse_duration(text: &[u8]) -> Option<Duration> {
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if rest == b"0" {
        return Some(Duration(0));
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after_fraction) = match after {
            [b'.', tail @ ..] => digits(tail),
            tail => (&[][..], tail),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let length = after_fraction.iter().position(|byte| *byte == b'.' || byte.is_ascii_digit());
        let (name, tail) = after_fraction.split_at(length.unwrap_or(after_fraction.len()));
        let unit = match std::str::from_utf8(name).ok()? {
            "ns" => 1,
            "us" | "µs" | "μs" => MICROSECOND,
            "ms" => MILLISECOND,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            _ => return None,
        };
        let whole = whole.iter().try_fold(0_u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')).filter(|sum| *sum <= 1 << 63)
        })?;
        let part = fraction
            .iter()
            .take(18)
            .fold((0_u64, 1.0_f64), |(sum, scale), digit| (sum * 10 + u64::from(digit - b'0'), scale * 10.0));
        let nanoseconds = whole.checked_mul(unit)?.checked_add((part.0 as f64 * (unit as f64 / part.1)) as u64)?;
        total = total.checked_add(nanoseconds).filter(|total| *total <= 1 << 63)?;
        rest = tail;
    }
    if negative {
        return Some(Duration(0_i64.checked_sub_unsigned(total)?));
    }
    i64::try_from(total).ok().map(Duration)
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(length)
}
