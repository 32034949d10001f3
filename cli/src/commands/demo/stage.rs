//! The temporary folder of the demo, the commands that it runs, and what it says about them.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::host;
use crate::editing::is_memory;
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::output::{self, DIM, GOOD, HEAD};

/// Where the system has memory that everybody may write to.
const MEMORY: &str = "/dev/shm";

/// A folder with `repository/` in it, and beside that what must stay out of it: keys, and hosts. What a host has in
/// memory is in a second one.
pub(super) struct Stage {
    folders: RefCell<Vec<tempfile::TempDir>>,
    root: PathBuf,
    run: PathBuf,
    program: PathBuf,
    steps: Cell<usize>,
}

/// What a verb of ours said.
pub(super) struct Said {
    pub(super) done: bool,
    /// What it printed, and what it told a person.
    pub(super) text: String,
}

impl Stage {
    /// Makes the folders and an empty repository.
    pub(super) fn set() -> Outcome<Self> {
        let mut made = tempfile::Builder::new();
        made.prefix("bulla-demo-").rand_bytes(4);
        let folder = made.tempdir()?;
        let root = fs::canonicalize(folder.path())?;
        let memory = Some(Path::new(MEMORY)).filter(|memory| is_memory(memory));
        let memory = memory.and_then(|memory| made.tempdir_in(memory).ok());
        let run = memory.as_ref().map_or_else(|| root.join("run"), |memory| memory.path().to_path_buf());
        let folders = RefCell::new([Some(folder), memory].into_iter().flatten().collect());
        let stage = Self { folders, root, run, program: std::env::current_exe()?, steps: Cell::new(0) };
        fs::create_dir_all(&stage.run)?;
        fs::create_dir(stage.repository())?;
        stage.git(&["init", "--initial-branch=main"])?;
        Ok(stage)
    }

