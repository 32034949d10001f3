//! JSON Web Tokens, told from what merely looks like them, and those that open something from those that do not.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::shapes::Answer;
use super::worth::LENIENT_URL;

/// Whether a token is worth anything to who finds it.
pub(super) fn check(token: &[u8]) -> Answer {
    let Some((header, claims)) = parts(token) else { return Answer::No };
    let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_ascii_lowercase);
    let Some(algorithm) = text(&header, "alg").filter(|algorithm| algorithm != "none") else { return Answer::No };
    // The token of jwt.io and of every introduction, and the key that Supabase means to be public.
    let is_example =
        text(&claims, "sub").as_deref() == Some("1234567890") || text(&claims, "name").as_deref() == Some("john doe");
    if is_example || text(&claims, "role").as_deref() == Some("anon") || algorithm.is_empty() {
        return Answer::No;
    }
    let expiry = claims.get("exp").and_then(Value::as_f64);
    #[expect(clippy::cast_possible_truncation, reason = "a time that no calendar has is no time")]
    let expiry = expiry.and_then(|seconds| jiff::Timestamp::from_second(seconds as i64).ok());
    match expiry {
        Some(at) if at < jiff::Timestamp::now() => {
            Answer::Perhaps(format!("it expired on {}", at.to_zoned(jiff::tz::TimeZone::UTC).date()))
        }
        Some(_) | None => Answer::Yes,
    }
}

/// Whether a token is that of a ServiceAccount.
pub(super) fn is_service_account(token: &[u8]) -> bool {
    parts(token).is_some_and(|(_, claims)| {
        claims.get("iss").and_then(Value::as_str) == Some("kubernetes/serviceaccount")
            || claims.contains_key("kubernetes.io")
    })
}

type Object = Map<String, Value>;

fn parts(token: &[u8]) -> Option<(Object, Object)> {
    let mut parts = token.split(|byte| *byte == b'.');
    let mut object = || serde_json::from_slice(&LENIENT_URL.decode(parts.next()?).ok()?).ok();
    Some((object()?, object()?))
}
