//! Layouts: dates written by the example of `Mon Jan 2 15:04:05 MST 2006`.

use jiff::civil::DateTime;

use super::{Moment, month_name, weekday_name};

/// A piece of a layout that stands for a part of a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    LongMonth,
    Month,
    NumericMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    PaddedDay,
    ZeroDay,
    PaddedYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    ZoneName,
    Offset(Offset),
    /// `.000`: exactly so many digits, after this separator.
    Fraction(usize, u8),
    /// `.999`: as many digits as are needed, at most so many.
    ShortFraction(usize, u8),
}

/// How a distance from UTC is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    /// `Z` instead of a zero offset.
    pub(super) zulu: bool,
    pub(super) colon: bool,
    pub(super) minutes: bool,
    pub(super) seconds: bool,
}

const OFFSETS: [(&[u8], bool, bool, bool); 5] = [
    (b"070000", false, true, true),
    (b"07:00:00", true, true, true),
    (b"0700", false, true, false),
    (b"07:00", true, true, false),
    (b"07", false, false, false),
];

/// Splits a layout into literal text, the next part, and what follows.
pub(super) fn next_part(layout: &[u8]) -> Option<(&[u8], Part, &[u8])> {
    (0..layout.len()).find_map(|start| {
        let (prefix, rest) = layout.split_at(start);
        let (part, skip, length) = part_at(rest)?;
        // The underscore of "_2006" is literal text.
        let prefix = layout.get(..prefix.len() + skip)?;
        Some((prefix, part, rest.get(length..)?))
    })
}

fn part_at(text: &[u8]) -> Option<(Part, usize, usize)> {
    let plain = |part, length| Some((part, 0, length));
    let lower_follows = |at: usize| text.get(at).is_some_and(u8::is_ascii_lowercase);
    match text.first()? {
        b'J' if text.starts_with(b"January") => plain(Part::LongMonth, 7),
        b'J' if text.starts_with(b"Jan") && !lower_follows(3) => plain(Part::Month, 3),
        b'M' if text.starts_with(b"Monday") => plain(Part::LongWeekday, 6),
        b'M' if text.starts_with(b"Mon") && !lower_follows(3) => plain(Part::Weekday, 3),
        b'M' if text.starts_with(b"MST") => plain(Part::ZoneName, 3),
        b'0' if text.starts_with(b"002") => plain(Part::ZeroYearDay, 3),
        b'0' => {
            let part = match text.get(1)? {
                b'1' => Part::ZeroMonth,
                b'2' => Part::ZeroDay,
                b'3' => Part::ZeroHour12,
                b'4' => Part::ZeroMinute,
                b'5' => Part::ZeroSecond,
                b'6' => Part::Year,
                _ => return None,
            };
            plain(part, 2)
        }
        b'1' if text.starts_with(b"15") => plain(Part::Hour, 2),
        b'1' => plain(Part::NumericMonth, 1),
        b'2' if text.starts_with(b"2006") => plain(Part::LongYear, 4),
        b'2' => plain(Part::Day, 1),
        b'_' if text.starts_with(b"_2006") => Some((Part::LongYear, 1, 5)),
        b'_' if text.starts_with(b"_2") => plain(Part::PaddedDay, 2),
        b'_' if text.starts_with(b"__2") => plain(Part::PaddedYearDay, 3),
        b'3' => plain(Part::Hour12, 1),
        b'4' => plain(Part::Minute, 1),
        b'5' => plain(Part::Second, 1),
        b'P' if text.starts_with(b"PM") => plain(Part::UpperHalf, 2),
        b'p' if text.starts_with(b"pm") => plain(Part::LowerHalf, 2),
        sign @ (b'-' | b'Z') => {
            let (form, colon, minutes, seconds) =
                OFFSETS.into_iter().find(|(form, ..)| text.get(1..).is_some_and(|rest| rest.starts_with(form)))?;
            plain(Part::Offset(Offset { zulu: *sign == b'Z', colon, minutes, seconds }), form.len() + 1)
        }
        separator @ (b'.' | b',') => {
            let digit = *text.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
            let count = text.iter().skip(1).take_while(|next| **next == digit).count();
            if text.get(count + 1).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            let part = if digit == b'0' { Part::Fraction } else { Part::ShortFraction };
            plain(part(count, *separator), count + 1)
        }
        _ => None,
    }
}

