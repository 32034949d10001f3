//! The fields and methods of the few structured values: times, versions, certificates.

use super::{
    error::{Fault, Reason},
    time::{Duration, Moment},
    value::Value,
};

/// `value.name arguments`.
pub(super) fn call(value: &Value, name: &str, given: &[Value]) -> Result<Value, Fault> {
    let found = match (value, given) {
        (Value::Moment(moment), given) => of_moment(moment, name, given)?,
        (Value::Certificate(certificate), []) => match name {
            "Cert" => Some(Value::Text(certificate.certificate.clone())),
            "Key" => Some(Value::Text(certificate.key.clone())),
            _ => None,
        },
        (Value::Version(version), []) => version.field(name),
        (Value::Version(version), [Value::Version(other)]) => version.compared(name, other),
        _ => None,
    };
    found.ok_or_else(|| {
        let expected = "something with this field or method";
        Fault::Because(Reason::Type { argument: 0, expected, found: value.type_name() })
    })
}

fn of_moment(moment: &Moment, name: &str, given: &[Value]) -> Result<Option<Value>, Fault> {
    Ok(match (name, given) {
        ("Format", [Value::Text(layout)]) => Some(Value::text(moment.format(layout.bytes()))),
        ("UTC" | "Local", []) => Some(Value::Moment(moment.in_zone(b"UTC"))),
        ("String", []) => Some(Value::text(moment.display())),
        ("IsZero", []) => Some(Value::Bool(moment.instant() == Moment::zero().instant())),
        ("Add", [Value::Int(nanoseconds, _)]) => Some(Value::Moment(moment.add(Duration(*nanoseconds))?)),
        ("After", [Value::Moment(other)]) => Some(Value::Bool(moment.instant() > other.instant())),
        ("Before", [Value::Moment(other)]) => Some(Value::Bool(moment.instant() < other.instant())),
        ("Equal", [Value::Moment(other)]) => Some(Value::Bool(moment.instant() == other.instant())),
        ("Month", []) => Some(Value::text(moment.format(b"January"))),
        ("Weekday", []) => Some(Value::text(moment.format(b"Monday"))),
        ("Unix" | "UnixMilli" | "UnixMicro" | "UnixNano", []) => moment.number(name).map(Value::long),
        (_, []) => moment.number(name).map(Value::int),
        _ => None,
    })
}
