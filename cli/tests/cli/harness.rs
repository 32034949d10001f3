//! Runs the real binary in a folder of its own, with nothing of the user's configuration.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder to work in.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    /// Environment variables beside the few that every program needs.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// What a run came to.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// The run, which must have ended with this exit code.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The run, whose standard error must contain `text`.
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "expected {text:?} in\n{}", self.err);
        self
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// A bench with a key pair of each native kind: `cluster.key`, `cluster.pub`, `small.key`, `small.pub`.
    pub(crate) fn with_keys() -> Self {
        let bench = Self::new();
        for (name, kind) in [("cluster", "hybrid"), ("small", "x25519")] {
            let key = format!("{name}.key");
            let public = bench.run(&["keys", "generate", "--type", kind, "-o", &key]).exits(0).out;
            bench.write(&format!("{name}.pub"), &public);
        }
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.pipe(arguments, "")
    }

    pub(crate) fn pipe(&self, arguments: &[&str], stdin: &str) -> Run {
        self.pipe_as("bulla", arguments, stdin)
    }

    /// Runs under another name, as a kubectl plugin is.
    pub(crate) fn pipe_as(&self, name: &str, arguments: &[&str], stdin: &str) -> Run {
        use std::os::unix::process::CommandExt as _;
        let mut child = Command::new(env!("CARGO_BIN_EXE_bulla"))
            .arg0(name)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that refuses early does not read its input: that is its right.
        drop(child.stdin.take().unwrap().write_all(stdin.as_bytes()));
        let done = child.wait_with_output().unwrap();
        Run {
            code: done.status.code().unwrap_or(-1),
            out: String::from_utf8(done.stdout).unwrap(),
            err: String::from_utf8(done.stderr).unwrap(),
        }
    }
}

/// A plain Secret with two values.
pub(crate) const SECRET: &str = "apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
  labels: {team: payments}
type: Opaque
stringData:
  username: app
  password: canary-hunter2
";
