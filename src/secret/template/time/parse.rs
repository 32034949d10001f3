//! Reading a time by a layout, the way Go's `time.ParseInLocation` does with UTC as the local zone.

use jiff::{
    civil::{Date, Time},
    tz::{self, TimeZone},
};

use super::{
    MONTHS, Moment, WEEKDAYS,
    layout::{Offset, Part, next_part},
};

/// What has been read so far.
#[derive(Default)]
struct Parts {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i32>,
    zone: Option<String>,
}

/// The moment that `text` says, or nothing if it does not follow the layout.
pub(super) fn parse(mut layout: &[u8], mut text: &[u8]) -> Option<Moment> {
    let mut parts = Parts::default();
    while let Some((literal, part, rest)) = next_part(layout) {
        text = skip(text, literal)?;
        layout = rest;
        text = parts.read(part, text, layout)?;
    }
    text = skip(text, layout)?;
    if text.is_empty() { parts.moment() } else { None }
}

impl Parts {
    fn read<'t>(&mut self, part: Part, text: &'t [u8], layout: &[u8]) -> Option<&'t [u8]> {
        let (value, text) = match part {
            Part::Year => {
                let (year, text) = fixed(text, 2)?;
                (if year >= 69 { year + 1900 } else { year + 2000 }, text)
            }
            Part::LongYear => fixed(text, 4)?,
            Part::Month => named(text, &MONTHS, 3)?,
            Part::LongMonth => named(text, &MONTHS, usize::MAX)?,
            Part::NumericMonth | Part::ZeroMonth => within(number(text, part == Part::ZeroMonth)?, 1, 12)?,
            Part::Weekday => named(text, &WEEKDAYS, 3)?,
            Part::LongWeekday => named(text, &WEEKDAYS, usize::MAX)?,
            Part::PaddedDay => number(text.strip_prefix(b" ").unwrap_or(text), false)?,
            Part::Day | Part::ZeroDay => number(text, part == Part::ZeroDay)?,
            Part::PaddedYearDay => {
                let text = text.strip_prefix(b" ").unwrap_or(text);
                up_to(text.strip_prefix(b" ").unwrap_or(text), 3, false)?
            }
            Part::ZeroYearDay => up_to(text, 3, true)?,
            Part::Hour => within(number(text, false)?, 0, 23)?,
            Part::Hour12 | Part::ZeroHour12 => within(number(text, part == Part::ZeroHour12)?, 0, 12)?,
            Part::Minute | Part::ZeroMinute => within(number(text, part == Part::ZeroMinute)?, 0, 59)?,
            Part::Second | Part::ZeroSecond => within(number(text, part == Part::ZeroSecond)?, 0, 59)?,
            Part::UpperHalf | Part::LowerHalf => return self.read_half(part, text),
            Part::ZoneName => return self.read_zone(text),
            Part::Offset(form) => return self.read_offset(form, text),
            Part::Fraction(digits, _) => return self.read_fraction(text, digits),
            Part::ShortFraction(..) => {
                let digits = text.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
                return match text.first() {
                    Some(b'.' | b',') if digits > 0 => self.read_fraction(text, digits),
                    _ => Some(text),
                };
            }
        };
        match part {
            Part::Year | Part::LongYear => self.year = value,
            Part::Month | Part::LongMonth => self.month = Some(i8::try_from(value + 1).ok()?),
            Part::NumericMonth | Part::ZeroMonth => self.month = Some(i8::try_from(value).ok()?),
            Part::Day | Part::PaddedDay | Part::ZeroDay => self.day = Some(i8::try_from(value).ok()?),
            Part::PaddedYearDay | Part::ZeroYearDay => self.year_day = Some(value),
            Part::Hour | Part::Hour12 | Part::ZeroHour12 => self.hour = i8::try_from(value).ok()?,
            Part::Minute | Part::ZeroMinute => self.minute = i8::try_from(value).ok()?,
            Part::Second | Part::ZeroSecond => {
                self.second = i8::try_from(value).ok()?;
                return self.read_unexpected_fraction(text, layout);
            }
            // Days of the week are checked for their spelling only.
            Part::Weekday
            | Part::LongWeekday
            | Part::UpperHalf
            | Part::LowerHalf
            | Part::ZoneName
            | Part::Offset(_)
            | Part::Fraction(..)
            | Part::ShortFraction(..) => {}
        }
        Some(text)
    }

    fn read_half<'t>(&mut self, part: Part, text: &'t [u8]) -> Option<&'t [u8]> {
        let (word, rest) = text.split_at_checked(2)?;
        self.afternoon = Some(match (part, word) {
            (Part::UpperHalf, b"PM") | (Part::LowerHalf, b"pm") => true,
            (Part::UpperHalf, b"AM") | (Part::LowerHalf, b"am") => false,
            _ => return None,
        });
        Some(rest)
    }

    /// A fraction of a second is read after seconds even where the layout has none.
    fn read_unexpected_fraction<'t>(&mut self, text: &'t [u8], layout: &[u8]) -> Option<&'t [u8]> {
        let expected =
            next_part(layout).is_some_and(|(_, part, _)| matches!(part, Part::Fraction(..) | Part::ShortFraction(..)));
        let digits = text.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
        match text.first() {
            Some(b'.' | b',') if digits > 0 && !expected => self.read_fraction(text, digits),
            _ => Some(text),
        }
    }

    fn read_fraction<'t>(&mut self, text: &'t [u8], digits: usize) -> Option<&'t [u8]> {
        let (fraction, rest) = text.split_at_checked(digits + 1)?;
        let (separator, fraction) = fraction.split_first()?;
        if !matches!(separator, b'.' | b',') || !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits = fraction.iter().map(|digit| i32::from(digit - b'0'));
        self.nanosecond = digits.chain(std::iter::repeat(0)).take(9).fold(0, |sum, digit| sum * 10 + digit);
        Some(rest)
    }

    fn read_offset<'t>(&mut self, form: Offset, text: &'t [u8]) -> Option<&'t [u8]> {
        if form.zulu
            && let [b'Z', rest @ ..] = text
        {
            self.utc = true;
            return Some(rest);
        }
        let (sign, rest) = text.split_first()?;
        let (hours, mut rest) = fixed(rest, 2)?;
        let mut seconds = i32::from(within((hours, rest), 0, 24)?.0) * 3600;
        for (wanted, unit) in [(form.minutes, 60), (form.seconds, 1)] {
            if wanted {
                let start = if form.colon { rest.strip_prefix(b":")? } else { rest };
                let (value, tail) = within(fixed(start, 2)?, 0, 60)?;
                seconds += i32::from(value) * unit;
                rest = tail;
            }
        }
        self.offset = Some(match sign {
            b'+' => seconds,
            b'-' => -seconds,
            _ => return None,
        });
        Some(rest)
    }

    fn read_zone<'t>(&mut self, text: &'t [u8]) -> Option<&'t [u8]> {
        if let Some(rest) = text.strip_prefix(b"UTC") {
            self.utc = true;
            return Some(rest);
        }
        let (name, rest) = text.split_at_checked(zone_length(text)?)?;
        self.zone = Some(std::str::from_utf8(name).ok()?.to_owned());
        Some(rest)
    }

    fn moment(self) -> Option<Moment> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match self.year_day {
            Some(day) => {
                let date = Date::new(self.year, 1, 1).ok()?.with().day_of_year(day).build().ok()?;
                let agrees = self.month.is_none_or(|month| month == date.month())
                    && self.day.is_none_or(|day| day == date.day());
                agrees.then_some(date)?
            }
            None => Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        let civil = date.to_datetime(Time::new(hour, self.minute, self.second, self.nanosecond).ok()?);
        let (seconds, name) = match (self.utc, self.offset, self.zone) {
            (true, ..) | (false, None, None) => (0, None),
            (false, Some(0), None) => (0, None),
            (false, Some(0), Some(name)) if name == "UTC" => (0, None),
            (false, Some(offset), name) => (offset, Some(name.unwrap_or_default())),
            // The hours of "GMT+3" are the only offset that an abbreviation carries.
            (false, None, Some(name)) => {
                let hours = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok()).unwrap_or(0);
                (hours * 3600, Some(name))
            }
        };
        let zone = TimeZone::fixed(tz::Offset::from_seconds(seconds).ok()?);
        let instant = zone.to_timestamp(civil).ok()?;
        let zone = if name.is_none() { TimeZone::UTC } else { zone };
        Some(Moment { instant, zone, name: name.map(Into::into) })
    }
}

