//! `bulla keys share`: what a custodian does with a share of a backup's key.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::args::{Report, ShareVerb};
use crate::custody::{self, Fingerprint, Share};
use crate::failure::Outcome;
use crate::output::{self, GOOD, HEAD};
use crate::recipients;

/// A share; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    file: String,
    number: u8,
    of: u8,
    threshold: u8,
    made: &'a str,
    /// SHA-256 of the backup.
    backup: &'a Fingerprint,
}

/// Runs one of the verbs.
pub(super) fn run(verb: &ShareVerb) -> Outcome {
    match verb {
        ShareVerb::Show { file, identity, output } => show(file, identity, *output),
        ShareVerb::Open { file, identity, to, out } => hand_over(file, identity, to, out.as_deref()),
    }
}

fn show(file: &Path, identity: &[PathBuf], report: Report) -> Outcome {
    let share = custody::open_share(file, identity)?;
    let Share { number, of, threshold, made, backup, .. } = &share;
    if report == Report::Json {
        let file = file.display().to_string();
        let (number, of, threshold) = (*number, *of, *threshold);
        return output::print_json(&Shown { file, number, of, threshold, made, backup });
    }
    output::print(&format!(
        "{GOOD}✓{GOOD:#} {} opens: share {number} of {of}, of the backup of {}\n  any {threshold} shares open that backup, and fewer tell nothing\n  SHA-256 of the backup {backup}\n",
        file.display(),
        output::plain(made)
    ))
}

fn hand_over(file: &Path, identity: &[PathBuf], to: &str, out: Option<&Path>) -> Outcome {
    let recipients = recipients::of_file(to)?;
    let share = custody::open_share(file, identity)?;
    let sealed = custody::armored(&custody::encrypt(&share.to_text(), &recipients)?)?;
    match out {
        Some(out) => output::create_private_file(out, &sealed)?,
        None => output::print_bytes(&sealed)?,
    }
    output::note(&format!(
        "share {} of {}, of the backup of {} (SHA-256 {}…), encrypted to {}",
        share.number,
        share.of,
        output::plain(&share.made),
        share.backup.short(),
        recipients::describe(&recipients)
    ));
    output::note(&format!(
        "{HEAD}Next:{HEAD:#} be sure that this recipient is that of whoever restores, by another way than the one it came; then send it"
    ));
    Ok(())
}
