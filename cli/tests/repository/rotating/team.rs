//! A team's repository with sealed values, and Git as the team uses it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Bench, Run};

/// What must never be seen.
pub(crate) const CANARY: &str = "canary-hunter2";

/// `repo/` in a bench, with `old.key`, `recovery.key` and their public halves beside it.
pub(crate) struct Team {
    pub(crate) bench: Bench,
}

impl Team {
    /// A repository with this many files of two values each, sealed to the old key and to the recovery key.
    pub(crate) fn new(files: usize) -> Self {
        let team = Self::empty();
        team.rules(&["old", "recovery"]);
        for number in 0..files {
            team.seal(&format!("clusters/prod/app-{number}.yaml"), &format!("app-{number}"));
        }
        team.commit("Seal");
        team
    }

    /// An empty repository, and keys.
    pub(crate) fn empty() -> Self {
        Self::empty_with("x25519")
    }

    /// The same with keys of a kind.
    pub(crate) fn empty_with(kind: &str) -> Self {
        let bench = Bench::new();
        bench.write(
            ".gitconfig",
            "[user]\n\tname = Robin\n\temail = robin@example.com\n[init]\n\tdefaultBranch = main\n",
        );
        for name in ["old", "recovery"] {
            let file = format!("{name}.key");
            let public = bench.run(&["keys", "generate", "--type", kind, "-o", &file]).exits(0).out;
            bench.write(&format!("{name}.pub"), &public);
        }
        let team = Self { bench };
        team.git_in("", &["init", "--quiet", "repo"]);
        team
    }

    /// The same again, elsewhere.
    pub(crate) fn copy(&self) -> Self {
        let bench = Bench::new();
        let from = format!("{}/.", self.bench.path("").display());
        assert!(Command::new("cp").arg("-a").arg(from).arg(bench.path("")).status().unwrap().success());
        Self { bench }
    }

    pub(crate) fn public(&self, name: &str) -> String {
        self.bench.read(&format!("{name}.pub")).trim().to_owned()
    }

    /// The public half of the key that a run made.
    pub(crate) fn public_of_new(&self) -> String {
        let text = self.bench.read("new.key");
        text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
    }

    /// `.bulla.yaml` with comments, and these keys.
    pub(crate) fn rules(&self, keys: &[&str]) {
        let mut text =
            "# who opens what\nversion: 1\nrules:\n- path: \"clusters/prod/**\"   # production\n  recipients:\n"
                .to_owned();
        keys.iter().for_each(|key| text.push_str(&format!("  - {}   # {key}\n", self.public(key))));
        self.write(".bulla.yaml", &text);
    }

    /// Seals two values into a file of the repository, between comments.
    pub(crate) fn seal(&self, file: &str, name: &str) {
        self.seal_in("prod", file, name);
    }

