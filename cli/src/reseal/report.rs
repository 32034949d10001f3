//! What was done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bulla::seal::KeyId;
use serde::Serialize;

use super::Mode;
use crate::document::Manifest;

/// What became of a run; the names of the fields are part of the output.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Whether files were written.
    pub(crate) written: bool,
    /// Values that were sealed again, or would be.
    pub(crate) resealed: u64,
    /// Values that are to be sealed again and were not, as nobody was to open them.
    pub(crate) stale: u64,
    /// Values that are sealed as they should be.
    pub(crate) current: u64,
    /// Values that do not name their keys, with nobody to open them.
    pub(crate) unknown: u64,
    /// Values and files that could not be sealed again.
    pub(crate) failed: u64,
    /// Recipients, and how many values they open that they did not open before.
    pub(crate) gained: BTreeMap<KeyId, u64>,
    /// The files of rules that name those who gained something.
    pub(crate) named_by: BTreeMap<KeyId, BTreeSet<String>>,
    /// Recipients, and how many values they open no more.
    pub(crate) lost: BTreeMap<KeyId, u64>,
    /// The files in which something is to be told, in order.
    pub(crate) files: Vec<FileReport>,
}

/// One file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileReport {
    /// The file, as people write it.
    pub(crate) file: String,
    pub(crate) resealed: u64,
    /// Line and data key of stale values.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "keys")]
    pub(crate) stale: Vec<(usize, String)>,
    pub(crate) current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unknown: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) failed: Vec<Failed>,
    /// The file whose rule says whom its values are sealed to.
    #[serde(skip)]
    pub(super) named_by: Option<String>,
    #[serde(skip)]
    gained: BTreeMap<KeyId, u64>,
    #[serde(skip)]
    lost: BTreeMap<KeyId, u64>,
}

/// A value, or a whole file, that could not be sealed again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<String>,
    /// The data key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) reason: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn keys<S: serde::Serializer>(stale: &[(usize, String)], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Stale<'a> {
        line: usize,
        key: &'a str,
    }
    serializer.collect_seq(stale.iter().map(|(line, key)| Stale { line: *line, key }))
}

impl FileReport {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            file: path.strip_prefix(".").unwrap_or(path).display().to_string(),
            resealed: 0,
            stale: Vec::new(),
            current: 0,
            unknown: 0,
            failed: Vec::new(),
            named_by: None,
            gained: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }

    /// The whole file cannot be dealt with.
    pub(super) fn broken(mut self, line: Option<usize>, reason: String) -> Self {
        self.failed.push(Failed { line, object: None, key: None, reason });
        self
    }

    /// A value was sealed again: those who could open it before, and those who can now.
    pub(super) fn resealed(&mut self, before: &[KeyId], after: &[KeyId]) {
        self.resealed += 1;
        for id in after.iter().filter(|id| !before.contains(id)) {
            *self.gained.entry(*id).or_default() += 1;
        }
        for id in before.iter().filter(|id| !after.contains(id)) {
            *self.lost.entry(*id).or_default() += 1;
        }
    }

    /// The file stayed as it was.
    pub(super) fn not_written(&mut self, reason: String) {
        let reason = format!("{} value(s) sealed again, but the file cannot be written: {reason}", self.resealed);
        self.failed.push(Failed { line: None, object: None, key: None, reason });
        self.resealed = 0;
        self.gained.clear();
        self.lost.clear();
    }

    fn is_worth_telling(&self) -> bool {
        self.resealed > 0 || self.unknown > 0 || !self.stale.is_empty() || !self.failed.is_empty()
    }
}

impl Report {
    pub(super) fn of(mode: Mode, files: Vec<FileReport>) -> Self {
        let mut report = Self { written: mode == Mode::Write, ..Self::default() };
        for file in files {
            report.resealed += file.resealed;
            report.stale += file.stale.len() as u64;
            report.current += file.current;
            report.unknown += file.unknown;
            report.failed += file.failed.len() as u64;
            for id in file.gained.keys() {
                report.named_by.entry(*id).or_default().extend(file.named_by.clone());
            }
            for (all, own) in [(&mut report.gained, &file.gained), (&mut report.lost, &file.lost)] {
                for (id, count) in own {
                    *all.entry(*id).or_default() += count;
                }
            }
            if file.is_worth_telling() {
                report.files.push(file);
            }
        }
        report
    }
}

/// `namespace/name` of an object, as far as it says.
pub(super) fn named(object: &Manifest) -> String {
    let name = object.name.as_deref().unwrap_or("(no name)");
    object.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}
