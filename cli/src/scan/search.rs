//! Where is searched: files, the index, or history; and what comes of it as findings.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use jiff::civil::Date;
use serde::Serialize;

use super::allowlist::{Allowlist, Subject};
use super::hit::Hit;
use super::look::Looked;
use crate::failure::Outcome;
use crate::findings::{Finding, Note};
use crate::git::Left;

/// What to search, and what to leave out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Files and folders.
    pub(crate) paths: Vec<PathBuf>,
    /// Patterns of files to leave out.
    pub(crate) exclude: Vec<String>,
    /// The allowlist, instead of the nearest one.
    pub(crate) allow: Option<PathBuf>,
    /// Look at what Git ignores, too.
    pub(crate) with_ignored: bool,
}

/// What a search came to.
pub(crate) struct Search {
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<Note>,
    pub(crate) counts: Counts,
    /// The files that were looked at, as they are shown; of a history none, since it is all files.
    pub(crate) files: Vec<String>,
}

/// What was looked at. The names of the fields are part of the output.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Where: `tree`, `staged` or `history`.
    pub(crate) searched: &'static str,
    /// Commits, of a history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commits: Option<usize>,
    /// Files, or versions of files.
    pub(crate) texts: usize,
    /// Bytes of them.
    pub(crate) bytes: u64,
    /// Those that are not text.
    pub(crate) binary: usize,
    /// Those that are too long.
    pub(crate) large: usize,
    /// Findings that remarks and the allowlist leave out.
    pub(crate) allowed: usize,
}

/// What goes on while texts are looked at, on many threads.
pub(super) struct Tally {
    pub(super) allowlist: Allowlist,
    pub(super) today: Date,
    texts: AtomicUsize,
    bytes: AtomicU64,
    allowed: AtomicUsize,
}

/// Where a text is.
pub(super) struct Source<'a> {
    /// As people are shown it.
    pub(super) shown: &'a str,
    /// From the root of the repository.
    pub(super) name: &'a str,
    /// Absolute.
    pub(super) file: &'a Path,
    /// The commit that it came in with.
    pub(super) commit: Option<&'a str>,
}

impl Tally {
    pub(super) fn new(options: &Options, from: &Path) -> Outcome<Self> {
        Ok(Self::with(Allowlist::read(options.allow.as_deref(), from)?))
    }

    pub(super) fn with(allowlist: Allowlist) -> Self {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        Self { allowlist, today, texts: AtomicUsize::new(0), bytes: AtomicU64::new(0), allowed: AtomicUsize::new(0) }
    }

    /// Looks at a text; what the allowlist allows is for [`Self::judge`].
    pub(super) fn look(&self, bytes: &[u8], name: &str) -> Looked {
        self.texts.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let looked = super::look(bytes, name);
        self.allowed.fetch_add(looked.allowed, Ordering::Relaxed);
        looked
    }

    /// The hits of a text that may not stay, with their fingerprints.
    pub(super) fn judge(&self, hits: Vec<Hit>, source: &Source<'_>) -> Vec<(Hit, String)> {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let judged = hits.into_iter().filter_map(|hit| {
            let number = numbers.entry(hit.fingerprint(source.name, 0)).or_default();
            *number += 1;
            let fingerprint = hit.fingerprint(source.name, *number);
            let subject =
                Subject { file: source.file, rule: hit.rule.id, fingerprint: &fingerprint, commit: source.commit };
            if self.allowlist.allows(&subject, self.today) {
                self.allowed.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Some((hit, fingerprint))
        });
        judged.collect()
    }

    pub(super) fn counts(&self, searched: &'static str, left: Left) -> Counts {
        Counts {
            searched,
            commits: None,
            texts: self.texts.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            binary: left.binary,
            large: left.large,
            allowed: self.allowed.load(Ordering::Relaxed),
        }
    }
}

/// A finding of what was found there.
pub(super) fn finding(hit: &Hit, fingerprint: String, shown: &str) -> Finding {
    let mut finding = Finding::new(hit.rule, shown, hit.told()).at(hit.line, hit.column).as_level(hit.level);
    finding = finding.field(hit.path.clone());
    finding.object.clone_from(&hit.object);
    finding.fingerprint = Some(fingerprint);
    finding
}

/// What is to be said about remarks in a text.
pub(super) fn remarks(looked: &Looked, shown: &str) -> Vec<Note> {
    looked.unreasoned.iter().map(|line| unreasoned(shown, *line)).collect()
}

fn unreasoned(shown: &str, line: usize) -> Note {
    let message = format!("line {line}: bulla:allow without a reason allows nothing");
    Note { file: shown.to_owned(), message }
}

/// Notes about what was not looked at.
pub(super) fn left_notes(place: &str, left: Left) -> Vec<Note> {
    let note = |count: usize, why: &str| {
        (count > 0).then(|| Note { file: place.to_owned(), message: format!("{count} file(s) {why}: not looked at") })
    };
    let most = crate::git::MAX_BYTES >> 20;
    let notes = [
        note(left.binary, "that are not text"),
        note(left.large, &format!("of more than {most} MiB")),
        note(left.missing, "that are not there or cannot be read"),
    ];
    notes.into_iter().flatten().collect()
}

/// The findings in order of their places.
pub(super) fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| (&a.file, a.line, a.column, a.rule.id).cmp(&(&b.file, b.line, b.column, b.rule.id)));
    findings
}

/// Paths of a repository, as they are shown: under what was named.
pub(super) struct Under {
    /// What was named, and where that is in the repository.
    all: Vec<(PathBuf, String)>,
}

impl Under {
    pub(super) fn new(paths: &[PathBuf], relative: impl Fn(&Path) -> Option<String>) -> Self {
        Self { all: paths.iter().map(|path| (path.clone(), relative(path).unwrap_or_default())).collect() }
    }

    /// How a path from the root of the repository is shown; `None` if it is not under what was named.
    pub(super) fn shown(&self, name: &str) -> Option<String> {
        self.all.iter().find_map(|(path, prefix)| {
            let rest = match name.strip_prefix(prefix.as_str())? {
                rest if prefix.is_empty() || rest.is_empty() => rest,
                rest => rest.strip_prefix('/')?,
            };
            let joined = if rest.is_empty() { path.clone() } else { path.join(rest) };
            Some(joined.strip_prefix(".").unwrap_or(&joined).display().to_string())
        })
    }
}
