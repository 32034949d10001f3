//! The agent as a whole: its own process, a real repository, real files.

pub(crate) mod bench;
mod elsewhere;
mod exposed;
mod handed;
mod kill;
mod trial;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bulla::host::agent::{Condition, Request};

use self::bench::Host;

const CANARY: &str = "c4n4ry-0f-h0st-m0de";

fn declared(files: &str, services: &str) -> String {
    format!(
        "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: app, namespace: web}}\nspec:\n  files:\n{files}  services:\n{services}"
    )
}

const FILES: &str = "  - {path: /etc/app/token, secret: {name: app, key: token}, mode: \"0440\"}\n  \
                     - {path: /etc/app/app.conf, inline: \"token={{ .app.token }}\\nuser={{ .app.user }}\\n\", secrets: [{name: app}]}\n";

/// A service whose reload and health are commands that leave a trace.
fn service(host: &Host, health: &str) -> String {
    let told = host.path("told");
    format!(
        "  - name: app\n    reloadOn: [\"/etc/app/**\"]\n    commands:\n      reload: [sh, -c, \"echo reload >> {told}\"]\n      \
         restart: [sh, -c, \"echo restart >> {told}\"]\n      status: [\"true\"]\n    health:\n      command: [sh, -c, \"{health}\"]\n      \
         within: 2s\n      for: 300ms\n",
        told = told.display()
    )
}

fn told(host: &Host) -> usize {
    fs::read_to_string(host.path("told")).unwrap_or_default().lines().count()
}

fn first(host: &Host, health: &str) -> String {
    host.write("web/app.yaml", &host.sealed("app", &[("token", CANARY), ("user", "sam")]));
    host.write("web/host.yaml", &declared(FILES, &service(host, health)));
    host.commit("The application")
}

#[test]
fn a_commit_becomes_files_and_only_what_changed_is_told() {
    let mut host = Host::new("");
    let commit = first(&host, "true");
    host.start();
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY), "{}", host.log());
    assert_eq!(host.read("/etc/app/app.conf"), Some(format!("token={CANARY}\nuser=sam\n")));
    let token = fs::metadata(host.declared("/etc/app/token")).unwrap();
    assert_eq!(token.permissions().mode() & 0o7777, 0o440);
    assert!(fs::symlink_metadata(host.declared("/etc/app/token")).unwrap().is_symlink());
    let status = host.status();
    assert_eq!((status.condition, status.good.unwrap().commit), (Condition::InSync, commit), "{}", host.log());
    assert_eq!(told(&host), 1, "it runs, and has new files: {}", host.log());
    // The same commit again: nothing.
    let before = host.status().generation;
    assert!(host.ask(&Request::Sync).done);
    assert_eq!(host.status().generation, before);
    // A change that does not concern the host.
    host.write("README.md", "hello\n");
    host.commit("Words");
    assert!(host.ask(&Request::Sync).done);
    assert_eq!((host.status().generation, told(&host)), (before, 1));
    // One that does.
    host.write("web/app.yaml", &host.sealed("app", &[("token", "another-token"), ("user", "sam")]));
    host.commit("Another token");
    let answer = host.ask(&Request::Sync);
    assert!(answer.done, "{}", answer.message);
    assert_eq!(host.read("/etc/app/app.conf").as_deref(), Some("token=another-token\nuser=sam\n"));
    assert_eq!(told(&host), 2, "{}", host.log());
    // Nothing of it is on a disk, and nothing of it was said.
    host.kill();
    for (path, bytes) in host.on_disk() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(CANARY) && !text.contains("another-token"), "{}", path.display());
    }
    let status = fs::read_to_string(host.run().join("status.json")).unwrap();
    assert!(!status.contains(CANARY));
}

