//! The files that are there: those that Git would take, and those that it has.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::exclude::Excluded;
use super::look::is_wanted;
use super::rules;
use super::search::{Options, Search, Source, Tally, finding, left_notes, remarks, sorted};
use crate::failure::{OrFail as _, Outcome, usage};
use crate::files::is_manifest;
use crate::findings::{Finding, Note, Root};
use crate::git::{Git, Left, MAX_BYTES};
use crate::output::Progress;

/// What is searched in one repository, or outside of any.
struct Files {
    /// As they are shown, and where they are.
    all: BTreeMap<String, PathBuf>,
    submodules: usize,
    /// Folders that cannot be read, and why.
    unreadable: Vec<String>,
}

/// Searches files and folders; `-` is standard input.
///
/// # Errors
/// A path is not there, or the allowlist cannot be read.
pub(crate) fn tree(options: &Options) -> Outcome<Search> {
    let first =
        options.paths.iter().find(|path| *path != Path::new("-")).map_or_else(|| Path::new("."), PathBuf::as_path);
    let folder = if first.is_dir() {
        first
    } else {
        first.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    };
    let tally = Tally::new(options, folder)?;
    let excluded = Excluded::new(&options.exclude)?;
    let mut files = Files { all: BTreeMap::new(), submodules: 0, unreadable: Vec::new() };
    let (mut findings, mut notes) = (Vec::new(), Vec::new());
    let mut left = Left::default();
    for path in &options.paths {
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes)?;
            let source = Source { shown: "standard input", name: "-", file: Path::new("-"), commit: None };
            let (found, said) = judged(&tally, &bytes, &source);
            findings.extend(found);
            notes.extend(said);
        } else {
            files.add(path, options, &excluded)?;
        }
    }
    let root = Root::of_current_folder();
    let progress = Progress::new(files.all.len() as u64, "files");
    let looked: Vec<Result<_, Left>> = files
        .all
        .par_iter()
        .map(|(shown, path)| {
            let looked = read(path).map(|bytes| {
                let (name, file) = (root.name(shown), path.canonicalize().unwrap_or_else(|_| path.clone()));
                let source = Source { shown, name: &name, file: &file, commit: None };
                judged(&tally, &bytes, &source)
            });
            progress.add(1);
            looked
        })
        .collect();
    progress.done();
    for ((shown, path), looked) in files.all.iter().zip(looked) {
        match looked {
            Ok((found, said)) => {
                findings.extend(found);
                notes.extend(said);
            }
            Err(more) => {
                findings.extend(is_manifest(path).then(|| not_looked_at(shown, more)));
                left = left.and(more);
            }
        }
    }
    let place = options.paths.first().map_or_else(String::new, |path| path.display().to_string());
    notes.extend(left_notes(&place, left));
    notes.extend(
        files.unreadable.iter().map(|why| Note { file: place.clone(), message: format!("not looked at: {why}") }),
    );
    if files.submodules > 0 {
        let message = format!("{} submodule(s) or repositories of their own: not looked at", files.submodules);
        notes.push(Note { file: place, message });
    }
    let is_whole = options.exclude.is_empty() && options.paths.iter().all(|path| path.join(".git").exists());
    notes.extend(tally.allowlist.notes(tally.today, is_whole));
    let counts = tally.counts("tree", left);
    Ok(Search { findings: sorted(findings), notes, counts, files: files.all.into_keys().collect() })
}

fn judged(tally: &Tally, bytes: &[u8], source: &Source<'_>) -> (Vec<Finding>, Vec<Note>) {
    let looked = tally.look(bytes, source.name);
    let notes = remarks(&looked, source.shown);
    let hits = tally.judge(looked.hits, source);
    (hits.into_iter().map(|(hit, print)| finding(&hit, print, source.shown)).collect(), notes)
}

/// A manifest that is passed over may be one that a cluster takes.
fn not_looked_at(shown: &str, left: Left) -> Finding {
    let why = match left {
        Left { large: 1.., .. } => "has too many bytes",
        Left { binary: 1.., .. } => "is no text",
        Left { .. } => "cannot be read",
    };
    Finding::new(&rules::NOT_LOOKED_AT, shown, format!("{why}, and was not looked at"))
}

/// The bytes of a file; or why it is not looked at.
fn read(path: &Path) -> Result<Vec<u8>, Left> {
    let missing = |_| Left { missing: 1, ..Left::default() };
    let file = std::fs::File::open(path).map_err(missing)?;
    let metadata = file.metadata().map_err(missing)?;
    if metadata.len() > MAX_BYTES {
        return Err(Left { large: 1, ..Left::default() });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(missing)?;
    if is_wanted(&bytes) { Ok(bytes) } else { Err(Left { binary: 1, ..Left::default() }) }
}

impl Files {
    fn add(&mut self, path: &Path, options: &Options, excluded: &Excluded) -> Outcome {
        if path.is_file() {
            self.insert(path.to_path_buf(), excluded);
            return Ok(());
        }
        if !path.is_dir() {
            return Err(usage!("{} does not exist", path.display()));
        }
        let mut walk = ignore::WalkBuilder::new(path);
        walk.hidden(false).ignore(false).follow_links(false).require_git(true);
        if options.with_ignored {
            walk.standard_filters(false);
        }
        let top = path.to_path_buf();
        let inner = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = inner.clone();
        walk.filter_entry(move |entry| {
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            let is_other = is_folder && entry.path() != top && entry.path().join(".git").exists();
            count.fetch_add(usize::from(is_other), std::sync::atomic::Ordering::Relaxed);
            !is_other && entry.file_name() != ".git"
        });
        for entry in walk.build() {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                    self.insert(entry.into_path(), excluded);
                }
                Ok(_) => {}
                Err(error) if error.depth() == Some(0) => {
                    return Err(error).or_usage(format!("reading folder {}", path.display()));
                }
                // A folder that is not ours to read is no reason to leave the others.
                Err(error) => self.unreadable.push(error.to_string()),
            }
        }
        self.submodules += inner.load(std::sync::atomic::Ordering::Relaxed);
        // What Git is told to ignore and has all the same.
        if let Ok(git) = Git::discover(path)
            && let (Some(prefix), Some(root)) = (git.relative(path), git.root())
        {
            for name in git.tracked()? {
                let Some(rest) = name.strip_prefix(prefix.as_str()).map(|rest| rest.trim_start_matches('/')) else {
                    continue;
                };
                let is_under = prefix.is_empty() || name.len() == prefix.len() || name[prefix.len()..].starts_with('/');
                if is_under && std::fs::symlink_metadata(root.join(&name)).is_ok_and(|metadata| metadata.is_file()) {
                    self.insert(path.join(rest), excluded);
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: PathBuf, excluded: &Excluded) {
        let shown = path.strip_prefix(".").unwrap_or(&path).display().to_string();
        if !excluded.has(&shown) {
            self.all.insert(shown, path);
        }
    }
}
