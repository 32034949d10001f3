//! Go's `time` package as far as templates reach it: moments, layouts in terms of `Mon Jan 2 15:04:05 2006`, durations.
//!
//! The local time zone is UTC. A controller's container has no other, and a template must not render differently on
//! somebody's laptop.

mod duration;
mod layout;
mod parse;

use std::rc::Rc;

use jiff::{SignedDuration, Timestamp, civil::Weekday, tz::TimeZone};

pub(crate) use duration::{Duration, parse_duration};

use super::error::Fault;

/// A `time.Time`: an instant and the zone that it is shown in.
#[derive(Clone)]
pub(crate) struct Moment {
    instant: Timestamp,
    zone: TimeZone,
    /// The abbreviation of a zone that was read from text; such a zone is not in the database.
    name: Option<Rc<str>>,
}

impl Moment {
    /// An instant in UTC.
    pub(crate) const fn utc(instant: Timestamp) -> Self {
        Self { instant, zone: TimeZone::UTC, name: None }
    }

    /// Go's zero time, the first of January of the year 1.
    pub(crate) fn zero() -> Self {
        Self::utc(Timestamp::from_second(-62_135_596_800).unwrap_or(Timestamp::MIN))
    }

    /// Seconds since 1970.
    pub(crate) fn from_unix(seconds: i64) -> Result<Self, Fault> {
        Timestamp::from_second(seconds).map(Self::utc).map_err(|_| OUT_OF_RANGE)
    }

    /// Reads `text` by a layout.
    pub(crate) fn parse(layout: &[u8], text: &[u8]) -> Option<Self> {
        parse::parse(layout, text)
    }

    /// The same instant in a zone of the database; UTC when there is no such zone, as Sprig does it.
    pub(crate) fn in_zone(&self, zone: &[u8]) -> Self {
        let zone = match zone {
            b"" | b"UTC" | b"Local" => TimeZone::UTC,
            name => std::str::from_utf8(name).ok().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC),
        };
        Self { instant: self.instant, zone, name: None }
    }

    /// Writes it by a layout.
    pub(crate) fn format(&self, layout: &[u8]) -> Vec<u8> {
        layout::format(self, layout)
    }

    /// As Go prints a time.
    pub(crate) fn display(&self) -> Vec<u8> {
        self.format(b"2006-01-02 15:04:05.999999999 -0700 MST")
    }

    /// As Go writes a time into JSON.
    pub(crate) fn json(&self) -> Vec<u8> {
        self.format(b"2006-01-02T15:04:05.999999999Z07:00")
    }

    /// Later by a duration.
    pub(crate) fn add(&self, duration: Duration) -> Result<Self, Fault> {
        let instant = self.instant.checked_add(SignedDuration::from_nanos(duration.0)).map_err(|_| OUT_OF_RANGE)?;
        Ok(Self { instant, ..self.clone() })
    }

    /// How long ago `earlier` was; saturates as in Go.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let nanoseconds = self.instant.as_nanosecond() - earlier.instant.as_nanosecond();
        Duration(i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX }))
    }

    /// The instant.
    pub(crate) const fn instant(&self) -> Timestamp {
        self.instant
    }

    /// Whether both are the same instant shown in the same zone.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.instant == other.instant && self.zone == other.zone && self.name == other.name
    }

    /// A method of `time.Time` that takes no argument, for templates such as `{{ now.Year }}`.
    pub(crate) fn number(&self, method: &str) -> Option<i64> {
        let civil = self.zone.to_datetime(self.instant);
        Some(match method {
            "Unix" => self.instant.as_second(),
            "UnixMilli" => self.instant.as_millisecond(),
            "UnixMicro" => self.instant.as_microsecond(),
            "UnixNano" => i64::try_from(self.instant.as_nanosecond()).ok()?,
            "Year" => civil.year().into(),
            "Day" => civil.day().into(),
            "Hour" => civil.hour().into(),
            "Minute" => civil.minute().into(),
            "Second" => civil.second().into(),
            "Nanosecond" => civil.subsec_nanosecond().into(),
            "YearDay" => civil.day_of_year().into(),
            _ => return None,
        })
    }
}

/// Names of months in English, as layouts spell them.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Names of days in English, as layouts spell them.
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn weekday_name(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Sunday => WEEKDAYS[0],
        Weekday::Monday => WEEKDAYS[1],
        Weekday::Tuesday => WEEKDAYS[2],
        Weekday::Wednesday => WEEKDAYS[3],
        Weekday::Thursday => WEEKDAYS[4],
        Weekday::Friday => WEEKDAYS[5],
        Weekday::Saturday => WEEKDAYS[6],
    }
}

fn month_name(month: i8) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or_default()
}

const OUT_OF_RANGE: Fault = Fault::refused("the time is out of range");
