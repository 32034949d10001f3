//! Files that hold logins: Docker's configuration, .netrc, .pgpass, htpasswd.

use std::sync::LazyLock;

use base64::Engine as _;
use regex::bytes::Regex;

use super::hit::Hit;
use super::rules::{DOCKER_AUTH, LOGIN_FILE, PASSWORD_HASH};
use super::worth::{LENIENT, Worth, is_weak};

/// What stands in such files.
pub(super) const ANCHORS: [&str; 8] =
    ["\"auth\"", "machine ", ":$apr1$", ":{SHA}", ":$2y$", ":$2a$", ":$2b$", "\\\"auth\\\""];

type Form = LazyLock<Option<Regex>>;

static AUTH: Form = LazyLock::new(|| Regex::new(r#"\A(?-u)\\?"auth\\?"\s*:\s*\\?"([A-Za-z0-9+/=]{8,4096})\\?""#).ok());
static NETRC: Form =
    LazyLock::new(|| Regex::new(r"\A(?-u)machine\s+\S{1,253}\s+login\s+\S{1,200}\s+password\s+(\S{4,512})").ok());
static HASH: Form = LazyLock::new(|| {
    Regex::new(r"\A(?-u):(\$apr1\$[./A-Za-z0-9]{1,8}\$[./A-Za-z0-9]{22}|\{SHA\}[A-Za-z0-9+/]{27}=|\$2[yab]\$[0-9]{2}\$[./A-Za-z0-9]{53})").ok()
});

/// The login whose anchor begins at `anchor`.
pub(super) fn find(text: &[u8], anchor: usize) -> Option<Hit> {
    let rest = text.get(anchor..)?;
    match rest.first()? {
        b':' => hash(text, anchor),
        b'm' => {
            let starts_word = anchor == 0 || text[anchor - 1].is_ascii_whitespace();
            let password = NETRC.as_ref()?.captures(rest.get(..rest.len().min(1024))?)?.get(1)?;
            let value = std::str::from_utf8(password.as_bytes()).ok()?;
            let is_plain = Worth::of(value) == Worth::Plain && !is_weak(value);
            let span = anchor + password.start()..anchor + password.end();
            (starts_word && is_plain).then(|| Hit::new(&LOGIN_FILE, span, "a password of .netrc", password.as_bytes()))
        }
        _ => auth(text, anchor),
    }
}

/// An entry of Docker's `config.json`: user and password in base64.
fn auth(text: &[u8], anchor: usize) -> Option<Hit> {
    let rest = text.get(anchor..)?;
    let encoded = AUTH.as_ref()?.captures(rest.get(..rest.len().min(5000))?)?.get(1)?;
    let decoded = LENIENT.decode(encoded.as_bytes()).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let is_plain = password.len() >= 6
        && Worth::of(password) == Worth::Plain
        && !is_weak(password)
        && !password.chars().any(char::is_control);
    let span = anchor + encoded.start()..anchor + encoded.end();
    is_plain.then(|| Hit::new(&DOCKER_AUTH, span, "user and password of a container registry", &decoded))
}

/// A user's name, then the hash.
fn hash(text: &[u8], anchor: usize) -> Option<Hit> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@');
    let name = text[..anchor].iter().rev().take(64).take_while(|byte| is_name(byte)).count();
    let start = anchor - name;
    let begins = start == 0
        || text
            .get(start - 1)
            .is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'|' | b'=' | b','));
    if name == 0 || !begins {
        return None;
    }
    let found = HASH.as_ref()?.captures(text.get(anchor..text.len().min(anchor + 128))?)?.get(1)?;
    let span = anchor + found.start()..anchor + found.end();
    Some(Hit::new(&PASSWORD_HASH, span, "a password's hash", found.as_bytes()))
}

/// Lines of a .pgpass file: host, port, database, user, password. They are told by the name of the file only.
pub(super) fn pgpass(text: &[u8]) -> Vec<Hit> {
    let mut at = 0;
    let mut hits = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(5, |byte| *byte == b':');
        let (port, password) = (fields.nth(1), fields.nth(2));
        let is_port =
            port.is_some_and(|port| port == b"*" || (!port.is_empty() && port.iter().all(u8::is_ascii_digit)));
        if let Some(password) = password.map(<[u8]>::trim_ascii_end).filter(|_| is_port && !line.starts_with(b"#"))
            && let Ok(value) = std::str::from_utf8(password)
            && Worth::of(value) == Worth::Plain
        {
            let start = at + line.len() - line.trim_ascii_end().len() + line.trim_ascii_end().len() - password.len();
            hits.push(Hit::new(&LOGIN_FILE, start..start + password.len(), "a password of .pgpass", password));
        }
        at += line.len() + 1;
    }
    hits
}
