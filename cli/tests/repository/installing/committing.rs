//! The hook under the real `git commit`: what is staged counts, and nothing of it is written anywhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bulla::seal::Scope;

use crate::checkout::{Checkout, Key, manifest};
use crate::harness::Run;

const CANARY: &str = "canary-hunter2";

fn leak(name: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n  password: {CANARY}\n")
}

fn commit(checkout: &Checkout, arguments: &[&str]) -> Run {
    let run = checkout.git(&[&["commit", "-qm", "x"], arguments].concat());
    assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{}{}", run.out, run.err);
    run
}

#[test]
fn a_secret_in_the_clear_is_refused_and_no_verify_passes() {
    let checkout = Checkout::installed();
    checkout.write("db.yaml", &leak("db"));
    checkout.git(&["add", "-A"]).exits(0);
    let run = commit(&checkout, &[]).exits(1).says("not committed: 1 error(s)");
    assert!(run.err.contains("db.yaml:") || run.out.contains("db.yaml:"), "{}{}", run.out, run.err);
    commit(&checkout, &["--no-verify"]).exits(0);
    // What is committed is not this commit's fault.
    checkout.write("db.yaml", &format!("# a comment\n{}", leak("db")));
    checkout.git(&["add", "-A"]).exits(0);
    commit(&checkout, &[]).exits(0);
}

#[test]
fn partly_staged_files_are_judged_by_what_is_staged() {
    let checkout = Checkout::installed();
    let good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: db}\n";
    checkout.write("db.yaml", good);
    checkout.git(&["add", "-A"]).exits(0);
    // The file has it, the index does not.
    checkout.write("db.yaml", &leak("db"));
    commit(&checkout, &[]).exits(0);
    // The index has it, the file does not any more.
    checkout.git(&["add", "-A"]).exits(0);
    checkout.write("db.yaml", good);
    commit(&checkout, &[]).exits(1);
    std::fs::remove_file(checkout.path("db.yaml")).unwrap();
    commit(&checkout, &[]).exits(1);
}

#[test]
fn another_value_in_a_secret_that_was_in_the_clear_before_is_new() {
    let checkout = Checkout::installed();
    let secret = |label: &str, value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: db, labels: {{a: {label}}}}}\nstringData:\n  password: {value}\n"
        )
    };
    checkout.write("a.yaml", &secret("b", "changeme"));
    checkout.git(&["add", "."]).exits(0);
    commit(&checkout, &["--no-verify"]).exits(0);
    checkout.write("a.yaml", &secret("c", "changeme"));
    commit(&checkout, &["-a"]).exits(0);
    checkout.write("a.yaml", &secret("c", "hunter2-example"));
    commit(&checkout, &["-a"]).exits(1).says("plain-secret");
}

#[test]
fn every_way_to_commit_is_checked() {
    let checkout = Checkout::installed();
    checkout.commit("db.yaml", "a: b\n");
    checkout.write("db.yaml", &leak("db"));
    commit(&checkout, &["-a"]).exits(1);
    commit(&checkout, &["db.yaml"]).exits(1);
    commit(&checkout, &["--amend", "-a"]).exits(1);
    // Other files may be committed beside it.
    checkout.write("other.yaml", "a: b\n");
    checkout.git(&["add", "other.yaml"]).exits(0);
    commit(&checkout, &["other.yaml"]).exits(0);
    // The first commit of a repository too.
    let checkout = Checkout::plain();
    checkout.bulla(&["git", "install"]).exits(0);
    checkout.write("db.yaml", &leak("db"));
    checkout.git(&["add", "-A"]).exits(0);
    commit(&checkout, &[]).exits(1);
}

#[test]
fn a_sealed_value_that_will_not_open_where_it_lands_is_refused() {
    let checkout = Checkout::installed();
    let key = Key::new();
    let value = key.seal_for(Scope::Strict, "prod/other", "a", CANARY, "2026-11-01");
    checkout.write("db.yaml", &manifest("prod/db", &format!("a: {value}")));
    checkout.git(&["add", "-A"]).exits(0);
    commit(&checkout, &[]).exits(1);
    let good = manifest("prod/db", &format!("a: {}", key.seal("a", CANARY, "2026-11-01")));
    checkout.write("db.yaml", &good);
    checkout.git(&["add", "-A"]).exits(0);
    commit(&checkout, &[]).exits(0);
}

#[test]
fn a_private_key_in_any_file_is_refused_and_settings_leave_files_out() {
    let checkout = Checkout::installed();
    checkout.write("notes.txt", &format!("the key: {}\n", Key::new().text));
    checkout.git(&["add", "-A"]).exits(0);
    let run = commit(&checkout, &[]).exits(1);
    let said = format!("{}{}", run.out, run.err);
    assert!(said.contains("notes.txt:1") && !said.contains("AGE-SECRET-KEY-1"), "{said}");
    checkout.git(&["config", "--add", "bulla.exclude", "notes.txt"]).exits(0);
    commit(&checkout, &[]).exits(0);

    checkout.write("fixture.yaml", &leak("fixture"));
    checkout.bulla(&["verify", "--write-baseline", "known.json"]).exits(0);
    checkout.git(&["add", "-A"]).exits(0);
    let run = commit(&checkout, &[]).exits(1);
    let said = format!("{}{}", run.out, run.err);
    assert_eq!(said.matches("fixture.yaml:").count(), 1, "said once, though two look for it: {said}");
    checkout.git(&["config", "bulla.baseline", "known.json"]).exits(0);
    commit(&checkout, &[]).exits(0);
}

