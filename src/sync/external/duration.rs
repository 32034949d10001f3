//! Go's durations, as `refreshInterval` has them: `1h0m0s`, `1.5h`, `300ms`.

use std::time::Duration;

use jiff::SignedDuration;

use crate::secret::template;

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration such as 1h30m or 300ms, of at most 292 years")]
pub struct DurationError(String);

/// Reads a duration; it may be negative.
///
/// # Errors
///
/// [`DurationError`] if it is malformed or longer than 292 years.
pub fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    template::parse_duration(text).map(SignedDuration::from_nanos).ok_or_else(|| DurationError(text.to_owned()))
}

/// Reads an interval; a negative one is zero.
///
/// # Errors
///
/// As [`parse`].
pub fn interval(text: &str) -> Result<Duration, DurationError> {
    parse(text).map(|duration| Duration::try_from(duration).unwrap_or(Duration::ZERO))
}
