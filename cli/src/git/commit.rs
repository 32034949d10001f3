//! Branches and commits, made by `git` itself: the identity, the hooks and the signature are the user's, and so are the
//! rules of whatever filters the files go through.
//!
//! Nothing here touches a file that it was not given, or what else is staged.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::failure::{OrFail as _, Outcome, refuse, usage};

/// Lines of a failed command's output that are repeated; a hook may say a lot.
const REPEATED: usize = 40;

/// What git leaves in its folder while something else is under way, and what that is.
const UNDER_WAY: [(&str, &str); 6] = [
    ("MERGE_HEAD", "a merge"),
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
    ("BISECT_LOG", "a bisection"),
];

/// Files that git reads while it commits, in a folder of ours.
pub(crate) const SCRATCH: [&str; 2] = ["paths", "message"];

/// A working tree and its repository, driven by the `git` of the `PATH`.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    root: PathBuf,
    dir: PathBuf,
}

/// A file that Git knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tracked {
    /// From the root of the working tree.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) kind: TrackedKind,
}

/// What a tracked file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackedKind {
    /// A file, with its content here.
    File,
    /// A symbolic link.
    Link,
    /// Another repository.
    Submodule,
    /// Not in the working tree: deleted, or left out by a sparse checkout.
    Absent,
}

impl Checkout {
    /// The working tree that `path` is in.
    pub(crate) fn find(path: &Path) -> Outcome<Self> {
        if !path.exists() {
            return Err(usage!("{} does not exist", path.display()));
        }
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let ask = |question| {
            let said = run(Command::new("git").arg("-C").arg(folder).args(["rev-parse", question]))?;
            if !said.status.success() {
                return Err(usage!("{} is in no working tree of Git: {}", path.display(), last(&said.stderr)));
            }
            let answer = said.stdout.strip_suffix(b"\n").unwrap_or(&said.stdout);
            Ok(PathBuf::from(OsStr::from_bytes(answer)))
        };
        let (root, dir) = (ask("--show-toplevel")?, ask("--absolute-git-dir")?);
        Ok(Self { root, dir })
    }

    /// Root of the working tree.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Git's folder for this working tree: `.git`, or where a worktree or a submodule has it.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The commit that is checked out; `None` where there is none yet.
    pub(crate) fn head(&self) -> Outcome<Option<String>> {
        self.commit_of("HEAD")
    }

    /// The commit that a name means.
    pub(crate) fn commit_of(&self, name: &str) -> Outcome<Option<String>> {
        let name = format!("{name}^{{commit}}");
        let said = run(self.git().args(["rev-parse", "--verify", "--quiet", "--end-of-options", &name]))?;
        Ok(said.status.success().then(|| text(&said.stdout)))
    }

    /// The branch that is checked out; `None` for a detached HEAD.
    pub(crate) fn branch(&self) -> Outcome<Option<String>> {
        let said = run(self.git().args(["symbolic-ref", "--quiet", "--short", "HEAD"]))?;
        Ok(said.status.success().then(|| text(&said.stdout)))
    }

    /// The root of the repository that this one is a submodule of.
    pub(crate) fn superproject(&self) -> Outcome<Option<PathBuf>> {
        let said = self.ask("rev-parse", ["--show-superproject-working-tree"])?;
        Ok(Some(text(&said)).filter(|path| !path.is_empty()).map(PathBuf::from))
    }