    /// Leaves the folders there and says where they are.
    pub(super) fn keep(&self) -> String {
        let kept: Vec<_> = self.folders.take().into_iter().map(tempfile::TempDir::keep).collect();
        kept.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" and ")
    }

    /// Where all of it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where hosts have their files, in memory if there is any that everybody may write to.
    pub(super) fn run_folder(&self) -> &Path {
        &self.run
    }

    /// Whether that is in memory.
    pub(super) fn is_in_memory(&self) -> bool {
        !self.run.starts_with(&self.root)
    }

    /// The repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.root.join("repository")
    }

    /// A path in the repository.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.repository().join(path)
    }

    /// Begins a step.
    pub(super) fn step(&self, title: &str, about: &str) -> Outcome {
        self.steps.set(self.steps.get() + 1);
        output::print(&format!("\n{HEAD}{}. {title}:{HEAD:#} {DIM}{about}{DIM:#}\n", self.steps.get()))
    }

    /// Says what happened.
    pub(super) fn say(&self, line: &str) -> Outcome {
        output::print(&format!("   {line}\n"))
    }

    /// Shows what a command printed.
    pub(super) fn show(&self, text: &str) -> Outcome {
        text.lines().try_for_each(|line| self.say(line))
    }

    /// Ends a step: what it claims, checked.
    pub(super) fn check(&self, held: bool, claim: &str) -> Outcome {
        if held { output::print(&format!("   {GOOD}✓{GOOD:#} {claim}\n")) } else { Err(super::broken(claim)) }
    }

    /// Shows a command as it would be typed.
    pub(super) fn typed(&self, command: &str) -> Outcome {
        self.say(&format!("{DIM}$ {command}{DIM:#}"))
    }

    /// Shows a part of a file.
    pub(super) fn excerpt(&self, text: &str) -> Outcome {
        text.lines().try_for_each(|line| self.say(&format!("{DIM}│{DIM:#} {line}")))
    }

    /// Runs a verb of ours in the repository, shown as it would be typed.
    pub(super) fn bulla(&self, arguments: &[&str], stdin: &str) -> Outcome<String> {
        let from = if stdin.is_empty() { "" } else { "… | " };
        self.typed(&format!("{from}bulla {}", arguments.join(" ")))?;
        self.bulla_quietly(arguments, stdin)
    }

    /// Runs a verb of ours without showing it.
    pub(super) fn bulla_quietly(&self, arguments: &[&str], stdin: &str) -> Outcome<String> {
        self.run(Command::new(&self.program).args(arguments), stdin)
    }

    /// Runs a verb of ours, shown, that may refuse.
    pub(super) fn bulla_says(&self, arguments: &[&str]) -> Outcome<Said> {
        self.typed(&format!("bulla {}", arguments.join(" ")))?;
        let done = self.ended(Command::new(&self.program).args(arguments), "")?;
        let text = [&done.stdout, &done.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
        match done.status.code() {
            Some(code @ (0 | 1)) => Ok(Said { done: code == 0, text }),
            _ => Err(refuse!("bulla failed: {}", text.trim())),
        }
    }

    /// Runs Git in the repository, shown as it would be typed.
    pub(super) fn git_typed(&self, arguments: &[&str]) -> Outcome<String> {
        self.typed(&format!("git {}", arguments.join(" ")))?;
        self.git(arguments)
    }

    /// Commits everything; shown as it would be typed. The commit's id.
    pub(super) fn commit(&self, message: &str) -> Outcome<String> {
        self.typed(&format!("git add -A && git commit -m \"{message}\""))?;
        self.git(&["add", "-A"])?;
        self.git(&["commit", "-m", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Runs Git in the repository, as if nobody had configured it.
    pub(super) fn git(&self, arguments: &[&str]) -> Outcome<String> {
        self.run(Command::new("git").args(["-c", "core.hooksPath=/dev/null"]).args(arguments), "")
    }

    fn run(&self, command: &mut Command, stdin: &str) -> Outcome<String> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let done = self.ended(command, stdin)?;
        if !done.status.success() {
            return Err(refuse!("{name} failed: {}", String::from_utf8_lossy(&done.stderr).trim()));
        }
        // Git's objects are not all text; what is searched for in them is.
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    fn ended(&self, command: &mut Command, stdin: &str) -> Outcome<Output> {
        let name = command.get_program().to_string_lossy().into_owned();
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        let mut child = command
            .current_dir(self.repository())
            .envs([
                // Our verbs run Git too.
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_CONFIG_SYSTEM", "/dev/null"),
                ("GIT_AUTHOR_NAME", "Bulla Demo"),
                ("GIT_AUTHOR_EMAIL", "demo@example.com"),
                ("GIT_COMMITTER_NAME", "Bulla Demo"),
                ("GIT_COMMITTER_EMAIL", "demo@example.com"),
                ("CLICOLOR_FORCE", if colours() { "1" } else { "0" }),
            ])
            .env("XDG_STATE_HOME", self.root.join("state"))
            .env("BULLA_HOST_CONFIG", self.root.join(host::SETTINGS))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .or_usage(format!("running {name} (is it installed?)"))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(stdin.as_bytes())?;
        }
        Ok(child.wait_with_output()?)
    }

    /// Reads a file of the repository.
    pub(super) fn read(&self, path: &str) -> Outcome<String> {
        let path = self.path(path);
        fs::read_to_string(&path).or_refuse(format!("reading {}", path.display()))
    }

    /// Writes a file of the repository.
    pub(super) fn write(&self, path: &str, text: &str) -> Outcome {
        let path = self.path(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        output::write_file(&path, text.as_bytes(), output::Access::Ordinary)
    }

    /// Removes a file of the repository.
    pub(super) fn remove(&self, path: &str) -> Outcome {
        Ok(fs::remove_file(self.path(path))?)
    }

    /// The permissions of a file.
    pub(super) fn mode(&self, path: &str) -> Outcome<u32> {
        let metadata = fs::metadata(self.path(path)).or_refuse(path.to_owned())?;
        Ok(metadata.permissions().mode() & 0o777)
    }
}

/// Whether what our own verbs print, through a pipe here, ends on a terminal that wants colours.
fn colours() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}
