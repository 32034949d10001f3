//! All that ever was: every version of every file of every commit, each looked at once.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::exclude::Excluded;
use super::hit::Hit;
use super::look::is_wanted;
use super::search::{Options, Search, Source, Tally, Under, finding, left_notes, sorted};
use crate::failure::{Outcome, usage};
use crate::findings::{Finding, Note, Related};
use crate::git::{Blob, Files, Git, History, ObjectId, Revisions};
use crate::output::Progress;

/// Other files that are named for one secret.
const MAX_RELATED: usize = 5;

/// What is said about everything that was found in history.
const OPTIONAL: &str = "rewriting history is optional: clones and forks keep what they have";
const WHY_OPTIONAL: &str = "what is in history is in every clone and fork: replace the credential where it is used. Rewriting the \
    history (git filter-repo) is optional, since it does not reach them, and it gives every later commit another id";

/// One secret, wherever and whenever it was.
struct Secret {
    /// The first commit that has it, then path, line and column.
    first: (u32, String, usize, usize),
    hit: Hit,
    fingerprint: String,
    commit: Option<ObjectId>,
    /// Every path that it was at.
    paths: BTreeSet<String>,
    /// Where it is in the commit that is checked out.
    head: Option<(String, usize, usize)>,
}

/// Searches the history of a repository.
///
/// # Errors
/// There is no repository, paths of several are named, or an object is damaged.
pub(crate) fn history(options: &Options, revisions: &Revisions) -> Outcome<Search> {
    let first = options.paths.first().map_or_else(|| Path::new("."), PathBuf::as_path);
    let git = Git::discover(first)?;
    for path in &options.paths {
        if Git::discover(path)?.dir() != git.dir() {
            return Err(usage!("{} is in another repository: search the history of one at a time", path.display()));
        }
    }
    let root = git.root().map(Path::to_path_buf).unwrap_or_default();
    let tally = Tally::new(options, git.root().unwrap_or_else(|| git.dir()))?;
    let excluded = Excluded::new(&options.exclude)?;
    let under = Under::new(&options.paths, |path| git.relative(path));
    let spinner = Progress::spinner("commits");
    let mut history = git.history(revisions)?;
    spinner.done();
    history.keep(|path| under.shown(path).is_some_and(|shown| !excluded.has(&shown)));
    // Before the first commit there is none.
    let head = git.head_files()?;

    let progress = Progress::new(history.blobs().len() as u64, "versions");
    let secrets: Mutex<HashMap<u64, Secret>> = Mutex::new(HashMap::new());
    let ids: Vec<ObjectId> = history.blobs().iter().map(|blob| blob.id).collect();
    let look = |at: usize, bytes: &[u8]| {
        let blob = history.blobs().get(at)?;
        let looked = tally.look(bytes, &history.first(blob).path);
        if looked.hits.is_empty() {
            return None;
        }
        for found in found(&tally, &history, blob, &looked.hits, &root, &head) {
            let mut secrets = secrets.lock().unwrap_or_else(PoisonError::into_inner);
            match secrets.entry(found.hit.print) {
                std::collections::hash_map::Entry::Occupied(mut known) => known.get_mut().join(found),
                std::collections::hash_map::Entry::Vacant(none) => {
                    none.insert(found);
                }
            }
        }
        None::<()>
    };
    let (_, left) = git.each_of(&ids, is_wanted, || progress.add(1), look);
    progress.done();

    let secrets = secrets.into_inner().unwrap_or_else(PoisonError::into_inner);
    let findings: Vec<Finding> = secrets.into_values().map(|secret| told(&git, &history, secret, &under)).collect();
    let place = first.display().to_string();
    let mut notes: Vec<Note> =
        history.notes().iter().map(|message| Note { file: place.clone(), message: message.clone() }).collect();
    notes.extend(left_notes(&place, left));
    if !findings.is_empty() {
        notes.push(Note { file: place, message: WHY_OPTIONAL.to_owned() });
    }
    let is_whole = options.exclude.is_empty()
        && revisions.named.is_empty()
        && options.paths.iter().all(|path| path.join(".git").exists());
    notes.extend(tally.allowlist.notes(tally.today, is_whole));
    let mut counts = tally.counts("history", left);
    counts.commits = Some(history.commits().len());
    Ok(Search { findings: sorted(findings), notes, counts, files: Vec::new() })
}

/// What was found in one version of a file, at each path that it was at.
fn found(tally: &Tally, history: &History, blob: &Blob, hits: &[Hit], root: &Path, head: &Files) -> Vec<Secret> {
    let mut all = Vec::new();
    for place in history.places(blob) {
        let id = place.commit.map(|commit| commit.id.to_string());
        let source =
            Source { shown: &place.path, name: &place.path, file: &root.join(&place.path), commit: id.as_deref() };
        let is_now = head.get(&place.path) == Some(&blob.id);
        for (hit, fingerprint) in tally.judge(hits.to_vec(), &source) {
            all.push(Secret {
                first: (place.order, place.path.clone(), hit.line, hit.column),
                head: is_now.then(|| (place.path.clone(), hit.line, hit.column)),
                commit: place.commit.map(|commit| commit.id),
                paths: BTreeSet::from([place.path.clone()]),
                fingerprint,
                hit,
            });
        }
    }
    all
}

impl Secret {
    /// Takes another place of the same secret.
    fn join(&mut self, other: Self) {
        let head = self.head.take().into_iter().chain(other.head).min();
        let mut paths = std::mem::take(&mut self.paths);
        paths.extend(other.paths);
        if other.first < self.first {
            *self = Self { head: None, paths: BTreeSet::new(), ..other };
        }
        (self.head, self.paths) = (head, paths);
    }
}

fn told(git: &Git, history: &History, secret: Secret, under: &Under) -> Finding {
    let Secret { first: (order, path, ..), hit, fingerprint, commit, paths, head } = secret;
    let shown = |path: &str| under.shown(path).unwrap_or_else(|| path.to_owned());
    let mut finding = finding(&hit, fingerprint, &shown(&path));
    let since = history.commits().get(order as usize).map(|commit| {
        let author = git.author_of(commit.id);
        format!("commit {} of {} by {author}", commit.short(), commit.authored.date())
    });
    let since = since.unwrap_or_else(|| "a tag without a commit".to_owned());
    let state = if head.is_some() { "still in HEAD" } else { "no longer in HEAD" };
    finding.message = format!("{}; since {since}, {state}", finding.message);
    finding.mend = format!("{}; {OPTIONAL}", finding.mend);
    finding.commit = commit.map(|commit| commit.to_string());
    let is_same =
        |(at, line, column): &(String, usize, usize)| *at == path && (*line, *column) == (hit.line, hit.column);
    let now = head.filter(|head| !is_same(head));
    let is_other = |other: &&String| **other != path && now.as_ref().is_none_or(|(at, ..)| at != *other);
    if let Some((at, line, column)) = &now {
        let message = "where it is now".to_owned();
        finding = finding.see(Related { file: shown(at), line: Some(*line), column: Some(*column), message });
    }
    for other in paths.iter().filter(is_other).take(MAX_RELATED) {
        finding = finding.see(Related {
            file: shown(other),
            line: None,
            column: None,
            message: "it was here too".to_owned(),
        });
    }
    finding
}
