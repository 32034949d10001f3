//! The whole check: which files, in which order, and what takes them all together.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::external::External;
use super::file::{self, Seen};
use super::known::{self, Keyring, Policy};
use super::kustomize::{self, Build, Names, Sources, shown};
use super::plan::{Plan, Task, resolved};
use super::{duplicates, encoding, host, landing, rules};
use crate::external::Landed;
use crate::failure::Outcome;
use crate::files::{Files, is_manifest};
use crate::findings::{Finding, Note};
use crate::input;
use crate::output::Progress;
use crate::repository::Book;

/// How many days before its end a value is near it, if nobody says.
pub(crate) const SOON: u32 = 30;

/// What a check goes by.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Files with the keys that values may be sealed to.
    pub(crate) keyring: Vec<PathBuf>,
    /// The namespace of manifests that name none.
    pub(crate) namespace: Option<String>,
    /// Patterns of files to leave out.
    pub(crate) exclude: Vec<String>,
    /// How many days before its end a value is near it.
    pub(crate) soon: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { keyring: Vec::new(), namespace: None, exclude: Vec::new(), soon: SOON }
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Files that hold one of our kinds.
    pub(crate) files: usize,
    pub(crate) sealed_secrets: usize,
    /// Values in them, and in the values of charts.
    pub(crate) values: usize,
    pub(crate) external_secrets: usize,
    pub(crate) stores: usize,
    /// Host documents.
    pub(crate) hosts: usize,
    /// Kustomizations that were built.
    pub(crate) kustomizations: usize,
}

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Check {
    /// By file, line and column.
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<Note>,
    pub(crate) counts: Counts,
    /// The files that were looked at, as they are called in findings.
    pub(crate) checked: BTreeSet<String>,
}

/// What all files share.
pub(super) struct Shared<'a> {
    pub(super) book: Book,
    pub(super) policy: Policy,
    /// The keys of `--keyring`, if there is one.
    pub(super) keyring: Option<Keyring>,
    /// The namespace of manifests that name none.
    pub(super) namespace: Option<&'a str>,
    pub(super) today: Date,
    pub(super) soon: Date,
    /// What files are called.
    pub(super) names: Names,
    /// Texts that count instead of what the files hold.
    texts: Texts,
}

impl Shared<'_> {
    /// The text that counts instead of what a file holds.
    pub(super) fn text(&self, path: &Path) -> Option<String> {
        if self.texts.is_empty() {
            return None;
        }
        let is_it = |known: &&PathBuf| std::path::absolute(known).is_ok_and(|known| known == path);
        let known = self.texts.keys().find(is_it)?;
        self.texts.get(known).map(|text| text.as_str().to_owned())
    }
}

/// Texts by file.
pub(crate) type Texts = BTreeMap<PathBuf, Zeroizing<String>>;

/// Checks files and folders (`-` is standard input), and what kustomizations make of them.
///
/// Everything wrong is a finding; a file that cannot be read is one too, and the others are looked at.
///
/// # Errors
/// When a path does not exist, or the keyring cannot be read.
pub(crate) fn check(paths: &[PathBuf], options: &Options) -> Outcome<Check> {
    let files = Files::without(&options.exclude)?;
    let mut named: Vec<PathBuf> = Vec::new();
    for path in paths {
        named.extend(files.of(path)?);
    }
    let mut seen = HashSet::new();
    named.retain(|file| seen.insert(file.clone()));
    of(paths, &named, &files, (Texts::new(), Book::default()), options)
}

/// Checks texts as if they were what these files hold: what is staged, and may be nowhere in the work tree. They are
/// read from memory and written nowhere, and so are the rules; kustomizations are those of the work tree.
///
/// # Errors
/// When the keyring cannot be read.
pub(crate) fn check_texts(texts: Texts, rules: Book, options: &Options) -> Outcome<Check> {
    let files = Files::without(&options.exclude)?;
    let named: Vec<PathBuf> = texts.keys().filter(|path| files.takes(path)).cloned().collect();
    of(&[PathBuf::from(".")], &named, &files, (texts, rules), options)
}

fn of(
    paths: &[PathBuf],
    named: &[PathBuf],
    files: &Files,
    (texts, book): (Texts, Book),
    options: &Options,
) -> Outcome<Check> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let shared = Shared {
        book,
        policy: Policy::default(),
        keyring: if options.keyring.is_empty() { None } else { Some(Keyring::read(&options.keyring)?) },
        namespace: options.namespace.as_deref(),
        today,
        soon: today.checked_add(i64::from(options.soon).days()).unwrap_or(Date::MAX),
        names: Names::new(std::iter::empty()),
        texts,
    };
    let kustomizations = kustomizations(paths, named, files);
    let plan = if kustomizations.is_empty() { Plan::without(named) } else { Plan::new(named, &kustomizations) };
    Ok(run(plan, &shared))
}

/// Every kustomization that may have to do with the files: those among them, and those of their repositories.
fn kustomizations(paths: &[PathBuf], named: &[PathBuf], files: &Files) -> Vec<PathBuf> {
    let mut found: BTreeSet<PathBuf> =
        named.iter().filter(|file| kustomize::is_kustomization(file)).map(|file| resolved(file)).collect();
    let roots: BTreeSet<PathBuf> =
        paths.iter().filter(|path| *path != Path::new("-")).filter_map(|p| repository(p)).collect();
    for root in roots {
        found.extend(files.named(&root, kustomize::is_kustomization));
    }
    found.into_iter().collect()
}

