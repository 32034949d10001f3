//! The run without a cluster, from the first look to the last word.

use std::fs;

use serde_json::{Value, json};

use super::team::Team;

fn steps(report: &Value) -> Vec<(String, String)> {
    let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
    report["steps"].as_array().unwrap().iter().map(|line| (text(line, "step"), text(line, "mark"))).collect()
}

fn marks(report: &Value) -> String {
    steps(report).into_iter().map(|(_, mark)| mark).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_rotation_is_one_run_and_ends_after_the_merge() {
    let team = Team::new(3);
    let before = team.snapshot();
    let planned = team.begin(&["--dry-run"]).exits(0);
    assert!(planned.out.contains("○ seal again  6 values in 3 files; recipients in .bulla.yaml"), "{}", planned.out);
    assert!(planned.out.contains("○ commit      4 files on a branch of its own"), "{}", planned.out);
    assert!(team.snapshot() == before, "a dry run changed something");

    let run = team.begin(&[]).exits(0).says("git revert").says("the secrets themselves are what they were");
    for line in [
        "✓ new key",
        "✓ seal again  6 values in 3 files",
        "✓ verify      no findings",
        "✓ commit",
        "▶ merge",
        "○ retire",
    ] {
        assert!(run.out.contains(line), "{line} in {}", run.out);
    }
    team.assert_rotated(3);
    let message = team.git(&["log", "-1", "--format=%B"]);
    for part in [&team.id_of("old"), &team.id_of("new"), "6 values in 3 files", "Bulla-Rotation: "] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(team.git(&["log", "-1", "--format=%an"]), "Robin");
    assert!(
        team.read(".bulla.yaml")
            .starts_with("# who opens what\nversion: 1\nrules:\n- path: \"clusters/prod/**\"   # production\n")
    );

    // Nobody has merged it: the run waits, and changes nothing.
    let head = team.git(&["rev-parse", "HEAD"]);
    let run = team.rotate(&["--continue", "--yes"]).exits(0);
    assert!(run.out.contains("goes on where it stopped") && run.out.contains("▶ merge"), "{}", run.out);
    assert_eq!(team.git(&["rev-parse", "HEAD"]), head);

    team.git(&["checkout", "--quiet", "main"]);
    team.git(&["merge", "--quiet", "-"]);
    let run = team.rotate(&["--yes"]).exits(0);
    assert!(run.out.contains("✓ merge       main has it") && run.out.contains("✓ retire"), "{}", run.out);
    assert!(!team.state().exists());
    team.rotate(&["--continue", "--yes"]).exits(2).says("no run has begun in this working tree");

    // The next one.
    let run = team.rotate(&["--yes", "--identity", "new.key", "--new-identity", "newer.key"]).exits(0);
    assert!(run.out.contains("6 values in 3 files"), "{}", run.out);
}

#[test]
fn the_report_for_machines_says_every_step() {
    let team = Team::new(2);
    let report = team.begin_json(&["--dry-run"]);
    assert_eq!(
        (report["standing"].as_str(), marks(&report).as_str()),
        (Some("planned"), "open open open open open open")
    );
    let report = team.begin_json(&[]);
    assert_eq!(report["standing"], "waiting", "{report}");
    assert_eq!(marks(&report), "done done done done now open");
    assert_eq!(report["resealed"], json!({"values": 4, "files": 2, "failed": 0}));
    assert_eq!(report["oldKeys"], json!([team.id_of("old")]));
    assert_eq!(report["newKeys"][0]["id"], json!(team.id_of("new")));
    assert_eq!(report["commit"], json!(team.git(&["rev-parse", "HEAD"])));
    assert_eq!(report["hanging"]["base"][0]["values"], 4);
    assert_eq!(report["hanging"]["merged"], false);
    team.git(&["checkout", "--quiet", "main"]);
    team.git(&["merge", "--quiet", "--squash", "-"]);
    team.git(&["commit", "--quiet", "-m", "Squashed"]);
    let run = team.rotate(&["--yes", "--output", "json"]).exits(0);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((report["standing"].as_str(), report["resumed"].as_bool()), (Some("done"), Some(true)), "{report}");
    assert_eq!(marks(&report), "done done done done done done");
}

#[test]
fn changes_of_others_stay_where_they_are() {
    let team = Team::new(2);
    team.write("notes.md", "one\n");
    team.write("staged.md", "one\n");
    team.commit("Notes");
    team.write("notes.md", "two\n");
    team.write("staged.md", "two\n");
    team.git(&["add", "staged.md"]);
    team.write("untracked.md", "new\n");
    team.begin(&[]).exits(0);
    assert_eq!(
        team.git(&["status", "--porcelain"]),
        " M notes.md\nM  staged.md\n?? untracked.md".trim_start_matches('\n')
    );
    assert_eq!(team.git(&["diff", "--name-only", "main", "HEAD"]).lines().count(), 3);
}

#[test]
fn recipients_in_files_change_in_place() {
    let team = Team::empty();
    let keys = format!("# production\n{}  \n# recovery\n{}\n", team.public("old"), team.public("recovery"));
    team.write("keys/prod.txt", &keys);
    let rule = |path: &str| format!("- path: '{path}'\n  recipientFiles: [keys/prod.txt]\n");
    team.write(".bulla.yaml", &format!("version: 1\nrules:\n{}", rule("**")));
    team.seal("db.yaml", "db");
    team.commit("Seal");
    team.begin(&[]).exits(0);
    let new = team.bench.read("new.key");
    let new = new.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    assert_eq!(team.read("keys/prod.txt"), keys.replace(&team.public("old"), new));
    assert_eq!(team.git(&["diff", "--name-only", "main", "HEAD"]), "db.yaml\nkeys/prod.txt");
    assert!(team.opens("db.yaml", "new") && team.opens("db.yaml", "recovery") && !team.opens("db.yaml", "old"));
}

#[test]
fn without_rules_the_new_key_takes_the_place_of_the_old_one() {
    let team = Team::empty();
    team.rules(&["old"]);
    team.seal("clusters/prod/db.yaml", "db");
    fs::remove_file(team.path(".bulla.yaml")).unwrap();
    team.commit("Seal");
    team.begin(&[]).exits(0);
    assert_eq!(team.keys_of("clusters/prod/db.yaml"), [team.id_of("new")]);
}

#[test]
fn a_value_that_fails_is_told_and_the_others_go_on() {
    let team = Team::new(2);
    let text = team.read("clusters/prod/app-1.yaml");
    let other = team.read("clusters/prod/app-0.yaml");
    let line = |text: &str| text.lines().find(|line| line.contains("password: ")).unwrap().to_owned();
    // A value that was sealed for another object.
    team.write("clusters/prod/app-1.yaml", &text.replace(&line(&text), &line(&other)));
    team.commit("Mistake");
    let refused = team.begin(&[]).exits(1);
    assert!(
        refused.err.contains("which would stop the run before its commit") && !team.state().exists(),
        "{}",
        refused.err
    );

    // Sealed for the right place, and damaged since.
    let value = line(&text).split(": ").nth(1).unwrap().to_owned();
    let mut damaged = value.clone().into_bytes();
    let at = damaged.len() - 20;
    damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
    team.write("clusters/prod/app-1.yaml", &text.replace(&value, std::str::from_utf8(&damaged).unwrap()));
    team.commit("Damage");
    let run = team.begin(&[]).exits(1).says("1 value could not be sealed again and need the old key still");
    assert!(run.out.contains("✓ seal again  3 values in 2 files; 1 failed"), "{}", run.out);
    assert!(run.out.contains("✗ clusters/prod/app-1.yaml:") && run.out.contains("password"), "{}", run.out);
    assert!(run.out.contains("✓ commit"), "{}", run.out);
    team.git(&["checkout", "--quiet", "main"]);
    team.git(&["merge", "--quiet", "-"]);
    let run = team.rotate(&["--yes"]).exits(1);
    assert!(run.out.contains("✓ merge") && run.out.contains("▶ retire"), "{}", run.out);
    assert!(run.out.contains("1 value in Git on main") && run.out.contains("app-1.yaml"), "{}", run.out);
    // Mended: nothing needs the old key any more.
    fs::remove_file(team.path("clusters/prod/app-1.yaml")).unwrap();
    team.seal("clusters/prod/app-1.yaml", "app-1");
    team.commit("Mend");
    let run = team.rotate(&["--yes"]).exits(0);
    assert!(run.out.contains("✓ retire"), "{}", run.out);
}

#[test]
fn findings_stop_the_run_before_the_commit_and_a_mend_lets_it_go_on() {
    let team = Team::new(2);
    let plain = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: b}\n";
    team.write("clusters/prod/plain.yaml", plain);
    team.commit("A leak");
    team.begin(&[]).exits(1).says("clusters/prod/plain.yaml").says("would stop the run before its commit");
    assert!(!team.state().exists() && !team.bench.path("new.key").exists());
    team.git(&["rm", "--quiet", "clusters/prod/plain.yaml"]);
    team.commit("No leak");

    // While the run is stopped by something else, a leak is staged.
    let hook = team.hook("pre-commit", "exit 1");
    team.begin(&[]).exits(1);
    fs::remove_file(hook).unwrap();
    team.write("clusters/prod/plain.yaml", plain);
    team.git(&["add", "clusters/prod/plain.yaml"]);
    let run = team.rotate(&["--yes"]).exits(1).says("stopped the run before the commit");
    assert!(run.out.contains("✗ verify      1 finding\n") && run.out.contains("[plain-secret]"), "{}", run.out);
    assert!(run.out.contains("○ commit"), "{}", run.out);
    let report: Value = serde_json::from_str(&team.rotate(&["--yes", "--output", "json"]).exits(1).out).unwrap();
    assert_eq!(report["standing"], "stopped");
    assert_eq!(report["findings"][0]["rule"], "plain-secret", "{report}");
    team.git(&["rm", "--quiet", "--force", "clusters/prod/plain.yaml"]);
    team.rotate(&["--yes"]).exits(0);
    team.assert_rotated(2);
}

