//! `bulla edit`: with real editors, and ended in every way there is.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::harness::{Bench, Run};

const BINARY: &str = env!("CARGO_BIN_EXE_bulla");

/// A file with three values, one of them the canary, and an editor.
struct Desk {
    bench: Bench,
    canary: String,
}

impl Desk {
    /// The editor is a script; `$1` is the file, `$canary` the value, `$desk` the folder of the test.
    fn new(script: &str) -> Self {
        let mut bench = Bench::with_keys();
        // No two tests look for the same.
        let canary =
            format!("canary{}", bench.path("").display().to_string().replace(|c: char| !c.is_ascii_alphanumeric(), ""));
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: db, namespace: prod}}\nstringData:\n  user: app\n  password: {canary}\n  tls.key: |\n    one {canary}\n    two\n"
        );
        bench.pipe(&["seal", "--to", "cluster.pub", "-o", "db.yaml"], &secret).exits(0);
        let text = bench.read("db.yaml").replace("    user:", "    # who\r\n    user:");
        bench.write("db.yaml", &format!("# payments: ask the team\n{text}\n---\n# the end\n"));
        fs::create_dir(bench.path("tmp")).unwrap();
        bench.variables.push(("TMPDIR", bench.path("tmp").display().to_string()));
        bench.variables.push(("canary", canary.clone()));
        bench.variables.push(("desk", bench.path("").display().to_string()));
        bench.variables.push(("bulla", BINARY.to_owned()));
        let mut desk = Self { bench, canary };
        desk.editor(script);
        desk
    }

    fn editor(&mut self, script: &str) {
        self.bench.write("editor", &format!("#!/bin/sh\nset -e\n{script}\n"));
        fs::set_permissions(self.bench.path("editor"), fs::Permissions::from_mode(0o700)).unwrap();
        let editor = self.bench.path("editor").display().to_string();
        self.say("EDITOR", editor);
    }

    fn say(&mut self, name: &'static str, value: String) {
        self.bench.variables.retain(|(other, _)| *other != name);
        self.bench.variables.push((name, value));
    }

    fn edit(&self, more: &[&str], stdin: &str) -> Run {
        let run = self.bench.pipe(&[&["edit", "db.yaml", "-i", "cluster.key"], more].concat(), stdin);
        assert!(!run.err.contains(&self.canary) && !run.out.contains(&self.canary), "{}\n{}", run.out, run.err);
        run
    }

    fn value(&self, key: &str) -> String {
        self.bench.run(&["open", "db.yaml", "-i", "cluster.key", "--key", key]).exits(0).out
    }

    fn file(&self) -> String {
        self.bench.read("db.yaml")
    }

    /// Starts an edit and waits until the editor has made the file `open`.
    fn open(&self) -> Child {
        let child = Command::new(BINARY)
            .args(["edit", "db.yaml", "-i", "cluster.key"])
            .current_dir(self.bench.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.bench.path(""))
            .envs(self.bench.variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        eventually("the editor is open", || self.bench.path("open").exists());
        child
    }

    /// Where the canary is, on every disk and in every memory that could have it.
    fn traces(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for root in [self.bench.path(""), PathBuf::from("/dev/shm"), PathBuf::from("/var/tmp")] {
            search(&root, &self.canary, &mut found);
        }
        found
    }

    /// Asserts that nothing is left, also of the folder; what ends may take a moment.
    fn is_clean(&self) {
        eventually("every trace is gone", || self.traces().is_empty());
        let folder = self.bench.path("folder");
        if folder.exists() {
            let folder = self.bench.read("folder");
            eventually("the folder is gone", || !Path::new(folder.trim()).exists());
        }
    }
}

fn search(folder: &Path, word: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => search(&path, word, found),
            Ok(kind) if kind.is_file() => {
                let mut bytes = Vec::new();
                drop(fs::File::open(&path).map(|mut file| file.read_to_end(&mut bytes)));
                if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
                    found.push(path);
                }
            }
            _ => {}
        }
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(15), "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lines_that_differ(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let missing = |from: &str, to: &str| {
        from.split('\n').filter(|line| !to.split('\n').any(|other| other == *line)).map(str::to_owned).collect()
    };
    (missing(before, after), missing(after, before))
}

