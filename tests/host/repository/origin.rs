//! A repository to follow, made by the real git, and what follows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bulla::host::repository::{CommitId, Repository, Settings};
use tempfile::TempDir;

/// A repository with a working tree, and a folder for everything else of a test.
pub(crate) struct Origin {
    folder: TempDir,
    work: PathBuf,
}

impl Origin {
    /// With branch `main` and no commit.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("fleet");
        fs::create_dir(&work).unwrap();
        let origin = Self { folder, work };
        origin.git(&["init", "--quiet", "--initial-branch=main"]);
        origin
    }

    /// With one commit, of `hosts/frodo.yaml`.
    pub(crate) fn new() -> Self {
        let origin = Self::empty();
        origin.commit("hosts/frodo.yaml", "one");
        origin
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn work(&self) -> &Path {
        &self.work
    }

    pub(crate) fn url(&self) -> String {
        self.work.display().to_string()
    }

    /// Runs git there, as a user whose settings are all their own.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, b"")
    }

    pub(crate) fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&self.work).env("HOME", self.folder.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", self.folder.path().join("gitconfig"));
        command.env("GNUPGHOME", self.folder.path().join("gnupg"));
        command.envs([("GIT_AUTHOR_NAME", "Anna"), ("GIT_AUTHOR_EMAIL", "anna@example.com")]);
        command.envs([("GIT_COMMITTER_NAME", "Anna"), ("GIT_COMMITTER_EMAIL", "anna@example.com")]);
        text_of(&mut command, input)
    }

    /// Commits one file and returns the commit.
    pub(crate) fn commit(&self, path: &str, text: &str) -> CommitId {
        self.commit_as(path, text, &[])
    }

    pub(crate) fn commit_as(&self, path: &str, text: &str, more: &[&str]) -> CommitId {
        let file = self.work.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self.git(&["add", "--", path]);
        let message: String = format!("{path}: {text}").chars().take(80).collect();
        self.git(&[&["commit", "--quiet", "-m", &message], more].concat());
        self.head()
    }

    pub(crate) fn head(&self) -> CommitId {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Makes a tree object of raw bytes, whatever is in it.
    pub(crate) fn raw_tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut raw = Vec::new();
        for (mode, name, object) in entries {
            raw.extend_from_slice(mode.as_bytes());
            raw.push(b' ');
            raw.extend_from_slice(name);
            raw.push(0);
            raw.extend((0..object.len()).step_by(2).map(|at| u8::from_str_radix(&object[at..at + 2], 16).unwrap()));
        }
        self.git_with(&["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], &raw)
    }

    /// Commits a tree object onto the branch.
    pub(crate) fn commit_tree(&self, tree: &str) -> CommitId {
        let commit = self.git(&["commit-tree", tree, "-p", "HEAD", "-m", "raw"]);
        self.git(&["update-ref", "refs/heads/main", &commit]);
        commit.parse().unwrap()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(self.url(), "main", self.path("state"))
    }

    pub(crate) async fn follow(&self) -> Repository {
        Repository::open(self.settings()).await.unwrap()
    }
}

/// Runs a command that has to succeed, and returns what it prints.
pub(crate) fn text_of(command: &mut Command, input: &[u8]) -> String {
    use std::io::Write as _;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is installed");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// How many processes have `word` among their arguments.
pub(crate) fn processes_with(word: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    let lines = all.filter_map(|file| fs::read(file).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(word)).count()
}
