//! Where a run does not begin, or stops and waits: and nothing is lost by it.

use std::fs;

use super::team::Team;

#[test]
fn changes_in_a_file_of_the_run_are_not_mixed_into_it() {
    let team = Team::new(2);
    let text = team.read("clusters/prod/app-1.yaml");
    team.write("clusters/prod/app-1.yaml", &format!("{text}# mine\n"));
    let run = team.begin(&[]).exits(1).says("commit or stash them first: clusters/prod/app-1.yaml");
    assert!(!run.err.contains("app-0"), "{}", run.err);
    team.git(&["add", "--all"]);
    team.begin(&[]).exits(1).says("commit or stash them first: clusters/prod/app-1.yaml");
    assert!(!team.bench.path("new.key").exists() && !team.state().exists());
}

#[test]
fn what_is_edited_while_a_run_is_stopped_is_not_committed_with_it() {
    let team = Team::new(2);
    let hook = team.hook("pre-commit", "echo no commits on Fridays >&2; exit 1");
    let run = team.begin(&[]).exits(1).says("no commits on Fridays");
    assert!(run.out.contains("✗ commit"), "{}", run.out);
    fs::remove_file(hook).unwrap();
    let text = team.read("clusters/prod/app-1.yaml");
    team.write("clusters/prod/app-1.yaml", &format!("{text}# mine\n"));
    team.rotate(&["--yes"]).exits(1).says("changes of yours too").says("app-1.yaml");
    team.write("clusters/prod/app-1.yaml", &text);
    team.rotate(&["--yes"]).exits(0);
    team.assert_rotated(2);
}

#[test]
fn a_hook_that_refuses_and_a_signature_that_fails_leave_a_run_to_go_on_with() {
    let team = Team::new(1);
    team.git(&["config", "commit.gpgSign", "true"]);
    team.git(&["config", "gpg.program", "/bin/false"]);
    team.begin(&[]).exits(1).says("git would not commit: a hook, the signature or the identity");
    assert!(team.state().exists());
    team.git(&["config", "--unset", "commit.gpgSign"]);
    let seen = team.bench.path("seen");
    team.hook("commit-msg", &format!("cp \"$1\" {}", seen.display()));
    team.rotate(&["--yes"]).exits(0);
    team.assert_rotated(1);
    assert!(fs::read_to_string(seen).unwrap().contains("Rotate the sealing key"), "the hook saw no message");
}

#[test]
fn nobody_to_commit_as_is_told_before_a_key_is_made() {
    let team = Team::new(1);
    team.bench.write(".gitconfig", "[user]\n\tuseConfigOnly = true\n");
    team.begin(&[]).exits(2);
    assert!(!team.bench.path("new.key").exists());
    team.begin(&["--no-commit"]).exits(0);
}

#[test]
fn places_without_a_commit_to_come_back_to_are_refused() {
    let team = Team::empty();
    team.rules(&["old"]);
    team.seal("clusters/prod/db.yaml", "db");
    team.begin(&[]).exits(1).says("the repository has no commit yet");
    team.bench.write("elsewhere/db.yaml", "a: b\n");
    let arguments = ["--yes", "--identity", "old.key", "--new-identity", "new.key"];
    team.rotate_at("elsewhere", &arguments).exits(2).says("is in no working tree of Git");
    team.rotate_at("nowhere", &arguments).exits(2).says("does not exist");
    team.rotate_at("repo/.git", &arguments).exits(2);
    team.commit("Seal");
    team.git(&["checkout", "--quiet", "-b", "other"]);
    team.write("a.md", "1");
    team.commit("a");
    team.git(&["checkout", "--quiet", "main"]);
    team.write("a.md", "2");
    team.commit("b");
    assert!(!team.try_git("repo", &["merge", "other"]).status.success());
    team.begin(&[]).exits(1).says("a merge is under way");
    assert!(!team.bench.path("new.key").exists());
}