#[test]
fn a_revert_of_the_rotation_still_opens_with_the_old_key() {
    let team = Team::new(2);
    team.begin(&[]).exits(0);
    team.git(&["checkout", "--quiet", "main"]);
    team.git(&["merge", "--quiet", "-"]);
    team.rotate(&["--yes"]).exits(0);
    team.git(&["revert", "--no-edit", "HEAD"]);
    assert!(team.opens("clusters/prod/app-0.yaml", "old") && !team.opens("clusters/prod/app-0.yaml", "new"));
    // One file alone, as people do it: the rules of today say no, before anybody merges it.
    team.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    team.git(&["checkout", "--quiet", "HEAD~1", "--", "clusters/prod/app-0.yaml"]);
    let run = team.bench.run(&["verify", "repo/clusters"]).exits(1);
    assert!(run.out.contains("app-0.yaml") && run.out.contains(&team.id_of("old")), "{}", run.out);
}

#[test]
fn a_run_can_be_given_up_before_and_after_its_commit() {
    let team = Team::new(2);
    let head = team.git(&["rev-parse", "HEAD"]);
    let tree = |team: &Team| {
        (
            team.git(&["status", "--porcelain"]),
            team.git(&["rev-parse", "HEAD"]),
            team.git(&["branch", "--show-current"]),
        )
    };
    let clean = (String::new(), head.clone(), "main".to_owned());

    team.begin(&[]).exits(0);
    team.rotate(&["--abort", "--yes"]).exits(0).says("new.key stays");
    assert_eq!(tree(&team), clean);
    assert_eq!(team.git(&["branch", "--list", "bulla/*"]), "");
    assert!(!team.state().exists() && team.bench.path("new.key").exists());

    fs::remove_file(team.bench.path("new.key")).unwrap();
    let hook = team.hook("pre-commit", "exit 1");
    team.begin(&[]).exits(1);
    fs::remove_file(hook).unwrap();
    assert_ne!(tree(&team), clean);
    team.write("clusters/prod/app-1.yaml", &format!("{}# mine\n", team.read("clusters/prod/app-1.yaml")));
    team.rotate(&["--abort", "--yes"]).exits(0).says("stay as they are: clusters/prod/app-1.yaml");
    assert_eq!(team.git(&["status", "--porcelain"]).trim(), "M clusters/prod/app-1.yaml");

    team.git(&["checkout", "--quiet", "--", "."]);
    fs::remove_file(team.bench.path("new.key")).unwrap();
    team.begin(&["--no-commit"]).exits(0);
    assert_eq!(team.git(&["status", "--porcelain"]).lines().count(), 3);
    team.rotate(&["--abort", "--yes"]).exits(0).says("3 files put back");
    assert_eq!(tree(&team), clean);
}

