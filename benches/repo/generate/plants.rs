//! Secrets in the clear, planted where a scan should find them, and the places in which it should find nothing.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::Identity;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use super::sources::{Kind, Source};
use super::words::{BASE62, Words};

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// A Secret in YAML with `data`.
    Data,
    /// A Secret in YAML with `stringData`.
    StringData,
    /// A Secret in JSON.
    Json,
    /// A Secret among other documents, or in a List.
    Among,
    /// A private key in PEM or of OpenSSH.
    PrivateKey,
    /// A private key in base64, as kubeconfigs and values files have it.
    EncodedKey,
    AgeIdentity,
    /// A token of a well-known shape, in code or settings.
    Token,
}

impl Class {
    pub(crate) const ALL: [Self; 8] = [
        Self::Data,
        Self::StringData,
        Self::Json,
        Self::Among,
        Self::PrivateKey,
        Self::EncodedKey,
        Self::AgeIdentity,
        Self::Token,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Data => "Secret in YAML, `data`",
            Self::StringData => "Secret in YAML, `stringData`",
            Self::Json => "Secret in JSON",
            Self::Among => "Secret among others, in a List",
            Self::PrivateKey => "private key, PEM or OpenSSH",
            Self::EncodedKey => "private key in base64",
            Self::AgeIdentity => "age identity",
            Self::Token => "token of a known shape",
        }
    }
}

/// One planted secret.
#[derive(Clone)]
pub(crate) struct Plant {
    pub(crate) class: Class,
    pub(crate) path: String,
    /// The lines, from 1, in which a finding counts as this one.
    pub(crate) lines: RangeInclusive<usize>,
    pub(crate) text: String,
    /// Whether it is still there in the end.
    pub(crate) stays: bool,
}

/// `count` of each class, every third of which stays.
pub(crate) fn all(words: &mut Words, count: usize) -> anyhow::Result<Vec<Plant>> {
    let mut plants = Vec::new();
    for class in Class::ALL {
        for number in 0..count {
            let (path, text, lines) = plant(words, class, number)?;
            plants.push(Plant { class, path, lines, text, stays: number.is_multiple_of(3) });
        }
    }
    Ok(plants)
}

type Planted = (String, String, RangeInclusive<usize>);

const WHOLE: RangeInclusive<usize> = 1..=usize::MAX;

fn plant(words: &mut Words, class: Class, number: usize) -> anyhow::Result<Planted> {
    let (namespace, name) = (words.word(), format!("{}-{number}", words.name()));
    let folder = format!("deploy/{namespace}/{name}");
    Ok(match class {
        Class::Data => (format!("{folder}/secret.yaml"), secret(words, namespace, &name, true), WHOLE),
        Class::StringData => (format!("{folder}/credentials.yaml"), secret(words, namespace, &name, false), WHOLE),
        Class::Json => {
            let compact = number % 2 == 1;
            let secret = secret_json(words, namespace, &name, number % 4 < 2);
            let text = if compact { secret.to_string() } else { format!("{secret:#}\n") };
            (format!("{folder}/secret.json"), text, WHOLE)
        }
        Class::Among if number.is_multiple_of(2) => {
            let before = super::manifests::deployment(words, namespace, &name, "1.0.0");
            let first = before.lines().count() + 2;
            let secret = secret(words, namespace, &name, number.is_multiple_of(4));
            (format!("{folder}/all.yaml"), format!("{before}---\n{secret}"), first..=usize::MAX)
        }
        Class::Among => {
            let items = [config_map_json(words, namespace, &name), secret_json(words, namespace, &name, true)];
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            (format!("backup/{name}.json"), format!("{list:#}\n"), WHOLE)
        }
        Class::PrivateKey => (
            format!("{folder}/{}", ["tls.key", "id_ed25519", "server.pem"][number % 3]),
            private_key(words, number)?,
            WHOLE,
        ),
        Class::EncodedKey => {
            let key = STANDARD.encode(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem());
            let text = format!(
                "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster: {{server: \"https://{name}.example.org\"}}\nusers:\n- name: admin\n  user:\n    client-key-data: {key}\n"
            );
            (format!("{folder}/kubeconfig"), text, WHOLE)
        }
        Class::AgeIdentity => {
            let identity =
                if number.is_multiple_of(2) { Identity::generate_x25519()? } else { Identity::generate_hybrid()? };
            let text = identity.to_file_text(jiff::Timestamp::UNIX_EPOCH).map(|text| text.as_str().to_owned());
            (format!("{folder}/key.txt"), text.unwrap_or_default(), WHOLE)
        }
        Class::Token => {
            let (kind, folder, extension) =
                [(Kind::Go, "services", "go"), (Kind::TypeScript, "web", "ts"), (Kind::Settings, "deploy", "env")]
                    [number % 3];
            let line = token(words, number);
            let path = format!("{folder}/{namespace}/{name}.{extension}");
            let length = words.between(20, 200);
            let (text, at) = Source::new(words, path.clone(), kind, length).with_line(words, &line);
            (path, text, at..=at)
        }
    })
}

