//! A Git repository: its objects, its index, its history. It is read without the `git` command, and changed by it.
//!
//! | module | what it is |
//! | --- | --- |
//! | `revisions` | from where history is walked: refs, stashes, worktrees, reflogs, ranges |
//! | `commits` | the commits, parents before children |
//! | `history` | every blob of every commit, once, with its paths and the oldest commit that has it |
//! | `reading` | the bytes of blobs, on every core |
//! | `changes` | which commits changed a path |
//! | `staged` | what the next commit would change |
//! | `commit` | branches and commits, made by `git` itself |
//! | `program` | `git` itself, asked what it alone knows |

mod changes;
mod commit;
mod commits;
mod history;
pub(crate) mod program;
mod reading;
mod revisions;
mod staged;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use gix::ObjectId;

pub(crate) use self::changes::Change;
pub(crate) use self::commit::{Checkout, SCRATCH, Tracked, TrackedKind};
pub(crate) use self::commits::{Commit, Moment};
pub(crate) use self::history::{Blob, History};
pub(crate) use self::reading::{Left, MAX_BYTES, is_text};
pub(crate) use self::revisions::Revisions;
pub(crate) use self::staged::{Files, Index, Indexed, Staged};

use crate::failure::{Failure, OrFail as _, Outcome, usage};

/// A repository that can be read from any thread.
pub(crate) struct Git {
    shared: gix::ThreadSafeRepository,
    root: Option<PathBuf>,
    dir: PathBuf,
}

impl Git {
    /// The repository that holds `path`, which is a folder, a file, or in a folder that exists. `GIT_DIR`,
    /// `GIT_INDEX_FILE` and the like count as they do for Git: it sets them for its hooks.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(crate) fn discover(path: &Path) -> Outcome<Self> {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let found = gix::ThreadSafeRepository::discover_with_environment_overrides(folder);
        let shared = found.or_usage(format!("{} is not in a Git repository that can be read", path.display()))?;
        let resolve = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let (root, dir) = (shared.work_dir().map(resolve), resolve(shared.git_dir()));
        Ok(Self { shared, root, dir })
    }

    /// The top folder of the work tree; none of a bare repository.
    pub(crate) fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The folder `.git`, or what stands for it in a linked worktree.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path as Git writes it: from the root, with slashes. `None` if it is outside, or there is no work tree.
    pub(crate) fn relative(&self, path: &Path) -> Option<String> {
        let absolute = std::path::absolute(path).ok()?;
        // A file that is gone still has a place in history: the nearest folder that is there is resolved.
        let (mut there, mut rest) = (absolute.as_path(), PathBuf::new());
        let resolved = loop {
            if let Ok(resolved) = there.canonicalize() {
                break if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) };
            }
            rest = Path::new(there.file_name()?).join(rest);
            there = there.parent()?;
        };
        let relative = resolved.strip_prefix(self.root()?).ok()?;
        Some(relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"))
    }

    /// The bytes of one blob.
    ///
    /// # Errors
    /// The object is missing or damaged, or has more than [`MAX_BYTES`].
    pub(crate) fn bytes_of(&self, blob: ObjectId) -> Outcome<Vec<u8>> {
        let repository = self.handle();
        let named = || format!("reading object {blob}");
        let header = repository.find_header(blob).or_usage(named())?;
        if header.size() > MAX_BYTES {
            return Err(usage!("object {blob} has more than {MAX_BYTES} bytes"));
        }
        Ok(repository.find_object(blob).or_usage(named())?.detach().data)
    }

    /// The commit that a revision names: `HEAD`, `main~3`, an id.
    ///
    /// # Errors
    /// There is no such commit.
    pub(crate) fn commit_named(&self, revision: &str) -> Outcome<ObjectId> {
        let repository = self.handle();
        let found = repository.rev_parse_single(revision).and_then(|id| Ok(id.object()?.peel_to_commit()?.id));
        found.or_usage(format!("{revision:?} names no commit of {}", self.dir.display()))
    }

    /// A handle for one thread: it has caches of its own.
    fn handle(&self) -> gix::Repository {
        let mut repository = self.shared.to_thread_local();
        repository.objects.set_pack_cache(|| {
            Box::new(gix::odb::pack::cache::lru::MemoryCappedHashmap::new(reading::PACK_CACHE_BYTES))
        });
        repository
    }
}

/// A failure to read the repository.
fn unreadable(error: gix::Error) -> Failure {
    Failure::usage(error).at("reading the Git repository")
}
