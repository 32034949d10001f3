//! `.bulla-allow.yaml`: what may stay, and why.
//!
//! ```yaml
//! version: 1
//! allow:
//! - path: "tests/fixtures/**"     # from the folder of this file; * stays within a folder, ** crosses them
//!   rule: private-key             # optional: one rule, or a list of them
//!   reason: keys of tests, no server takes them
//! - path: deploy/old.env
//!   commit: 3f2a91c0              # optional: only what came in with this commit
//!   reason: changed on 2026-03-01, the old one is dead
//! - path: web/config.ts
//!   fingerprint: 5c0f3e2b9a1d4c77 # optional: one place, as --output json names it
//!   reason: a key that browsers send, restricted to our domain
//!   until: 2027-01-01             # optional: from this day on it counts again
//! ```

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{GlobBuilder, GlobMatcher};
use jiff::civil::Date;
use serde::Deserialize;

use super::rules::RULES;
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::findings::Note;
use crate::git::{Git, Indexed};

/// The name of the file, in the folder that is searched or above it.
pub(crate) const FILE_NAME: &str = ".bulla-allow.yaml";
/// More than any list that somebody keeps up; a bound for hostile input.
const MAX_BYTES: u64 = 1 << 20;

/// What may stay.
#[derive(Default)]
pub(crate) struct Allowlist {
    file: Option<PathBuf>,
    /// The folder of the file.
    folder: PathBuf,
    entries: Vec<Entry>,
}

struct Entry {
    path: String,
    matcher: GlobMatcher,
    rules: Vec<String>,
    fingerprint: Option<String>,
    commit: Option<String>,
    until: Option<Date>,
    was_used: AtomicBool,
}

/// Something that was found, as entries describe it.
pub(crate) struct Subject<'a> {
    /// Where it is, absolute; for a repository without a work tree from its root.
    pub(crate) file: &'a Path,
    pub(crate) rule: &'a str,
    pub(crate) fingerprint: &'a str,
    /// The commit that it came in with.
    pub(crate) commit: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    version: u32,
    #[serde(default)]
    allow: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    path: String,
    #[serde(default)]
    rule: OneOrMany,
    fingerprint: Option<String>,
    commit: Option<String>,
    reason: String,
    until: Option<Date>,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Allowlist {
    /// Reads this file, or the nearest one from `from` upwards, not beyond the repository. Without one nothing may stay.
    ///
    /// # Errors
    /// The file cannot be read, or says what no allowlist says; an entry without a reason, among others.
    pub(crate) fn read(file: Option<&Path>, from: &Path) -> Outcome<Self> {
        let Some(file) = file.map(Path::to_path_buf).or_else(|| nearest(from)) else { return Ok(Self::default()) };
        let named = file.display().to_string();
        if std::fs::metadata(&file).or_usage(format!("reading {named}"))?.len() > MAX_BYTES {
            return Err(refuse!("{named} has more than {MAX_BYTES} bytes"));
        }
        let text = std::fs::read_to_string(&file).or_usage(format!("reading {named}"))?;
        Self::parse(file, &text)
    }

    /// Reads the file that is staged at the root of the repository. What is only on the disk lets nothing stay.
    ///
    /// # Errors
    /// As of [`Self::read`], or it is a link.
    pub(crate) fn staged(git: &Git, root: &Path) -> Outcome<Self> {
        let blob = match git.index()?.at(FILE_NAME) {
            None => return Ok(Self::default()),
            Some(Indexed::Link) => {
                return Err(refuse!("{FILE_NAME} is staged as a link: it is a file of its own"));
            }
            Some(Indexed::File(blob)) => blob,
        };
        let bytes = git.bytes_of(blob)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(refuse!("{FILE_NAME} has more than {MAX_BYTES} bytes"));
        }
        Self::parse(root.join(FILE_NAME), &String::from_utf8(bytes).or_refuse(FILE_NAME)?)
    }

    fn parse(file: PathBuf, text: &str) -> Outcome<Self> {
        let named = file.display().to_string();
        let list: RawList = serde_saphyr::from_str(text).map_err(|error| {
            let at = error.location().map_or_else(String::new, |at| format!(":{}:{}", at.line(), at.column()));
            refuse!("{named}{at}: {}", error.without_snippet())
        })?;
        if list.version != 1 {
            return Err(refuse!("{named}: version {} is not known: this release reads 1", list.version));
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let folder = folder.canonicalize().or_usage(format!("reading {named}"))?;
        let entries = list.allow.into_iter().map(|raw| entry(raw, &named)).collect::<Outcome<_>>()?;
        Ok(Self { file: Some(file), folder, entries })
    }

    /// Whether it may stay, on this day.
    pub(crate) fn allows(&self, subject: &Subject<'_>, today: Date) -> bool {
        let file = subject.file.strip_prefix(&self.folder).unwrap_or(subject.file);
        let fits = |entry: &&Entry| {
            let is_rule = entry.rules.is_empty() || entry.rules.iter().any(|rule| rule == subject.rule);
            let is_print = entry.fingerprint.as_deref().is_none_or(|print| print == subject.fingerprint);
            let came_in = |commit: &str| subject.commit.is_some_and(|id| id.starts_with(commit));
            is_rule && is_print && entry.commit.as_deref().is_none_or(came_in) && entry.matcher.is_match(file)
        };
        let mut may_stay = false;
        for entry in self.entries.iter().filter(fits) {
            entry.was_used.store(true, Ordering::Relaxed);
            may_stay |= entry.until.is_none_or(|until| today < until);
        }
        may_stay
    }

    /// What is to be said about the list itself: entries whose day has come and, where everything was looked at, those
    /// that fit nothing.
    pub(crate) fn notes(&self, today: Date, was_all_looked_at: bool) -> Vec<Note> {
        let Some(file) = &self.file else { return Vec::new() };
        let note = |entry: &Entry| {
            let was_used = entry.was_used.load(Ordering::Relaxed);
            let rules = if entry.rules.is_empty() { String::new() } else { format!(" ({})", entry.rules.join(", ")) };
            let message = match entry.until {
                Some(until) if until <= today && was_used => {
                    format!("allowed until {until}, counts again: {}{rules}", entry.path)
                }
                _ if !was_used && was_all_looked_at => {
                    format!("fits nothing any more, take it out: {}{rules}", entry.path)
                }
                _ => return None,
            };
            Some(Note { file: file.display().to_string(), message })
        };
        self.entries.iter().filter_map(note).collect()
    }
}

