//! The bare clone in the state folder: who may write it, how it is repaired after a kill, and how it stays small.
//!
//! | in the folder | |
//! | --- | --- |
//! | `clone.git` | the clone: `refs/bulla/tip` was fetched last, `refs/bulla/good` is kept whatever the server does |
//! | `clone.new` | one that is being made; it takes the place of the other in one rename |
//! | `lock` | held by who writes. git has it as its standard input, so that a git that outlives a killed agent keeps it |
//! | `home` | the home of git: its settings, and keyrings for gpg while they are needed |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, sleep};

use super::git::GitError;
use super::signatures::sweep_rings;
use super::{CommitId, Repository};
use crate::host::disk::{self, remove_folder};

/// What was fetched last.
pub(super) const TIP: &str = "refs/bulla/tip";
/// The last good commit.
pub(super) const GOOD: &str = "refs/bulla/good";
/// Each fetch leaves a pack; at so many they are made one, and what no reference holds goes.
const MOST_PACKS: usize = 32;
/// How long another writer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state folder of a repository.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn clone(&self) -> PathBuf {
        self.root.join("clone.git")
    }

    fn new_clone(&self) -> PathBuf {
        self.root.join("clone.new")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.root.join("home/.gitconfig")
    }

    pub(super) fn gpg(&self) -> PathBuf {
        self.root.join("home/gpg")
    }

    /// Makes the folder, for our eyes only, and writes git's settings.
    pub(super) fn make(&self, config: &str) -> io::Result<()> {
        if !self.root.is_absolute() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute"));
        }
        let private = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
        private(&self.root)?;
        private(&self.home())?;
        sweep_rings(&self.home())?;
        write(&self.config(), config, 0o600)
    }

    /// Waits until nobody else writes the clone. The lock goes with the last copy of the file.
    pub(super) async fn lock(&self) -> io::Result<Option<File>> {
        let path = self.root.join("lock");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(file)),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => sleep(Duration::from_millis(50)).await,
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Writes a script that git runs.
pub(super) fn write_script(path: &Path, text: &str) -> io::Result<()> {
    write(path, text, 0o700)
}

/// Writes a small file of ours, unless it is there already. Another process may read it at this moment, or write the
/// same.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let new = path.with_extension(format!("{}.new", std::process::id()));
    disk::remove(&new)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// Removes what a git that was killed left in a clone. Only who holds the lock knows that nobody needs it.
fn sweep(clone: &Path) -> io::Result<usize> {
    let mut folders = vec![clone.to_path_buf()];
    let mut removed = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let half = ["tmp_", "incoming-", "tmp_objdir-"].iter().any(|start| name.starts_with(start))
                && path.starts_with(clone.join("objects"));
            match entry.file_type()? {
                kind if kind.is_dir() && half => remove_folder(&path)?,
                kind if kind.is_dir() => {
                    folders.push(path);
                    continue;
                }
                // index-pack keeps a pack until the reference is written.
                _ if half || name.ends_with(".lock") || name.ends_with(".keep") => disk::remove(&path)?,
                _ => continue,
            }
            removed += 1;
        }
    }
    Ok(removed)
}

/// How many packs there are, and the bytes of all files.
fn size(clone: &Path) -> io::Result<(usize, u64)> {
    let (mut packs, mut bytes) = (0, 0);
    for entry in fs::read_dir(clone.join("objects/pack"))? {
        let entry = entry?;
        bytes += entry.metadata()?.len();
        packs += usize::from(entry.path().extension().is_some_and(|it| it == "pack"));
    }
    Ok((packs, bytes))
}

/// Whether a file that was being fetched has as many bytes as it may.
pub(super) fn has_full_file(clone: &Path, most: u64) -> bool {
    let files = fs::read_dir(clone.join("objects/pack")).into_iter().flatten().flatten();
    files.filter_map(|entry| entry.metadata().ok()).any(|file| file.len() >= most)
}

impl Repository {
    /// The clone, swept, or nothing if there is none.
    pub(super) fn existing(&self) -> io::Result<Option<PathBuf>> {
        let clone = self.folder.clone();
        if !clone.is_dir() {
            return Ok(None);
        }
        let removed = sweep(&clone)?;
        if removed > 0 {
            tracing::info!(removed, clone = %clone.display(), "removed what a git that was killed had left");
        }
        Ok(Some(clone))
    }

    /// An empty clone, not yet in its place.
    pub(super) async fn empty(&self, like: &CommitId) -> Result<PathBuf, CloneError> {
        let new = self.folder.new_clone();
        remove_folder(&new)?;
        let format = if like.is_sha256() { "--object-format=sha256" } else { "--object-format=sha1" };
        let path = new.to_string_lossy();
        self.git.run(None, &["init", "--quiet", "--bare", "--template=", format, "--", &*path]).await?;
        Ok(new)
    }