#[test]
fn a_commit_that_is_not_well_is_gone_back_from_and_not_tried_again_and_a_revert_goes_on() {
    let mut host = Host::new("");
    let good = first(&host, "true");
    host.start();
    host.write("web/app.yaml", &host.sealed("app", &[("token", "bad"), ("user", "sam")]));
    host.write("web/host.yaml", &declared(FILES, &service(&host, "echo token=bad; exit 1")));
    let bad = host.commit("Broken");
    let answer = host.ask(&Request::Sync);
    assert!(!answer.done && answer.message.contains("did not prove well"), "{}", answer.message);
    assert_eq!(answer.status.condition, Condition::RolledBack);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY), "{}", host.log());
    let after_bad = told(&host);
    assert_eq!(after_bad, 3, "told of the new files, and of the old ones again: {}", host.log());
    let status = host.status();
    assert_eq!((status.good.unwrap().commit, status.bad[0].commit.as_str()), (good, bad.as_str()));
    // What a check says may hold a secret.
    assert!(!status.bad[0].why.contains("token=bad"), "{}", status.bad[0].why);
    assert!(!host.ask(&Request::Sync).done);
    assert_eq!(told(&host), after_bad, "it is not tried again");
    host.git(&["revert", "--no-edit", "HEAD"]);
    let answer = host.ask(&Request::Sync);
    assert!(answer.done, "{}", answer.message);
    assert_eq!(host.status().condition, Condition::InSync);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
}

#[test]
fn an_agent_that_was_started_anew_knows_what_is_wrong_and_whom_to_tell() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    // One file that cannot be made.
    host.write("web/more.yaml", "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {name: more, namespace: web}\nspec:\n  files:\n  - {path: /etc/more, secret: {name: absent, key: k}}\n");
    host.commit("A file of nothing");
    assert_eq!(host.ask(&Request::Sync).status.condition, Condition::Degraded);
    let before = host.status();
    host.kill();
    host.start();
    let after = host.status();
    assert_eq!((after.condition, after.problems, after.services), (before.condition, before.problems, before.services));
    assert_eq!(after.generation, before.generation);
    let told_before = told(&host);
    // A bad commit, taken by an agent that has read nothing else.
    host.kill();
    host.write("web/app.yaml", &host.sealed("app", &[("token", "bad"), ("user", "sam")]));
    host.write("web/host.yaml", &declared(FILES, &service(&host, "false")));
    let bad = host.commit("Broken");
    assert!(!host.controller(&["--once"]).status.success());
    assert_eq!(host.status().bad[0].commit, bad);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    assert_eq!(told(&host), told_before + 2, "told of the new files, and of the old ones again");
}

#[test]
fn what_validate_refuses_was_never_there() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    let conf = host.declared("/etc/app/app.conf");
    let check = format!(
        "  - name: app\n    reloadOn: [\"/etc/app/**\"]\n    validate: [grep, -q, \"^user=sam$\", \"{}\"]\n    commands: {{reload: [\"true\"], status: [\"true\"]}}\n",
        conf.display()
    );
    host.write("web/host.yaml", &declared(FILES, &check));
    host.commit("A check");
    let answer = host.ask(&Request::Sync);
    assert!(answer.done, "{}\n{}", answer.message, host.log());
    let before = host.status().generation;
    host.write("web/app.yaml", &host.sealed("app", &[("token", "new"), ("user", "gollum")]));
    host.commit("A wrong user");
    let answer = host.ask(&Request::Sync);
    assert_eq!(answer.status.condition, Condition::RolledBack, "{}\n{}", answer.message, host.log());
    assert_eq!(host.status().generation, before);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    host.write("web/app.yaml", &host.sealed("app", &[("token", "new"), ("user", "sam")]));
    host.commit("The right user");
    let answer = host.ask(&Request::Sync);
    assert!(answer.done, "the command sees the staged file: {}\n{}", answer.message, host.log());
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("new"));
}

#[test]
fn one_bad_value_keeps_its_last_good_file_and_the_others_go_on() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    let stranger = bulla::seal::Identity::generate_x25519().unwrap();
    let ours = std::mem::replace(&mut host.identity, stranger);
    let foreign = host.sealed("app", &[("token", "unknown"), ("user", "sam")]);
    host.identity = ours;
    host.write("web/app.yaml", &foreign);
    host.write("web/other.yaml", &host.sealed("other", &[("k", "of-the-other")]));
    let more = format!("{FILES}  - {{path: /etc/other, secret: {{name: other, key: k}}}}\n");
    host.write("web/host.yaml", &declared(&more, &service(&host, "true")));
    host.commit("A value for another host");
    let answer = host.ask(&Request::Sync);
    assert_eq!(answer.status.condition, Condition::Degraded, "{}", answer.message);
    assert!(answer.message.contains("app") && answer.message.contains("key"), "{}", answer.message);
    assert_eq!(host.read("/etc/other").as_deref(), Some("of-the-other"));
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    let stale: Vec<bool> = host.status().files.iter().map(|file| file.is_stale).collect();
    assert_eq!(stale.iter().filter(|stale| **stale).count(), 2, "{:?}", host.status().files);
}

