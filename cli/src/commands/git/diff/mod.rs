//! `bulla git diff`: what changed in sealed values between two states of a repository.

mod files;
mod report;

use std::path::Path;

use bulla::seal::Keyring;
use serde::Serialize;

use self::files::{Content, Pair};
use crate::args::{DiffArguments, DiffReport};
use crate::document::Document;
use crate::failure::{Failure, Outcome};
use crate::git::Git;
use crate::git::program::{self, Program};
use crate::merge::compare::{self, Change, ObjectChange};
use crate::merge::three_way::mentions_sealed_secrets;
use crate::{identities, output};

/// A file in which something changed. The names of the fields are part of the output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileChange {
    path: String,
    /// Where it was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    renamed_from: Option<String>,
    objects: Vec<ObjectChange>,
    /// Why a version of it could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// How many values.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    files: usize,
    added: usize,
    removed: usize,
    changed: usize,
    resealed: usize,
    /// Of those changed or sealed again: how many may or may not hold another value.
    unproven: usize,
}

#[derive(Debug, Serialize)]
struct Found {
    files: Vec<FileChange>,
    summary: Summary,
}

/// Runs the verb.
pub(super) fn run(arguments: &DiffArguments) -> Outcome {
    let keyring = if arguments.identity.is_empty() { None } else { Some(identities::keyring(&arguments.identity)?) };
    let root = program::work_tree()?;
    let git = Git::discover(Path::new("."))?;
    let mut found = Found { files: Vec::new(), summary: Summary::default() };
    // One file at a time: what is kept of it is what changed.
    for pair in files::changed(arguments)? {
        if let Some(file) = compare_pair(&pair, &git, root.as_deref(), keyring.as_ref())? {
            found.summary.add(&file);
            found.files.push(file);
        }
    }
    match arguments.output {
        DiffReport::Json => output::print_json(&found)?,
        DiffReport::Text => output::print(&report::text(&found, keyring.is_some()))?,
        DiffReport::Markdown => output::print(&report::markdown(&found, keyring.is_some()))?,
    }
    if arguments.exit_code && !found.files.is_empty() { Err(Failure::said()) } else { Ok(()) }
}

fn compare_pair(pair: &Pair, git: &Git, root: Option<&Path>, keyring: Option<&Keyring>) -> Outcome<Option<FileChange>> {
    let read = |content: &Content| content.read(git, root);
    let (before, after) = (read(&pair.before)?, read(&pair.after)?);
    let is_ours = |bytes: &Option<Vec<u8>>| bytes.as_deref().is_some_and(mentions_sealed_secrets);
    if !is_ours(&before) && !is_ours(&after) {
        return Ok(None);
    }
    let renamed_from = (pair.old_path != pair.path).then(|| pair.old_path.clone());
    let file = |objects, problem| FileChange { path: pair.path.clone(), renamed_from, objects, problem };
    let parse = |bytes: Option<Vec<u8>>| {
        let text =
            bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())).transpose()?;
        text.map(|text| Document::parse(text).map_err(|error| error.to_string())).transpose()
    };
    let (before, after) = match (parse(before), parse(after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(problem), _) => return Ok(Some(file(Vec::new(), Some(format!("before: {problem}"))))),
        (_, Err(problem)) => return Ok(Some(file(Vec::new(), Some(format!("after: {problem}"))))),
    };
    let objects = compare::compare(before.as_ref(), after.as_ref(), keyring);
    Ok((!objects.is_empty()).then(|| file(objects, None)))
}

impl Summary {
    fn add(&mut self, file: &FileChange) {
        self.files += 1;
        for value in file.objects.iter().flat_map(|object| &object.values) {
            match value.change {
                Change::Added => self.added += 1,
                Change::Removed => self.removed += 1,
                Change::Changed => self.changed += 1,
                Change::Resealed => self.resealed += 1,
            }
            let is_both = matches!(value.change, Change::Changed | Change::Resealed);
            self.unproven += usize::from(is_both && value.same_value.is_none());
        }
    }
}

/// Whether Git takes this word for a revision or a range of them.
fn is_revision(word: &str) -> Outcome<bool> {
    let done = Program::here(&["rev-parse", "--quiet", "--verify", "--end-of-options", word]).finish()?;
    Ok(done.status.success() || word.contains(".."))
}
