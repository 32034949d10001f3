//! Values that are set to something called password, token or key.
//!
//! Names alone prove little, so a value must look random too, and what is found is a warning; but for the few names
//! whose values have a form of their own.

use std::ops::Range;

use base64::Engine as _;

use super::checksum::{entropy, is_sequence};
use super::hit::Hit;
use super::rules::{AWS_SECRET, CLUSTER_TOKEN, GENERIC, NPM, WIREGUARD_KEY};
use super::worth::{LENIENT, Worth, is_uuid, is_weak, looks_random};
use crate::findings::Rule;

/// Parts of such names, in any case.
pub(super) const ANCHORS: [&str; 27] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "privatekey",
    "private_key",
    "private-key",
    "presharedkey",
    "preshared_key",
    "preshared-key",
    "encryptionkey",
    "encryption_key",
    "encryption-key",
    "signingkey",
    "signing_key",
    "signing-key",
    "masterkey",
    "master_key",
    "master-key",
    "auth_key",
];

/// The longest name, and the longest value: ciphertext is longer.
const LONGEST_NAME: usize = 96;
const LONGEST_VALUE: usize = 256;

/// How far from the beginning of its line a name may be that begins it.
const MAX_INDENT: usize = 200;

/// Last words of a name whose value is a secret.
const SENSITIVE: [&str; 10] =
    ["password", "passwd", "passphrase", "pwd", "pass", "secret", "token", "credential", "credentials", "apikey"];
/// Words before `key` that make it one.
const KEYS: [&str; 15] = [
    "api",
    "access",
    "private",
    "secret",
    "encryption",
    "encrypt",
    "signing",
    "master",
    "auth",
    "account",
    "preshared",
    "aes",
    "hmac",
    "jwt",
    "session",
];
/// Words that make the value no secret, wherever they are in the name.
const HARMLESS: [&str; 21] = [
    "public",
    "publishable",
    "next",
    "page",
    "continuation",
    "continue",
    "pagination",
    "csrf",
    "xsrf",
    "forgery",
    "cancellation",
    "cancel",
    "nonce",
    "sync",
    "last",
    "cursor",
    "hash",
    "checksum",
    "digest",
    "encrypted",
    "sealed",
];

/// A name, and what it is set to.
struct Assigned<'t> {
    name: &'t str,
    value: &'t str,
    span: Range<usize>,
}

/// What the name around an anchor is set to, if that is a secret. `is_settings` says that values may stand without
/// quotes. The end of the name comes too: other anchors in it say nothing new.
pub(super) fn find(text: &[u8], anchor: Range<usize>, is_settings: bool) -> (usize, Option<Hit>) {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let before = text[..anchor.start].iter().rev().take(LONGEST_NAME).take_while(|byte| is_part(byte)).count();
    let after = text[anchor.end..].iter().take(LONGEST_NAME).take_while(|byte| is_part(byte)).count();
    let name = anchor.start - before..anchor.end + after;
    let hit = assigned(text, &name, is_settings).and_then(|assigned| judge(text, &assigned));
    (name.end, hit)
}

fn assigned<'t>(text: &'t [u8], name: &Range<usize>, is_settings: bool) -> Option<Assigned<'t>> {
    let word = std::str::from_utf8(&text[name.clone()]).ok()?.trim_matches(['-', '.']);
    let words = words(word);
    if !is_sensitive(&words) {
        return None;
    }
    let mut rest = Cursor { text, at: name.end };
    let is_quoted = rest.skip_quote();
    rest.skip_one(b']');
    rest.skip_spaces();
    let separator = rest.at;
    let is_named = match rest.peek() {
        Some(b':' | b'=' | b'>') => {
            while matches!(rest.peek(), Some(b':' | b'=' | b'>' | b'?')) {
                rest.at += 1;
            }
            // XML has the value right behind the name, and its bracket before it.
            let is_element = text[separator] == b'>';
            if is_element && !text[..name.start].ends_with(b"<") && !text[..name.start].ends_with(b":") {
                return None;
            }
            // A comparison has none.
            if rest.at - separator > 2 || text[separator..rest.at] == *b"==" {
                return None;
            }
            false
        }
        Some(b',') if is_quoted => {
            rest.at += 1;
            rest.skip_spaces();
            // A pair of arguments; or the name of a variable, whose value comes next.
            if !matches!(rest.peek(), Some(b'"' | b'\'')) || rest.is_at(b"\"value\"") {
                rest.skip_value_key()?;
                true
            } else {
                false
            }
        }
        Some(b'\n' | b'\r') | None => {
            rest.skip_value_key()?;
            true
        }
        Some(_) => return None,
    };
    rest.skip_spaces();
    let is_flag = text[name.start..].starts_with(b"--");
    let is_bare_allowed = is_named || is_settings && (is_flag || stands_alone(text, name.start));
    let span = rest.value(is_bare_allowed)?;
    let value = std::str::from_utf8(text.get(span.clone())?).ok()?;
    Some(Assigned { name: word, value, span })
}