#[test]
fn a_key_that_comes_later_opens_what_did_not() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    let new = bulla::seal::Identity::generate_x25519().unwrap();
    let key = new.to_file_text(jiff::Timestamp::now()).unwrap();
    let old = std::mem::replace(&mut host.identity, new);
    host.write("web/app.yaml", &host.sealed("app", &[("token", "for-the-new-key"), ("user", "sam")]));
    host.identity = old;
    host.commit("Sealed to the next key");
    assert_eq!(host.ask(&Request::Sync).status.condition, Condition::Degraded);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    let path = host.path("host.key");
    let both = format!("{}\n{}", fs::read_to_string(&path).unwrap(), key.as_str());
    fs::write(&path, both).unwrap();
    let answer = host.ask(&Request::Sync);
    assert_eq!(answer.status.condition, Condition::InSync, "{}", answer.message);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("for-the-new-key"));
}

#[test]
fn changes_by_hand_are_put_back_and_what_is_declared_no_more_is_gone() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    let token = host.declared("/etc/app/token");
    fs::remove_file(&token).unwrap();
    fs::write(&token, "by hand").unwrap();
    host.until("the link is back", || host.read("/etc/app/token").as_deref() == Some(CANARY));
    // In place, behind the link.
    let behind = fs::canonicalize(host.declared("/etc/app/app.conf")).unwrap();
    fs::set_permissions(&behind, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&behind, "by hand").unwrap();
    host.until("the bytes are back", || host.read("/etc/app/app.conf") == Some(format!("token={CANARY}\nuser=sam\n")));
    host.until("it is said", || host.status().drifts >= 2);
    host.write("web/host.yaml", &declared(FILES.lines().next().unwrap(), "").replace("  services:\n", "\n"));
    host.commit("One file less");
    let answer = host.ask(&Request::Sync);
    assert!(answer.done, "{}", answer.message);
    assert!(fs::symlink_metadata(host.declared("/etc/app/app.conf")).is_err());
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
}

#[test]
fn after_a_reboot_without_a_network_the_files_are_back() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    host.kill();
    // What was in memory is gone, and so is the repository.
    fs::remove_dir_all(host.run()).unwrap();
    fs::rename(host.path("infra"), host.path("away")).unwrap();
    assert_eq!(host.read("/etc/app/token"), None);
    let run = host.controller(&["--once", "--offline"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    let run = host.controller(&["--once"]);
    assert_eq!(run.status.code(), Some(1), "it is behind: {}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
}

#[test]
fn early_at_boot_only_files_are_put_in_place() {
    let mut host = Host::new("");
    // What it is told by, and what validates it, cannot work that early.
    let told = host.path("told");
    first(&host, &format!("echo told >> {}", told.display()));
    host.start();
    host.kill();
    fs::remove_dir_all(host.run()).unwrap();
    drop(fs::remove_file(&told));
    let run = host.controller(&["--once", "--offline", "--files-only"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    assert!(!told.exists(), "a command of the repository ran");
    // The agent that follows goes on from there.
    host.start();
    assert_eq!(host.status().condition, Condition::InSync);
}

#[test]
fn rewritten_history_is_refused_until_somebody_says_otherwise() {
    let mut host = Host::new("");
    first(&host, "true");
    host.write("web/app.yaml", &host.sealed("app", &[("token", "second"), ("user", "sam")]));
    let second = host.commit("A second token");
    host.start();
    host.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let answer = host.ask(&Request::Sync);
    assert!(!answer.done, "an older commit is a replay: {}", answer.message);
    assert_eq!((answer.status.condition, answer.status.good.unwrap().commit), (Condition::Behind, second));
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("second"));
    host.write("x", "y");
    let rewritten = host.commit("Another history");
    assert!(!host.ask(&Request::Sync).done);
    let answer = host.ask(&Request::AcceptRewrite { commit: rewritten.clone() });
    assert!(answer.done, "{}", answer.message);
    assert_eq!(host.status().good.unwrap().commit, rewritten);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
}

#[test]
fn back_by_hand_and_forward_with_the_next_commit() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    host.write("web/app.yaml", &host.sealed("app", &[("token", "second"), ("user", "sam")]));
    host.commit("A second token");
    assert!(host.ask(&Request::Sync).done);
    let answer = host.ask(&Request::Rollback);
    assert!(answer.done, "{}", answer.message);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    assert!(!host.ask(&Request::Sync).done, "it is not taken again by itself");
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    let answer = host.ask(&Request::Forgive { commit: None });
    assert!(answer.done, "{}", answer.message);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("second"));
}

#[test]
fn a_dry_run_says_what_would_be_and_does_nothing() {
    let host = Host::new("");
    first(&host, "true");
    let run = host.controller(&["--dry-run"]);
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success() && said.contains("/etc/app/token"), "{said}");
    assert!(!said.contains(CANARY), "{said}");
    assert!(fs::symlink_metadata(host.declared("/etc/app/token")).is_err());
    assert_eq!(fs::read_dir(host.run().join("generations")).unwrap().count(), 1, "but for the empty one");
}

