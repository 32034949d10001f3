//! Passwords in URLs: `postgres://app:PASSWORD@db/app`.

use super::hit::Hit;
use super::rules::URL_PASSWORD;
use super::worth::{Worth, is_weak, looks_random};
use crate::findings::Level;

/// What every URL has.
pub(super) const ANCHOR: &str = "://";

/// Hosts that stand for others in every example, and those that are this machine.
const EXAMPLES: [&str; 6] = ["example", "your-", "<", "hostname", "host:", "server:"];
const LOCAL: [&str; 5] = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "host.docker.internal"];
/// More than the longest token that is used as a password.
const LONGEST: usize = 512;

/// The password in the URL whose `://` begins at `anchor`.
pub(super) fn find(text: &[u8], anchor: usize) -> Option<Hit> {
    let scheme = text[..anchor]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-'))
        .count();
    if scheme < 2 {
        return None;
    }
    let start = anchor + ANCHOR.len();
    let rest = text.get(start..text.len().min(start + LONGEST))?;
    let is_end = |byte: &u8| {
        byte.is_ascii_whitespace()
            || byte.is_ascii_control()
            || matches!(byte, b'/' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'?' | b'#')
    };
    let authority = rest.split(is_end).next()?;
    let at = authority.iter().rposition(|byte| *byte == b'@')?;
    let (user_info, host) =
        (std::str::from_utf8(&authority[..at]).ok()?, std::str::from_utf8(&authority[at + 1..]).ok()?);
    let (user, password) = user_info.split_once(':')?;
    let lower_host = host.to_ascii_lowercase();
    let is_example = host.is_empty() || EXAMPLES.iter().any(|word| lower_host.contains(word)) || lower_host == "host";
    if is_example || password.len() < 6 || password == user || is_weak(password) {
        return None;
    }
    if Worth::of(password) != Worth::Plain
        || Worth::of(user) == Worth::Reference
        || password.contains(['{', '}', '$', '%']) && password.len() < 8
    {
        return None;
    }
    let is_local = LOCAL.iter().any(|word| lower_host.starts_with(word)) || !host.contains('.');
    let has_variety =
        looks_random(password) || password.len() >= 8 && password.bytes().any(|byte| !byte.is_ascii_lowercase());
    if is_local && !looks_random(password) {
        return None;
    }
    let from = start + user.len() + 1;
    let hit = Hit::new(&URL_PASSWORD, from..from + password.len(), "a password in a URL", password.as_bytes());
    Some(if has_variety { hit } else { hit.with_level(Level::Warning) })
}