fn secret(words: &mut Words, namespace: &str, name: &str, encoded: bool) -> String {
    let field = if encoded { "data" } else { "stringData" };
    let mut text = format!(
        "# for {name}\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\ntype: Opaque\n{field}:\n"
    );
    for key in ["username", "password", "smtp-password"] {
        let value = if key == "username" { words.name() } else { words.password() };
        let value = if encoded { STANDARD.encode(value) } else { value };
        text.push_str(&format!("  {key}: {value}\n"));
    }
    text
}

fn secret_json(words: &mut Words, namespace: &str, name: &str, encoded: bool) -> serde_json::Value {
    let password = words.password();
    let (field, password) = if encoded { ("data", STANDARD.encode(password)) } else { ("stringData", password) };
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        field: {"password": password},
    })
}

fn config_map_json(words: &mut Words, namespace: &str, name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"settings": words.sentence()},
    })
}

fn private_key(words: &mut Words, number: usize) -> anyhow::Result<String> {
    if number % 3 == 1 {
        // What OpenSSH writes begins like this; nobody reads the rest.
        let mut bytes = b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01".to_vec();
        bytes.extend(words.bytes(350));
        return Ok(pem("OPENSSH PRIVATE KEY", &bytes));
    }
    let key = if number.is_multiple_of(3) {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?
    } else {
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?
    };
    Ok(key.serialize_pem())
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A line with a token.
fn token(words: &mut Words, number: usize) -> String {
    let upper = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (name, token) = match number % 8 {
        0 => ("AWS_ACCESS_KEY_ID", format!("AKIA{}", words.of(upper, 16))),
        1 => ("GITHUB_TOKEN", format!("ghp_{}", checked(words))),
        2 => ("GITLAB_TOKEN", format!("glpat-{}", words.base62(20))),
        3 => {
            let numbers = (words.of(b"123456789", 12), words.of(b"123456789", 12));
            ("SLACK_TOKEN", format!("xoxb-{}-{}-{}", numbers.0, numbers.1, words.base62(24)))
        }
        4 => ("STRIPE_KEY", format!("sk_live_{}", words.base62(24))),
        5 => ("MAPS_KEY", format!("AIza{}", words.base62(35))),
        6 => ("MAIL_KEY", format!("SG.{}.{}", words.base62(22), words.base62(43))),
        _ => ("NPM_TOKEN", format!("npm_{}", checked(words))),
    };
    match number % 3 {
        2 => format!("{name}={token}"),
        1 => format!("const {} = '{token}';", name.to_lowercase()),
        _ => format!("\t{} := \"{token}\"", name.to_lowercase()),
    }
}

/// 30 characters and their CRC-32 in six more, as GitHub's and npm's tokens end.
fn checked(words: &mut Words) -> String {
    let text = words.base62(30);
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut rest = !crc;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest as usize % 62];
        rest /= 62;
    }
    text + &String::from_utf8_lossy(&digits)
}