/// Whether a name begins its line, but for what may stand before settings; or is a flag or a parameter.
fn stands_alone(text: &[u8], start: usize) -> bool {
    const PREFIXES: [&str; 9] = ["export", "ENV", "ARG", "set", "SET", "local", "declare", "readonly", "-"];
    // A name that is further from the beginning of its line begins nothing.
    let near = start.saturating_sub(MAX_INDENT);
    let line = text[near..start].iter().rposition(|byte| *byte == b'\n').map_or(near, |newline| near + newline + 1);
    let Ok(before) = std::str::from_utf8(&text[line..start]) else { return false };
    let before = before.trim_start_matches(['#', '/', ';', ' ', '\t']).trim();
    // Parameters of URLs and connections, elements of XML, the registries of npm.
    let is_parameter =
        before.ends_with(['?', '&', ';', '<', '/']) || before.ends_with("/:") || before.ends_with("$env:");
    is_parameter || before.split_whitespace().all(|word| PREFIXES.contains(&word))
}

/// Where the value of a name may be.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn is_at(&self, word: &[u8]) -> bool {
        self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word))
    }

    fn skip_one(&mut self, byte: u8) {
        self.at += usize::from(self.peek() == Some(byte));
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Skips a quote, also one that is itself within a quoted text.
    fn skip_quote(&mut self) -> bool {
        let start = self.at;
        self.skip_one(b'\\');
        if matches!(self.peek(), Some(b'"' | b'\'' | b'`')) {
            self.at += 1;
            return true;
        }
        self.at = start;
        false
    }

    /// Skips the key of `- name: PASSWORD` / `value: ...`, as containers have their environment.
    fn skip_value_key(&mut self) -> Option<()> {
        let mut left = 160;
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n' | b',')) && left > 0 {
            self.at += 1;
            left -= 1;
        }
        let is_quoted = self.skip_quote();
        if !self.is_at(b"value") {
            return None;
        }
        self.at += b"value".len();
        if is_quoted {
            self.skip_quote();
        }
        self.skip_spaces();
        (self.peek() == Some(b':')).then(|| self.at += 1)
    }

    /// The value that begins here: in quotes, or without where that is allowed.
    fn value(&mut self, is_bare_allowed: bool) -> Option<Range<usize>> {
        // `b"..."` of Python, `r"..."` of Rust, `@"..."` of C#.
        if matches!(self.peek(), Some(b'a'..=b'z' | b'@')) && matches!(self.text.get(self.at + 1), Some(b'"' | b'\'')) {
            self.at += 1;
        }
        let rest = self.text.get(self.at..)?;
        let (open, quote) = match rest {
            [b'\\', quote @ (b'"' | b'\''), ..] => (2, Some((*quote, true))),
            [quote @ (b'"' | b'\'' | b'`'), ..] => (1, Some((*quote, false))),
            _ => (0, None),
        };
        let start = self.at + open;
        let inner = self.text.get(start..self.text.len().min(start + LONGEST_VALUE + 2))?;
        let length = match quote {
            Some((quote, is_escaped)) => {
                let is_end = |at: usize| {
                    if is_escaped {
                        inner[at..].starts_with(&[b'\\', quote])
                    } else {
                        inner[at] == quote && (at == 0 || inner[at - 1] != b'\\')
                    }
                };
                (0..inner.len()).take_while(|at| inner[*at] != b'\n').find(|at| is_end(*at))?
            }
            None if is_bare_allowed => {
                let is_end = |byte: &u8| {
                    byte.is_ascii_whitespace()
                        || matches!(byte, b',' | b';' | b'"' | b'\'' | b'<' | b'>' | b'&' | b'|' | b'`')
                };
                let length = inner.iter().position(is_end).unwrap_or(inner.len());
                // What calls or indexes is an expression.
                if inner[..length].iter().any(|byte| matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}')) {
                    return None;
                }
                length
            }
            None => return None,
        };
        (length > 0 && length <= LONGEST_VALUE).then(|| start..start + length)
    }
}

