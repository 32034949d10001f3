//! SealedSecrets as they stand in repositories.

use std::fmt::Write as _;

use anyhow::Context as _;
use bulla::seal::{Binding, Place, Recipient, Scope, seal};
use bulla::secret::Plaintext;
use jiff::civil::Date;
use serde_json::json;

use super::words::Words;

/// One file with a SealedSecret, not sealed yet.
#[derive(Clone)]
pub(crate) struct SealedFile {
    pub(crate) path: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Data keys and what they hold in the clear.
    pub(crate) values: Vec<(String, Vec<u8>)>,
    scope: Scope,
    look: Look,
}

/// How the file is written.
#[derive(Clone, Copy)]
enum Look {
    Plain,
    /// With comments above, between and behind.
    Commented,
    /// Values in double quotes, labels in flow style.
    Quoted,
    /// After another document.
    Second,
    Json,
}

impl SealedFile {
    pub(crate) fn new(words: &mut Words, folder: &str, namespace: &str, name: String, values: usize) -> Self {
        let first = words.below(KEYS.len());
        let values = (0..values).map(|at| {
            let key = KEYS[(first + at) % KEYS.len()].to_owned();
            (key, value(words))
        });
        let values = values.collect();
        let look = match words.below(100) {
            0..45 => Look::Plain,
            45..75 => Look::Commented,
            75..90 => Look::Quoted,
            90..97 => Look::Second,
            _ => Look::Json,
        };
        let scope = match words.below(100) {
            0..90 => Scope::Strict,
            90..97 => Scope::NamespaceWide,
            _ => Scope::ClusterWide,
        };
        let extension = if matches!(look, Look::Json) { "json" } else { "yaml" };
        let path = format!("{folder}/{name}.{extension}");
        Self { path, namespace: namespace.to_owned(), name, values, scope, look }
    }

    /// Seals the values, each to all of `recipients`, and writes the manifest.
    pub(crate) fn render(&self, recipients: &[Recipient], today: Date) -> anyhow::Result<String> {
        let mut sealed = Vec::new();
        for (key, value) in &self.values {
            let place = Place { namespace: &self.namespace, name: &self.name, key };
            let text = seal(recipients, &Plaintext::copy_of(value), &Binding::new(self.scope, place, today));
            sealed.push((key.as_str(), text.with_context(|| format!("sealing {key} of {}", self.path))?));
        }
        Ok(match self.look {
            Look::Json => self.json(&sealed),
            look @ (Look::Plain | Look::Commented | Look::Quoted | Look::Second) => self.yaml(look, &sealed),
        })
    }

    fn yaml(&self, look: Look, sealed: &[(&str, String)]) -> String {
        let Self { namespace, name, .. } = self;
        let commented = matches!(look, Look::Commented);
        let mut text = String::new();
        let mut say = |line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).ok();
            text.push('\n');
        };
        if matches!(look, Look::Second) {
            say(format_args!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}-settings"));
            say(format_args!("  namespace: {namespace}\ndata:\n  LOG_LEVEL: info\n  POOL_SIZE: \"20\"\n---"));
        }
        if commented {
            say(format_args!("# Credentials of {name}. Ask its team before you change one.\n---"));
        }
        say(format_args!("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:"));
        say(format_args!("  name: {name}\n  namespace: {namespace}"));
        if let Some(annotation) = self.scope.annotation() {
            say(format_args!("  annotations:\n    {annotation}: \"true\""));
        }
        if commented {
            say(format_args!("  labels:\n    app.kubernetes.io/part-of: {namespace} # for the dashboards"));
        }
        say(format_args!("spec:\n  encryptedData:"));
        for (at, (key, value)) in sealed.iter().enumerate() {
            if commented && at % 2 == 1 {
                say(format_args!("    # rotated with {}", sealed[at - 1].0));
            }
            match look {
                Look::Quoted => say(format_args!("    \"{key}\": \"{value}\"")),
                Look::Commented if at == 0 => say(format_args!("    {key}: {value} # the oldest")),
                Look::Plain | Look::Commented | Look::Second | Look::Json => say(format_args!("    {key}: {value}")),
            }
        }
        say(format_args!("  template:\n    metadata:\n      name: {name}\n      namespace: {namespace}"));
        if matches!(look, Look::Quoted) {
            say(format_args!("      labels: {{app: \"{name}\", tier: backend}}"));
        }
        say(format_args!("    type: Opaque"));
        text
    }

    fn json(&self, sealed: &[(&str, String)]) -> String {
        let annotations = self.scope.annotation().map(|annotation| json!({annotation: "true"})).unwrap_or(json!({}));
        let values: serde_json::Map<_, _> =
            sealed.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())).collect();
        let manifest = json!({
            "kind": "SealedSecret",
            "apiVersion": "bitnami.com/v1alpha1",
            "metadata": {"name": self.name, "namespace": self.namespace, "annotations": annotations},
            "spec": {"template": {"metadata": {"name": self.name, "namespace": self.namespace}}, "encryptedData": values},
        });
        format!("{manifest:#}\n")
    }
}

/// A value in the clear: mostly a password, now and then something longer.
fn value(words: &mut Words) -> Vec<u8> {
    match words.below(100) {
        0..80 => words.password(),
        80..92 => format!("postgres://app:{}@{}.internal:5432/app", words.password(), words.word()),
        92..97 => format!("{{\"clientId\":\"{}\",\"clientSecret\":\"{}\"}}", words.hex(24), words.base62(48)),
        _ => words.base64(1200),
    }
    .into_bytes()
}

const KEYS: [&str; 12] = [
    "username",
    "password",
    "DATABASE_URL",
    "API_KEY",
    "clientSecret",
    "smtp-password",
    "SESSION_SECRET",
    "redis-auth",
    "webhook.token",
    "license",
    "signing-key",
    "ADMIN_PASSWORD",
];
