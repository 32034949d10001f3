//! What a value gives away: is it a secret in the clear, or a placeholder, a reference, ciphertext, something public?

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::checksum::{entropy, is_sequence};

/// What a value gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// Empty or null.
    Nothing,
    /// Somebody is to put something in its place: `changeme`, `<password>`, `xxxx`.
    Placeholder,
    /// It names where the value is: `${VAR}`, `{{ .Values.x }}`, `op://...`.
    Reference,
    /// Sealed, or encrypted by another tool.
    Ciphertext,
    /// Certificates, public keys, slow hashes of passwords.
    Public,
    /// A secret, as far as one can see.
    Plain,
}

/// Standard base64 with or without padding, as people and tools write it.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// The same of the alphabet for URLs.
pub(super) const LENIENT_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Longer texts are not placeholders, whatever words are in them.
const LONGEST_PLACEHOLDER: usize = 80;

/// Words that stand for a value wherever they are in it.
const PLACEHOLDER_PARTS: [&str; 24] = [
    "changeme",
    "change-me",
    "change_me",
    "changeit",
    "replaceme",
    "replace-me",
    "replace_me",
    "replace-with",
    "replace_with",
    "placeholder",
    "redacted",
    "your-",
    "your_",
    "yourpass",
    "yoursec",
    "yourtok",
    "yourkey",
    "example",
    "insert-",
    "insert_",
    "dummy",
    "notreal",
    "not-real",
    "not-a-",
];

/// Words that stand for a value when they are all of it, but for signs around them.
const PLACEHOLDERS: [&str; 64] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "secrets",
    "token",
    "key",
    "apikey",
    "api-key",
    "api_key",
    "value",
    "none",
    "null",
    "nil",
    "undefined",
    "todo",
    "tbd",
    "tba",
    "fixme",
    "test",
    "testing",
    "test123",
    "tests",
    "sample",
    "fake",
    "foo",
    "bar",
    "baz",
    "qux",
    "foobar",
    "string",
    "empty",
    "hidden",
    "masked",
    "default",
    "mysecret",
    "my-secret",
    "my_secret",
    "mypassword",
    "my-password",
    "my_password",
    "mytoken",
    "my-token",
    "mykey",
    "myapikey",
    "my_token",
    "supersecret",
    "super-secret",
    "secretpassword",
    "secret-password",
    "somepassword",
    "somesecret",
    "sometoken",
    "unset",
    "unused",
    "disabled",
    "true",
    "false",
    "yes",
    "no",
    "generated",
    "random",
];

impl Worth {
    /// What a whole value gives away.
    pub(super) fn of(value: &str) -> Self {
        let value = value.trim();
        if value.is_empty() || matches!(value, "~" | "null" | "\"\"" | "''") {
            Self::Nothing
        } else if is_reference(value) {
            Self::Reference
        } else if is_ciphertext(value) {
            Self::Ciphertext
        } else if is_public(value) {
            Self::Public
        } else if is_placeholder(value) {
            Self::Placeholder
        } else {
            Self::Plain
        }
    }
}

/// Whether a value names another: a variable, a template, an entry of a secrets manager.
pub(super) fn is_reference(value: &str) -> bool {
    const MARKS: [&str; 11] =
        ["{{", "${", "$(", "#{", "%{", "<%", "((", "@Microsoft.KeyVault(", "` + ", "\" + ", "' + "];
    const SCHEMES: [&str; 18] = [
        "op://",
        "ref+",
        "vault:secret",
        "vault:kv",
        "secret://",
        "secretref:",
        "arn:aws:secretsmanager",
        "arn:aws:ssm",
        "gcp-sm://",
        "sm://",
        "gcpsm://",
        "awssm://",
        "keyvault://",
        "azurekeyvault",
        "env:",
        "env.",
        "file:",
        "ssm:",
    ];
    let is_short = value.len() <= 512 && !value.contains('\n');
    let surrounded = |open: char, close: char| is_short && value.starts_with(open) && value.ends_with(close);
    let is_name = |name: &str, one_of: fn(&u8) -> bool| {
        name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && name.bytes().all(|byte| one_of(&byte))
    };
    let is_upper_name =
        |name: &str| is_name(name, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    let is_variable = value.strip_prefix('$').is_some_and(is_upper_name)
        || [("%", "%"), ("__", "__"), ("@", "@"), ("@@", "@@")].into_iter().any(|(open, close)| {
            value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).is_some_and(is_upper_name)
        });
    is_short && MARKS.iter().any(|mark| value.contains(mark))
        || SCHEMES.iter().any(|scheme| value.starts_with(scheme))
        || is_variable
        || surrounded('<', '>')
        || surrounded('[', ']')
        || surrounded('{', '}') && !value.contains([':', '"'])
        || value.starts_with('!')
            && is_short
            && value[1..].starts_with(|first: char| first.is_ascii_alphabetic())
            && value.contains(' ')
}