/// The root of the repository that a path is in.
fn repository(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    path.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_path_buf)
}

fn run(plan: Plan, shared: &Shared<'_>) -> Check {
    let Plan { tasks, tree, roots, own, named } = plan;
    let progress = Progress::new(tasks.len() as u64, "files");
    let seen: Vec<Seen> = tasks
        .par_iter()
        .with_max_len(16)
        .map(|task| {
            let seen = read(task, shared);
            progress.add(1);
            seen
        })
        .collect();
    progress.done();
    let mut check = Check::default();
    let mut external = External::default();
    let mut written = Vec::new();
    let mut sources = Sources::new();
    let (mut named_by_hosts, mut made) = (Vec::new(), Vec::new());
    for (task, mut seen) in tasks.into_iter().zip(seen) {
        if let (false, Some(resolved)) = (seen.sources.is_empty(), task.resolved) {
            sources.insert(resolved, std::mem::take(&mut seen.sources));
        }
        external.add(std::mem::take(&mut seen.documents), seen.stdin.take(), task.look.is_pulled_in);
        made.append(&mut seen.made);
        if !task.look.is_checked {
            continue;
        }
        named_by_hosts.append(&mut seen.named_by_hosts);
        check.checked.insert(called(&task.path));
        check.counts.files += usize::from(seen.is_ours);
        check.counts.sealed_secrets += seen.sealed_secrets;
        check.counts.values += seen.values;
        check.counts.hosts += seen.hosts;
        check.findings.append(&mut seen.findings);
        check.notes.append(&mut seen.notes);
        written.append(&mut seen.written);
    }
    check.findings.extend(duplicates::in_folders(&written));
    check.findings.extend(host::missing(&named_by_hosts, &made));
    drop(written);
    check.counts.kustomizations = roots.len();
    let built = roots.into_par_iter().map(|root| {
        let build = Build::of(&tree, root.index, &sources);
        let mut found = landing::check(&build, &tree, root.index, shared);
        found.retain(|finding| match &root.files {
            Some(files) => files.contains(&finding.file) || named.contains(&finding.file),
            None => check.checked.contains(&finding.file),
        });
        (found, landing::external(&build))
    });
    let built: Vec<(Vec<Finding>, Vec<Landed>)> = built.collect();
    for (found, landed) in built {
        check.findings.extend(found);
        external.land(&landed);
    }
    let (problems, notes) = landing::problems(&tree, &own);
    check.findings.extend(problems);
    check.notes.extend(notes);
    for book in shared.book.met() {
        check.findings.extend(known::findings(&book, &shared.names.of(&book.path)));
    }
    (check.counts.external_secrets, check.counts.stores) = external.counts();
    check.findings.extend(external.findings().into_iter().filter(|finding| check.checked.contains(&finding.file)));
    check.order();
    check
}

fn read(task: &Task, shared: &Shared<'_>) -> Seen {
    let named = called(&task.path);
    if let Some(text) = shared.texts.get(&task.path) {
        return file::look(&task.path, &named, text, shared, task.look);
    }
    let bytes = match input::whole(&task.path) {
        Ok(bytes) => bytes,
        // Too long: no manifest, whatever else it is. Being unable to read it is another matter.
        Err(failure) if failure.is_refusal() => {
            return passed_over(&task.path, named, format!("passed over: {failure}"));
        }
        Err(failure) => {
            let found = Finding::new(&rules::SYNTAX, named, format!("cannot be read: {failure}"));
            return Seen { findings: vec![found], ..Seen::default() };
        }
    };
    let (text, doubt) = encoding::text(bytes);
    let mut seen = file::look(&task.path, &named, &text, shared, task.look);
    if let Some(doubt) = doubt {
        let passed = passed_over(&task.path, named, doubt.to_owned());
        seen.findings.extend(passed.findings);
        seen.notes.extend(passed.notes);
    }
    seen.stdin = (task.path == Path::new("-")).then_some(text);
    seen
}

/// What is said of a file that was not looked at, or not all of it: a finding where it is called like a manifest.
fn passed_over(path: &Path, named: String, message: String) -> Seen {
    if is_manifest(path) || path == Path::new("-") {
        return Seen { findings: vec![Finding::new(&rules::NOT_LOOKED_AT, named, message)], ..Seen::default() };
    }
    Seen { notes: vec![Note { file: named, message }], ..Seen::default() }
}

impl Check {
    fn order(&mut self) {
        let key = |one: &Finding| {
            (one.file.clone(), one.line, one.column, one.path.clone(), one.message.clone(), one.object.clone())
        };
        self.findings.sort_by_cached_key(key);
        // Two readers, or two builds, may find the same thing wrong in the same place.
        self.findings.dedup_by(|a, b| key(a) == key(b) && a.rule.id == b.rule.id);
        self.notes.sort_by(|a, b| (&a.file, &a.message).cmp(&(&b.file, &b.message)));
        self.notes.dedup();
    }
}

/// A file as people write it.
fn called(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { shown(path) }
}
