//! Dates. What is no date counts as now, as in Sprig; `now` is the caller's.

use super::{Call, Function, Outcome, function, numbers::Overflow, numbers::integer, wrong_type};
use crate::secret::template::{
    error::Fault,
    time::{Duration, Moment, parse_duration},
    value::{Value, Width},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("now", 0, 0, |call| Ok(Value::Moment(now(call)))),
    function("ago", 1, 1, |call| {
        let elapsed = now(call).since(&moment(call, 0)?);
        Ok(Value::text(elapsed.round_to_seconds().display()))
    }),
    function("date", 2, 2, |call| formatted(call, call.text(0)?, 1, b"Local")),
    function("dateInZone", 3, 3, |call| formatted(call, call.text(0)?, 1, call.text(2)?)),
    function("date_in_zone", 3, 3, |call| formatted(call, call.text(0)?, 1, call.text(2)?)),
    function("htmlDate", 1, 1, |call| formatted(call, b"2006-01-02", 0, b"Local")),
    function("htmlDateInZone", 2, 2, |call| formatted(call, b"2006-01-02", 0, call.text(1)?)),
    function("dateModify", 2, 2, |call| modified(call, false)),
    function("date_modify", 2, 2, |call| modified(call, false)),
    function("mustDateModify", 2, 2, |call| modified(call, true)),
    function("must_date_modify", 2, 2, |call| modified(call, true)),
    function("toDate", 2, 2, |call| {
        Ok(Value::Moment(Moment::parse(call.text(0)?, call.text(1)?).unwrap_or_else(Moment::zero)))
    }),
    function("mustToDate", 2, 2, |call| {
        let moment = Moment::parse(call.text(0)?, call.text(1)?);
        moment.map(Value::Moment).ok_or(Fault::refused("the text is not a date in this layout"))
    }),
    function("unixEpoch", 1, 1, |call| Ok(Value::text(exact(call, 0)?.instant().as_second().to_string()))),
    function("duration", 1, 1, |call| {
        let seconds = match call.any(0)? {
            Value::Text(text) => integer(text.bytes(), 10).unwrap_or_else(Overflow::nearest),
            Value::Int(seconds, Width::Long) => *seconds,
            _ => 0,
        };
        Ok(Value::text(Duration::from_seconds(seconds).display()))
    }),
    function("durationRound", 1, 1, |call| {
        let duration = match call.any(0)? {
            Value::Text(text) => parse_duration(text.bytes()).unwrap_or(Duration(0)),
            Value::Int(nanoseconds, Width::Long) => Duration(*nanoseconds),
            Value::Moment(moment) => now(call).since(moment),
            _ => Duration(0),
        };
        Ok(Value::text(duration.rounded()))
    }),
];

fn now(call: &Call<'_>) -> Moment {
    Moment::utc(call.environment.now)
}

/// A time, or seconds since 1970, or else now.
fn moment(call: &Call<'_>, index: usize) -> Result<Moment, Fault> {
    match call.any(index)? {
        Value::Moment(moment) => Ok(moment.clone()),
        Value::Int(seconds, Width::Int | Width::Long) => Moment::from_unix(*seconds),
        _ => Ok(now(call)),
    }
}

fn exact<'a>(call: &Call<'a>, index: usize) -> Result<&'a Moment, Fault> {
    match call.any(index)? {
        Value::Moment(moment) => Ok(moment),
        other => Err(wrong_type(index, "time.Time", other)),
    }
}

fn formatted(call: &Call<'_>, layout: &[u8], date: usize, zone: &[u8]) -> Outcome {
    call.budget.text(layout.len().saturating_mul(9))?;
    Ok(Value::text(moment(call, date)?.in_zone(zone).format(layout)))
}

fn modified(call: &Call<'_>, strict: bool) -> Outcome {
    let moment = exact(call, 1)?;
    match parse_duration(call.text(0)?) {
        Some(duration) => moment.add(duration).map(Value::Moment),
        None if strict => Err(Fault::refused("the text is not a duration")),
        None => Ok(Value::Moment(moment.clone())),
    }
}