    /// The same for a namespace.
    pub(crate) fn seal_in(&self, namespace: &str, file: &str, name: &str) {
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\nstringData:\n  user: app\n  password: {CANARY}\n"
        );
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        self.bench.pipe(&["seal", "-o", &format!("repo/{file}")], &secret).exits(0);
        let text = self.read(file);
        self.write(file, &format!("# {name}, ours\n{text}# the end\n"));
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.bench.path(&format!("repo/{file}"))
    }

    pub(crate) fn read(&self, file: &str) -> String {
        self.bench.read(&format!("repo/{file}"))
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        self.bench.write(&format!("repo/{file}"), text);
    }

    /// Runs git in the repository; it must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_in("repo", arguments)
    }

    pub(crate) fn git_in(&self, folder: &str, arguments: &[&str]) -> String {
        let done = self.try_git(folder, arguments);
        let err = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "git {arguments:?}: {err}");
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) fn try_git(&self, folder: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.bench.path(folder));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.bench.path(""));
        command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap()
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
    }

    /// A hook of the repository.
    pub(crate) fn hook(&self, name: &str, script: &str) -> PathBuf {
        self.script(&format!("repo/.git/hooks/{name}"), script)
    }

    /// A program in the bench.
    pub(crate) fn script(&self, path: &str, script: &str) -> PathBuf {
        self.bench.write(path, &format!("#!/bin/sh\n{script}\n"));
        let path = self.bench.path(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Runs `bulla rotate` over the repository. Nothing secret may be in what it prints.
    pub(crate) fn rotate(&self, arguments: &[&str]) -> Run {
        self.rotate_at("repo", arguments)
    }

    pub(crate) fn rotate_at(&self, path: &str, arguments: &[&str]) -> Run {
        let run = self.bench.run(&[&["rotate", path], arguments].concat());
        for text in [&run.out, &run.err] {
            assert!(!text.contains(CANARY) && !text.contains("AGE-SECRET-KEY") && !text.contains('\u{1b}'), "{text}");
        }
        run
    }

    /// The whole run without a cluster.
    pub(crate) fn begin(&self, more: &[&str]) -> Run {
        self.rotate(&[&["--yes", "--identity", "old.key", "--new-identity", "new.key"], more].concat())
    }

    /// The same with a report.
    pub(crate) fn begin_json(&self, more: &[&str]) -> Value {
        let run = self.begin(&[&["--output", "json"], more].concat());
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}{}", run.out, run.err))
    }

    /// Opens a value of a file with a key.
    pub(crate) fn opens(&self, file: &str, key: &str) -> bool {
        let run = self.bench.run(&[
            "open",
            &format!("repo/{file}"),
            "--identity",
            &format!("{key}.key"),
            "--key",
            "password",
        ]);
        assert!(run.code != 0 || run.out == CANARY, "{}", run.out);
        run.code == 0
    }

    /// The ids of the keys that values of a file are sealed to.
    pub(crate) fn keys_of(&self, file: &str) -> Vec<String> {
        let run = self.bench.run(&["inspect", &format!("repo/{file}"), "--output", "json"]).exits(0);
        let found: Value = serde_json::from_str(&run.out).unwrap();
        let values = found[0]["values"].as_array().unwrap().iter();
        let mut ids: Vec<String> = values
            .flat_map(|value| value["keyIds"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()))
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    pub(crate) fn id_of(&self, key: &str) -> String {
        let text = self.bench.read(&format!("{key}.key"));
        let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
        let rules = format!("version: 1\nrules:\n- path: '**'\n  recipients: [{public}]\n");
        self.bench.write("ids/.bulla.yaml", &rules);
        let run = self.bench.run(&["keys", "show", "--for", "ids/x", "--output", "json"]).exits(0);
        serde_json::from_str::<Value>(&run.out).unwrap()[0]["id"].as_str().unwrap().to_owned()
    }

    /// Where a run keeps what it knows.
    pub(crate) fn state(&self) -> PathBuf {
        self.path(".git/bulla/rotate.json")
    }

    /// Every byte of the bench but for what only says when something was looked at.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        read_all(&self.bench.path(""), &mut all);
        all
    }

    /// The run's result, whatever happened on the way: one commit on a branch of its own, everything sealed to the new
    /// key, and nothing left over.
    pub(crate) fn assert_rotated(&self, files: usize) {
        assert_eq!(self.git(&["status", "--porcelain"]), "");
        let branch = self.git(&["branch", "--show-current"]);
        assert!(branch.starts_with("bulla/rotate-"), "{branch}");
        assert_eq!(self.git(&["rev-list", "--count", "main..HEAD"]), "1");
        assert_eq!(self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]), format!("{branch}\nmain"));
        let changed = self.git(&["diff", "--name-only", "main", "HEAD"]);
        assert_eq!(changed.lines().count(), files + 1, "{changed}");
        let (old, new) = (self.id_of("old"), self.id_of("new"));
        for number in 0..files {
            let file = format!("clusters/prod/app-{number}.yaml");
            let keys = self.keys_of(&file);
            assert!(keys.contains(&new) && !keys.contains(&old) && keys.len() == 2, "{file}: {keys:?}");
        }
        let numbers = self.git(&["diff", "--numstat", "main", "HEAD"]);
        assert!(
            numbers.lines().all(|line| line.starts_with("2\t2\t") || line.starts_with("1\t1\t.bulla.yaml")),
            "{numbers}"
        );
        assert!(self.opens("clusters/prod/app-0.yaml", "new") && self.opens("clusters/prod/app-0.yaml", "recovery"));
        assert!(!self.opens("clusters/prod/app-0.yaml", "old"));
        let is_left_over = |path: &Path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(".bulla-") || name.ends_with(".part") || name == "message" || name == "paths"
        };
        let left: Vec<PathBuf> = self.snapshot().into_keys().filter(|path| is_left_over(path)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn read_all(folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            all.insert(path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            all.insert(path.clone(), Vec::new());
            read_all(&path, all);
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}