#[test]
fn only_what_changed_is_sealed_again_and_every_other_byte_stays() {
    let desk = Desk::new("sed -i \"s/^password: .*/password: 'it''s # new'/\" \"$1\"");
    let before = desk.file();
    desk.edit(&[], "").exits(0).says("db.yaml: password changed; sealed to post-quantum key");
    let (removed, added) = lines_that_differ(&before, &desk.file());
    assert!(matches!(removed.as_slice(), [one] if one.starts_with("    password: ")), "{removed:?}");
    assert!(matches!(added.as_slice(), [one] if one.starts_with("    password: ")), "{added:?}");
    assert_eq!(desk.value("password"), "it's # new");
    assert_eq!(desk.value("tls.key"), format!("one {}\ntwo\n", desk.canary));
    desk.is_clean();
}

#[test]
fn an_edit_that_changes_nothing_touches_nothing() {
    for script in
        [":", "touch \"$1\"", "sed -i 's/^user: app/user: \"app\"  # the same/' \"$1\"", "sed -i '/^#/d' \"$1\""]
    {
        let desk = Desk::new(script);
        let path = desk.bench.path("db.yaml");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let (before, inode) = (desk.file(), fs::metadata(&path).unwrap().ino());
        desk.edit(&[], "").exits(0).says("db.yaml is unchanged");
        let after = fs::metadata(&path).unwrap();
        assert_eq!((desk.file(), after.modified().unwrap(), after.ino()), (before, long_ago, inode), "{script}");
    }
}

#[test]
fn keys_are_added_and_removed_and_bytes_stay_bytes() {
    let mut desk = Desk::new("printf 'bin: !!binary AAH/\\nport: 5432\\n' >> \"$1\"; sed -i '/^user:/d' \"$1\"");
    let before = desk.file();
    let run = desk.edit(&["--output", "json"], "").exits(0).says("user taken out");
    let told: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (&told["added"], &told["removed"], &told["kept"]),
        (&serde_json::json!(["bin", "port"]), &serde_json::json!(["user"]), &2.into())
    );
    assert_eq!(desk.value("port"), "5432");
    let secret = desk.bench.run(&["open", "db.yaml", "-i", "cluster.key"]).exits(0).out;
    assert!(secret.contains("bin: AAH/") || secret.contains("bin: \"AAH/\""), "{secret}");
    let (removed, _) = lines_that_differ(&before, &desk.file());
    assert!(removed.iter().all(|line| line.contains("user:") || line.contains("# who")), "{removed:?}");

    let kept = desk.file();
    desk.editor("grep -q '^bin: !!binary \"AAH/\"$' \"$1\"; sed -i 's/5432/5433/' \"$1\"");
    desk.edit(&[], "").exits(0).says("port changed");
    assert_eq!(desk.value("port"), "5433");
    assert_eq!(lines_that_differ(&kept, &desk.file()).0.len(), 1, "the bytes keep their ciphertext");
}

#[test]
fn new_values_are_sealed_to_whom_the_rules_name_else_to_whom_the_old_ones_are_sealed() {
    let desk = Desk::new("sed -i 's/^user: .*/user: other/' \"$1\"; echo 'more: x' >> \"$1\"");
    desk.edit(&[], "").exits(0);
    let inspected = desk.bench.run(&["inspect", "db.yaml"]).exits(0).out;
    let ids: std::collections::BTreeSet<&str> = inspected.split(" to ").skip(1).map(|rest| &rest[..16]).collect();
    assert_eq!(ids.len(), 1, "{inspected}");

    let recipients = format!("recipientFiles: [{}]", desk.bench.path("small.pub").display());
    desk.bench.write(".bulla.yaml", &format!("version: 1\nrules:\n- path: '*.yaml'\n  {recipients}\n"));
    let before = desk.file();
    let mut desk = desk;
    desk.editor("sed -i 's/^user: .*/user: third/' \"$1\"");
    desk.edit(&[], "").exits(0).says("sealed to X25519 key");
    assert_eq!(lines_that_differ(&before, &desk.file()).0.len(), 1);
    assert_eq!(
        desk.bench.run(&["open", "db.yaml", "-i", "small.key", "-i", "cluster.key", "--key", "user"]).exits(0).out,
        "third"
    );
    // Now one value does not open with the old key alone: it is said, it stays, and the others can be edited.
    desk.editor("grep -q '^# user does not open here' \"$1\"; sed -i 's/^more: x/more: y/' \"$1\"");
    let before = desk.file();
    desk.edit(&[], "").exits(0).says("more changed");
    assert_eq!(lines_that_differ(&before, &desk.file()).0.len(), 1);
}

