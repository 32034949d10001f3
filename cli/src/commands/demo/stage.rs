//! The temporary folder of the demo, the commands that it runs, and what it says about them.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{OrFail as _, Outcome, refuse};
use crate::output::{self, DIM, GOOD, HEAD};

/// A folder with `repository/` in it, and beside that what must stay out of it: keys, and the files that are written.
pub(super) struct Stage {
    folder: RefCell<Option<tempfile::TempDir>>,
    root: PathBuf,
    program: PathBuf,
    steps: Cell<usize>,
}

impl Stage {
    /// Makes the folder and an empty repository.
    pub(super) fn set() -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("bulla-demo-").tempdir()?;
        let root = folder.path().to_path_buf();
        let program = std::env::current_exe()?;
        let stage = Self { folder: RefCell::new(Some(folder)), root, program, steps: Cell::new(0) };
        fs::create_dir(stage.repository())?;
        stage.git(&["init", "--initial-branch=main"])?;
        Ok(stage)
    }

    /// Leaves the folder there and says where it is.
    pub(super) fn keep(&self) -> PathBuf {
        match self.folder.take() {
            Some(folder) => folder.keep(),
            None => self.root.clone(),
        }
    }

    /// The repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.root.join("repository")
    }

    /// A path in the repository.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.repository().join(path)
    }

    /// Where plain files are written.
    pub(super) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// Begins a step.
    pub(super) fn step(&self, title: &str, about: &str) -> Outcome {
        self.steps.set(self.steps.get() + 1);
        output::print(&format!("\n{HEAD}{}. {title}{HEAD:#} {DIM}{about}{DIM:#}\n", self.steps.get()))
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

    /// Runs a verb of ours in the repository, shown as it would be typed.
    pub(super) fn bulla(&self, arguments: &[&str], stdin: &str) -> Outcome<String> {
        let from = if stdin.is_empty() { "" } else { "… | " };
        self.say(&format!("{DIM}$ {from}bulla {}{DIM:#}", arguments.join(" ")))?;
        self.bulla_quietly(arguments, stdin)
    }

    /// Runs a verb of ours without showing it.
    pub(super) fn bulla_quietly(&self, arguments: &[&str], stdin: &str) -> Outcome<String> {
        self.run(Command::new(&self.program).args(arguments), stdin)
    }

    /// Runs Git in the repository, as if nobody had configured it.
    pub(super) fn git(&self, arguments: &[&str]) -> Outcome<String> {
        let mut git = Command::new("git");
        git.args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]).args(arguments);
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "Bulla Demo"),
            ("GIT_AUTHOR_EMAIL", "demo@example.com"),
            ("GIT_COMMITTER_NAME", "Bulla Demo"),
            ("GIT_COMMITTER_EMAIL", "demo@example.com"),
        ] {
            git.env(name, value);
        }
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        self.run(&mut git, "")
    }

    fn run(&self, command: &mut Command, stdin: &str) -> Outcome<String> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut child = command
            .current_dir(self.repository())
            .env("XDG_STATE_HOME", self.root.join("state"))
            .env("CLICOLOR_FORCE", if colours() { "1" } else { "0" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .or_usage(format!("running {name} (is it installed?)"))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(stdin.as_bytes())?;
        }
        let done = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        if !done.status.success() {
            return Err(refuse!("{name} failed: {}", said.trim()));
        }
        // Git's objects are not all text; what is searched for in them is.
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Reads a file of the repository.
    pub(super) fn read(&self, path: &str) -> Outcome<String> {
        super::read(&self.path(path))
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