#[test]
fn a_commit_by_hand_is_found_when_it_is_merged() {
    let team = Team::new(2);
    let run = team.begin(&["--no-commit"]).exits(0);
    assert!(run.out.contains("- commit      left to you"), "{}", run.out);
    assert_eq!(team.git(&["branch", "--show-current"]), "main");
    let run = team.rotate(&["--yes"]).exits(0);
    assert!(run.out.contains("▶ merge"), "{}", run.out);
    team.commit("Rotate");
    let run = team.rotate(&["--yes"]).exits(0);
    assert!(run.out.contains("✓ retire"), "{}", run.out);
}

#[test]
fn other_branches_with_old_values_are_named() {
    let team = Team::new(1);
    team.git(&["checkout", "--quiet", "-b", "feature/x"]);
    team.seal("clusters/prod/feature.yaml", "feature");
    team.commit("A feature");
    team.git(&["checkout", "--quiet", "main"]);
    team.begin(&[]).exits(0);
    team.git(&["checkout", "--quiet", "main"]);
    team.git(&["merge", "--quiet", "-"]);
    let run = team.rotate(&["--yes"]).exits(0);
    assert!(run.out.contains("! branch feature/x holds 4 values sealed to the old key"), "{}", run.out);
}

#[test]
fn a_part_of_the_repository_is_rotated_only_where_its_rules_allow_it() {
    let team = Team::new(1);
    team.seal("clusters/prod/sub/db.yaml", "db");
    team.commit("More");
    let arguments = ["--yes", "--identity", "old.key", "--new-identity", "new.key"];
    let run = team.rotate_at("repo/clusters/prod/sub", &arguments).exits(1);
    assert!(run.err.contains("outside of PATH") && run.err.contains("clusters/prod/app-0.yaml"), "{}", run.err);
    assert!(!team.bench.path("new.key").exists());
    team.rotate_at("repo/clusters", &arguments).exits(0);
}