#[test]
fn the_running_agent_says_what_a_commit_would_change_and_does_none_of_it() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    let (before, told_before) = (host.status(), told(&host));
    let preview = *host.ask(&Request::Preview).preview.unwrap();
    assert_eq!((preview.changes.len(), preview.steps.len(), preview.refused), (0, 0, None));
    host.write("web/app.yaml", &host.sealed("app", &[("token", "another-token"), ("user", "sam")]));
    let coming = host.commit("Another token");
    let answer = host.ask(&Request::Preview);
    assert!(answer.done, "{}", answer.message);
    let preview = *answer.preview.unwrap();
    assert_eq!((preview.good, preview.commit), (before.good.clone().map(|good| good.commit), coming.clone()));
    let paths: Vec<_> = preview.changes.iter().map(|change| change.path.display().to_string()).collect();
    assert_eq!(paths, ["/etc/app/app.conf", "/etc/app/token"]);
    assert_eq!(preview.steps, ["reload app"]);
    let after = host.status();
    assert_eq!((after.good, after.generation), (before.good, before.generation), "{}", host.log());
    assert_eq!((host.read("/etc/app/token").as_deref(), told(&host)), (Some(CANARY), told_before));
    // And it is taken as ever.
    assert!(host.ask(&Request::Sync).done, "{}", host.log());
    assert_eq!(host.status().good.unwrap().commit, coming);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("another-token"));
    // What would not be taken.
    host.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let answer = host.ask(&Request::Preview);
    assert!(!answer.done && answer.preview.unwrap().refused.is_some(), "{}", answer.message);
}

#[test]
fn allow_holds_against_plain_files_units_and_credentials_of_a_commit() {
    let allow = "allow: {paths: [\"/etc/**\"], commands: false, units: [\"app*\"]}\n";
    let mut host = Host::new(allow);
    host.write("web/app.yaml", &host.sealed("app", &[("token", CANARY), ("user", "sam")]));
    let evil = "  - {path: /etc/cron.d/evil, inline: x}\n  - {path: /etc/systemd/system/sshd.service.d/evil.conf, inline: x}\n";
    let more = "  credentials:\n  - {name: token, unit: ssh.service, secret: {name: app, key: token}}\n  \
                units:\n  - {name: debug-shell.service, inline: x, enable: true, start: true}\n";
    host.write("web/host.yaml", &declared(&format!("{FILES}{evil}"), more).replace("  services:\n", ""));
    host.commit("More than it may");
    host.start();
    let status = host.status();
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY), "{}", host.log());
    for path in ["/etc/cron.d", "/etc/systemd"] {
        assert!(fs::symlink_metadata(host.declared(path)).is_err(), "{path}");
    }
    let mut said: Vec<_> = status.problems.iter().map(|problem| problem.object.as_str()).collect();
    said.sort_unstable();
    let expected = [
        "/etc/cron.d/evil",
        "/etc/systemd/system/debug-shell.service",
        "/etc/systemd/system/sshd.service.d/evil.conf",
        "credential token of ssh.service",
        "unit debug-shell.service",
    ];
    assert_eq!((said, status.condition), (expected.to_vec(), Condition::Degraded), "{}", host.log());
}