#[test]
fn a_detached_head_is_where_it_is_and_gets_a_branch() {
    let team = Team::new(1);
    team.git(&["checkout", "--quiet", "--detach"]);
    team.begin(&[]).exits(0);
    team.assert_rotated(1);
    team.rotate(&["--abort", "--yes"]).exits(0);
    assert_eq!(team.git(&["branch", "--show-current"]), "");
    assert_eq!(team.git(&["rev-parse", "HEAD"]), team.git(&["rev-parse", "main"]));
}

#[test]
fn a_linked_worktree_has_a_run_of_its_own() {
    let team = Team::new(1);
    team.git(&["worktree", "add", "--quiet", "../tree", "-b", "work"]);
    let arguments = ["--yes", "--identity", "old.key", "--new-identity", "new.key"];
    team.rotate_at("tree", &arguments).exits(0);
    assert!(!team.state().exists());
    assert!(team.path(".git/worktrees/tree/bulla/rotate.json").exists());
    assert!(team.git_in("tree", &["branch", "--show-current"]).starts_with("bulla/rotate-"));
    assert_eq!(team.git(&["status", "--porcelain"]), "");
    team.rotate_at("tree", &["--continue", "--yes"]).exits(0);
}

#[test]
fn a_submodule_is_a_repository_of_its_own() {
    let team = Team::new(1);
    team.git_in("", &["init", "--quiet", "above"]);
    let url = team.path("").display().to_string();
    team.git_in("above", &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "sub"]);
    team.git_in("above", &["commit", "--quiet", "-m", "Sub"]);
    let arguments = ["--yes", "--identity", "old.key", "--new-identity", "new.key"];
    let dry = [&arguments[..], &["--dry-run"]].concat();
    team.rotate_at("above", &dry).exits(0).says("submodules are repositories of their own, run there too: sub");
    let run = team.rotate_at("above/sub", &arguments).exits(0).says("this is a submodule: commit its new state in");
    assert!(run.out.contains("2 values in 1 file"), "{}", run.out);
    assert_eq!(team.git_in("above", &["diff", "--name-only"]), "sub");
    assert_eq!(team.git_in("above", &["rev-list", "--count", "HEAD"]), "1");
}

#[test]
fn only_one_run_at_a_time() {
    let team = Team::new(1);
    team.script("bin/git", "touch \"$HOME/started\"; sleep 3; exec /usr/bin/env PATH=\"$REAL\" git \"$@\"");
    let path = std::env::var("PATH").unwrap();
    let mut slow = std::process::Command::new(env!("CARGO_BIN_EXE_bulla"));
    slow.args(["rotate", "repo", "--yes", "--identity", "old.key", "--new-identity", "new.key"]);
    slow.current_dir(team.bench.path("")).env_clear().env("HOME", team.bench.path("")).env("REAL", &path);
    slow.env("PATH", format!("{}:{path}", team.bench.path("bin").display()));
    let mut slow = slow.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    while !team.path(".git/bulla/rotate.lock").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    team.begin(&[]).exits(2).says("another `bulla rotate` is at work");
    slow.kill().unwrap();
    slow.wait().unwrap();
}

#[test]
fn another_wish_than_that_of_the_run_is_refused() {
    let team = Team::new(1);
    team.begin(&[]).exits(0);
    team.rotate(&["--yes", "--identity", "old.key", "--new-identity", "third.key"])
        .exits(2)
        .says("--new-identity differs");
    team.rotate(&["--yes", "--branch", "x"]).exits(2).says("--branch differs");
    team.rotate(&[]).exits(2).says("say --yes");
    // Who types it has agreed to what is left without a cluster.
    team.rotate(&["--continue"]).exits(0).says("bulla rotate --continue");
    assert!(!team.bench.path("third.key").exists());
}

#[test]
fn a_named_branch_is_made_or_committed_to() {
    let team = Team::new(1);
    team.git(&["branch", "taken"]);
    team.begin(&["--branch", "taken"]).exits(1).says("branch taken exists already");
    team.begin(&["--branch", "not..a name"]).exits(2).says("not a name that Git takes");
    team.git(&["checkout", "--quiet", "-b", "rotation"]);
    let run = team.begin(&["--branch", "rotation"]).exits(0);
    assert_eq!(team.git(&["log", "--format=%s", "main..rotation"]).lines().count(), 1);
    assert!(run.out.contains("✓ merge       rotation has it") && run.out.contains("✓ retire"), "{}", run.out);
}

