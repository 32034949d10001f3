//! Whether one value of a Secret gives something away.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;
use zeroize::Zeroizing;

use crate::scan::assigned::{is_sensitive_name, words};
use crate::scan::look;
use crate::scan::worth::{LENIENT, Worth, looks_random};

/// Last words of keys whose values say who, where and how, not with what.
const HARMLESS: [&str; 46] = [
    "username",
    "user",
    "login",
    "email",
    "host",
    "hostname",
    "port",
    "database",
    "dbname",
    "db",
    "name",
    "names",
    "namespace",
    "namespaces",
    "type",
    "url",
    "uri",
    "server",
    "endpoint",
    "address",
    "region",
    "bucket",
    "project",
    "realm",
    "insecure",
    "oci",
    "crt",
    "cert",
    "hosts",
    "id",
    "expiration",
    "description",
    "issuer",
    "schema",
    "protocol",
    "mtime",
    "version",
    "enabled",
    "mode",
    "level",
    "path",
    "ttl",
    "shard",
    "size",
    "count",
    "domain",
];

/// A literal that a template only encodes.
static LITERAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"\{\{-?\s*(?:b64enc\s+(?:"([^"]+)"|'([^']+)')|(?:"([^"]+)"|'([^']+)'|`([^`]+)`)\s*\|\s*(?:b64enc|b64encode|quote|squote|toString|trim)\b)"#).ok()
});

/// What a value gives away, and the secret itself; `None` if nothing.
pub(in crate::scan) fn given_away(
    key: &str,
    text: &str,
    is_data: bool,
) -> Option<(Cow<'static, str>, Zeroizing<Vec<u8>>)> {
    let text = text.trim();
    if let Some(literal) = literal(text) {
        return plain(key, literal.as_bytes());
    }
    if text.contains("{{") && text.contains("}}") {
        // A file with a template in it: what is beside the template may be written out.
        return if text.contains('\n') && !is_data {
            look::first(text.as_bytes()).map(|what| (what, bytes(text.as_bytes())))
        } else {
            None
        };
    }
    if is_data && !matches!(Worth::of(text), Worth::Nothing | Worth::Reference | Worth::Ciphertext) {
        let compact: Zeroizing<Vec<u8>> =
            bytes(&text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>());
        if let Ok(decoded) = LENIENT.decode(compact.as_slice()) {
            return plain(key, &Zeroizing::new(decoded));
        }
    }
    plain(key, text.as_bytes())
}

/// What a text in a template gives away that should name sealed values only.
pub(super) fn given_away_by_template(key: &str, text: &str) -> Option<(Cow<'static, str>, Zeroizing<Vec<u8>>)> {
    let is_whole_literal = !text.contains("{{") && !text.contains('\n') && is_sensitive_name(key);
    if is_whole_literal && let Some(found) = plain(key, text.trim().as_bytes()) {
        return Some(found);
    }
    literal(text).filter(|_| is_sensitive_name(key)).and_then(|literal| plain(key, literal.as_bytes()))
}

fn literal(text: &str) -> Option<&str> {
    let found = LITERAL.as_ref()?.captures(text)?;
    (1..=5).find_map(|group| found.get(group)).map(|group| group.as_str())
}

fn bytes(text: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.to_vec())
}

fn plain(key: &str, secret: &[u8]) -> Option<(Cow<'static, str>, Zeroizing<Vec<u8>>)> {
    let Ok(text) = std::str::from_utf8(secret) else {
        return (!secret.starts_with(b"age-encryption.org/")).then(|| ("bytes that are no text".into(), bytes(secret)));
    };
    let what = look::first(secret);
    if let Some(what) = what {
        return Some((what, bytes(secret)));
    }
    let words = words(key);
    let is_harmless = words.last().is_some_and(|last| HARMLESS.contains(&last.as_str())) && !looks_random(text);
    let is_trivial = is_trivial(text) && !is_sensitive_name(key);
    // What begins a key and is none, is one of an example.
    let is_example = text.starts_with("-----BEGIN ");
    let is_none = Worth::of(text) != Worth::Plain;
    if is_harmless || is_trivial || is_example || is_none && !hides_a_secret(text) {
        return None;
    }
    Some(("a value in the clear".into(), bytes(secret)))
}

/// Whether a text that says that it is only a placeholder or a reference has a part that is none: one that a machine
/// made up. In a Secret that is a password with such a word or sign in it.
fn hides_a_secret(text: &str) -> bool {
    if !matches!(Worth::of(text), Worth::Placeholder | Worth::Reference | Worth::Plain) || text.contains([':', '/']) {
        return false;
    }
    let is_made_up = |part: &str| {
        let has = |one_of: fn(&u8) -> bool| part.bytes().filter(one_of).count() > 1;
        part.len() >= 10
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && looks_random(part)
    };
    text.split(|sign: char| !sign.is_ascii_alphanumeric()).any(is_made_up)
}

/// Whether it is a small number, a date, or hardly anything: no secret, but under a name that says so.
fn is_trivial(text: &str) -> bool {
    let is_number = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = || text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::Date>().is_ok();
    text.len() <= 2 || is_number || is_date()
}

#[cfg(test)]
mod tests {
    use super::{given_away, given_away_by_template};

    #[test]
    fn values_are_judged_behind_their_encoding() {
        let is_given = |key: &str, text: &str, is_data: bool| given_away(key, text, is_data).is_some();
        // hunter2, changeme, <password>, app
        assert!(is_given("password", "aHVudGVyMg==", true) && is_given("password", "aHVu\n  dGVyMg==", true));
        assert!(!is_given("password", "Y2hhbmdlbWU=", true) && !is_given("password", "PHBhc3N3b3JkPg==", true));
        assert!(!is_given("username", "YXBw", true) && is_given("password", "hunter2", false));
        assert!(is_given("password", "not base64!", true) && !is_given("password", "{{ .Values.x | b64enc }}", true));
        assert!(
            is_given("password", r#"{{ "hunter2" | b64enc }}"#, true)
                && is_given("p", r#"{{ b64enc "hunter2" | quote }}"#, true)
        );
        assert!(!is_given("password", "", true) && !is_given("password", "null", false));
        assert!(!is_given("config", "url: {{ .url }}\nname: app\n", false));
        assert!(is_given("config", "url: {{ .url }}\ndb: postgres://app:k3J9sQp1Zx@db.internal.net/app\n", false));
    }

    #[test]
    fn a_placeholders_word_or_sign_in_a_password_does_not_hide_it() {
        let is_given = |text: &str| given_away("password", text, false).is_some();
        for text in [
            "Zq8fKx2nWv7Rt-example-mLp9s",
            "your-Zq8fKx2nWv7Rt",
            "((Zq8fKx2nWv7Rt",
            "Zq8fKx2nWv7Rt${",
            "[Zq8fKx2nWv7Rt]",
            "<Zq8fKx2nWv7Rt>",
        ] {
            assert!(is_given(text), "{text}");
        }
        for text in [
            "your-password-123",
            "example-Password1",
            "${DB_PASSWORD}",
            "((db-password))",
            "<password>",
            "$(cat /run/x)",
        ] {
            assert!(!is_given(text), "{text}");
        }
    }

    #[test]
    fn templates_may_hold_what_is_no_secret() {
        let is_given = |key: &str, text: &str| given_away_by_template(key, text).is_some();
        assert!(is_given("password", "hunter2"));
        assert!(
            !is_given("password", "{{ .password }}")
                && !is_given("host", "db.internal")
                && !is_given("password", "changeme")
        );
    }
}
