//! What the next commit would bring: for the hook before it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::allowlist::Allowlist;
use super::exclude::Excluded;
use super::look::is_wanted;
use super::search::{Options, Search, Source, Tally, Under, finding, left_notes, remarks, sorted};
use crate::failure::Outcome;
use crate::findings::Note;
use crate::git::{Git, ObjectId, Staged};

/// Searches the files that are staged and not as the last commit has them. What that commit has of the same file
/// already is not new: it is left to a search of the tree.
///
/// # Errors
/// There is no repository, or its index cannot be read.
pub(crate) fn staged(options: &Options) -> Outcome<Search> {
    let first = options.paths.first().map_or_else(|| Path::new("."), PathBuf::as_path);
    let git = Git::discover(first)?;
    staged_in(options, &git, git.staged()?)
}

/// The same of what was found to be staged.
///
/// # Errors
/// The index cannot be read, or the list of what may stay.
pub(crate) fn staged_in(options: &Options, git: &Git, staged: Vec<Staged>) -> Outcome<Search> {
    let root = git.root().unwrap_or_else(|| git.dir()).to_path_buf();
    // What is not committed lets nothing stay, unless it was asked for by name.
    let tally = match &options.allow {
        Some(_) => Tally::new(options, &root)?,
        None => Tally::with(Allowlist::staged(git, &root)?),
    };
    let excluded = Excluded::new(&options.exclude)?;
    let under = Under::new(&options.paths, |path| git.relative(path));
    let staged = staged.into_iter().filter_map(|staged| Some((under.shown(&staged.path)?, staged)));
    let staged: Vec<(String, Staged)> = staged.filter(|(shown, _)| !excluded.has(shown)).collect();
    let ids: Vec<ObjectId> = staged.iter().map(|(_, staged)| staged.blob).collect();
    let look = |at: usize, bytes: &[u8]| {
        let (shown, file) = staged.get(at)?;
        let looked = tally.look(bytes, &file.path);
        let source = Source { shown, name: &file.path, file: &root.join(&file.path), commit: None };
        let notes = remarks(&looked, shown);
        Some((at, tally.judge(looked.hits, &source), notes))
    };
    let (looked, left) = git.each_of(&ids, is_wanted, || (), look);
    let (mut findings, mut notes, mut known) = (Vec::new(), Vec::new(), 0);
    for (at, hits, said) in looked {
        notes.extend(said);
        let Some((shown, file)) = staged.get(at).filter(|_| !hits.is_empty()) else { continue };
        let before: Vec<ObjectId> = file.before.into_iter().collect();
        let (old, _) = git.each_of(&before, is_wanted, || (), |_, bytes| Some(super::look(bytes, &file.path).hits));
        let old: HashSet<u64> = old.into_iter().flatten().map(|hit| hit.print).collect();
        for (hit, fingerprint) in hits {
            if old.contains(&hit.print) {
                known += 1;
            } else {
                findings.push(finding(&hit, fingerprint, shown));
            }
        }
    }
    if known > 0 {
        let message = format!("{known} finding(s) are in the last commit too, and not new: see `bulla scan`");
        notes.push(Note { file: "staged".to_owned(), message });
    }
    notes.extend(left_notes("staged", left));
    notes.extend(tally.allowlist.notes(tally.today, false));
    let counts = tally.counts("staged", left);
    let files = staged.into_iter().map(|(shown, _)| shown).collect();
    Ok(Search { findings: sorted(findings), notes, counts, files })
}