#[test]
fn an_unclear_old_key_is_asked_for() {
    let team = Team::new(1);
    let both = ["--yes", "--identity", "old.key", "--identity", "recovery.key", "--new-identity", "new.key"];
    team.rotate(&both).exits(2).says("which key is to be replaced?").says(&team.id_of("recovery"));
    team.rotate(&[&both[..], &["--old", "ffff"]].concat()).exits(2).says("it is not among");
    team.rotate(&[&both[..], &["--old", &team.id_of("old")[..6]]].concat()).exits(0);
    team.assert_rotated(1);
}

#[test]
fn line_ends_that_git_keeps_in_another_way_are_no_changes() {
    let team = Team::new(1);
    team.write(".gitattributes", "*.yaml text eol=crlf\n");
    team.commit("Windows");
    team.git(&["rm", "--quiet", "--cached", "-r", "clusters", ".bulla.yaml"]);
    team.git(&["reset", "--quiet", "--hard"]);
    assert!(team.read("clusters/prod/app-0.yaml").contains("\r\n"));
    team.begin(&[]).exits(0);
    assert_eq!(team.git(&["status", "--porcelain"]), "");
    assert_eq!(team.git(&["diff", "--numstat", "main", "HEAD", "--", "clusters"]), "2\t2\tclusters/prod/app-0.yaml");
    assert!(team.read("clusters/prod/app-0.yaml").contains("\r\n") && team.opens("clusters/prod/app-0.yaml", "new"));
}

#[test]
fn what_is_committed_while_a_run_is_stopped_is_not_in_its_way() {
    let team = Team::new(2);
    let hook = team.hook("pre-commit", "exit 1");
    team.begin(&[]).exits(1);
    fs::remove_file(hook).unwrap();
    team.write("notes.md", "1");
    team.git(&["add", "notes.md"]);
    team.git(&["commit", "--quiet", "-m", "Notes", "--", "notes.md"]);
    let run = team.rotate(&["--yes"]).exits(0);
    assert!(run.out.contains("4 values in 2 files"), "{}", run.out);
    assert_eq!(team.git(&["diff", "--name-only", "HEAD~1", "HEAD"]).lines().count(), 3);
}

#[test]
fn a_note_of_a_run_that_is_damaged_is_told_and_never_followed() {
    let team = Team::new(1);
    for text in ["", "{}", "[1", "{\"version\": 1, \"id\": 5}", "\u{0}"] {
        team.bench.write("repo/.git/bulla/rotate.json", text);
        team.begin(&[]).exits(2).says("rotate.json");
        team.rotate(&["--abort", "--yes"]).exits(2).says("rotate.json");
    }
    assert_eq!(team.git(&["status", "--porcelain"]), "");
}

/// The rules of a stranger in a folder of the repository.
fn rules_of_a_stranger(team: &Team) -> String {
    team.seal("clusters/prod/sub/db.yaml", "db");
    team.commit("More");
    let stranger = team.bench.run(&["keys", "generate", "--type", "x25519", "-o", "stranger.key"]).exits(0).out;
    format!("version: 1\nrules:\n- path: '**'\n  recipients: [{}]\n", stranger.trim())
}

#[test]
fn whoever_a_rule_names_besides_gets_no_value_by_a_rotation() {
    let team = Team::new(1);
    let rules = rules_of_a_stranger(&team);
    let id = team.id_of("stranger");
    team.write("clusters/prod/sub/.bulla.yaml", &rules);
    team.commit("Rules of a stranger");
    let before = team.snapshot();
    let run = team.begin(&[]).exits(1);
    assert!(run.err.contains("clusters/prod/sub/db.yaml: the rule in clusters/prod/sub/.bulla.yaml"), "{}", run.err);
    assert!(run.err.contains(&id) && !team.bench.path("new.key").exists() && !team.state().exists(), "{}", run.err);
    let same = |before: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        let now = team.snapshot();
        before.iter().filter(|(path, _)| path.ends_with("db.yaml")).all(|(path, text)| now.get(path) == Some(text))
    };
    assert!(same(&before));

    // Beside those who open it now: named with the file, and let in only by name.
    let [old, recovery] = ["old", "recovery"].map(|key| team.public(key));
    let with_all = rules.replace("recipients: [", &format!("recipients: [{old}, {recovery}, "));
    team.write("clusters/prod/sub/.bulla.yaml", &with_all);
    team.commit("One more");
    let run = team.begin(&[]).exits(1).says("a rotation hands no value to anybody new");
    assert!(run.err.contains("clusters/prod/sub/db.yaml") && run.err.contains(&id), "{}", run.err);
    team.begin(&["--accept-recipient", &id[..8]]).exits(0);
    assert!(team.keys_of("clusters/prod/sub/db.yaml").contains(&id));
    assert!(!team.keys_of("clusters/prod/app-0.yaml").contains(&id));
}