#[test]
fn a_wrong_key_a_failed_editor_and_an_empty_text_change_nothing() {
    let mut desk = Desk::new("sed -i 's/app/other/' \"$1\"; exit 3");
    let before = desk.file();
    desk.edit(&[], "").exits(1).says("ended with exit status: 3: nothing is changed");
    desk.bench.run(&["edit", "db.yaml", "-i", "small.key"]).exits(1).says("no value of db.yaml opens");
    desk.editor(": > \"$1\"");
    desk.edit(&["--no-retry"], "").exits(1).says("no value is left");
    desk.editor("rm \"$1\"");
    desk.edit(&[], "").exits(2);
    desk.say("EDITOR", "no-such-editor".to_owned());
    desk.edit(&[], "").exits(2).says("no-such-editor");
    assert_eq!(desk.file(), before);
    desk.is_clean();
}

#[test]
fn a_mistake_is_named_by_its_line_and_asked_about_and_the_work_is_there_again() {
    let script = "
if [ -e $desk/second ]; then grep -q \"^user: mine\" \"$1\"; sed -i \"s/^password: .*/password: right/\" \"$1\"; exit; fi
touch $desk/second; sed -i \"s/^user: .*/user: mine/; s/^password: .*/password: wrong: $canary/\" \"$1\"";
    let desk = Desk::new(script);
    let before = desk.file();
    desk.edit(&["--no-retry"], "y\n").exits(1).says("line 5");
    fs::remove_file(desk.bench.path("second")).unwrap();
    desk.edit(&[], "n\n").exits(1).says("Edit again?");
    fs::remove_file(desk.bench.path("second")).unwrap();
    // Nobody answers.
    desk.edit(&[], "").exits(1).says("nothing is changed");
    assert_eq!(desk.file(), before);
    fs::remove_file(desk.bench.path("second")).unwrap();
    desk.edit(&[], "y\n").exits(0).says("line 5").says("changed");
    assert_eq!((desk.value("user").as_str(), desk.value("password").as_str()), ("mine", "right"));
    desk.is_clean();
}

#[test]
fn what_somebody_else_changed_meanwhile_is_kept_and_never_overwritten() {
    let set = |key: &str| format!("printf theirs | $bulla set $desk/db.yaml {key} --to $desk/cluster.pub");
    // Another value: both changes are kept.
    let mut desk = Desk::new(&format!("{}; sed -i 's/^user: .*/user: mine/' \"$1\"", set("password")));
    desk.edit(&[], "").exits(0).says("somebody else changed in it meanwhile is kept");
    assert_eq!((desk.value("user").as_str(), desk.value("password").as_str()), ("mine", "theirs"));

    // The same value, and nobody answers: theirs stays, mine is kept, sealed.
    desk.editor(&format!("{}; sed -i 's/^user: .*/user: my version/' \"$1\"", set("user")));
    desk.edit(&[], "").exits(1).says("user too").says("db.yaml.edited");
    assert_eq!(desk.value("user"), "theirs");
    let mine = desk.bench.run(&["open", "db.yaml.edited", "-i", "cluster.key", "--key", "user"]).exits(0).out;
    assert_eq!(mine, "my version");
    fs::remove_file(desk.bench.path("db.yaml.edited")).unwrap();

    // The same value, edited again on top of theirs.
    let script = format!(
        "if [ -e $desk/second ]; then grep -q '^# Changed by somebody else too.*user' \"$1\"; grep -q \"^user: 'my version'\" \"$1\"; exit; fi
touch $desk/second; printf '# gone elsewhere\\n' >> $desk/db.yaml; {}; sed -i 's/^user: .*/user: my version/' \"$1\"",
        set("user").replace("theirs", "again")
    );
    desk.editor(&script);
    desk.edit(&[], "y\n").exits(0).says("user changed");
    assert_eq!(desk.value("user"), "my version");
    assert!(desk.file().ends_with("# gone elsewhere\n"));

    // The file is gone.
    desk.editor("rm $desk/db.yaml; sed -i 's/^user: .*/user: last/' \"$1\"");
    desk.edit(&[], "").exits(1).says("is gone");
    assert!(!desk.bench.path("db.yaml").exists() && desk.bench.path("db.yaml.edited").exists());
    desk.is_clean();
}