fn judge(text: &[u8], assigned: &Assigned<'_>) -> Option<Hit> {
    let Assigned { name, value, span } = assigned;
    let hit = |rule: &'static Rule, what: &'static str| Some(Hit::new(rule, span.clone(), what, value.as_bytes()));
    if Worth::of(value) != Worth::Plain || is_weak(value) {
        return None;
    }
    let words = words(name);
    let has = |word: &str| words.iter().any(|known| known == word);
    let is_base64 = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'='));
    if value.len() == 40
        && is_base64
        && has("secret")
        && (has("access") || has("aws"))
        && entropy(value.as_bytes()) > 4.0
    {
        return if value.ends_with("EXAMPLEKEY") { None } else { hit(&AWS_SECRET, "an AWS secret access key") };
    }
    if value.len() == 44
        && is_base64
        && value.ends_with('=')
        && (has("private") || has("preshared"))
        && is_wireguard(text)
    {
        return hit(&WIREGUARD_KEY, "a key of WireGuard");
    }
    let is_join_token = || {
        value.split_once('.').is_some_and(|(id, secret)| {
            let is_right = |part: &str, length: usize| {
                part.len() == length && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            };
            is_right(id, 6)
                && is_right(secret, 16)
                && !is_sequence(secret.as_bytes())
                && secret.bytes().any(|byte| byte.is_ascii_digit())
        })
    };
    if has("token") && is_join_token() {
        return hit(&CLUSTER_TOKEN, "a join token of kubeadm");
    }
    if name.ends_with("_authToken") && value.len() >= 20 && entropy(value.as_bytes()) > 3.0 {
        return hit(&NPM, "a token of an npm registry");
    }
    let is_place =
        value.contains("://") || value.starts_with(['/', '.', '~', '$', '^', '\\']) || has_file_extension(value);
    let is_other = is_uuid(value)
        || value.contains('@') && value.contains('.')
        || value.contains(['\\', '*'])
        || value.split(':').next().is_some_and(|kind| kind.contains("sha") || kind.contains("md5"));
    // With the checksum of a real one it would have been found as what it is.
    let is_made_up = value.len() == 40
        && ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"].iter().any(|form| value.starts_with(form));
    // What is put together when the program runs.
    let is_format = value.find('{').is_some_and(|open| value[open..].contains('}'))
        || ["%s", "%d", "%v", "%q"].iter().any(|verb| value.contains(verb));
    if is_place || is_other || is_format || is_made_up || !looks_random(value) || encodes_a_word(value) {
        return None;
    }
    hit(&GENERIC, "something that looks random")
}

/// Whether it is base64 of something that does not look random.
fn encodes_a_word(value: &str) -> bool {
    let decoded = LENIENT.decode(value.as_bytes()).ok().filter(|_| value.len().is_multiple_of(4));
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.is_some_and(|text| {
        text.chars().all(|letter| !letter.is_control()) && (Worth::of(&text) != Worth::Plain || !looks_random(&text))
    })
}

fn is_wireguard(text: &[u8]) -> bool {
    ["[Interface]", "[Peer]", "wireguard", "WireGuard"]
        .iter()
        .any(|word| memchr::memmem::find(text, word.as_bytes()).is_some())
}

fn has_file_extension(value: &str) -> bool {
    const EXTENSIONS: [&str; 16] =
        ["pem", "key", "crt", "cert", "json", "yaml", "yml", "txt", "go", "rs", "js", "ts", "py", "java", "sh", "html"];
    value.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

/// The words of a name, in small letters: `DB_PASSWORD`, `dbPassword`, `db-password`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_lower = false;
    let mut is_new = true;
    for letter in name.chars() {
        if !letter.is_ascii_alphanumeric() {
            (is_new, was_lower) = (true, false);
            continue;
        }
        if is_new || (was_lower && letter.is_ascii_uppercase()) {
            words.push(String::new());
        }
        (is_new, was_lower) = (false, letter.is_ascii_lowercase() || letter.is_ascii_digit());
        if let Some(last) = words.last_mut() {
            last.push(letter.to_ascii_lowercase());
        }
    }
    words
}

