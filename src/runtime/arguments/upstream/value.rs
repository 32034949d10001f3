//! Values as Go's flags take them, checked and brought into the form that ours take.

use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};

use super::flags::Kind;

/// `text` as a value of `kind`, in our form; else what is wrong with it.
pub(super) fn read(kind: Kind, text: &str) -> Result<String, String> {
    match kind {
        Kind::Text => Ok(text.to_owned()),
        Kind::Switch => switch(text).map(|on| on.to_string()),
        Kind::Whole => text.parse::<i64>().map(|_| text.to_owned()).map_err(|_| "it must be a whole number".to_owned()),
        Kind::Decimal => text.parse::<f64>().map(|_| text.to_owned()).map_err(|_| "it must be a number".to_owned()),
        Kind::Duration if is_duration(text) => Ok(text.to_owned()),
        Kind::Duration => Err("it must be a duration such as 720h or 1h30m".to_owned()),
        Kind::Address => address(text).map(|address| address.to_string()),
        Kind::Word(words) if words.contains(&text) => Ok(text.to_owned()),
        Kind::Word(words) => Err(format!("it must be one of {}", words.join(", "))),
    }
}

/// What Go takes for a boolean.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

/// Numbers with units, such as `1h30m`, `-1.5s`, or a plain `0`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(unit_at);
        let is_number = number.parse::<f64>().is_ok();
        let next_at = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(next_at);
        if !is_number || !matches!(unit, "ns" | "us" | "µs" | "ms" | "s" | "m" | "h") {
            return false;
        }
        parts += 1;
        rest = next;
    }
    parts > 0
}

/// An address to listen at; without a host it is every address of the machine, as in Go.
fn address(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = text.rsplit_once(':').ok_or("it must be an address such as :8080")?;
    let port: u16 = port.parse().map_err(|_| "its port must be a number up to 65535".to_owned())?;
    if host.is_empty() {
        // Both protocols where the machine has the newer one.
        let any = if UdpSocket::bind("[::]:0").is_ok() { "[::]" } else { "0.0.0.0" };
        return format!("{any}:{port}").parse().map_err(|_| "it is no address".to_owned());
    }
    let mut found = text.to_socket_addrs().map_err(|_| "its host is not known".to_owned())?;
    found.next().ok_or_else(|| "its host has no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_go_reads_them() {
        let good = [
            (Kind::Switch, "T", "true"),
            (Kind::Switch, "0", "false"),
            (Kind::Whole, "-5", "-5"),
            (Kind::Decimal, "-1", "-1"),
            (Kind::Decimal, "2.5", "2.5"),
            (Kind::Duration, "0", "0"),
            (Kind::Duration, "87600h0m0s", "87600h0m0s"),
            (Kind::Duration, "1.5h", "1.5h"),
            (Kind::Address, "127.0.0.1:8081", "127.0.0.1:8081"),
            (Kind::Address, "[::1]:80", "[::1]:80"),
            (Kind::Word(&["a", "b"]), "b", "b"),
        ];
        for (kind, text, expected) in good {
            assert_eq!(read(kind, text).as_deref(), Ok(expected), "{kind:?} {text}");
        }
        let any = read(Kind::Address, ":8080").unwrap();
        assert!(any == "[::]:8080" || any == "0.0.0.0:8080", "{any}");
        let bad = [
            (Kind::Switch, "yes"),
            (Kind::Whole, "5.5"),
            (Kind::Whole, ""),
            (Kind::Decimal, "five"),
            (Kind::Duration, "30d"),
            (Kind::Duration, "12"),
            (Kind::Duration, ""),
            (Kind::Duration, "h"),
            (Kind::Address, "8080"),
            (Kind::Address, ":99999"),
            (Kind::Word(&["a", "b"]), "c"),
        ];
        for (kind, text) in bad {
            assert!(read(kind, text).is_err(), "{kind:?} {text:?}");
        }
    }
}
