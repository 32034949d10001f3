//! What was found, and where. No finding quotes a value.

use serde::{Serialize, Serializer};

use super::Rule;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// It cannot work, or must not be in Git.
    Error,
    /// It may be meant.
    Warning,
}

impl Level {
    /// The word in output.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something that is wrong. The names of the fields are part of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    pub(crate) level: Level,
    #[serde(serialize_with = "id_of")]
    pub(crate) rule: &'static Rule,
    /// As it was named, or as it was found under what was named.
    pub(crate) file: String,
    /// From 1; null where it is about the file.
    pub(crate) line: Option<usize>,
    /// In characters, from 1.
    pub(crate) column: Option<usize>,
    /// Kind, namespace and name.
    pub(crate) object: Option<String>,
    /// Where in the object; empty where it is about all of it.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) mend: String,
    /// The commit that has it, where it is not the tree that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// What tells it from others of its kind in the same file, where an allowlist can name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    /// Other places that have to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) related: Vec<Related>,
}

/// Another place that has to do with a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Related {
    pub(crate) file: String,
    pub(crate) line: Option<usize>,
    pub(crate) column: Option<usize>,
    /// What is there.
    pub(crate) message: String,
}

/// What is no finding and worth a word: a file that was not looked at, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Note {
    pub(crate) file: String,
    pub(crate) message: String,
}

impl Finding {
    /// A finding about a whole file, with the level and the mend of its rule, in which FILE becomes the file.
    pub(crate) fn new(rule: &'static Rule, file: impl Into<String>, message: impl Into<String>) -> Self {
        let file = file.into();
        let found = Self {
            level: rule.level,
            rule,
            file: String::new(),
            line: None,
            column: None,
            object: None,
            path: String::new(),
            message: message.into(),
            mend: rule.mend.to_owned(),
            commit: None,
            fingerprint: None,
            related: Vec::new(),
        }
        .naming("FILE", &file);
        Self { file, ..found }
    }

    /// The same with a word of the mend replaced by a name, where a shell takes that as it is.
    pub(crate) fn naming(mut self, word: &str, name: &str) -> Self {
        if is_tame(name) {
            let is_it = |part: &str| part.trim_matches(['`', ',', '.', ';', ')', '(']) == word;
            let parts = self.mend.split(' ');
            let parts = parts.map(|part| if is_it(part) { part.replacen(word, name, 1) } else { part.to_owned() });
            self.mend = parts.collect::<Vec<_>>().join(" ");
        }
        self
    }

    /// The same at a line and a column, both from 1.
    pub(crate) fn at(self, line: usize, column: usize) -> Self {
        Self { line: Some(line), column: Some(column), ..self }
    }

    /// The same about an object.
    pub(crate) fn of(self, object: impl Into<String>) -> Self {
        Self { object: Some(object.into()), ..self }
    }

    /// The same about a field.
    pub(crate) fn field(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// The same with another way out than the rule's.
    pub(crate) fn mended_by(self, mend: impl Into<String>) -> Self {
        Self { mend: mend.into(), ..self }
    }

    /// The same with another level than the rule's.
    #[expect(clippy::wrong_self_convention, reason = "a finding as a warning, not a view of it")]
    pub(crate) fn as_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The same, pointing to another place too.
    pub(crate) fn see(mut self, related: Related) -> Self {
        self.related.push(related);
        self
    }

    /// The finding without its place in the file.
    pub(crate) fn sentence(&self) -> String {
        let parts = [self.object.as_deref(), Some(self.path.as_str()), Some(self.message.as_str())];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
    }

    /// File, line and column, as compilers and editors write them.
    pub(crate) fn place(&self) -> String {
        let numbers = [self.line, self.column.filter(|_| self.line.is_some())];
        let numbers: String = numbers.into_iter().flatten().map(|number| format!(":{number}")).collect();
        format!("{}{numbers}", self.file)
    }
}

/// Whether a shell takes a word as it is, and no command takes it for an option.
pub(crate) fn is_tame(word: &str) -> bool {
    let tame = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    !word.is_empty() && !word.starts_with('-') && word.bytes().all(tame)
}

fn id_of<S: Serializer>(rule: &&'static Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.id)
}
