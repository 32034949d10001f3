//! A repository of the real git, with the binary on its PATH, and sealed values to put into it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bulla::seal::{Binding, Identity, Place, Recipient, Scope};
use bulla::secret::Plaintext;

use crate::harness::{Bench, Run};

/// A work tree, and one user's configuration of Git.
pub(crate) struct Checkout {
    pub(crate) bench: Bench,
    /// The folder in which git runs.
    pub(crate) folder: PathBuf,
    variables: Vec<(String, String)>,
}

impl Checkout {
    /// An empty repository in which Bulla is not installed.
    pub(crate) fn plain() -> Self {
        let bench = Bench::new();
        for folder in ["bin", "work"] {
            std::fs::create_dir(bench.path(folder)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bulla"), bench.path("bin/bulla")).unwrap();
        let config = "[user]\n\tname = Test\n\temail = test@example.com\n[init]\n\tdefaultBranch = main\n[advice]\n\tmergeConflict = false\n";
        bench.write(".gitconfig", config);
        let checkout = Self { folder: bench.path("work"), bench, variables: Vec::new() };
        checkout.git(&["init", "-q"]).exits(0);
        checkout
    }

    /// One in which `bulla git install` was run.
    pub(crate) fn installed() -> Self {
        let checkout = Self::plain();
        checkout.bulla(&["git", "install"]).exits(0);
        checkout.git(&["add", ".gitattributes"]).exits(0);
        checkout.git(&["commit", "-qm", "attributes", "--no-verify"]).exits(0);
        checkout
    }

    /// The same user in another folder.
    pub(crate) fn within(&self, folder: PathBuf) -> Elsewhere<'_> {
        Elsewhere { checkout: self, folder }
    }

    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let path = format!("{}:{}", self.bench.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command.env_clear().env("PATH", path).env("HOME", self.bench.path("")).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("XDG_STATE_HOME", self.bench.path("state")).env("GIT_TERMINAL_PROMPT", "0");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> Run {
        run(self.command("git").args(arguments))
    }

    pub(crate) fn bulla(&self, arguments: &[&str]) -> Run {
        run(self.command("bulla").args(arguments))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        put(&self.path(name), text.as_bytes());
    }

    /// Writes a file and commits it.
    pub(crate) fn commit(&self, name: &str, text: &str) {
        self.write(name, text);
        self.git(&["add", "-A"]).exits(0);
        self.git(&["commit", "-qm", name, "--no-verify", "--allow-empty"]).exits(0);
    }

    /// A branch off `from` on which a file has this text; ends on the branch.
    pub(crate) fn branch(&self, branch: &str, from: &str, name: &str, text: &str) {
        self.git(&["checkout", "-q", "-b", branch, from]).exits(0);
        self.commit(name, text);
    }
}

/// A user's other folder.
pub(crate) struct Elsewhere<'a> {
    checkout: &'a Checkout,
    pub(crate) folder: PathBuf,
}

impl Elsewhere<'_> {
    pub(crate) fn git(&self, arguments: &[&str]) -> Run {
        run(self.checkout.command("git").current_dir(&self.folder).args(arguments))
    }

    pub(crate) fn bulla(&self, arguments: &[&str]) -> Run {
        run(self.checkout.command("bulla").current_dir(&self.folder).args(arguments))
    }
}

/// Writes a file.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    std::fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

pub(crate) fn run(command: &mut Command) -> Run {
    let done = command.output().unwrap();
    Run {
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Somebody to seal to.
pub(crate) struct Key {
    pub(crate) identity: Identity,
    /// The identity as a file holds it.
    pub(crate) text: String,
}

impl Key {
    /// A small key: values are short and quickly made.
    pub(crate) fn new() -> Self {
        let identity = Identity::generate_x25519().unwrap();
        let text = identity.to_text().unwrap().to_string();
        Self { identity, text }
    }

    pub(crate) fn recipient(&self) -> Recipient {
        self.identity.recipient().clone()
    }

    /// A value for a key of `prod/db`, strict, sealed on this day.
    pub(crate) fn seal(&self, key: &str, value: &str, day: &str) -> String {
        self.seal_for(Scope::Strict, "prod/db", key, value, day)
    }

    pub(crate) fn seal_for(&self, scope: Scope, object: &str, key: &str, value: &str, day: &str) -> String {
        let (namespace, name) = object.split_once('/').unwrap();
        let binding = Binding::new(scope, Place { namespace, name, key }, day.parse().unwrap());
        bulla::seal::seal(&[self.recipient()], &Plaintext::copy_of(value.as_bytes()), &binding).unwrap()
    }
}

/// A SealedSecret of these lines under `encryptedData`.
pub(crate) fn manifest(object: &str, lines: &str) -> String {
    let (namespace, name) = object.split_once('/').unwrap();
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "# of the payments team\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {name}\n  \
         namespace: {namespace}\nspec:\n  encryptedData:\n{lines}  template:\n    type: Opaque\n"
    )
}
