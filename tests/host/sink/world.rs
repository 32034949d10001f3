//! A run folder on a tmpfs, a root and a state folder on a disk, in a mount namespace that ends with the test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use bulla::host::desired::{Content, File, Keep, Place, Role};
use bulla::host::sink::{Aspect, Flipped, Policy, Probe, Settings, Settled, Sink, Staged, Storage, What};
use bulla::secret::Plaintext;

/// Says to a test that it is inside, and where.
const INSIDE: &str = "BULLA_TEST_SINK";

/// Users that every Debian, RHEL and Alpine has.
pub(super) const DAEMON: &str = "daemon";
pub(super) const NOBODY: u32 = 65534;

pub(super) struct World {
    pub(super) base: PathBuf,
    pub(super) probe: Probe,
    pub(super) policy: Policy,
    pub(super) storage: Storage,
}

/// Runs `body` in a mount namespace of its own, in a process of its own: the test `name` is started again inside.
pub(super) fn inside(name: &str, body: impl FnOnce(&World)) {
    inside_of_size("16m", name, body);
}

pub(super) fn inside_of_size(size: &str, name: &str, body: impl FnOnce(&World)) {
    let name = format!("sink::{name}");
    if let Some(base) = std::env::var_os(INSIDE) {
        return body(&World::at(base.into()));
    }
    assert!(rustix::process::geteuid().is_root(), "this test needs root, for mounts and owners: run it with `sudo`");
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    for folder in ["run", "root", "root/etc"] {
        fs::create_dir(base.path().join(folder)).unwrap();
    }
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = "mount -t tmpfs -o size=$2,mode=0751 tmpfs \"$1\" && shift 2 && exec \"$@\"";
    let done = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(&run)
        .arg(size)
        .arg(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, base.path())
        .output()
        .unwrap();
    let output = format!("{}\n{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && output.contains("1 passed"), "{name} inside of its namespace: {output}");
}

impl World {
    pub(super) fn at(base: PathBuf) -> Self {
        Self { base, probe: Probe::default(), policy: Policy::default(), storage: Storage::Memory }
    }

    pub(super) fn run(&self) -> PathBuf {
        self.base.join("run")
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            run: self.run(),
            root: self.base.join("root"),
            state: self.base.join("state"),
            keep: 3,
            storage: self.storage,
            policy: self.policy.clone(),
            probe: self.probe,
        }
    }

    pub(super) fn open(&self) -> Sink {
        self.reopen().0
    }

    pub(super) fn reopen(&self) -> (Sink, Settled) {
        Sink::open(self.settings()).unwrap()
    }

    /// A declared path on this machine.
    pub(super) fn path(&self, declared: &str) -> PathBuf {
        self.base.join("root").join(declared.trim_start_matches('/'))
    }

    /// Puts a file there, as somebody else would.
    pub(super) fn put(&self, declared: &str, bytes: &str) {
        let path = self.path(declared);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(super) fn read(&self, declared: &str) -> String {
        fs::read_to_string(self.path(declared)).unwrap()
    }

    /// Everything below the root: folders end with a slash.
    pub(super) fn tree(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.base.join("root"), Path::new("/"), &mut found);
        found.sort();
        found
    }

    /// What the tmpfs loses at a boot.
    pub(super) fn boot(&self) {
        for entry in fs::read_dir(self.run()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Owner, group and mode of what a path leads to.
    pub(super) fn rights(&self, declared: &str) -> (u32, u32, u32) {
        let stat = fs::metadata(self.path(declared)).unwrap();
        (stat.uid(), stat.gid(), stat.mode() & 0o7777)
    }

    pub(super) fn is_link(&self, declared: &str) -> bool {
        fs::symlink_metadata(self.path(declared)).unwrap().is_symlink()
    }
}

fn list(folder: &Path, as_declared: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let declared = as_declared.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            found.push(format!("{}/", declared.display()));
            list(&entry.path(), &declared, found);
        } else {
            found.push(declared.display().to_string());
        }
    }
}

/// A file placed as a link, of the agent's user, mode 0400.
pub(super) fn link(path: &str, bytes: &str) -> File {
    File {
        path: path.into(),
        owner: None,
        group: None,
        mode: 0o400,
        place: Place::Link,
        role: Role::File,
        content: Content::Bytes(Plaintext::copy_of(bytes.as_bytes())),
        secrets: vec!["test/secret".to_owned()],
    }
}

pub(super) fn copy(path: &str, bytes: &str) -> File {
    File { place: Place::Copy, ..link(path, bytes) }
}

pub(super) fn of(file: File, owner: &str, mode: u32) -> File {
    File { owner: Some(owner.to_owned()), mode, ..file }
}

pub(super) fn last_good(file: File) -> File {
    File { content: Content::LastGood, ..file }
}

pub(super) fn stage(sink: &Sink, files: Vec<File>) -> Staged {
    sink.stage(files, &Keep::default(), "commit").unwrap()
}

/// Stages and flips; nothing may be wrong.
pub(super) fn apply(sink: &mut Sink, files: Vec<File>) -> Flipped {
    let (flipped, problems) = try_apply(sink, files);
    assert_eq!(problems, [""; 0]);
    flipped
}

/// Stages and flips; what was wrong.
pub(super) fn try_apply(sink: &mut Sink, files: Vec<File>) -> (Flipped, Vec<String>) {
    let staged = stage(sink, files);
    let mut problems: Vec<String> = staged.problems().iter().map(ToString::to_string).collect();
    let flipped = sink.flip(staged).unwrap();
    problems.extend(flipped.settled.problems.iter().map(ToString::to_string));
    (flipped, problems)
}

/// Changes as text, for comparing: `path added`.
pub(super) fn told(flipped: &Flipped) -> BTreeMap<String, String> {
    let told = flipped.changes.iter().map(|change| {
        let what = match &change.what {
            What::Added => "added".to_owned(),
            What::Removed => "removed".to_owned(),
            What::Changed(aspects) => aspects.iter().copied().map(word).collect::<Vec<_>>().join(" "),
        };
        (change.path.display().to_string(), what)
    });
    told.collect()
}

fn word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Bytes => "bytes",
        Aspect::Owner => "owner",
        Aspect::Group => "group",
        Aspect::Mode => "mode",
        Aspect::Place => "place",
        Aspect::Role => "role",
    }
}

pub(super) fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(path, what)| (path.to_owned(), what.to_owned())).collect()
}
