//! Findings that are known already: a file in the repository that a team works off, while nothing new comes in.
//!
//! ```json
//! {
//!   "version": 1,
//!   "findings": [
//!     {"rule": "plain-secret", "file": "clusters/old/db.yaml", "object": "Secret prod/db", "path": "data.password",
//!      "reason": "moves with the database in May"}
//!   ]
//! }
//! ```
//! An entry is met by rule, file, object and path: lines may move. It holds no value and no line.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Finding, Note, Root};
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::output::{self, Access};

/// More than any list that somebody works off; a bound for hostile input.
const MAX_BYTES: u64 = 16 << 20;

/// What is known already.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    version: u32,
    findings: Vec<Known>,
}

/// One entry, or several that cannot be told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    pub(super) rule: String,
    /// From the root of the repository.
    pub(super) file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) path: String,
    /// How many there are.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(super) count: usize,
    /// Why it may stay, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

const fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
const fn is_one(count: &usize) -> bool {
    *count == 1
}

/// What tells entries apart.
type Print = (String, String, Option<String>, String);

impl Known {
    pub(super) fn of(finding: &Finding, root: &Root) -> Self {
        Self {
            rule: finding.rule.id.to_owned(),
            file: root.name(&finding.file),
            object: finding.object.clone(),
            path: finding.path.clone(),
            count: 1,
            reason: None,
        }
    }

    fn print(&self) -> Print {
        (self.rule.clone(), self.file.clone(), self.object.clone(), self.path.clone())
    }
}

impl Baseline {
    /// Reads a file that [`Self::write`] wrote and people may have edited.
    ///
    /// # Errors
    /// When it cannot be read, or is not a baseline.
    pub(crate) fn read(file: &Path) -> Outcome<Self> {
        let named = || format!("reading the baseline {}", file.display());
        if std::fs::metadata(file).or_usage(named())?.len() > MAX_BYTES {
            return Err(refuse!("the baseline {} has more than {MAX_BYTES} bytes", file.display()));
        }
        let text = std::fs::read_to_string(file).or_usage(named())?;
        let found: Self = serde_json::from_str(&text).or_usage(named())?;
        if found.version != 1 {
            let version = found.version;
            return Err(refuse!("{}: version {version} is not known: this release reads 1", file.display()));
        }
        Ok(found)
    }

    /// Takes away the findings that are known, and says how many. Entries that no longer occur are told in notes,
    /// those of files that were not looked at (`was_checked`, by their name from the root) are not.
    pub(crate) fn apply(
        &self,
        file: &Path,
        findings: &mut Vec<Finding>,
        was_checked: impl Fn(&str) -> bool,
    ) -> (usize, Vec<Note>) {
        let root = Root::of_current_folder();
        let mut left: BTreeMap<Print, usize> = BTreeMap::new();
        for known in &self.findings {
            *left.entry(known.print()).or_default() += known.count;
        }
        let before = findings.len();
        findings.retain(|finding| match left.get_mut(&Known::of(finding, &root).print()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        });
        let stale = left.into_iter().filter(|((_, name, ..), count)| *count > 0 && was_checked(name));
        let note = |((rule, name, object, path), _): (Print, usize)| {
            let place = [Some(name), object, Some(path)].into_iter().flatten().filter(|part| !part.is_empty());
            let place = place.collect::<Vec<_>>().join(": ");
            let message = format!("no longer occurs, take it out of the baseline: {rule} in {place}");
            Note { file: file.display().to_string(), message }
        };
        (before - findings.len(), stale.map(note).collect())
    }

    /// Writes the findings as what is known from now on, and says how many there are. Reasons that the file gives
    /// for findings that are still there stay, and so do entries of files that were not looked at (`was_checked`, by
    /// their name from the root).
    ///
    /// # Errors
    /// When there is a file that is no baseline, or it cannot be written.
    pub(crate) fn write(file: &Path, findings: &[Finding], was_checked: impl Fn(&str) -> bool) -> Outcome<usize> {
        let root = Root::of_current_folder();
        let old = if file.exists() { Self::read(file)? } else { Self::default() };
        let (old, elsewhere): (Vec<Known>, Vec<Known>) =
            old.findings.into_iter().partition(|known| was_checked(&known.file));
        let mut reasons: BTreeMap<Print, Option<String>> =
            old.into_iter().map(|known| (known.print(), known.reason)).collect();
        let mut known: BTreeMap<Print, Known> = elsewhere.into_iter().map(|known| (known.print(), known)).collect();
        for finding in findings {
            let one = Known::of(finding, &root);
            let print = one.print();
            let reason = reasons.remove(&print).flatten();
            known.entry(print).and_modify(|known| known.count += 1).or_insert(Known { reason, ..one });
        }
        let mut findings: Vec<Known> = known.into_values().collect();
        findings.sort_by(|a, b| (&a.file, &a.rule, &a.object, &a.path).cmp(&(&b.file, &b.rule, &b.object, &b.path)));
        let count = findings.iter().map(|known| known.count).sum();
        let baseline = Self { version: 1, findings };
        let text = serde_json::to_string_pretty(&baseline).or_usage("writing the baseline")?;
        output::write_file(file, format!("{text}\n").as_bytes(), Access::Ordinary)?;
        Ok(count)
    }
}