#[test]
fn rules_that_git_does_not_have_say_nothing_to_a_rotation() {
    let team = Team::new(1);
    let rules = rules_of_a_stranger(&team);
    let path = team.path("clusters/prod/sub/.bulla.yaml");
    // Where `git status` does not show it.
    team.write(".git/info/exclude", "sub/.bulla.yaml\n");
    team.write("clusters/prod/sub/.bulla.yaml", &rules);
    team.begin(&[]).exits(1).says("clusters/prod/sub/.bulla.yaml would say whom");
    fs::remove_file(&path).unwrap();
    // A link that Git has, to somewhere else.
    team.write(".git/info/exclude", "");
    team.bench.write("outside.yaml", &rules);
    std::os::unix::fs::symlink(team.bench.path("outside.yaml"), &path).unwrap();
    team.commit("A link");
    team.begin(&[]).exits(1).says("clusters/prod/sub/.bulla.yaml would say whom");
    assert!(!team.bench.path("new.key").exists());
    fs::remove_file(&path).unwrap();
    team.commit("No link");

    // Nor one that comes while the run is stopped.
    let hook = team.hook("pre-commit", "exit 1");
    assert_ne!(team.begin(&[]).code, 0);
    fs::remove_file(hook).unwrap();
    team.write(".git/info/exclude", "sub/.bulla.yaml\n");
    team.write("clusters/prod/sub/.bulla.yaml", &rules);
    team.rotate(&["--yes", "--continue"]).exits(1).says("clusters/prod/sub/.bulla.yaml would say whom");
    fs::remove_file(&path).unwrap();
    team.rotate(&["--yes", "--continue"]).exits(0);
}

/// The old key may be needed still for what only says that it is sealed to the new one, and nobody would know.
#[test]
fn a_value_that_only_says_that_it_is_sealed_to_the_new_key_stops_the_run_before_its_commit() {
    let team = Team::new(2);
    let public = team.bench.run(&["keys", "generate", "--type", "x25519", "-o", "new.key"]).exits(0).out;
    team.bench.write("new.pub", &public);
    let id = |name: &str| {
        let recipient: bulla::seal::Recipient = team.public(name).parse().unwrap();
        recipient.key_id().to_string()
    };
    team.seal("clusters/prod/liar.yaml", "liar");
    let text = team.read("clusters/prod/liar.yaml");
    let rewritten: String = text
        .split(' ')
        .map(|word| match word.strip_prefix("YWdl") {
            Some(_) => {
                let (sealed, rest) = word.split_once('\n').unwrap();
                format!("{}\n{rest}", crate::resealing::claims::rewritten(sealed, &id("old"), &id("new")))
            }
            None => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ");
    team.write("clusters/prod/liar.yaml", &rewritten);
    team.commit("Seal by hand");
    let head = team.git(&["rev-parse", "HEAD"]);
    let run = team.begin(&[]).exits(1).says("stopped the run before the commit");
    assert!(run.out.contains("clusters/prod/liar.yaml:") && run.out.contains("does not open with it"), "{}", run.out);
    assert_eq!(team.git(&["rev-parse", "HEAD"]), head);
    fs::remove_file(team.path("clusters/prod/liar.yaml")).unwrap();
    team.rotate(&["--yes", "--abort"]).exits(0);
}
