//! `bulla git pre-commit`: what is about to be committed, checked before it is.
//!
//! The content that is staged counts, not the file in the work tree: it is read from Git's objects into memory and
//! written nowhere. So are `.bulla.yaml`, the files of recipients that it names, and `.bulla-allow.yaml`: what is not
//! committed excuses nothing. What the last commit has too is not this commit's fault, and left to `bulla verify` and `bulla scan`.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::PreCommitArguments;
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::files::is_manifest;
use crate::findings::{Baseline, Finding, Format, Level, Note, Report, Rule};
use crate::git::{Git, ObjectId, Staged, program};
use crate::repository::{Book, StagedRules};
use crate::scan;
use crate::verify::{self, Options, Texts};

/// What was looked at. The names of the fields are part of the output.
#[derive(Debug, Serialize)]
struct Counts {
    /// Files that are staged and not as the last commit has them.
    files: usize,
}

/// What is left out, from the command line and from the settings `bulla.exclude` and `bulla.baseline`: a hook has no
/// command line.
struct Lenience {
    exclude: Vec<String>,
    baseline: Option<PathBuf>,
}

/// Runs the verb.
pub(super) fn run(arguments: &PreCommitArguments) -> Outcome {
    let git = Git::discover(Path::new("."))?;
    let root = git.root().ok_or_else(|| usage!("a bare repository has nothing staged"))?.to_path_buf();
    // Names in findings, and rules, are those from the root: Git runs its hooks there too.
    std::env::set_current_dir(&root).or_usage(format!("going to {}", root.display()))?;
    let lenience = lenience(arguments)?;
    let staged = git.staged()?;
    let search = scan::Options {
        paths: vec![PathBuf::from(".")],
        exclude: lenience.exclude.clone(),
        ..scan::Options::default()
    };
    let scan::Search { mut findings, mut notes, .. } = scan::staged_in(&search, &git, staged.clone())?;
    // Both look for Secrets in the clear, and one word about each is enough.
    let told: HashSet<String> = findings.iter().filter(|one| is_plain(one)).map(|one| one.file.clone()).collect();
    let sealed = sealed(&git, &staged, &lenience, &mut notes)?;
    findings.extend(sealed.into_iter().filter(|one| !(is_plain(one) && told.contains(&one.file))));
    let mut known = 0;
    if let Some(file) = &lenience.baseline {
        (known, _) = Baseline::read(file)?.apply(file, &mut findings, |_| true);
    }
    findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));

    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    if arguments.output != Format::Text || !findings.is_empty() {
        let mut rules: Vec<&'static Rule> = verify::RULES.to_vec();
        rules.extend(scan::RULES.iter().filter(|rule| !verify::RULES.iter().any(|known| known.id == rule.id)));
        let (counts, headline) = (Counts { files: staged.len() }, format!("{} staged file(s)", staged.len()));
        let report = Report { rules: &rules, findings: &findings, notes: &notes, known, headline, checked: &counts };
        report.print(arguments.output)?;
    }
    if errors == 0 {
        return Ok(());
    }
    Err(refuse!(
        "not committed: {errors} error(s) in what is staged. Mend and stage it again; what must stay as it is goes in with \
         git commit --no-verify"
    ))
}

fn is_plain(finding: &Finding) -> bool {
    finding.rule.id == "plain-secret"
}

fn lenience(arguments: &PreCommitArguments) -> Outcome<Lenience> {
    let mut settings = program::settings(&["bulla.exclude", "bulla.baseline"])?;
    let mut exclude = arguments.exclude.clone();
    exclude.extend(settings.remove("bulla.exclude").unwrap_or_default());
    let set = settings.get_mut("bulla.baseline").and_then(Vec::pop).map(PathBuf::from);
    Ok(Lenience { exclude, baseline: arguments.baseline.clone().or(set) })
}

/// What `bulla verify` says of the staged manifests and did not say of the committed ones.
fn sealed(git: &Git, staged: &[Staged], lenience: &Lenience, notes: &mut Vec<Note>) -> Outcome<Vec<Finding>> {
    let options = Options { exclude: lenience.exclude.clone(), ..Options::default() };
    let manifests: Vec<&Staged> = staged.iter().filter(|staged| is_manifest(Path::new(&staged.path))).collect();
    let blobs: Vec<(&str, ObjectId)> = manifests.iter().map(|staged| (staged.path.as_str(), staged.blob)).collect();
    let (read, said) = texts(git, &blobs);
    notes.extend(said);
    let rules = Arc::new(StagedRules::read(Path::new("."))?);
    let check = verify::check_texts(read, Book::staged(&rules), &options)?;
    notes.extend(check.notes);
    let mut findings = check.findings;
    let with_findings: BTreeSet<&str> = findings.iter().map(|finding| finding.file.as_str()).collect();
    let before: Vec<(&str, ObjectId)> = manifests
        .iter()
        .filter(|staged| with_findings.contains(staged.path.as_str()))
        .filter_map(|staged| Some((staged.path.as_str(), staged.before?)))
        .collect();
    if !before.is_empty() {
        let name =
            |one: &Finding| (one.rule.id, one.file.clone(), one.object.clone(), one.path.clone(), one.message.clone());
        let old = verify::check_texts(texts(git, &before).0, Book::staged(&rules), &options)?;
        let old: HashSet<_> = old.findings.iter().map(name).collect();
        findings.retain(|finding| {
            let blob =
                |all: &[(&str, ObjectId)]| all.iter().find(|(path, _)| *path == finding.file).map(|(_, blob)| *blob);
            let is_same = || match (blob(&blobs), blob(&before)) {
                (Some(new), Some(old)) => is_as_before(git, finding, new, old),
                _ => false,
            };
            !old.contains(&name(finding)) || is_plain(finding) && !is_same()
        });
    }
    Ok(findings)
}

/// Whether a Secret in the clear is as it was, from its first value to the end of its document: another value in the
/// same place is new.
fn is_as_before(git: &Git, finding: &Finding, new: ObjectId, old: ObjectId) -> bool {
    let read = |blob| git.bytes_of(blob).ok().map(|bytes| verify::text_of(Zeroizing::new(bytes)).0);
    let (Some(new), Some(old)) = (read(new), read(old)) else { return false };
    let known: HashSet<&str> = old.lines().map(str::trim).collect();
    let first = finding.line.unwrap_or(1).saturating_sub(1);
    new.lines().skip(first).take_while(|line| line.trim_end() != "---").all(|line| known.contains(line.trim()))
}

/// The text of blobs, wiped when they are dropped; of those that cannot be read, or not all of them, a note.
fn texts(git: &Git, blobs: &[(&str, ObjectId)]) -> (Texts, Vec<Note>) {
    let read = |(path, blob): &(&str, ObjectId)| {
        let note = |message: String| Note { file: (*path).to_owned(), message };
        match git.bytes_of(*blob) {
            Ok(bytes) => {
                let (text, doubt) = verify::text_of(Zeroizing::new(bytes));
                (Some((PathBuf::from(path), text)), doubt.map(|doubt| note(doubt.to_owned())))
            }
            Err(failure) => (None, Some(note(format!("passed over: {failure}")))),
        }
    };
    let (texts, notes): (Vec<_>, Vec<_>) = blobs.par_iter().map(read).unzip();
    (texts.into_iter().flatten().collect(), notes.into_iter().flatten().collect())
}