    /// What is under way here that a commit would get into.
    pub(crate) fn under_way(&self) -> Option<&'static str> {
        UNDER_WAY.iter().find(|(name, _)| self.dir.join(name).exists()).map(|(_, what)| *what)
    }

    /// Every tracked file at or below `path`, in Git's order.
    pub(crate) fn tracked(&self, path: &Path) -> Outcome<Vec<Tracked>> {
        let mut command = self.git();
        command.args(["ls-files", "-z", "--stage", "--"]).arg(path);
        let said = checked(&mut command, "listing the tracked files")?;
        let mut files: Vec<Tracked> = Vec::new();
        for entry in said.split(|byte| *byte == 0) {
            let Some(at) = entry.iter().position(|byte| *byte == b'\t') else { continue };
            let path = PathBuf::from(OsStr::from_bytes(&entry[at + 1..]));
            // The three sides of a conflict.
            if files.last().is_some_and(|last| last.path == path) {
                continue;
            }
            let kind = match &entry[..6.min(at)] {
                b"160000" => TrackedKind::Submodule,
                b"120000" => TrackedKind::Link,
                _ if self.root.join(&path).is_file() => TrackedKind::File,
                _ => TrackedKind::Absent,
            };
            files.push(Tracked { path, kind });
        }
        Ok(files)
    }

    /// Every file of a commit: blob and path from the root. Links and submodules are left out.
    pub(crate) fn files_of(&self, commit: &str) -> Outcome<Vec<(String, PathBuf)>> {
        let said = self.ask("ls-tree", ["-r", "-z", "--full-tree", commit])?;
        let file = |entry: &[u8]| {
            let at = entry.iter().position(|byte| *byte == b'\t')?;
            let mut words = entry.get(..at)?.split(|byte| *byte == b' ');
            let (mode, _, blob) = (words.next()?, words.next()?, words.next()?);
            let path = PathBuf::from(OsStr::from_bytes(entry.get(at + 1..)?));
            mode.starts_with(b"100").then(|| (text(blob), path))
        };
        Ok(said.split(|byte| *byte == 0).filter_map(file).collect())
    }

    /// Reads blobs one after the other; one that is longer than `limit` is passed over.
    pub(crate) fn each_blob(&self, blobs: &[&str], limit: usize, mut each: impl FnMut(&str, Vec<u8>)) -> Outcome {
        if blobs.is_empty() {
            return Ok(());
        }
        let reading = || "reading files from Git";
        let mut command = self.git();
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().or_usage("running git: is it installed and on the PATH?")?;
        let (Some(mut asks), Some(says)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(usage!("{}: git has no pipes", reading()));
        };
        let mut says = io::BufReader::new(says);
        let mut header = String::new();
        // One at a time, so that neither side waits for the other with a full pipe.
        for blob in blobs {
            writeln!(asks, "{blob}").and_then(|()| asks.flush()).or_usage(reading())?;
            header.clear();
            says.read_line(&mut header).or_usage(reading())?;
            let size: u64 = match header.split_whitespace().last().and_then(|size| size.parse().ok()) {
                Some(size) => size,
                // Not here: a clone that fetches what it needs, and could not.
                None if header.trim_end().ends_with("missing") => continue,
                None => return Err(usage!("{}: git said {:?}", reading(), header.trim_end())),
            };
            if size > limit as u64 {
                io::copy(&mut (&mut says).take(size + 1), &mut io::sink()).or_usage(reading())?;
                continue;
            }
            let mut bytes = Vec::new();
            (&mut says).take(size).read_to_end(&mut bytes).or_usage(reading())?;
            io::copy(&mut (&mut says).take(1), &mut io::sink()).or_usage(reading())?;
            each(blob, bytes);
        }
        drop(asks);
        child.wait().or_usage(reading()).map(drop)
    }

    /// Which of these files (from the root) differ from the commit that is checked out, staged or not, or are not
    /// tracked.
    pub(crate) fn changed(&self, paths: &[PathBuf]) -> Outcome<Vec<PathBuf>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut changed = Vec::new();
        // `git status` takes no list of paths from a file, and a command line has an end.
        for some in paths.chunks(500) {
            let mut command = self.git();
            command.args(["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--"]).args(some);
            let said = checked(&mut command, "looking for changes")?;
            let entries = said.split(|byte| *byte == 0).filter(|entry| entry.len() > 3);
            changed.extend(entries.map(|entry| PathBuf::from(OsStr::from_bytes(&entry[3..]))));
        }
        Ok(changed)
    }

    /// Refuses where Git does not know who commits.
    pub(crate) fn check_identity(&self) -> Outcome {
        self.ask("var", ["GIT_COMMITTER_IDENT"]).and_then(|_| self.ask("var", ["GIT_AUTHOR_IDENT"])).map(drop)
    }

    /// Files that Git neither knows nor ignores, from the root.
    pub(crate) fn untracked(&self) -> Outcome<Vec<PathBuf>> {
        let said = self.ask("ls-files", ["--others", "--exclude-standard", "-z"])?;
        let paths = said.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect())
    }

    /// Whether Git ignores a path.
    pub(crate) fn is_ignored(&self, path: &Path) -> Outcome<bool> {
        // It takes no option about patterns, and takes its paths as they are.
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root).args(["check-ignore", "--quiet", "--"]).arg(path);
        Ok(run(&mut command)?.status.success())
    }

    /// Whether `name` can be a branch.
    pub(crate) fn is_branch_name(&self, name: &str) -> Outcome<bool> {
        Ok(run(self.git().args(["check-ref-format", "--branch", name]))?.status.success())
    }

    /// The commit at the end of a local branch.
    pub(crate) fn end_of(&self, branch: &str) -> Outcome<Option<String>> {
        self.commit_of(&format!("refs/heads/{branch}"))
    }

    /// What a branch is pushed to or pulled from, as a whole reference.
    pub(crate) fn upstream_of(&self, branch: &str) -> Outcome<Option<String>> {
        let name = format!("{branch}@{{upstream}}");
        let said = run(self.git().args(["rev-parse", "--symbolic-full-name", "--verify", "--quiet", &name]))?;
        Ok(Some(text(&said.stdout)).filter(|name| said.status.success() && !name.is_empty()))
    }

    /// Whether the history of `tip` has `commit` in it.
    pub(crate) fn is_ancestor(&self, commit: &str, tip: &str) -> Outcome<bool> {
        Ok(run(self.git().args(["merge-base", "--is-ancestor", commit, tip]))?.status.success())
    }

    /// Whether a commit after `since` up to `tip` has these words in its message.
    pub(crate) fn mentions(&self, since: &str, tip: &str, words: &str) -> Outcome<bool> {
        let range = format!("{since}..{tip}");
        let grep = format!("--grep={words}");
        let said = run(self.git().args(["rev-list", "--max-count=1", "--fixed-strings", &grep, &range, "--"]))?;
        Ok(said.status.success() && !said.stdout.is_empty())
    }

    /// Makes a branch here and checks it out; no file changes.
    pub(crate) fn start_branch(&self, name: &str) -> Outcome {
        let mut command = self.git();
        command.args(["switch", "--quiet", "--no-track", "--create", name]);
        checked(&mut command, "making the branch").map(drop)
    }

    /// Checks out a branch or, detached, a commit; git refuses where a file would be lost by it.
    pub(crate) fn switch_to(&self, name: &str, is_detached: bool) -> Outcome {
        let mut command = self.git();
        command.args(["switch", "--quiet"]);
        if is_detached {
            command.arg("--detach");
        }
        command.arg(name);
        checked(&mut command, "going back to where the run began").map(drop)
    }

    /// Takes a branch away if it ends at `commit`.
    pub(crate) fn drop_branch(&self, name: &str, commit: &str) -> Outcome {
        let name = format!("refs/heads/{name}");
        checked(self.git().args(["update-ref", "-d", &name, commit]), "taking the branch away").map(drop)
    }

    /// Commits these files (from the root) as they are, and nothing else: what is staged of other files stays staged.
    /// The user's hooks run. `scratch` is a folder for two files that git reads.
    ///
    /// # Errors
    /// A hook that refuses, a signature that cannot be made, no identity: with what git said.
    pub(crate) fn commit(&self, paths: &[PathBuf], message: &str, scratch: &Path) -> Outcome<String> {
        let [list, words] = SCRATCH.map(|name| scratch.join(name));
        let mut names = Vec::new();
        for path in paths {
            names.extend_from_slice(path.as_os_str().as_bytes());
            names.push(0);
        }
        crate::output::write_file(&list, &names, crate::output::Access::Ordinary)?;
        crate::output::write_file(&words, message.as_bytes(), crate::output::Access::Ordinary)?;
        let mut command = self.git();
        command.args(["commit", "--quiet", "--only", "--cleanup=whitespace", "--pathspec-file-nul"]);
        command.arg(option("--pathspec-from-file=", &list)).arg(option("--file=", &words));
        if io::stdin().is_terminal() {
            // A hook or the program that signs may ask.
            command.stdin(Stdio::inherit());
        }
        let said = run(&mut command);
        for file in [&list, &words] {
            // They hold names of files and a message: left behind they do no harm.
            std::fs::remove_file(file).unwrap_or_default();
        }
        let said = said?;
        if !said.status.success() {
            let mut words = repeated(&said.stdout);
            words.push_str(&repeated(&said.stderr));
            return Err(refuse!(
                "git would not commit: a hook, the signature or the identity. It said:\n{}",
                words.trim_end()
            ));
        }
        self.head()?.ok_or_else(|| usage!("git made a commit that is not there"))
    }

    /// Puts these files (from the root) back to what `commit` has of them, in the tree and in the index.
    pub(crate) fn restore(&self, paths: &[PathBuf], commit: &str) -> Outcome {
        for some in paths.chunks(500) {
            let mut command = self.git();
            command.args(["restore", "--staged", "--worktree", "--quiet"]);
            command.arg(format!("--source={commit}")).arg("--").args(some);
            checked(&mut command, "putting the files back")?;
        }
        Ok(())
    }

    /// Runs a command of git that reads, and gives what it printed.
    pub(crate) fn ask<'a>(&self, verb: &str, arguments: impl IntoIterator<Item = &'a str>) -> Outcome<Vec<u8>> {
        let named = format!("git {verb}");
        checked(self.git().arg(verb).args(arguments), &named)
    }

    /// Paths are names and not patterns, and reading does not touch the index.
    fn git(&self) -> Command {
        let mut command = Command::new("git");
        command.args(["--literal-pathspecs", "--no-optional-locks", "-C"]).arg(&self.root);
        command
    }
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = name.as_bytes().to_vec();
    option.extend_from_slice(path.as_os_str().as_bytes());
    OsString::from_vec(option)
}

fn run(command: &mut Command) -> Outcome<Output> {
    command.output().or_usage("running git: is it installed and on the PATH?")
}

fn checked(command: &mut Command, doing: &str) -> Outcome<Vec<u8>> {
    let said = run(command)?;
    if said.status.success() {
        return Ok(said.stdout);
    }
    Err(usage!("{doing}: {}", last(&said.stderr)))
}

/// The output of a command without its line end.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// What a command said on failing, in one line.
fn last(bytes: &[u8]) -> String {
    let words: Vec<String> = String::from_utf8_lossy(bytes).lines().map(crate::output::plain).collect();
    if words.is_empty() { "git did not say why".to_owned() } else { words.join(" ") }
}

/// The end of what a command said.
fn repeated(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(REPEATED))
        .map(|line| format!("  {}\n", crate::output::plain(line)))
        .collect()
}
