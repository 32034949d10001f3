//! `.bulla.yaml`: which recipients the files of a repository are sealed to.
//!
//! ```yaml
//! version: 1
//! rules:                                   # the first rule whose path matches holds
//! - path: "clusters/prod/**"               # relative to .bulla.yaml; * stays within a folder, ** crosses them
//!   recipients: [age1pq1..., age1pq1...]
//!   recipientFiles: [keys/prod.txt, keys/prod.pem]   # one recipient a line, # comments; or a certificate
//!   scope: strict                          # optional: what `bulla seal` does without --scope
//!   namespace: prod                        # optional: for manifests that name none
//! ```
//! The file is looked for in the folder of the manifest and upwards, to the root of the Git repository. It is no link,
//! and the files that it names are in the repository too: whoever reviews a change sees whom values are sealed to.

mod book;
mod committed;
pub(crate) mod rewrite;
mod staged;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use bulla::seal::Scope;
use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

pub(crate) use self::book::{Book, Rulebook};
pub(crate) use self::committed::Namespaces;
pub(crate) use self::staged::StagedRules;

/// The name of the file.
pub(crate) const FILE_NAME: &str = ".bulla.yaml";
/// More than any repository needs; a bound for hostile input.
const MAX_BYTES: u64 = 1 << 20;

/// The rule that holds for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The `.bulla.yaml` it is from.
    pub(crate) file: PathBuf,
    /// Recipient strings.
    pub(crate) recipients: Vec<String>,
    /// Files of recipients or certificates, resolved.
    pub(crate) recipient_files: Vec<PathBuf>,
    /// The scope to seal with.
    pub(crate) scope: Option<Scope>,
    /// The namespace of manifests that name none.
    pub(crate) namespace: Option<String>,
    /// What the files of recipients say, where that was not read from the disk; `None` for one that is not there.
    pub(crate) texts: Option<BTreeMap<PathBuf, Option<String>>>,
}

/// Why the rules could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    #[error("cannot read {path}: {error}")]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{path} has more than {MAX_BYTES} bytes")]
    TooLarge { path: PathBuf },
    #[error("{path} is a link: whom values are sealed to is said by a file of its own, which Git has")]
    Linked { path: PathBuf },
    #[error("{path}{at}: {problem}")]
    Malformed { path: PathBuf, at: At, problem: String },
}

/// Line and column, from 1, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Option<(usize, usize)>);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |(line, column)| write!(f, ":{line}:{column}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    version: u32,
    #[serde(default)]
    rules: Vec<RawRule>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawRule {
    path: String,
    #[serde(default)]
    recipients: Vec<String>,
    #[serde(default)]
    recipient_files: Vec<PathBuf>,
    scope: Option<Scope>,
    namespace: Option<String>,
}

/// Finds the rule for `file`, which need not exist yet. `None` if there is no `.bulla.yaml`, or no rule of it matches.
pub(crate) fn rule_for(file: &Path) -> Result<Option<Rule>, RulesError> {
    let file = absolute(file).map_err(|error| RulesError::Unreadable { path: file.to_path_buf(), error })?;
    let Some(path) = find(&file) else { return Ok(None) };
    let root = path.parent().unwrap_or_else(|| Path::new("/"));
    let relative = file.strip_prefix(root).unwrap_or(&file);
    for raw in read(&path)?.rules {
        if matcher(&raw.path, &path)?.is_match(relative) {
            let RawRule { recipients, recipient_files, scope, namespace, path: _ } = raw;
            let recipient_files = recipient_files.iter().map(|named| root.join(named)).collect();
            return Ok(Some(Rule { file: path, recipients, recipient_files, scope, namespace, texts: None }));
        }
    }
    Ok(None)
}

/// The paths of the rules of a `.bulla.yaml`, in order.
pub(crate) fn paths(file: &Path) -> Result<Vec<String>, RulesError> {
    Ok(read(file)?.rules.into_iter().map(|rule| rule.path).collect())
}

/// The `.bulla.yaml` whose rules hold for `file`, whether one matches or not.
pub(crate) fn nearest(file: &Path) -> Option<PathBuf> {
    find(&absolute(file).ok()?)
}

/// `file` from the root, without `.` and `..`, and with the links of its folder resolved where the folder exists.
fn absolute(file: &Path) -> std::io::Result<PathBuf> {
    // What a link leads to is what is written, so its rule holds.
    if let Ok(resolved) = fs::canonicalize(file) {
        return Ok(resolved);
    }
    let clean = clean(file)?;
    let resolved = clean.parent().zip(clean.file_name()).and_then(|(folder, name)| {
        let folder = fs::canonicalize(folder).ok()?;
        Some(folder.join(name))
    });
    Ok(resolved.unwrap_or(clean))
}

/// `file` from the root, without `.` and `..`; no link is resolved.
fn clean(file: &Path) -> std::io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in std::path::absolute(file)?.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => clean.push(part),
        }
    }
    Ok(clean)
}

