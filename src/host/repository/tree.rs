//! The files of a commit, read from the clone: there is no working tree that somebody could put a link into.
//!
//! What cannot be a plain file at a plain path is passed over and told of: links, submodules, names with `..`, with
//! control characters, or that are not UTF-8. Contents come from one `git cat-file` that waits for more, file by file:
//! of a large repository only what is asked for is in memory.

use std::collections::{BTreeMap, btree_map};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::git::{Git, GitError, one_line};
use super::{CommitId, Repository};
use crate::host::process::{Running, Stopped, read_some, write_all};

/// The most bytes of a file that is read.
pub const MOST_FILE: u64 = 16 << 20;
/// The most bytes that are read of one commit.
pub const MOST_BYTES: u64 = 256 << 20;
/// The most files of a commit.
pub const MOST_FILES: usize = 100_000;
/// The most bytes of a path.
const MOST_PATH: usize = 4096;
/// So many paths that were passed over are told; of the others, their number.
const MOST_TOLD: usize = 100;
/// So many files are asked for before the first is read.
const AHEAD: usize = 256;

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where, from the root of the repository, with `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    blob: String,
}

/// Something in a commit that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Where, cleaned for people.
    pub path: String,
    /// Why.
    pub why: &'static str,
}

/// The files of a commit below a folder.
#[derive(Debug)]
pub struct Tree {
    git: Arc<Git>,
    clone: PathBuf,
    suspect: Arc<AtomicBool>,
    runtime: Handle,
    /// Nothing where a path is there twice.
    entries: BTreeMap<String, Option<Entry>>,
    passed_over: Vec<PassedOver>,
    /// How many more than these are not used.
    more_passed_over: usize,
    reader: Mutex<Reader>,
}

/// Why the files of a commit cannot be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// git says so.
    #[error("the files of commit {commit} cannot be listed")]
    Git {
        /// Which.
        commit: CommitId,
        /// Why.
        #[source]
        source: GitError,
    },
    /// The folder is not one of the repository's.
    #[error("repository.path: commit {commit} has no folder {below}")]
    NoFolder {
        /// Which.
        commit: CommitId,
        /// What was looked for.
        below: String,
    },
    /// There are too many.
    #[error(
        "commit {commit} has more than {MOST_FILES} files below {below:?}: set repository.path to the folder that is for hosts"
    )]
    TooMany {
        /// Which.
        commit: CommitId,
        /// Where.
        below: String,
    },
}

/// Why a file of a commit cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is none.
    #[error("{path} is not a file of the commit{}", .why.map(|why| format!(": it {why}")).unwrap_or_default())]
    NotThere {
        /// What was asked for.
        path: String,
        /// Why it was passed over, if it was.
        why: Option<&'static str>,
    },
    /// It is too large.
    #[error("{path} has {size} bytes, which is more than the {MOST_FILE} that are read")]
    TooLarge {
        /// Which.
        path: String,
        /// Its bytes.
        size: u64,
    },
    /// All that was read before was too much.
    #[error("{path} is not read: more than {MOST_BYTES} bytes of this commit were read already")]
    TooMuch {
        /// Which.
        path: String,
    },
    /// git says so.
    #[error("{path} cannot be read from the clone")]
    Git {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: GitError,
    },
}

impl Repository {
    /// The files of a commit below a folder (an empty path is all of them), with those that are passed over.
    ///
    /// # Errors
    /// [`TreeError`].
    pub async fn tree(&self, commit: &CommitId, below: &Path) -> Result<Tree, TreeError> {
        let no_folder = || TreeError::NoFolder { commit: commit.clone(), below: below.display().to_string() };
        let below = normal(below).ok_or_else(no_folder)?;
        let mut tree = Tree {
            git: Arc::clone(&self.git),
            clone: self.folder.clone(),
            suspect: Arc::clone(&self.suspect),
            runtime: Handle::current(),
            entries: BTreeMap::new(),
            passed_over: Vec::new(),
            more_passed_over: 0,
            reader: Mutex::default(),
        };
        let mut arguments = vec!["ls-tree", "-r", "-z", "-l", "--full-tree", commit.as_str()];
        let folder = format!("{below}/");
        if !below.is_empty() {
            arguments.extend(["--", &folder]);
        }
        let failed = |source| {
            self.suspect.store(true, Ordering::Relaxed);
            TreeError::Git { commit: commit.clone(), source }
        };
        let listed = timeout(self.git.limits().time, self.list(&arguments, &mut tree)).await;
        let late = |_| Stopped::Timeout { program: "git".into(), after: self.git.limits().time };
        let complete = listed.map_err(late).map_err(GitError::from).and_then(|listed| listed).map_err(failed)?;
        if !complete {
            return Err(TreeError::TooMany { commit: commit.clone(), below });
        }
        // Somebody who may write the repository could point elsewhere with a link of that name.
        let inside = |path: &str| below.is_empty() || path.starts_with(&folder);
        tree.entries.retain(|path, _| inside(path));
        if tree.entries.is_empty() && tree.passed_over.is_empty() && !below.is_empty() {
            return Err(no_folder());
        }
        Ok(tree)
    }

    /// Whether all of it was listed.
    async fn list(&self, arguments: &[&str], tree: &mut Tree) -> Result<bool, GitError> {
        let lost = |source| GitError::from(Stopped::Lost { program: "git".into(), source });
        let mut running = self.git.start(&self.folder.clone(), arguments)?;
        let output = running.output().map_err(lost)?;
        let errors = running.errors().map_err(lost)?;
        let mut rest = Vec::new();
        loop {
            let read = read_some(&output, &mut rest).await.map_err(lost)?;
            let mut from = 0;
            while let Some(length) = rest[from..].iter().position(|byte| *byte == 0) {
                tree.add(&rest[from..from + length]).map_err(|answer| wrong("ls-tree", &answer))?;
                from += length + 1;
                if tree.entries.len() + tree.passed_over.len() + tree.more_passed_over > MOST_FILES {
                    return Ok(false);
                }
            }
            rest.drain(..from);
            if rest.len() > 1 << 20 {
                return Err(wrong("ls-tree", "a path of more than a megabyte"));
            }
            if read == 0 {
                break;
            }
        }
        let mut said = Vec::new();
        while said.len() < 4096 && read_some(&errors, &mut said).await.map_err(lost)? > 0 {}
        let status = running.end().await.map_err(lost)?;
        if status.success() {
            return Ok(true);
        }
        Err(GitError::Failed { what: "ls-tree".into(), text: self.git.clean(&said) })
    }
}

fn wrong(what: &str, answer: &str) -> GitError {
    GitError::Answer { what: what.into(), answer: answer.into() }
}

impl Tree {
    /// The runtime that the reading is done by.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The files, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().flatten()
    }

    /// The file at a path.
    #[must_use]
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)?.as_ref()
    }

    /// What is not used, at most 100 of them.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Takes a line of `ls-tree -r -z -l`: `MODE TYPE OBJECT SIZE<tab>PATH`.
    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        let tab = line.iter().position(|byte| *byte == b'\t').ok_or("a line without a tab")?;
        let words = std::str::from_utf8(&line[..tab]).map_err(|_| "what is not text")?;
        let mut words = words.split_ascii_whitespace();
        let (Some(mode), Some(_), Some(blob), Some(size)) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("a line of too few words".into());
        };
        let path = &line[tab + 1..];
        let path_of_file = match (mode, plain(path)) {
            ("120000", _) => Err("is a symbolic link, which is never followed"),
            ("160000", _) => Err("is a submodule, which is never fetched"),
            (_, Err(why)) => Err(why),
            // 100664 is of old gits.
            ("100644" | "100664" | "100755", Ok(path)) => Ok(path),
            _ => Err("is no file"),
        };
        match path_of_file {
            Ok(path) => {
                let size = size.parse().map_err(|_| "a size that is no number")?;
                let entry = Entry { path: path.into(), size, blob: blob.into() };
                match self.entries.entry(path.into()) {
                    btree_map::Entry::Vacant(free) => drop(free.insert(Some(entry))),
                    btree_map::Entry::Occupied(mut taken) => {
                        taken.insert(None);
                        self.pass_over(path.as_bytes(), "is there twice");
                    }
                }
            }
            Err(why) => self.pass_over(path, why),
        }
        Ok(())
    }

    fn pass_over(&mut self, path: &[u8], why: &'static str) {
        if self.passed_over.len() < MOST_TOLD {
            self.passed_over.push(PassedOver { path: one_line(path, 200), why });
        } else {
            self.more_passed_over += 1;
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let mut read = self.read_many(&[path]).await;
        read.pop().unwrap_or_else(|| Err(ReadError::NotThere { path: path.into(), why: None }))
    }

    /// Reads files, which is faster than one after the other. The answers are in the order of the paths.
    pub async fn read_many(&self, paths: &[&str]) -> Vec<Result<Vec<u8>, ReadError>> {
        let mut reader = self.reader.lock().await;
        let mut all = Vec::with_capacity(paths.len());
        for paths in paths.chunks(AHEAD) {
            let asked: Vec<_> = paths.iter().map(|path| self.admit(path, &mut reader)).collect();
            let blobs: Vec<&Entry> = asked.iter().filter_map(|asked| asked.as_ref().ok().copied()).collect();
            let mut answers = self.blobs(&mut reader, &blobs).await.into_iter();
            for asked in asked {
                all.push(match asked {
                    Err(error) => Err(error),
                    Ok(entry) => answers
                        .next()
                        .unwrap_or_else(|| Err(wrong("cat-file", "too few objects")))
                        .map_err(|source| ReadError::Git { path: entry.path.clone(), source }),
                });
            }
        }
        all
    }

    fn admit(&self, path: &str, reader: &mut Reader) -> Result<&Entry, ReadError> {
        let Some(entry) = self.entry(path) else {
            let why = self.passed_over.iter().find(|passed| passed.path == path).map(|passed| passed.why);
            return Err(ReadError::NotThere { path: path.into(), why });
        };
        if entry.size > MOST_FILE {
            return Err(ReadError::TooLarge { path: path.into(), size: entry.size });
        }
        if reader.taken + entry.size > MOST_BYTES {
            return Err(ReadError::TooMuch { path: path.into() });
        }
        reader.taken += entry.size;
        Ok(entry)
    }

    async fn blobs(&self, reader: &mut Reader, entries: &[&Entry]) -> Vec<Result<Vec<u8>, GitError>> {
        let mut answers = Vec::with_capacity(entries.len());
        if entries.is_empty() {
            return answers;
        }
        let limit = self.git.limits().time;
        let talk = timeout(limit, self.talk(reader, entries, &mut answers)).await;
        let late = |_| Stopped::Timeout { program: "git".into(), after: limit };
        if let Err(error) = talk.map_err(late).map_err(GitError::from).and_then(|talk| talk) {
            // Whatever it would still say belongs to a question that was given up.
            reader.child = None;
            self.suspect.store(true, Ordering::Relaxed);
            answers.push(Err(error));
            answers.resize_with(entries.len(), || Err(wrong("cat-file", "nothing, as for a file before")));
        }
        answers
    }

    async fn talk(
        &self,
        reader: &mut Reader,
        entries: &[&Entry],
        answers: &mut Vec<Result<Vec<u8>, GitError>>,
    ) -> Result<(), GitError> {
        let lost = |source| GitError::from(Stopped::Lost { program: "git".into(), source });
        if reader.child.is_none() {
            let arguments = ["cat-file", "--batch"];
            let mut running = self.git.start(&self.clone, &arguments)?;
            let (input, output) = (running.input().map_err(lost)?, running.output().map_err(lost)?);
            reader.child = Some(Cat { _running: running, input, output, rest: Vec::new() });
        }
        let Some(child) = &mut reader.child else { return Err(wrong("cat-file", "nothing")) };
        let mut questions = String::new();
        for entry in entries {
            questions.push_str(&entry.blob);
            questions.push('\n');
        }
        let Cat { input, output, rest, .. } = child;
        let ask = async { write_all(input, questions.as_bytes()).await.map_err(lost) };
        let hear = async {
            for entry in entries {
                answers.push(Ok(answer(output, rest, entry).await?));
            }
            Ok(())
        };
        tokio::try_join!(ask, hear).map(|_| ())
    }
}

/// A `cat-file` that waits for more.
#[derive(Debug, Default)]
struct Reader {
    child: Option<Cat>,
    /// How many bytes it was asked for.
    taken: u64,
}

#[derive(Debug)]
struct Cat {
    _running: Running,
    input: pipe::Sender,
    output: pipe::Receiver,
    /// What it said beyond the last answer.
    rest: Vec<u8>,
}

/// One answer of `cat-file --batch`: `OBJECT TYPE SIZE`, a line feed, the content, a line feed.
async fn answer(output: &pipe::Receiver, rest: &mut Vec<u8>, entry: &Entry) -> Result<Vec<u8>, GitError> {
    let lost = |source| GitError::from(Stopped::Lost { program: "git".into(), source });
    let gone = || wrong("cat-file", "an end before its time");
    let head = loop {
        if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            break rest.drain(..=end).collect::<Vec<u8>>();
        }
        if rest.len() > 1024 {
            return Err(wrong("cat-file", "a line that is too long"));
        }
        if read_some(output, rest).await.map_err(lost)? == 0 {
            return Err(gone());
        }
    };
    let size = usize::try_from(entry.size).map_err(|_| wrong("cat-file", "a size that is too large"))?;
    if head != format!("{} blob {size}\n", entry.blob).as_bytes() {
        return Err(wrong("cat-file", &format!("`{}`", one_line(&head, 100))));
    }
    rest.reserve(size.saturating_add(1).saturating_sub(rest.len()));
    while rest.len() <= size {
        if read_some(output, rest).await.map_err(lost)? == 0 {
            return Err(gone());
        }
    }
    let after = rest.split_off(size + 1);
    let mut content = std::mem::replace(rest, after);
    content.truncate(size);
    Ok(content)
}

/// A path of a repository that is one of a file, or why not.
fn plain(path: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(path).map_err(|_| "has a name that is not UTF-8")?;
    if text.len() > MOST_PATH {
        return Err("has a path that is too long");
    }
    if text.chars().any(char::is_control) {
        return Err("has control characters in its name");
    }
    for part in text.split('/') {
        match part {
            "" | "." | ".." => return Err("has a path that leads elsewhere"),
            part if part.eq_ignore_ascii_case(".git") => return Err("is in a folder of git's own"),
            _ => {}
        }
    }
    Ok(text)
}

/// A folder of the settings as git writes it; nothing if it leads out of the repository.
fn normal(below: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in below.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}
