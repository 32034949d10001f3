//! From where history is walked.

use std::path::Path;

use gix::ObjectId;

use super::{Git, unreadable};
use crate::failure::{OrFail as _, Outcome};

/// Which commits are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revisions {
    /// `main`, `v1.0..HEAD`, `^old`, an id. None: every ref, also stashes, detached heads and linked worktrees.
    pub(crate) named: Vec<String>,
    /// What refs pointed to before, too: amended, rebased and deleted work that Git has not thrown away yet.
    pub(crate) with_reflogs: bool,
}

impl Revisions {
    /// Every ref.
    pub(crate) fn all() -> Self {
        Self::default()
    }
}

/// Where a walk begins and what it leaves out. The objects may be of any kind.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) wanted: Vec<Tip>,
    pub(super) unwanted: Vec<ObjectId>,
}

/// An object that something points to.
pub(super) struct Tip {
    /// What points to it.
    pub(super) by: String,
    pub(super) id: ObjectId,
    /// It may be gone: a reflog outlives what it tells of.
    pub(super) may_be_missing: bool,
}

impl Git {
    pub(super) fn ends(&self, revisions: &Revisions) -> Outcome<Ends> {
        let repository = self.handle();
        let mut ends = Ends::default();
        for named in &revisions.named {
            let spec = repository.rev_parse(named.as_str()).or_usage(format!("{named:?} names no commits here"))?;
            add(spec.detach(), named, &mut ends);
        }
        if revisions.named.is_empty() {
            self.every_ref(&repository, &mut ends)?;
        }
        if revisions.with_reflogs {
            let mut logs = vec![repository.common_dir().join("logs"), repository.git_dir().join("logs")];
            let worktrees = repository.worktrees().map_err(unreadable)?;
            logs.extend(worktrees.iter().map(|worktree| worktree.git_dir().join("logs")));
            logs.dedup();
            logs.iter().for_each(|folder| every_log(folder, &mut ends.wanted));
        }
        Ok(ends)
    }

    fn every_ref(&self, repository: &gix::Repository, ends: &mut Ends) -> Outcome {
        let mut add = |by: String, id| ends.wanted.push(Tip { by, id, may_be_missing: false });
        // Not an error before the first commit.
        if let Ok(id) = repository.head_id() {
            add("HEAD".to_owned(), id.detach());
        }
        let references = repository.references().map_err(unreadable)?;
        for reference in references.all().map_err(unreadable)?.flatten() {
            let name = reference.name().as_bstr().to_string();
            // Symbolic ones lead to one of the others.
            if let Some(id) = reference.try_id() {
                add(name, id.detach());
            }
        }
        // The main one too, if this is a linked one.
        for worktree in repository.worktrees_including_main().map_err(unreadable)? {
            if let Ok(id) = worktree.and_then(|opened| Ok(opened.head_id()?.detach())) {
                add("HEAD of a worktree".to_owned(), id);
            }
        }
        // Of the stashes only the newest is a ref.
        one_log(&repository.common_dir().join("logs/refs/stash"), "refs/stash", &mut ends.wanted);
        Ok(())
    }
}

fn add(spec: gix::revision::plumbing::Spec, by: &str, ends: &mut Ends) {
    use gix::revision::plumbing::Spec;
    let mut want = |id| ends.wanted.push(Tip { by: by.to_owned(), id, may_be_missing: false });
    match spec {
        Spec::Include(id) | Spec::ExcludeParents(id) | Spec::IncludeOnlyParents(id) => want(id),
        Spec::Exclude(id) => ends.unwanted.push(id),
        Spec::Range { from, to } => {
            want(to);
            ends.unwanted.push(from);
        }
        Spec::Merge { theirs, ours } => {
            want(theirs);
            want(ours);
        }
    }
}

fn every_log(folder: &Path, tips: &mut Vec<Tip>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => every_log(&entry.path(), tips),
            Ok(kind) if kind.is_file() => one_log(&entry.path(), "a reflog", tips),
            Ok(_) | Err(_) => {}
        }
    }
}

/// A line of a reflog begins with the id before and the id after. A log that cannot be read is none.
fn one_log(path: &Path, by: &str, tips: &mut Vec<Tip>) {
    let Ok(bytes) = std::fs::read(path) else { return };
    for line in bytes.split(|byte| *byte == b'\n') {
        let ids = line.splitn(3, |byte| *byte == b' ').take(2).filter_map(|hex| ObjectId::from_hex(hex).ok());
        for id in ids.filter(|id| !id.is_null()) {
            tips.push(Tip { by: by.to_owned(), id, may_be_missing: true });
        }
    }
}