/// Whether something that is called so is a secret.
pub(crate) fn is_sensitive_name(name: &str) -> bool {
    is_sensitive(&words(name))
}

fn is_sensitive(words: &[String]) -> bool {
    let is_digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut left = words.iter().map(String::as_str).rev().skip_while(|word| is_digits(word));
    let Some(last) = left.next() else { return false };
    let last = last.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let before = left.next().unwrap_or_default();
    let is_key = last == "key" && KEYS.contains(&before) || last == "base" && before == "key";
    let runs_together =
        ["password", "passwd", "apikey", "secretkey", "accesskey", "authtoken", "accesstoken", "privatekey"];
    let is_one = SENSITIVE.contains(&last) || is_key || runs_together.iter().any(|end| last.ends_with(end));
    is_one && !words.iter().any(|word| HARMLESS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::{ANCHORS, find, is_sensitive_name};

    fn found(text: &str, is_settings: bool) -> Option<&str> {
        let lower = text.to_ascii_lowercase();
        ANCHORS.iter().find_map(|anchor| {
            let at = lower.find(anchor)?;
            let span = find(text.as_bytes(), at..at + anchor.len(), is_settings).1?.span;
            Some(&text[span])
        })
    }

    #[test]
    fn names_are_sensitive_by_their_last_word() {
        for name in [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "smtp-pass",
            "apiKey",
            "SECRET_KEY_BASE",
            "client_secret",
            "password2",
            "spring.datasource.password",
        ] {
            assert!(is_sensitive_name(name), "{name}");
        }
        for name in [
            "secretName",
            "passwordFile",
            "tokenUrl",
            "bypass",
            "nextToken",
            "public_key",
            "key",
            "secret_ref",
            "compass",
            "encryptedPassword",
        ] {
            assert!(!is_sensitive_name(name), "{name}");
        }
    }

    #[test]
    fn values_are_found_in_code_settings_and_manifests() {
        let value = "k3J9sQp1Zx8w";
        for text in [
            "password = \"VALUE\"",
            "const apiKey = 'VALUE';",
            "{\"client_secret\":\"VALUE\"}",
            "\\\"token\\\": \\\"VALUE\\\"",
            "DB_PASSWORD=VALUE\n",
            "export TOKEN=VALUE",
            "  password: VALUE # why",
            "- name: DB_PASSWORD\n  value: VALUE\n",
            "{\"name\": \"API_KEY\", \"value\": \"VALUE\"}",
            "<password>VALUE</password>",
            "cmd --password=VALUE -x",
            "Server=db;Password=VALUE;",
            "config[\"password\"] = b\"VALUE\"",
            "set(\"password\", \"VALUE\")",
            "secret := `VALUE`",
        ] {
            let text = text.replace("VALUE", value);
            assert_eq!(found(&text, true), Some(value), "{text}");
        }
    }

    #[test]
    fn references_names_and_expressions_are_not() {
        for text in [
            "password = get_password(1)",
            "password: ${DB_PASSWORD1}",
            "token: {{ .Values.token1 }}",
            "password == \"k3J9sQp1Zx8w\"",
            "secretName: my-tls-cert-1",
            "token: eks-prod-token-v2",
            "passwordFile: /run/k3J9sQp1Zx8w",
            "password: |\n  k3J9sQp1Zx8w",
            "secret: 123e4567-e89b-12d3-a456-426614174000",
            "password = \"password123\"",
            "token := os.Getenv(\"K3J9SQP1ZX\")",
            "encryptedPassword: k3J9sQp1Zx8w",
            "password: ENC[AES256_GCM,data:k3J9sQp1Zx8w]",
        ] {
            assert_eq!(found(text, true), None, "{text}");
        }
        assert_eq!(found("password = conf.Get1Xq9Zw", false), None);
    }
}