#[test]
fn one_of_several_objects_is_chosen_and_a_new_one_needs_no_key() {
    let mut desk = Desk::new("echo 'token: abc' >> \"$1\"");
    let other = desk.file().replace("name: db", "name: other");
    desk.bench.write("two.yaml", &format!("{}---\n{other}", desk.file()));
    desk.bench.run(&["edit", "two.yaml", "-i", "cluster.key"]).exits(2).says("choose one with --name");
    desk.bench.run(&["edit", "two.yaml", "-i", "cluster.key", "--name", "db"]).exits(0).says("token added");

    let new = ["edit", "--new", "new.yaml", "--name", "api", "-n", "prod", "--to", "cluster.pub"];
    desk.bench.run(&new).exits(0).says("token added");
    let token = desk.bench.run(&["open", "new.yaml", "-i", "cluster.key", "--key", "token"]).exits(0).out;
    assert_eq!(token, "abc");
    desk.bench.run(&new).exits(1).says("is there already");
    desk.editor(":");
    let nothing = ["edit", "--new", "nothing.yaml", "--name", "api", "-n", "prod", "--to", "cluster.pub"];
    desk.bench.run(&nothing).exits(0).says("unchanged");
    assert!(!desk.bench.path("nothing.yaml").exists());
}

#[test]
fn plaintext_is_in_memory_and_for_its_owner_only() {
    let script = "stat -c '%a %U' \"$1\" $(dirname \"$1\") > $desk/modes; stat -f -c %T \"$1\" >> $desk/modes; echo $TMPDIR >> $desk/modes; dirname \"$1\" >> $desk/modes";
    let desk = Desk::new(script);
    desk.edit(&[], "").exits(0);
    let modes = desk.bench.read("modes");
    let lines: Vec<&str> = modes.lines().collect();
    assert!(lines[0].starts_with("600 ") && lines[1].starts_with("700 "), "{modes}");
    assert!(matches!(lines[2], "tmpfs" | "ramfs"), "{modes}");
    assert_eq!(lines[3], lines[4], "temporary files of the editor are there too");
    desk.is_clean();
}

/// An editor that leaves copies beside the file, says that it is open, and stays.
const STAYS: &str = "cp \"$1\" \"$1.swp\"; mkdir $(dirname \"$1\")/backup; cp \"$1\" $(dirname \"$1\")/backup/x; dirname \"$1\" > $desk/folder; echo $$ > $desk/pid; touch $desk/open; exec sleep 100";

fn has_ended(desk: &Desk) {
    let pid: i32 = desk.bench.read("pid").trim().parse().unwrap();
    // Whoever is nobody's child any more is read away by init, if there is one here.
    let is_dead = || {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    };
    eventually("the editor has ended", is_dead);
}

#[test]
fn killed_for_good_it_leaves_nothing_behind() {
    for whole_group in [false, true] {
        let desk = Desk::new(STAYS);
        let before = desk.file();
        let mut child = desk.open();
        assert_eq!(desk.traces().len(), 3, "what is looked for can be found");
        let pid = Pid::from_child(&child);
        if whole_group {
            kill_process_group(pid, Signal::KILL).unwrap()
        } else {
            kill_process(pid, Signal::KILL).unwrap()
        }
        child.wait().unwrap();
        desk.is_clean();
        has_ended(&desk);
        assert_eq!(desk.file(), before);
    }
}

#[test]
fn a_signal_ends_the_editor_and_leaves_nothing_behind() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let desk = Desk::new(STAYS);
        let before = desk.file();
        let mut child = desk.open();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(status.code() == Some(2) && said.contains("nothing is changed"), "{signal:?}: {status} {said}");
        assert!(desk.traces().is_empty(), "{signal:?}: at once, not later");
        has_ended(&desk);
        assert_eq!(desk.file(), before);
    }
}

#[test]
fn an_editor_that_does_not_listen_is_ended_too() {
    let desk = Desk::new(&format!("trap '' TERM HUP INT\n{STAYS}"));
    let mut child = desk.open();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(desk.traces().is_empty());
    has_ended(&desk);

    let desk = Desk::new(&format!("trap '' TERM HUP INT\n{STAYS}"));
    let mut child = desk.open();
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    has_ended(&desk);
    desk.is_clean();
}