/// Writes a moment by a layout.
pub(super) fn format(moment: &Moment, mut layout: &[u8]) -> Vec<u8> {
    let information = moment.zone.to_offset_info(moment.instant);
    let civil = information.offset().to_datetime(moment.instant);
    let offset = information.offset().seconds();
    let abbreviation = moment.name.as_deref().unwrap_or(information.abbreviation());
    let mut text = Vec::with_capacity(layout.len() + 16);
    while let Some((literal, part, rest)) = next_part(layout) {
        text.extend_from_slice(literal);
        match part {
            Part::Offset(form) => text.extend(written_offset(offset, form).bytes()),
            // Go has no name for such a zone and writes the number.
            Part::ZoneName if abbreviation.is_empty() => {
                let form = Offset { zulu: false, colon: false, minutes: true, seconds: false };
                text.extend(written_offset(offset, form).bytes());
            }
            Part::ZoneName => text.extend(abbreviation.bytes()),
            part => text.extend(written(civil, part).bytes()),
        }
        layout = rest;
    }
    text.extend_from_slice(layout);
    text
}

fn written_offset(seconds: i32, form: Offset) -> String {
    if form.zulu && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    let colon = if form.colon { ":" } else { "" };
    let mut text = format!("{sign}{:02}", seconds / 3600);
    if form.minutes {
        text += &format!("{colon}{:02}", seconds / 60 % 60);
    }
    if form.seconds {
        text += &format!("{colon}{:02}", seconds % 60);
    }
    text
}

fn written(civil: DateTime, part: Part) -> String {
    let hour12 = if civil.hour() % 12 == 0 { 12 } else { civil.hour() % 12 };
    let short = |name: &str| name.chars().take(3).collect::<String>();
    match part {
        Part::LongMonth => month_name(civil.month()).to_owned(),
        Part::Month => short(month_name(civil.month())),
        Part::NumericMonth => civil.month().to_string(),
        Part::ZeroMonth => format!("{:02}", civil.month()),
        Part::LongWeekday => weekday_name(civil.weekday()).to_owned(),
        Part::Weekday => short(weekday_name(civil.weekday())),
        Part::Day => civil.day().to_string(),
        Part::PaddedDay => format!("{:2}", civil.day()),
        Part::ZeroDay => format!("{:02}", civil.day()),
        Part::PaddedYearDay => format!("{:3}", civil.day_of_year()),
        Part::ZeroYearDay => format!("{:03}", civil.day_of_year()),
        Part::Hour => format!("{:02}", civil.hour()),
        Part::Hour12 => hour12.to_string(),
        Part::ZeroHour12 => format!("{hour12:02}"),
        Part::Minute => civil.minute().to_string(),
        Part::ZeroMinute => format!("{:02}", civil.minute()),
        Part::Second => civil.second().to_string(),
        Part::ZeroSecond => format!("{:02}", civil.second()),
        Part::LongYear if civil.year() < 0 => format!("-{:04}", civil.year().unsigned_abs()),
        Part::LongYear => format!("{:04}", civil.year()),
        Part::Year => format!("{:02}", civil.year().rem_euclid(100)),
        Part::UpperHalf => if civil.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
        Part::LowerHalf => if civil.hour() >= 12 { "pm" } else { "am" }.to_owned(),
        Part::Fraction(digits, separator) => {
            format!("{}{}", char::from(separator), fraction(civil, digits))
        }
        Part::ShortFraction(digits, separator) => {
            let fraction = fraction(civil, digits);
            match fraction.trim_end_matches('0') {
                "" => String::new(),
                fraction => format!("{}{fraction}", char::from(separator)),
            }
        }
        Part::ZoneName | Part::Offset(_) => String::new(),
    }
}

fn fraction(civil: DateTime, digits: usize) -> String {
    let mut text = format!("{:09}", civil.subsec_nanosecond());
    text.truncate(digits.min(9));
    text + &"0".repeat(digits.saturating_sub(9))
}