fn nearest(from: &Path) -> Option<PathBuf> {
    let from = from.canonicalize().ok()?;
    for folder in from.ancestors() {
        let candidate = folder.join(FILE_NAME);
        if candidate.is_file() {
            return Some(candidate);
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

fn entry(raw: RawEntry, named: &str) -> Outcome<Entry> {
    let RawEntry { path, rule, fingerprint, commit, reason, until } = raw;
    if !reason.chars().any(char::is_alphabetic) {
        return Err(refuse!("{named}: the entry for {path:?} gives no reason"));
    }
    let rules = match rule {
        OneOrMany::None => Vec::new(),
        OneOrMany::One(rule) => vec![rule],
        OneOrMany::Many(rules) => rules,
    };
    if let Some(unknown) = rules.iter().find(|rule| !RULES.iter().any(|known| known.id == rule.as_str())) {
        return Err(refuse!("{named}: there is no rule {unknown:?}; `bulla scan --rules` lists them"));
    }
    let is_hex = |commit: &String| commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(commit) = commit.as_ref().filter(|commit| !is_hex(commit)) {
        return Err(refuse!("{named}: {commit:?} is no id of a commit: at least 7 hexadecimal digits"));
    }
    let glob = GlobBuilder::new(path.trim_start_matches("./")).literal_separator(true).build();
    let matcher = glob.or_refuse(format!("{named}: path {path:?}"))?.compile_matcher();
    let commit = commit.map(|commit| commit.to_ascii_lowercase());
    Ok(Entry { path, matcher, rules, fingerprint, commit, until, was_used: AtomicBool::new(false) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::civil::date;

    use super::{Allowlist, FILE_NAME, Subject};

    fn list(text: &str) -> Result<(tempfile::TempDir, Allowlist), String> {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join(FILE_NAME)).unwrap().write_all(text.as_bytes()).unwrap();
        let read = Allowlist::read(None, folder.path()).map_err(|failure| failure.to_string())?;
        Ok((folder, read))
    }

    #[test]
    fn entries_fit_by_path_rule_commit_and_place_until_their_day() {
        let (folder, list) = list(
            "version: 1\nallow:\n- {path: 'tests/**', rule: [private-key, jwt], reason: keys of tests}\n\
             - {path: a.env, commit: 0123abcd, reason: changed since}\n- {path: b, fingerprint: f00, reason: public, until: 2026-01-01}\n\
             - {path: gone, reason: nothing}\n",
        )
        .unwrap();
        let root = folder.path().canonicalize().unwrap();
        let may = |file: &str, rule: &str, fingerprint: &str, commit: Option<&str>, day: i8| {
            list.allows(&Subject { file: &root.join(file), rule, fingerprint, commit }, date(2025, 12, day))
        };
        assert!(
            may("tests/deep/key.pem", "private-key", "", None, 1) && !may("tests/key.pem", "npm-token", "", None, 1)
        );
        assert!(!may("test/key.pem", "private-key", "", None, 1));
        assert!(may("a.env", "npm-token", "", Some("0123abcdef"), 1) && !may("a.env", "npm-token", "", None, 1));
        assert!(may("b", "jwt", "f00", None, 31) && !may("b", "jwt", "f01", None, 31));
        let told = |notes: Vec<crate::findings::Note>| notes.into_iter().map(|note| note.message).collect::<Vec<_>>();
        assert_eq!(
            told(list.notes(date(2026, 1, 1), true)),
            ["allowed until 2026-01-01, counts again: b", "fits nothing any more, take it out: gone"]
        );
        assert!(!list.allows(
            &Subject { file: &root.join("b"), rule: "jwt", fingerprint: "f00", commit: None },
            date(2026, 1, 1)
        ));
        assert!(Allowlist::read(None, Path::new("/")).is_ok_and(|none| none.entries.is_empty()));
    }

    #[test]
    fn lists_without_reasons_or_with_unknown_words_are_refused() {
        for (entry, expected) in [
            ("{path: a}", "reason"),
            ("{path: a, reason: '-'}", "gives no reason"),
            ("{path: a, reason: x, rule: nonsense}", "no rule"),
            ("{path: a, reason: x, commit: xyz}", "no id of a commit"),
            ("{path: a, reason: x, because: y}", "because"),
            ("{path: 'a[', reason: x}", "a["),
        ] {
            let said = list(&format!("version: 1\nallow: [{entry}]\n")).err().unwrap_or_default();
            assert!(said.contains(expected), "{entry}: {said}");
        }
        assert!(list("version: 2\n").is_err());
    }
}