#[test]
fn what_was_left_when_everything_was_killed_goes_with_the_next_edit() {
    let desk = Desk::new(":");
    let left = tempfile::Builder::new().prefix("bulla-edit-").tempdir_in("/dev/shm").unwrap().keep();
    fs::File::create(left.join("db.yaml")).unwrap().write_all(desk.canary.as_bytes()).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    fs::File::open(&left).unwrap().set_modified(long_ago).unwrap();
    // One that somebody still has open.
    let in_use = tempfile::Builder::new().prefix("bulla-edit-").tempdir_in("/dev/shm").unwrap();
    let owner = fs::File::open(in_use.path()).unwrap();
    rustix::fs::flock(&owner, rustix::fs::FlockOperation::LockExclusive).unwrap();
    owner.set_modified(long_ago).unwrap();
    desk.edit(&[], "").exits(0);
    assert!(!left.exists() && in_use.path().exists());
}

/// A configuration that keeps copies everywhere.
const VIMRC: &str = "set nocompatible backup writebackup swapfile updatecount=1 undofile
set backupdir=~/copies// directory=~/copies// undodir=~/copies//
set viminfo='100,<500,:100,n~/copies/viminfo
";

#[test]
fn vim_leaves_no_copies_though_its_configuration_asks_for_them() {
    let mut desk = Desk::new(":");
    desk.bench.write(".vimrc", VIMRC);
    desk.bench.write("copies/.here", "");
    let canary = desk.canary.clone();
    // What is typed: a change, a yank into what is remembered, a look from outside while the file is open, the end.
    let look = format!(
        "!find {0} /dev/shm -name '*.sw?' > {0}/seen; stat -f -c \\%T % >> {0}/seen; touch {0}/open; sleep 1",
        desk.bench.path("").display()
    );
    desk.bench.write("keys", &format!(":%s/: app/: typed {canary}/\rggVGy:w\r:{look}\r:%s/typed/again typed/\r:wq\r"));
    let vim = format!("vim --not-a-term -T dumb -s {}", desk.bench.path("keys").display());

    // It would: the same without `bulla`.
    desk.bench.write("plain", &format!("user: app\npassword: {canary}\n"));
    let status = Command::new("sh")
        .args(["-c", &format!("{vim} plain")])
        .current_dir(desk.bench.path(""))
        .env("HOME", desk.bench.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let mut copies = Vec::new();
    search(&desk.bench.path("copies"), &canary, &mut copies);
    assert!(copies.len() >= 2, "a backup and a history: {copies:?}");
    assert!(desk.bench.read("seen").contains(".swp"), "and a swap file: {}", desk.bench.read("seen"));
    for name in ["copies", "plain", "keys"] {
        let path = desk.bench.path(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else if name == "plain" {
            fs::remove_file(&path).unwrap()
        }
    }
    desk.bench.write("copies/.here", "");
    fs::remove_file(desk.bench.path("open")).unwrap();

    desk.say("EDITOR", vim);
    desk.say("VISUAL", String::new());
    let keys = desk.bench.path("keys");
    std::thread::scope(|scope| {
        let outside = scope.spawn(|| {
            eventually("vim is open", || desk.bench.path("open").exists());
            desk.traces()
        });
        let before = desk.file();
        // What vim draws is on the terminal, which is where the values are to be seen.
        desk.bench.run(&["edit", "db.yaml", "-i", "cluster.key"]).exits(0).says("user changed");
        let seen = outside.join().unwrap();
        assert!(seen.iter().all(|path| *path == keys), "while it was open: {seen:?}");
        assert_eq!(lines_that_differ(&before, &desk.file()).0.len(), 1);
    });
    assert_eq!(desk.value("user"), format!("again typed {canary}"));
    let seen = desk.bench.read("seen");
    assert!(!seen.contains(".sw") && seen.contains("ramfs"), "a file system of its own, and no swap file: {seen}");
    fs::remove_file(&keys).unwrap();
    assert!(desk.traces().is_empty(), "{:?}", desk.traces());
}

#[test]
fn vim_that_is_killed_with_everything_around_it_leaves_nothing_to_be_seen() {
    let mut desk = Desk::new(":");
    desk.say(
        "EDITOR",
        format!("vim --not-a-term -T dumb -c '!touch {}' -c 'sleep 100'", desk.bench.path("open").display()),
    );
    let mut child = desk.open();
    assert!(desk.traces().is_empty(), "nobody outside sees it");
    // The process that watches over it as well: nothing is left that could clean up.
    let keepers = children_of(child.id());
    kill_process_group(Pid::from_child(&child), Signal::STOP).unwrap();
    for pid in &keepers {
        kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL).unwrap_or_default();
    }
    kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    desk.is_clean();
}

fn children_of(pid: u32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn whoever_is_not_root_gets_storage_of_their_own_too() {
    let desk = Desk::new(":");
    let mut child = Command::new("unshare")
        .args(["--user", "--map-user", "1000", "--map-group", "1000", BINARY, "edit", "db.yaml", "-i", "cluster.key"])
        .current_dir(desk.bench.path(""))
        .env("HOME", desk.bench.path(""))
        .envs(desk.bench.variables.iter().map(|(name, value)| (name, value)))
        .env_remove("VISUAL")
        .env("EDITOR", "ed -s")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let typed = "!stat -f -c '\\%T' % > seen; stat -c '\\%u' db.yaml >> seen; id -u >> seen\n";
    // ed is in the folder itself, where what it dumps in a hangup goes.
    let typed = typed.replace("seen", &desk.bench.path("seen").display().to_string());
    let typed = typed.replace("db.yaml", &desk.bench.path("db.yaml").display().to_string());
    child.stdin.take().unwrap().write_all(format!("{typed}g/^user/s/app/other/\nw\nq\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(desk.bench.read("seen"), "ramfs\n1000\n1000\n");
    assert_eq!(desk.value("user"), "other");
}

#[test]
fn only_folders_of_an_edit_are_ever_wiped() {
    let desk = Desk::new(":");
    desk.bench.write("precious/file", "x");
    desk.bench.run(&["edit", "--keep", "precious"]).exits(2).says("is no folder of its making");
    assert_eq!(desk.bench.read("precious/file"), "x");
}

#[test]
fn ed_edits_too() {
    let mut desk = Desk::new(":");
    desk.say("EDITOR", "ed -s".to_owned());
    desk.edit(&[], "g/^user/s/app/other/\nw\nq\n").exits(0).says("user changed");
    assert_eq!(desk.value("user"), "other");
    // A line for the shell.
    desk.say("VISUAL", "env x=1 sh -c 'sed -i s/other/third/ \"$1\"' x".to_owned());
    desk.edit(&[], "").exits(0).says("user changed");
    desk.say("VISUAL", "x=third; sed -i s/$x/fourth/".to_owned());
    desk.edit(&[], "").exits(0).says("user changed");
    assert_eq!(desk.value("user"), "fourth");
    desk.is_clean();
}

#[test]
fn without_memory_to_keep_it_in_nothing_is_opened() {
    let desk = Desk::new("touch $desk/open");
    let before = desk.file();
    // Where /dev/shm is no tmpfs.
    let line = format!("mount --rbind /sys /dev/shm && exec {BINARY} edit db.yaml -i cluster.key");
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &line])
        .current_dir(desk.bench.path(""))
        .env_remove("XDG_RUNTIME_DIR")
        .envs(desk.bench.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(2) && said.contains("no storage in memory"), "{} {said}", done.status);
    assert!(!desk.bench.path("open").exists() && desk.file() == before);
}

#[test]
fn a_file_in_json_and_values_of_kubeseal_are_edited_as_they_are() {
    let mut desk = Desk::new("sed -i 's/^user: .*/user: other/' \"$1\"");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    desk.bench.write("cert.pem", &certificate.pem());
    desk.bench.write("key.pem", &key.serialize_pem());
    let secret = r#"{"kind":"Secret","metadata":{"name":"db","namespace":"prod"},"stringData":{"user":"app","b":"x"}}"#;
    desk.bench.pipe(&["seal", "--to", "cert.pem", "-o", "db.json"], secret).exits(0);
    let before = desk.bench.read("db.json");
    desk.bench.run(&["edit", "db.json", "-i", "key.pem"]).exits(0).says("sealed to RSA certificate");
    assert_eq!(lines_that_differ(&before, &desk.bench.read("db.json")).0.len(), 1);
    let value = desk.bench.run(&["open", "db.json", "-i", "key.pem", "--key", "user"]).exits(0).out;
    assert_eq!(value, "other");
    desk.editor(":");
}