#[test]
fn the_key_of_an_earlier_command_is_used_and_a_public_place_is_refused() {
    let team = Team::new(1);
    let run = team.rotate(&["--yes", "--identity", "old.key", "--new-identity", "repo/new.key"]).exits(1);
    assert!(run.err.contains("is in the working tree"), "{}", run.err);
    team.write(".gitignore", "*.key\n");
    team.commit("Ignore");
    team.rotate(&["--dry-run", "--identity", "old.key", "--new-identity", "repo/new.key"]).exits(0);
    team.rotate(&["--yes", "--identity", "old.key", "--new-identity", "old.key"])
        .exits(1)
        .says("that is to be replaced");
    team.bench.run(&["keys", "generate", "--type", "x25519", "-o", "new.key"]).exits(0);
    let key = team.bench.read("new.key");
    team.begin(&[]).exits(0);
    assert_eq!(team.bench.read("new.key"), key);
    team.assert_rotated(1);
}

#[test]
fn values_of_kubeseal_move_to_the_new_key_of_the_native_format() {
    let team = Team::empty();
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap().pem();
    team.bench.write("old.pem", &pair.serialize_pem());
    team.write("keys/prod.pem", &certificate);
    team.write(".bulla.yaml", "version: 1\nrules:\n- path: '**'\n  recipientFiles: [keys/prod.pem]\n");
    team.seal("db.yaml", "db");
    team.commit("Seal");
    assert_eq!(team.keys_of("db.yaml"), [""; 0], "it names a key");
    let arguments = ["--yes", "--identity", "old.pem", "--new-identity", "new.key"];
    let run = team.rotate(&arguments).exits(1).says("keys/prod.pem: is a certificate, and the new key has none");
    assert!(run.out.is_empty() && !team.bench.path("new.key").exists());

    // As it was before there were rules.
    fs::remove_file(team.path(".bulla.yaml")).unwrap();
    team.commit("No rules");
    let planned = team.rotate(&[&arguments[..], &["--dry-run"]].concat()).exits(0);
    assert!(planned.out.contains("2 values in 1 file, 2 of which do not say to which key"), "{}", planned.out);
    let run = team.rotate(&arguments).exits(0);
    assert!(run.out.contains("✓ seal again  2 values in 1 file\n"), "{}", run.out);
    assert_eq!(team.keys_of("db.yaml"), [team.id_of("new")]);
    assert!(team.opens("db.yaml", "new"));
    team.git(&["checkout", "--quiet", "main"]);
    team.git(&["merge", "--quiet", "-"]);
    let run = team.rotate(&["--yes"]).exits(0);
    assert!(run.out.contains("✓ retire"), "{}", run.out);
}

