//! `bulla scan --history` and `--staged`, on repositories that the real `git` made.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::checkout::Checkout;
use crate::harness::Run;
use crate::specimens::fill;
use crate::support::dice::Dice;

/// A token that nobody issued.
fn token(seed: u64) -> String {
    fill(&mut Dice(seed), "glpat-{20:a}")
}

struct Found {
    file: String,
    line: u64,
    message: String,
    commit: String,
    related: Vec<String>,
}

/// The findings, sorted by message; no output of any kind may hold one of the secrets.
fn history(checkout: &Checkout, arguments: &[&str], secrets: &[String]) -> (Vec<Found>, Run) {
    let mut report = None;
    for format in ["text", "sarif", "github", "json"] {
        let run = checkout.bulla(&[&["scan", "--history", "--output", format], arguments].concat());
        for secret in secrets {
            assert!(!run.out.contains(secret) && !run.err.contains(secret), "{secret} was printed");
        }
        report = Some(run);
    }
    let run = report.unwrap();
    let read: Value = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}{}", run.out, run.err));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = read["findings"].as_array().unwrap().iter().map(|one| Found {
        file: text(&one["file"]),
        line: one["line"].as_u64().unwrap(),
        message: text(&one["message"]),
        commit: text(&one["commit"]),
        related: one["related"].as_array().into_iter().flatten().map(|other| text(&other["file"])).collect(),
    });
    (found.collect(), run)
}

fn head(checkout: &Checkout) -> String {
    checkout.git(&["rev-parse", "HEAD"]).exits(0).out.trim().to_owned()
}

#[test]
fn what_ever_was_in_any_branch_tag_or_stash_is_found_once_with_its_oldest_commit() {
    let checkout = Checkout::plain();
    let secrets: Vec<String> = (1..=7).map(token).collect();
    let env = |at: usize| format!("MODE=x\nSERVICE={}\n", secrets[at]);
    checkout.commit("kept.env", &env(0));
    let first = head(&checkout);
    checkout.commit("gone.env", &env(1));
    let second = head(&checkout);
    checkout.git(&["rm", "-q", "gone.env"]).exits(0);
    checkout.commit("kept.env", &format!("# moved down\n{}", env(0)));
    checkout.git(&["mv", "kept.env", "renamed.env"]).exits(0);
    checkout.git(&["commit", "-qm", "renamed"]).exits(0);
    checkout.branch("side", "main", "side.env", &env(2));
    checkout.git(&["checkout", "-q", "main"]).exits(0);
    checkout.branch("merged", "main~1", "deep/er/merged.env", &env(3));
    checkout.git(&["checkout", "-q", "main"]).exits(0);
    checkout.git(&["merge", "-q", "--no-ff", "-m", "merge", "merged"]).exits(0);
    checkout.branch("tagged", "main", "tagged.env", &env(4));
    checkout.git(&["tag", "-a", "-m", "x", "v1"]).exits(0);
    checkout.git(&["checkout", "-q", "main"]).exits(0);
    checkout.git(&["branch", "-qD", "tagged"]).exits(0);
    checkout.write("stashed.env", &env(5));
    checkout.git(&["stash", "-qu"]).exits(0);
    checkout.commit("amended.env", &env(6));
    checkout.write("amended.env", "MODE=x\n");
    checkout.git(&["commit", "-qa", "--amend", "--no-verify", "-m", "amended"]).exits(0);

    for packed in [false, true] {
        if packed {
            checkout.git(&["repack", "-adfq", "--depth", "50"]).exits(0);
        }
        let (found, run) = history(&checkout, &[], &secrets);
        run.exits(1);
        let files: Vec<&str> = found.iter().map(|one| one.file.as_str()).collect();
        assert_eq!(files, ["deep/er/merged.env", "gone.env", "kept.env", "side.env", "stashed.env", "tagged.env"]);
        let one = |file: &str| found.iter().find(|one| one.file == file).unwrap();
        let (kept, gone) = (one("kept.env"), one("gone.env"));
        assert_eq!((kept.line, kept.commit.as_str(), gone.commit.as_str()), (2, first.as_str(), second.as_str()));
        assert!(kept.message.contains(&format!("since commit {} of ", &first[..10])), "{}", kept.message);
        assert!(kept.message.ends_with("by Test, still in HEAD"), "{}", kept.message);
        assert!(gone.message.ends_with("no longer in HEAD") && one("side.env").message.ends_with("no longer in HEAD"));
        // Where it is now, and under which other name it was.
        assert_eq!(kept.related, ["renamed.env"]);
    }
    let (found, _) = history(&checkout, &["--reflog"], &secrets);
    assert!(found.iter().any(|one| one.file == "amended.env" && one.message.ends_with("no longer in HEAD")));
    assert_eq!(found.len(), 7);
    // Only what a branch brings, and only a folder.
    let ranges: [(&[&str], &[&str]); 3] = [
        (&["--commits", "main..side"], &["side.env"]),
        (&["deep"], &["deep/er/merged.env"]),
        (&["--exclude", "*.env"], &["deep/er/merged.env"]),
    ];
    for (arguments, expected) in ranges {
        let (found, _) = history(&checkout, arguments, &secrets);
        assert_eq!(found.iter().map(|one| one.file.as_str()).collect::<Vec<_>>(), expected, "{arguments:?}");
    }
}