/// Literal text; a space stands for any number of spaces.
fn skip<'t>(mut text: &'t [u8], mut literal: &[u8]) -> Option<&'t [u8]> {
    while let Some((first, rest)) = literal.split_first() {
        if *first == b' ' {
            if text.first().is_some_and(|byte| *byte != b' ') {
                return None;
            }
            literal = trim_spaces(literal);
            text = trim_spaces(text);
        } else {
            text = text.strip_prefix(&[*first])?;
            literal = rest;
        }
    }
    Some(text)
}

fn trim_spaces(text: &[u8]) -> &[u8] {
    let length = text.iter().take_while(|byte| **byte == b' ').count();
    text.get(length..).unwrap_or_default()
}

type Read<'t> = (i16, &'t [u8]);

fn fixed(text: &[u8], length: usize) -> Option<Read<'_>> {
    up_to(text, length, true)
}

/// One or two digits; exactly two if `padded`.
fn number(text: &[u8], padded: bool) -> Option<Read<'_>> {
    up_to(text, 2, padded)
}

fn up_to(text: &[u8], most: usize, exactly: bool) -> Option<Read<'_>> {
    let length = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || (exactly && length != most) {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    Some((digits.iter().fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0')), rest))
}

fn within(read: Read<'_>, least: i16, most: i16) -> Option<Read<'_>> {
    (least..=most).contains(&read.0).then_some(read)
}

fn named<'t>(text: &'t [u8], names: &[&str], length: usize) -> Option<Read<'t>> {
    names.iter().zip(0..).find_map(|(name, index)| {
        let name = name.get(..length.min(name.len()))?;
        let (head, rest) = text.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name.as_bytes()).then_some((index, rest))
    })
}

/// The length of what looks like the abbreviation of a time zone.
fn zone_length(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_length(rest));
    }
    if matches!(text.first()?, b'+' | b'-') {
        return Some(signed_length(text)).filter(|length| *length > 0 && text.len() >= 3);
    }
    match text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count() {
        3 => Some(3),
        4 if text.get(3) == Some(&b'T') || text.starts_with(b"WITA") => Some(4),
        5 if text.get(4) == Some(&b'T') => Some(5),
        _ => None,
    }
}

fn signed_length(text: &[u8]) -> usize {
    let [b'+' | b'-', rest @ ..] = text else {
        return 0;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let hours = rest.iter().take(digits).fold(0_u32, |sum, digit| sum.saturating_mul(10) + u32::from(digit - b'0'));
    if digits == 0 || hours > 23 { 0 } else { digits + 1 }
}