#[test]
fn values_of_kubeseal_that_fail_keep_the_old_key_until_they_are_mended() {
    let team = Team::empty();
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap().pem();
    team.bench.write("old.pem", &pair.serialize_pem());
    team.write("prod.pem", &certificate);
    team.write(".bulla.yaml", "version: 1\nrules:\n- path: '**'\n  recipientFiles: [prod.pem]\n");
    team.seal("good.yaml", "good");
    team.seal("renamed.yaml", "renamed");
    for gone in [".bulla.yaml", "prod.pem"] {
        fs::remove_file(team.path(gone)).unwrap();
    }
    // Nothing but the key itself can tell that this one does not open.
    let renamed = team.read("renamed.yaml").replace("name: renamed", "name: another");
    team.write("renamed.yaml", &renamed);
    team.commit("Seal");
    let whole = team.copy();
    let arguments = ["--yes", "--native", "--identity", "old.pem", "--new-identity", "new.key"];
    let run = team.rotate(&arguments).exits(1).says("could not be sealed again");
    assert!(run.out.contains("2 values in 1 file; 2 failed"), "{}", run.out);
    team.git(&["checkout", "--quiet", "main"]);
    team.git(&["merge", "--quiet", "-"]);
    let run = team.rotate(&["--yes", "--continue"]).exits(1);
    assert!(run.out.contains("▶ retire") && run.out.contains("2 values in Git on main that could not"), "{}", run.out);
    assert!(
        !run.out.contains("needs it\n") && run.out.contains("renamed.yaml") && team.state().exists(),
        "{}",
        run.out
    );
    // Mended: the object has its name again, and its values are sealed to the new key.
    team.write("renamed.yaml", &renamed.replace("name: another", "name: renamed"));
    team.bench.run(&["reseal", "repo", "--identity", "old.pem", "--to", &team.public_of_new()]).exits(0);
    team.commit("Mend");
    let run = team.rotate(&["--yes", "--continue"]).exits(0);
    assert!(run.out.contains("✓ retire"), "{}", run.out);

    // The only values that there are: there is nothing to commit, and the key is needed all the same.
    fs::remove_file(whole.path("good.yaml")).unwrap();
    whole.commit("Fewer");
    let run = whole.rotate(&arguments).exits(1);
    assert!(run.out.contains("there is nothing to commit") && run.out.contains("▶ retire"), "{}", run.out);
    assert!(!run.out.contains("no value of main needs it"), "{}", run.out);
    whole.rotate(&["--yes", "--continue"]).exits(1);
}

#[test]
fn a_kind_that_does_not_go_with_the_others_is_refused_before_a_key_is_made() {
    let team = Team::new(1);
    let run = team.begin(&["--type", "hybrid"]);
    assert!(run.code == 1 && run.err.contains("those whom the rule for"), "{}", run.err);
    assert!(!team.bench.path("new.key").exists() && !team.state().exists());
}