/// Whether a value is sealed, or encrypted by a tool that says so.
pub(super) fn is_ciphertext(value: &str) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "ENC[",
        "ENC(",
        "{cipher}",
        "$ANSIBLE_VAULT",
        "-----BEGIN AGE ENCRYPTED FILE-----",
        "-----BEGIN PGP MESSAGE-----",
        "-----BEGIN PKCS7-----",
        "-----BEGIN CMS-----",
        "age-encryption.org/",
        "YWdlLWVuY3J5cHRpb24ub3JnL",
        "U2FsdGVkX1",
        "AQICAH",
        "AQECAH",
        "vault:v",
        "k8s:enc:",
        "!vault",
    ];
    BEGINNINGS.iter().any(|beginning| value.starts_with(beginning)) || is_sealed(value)
}

/// Whether it has the form of kubeseal's values: the length of an RSA modulus, then at least so many bytes.
fn is_sealed(value: &str) -> bool {
    if value.len() < 360 || !value.starts_with('A') {
        return false;
    }
    let compact: Vec<u8> = value.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let Ok(bytes) = LENIENT.decode(compact) else { return false };
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return false };
    let length = usize::from(u16::from_be_bytes(*length));
    (256..=1024).contains(&length) && length % 8 == 0 && rest.len() >= length + 16
}

/// Whether it is meant to be public, or a hash that is made to be hard to turn back.
fn is_public(value: &str) -> bool {
    const BEGINNINGS: [&str; 19] = [
        "ssh-rsa AAAA",
        "ssh-ed25519 AAAA",
        "ecdsa-sha2-",
        "sk-ssh-",
        "age1",
        "$2a$",
        "$2b$",
        "$2y$",
        "$argon2",
        "$5$",
        "$6$",
        "$y$",
        "$7$",
        "$pbkdf2",
        "pbkdf2",
        "scrypt:",
        "SCRAM-SHA-256$",
        "-----BEGIN CERTIFICATE REQUEST-----",
        "-----BEGIN PUBLIC KEY-----",
    ];
    let is_known_hosts = || {
        value.lines().all(|line| line.starts_with('#') || [" ssh-", " ecdsa-"].iter().any(|kind| line.contains(kind)))
    };
    let is_certificates = || {
        value.starts_with("-----BEGIN ")
            && value.contains(" CERTIFICATE-----")
                | value.contains("BEGIN CERTIFICATE-----")
                | value.contains("PUBLIC KEY")
            && !value.contains("PRIVATE KEY")
    };
    BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
        || is_certificates()
        || (value.contains(" AAAA") && is_known_hosts())
}

/// Whether somebody is to put something in its place.
pub(super) fn is_placeholder(value: &str) -> bool {
    if has_fill_in(value) {
        return true;
    }
    if value.len() > LONGEST_PLACEHOLDER || value.contains('\n') {
        return false;
    }
    let lower = value.to_ascii_lowercase();
    let core = lower.trim_matches(|sign: char| !sign.is_ascii_alphanumeric());
    core.is_empty()
        || PLACEHOLDERS.contains(&core)
        || PLACEHOLDER_PARTS.iter().any(|part| lower.contains(part))
        || ["xxxx", "****", "....", "0000000", "____"].iter().any(|run| lower.contains(run))
            && entropy(lower.as_bytes()) < 3.0
        || core.len() >= 3 && core.bytes().all(|byte| Some(byte) == core.bytes().next())
        || core.len() >= 6 && is_sequence(core.as_bytes())
        || is_upper_name(value)
        || is_filler(core)
}

