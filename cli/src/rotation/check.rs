//! The check of the repository within a run: what `bulla verify` finds stops it before the commit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulla::seal::{KeyState, Keyring};

use super::prepare::names;
use super::state::{State, Wish};
use crate::audit::{self, Known};
use crate::failure::{Outcome, refuse};
use crate::findings::{Baseline, Finding, Level};
use crate::identities;
use crate::output::Progress;
use crate::reseal::FileReport;
use crate::verify::{self, Options};

/// Rules about whom a value is sealed to: what they find before the run, the run may mend.
const ABOUT_KEYS: [&str; 5] = ["unknown-key", "retired-key", "compromised-key", "recipient", "missing-recipient"];

/// Checks before anything is changed: what sealing again does not mend would stop the run later.
pub(super) fn before(files: &[PathBuf], wish: &Wish) -> Outcome {
    let found: Vec<Finding> =
        errors(files, wish)?.into_iter().filter(|finding| !ABOUT_KEYS.contains(&finding.rule.id)).collect();
    let Some(first) = found.first() else { return Ok(()) };
    let files: BTreeSet<PathBuf> = found.iter().map(|finding| PathBuf::from(&finding.file)).collect();
    Err(refuse!(
        "`bulla verify` finds {} error(s), which would stop the run before its commit; mend them first, or list them in a \
         --baseline. In {}. The first: {}: {}",
        found.len(),
        names(&files.into_iter().collect::<Vec<_>>()),
        first.place(),
        first.sentence()
    ))
}

/// Checks after sealing again. What is found about values that could not be sealed again is known already.
pub(super) fn after(files: &[PathBuf], wish: &Wish, failed: &[FileReport]) -> Outcome<Vec<Finding>> {
    let known: BTreeSet<(&str, usize)> = failed
        .iter()
        .flat_map(|file| file.failed.iter().map(|value| (file.file.as_str(), value.line.unwrap_or_default())))
        .collect();
    let is_known = |finding: &Finding| {
        let whole = (finding.file.as_str(), 0);
        known.contains(&(finding.file.as_str(), finding.line.unwrap_or_default())) || known.contains(&whole)
    };
    let found = errors(files, wish)?.into_iter();
    Ok(found.filter(|finding| !(ABOUT_KEYS.contains(&finding.rule.id) && is_known(finding))).collect())
}

/// What says that it is sealed to one of the new keys and does not open with it: for that the old key may be needed
/// still, and nobody would know once it is gone. Only where the private keys are at hand.
pub(super) fn proven(files: &[PathBuf], state: &State) -> Outcome<Vec<Finding>> {
    let wish = &state.wish;
    let mut keyring = Keyring::new();
    for identity in identities::read(wish.new_identity.as_slice())? {
        keyring.insert(identity, KeyState::Active);
    }
    if keyring.is_empty() {
        return Ok(Vec::new());
    }
    let known = Known { keyring, ..Known::default() };
    let audit = audit::repository(files, &[], &known, &Progress::hidden())?;
    let found = audit.refuted.into_iter().map(|one| {
        let key = one.key.unwrap_or_default();
        Finding::new(&verify::SEALED_VALUE, one.file, one.reason).at(one.line, 1).field(key.clone()).naming("KEY", &key)
    });
    Ok(found.collect())
}

fn errors(files: &[PathBuf], wish: &Wish) -> Outcome<Vec<Finding>> {
    let mut findings = verify::check(files, &Options::default())?.findings;
    if let Some(file) = &wish.baseline {
        let looked: BTreeSet<&Path> = files.iter().map(PathBuf::as_path).collect();
        Baseline::read(file)?.apply(file, &mut findings, |name| looked.contains(Path::new(name)));
    }
    findings.retain(|finding| finding.level == Level::Error);
    Ok(findings)
}
