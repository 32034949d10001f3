//! Git itself, run as a program: what it alone knows (its configuration, its index, the merge of two texts) is asked of
//! it, so that worktrees, submodules, hooks and `GIT_DIR` mean what they mean to it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::failure::{OrFail as _, Outcome, refuse, usage};

/// Variables with which Git tells its children which repository they work for. A child that works for another one must
/// not see any of them.
const INHERITED: &str = "GIT_";
/// Where Git's own programs are, which is the same for every repository.
const KEPT: &str = "GIT_EXEC_PATH";

/// One run of `git`.
pub(crate) struct Program {
    command: Command,
    input: Option<Vec<u8>>,
    said: String,
}

impl Program {
    /// In the repository that the current folder and the environment name.
    pub(crate) fn here<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        Self::of(Command::new("git"), arguments)
    }

    /// In the repository `folder` with its work tree, and with nobody's configuration.
    pub(crate) fn apart<S: AsRef<OsStr>>(folder: &Path, work_tree: &Path, arguments: &[S]) -> Self {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            let is_inherited = name.to_string_lossy().starts_with(INHERITED);
            if is_inherited && name != KEPT {
                command.env_remove(name);
            }
        }
        command.env("GIT_DIR", folder).env("GIT_WORK_TREE", work_tree);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_ATTR_NOSYSTEM", "1");
        command.current_dir(work_tree);
        Self::of(command, arguments)
    }

    fn of<S: AsRef<OsStr>>(mut command: Command, arguments: &[S]) -> Self {
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        let said = format!("git {}", words.join(" "));
        Self { command, input: None, said }
    }

    /// With this on its standard input.
    pub(crate) fn with_input(mut self, input: Vec<u8>) -> Self {
        self.command.stdin(Stdio::piped());
        self.input = Some(input);
        self
    }

    /// In this folder.
    pub(crate) fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end, however it ends.
    pub(crate) fn finish(mut self) -> Outcome<Output> {
        let missing = "running git (is it installed, and on the PATH?)";
        let mut child = self.command.spawn().or_usage(missing)?;
        let (input, pipe) = (self.input.take(), child.stdin.take());
        std::thread::scope(|scope| {
            if let (Some(input), Some(mut pipe)) = (input, pipe) {
                // A git that ends without reading says itself why.
                scope.spawn(move || drop(pipe.write_all(&input)));
            }
            child.wait_with_output().or_usage(missing)
        })
    }

    /// What it prints.
    ///
    /// # Errors
    /// When it fails: what it said, and its command line.
    pub(crate) fn output(self) -> Outcome<Vec<u8>> {
        let said = self.said.clone();
        let done = self.finish()?;
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr);
            return Err(usage!("{said} failed: {}", why.trim().trim_start_matches("fatal: ")));
        }
        Ok(done.stdout)
    }

    /// The one line that it prints; `None` if it fails, as `git config --get` does where there is nothing.
    pub(crate) fn line(self) -> Outcome<Option<String>> {
        let done = self.finish()?;
        let line = String::from_utf8_lossy(&done.stdout).trim_end_matches(['\n', '\r']).to_owned();
        Ok(done.status.success().then_some(line))
    }
}

/// Settings by their names in small letters, as `git config` knows them here, every value of each in order.
pub(crate) fn settings(names: &[&str]) -> Outcome<BTreeMap<String, Vec<String>>> {
    let pattern = names.iter().map(|name| name.replace('.', "\\.")).collect::<Vec<_>>().join("|");
    let done = Program::here(&["config", "-z", "--get-regexp", &format!("^({pattern})$")]).finish()?;
    let said = String::from_utf8_lossy(&done.stdout);
    let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in said.split('\0').filter_map(|entry| entry.split_once('\n')) {
        settings.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    Ok(settings)
}

/// A path that Git knows by this name (`hooks`, `info/attributes`), from the root of the file system.
pub(crate) fn path_of(name: &str) -> Outcome<PathBuf> {
    let line = Program::here(&["rev-parse", "--git-path", name]).line()?;
    let path = line.ok_or_else(|| refuse!("this folder is in no Git repository"))?;
    std::path::absolute(path).or_usage("finding the current folder")
}

/// The root of the work tree; `None` in a bare repository.
pub(crate) fn work_tree() -> Outcome<Option<PathBuf>> {
    let inside = Program::here(&["rev-parse", "--is-bare-repository"]).line()?;
    if inside.is_none() {
        return Err(usage!("this folder is in no Git repository"));
    }
    Ok(Program::here(&["rev-parse", "--show-toplevel"]).line()?.filter(|line| !line.is_empty()).map(PathBuf::from))
}