/// Every folder below this one and when an entry of it last came or went, which a file that lived for a moment changes.
fn folders(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let mut found = vec![(folder.to_path_buf(), std::fs::metadata(folder).unwrap().modified().unwrap())];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(folders(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn nothing_of_the_staged_content_is_written_anywhere() {
    let mut checkout = Checkout::installed();
    // There is no folder for temporary files at all.
    checkout.variable("TMPDIR", "/nonexistent");
    checkout.write("db.yaml", &leak("db"));
    checkout.git(&["add", "-A"]).exits(0);
    let home = checkout.bench.path("");
    let before = folders(&home);
    assert!(before.len() > 10, "{before:?}");
    checkout.bulla(&["git", "pre-commit"]).exits(1);
    assert_eq!(folders(&home), before);
}

#[test]
fn a_commit_of_two_thousand_files_does_not_wait_for_it() {
    let checkout = Checkout::installed();
    let key = Key::new();
    let value = key.seal("a", "1", "2026-11-01");
    for index in 0..2000 {
        let text = manifest("prod/db", &format!("a: {value}")).replace("payments", &index.to_string());
        checkout.write(&format!("{}/{index}.yaml", index % 40), &text);
    }
    checkout.git(&["add", "-A"]).exits(0);
    let begin = Instant::now();
    checkout.bulla(&["git", "pre-commit"]).exits(0);
    // A debug build on a shared machine; release numbers are in docs/git.md.
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn allowlists_and_rules_count_as_they_are_staged() {
    let checkout = Checkout::installed();
    let add = |names: &[&str]| checkout.git(&[&["add"], names].concat()).exits(0);
    checkout.write("notes.txt", &format!("the key: {}\n", Key::new().text));
    checkout.write(".bulla-allow.yaml", "version: 1\nallow: [{path: notes.txt, reason: a key of tests}]\n");
    add(&["notes.txt"]);
    commit(&checkout, &[]).exits(1);
    add(&[".bulla-allow.yaml"]);
    // It is taken away from the disk only.
    std::fs::remove_file(checkout.path(".bulla-allow.yaml")).unwrap();
    commit(&checkout, &[]).exits(0);

    let (ours, other) = (Key::new(), Key::new());
    let rules = |key: &Key| format!("version: 1\nrules: [{{path: '**', recipients: [{}]}}]\n", key.recipient());
    checkout.commit(".bulla.yaml", &rules(&ours));
    let sealed = |key: &Key| manifest("prod/db", &format!("a: {}", key.seal("a", CANARY, "2026-11-01")));
    checkout.write("sub/db.yaml", &sealed(&other));
    add(&["sub/db.yaml"]);
    for loose in [".bulla.yaml", "sub/.bulla.yaml"] {
        checkout.write(loose, &rules(&other));
        commit(&checkout, &[]).exits(1).says("recipient");
    }
    std::fs::remove_file(checkout.path(".bulla.yaml")).unwrap();
    commit(&checkout, &[]).exits(1).says("recipient");
    add(&["sub/.bulla.yaml"]);
    std::fs::remove_file(checkout.path("sub/.bulla.yaml")).unwrap();
    commit(&checkout, &[]).exits(0);

    // Neither does a file of recipients say more than is staged of it.
    let named = "version: 1\nrules: [{path: '**', recipientFiles: [../keys.txt]}]\n";
    checkout.commit("keys.txt", &format!("{}\n", other.recipient()));
    checkout.commit("sub/.bulla.yaml", named);
    checkout.write("sub/db.yaml", &sealed(&ours));
    checkout.write("keys.txt", &format!("{}\n{}\n", other.recipient(), ours.recipient()));
    add(&["sub/db.yaml"]);
    commit(&checkout, &[]).exits(1).says("recipient");
    add(&["keys.txt"]);
    commit(&checkout, &[]).exits(0);
}

#[test]
fn linked_rules_and_recipients_from_elsewhere_are_refused() {
    let checkout = Checkout::installed();
    let key = Key::new();
    let sealed = manifest("prod/db", &format!("a: {}", key.seal("a", CANARY, "2026-11-01")));
    checkout.write("db.yaml", &sealed);
    checkout.bench.write("keys.txt", &format!("{}\n", key.recipient()));
    let rules = |file: &str| format!("version: 1\nrules: [{{path: '**', recipientFiles: [{file}]}}]\n");
    checkout.write(".bulla.yaml", &rules("../keys.txt"));
    let verify = |code: i32| checkout.bulla(&["verify", "."]).exits(code).out;
    assert!(verify(1).contains("is outside of"), "{}", verify(1));
    checkout.write("keys.txt", &format!("{}\n", key.recipient()));
    checkout.write(".bulla.yaml", &rules("keys.txt"));
    verify(0);
    std::fs::rename(checkout.path(".bulla.yaml"), checkout.path("rules.txt")).unwrap();
    std::os::unix::fs::symlink("rules.txt", checkout.path(".bulla.yaml")).unwrap();
    assert!(verify(1).contains("is a link"), "{}", verify(1));
    checkout.git(&["add", "-A"]).exits(0);
    commit(&checkout, &[]).exits(1).says("is a link");
}
