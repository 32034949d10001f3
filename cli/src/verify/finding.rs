//! What is wrong, and where. No finding quotes a value.

use serde::Serialize;

use crate::external;

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
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// Which rule, in a word that stays.
    pub(crate) rule: &'static str,
    pub(crate) file: String,
    /// From 1; null where it is about the file.
    pub(crate) line: Option<usize>,
    /// Kind, namespace and name.
    pub(crate) object: Option<String>,
    /// Where in the object; empty where it is about all of it.
    pub(crate) path: String,
    pub(crate) message: String,
}

/// A file that was not looked at, and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) file: String,
    pub(crate) message: String,
}

/// Where something is.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) file: String,
    pub(super) line: Option<usize>,
    pub(super) object: Option<String>,
}

impl At {
    /// An error there.
    pub(super) fn error(self, rule: &'static str, path: impl Into<String>, message: impl Into<String>) -> Finding {
        self.finding(Level::Error, rule, path.into(), message.into())
    }

    /// A warning there.
    pub(super) fn warning(self, rule: &'static str, path: impl Into<String>, message: impl Into<String>) -> Finding {
        self.finding(Level::Warning, rule, path.into(), message.into())
    }

    fn finding(self, level: Level, rule: &'static str, path: String, message: String) -> Finding {
        let Self { file, line, object } = self;
        Finding { level, rule, file, line, object, path, message }
    }
}

impl From<external::Finding> for Finding {
    fn from(found: external::Finding) -> Self {
        let external::Finding { file, line, object, path, message, is_missing_store } = found;
        // In a repository, a store may be somewhere else: with another team, or made by hand.
        let (level, rule) =
            if is_missing_store { (Level::Warning, "missing-store") } else { (Level::Error, "external-secret") };
        let message = if is_missing_store {
            message
                .replace("in the given files: name the file that has it with --store", "in the files that were checked")
        } else {
            message
        };
        Self { level, rule, file, line, object: Some(object), path, message }
    }
}
