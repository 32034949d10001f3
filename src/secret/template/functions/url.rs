//! URLs as Go's `net/url` takes them apart and puts them together; it leaves much alone that browsers change.

use bstr::ByteSlice as _;

use super::{Call, Function, Outcome, function};
use crate::secret::template::{
    error::Fault,
    value::{Text, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[function("urlParse", 1, 1, parse), function("urlJoin", 1, 1, join)];

const MALFORMED: Fault = Fault::refused("the text is not a URL");

/// Which part of a URL a text stands in; each has its own reserved characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Host,
    User,
    Fragment,
}

fn parse(call: &Call<'_>) -> Outcome {
    let text = call.text(0)?;
    let (text, fragment) = text.split_once_str("#").unwrap_or((text, b""));
    if text.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
        return Err(MALFORMED);
    }
    let (scheme, rest) = scheme(text)?;
    let scheme = scheme.to_ascii_lowercase();
    let (rest, query) = rest.split_once_str("?").unwrap_or((rest, b""));
    let (mut user, mut host, mut path, mut opaque): (Vec<u8>, Vec<u8>, Vec<u8>, &[u8]) =
        (Vec::new(), Vec::new(), Vec::new(), b"");
    if text == b"*" {
        path = b"*".to_vec();
    } else if !rest.starts_with(b"/") && !scheme.is_empty() {
        opaque = rest;
    } else {
        let first = rest.split_once_str("/").map_or(rest, |(first, _)| first);
        if scheme.is_empty() && first.contains(&b':') {
            return Err(MALFORMED);
        }
        let mut local = rest;
        if let Some(after) = rest.strip_prefix(b"//")
            && (!scheme.is_empty() || !after.starts_with(b"/"))
        {
            let end = after.find_byte(b'/').unwrap_or(after.len());
            let (authority, tail) = after.split_at(end);
            local = tail;
            (user, host) = self::authority(authority)?;
        }
        path = unescape(local, Place::Path)?;
    }
    let name = hostname(&host).to_vec();
    let entries = [
        ("scheme", scheme),
        ("host", host),
        ("hostname", name),
        ("path", path),
        ("query", query.to_vec()),
        ("opaque", opaque.to_vec()),
        ("fragment", unescape(fragment, Place::Fragment)?),
        ("userinfo", user),
    ];
    Ok(Value::map(entries.map(|(key, value)| (Text::from(key), Value::text(value)))))
}

fn scheme(text: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    for (index, byte) in text.iter().enumerate() {
        match byte {
            byte if byte.is_ascii_alphabetic() => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err(MALFORMED),
            b':' => {
                return Ok((text.get(..index).unwrap_or_default(), text.get(index + 1..).unwrap_or_default()));
            }
            _ => break,
        }
    }
    Ok((b"", text))
}

/// The user, written again, and the host.
fn authority(text: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let (user, host) = match text.rfind_byte(b'@') {
        Some(at) => (text.get(..at), text.get(at + 1..).unwrap_or_default()),
        None => (None, text),
    };
    let user = user.map_or(Ok(Vec::new()), userinfo)?;
    let port = match host.rfind_byte(b']') {
        Some(end) if host.starts_with(b"[") => host.get(end + 1..).unwrap_or_default(),
        _ if host.contains(&b'[') => return Err(MALFORMED),
        _ => host.rfind_byte(b':').and_then(|colon| host.get(colon..)).unwrap_or_default(),
    };
    if !is_port(port) {
        return Err(MALFORMED);
    }
    Ok((user, unescape(host, Place::Host)?))
}

fn userinfo(text: &[u8]) -> Result<Vec<u8>, Fault> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
    if !text.iter().all(allowed) {
        return Err(MALFORMED);
    }
    let written = |part| unescape(part, Place::User).map(|part| escape(&part, Place::User));
    match text.split_once_str(":") {
        Some((name, password)) => Ok([written(name)?, written(password)?].join(&b':')),
        None => written(text),
    }
}

/// Nothing, or a colon with digits or nothing behind it.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn hostname(host: &[u8]) -> &[u8] {
    let port = host.rfind_byte(b':').filter(|colon| host.get(*colon..).is_some_and(is_port));
    let name = port.and_then(|colon| host.get(..colon)).unwrap_or(host);
    name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name)
}

fn join(call: &Call<'_>) -> Outcome {
    let map = call.map(0)?;
    let part = |key: &str| match map.at(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::Text(text)) => Ok(text.bytes().to_vec()),
        Some(_) => Err(Fault::refused("every part of a URL must be a string")),
    };
    let (scheme, host, path) = (part("scheme")?, part("host")?, part("path")?);
    let (query, opaque, fragment) = (part("query")?, part("opaque")?, part("fragment")?);
    let user = match part("userinfo")? {
        user if user.is_empty() => None,
        user => Some(authority(&[&*user, b"@host"].concat())?.0),
    };
    let mut url = Vec::new();
    if !scheme.is_empty() {
        url.extend_from_slice(&scheme);
        url.push(b':');
    }
    if opaque.is_empty() {
        let authority = !host.is_empty() || user.is_some();
        if authority || (!scheme.is_empty() && !path.is_empty()) {
            url.extend_from_slice(b"//");
            if let Some(user) = user {
                url.extend_from_slice(&user);
                url.push(b'@');
            }
            url.extend(escape(&host, Place::Host));
        }
        let path = if path == b"*" { path } else { escape(&path, Place::Path) };
        if !path.is_empty() && !path.starts_with(b"/") && !host.is_empty() {
            url.push(b'/');
        }
        let first = path.split_once_str("/").map_or(&*path, |(first, _)| first);
        if url.is_empty() && first.contains(&b':') {
            url.extend_from_slice(b"./");
        }
        url.extend_from_slice(&path);
    } else {
        url.extend_from_slice(&opaque);
    }
    for (sign, part) in [(b'?', query), (b'#', escape(&fragment, Place::Fragment))] {
        if !part.is_empty() {
            url.push(sign);
            url.extend_from_slice(&part);
        }
    }
    Ok(Value::text(url))
}

fn is_plain(byte: u8, place: Place) -> bool {
    byte.is_ascii_alphanumeric()
        || b"-_.~".contains(&byte)
        || match place {
            Place::Path => b"$&+,/:;=@".contains(&byte),
            Place::User => b"$&+,;=".contains(&byte),
            Place::Host => b"!$&'()*+,;=:[]<>\"".contains(&byte),
            Place::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
        }
}

fn escape(text: &[u8], place: Place) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        if is_plain(*byte, place) {
            escaped.push(*byte);
        } else {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    escaped
}

fn unescape(text: &[u8], place: Place) -> Result<Vec<u8>, Fault> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            if place == Place::Host && byte.is_ascii() && !is_plain(*byte, place) {
                return Err(MALFORMED);
            }
            plain.push(*byte);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2).ok_or(MALFORMED)?;
        rest = tail;
        let digits =
            std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or(MALFORMED)?;
        // In a host only what is not ASCII may be escaped, and the percent sign of a zone.
        if place == Place::Host && decoded.is_ascii() && decoded != b'%' {
            return Err(MALFORMED);
        }
        plain.push(decoded);
    }
    Ok(plain)
}