/// The nearest `.bulla.yaml`, not beyond the repository that the file is in.
fn find(file: &Path) -> Option<PathBuf> {
    for folder in file.ancestors().skip(1) {
        let candidate = folder.join(FILE_NAME);
        // A link is no file of rules, and does not let those above hold either: reading it says so.
        if candidate.is_file() || candidate.is_symlink() {
            return Some(candidate);
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

/// The root of the repository that a `.bulla.yaml` is in, else its folder: how far what it names may be.
pub(crate) fn root_of(rules: &Path) -> PathBuf {
    root_around(rules.parent().unwrap_or_else(|| Path::new("/")))
}

/// The root of the repository that holds a folder, else the folder, with links resolved.
pub(crate) fn root_around(folder: &Path) -> PathBuf {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    folder.ancestors().find(|above| above.join(".git").exists()).unwrap_or(&folder).to_path_buf()
}

fn read(path: &Path) -> Result<Rules, RulesError> {
    parse(path, &text_of(path)?)
}

fn text_of(path: &Path) -> Result<String, RulesError> {
    let unreadable = |error| RulesError::Unreadable { path: path.to_path_buf(), error };
    if path.is_symlink() {
        return Err(RulesError::Linked { path: path.to_path_buf() });
    }
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(RulesError::TooLarge { path: path.to_path_buf() });
    }
    fs::read_to_string(path).map_err(unreadable)
}

fn parse(path: &Path, text: &str) -> Result<Rules, RulesError> {
    let malformed = |at: At, problem: String| RulesError::Malformed { path: path.to_path_buf(), at, problem };
    let rules: Rules = serde_saphyr::from_str(text).map_err(|error| {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let at = error.location().map(|at| (number(at.line()), number(at.column())));
        malformed(At(at), error.without_snippet().to_string())
    })?;
    if rules.version != 1 {
        return Err(malformed(At::default(), format!("version {} is not known: this release reads 1", rules.version)));
    }
    Ok(rules)
}

fn matcher(pattern: &str, path: &Path) -> Result<GlobMatcher, RulesError> {
    let pattern = pattern.trim_start_matches("./");
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| RulesError::Malformed {
        path: path.to_path_buf(),
        at: At::default(),
        problem: format!("path {pattern:?} is not a glob: {}", error.kind()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{RulesError, rule_for};

    const RULES: &str = "
version: 1
rules:
- path: clusters/prod/**
  recipients: [age1one]
  recipientFiles: [keys/prod.txt]
  scope: namespace-wide
  namespace: prod
- path: '*.yaml'
  recipients: [age1two]
";

    fn repository(rules: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        fs::create_dir_all(folder.path().join("clusters/prod/apps")).unwrap();
        let mut file = fs::File::create(folder.path().join(".bulla.yaml")).unwrap();
        std::io::Write::write_all(&mut file, rules.as_bytes()).unwrap();
        folder
    }

    #[test]
    fn the_first_matching_rule_holds_and_names_its_files_from_the_root() {
        let folder = repository(RULES);
        let root = folder.path().canonicalize().unwrap();
        let rule = rule_for(&root.join("clusters/prod/apps/../apps/db.yaml")).unwrap().unwrap();
        assert_eq!(rule.recipients, ["age1one"]);
        assert_eq!(rule.recipient_files, [root.join("keys/prod.txt")]);
        assert_eq!(rule.namespace.as_deref(), Some("prod"));
        assert_eq!(rule_for(&root.join("db.yaml")).unwrap().unwrap().recipients, ["age1two"]);
    }

    #[test]
    fn a_star_does_not_cross_folders_and_a_file_without_a_rule_has_none() {
        let folder = repository(RULES);
        assert_eq!(rule_for(&folder.path().join("clusters/db.yaml")).unwrap(), None);
    }

    #[test]
    fn a_link_says_nothing_and_hides_what_is_above_it() {
        let folder = repository(RULES);
        fs::rename(folder.path().join(".bulla.yaml"), folder.path().join("rules.yaml")).unwrap();
        for target in ["rules.yaml", "/nowhere"] {
            std::os::unix::fs::symlink(target, folder.path().join(".bulla.yaml")).unwrap();
            let error = rule_for(&folder.path().join("db.yaml")).unwrap_err();
            assert!(matches!(error, RulesError::Linked { .. }), "{error}");
            fs::remove_file(folder.path().join(".bulla.yaml")).unwrap();
        }
    }

    #[test]
    fn the_search_stops_at_the_repository() {
        let folder = repository(RULES);
        let inner = folder.path().join("clusters/vendored");
        fs::create_dir_all(inner.join(".git")).unwrap();
        assert_eq!(rule_for(&inner.join("db.yaml")).unwrap(), None);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (rules, expected) in [
            ("version: 1\nrules:\n- path: a\n  recipient: [x]\n", "recipient"),
            ("version: 2\n", "version 2 is not known"),
            ("version: 1\nrules:\n- path: 'a[b'\n", "is not a glob"),
            ("version: 1\nrules:\n- path: a\n  scope: wide\n", "wide"),
        ] {
            let folder = repository(rules);
            let error = rule_for(&folder.path().join("a")).unwrap_err();
            assert!(matches!(error, RulesError::Malformed { .. }), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