/// Whether it is made of nothing but words that stand for others: `my-secret-password`, `test_token`.
fn is_filler(core: &str) -> bool {
    const FILLERS: [&str; 22] = [
        "my", "your", "the", "a", "an", "some", "this", "is", "super", "very", "real", "new", "old", "here", "goes",
        "any", "only", "top", "user", "admin", "app", "blah",
    ];
    let mut parts = core.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).peekable();
    parts.peek().is_some() && parts.all(|part| FILLERS.contains(&part) || PLACEHOLDERS.contains(&part))
}

/// Whether a part of it is to be filled in: `Bearer <your token>`. XML has brackets that end with a slash, too.
fn has_fill_in(value: &str) -> bool {
    let is_word = |inner: &str| {
        let letters = inner.bytes().filter(u8::is_ascii_alphabetic).count();
        (3..=60).contains(&inner.len())
            && letters * 2 > inner.len()
            && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _-.".contains(&byte))
    };
    let mut inner = value.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
    value.len() <= 512 && !value.contains("</") && !value.contains("/>") && inner.any(is_word)
}

/// Whether it is a name in capitals, such as `YOUR_TOKEN_HERE` or `DB_E2E_PASSWORD`: no one's password.
fn is_upper_name(value: &str) -> bool {
    let parts: Vec<&str> = value.split('_').collect();
    let is_part = |part: &&str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        part.len() <= 14 && digits <= 2 && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    parts.len() >= 2 && parts.iter().all(is_part) && parts.iter().map(|part| part.len()).max() >= Some(3)
}

/// Passwords that stand for themselves in every example: not worth a word outside of a Secret.
const WEAK: [&str; 24] = [
    "admin",
    "root",
    "guest",
    "user",
    "username",
    "postgres",
    "mysql",
    "redis",
    "rabbitmq",
    "mongo",
    "minio",
    "minioadmin",
    "vagrant",
    "docker",
    "letmein",
    "qwerty",
    "welcome",
    "hunter2",
    "passw0rd",
    "p@ssw0rd",
    "pa55w0rd",
    "s3cr3t",
    "login",
    "demo",
];

/// Whether it is a password of examples.
pub(super) fn is_weak(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let core = lower.trim_end_matches(|sign: char| sign.is_ascii_digit() || sign == '!');
    WEAK.contains(&lower.as_str()) || WEAK.contains(&core) || PLACEHOLDERS.contains(&core)
}

/// Whether it looks as if a machine had made it up, or a careful person: what words and names do not look like.
pub(crate) fn looks_random(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !(8..=256).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_graphic) {
        return false;
    }
    let count = |one_of: fn(&u8) -> bool| bytes.iter().filter(|byte| one_of(byte)).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let signs = bytes.len() - digits - letters;
    if digits == 0 && (signs == 0 || letters == bytes.len() - signs && !has_mixed_case_inside(bytes)) || letters == 0 {
        return false;
    }
    let least = if bytes.len() < 12 {
        2.6
    } else if bytes.len() < 20 {
        3.0
    } else {
        3.3
    };
    entropy(bytes) >= least && !is_hexless_name(value) && !is_sequence(bytes)
}

/// Whether capitals stand elsewhere than at the beginning of words.
fn has_mixed_case_inside(bytes: &[u8]) -> bool {
    bytes.windows(2).filter(|pair| pair[0].is_ascii_alphanumeric() && pair[1].is_ascii_uppercase()).count() > 1
}

/// Whether it is made of words and short numbers with signs between them: `my-app-token-v2`, `db.prod.example.org:5432`.
fn is_hexless_name(value: &str) -> bool {
    let mut parts = value.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).peekable();
    let signs = value.bytes().filter(|byte| !byte.is_ascii_alphanumeric() && !b"-_./:,@=".contains(byte)).count();
    signs == 0 && parts.peek().is_some() && parts.all(is_word)
}

