//! Schedules in five fields, as the parser that External Secrets uses reads them.
//!
//! It differs from other crons in what it takes (`?`, no `7` for Sunday) and in when the day of month *or* the day of
//! week suffices: only if neither field has a star without a step.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, civil, tz::TimeZone};

use crate::sync::external::duration;

/// When something happens again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync::external) enum Schedule {
    /// At moments that a calendar names.
    Calendar(Box<Calendar>),
    /// At multiples of a time, from 1970 on.
    Every(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync::external) struct Calendar {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// The numbers that a field admits, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// Whether any part is a star without a step.
    star: bool,
}

/// What a field may contain.
struct Bounds {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of the numbers from `least` on.
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { name: "minute", least: 0, most: 59, names: &[] };
const HOURS: Bounds = Bounds { name: "hour", least: 0, most: 23, names: &[] };
const DAYS: Bounds = Bounds { name: "day of month", least: 1, most: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds =
    Bounds { name: "day of week", least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// Days that are searched for one that matches: five years and what is left of the first.
const HORIZON: usize = 6 * 366;

impl Schedule {
    /// Reads a schedule, or says what is wrong with it.
    pub(in crate::sync::external) fn parse(text: &str) -> Result<Self, String> {
        let fields = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => match other.strip_prefix("@every ") {
                Some(every) => return Self::every(every.trim()),
                None => other,
            },
        };
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts[..] else {
            return Err(format!("{text:?} is not a schedule of five fields, @daily or @every 1h"));
        };
        Ok(Self::Calendar(Box::new(Calendar {
            minutes: Field::parse(minutes, &MINUTES)?,
            hours: Field::parse(hours, &HOURS)?,
            days: Field::parse(days, &DAYS)?,
            months: Field::parse(months, &MONTHS)?,
            weekdays: Field::parse(weekdays, &WEEKDAYS)?,
        })))
    }

    fn every(text: &str) -> Result<Self, String> {
        let every = duration::interval(text).map_err(|error| error.to_string())?;
        Ok(Self::Every(Duration::from_secs(every.as_secs().max(1))))
    }

    /// Whether it surely happens at least once in every time of that length.
    pub(super) fn repeats_within(&self, length: Duration) -> bool {
        match self {
            Self::Every(every) => length >= *every,
            Self::Calendar(calendar) => {
                let any_day = calendar.days.is_any(&DAYS)
                    && calendar.months.is_any(&MONTHS)
                    && calendar.weekdays.is_any(&WEEKDAYS);
                let any_hour = any_day && calendar.hours.is_any(&HOURS);
                let any_minute = any_hour && calendar.minutes.is_any(&MINUTES);
                (any_minute && length >= Duration::from_secs(60))
                    || (any_hour && length >= Duration::from_secs(3600))
                    || (any_day && length >= Duration::from_secs(86_400))
            }
        }
    }

    /// The first moment after `moment` at which it happens; `None` if there is none within five years.
    pub(in crate::sync::external) fn next(&self, moment: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(every) => {
                let seconds = i64::try_from(every.as_secs()).ok()?;
                let next = moment.as_second().div_euclid(seconds).checked_add(1)?.checked_mul(seconds)?;
                Timestamp::from_second(next).ok()
            }
            Self::Calendar(calendar) => calendar.next(moment),
        }
    }
}

impl Calendar {
    fn next(&self, moment: Timestamp) -> Option<Timestamp> {
        let start = TimeZone::UTC.to_datetime(moment);
        // The minute after the one that has begun.
        let start = start.with().second(0).subsec_nanosecond(0).build().ok()?.checked_add(1.minute()).ok()?;
        let mut day = start.date();
        let mut from = (i32::from(start.hour()), i32::from(start.minute()));
        for _ in 0..HORIZON {
            if self.is_on(day)
                && let Some((hour, minute)) = self.first_from(from)
            {
                return TimeZone::UTC.to_timestamp(day.at(hour, minute, 0, 0)).ok();
            }
            day = day.tomorrow().ok()?;
            from = (0, 0);
        }
        None
    }

    fn is_on(&self, day: civil::Date) -> bool {
        let weekday = self.weekdays.has(i32::from(day.weekday().to_sunday_zero_offset()));
        let date = self.days.has(i32::from(day.day()));
        let day_matches = if self.days.star || self.weekdays.star { date && weekday } else { date || weekday };
        day_matches && self.months.has(i32::from(day.month()))
    }

    /// The first time of day from `from` on.
    fn first_from(&self, from: (i32, i32)) -> Option<(i8, i8)> {
        let mut least = from.1;
        for hour in from.0..24 {
            if self.hours.has(hour)
                && let Some(minute) = (least..60).find(|minute| self.minutes.has(*minute))
            {
                return Some((i8::try_from(hour).ok()?, i8::try_from(minute).ok()?));
            }
            least = 0;
        }
        None
    }
}

impl Field {
    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let mut field = Self { bits: 0, star: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let part = Self::part(part, bounds)
                .ok_or_else(|| format!("{part:?} is not a valid {} of a schedule", bounds.name))?;
            field = Self { bits: field.bits | part.bits, star: field.star || part.star };
        }
        if field.bits == 0 { Err(format!("{text:?} admits no {}", bounds.name)) } else { Ok(field) }
    }

    /// `*`, `5`, `1-5`, each also with a step as in `*/2`. `5/10` goes on to the end.
    fn part(text: &str, bounds: &Bounds) -> Option<Self> {
        let (range, step) = match text.split_once('/') {
            None => (text, None),
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
        };
        let (least, most) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (bounds.least, bounds.most),
            Some((least, most)) => (bounds.number(least)?, bounds.number(most)?),
            None if step.is_some() => (bounds.number(range)?, bounds.most),
            None => (bounds.number(range)?, bounds.number(range)?),
        };
        if least > most {
            return None;
        }
        let step = step.unwrap_or(1);
        let bits = (least..=most).step_by(usize::try_from(step).ok()?).fold(0, |bits, number| bits | 1 << number);
        Some(Self { bits, star: (range == "*" || range == "?") && step == 1 })
    }

    const fn has(self, number: i32) -> bool {
        self.bits & (1 << number) != 0
    }

    fn is_any(self, bounds: &Bounds) -> bool {
        (bounds.least..=bounds.most).all(|number| self.bits & (1 << number) != 0)
    }
}

impl Bounds {
    fn number(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(index) => self.least + u32::try_from(index).ok()?,
            None => text.parse().ok()?,
        };
        (self.least..=self.most).contains(&number).then_some(number)
    }
}
