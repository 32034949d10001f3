//! What was found in one text.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::hash::RandomState;
use std::ops::Range;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::findings::{Level, Rule};

/// Something that was found. It holds no byte of the secret.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) rule: &'static Rule,
    pub(crate) level: Level,
    /// Bytes of the text that are the secret, or what it is written as.
    pub(super) span: Range<usize>,
    /// What it is, never what it says.
    pub(crate) what: Cow<'static, str>,
    /// How many characters it has.
    pub(super) length: usize,
    /// What else is to be said.
    pub(super) remark: Option<String>,
    /// Of which Kubernetes object.
    pub(crate) object: Option<String>,
    /// Where in the object.
    pub(crate) path: String,
    /// What it is set to, as far as that can be said: a part of its fingerprint.
    pub(super) context: String,
    /// Tells this secret from others, in this process only.
    pub(crate) print: u64,
    /// Where its object begins: remarks there are about this too.
    pub(super) starts: Vec<usize>,
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

/// Keyed by chance: what is made of a secret must not outlive the process.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Hit {
    /// A secret in the bytes `span` of the text; `what` says what it is.
    pub(super) fn new(
        rule: &'static Rule,
        span: Range<usize>,
        what: impl Into<Cow<'static, str>>,
        secret: &[u8],
    ) -> Self {
        Self {
            rule,
            level: rule.level,
            span,
            what: what.into(),
            length: std::str::from_utf8(secret).map_or(secret.len(), |text| text.chars().count()),
            remark: None,
            object: None,
            path: String::new(),
            context: String::new(),
            print: KEY.hash_one((rule.id, secret)),
            starts: Vec::new(),
            line: 0,
            column: 0,
        }
    }

    /// What was found, in words; nothing of the secret but its length.
    pub(crate) fn told(&self) -> String {
        let characters = if self.length == 1 { "character" } else { "characters" };
        let remark = self.remark.as_ref().map(|remark| format!("; {remark}")).unwrap_or_default();
        format!("{}, {} {characters}{remark}", self.what, self.length)
    }

    /// The same in an object.
    pub(super) fn within(mut self, object: Option<String>, path: String) -> Self {
        // The same word in two objects is two secrets.
        self.print = KEY.hash_one((self.print, &object, &path));
        Self { object, path, ..self }
    }

    /// The same with a level of its own.
    pub(super) fn with_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The same in an object that begins at these bytes.
    pub(super) fn starting(self, starts: &[usize]) -> Self {
        Self { starts: [&self.starts, starts].concat(), ..self }
    }

    /// What stays of it when lines move and the secret changes. It is made of names only.
    pub(crate) fn fingerprint(&self, file: &str, number: usize) -> String {
        let object = self.object.as_deref().unwrap_or_default();
        let parts = [self.rule.id, file, object, &self.path, &self.context, &number.to_string()];
        let digest = Sha256::digest(parts.join("\n").as_bytes());
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}