#[test]
fn settings_that_cannot_be_are_told_with_code_2_and_a_disk_is_refused() {
    let host = Host::new("keeps: 3\n");
    let run = host.controller(&["--once"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("keeps"));
    let host = Host::new("");
    let disk = host.path("on-disk");
    let settings = fs::read_to_string(host.path("host.yaml")).unwrap();
    let settings = settings.replace(&host.run().display().to_string(), &disk.display().to_string());
    fs::write(host.path("host.yaml"), settings).unwrap();
    let run = host.controller(&["--once"]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.code() == Some(2) && said.contains("allowDisk"), "{said}");
}

#[test]
fn a_kill_in_the_middle_of_a_bad_commit_does_not_make_it_good() {
    let mut host = Host::new("");
    let good = first(&host, "true");
    host.start();
    host.write("web/app.yaml", &host.sealed("app", &[("token", "bad"), ("user", "sam")]));
    let slow = service(&host, "exit 1").replace("within: 2s", "within: 20s");
    host.write("web/host.yaml", &declared(FILES, &slow));
    let bad = host.commit("Broken");
    let run = host.run();
    let asking = std::thread::spawn(move || bulla::host::agent::ask(&run, &Request::Sync));
    host.until("the new files are there", || host.read("/etc/app/token").as_deref() == Some("bad"));
    host.kill();
    assert!(asking.join().unwrap().is_err());
    // The next one finds the bad files in use.
    host.write("web/host.yaml", &declared(FILES, &slow));
    let once = host.controller(&["--once"]);
    assert_eq!(once.status.code(), Some(1), "{}", String::from_utf8_lossy(&once.stderr));
    let status = host.status();
    assert_eq!((status.condition, status.good.unwrap().commit), (Condition::RolledBack, good));
    assert_eq!(status.bad[0].commit, bad);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
}

#[test]
fn another_start_knows_what_is_wrong_too() {
    let host = Host::new("");
    first(&host, "true");
    let more = format!("{FILES}  - {{path: /etc/x, owner: nobody-has-this-name, secret: {{name: app, key: token}}}}\n");
    host.write("web/host.yaml", &declared(&more, &service(&host, "true")));
    host.commit("An unknown user");
    for _ in 0..2 {
        let once = host.controller(&["--once"]);
        let said = String::from_utf8_lossy(&once.stderr).into_owned();
        assert!(once.status.code() == Some(1) && said.contains("nobody-has-this-name"), "{said}");
        assert_eq!(host.status().condition, Condition::Degraded);
        assert_eq!(host.status().services.len(), 1);
    }
}

#[test]
fn what_is_not_put_back_and_what_does_not_run_is_not_in_sync() {
    let mut host = Host::new("drift: {repair: false, every: 200ms}\n");
    first(&host, "true");
    host.start();
    let token = host.declared("/etc/app/token");
    fs::remove_file(&token).unwrap();
    host.until("it is said", || host.status().condition == Condition::Degraded);
    assert_eq!(host.status().drifted.len(), 1, "{:?}", host.status().drifted);
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(host.status().drifts, 1, "one change by hand is one");
    let dead = service(&host, "true").replace("status: [\"true\"]", "status: [\"false\"]");
    host.write("web/host.yaml", &declared(FILES, &dead));
    host.commit("A service that does not run");
    let answer = host.ask(&Request::Sync);
    assert_eq!(answer.status.condition, Condition::Degraded, "{}", answer.message);
    assert!(answer.message.contains("does not run"), "{}", answer.message);
}

#[test]
fn without_its_state_the_clone_says_what_must_be_descended_from() {
    let mut host = Host::new("");
    first(&host, "true");
    host.write("web/app.yaml", &host.sealed("app", &[("token", "second"), ("user", "sam")]));
    host.commit("A second token");
    host.start();
    host.kill();
    fs::remove_file(host.path("state/state.json")).unwrap();
    host.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let once = host.controller(&["--once"]);
    assert_eq!(once.status.code(), Some(1), "{}", String::from_utf8_lossy(&once.stderr));
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("second"));
}