#[test]
fn a_rewritten_history_and_a_bare_and_a_shallow_clone_are_searched_as_they_are() {
    let checkout = Checkout::plain();
    let secrets = [token(21), token(22)];
    checkout.commit("a.env", &format!("SERVICE={}\n", secrets[0]));
    checkout.commit("a.env", "MODE=x\n");
    checkout.commit("b.env", &format!("SERVICE={}\n", secrets[1]));
    let folder = checkout.folder.to_str().unwrap();
    for (arguments, place, expected) in
        [(&["clone", "-q", "--bare"][..], "bare.git", 2), (&["clone", "-q", "--depth", "1"][..], "shallow", 1)]
    {
        let (url, target) = (format!("file://{folder}"), checkout.bench.path(place));
        checkout.git(&[arguments, &[&url, target.to_str().unwrap()]].concat()).exits(0);
        let (found, run) = history(&checkout, &[target.to_str().unwrap()], &secrets);
        assert_eq!(found.len(), expected, "{place}");
        assert_eq!(run.out.contains("a shallow clone"), place == "shallow", "{}", run.out);
    }
    // As people try to undo a leak: the commit is gone from every branch, and still in the reflog.
    checkout.git(&["reset", "-q", "--soft", "HEAD~2"]).exits(0);
    checkout.git(&["commit", "-q", "--amend", "-m", "clean"]).exits(0);
    let (found, _) = history(&checkout, &[], &secrets);
    assert_eq!(found.iter().map(|one| one.file.as_str()).collect::<Vec<_>>(), ["b.env"]);
    assert_eq!(history(&checkout, &["--reflog"], &secrets).0.len(), 2);
    let elsewhere = checkout.bench.path("bare.git");
    checkout.bulla(&["scan", "--history", ".", elsewhere.to_str().unwrap()]).exits(2).says("is in another repository");
}

#[test]
fn what_was_replaced_is_allowed_by_its_commit_and_a_new_one_in_the_same_file_is_not() {
    let checkout = Checkout::plain();
    let secrets = [token(31), token(32)];
    checkout.commit("app.env", &format!("SERVICE={}\n", secrets[0]));
    let first = head(&checkout);
    checkout.commit("app.env", "MODE=x\n");
    let entry =
        format!("version: 1\nallow:\n- {{path: app.env, commit: {}, reason: replaced on 2026-03-01}}\n", &first[..12]);
    checkout.commit(".bulla-allow.yaml", &entry);
    let (found, run) = history(&checkout, &[], &secrets);
    run.exits(0);
    assert!(found.is_empty());
    checkout.commit("app.env", &format!("SERVICE={}\n", secrets[1]));
    let (found, run) = history(&checkout, &[], &secrets);
    assert!(run.exits(1).out.contains("rewriting history is optional"));
    assert_eq!((found.len(), found[0].commit.clone()), (1, head(&checkout)));
    // Known findings are no news.
    checkout.bulla(&["scan", "--history", "--write-baseline", "known.json"]).exits(0);
    checkout.bulla(&["scan", "--history", "--baseline", "known.json"]).exits(0);
}