    /// Puts the clone that was made in the place of the other.
    pub(super) async fn put_in_place(&self) -> Result<(), CloneError> {
        let (clone, new) = (self.folder.clone(), self.folder.new_clone());
        let good = self.reference(&clone, GOOD).await;
        remove_folder(&clone)?;
        fs::rename(new, &clone)?;
        if let Some(good) = good {
            // It may be gone from the server; then nothing holds it, and `judge` will say so.
            if let Err(error) = self.git.run(Some(&clone), &["update-ref", GOOD, good.as_str()]).await {
                tracing::warn!(%error, %good, "the last good commit is not in the new clone");
            }
        }
        Ok(())
    }

    /// Whether the clone itself has a fault: a pack does not have the sum that it should, or objects are missing.
    pub(super) async fn is_damaged(&self, clone: &Path) -> Option<GitError> {
        if let Err(error) = self.git.run(Some(clone), &["rev-parse", "--git-dir"]).await {
            return Some(error);
        }
        let mut references = Vec::new();
        for reference in [TIP, GOOD] {
            let written = clone.join(reference).exists();
            match self.git.run(Some(clone), &["rev-parse", "--verify", "--quiet", reference]).await {
                Ok(_) => references.push(reference),
                Err(error) if written => return Some(error),
                Err(_) => {}
            }
        }
        let packs = fs::read_dir(clone.join("objects/pack")).ok()?.flatten().map(|entry| entry.path());
        for pack in packs.filter(|path| path.extension().is_some_and(|it| it == "pack")) {
            let index = pack.with_extension("idx");
            if let Err(error) = self.git.run(Some(clone), &["verify-pack", "--", &*index.to_string_lossy()]).await {
                return Some(error);
            }
        }
        if references.is_empty() {
            return None;
        }
        let arguments = [&["rev-list", "--objects", "--quiet"], &*references, &["--"]].concat();
        self.git.run(Some(clone), &arguments).await.err()
    }

    /// The commit of a reference.
    pub(super) async fn reference(&self, clone: &Path, name: &str) -> Option<CommitId> {
        let commit = format!("{name}^{{commit}}");
        let output = self.git.run(Some(clone), &["rev-parse", "--verify", "--quiet", &commit]).await.ok()?;
        String::from_utf8(output).ok()?.trim().parse().ok()
    }

    /// Reads which commit was fetched last.
    pub(super) async fn load_tip(&self) {
        let clone = self.folder.clone();
        if clone.is_dir() {
            self.set_tip(self.reference(&clone, TIP).await);
        }
    }

    pub(super) fn set_tip(&self, commit: Option<CommitId>) {
        if let Ok(mut tip) = self.tip.lock() {
            *tip = commit;
        }
    }

    /// Keeps `good` and its history in the clone, whatever the server does to the branch. Everything else goes at some
    /// time, once the branch does not have it any more.
    ///
    /// # Errors
    /// The commit is not in the clone, or the clone cannot be written.
    pub async fn remember(&self, good: &CommitId) -> Result<(), CloneError> {
        let lock = self.folder.lock().await?.ok_or(CloneError::Busy)?;
        let arguments = ["update-ref", GOOD, good.as_str()];
        self.git.run_locked(&self.folder.clone(), &arguments, &lock, self.most_bytes).await?;
        Ok(())
    }

    /// The commit that was remembered last.
    pub async fn remembered(&self) -> Option<CommitId> {
        let clone = self.folder.clone();
        if clone.is_dir() { self.reference(&clone, GOOD).await } else { None }
    }

    /// Makes one pack of many, and of more bytes than allowed fewer: what no reference holds goes. Nobody else
    /// maintains the clone, in particular not git in the background.
    ///
    /// Returns the bytes that there are.
    pub(super) async fn maintain(&self, clone: &Path, lock: &File) -> Result<u64, CloneError> {
        let (packs, bytes) = size(clone)?;
        if packs <= MOST_PACKS && bytes <= self.most_bytes {
            return Ok(bytes);
        }
        tracing::info!(packs, bytes, clone = %clone.display(), "packing the clone anew");
        let arguments = ["repack", "-a", "-d", "-q", "--no-write-bitmap-index"];
        self.git.run_locked(clone, &arguments, lock, self.most_bytes).await?;
        Ok(size(clone)?.1)
    }
}

/// The clone cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloneError {
    /// A file of it.
    #[error("the clone in the state folder cannot be read or written")]
    File(#[from] io::Error),
    /// git says so.
    #[error(transparent)]
    Git(#[from] GitError),
    /// It has a fault of its own.
    #[error("the clone in the state folder is damaged and is made anew at the next fetch: {0}")]
    Damaged(GitError),
    /// Another process writes it.
    #[error("another process has been writing the clone for {} s; if no agent runs, look for a git that is left over", PATIENCE.as_secs())]
    Busy,
}
