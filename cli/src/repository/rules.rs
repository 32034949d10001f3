//! The text of `.bulla.yaml`, without touching any file it names.
//!
//! ```yaml
//! version: 1
//! rules:                                # from top to bottom, the first whose path matches counts
//! - path: "clusters/prod/**"            # or a list of them
//!   recipients: [age1pq1..., age1...]   # who can open, as text
//!   recipientFiles: [keys/prod.txt]     # the same in files, relative to .bulla.yaml
//!   scope: strict                       # optional: strict, namespace-wide or cluster-wide
//!   namespace: prod                     # optional: for manifests that do not say one
//! ```
//!
//! Globs match paths relative to the folder of `.bulla.yaml`, always with `/`, from the beginning to the end:
//! `*` and `?` match within one folder, `**` any number of folders, `[ab]` one of these, `{a,b}` one of these words.
//! As in `.gitignore` a glob without `/` (other than at its end) matches in every folder below, a leading `/` ties it
//! to the folder of `.bulla.yaml`, and a trailing `/` means everything in that folder. There is no negation: put the
//! exception in a rule above.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::error::RepositoryError;

/// What a value may be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ScopeName {
    /// To the object's name and namespace and the data key.
    Strict,
    /// To the namespace.
    NamespaceWide,
    /// To nothing.
    ClusterWide,
}

impl ScopeName {
    /// As the file spells it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::NamespaceWide => "namespace-wide",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

/// One rule, checked.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) paths: Vec<GlobMatcher>,
    pub(super) pattern: String,
    pub(super) line: u64,
    pub(super) recipients: Vec<String>,
    pub(super) recipient_files: Vec<String>,
    pub(super) scope: Option<ScopeName>,
    pub(super) namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    version: Spanned<u64>,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawRule {
    path: Spanned<OneOrMany>,
    #[serde(default)]
    recipients: Vec<Spanned<String>>,
    #[serde(default)]
    recipient_files: Vec<Spanned<String>>,
    scope: Option<Spanned<String>>,
    namespace: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Reads and checks the text; `path` is for messages.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<Rule>, RepositoryError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        RepositoryError::Format {
            path: path.to_owned(),
            message: error.to_string(),
        }
    })?;
    if file.version.value != 1 {
        let message = format!(
            "version {} is not known; this program reads `version: 1`",
            file.version.value
        );
        return Err(at(&file.version, path, message));
    }
    file.rules
        .into_iter()
        .map(|rule| check(rule, path))
        .collect()
}

fn check(raw: RawRule, path: &Path) -> Result<Rule, RepositoryError> {
    let patterns = match &raw.path.value {
        OneOrMany::One(pattern) => std::slice::from_ref(pattern),
        OneOrMany::Many(patterns) => patterns,
    };
    if patterns.is_empty() {
        return Err(at(
            &raw.path,
            path,
            "a rule needs at least one path; write `path: \"**\"` for all files".to_owned(),
        ));
    }
    let matchers = patterns
        .iter()
        .map(|pattern| matcher(pattern).map_err(|message| at(&raw.path, path, message)));
    if raw.recipients.is_empty() && raw.recipient_files.is_empty() {
        let message = "this rule names nobody who could open the values; add `recipients` or `recipientFiles`";
        return Err(at(&raw.path, path, message.to_owned()));
    }
    for recipient in &raw.recipients {
        if let Err(message) = super::recipients::check(&recipient.value) {
            return Err(at(recipient, path, message.to_owned()));
        }
    }
    for file in &raw.recipient_files {
        if file.value.trim().is_empty() {
            return Err(at(
                file,
                path,
                "this is an empty file name; remove it".to_owned(),
            ));
        }
    }
    if let Some(namespace) = &raw.namespace
        && !is_namespace(&namespace.value)
    {
        let message = "a namespace has 1 to 63 characters out of a-z, 0-9 and -, and begins and ends with a letter or digit";
        return Err(at(namespace, path, message.to_owned()));
    }
    let scope = raw
        .scope
        .as_ref()
        .map(|scope| scope_of(scope, path))
        .transpose()?;
    Ok(Rule {
        paths: matchers.collect::<Result<_, _>>()?,
        pattern: patterns.join(", "),
        line: line_of(&raw.path),
        recipients: raw
            .recipients
            .into_iter()
            .map(|recipient| recipient.value.trim().to_owned())
            .collect(),
        recipient_files: raw
            .recipient_files
            .into_iter()
            .map(|file| file.value)
            .collect(),
        scope,
        namespace: raw.namespace.map(|namespace| namespace.value),
    })
}

fn scope_of(scope: &Spanned<String>, path: &Path) -> Result<ScopeName, RepositoryError> {
    let known = [
        ScopeName::Strict,
        ScopeName::NamespaceWide,
        ScopeName::ClusterWide,
    ];
    known
        .into_iter()
        .find(|known| known.as_str() == scope.value)
        .ok_or_else(|| {
            at(
                scope,
                path,
                format!(
                    "`{}` is no scope; write strict, namespace-wide or cluster-wide",
                    scope.value
                ),
            )
        })
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    if pattern.starts_with('!') {
        return Err(format!(
            "`{pattern}`: there is no negation; put the exception in a rule above this one"
        ));
    }
    if pattern.contains('\\') || pattern.split('/').any(|part| part == "..") {
        return Err(format!(
            "`{pattern}`: write paths with `/`, below the folder of .bulla.yaml, without `..`"
        ));
    }
    let rooted = pattern
        .strip_prefix("./")
        .or_else(|| pattern.strip_prefix('/'));
    let body = rooted.unwrap_or(pattern);
    let is_folder = body.ends_with('/');
    let inner = body.trim_end_matches('/');
    if inner.is_empty() {
        return Err(format!(
            "`{pattern}` matches nothing; write \"**\" for all files"
        ));
    }
    let mut glob = String::new();
    if rooted.is_none() && !inner.contains('/') && inner != "**" {
        glob.push_str("**/");
    }
    glob.push_str(inner);
    if is_folder {
        glob.push_str("/**");
    }
    let built = GlobBuilder::new(&glob)
        .literal_separator(true)
        .backslash_escape(false)
        .build();
    built
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{pattern}`: {}", error.kind()))
}

fn is_namespace(name: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.chars().all(|c| is_alphanumeric(c) || c == '-')
        && name.starts_with(is_alphanumeric)
        && name.ends_with(is_alphanumeric)
}

fn line_of<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

fn at<T>(spanned: &Spanned<T>, path: &Path, message: String) -> RepositoryError {
    let column = spanned.referenced.column();
    RepositoryError::Rule {
        path: path.to_owned(),
        line: line_of(spanned),
        column,
        message,
    }
}