#[test]
fn each_value_of_a_secret_is_told_once_however_many_versions_the_file_has() {
    let checkout = Checkout::plain();
    let secrets = [fill(&mut Dice(41), "{16:a}7!")];
    for version in 0..30 {
        let (before, secret) = ("# moved\n".repeat(version % 7), &secrets[0]);
        let text = format!(
            "{before}apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  labels: {{version: v{version}}}\nstringData:\n  password: \"{secret}\"\n"
        );
        checkout.commit("db.yaml", &text);
    }
    let (found, _) = history(&checkout, &[], &secrets);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].file.as_str(), found[0].line), ("db.yaml", 7));
    assert!(found[0].message.starts_with("a value in the clear, 18 characters; since commit"), "{}", found[0].message);
}

#[test]
fn a_hook_refuses_what_is_staged_and_nothing_else_and_is_quick() {
    let checkout = Checkout::plain();
    let secrets = [token(51), token(52), token(53)];
    let env = |at: usize| format!("SERVICE={}\n", secrets[at]);
    checkout.commit("old.env", &env(0));
    checkout.commit("a.env", "MODE=x\n");
    let staged = |arguments: &[&str]| {
        let run = checkout.bulla(&[&["scan", "--staged"], arguments].concat());
        assert!(
            !secrets.iter().any(|secret| run.out.contains(secret) || run.err.contains(secret)),
            "{}{}",
            run.out,
            run.err
        );
        run
    };
    assert!(staged(&[]).exits(0).out.contains("0 staged file(s); nothing wrong"));
    // What is not staged is not of the commit; what is staged is, whatever the file says since.
    checkout.write("b.env", &env(1));
    staged(&[]).exits(0);
    checkout.git(&["add", "b.env"]).exits(0);
    checkout.write("b.env", "MODE=x\n");
    assert!(staged(&[]).exits(1).out.contains("b.env:1:9: a GitLab token"));
    // What the last commit has too is not new.
    checkout.git(&["rm", "-qf", "--cached", "b.env"]).exits(0);
    checkout.write("old.env", &format!("# a comment\n{}", env(0)));
    checkout.git(&["add", "old.env"]).exits(0);
    staged(&[]).exits(0).says("1 finding(s) are in the last commit too");
    checkout.write("old.env", &format!("{}{}", env(0), env(2)));
    checkout.git(&["add", "old.env"]).exits(0);
    let run = staged(&[]).exits(1);
    assert!(run.out.contains("old.env:2:9:") && run.out.contains("1 error(s)"), "{}", run.out);
    // From a folder within, files are named from there.
    std::fs::create_dir_all(checkout.path("sub")).unwrap();
    let within = checkout.within(checkout.path("sub"));
    assert!(within.bulla(&["scan", "--staged", ".."]).exits(1).out.contains("../old.env:2:9:"));
    within.bulla(&["scan", "--staged"]).exits(0);
    let began = Instant::now();
    staged(&["--output", "json"]).exits(1);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_hook_sees_the_index_that_git_is_about_to_commit() {
    use std::os::unix::fs::PermissionsExt;
    let checkout = Checkout::plain();
    checkout.commit("a.env", "MODE=x\n");
    checkout.write(".git/hooks/pre-commit", "#!/bin/sh\nexec bulla scan --staged\n");
    std::fs::set_permissions(checkout.path(".git/hooks/pre-commit"), PermissionsExt::from_mode(0o755)).unwrap();
    let secret = token(61);
    checkout.write("a.env", &format!("SERVICE={secret}\n"));
    checkout.write("b.env", "MODE=x\n");
    // `commit -a` and `commit FILE` have an index of their own.
    for arguments in [&["commit", "-qam", "all"][..], &["commit", "-qm", "one", "a.env"][..]] {
        let run = checkout.git(arguments);
        assert_ne!(run.code, 0, "{}", run.err);
        assert!(run.err.contains("a.env:1:9") || run.out.contains("a.env:1:9"), "{}{}", run.out, run.err);
        assert!(!run.err.contains(&secret) && !run.out.contains(&secret));
    }
    checkout.git(&["add", "b.env"]).exits(0);
    checkout.git(&["commit", "-qm", "only what is clean"]).exits(0);
}