/// Whether it is one or two characters, or words with short numbers between them: `base64string`, `v1beta1`.
fn is_word(part: &str) -> bool {
    let runs: Vec<&str> = part
        .as_bytes()
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .filter_map(|run| std::str::from_utf8(run).ok())
        .collect();
    let is_run = |run: &&str| {
        let is_one_case = run.bytes().skip(1).all(|byte| byte.is_ascii_lowercase())
            || run.bytes().all(|byte| byte.is_ascii_uppercase());
        match run.bytes().next() {
            Some(first) if first.is_ascii_digit() => run.len() <= 4,
            // A version, or a word; of one case, or several run together.
            _ => {
                run.eq_ignore_ascii_case("v")
                    || run.len() >= 3 && (is_one_case || is_camel(run.trim_end_matches(['v', 'V'])))
            }
        }
    };
    part.len() <= 2 || runs.len() <= 4 && runs.iter().all(is_run)
}

/// Whether letters are words run together, such as `clientSecretName`: each at least three letters long.
fn is_camel(letters: &str) -> bool {
    let bytes = letters.as_bytes();
    let starts: Vec<usize> = (0..bytes.len()).filter(|at| *at == 0 || bytes[*at].is_ascii_uppercase()).collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    starts.iter().zip(ends).all(|(start, end)| end - start >= 3)
}

/// Whether it is a UUID.
pub(super) fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::{Worth, is_uuid, is_weak, looks_random};

    #[test]
    fn placeholders_references_and_ciphertext_give_nothing_away() {
        for (value, worth) in [
            ("", Worth::Nothing),
            ("changeme", Worth::Placeholder),
            ("CHANGE_ME_PLEASE", Worth::Placeholder),
            ("password", Worth::Placeholder),
            ("xxxxxxxx", Worth::Placeholder),
            ("********", Worth::Placeholder),
            ("12345678", Worth::Placeholder),
            ("<your password here>", Worth::Reference),
            ("${DB_PASSWORD}", Worth::Reference),
            ("$DB_PASSWORD", Worth::Reference),
            ("{{ .Values.password }}", Worth::Reference),
            ("op://vault/item/field", Worth::Reference),
            ("__PASSWORD__", Worth::Reference),
            ("ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]", Worth::Ciphertext),
            ("YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==", Worth::Ciphertext),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", Worth::Public),
            ("ssh-ed25519 AAAAC3Nza ada@example", Worth::Public),
            ("$2y$10$abcdefghijklmnopqrstuv", Worth::Public),
            ("hunter2", Worth::Plain),
            ("$ecret123", Worth::Plain),
            ("Tr0ub4dor&3", Worth::Plain),
            (
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nMII",
                Worth::Plain,
            ),
        ] {
            assert_eq!(Worth::of(value), worth, "{value}");
        }
    }

    #[test]
    fn what_machines_make_up_looks_random_and_names_do_not() {
        for random in
            ["k3J9sQp1Zx", "a8f5f167f44f4964e6c998dee827110c", "Tr0ub4dor&3x!", "Zq7-pL2_vN9xR4tB", "gT5#mK9$pQ2@"]
        {
            assert!(looks_random(random), "{random}");
        }
        for name in [
            "my-app-token-v2",
            "production",
            "db.prod.svc.cluster.local:5432",
            "clientSecretName",
            "ExternalSecretV1",
            "us-east-1a",
            "2026-11-21",
            "kubernetes.io/basic-auth",
            "passwordFromVault",
            "SECRET_KEY_BASE",
            "1.2.3.4:8080",
        ] {
            assert!(!looks_random(name), "{name}");
        }
        assert!(is_uuid("123e4567-e89b-12d3-a456-426614174000") && !is_uuid("123e4567"));
        assert!(is_weak("admin123") && is_weak("hunter2") && !is_weak("Tr0ub4dor&3"));
    }
}
