//! While a commit has to prove well: what goes on beside it, what ends it, and what the host is after it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bulla::host::agent::{Answer, Condition, Request, State, ask};

use super::bench::{Host, PATIENCE};
use super::{CANARY, FILES, declared, first, service, told};

/// A commit of another token whose service is well, and has to be so for this long.
fn proving_for(host: &Host, token: &str, lasting: &str) -> String {
    host.write("web/app.yaml", &host.sealed("app", &[("token", token), ("user", "sam")]));
    let service = service(host, "true").replace("for: 300ms", &format!("for: {lasting}"));
    host.write("web/host.yaml", &declared(FILES, &service));
    host.commit(token)
}

/// Asks for the newest commit, and does not wait for the answer.
fn asking(host: &Host) -> JoinHandle<std::io::Result<Answer>> {
    let run = host.run();
    thread::spawn(move || ask(&run, &Request::Sync))
}

/// Until the commit is in place and proved.
fn until_tried(host: &Host, token: &str) {
    host.until("the new files are there", || host.read("/etc/app/token").as_deref() == Some(token));
    host.until("it is said that they are proved", || host.status().condition == Condition::Trying);
}

#[test]
fn beside_a_long_proof_changes_by_hand_are_put_back_and_a_wish_to_go_back_ends_it() {
    let mut host = Host::new("");
    let good = first(&host, "true");
    host.start();
    let told_before = told(&host);
    let new = proving_for(&host, "second", "30m");
    let sync = asking(&host);
    until_tried(&host, "second");
    let status = host.status();
    assert_eq!(status.trying.unwrap().commit, new);
    assert_eq!(status.good.unwrap().commit, good, "it is not good yet");
    for _ in 0..2 {
        fs::remove_file(host.declared("/etc/app/token")).unwrap();
        host.until("the link is back", || host.read("/etc/app/token").as_deref() == Some("second"));
    }
    let answer = host.ask(&Request::Rollback);
    assert!(answer.done, "{}\n{}", answer.message, host.log());
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    let status = host.status();
    assert_eq!((status.condition, status.trying), (Condition::RolledBack, None));
    assert_eq!(status.good.unwrap().commit, good, "back once, not twice");
    assert_eq!(status.bad[0].commit, new);
    assert_eq!(told(&host), told_before + 2, "told of the new files, and of the old ones: {}", host.log());
    assert!(!sync.join().unwrap().unwrap().done);
}

#[test]
fn what_is_changed_within_a_generation_that_is_proved_is_mended_afterwards() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    let new = proving_for(&host, "second", "2s");
    let sync = asking(&host);
    until_tried(&host, "second");
    let behind = fs::canonicalize(host.declared("/etc/app/token")).unwrap();
    fs::remove_file(&behind).unwrap();
    fs::write(&behind, "by hand").unwrap();
    assert!(sync.join().unwrap().unwrap().done, "{}", host.log());
    host.until("its bytes are back", || host.read("/etc/app/token").as_deref() == Some("second"));
    assert_eq!(host.status().good.unwrap().commit, new);
}

#[test]
fn a_newer_commit_waits_until_the_one_before_is_proved() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    let second = proving_for(&host, "second", "2s");
    let (one, token) = (asking(&host), "third");
    until_tried(&host, "second");
    let third = proving_for(&host, token, "300ms");
    let two = asking(&host);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("second"));
    assert!(one.join().unwrap().unwrap().done && two.join().unwrap().unwrap().done, "{}", host.log());
    let status = host.status();
    assert_eq!((status.good.unwrap().commit, status.previous.unwrap().commit), (third, second));
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(token));
}

#[test]
fn told_to_end_the_agent_leaves_no_commit_that_has_not_proved_well() {
    let mut host = Host::new("");
    let good = first(&host, "true");
    host.start();
    let told_before = told(&host);
    proving_for(&host, "second", "30m");
    let sync = asking(&host);
    until_tried(&host, "second");
    assert!(host.stop().success(), "{}", host.log());
    assert!(!sync.join().unwrap().is_ok_and(|answer| answer.done));
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
    assert_eq!(told(&host), told_before + 2, "{}", host.log());
    let state = State::load(&host.path("state")).unwrap().0;
    assert_eq!((state.good.unwrap().commit, state.trying, state.interrupted), (good, None, None));
    assert!(state.bad.is_empty(), "nothing was wrong with it");
    // It gets its chance once more.
    let next = proving_for(&host, "second", "300ms");
    host.start();
    assert_eq!(host.status().good.unwrap().commit, next, "{}", host.log());
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("second"));
}

#[test]
fn a_first_commit_that_is_not_well_leaves_the_host_as_it_was() {
    let mut host = Host::new("");
    let conf = host.declared("/etc/app/app.conf");
    fs::create_dir_all(conf.parent().unwrap()).unwrap();
    fs::write(&conf, "by hand").unwrap();
    let bad = first(&host, "false");
    host.start();
    let status = host.status();
    assert_eq!((status.condition, status.good.as_ref()), (Condition::RolledBack, None), "{}", host.log());
    assert!(status.message.contains("before Bulla"), "{}", status.message);
    assert_eq!((status.bad.len(), status.bad[0].commit.as_str(), status.files.len()), (1, bad.as_str(), 0));
    assert_eq!(status.bad[0].after.as_ref().unwrap().commit, None);
    assert_eq!(host.read("/etc/app/app.conf").as_deref(), Some("by hand"), "what was there before is there again");
    assert!(fs::symlink_metadata(host.declared("/etc/app/token")).is_err());
    assert_eq!(told(&host), 2, "told of the new files, and that they are gone: {}", host.log());
    // Nor later, nor by another agent.
    host.kill();
    assert_eq!(host.controller(&["--once"]).status.code(), Some(1));
    assert_eq!((host.read("/etc/app/app.conf").as_deref(), told(&host)), (Some("by hand"), 2));
    // The next commit is the first one then.
    let good = first(&host, "true");
    host.start();
    let status = host.status();
    assert_eq!((status.condition, status.good.unwrap().commit), (Condition::InSync, good), "{}", host.log());
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
}

#[test]
fn a_kill_in_the_middle_of_a_first_commit_that_is_not_well_does_not_make_it_good() {
    let mut host = Host::new("");
    first(&host, "false");
    let slow = service(&host, "false").replace("within: 2s", "within: 30m");
    host.write("web/host.yaml", &declared(FILES, &slow));
    host.commit("Not well for long");
    host.spawn(|command| command);
    host.until("the new files are there", || host.read("/etc/app/token").as_deref() == Some(CANARY));
    host.kill();
    host.write("web/host.yaml", &declared(FILES, &service(&host, "false")));
    host.commit("Not well");
    assert_eq!(host.controller(&["--once"]).status.code(), Some(1));
    let status = host.status();
    assert_eq!((status.condition, status.good), (Condition::RolledBack, None), "{}", status.message);
    assert!(fs::symlink_metadata(host.declared("/etc/app/token")).is_err());
}

#[test]
fn a_wish_to_go_back_while_the_host_goes_back_is_the_same_wish() {
    let mut host = Host::new("");
    first(&host, "true");
    host.start();
    let good = proving_for(&host, "second", "300ms");
    assert!(host.ask(&Request::Sync).done, "{}", host.log());
    host.write("web/app.yaml", &host.sealed("app", &[("token", "third"), ("user", "sam")]));
    let slow = service(&host, "! grep -q third TOKEN").replace("echo reload", "sleep 2; echo reload");
    let slow = slow.replace("TOKEN", &host.declared("/etc/app/token").display().to_string());
    host.write("web/host.yaml", &declared(FILES, &slow));
    let bad = host.commit("third");
    let sync = asking(&host);
    host.until("the new files are there", || host.read("/etc/app/token").as_deref() == Some("third"));
    host.until("the old files are there", || host.read("/etc/app/token").as_deref() == Some("second"));
    let answer = host.ask(&Request::Rollback);
    assert!(answer.done, "{}\n{}", answer.message, host.log());
    assert!(!sync.join().unwrap().unwrap().done);
    let status = host.status();
    assert_eq!((status.good.unwrap().commit, status.bad.len()), (good, 1), "{}", host.log());
    assert_eq!(status.bad[0].commit, bad);
    assert_eq!(host.read("/etc/app/token").as_deref(), Some("second"));
}

#[test]
fn a_first_commit_over_which_the_agent_was_killed_three_times_does_not_stay_in_place() {
    let mut host = Host::new("");
    let slow = service(&host, "false").replace("within: 2s", "within: 30m");
    host.write("web/app.yaml", &host.sealed("app", &[("token", CANARY), ("user", "sam")]));
    host.write("web/host.yaml", &declared(FILES, &slow));
    let bad = host.commit("It takes the machine down");
    for time in 1..=3 {
        host.spawn(|command| command);
        host.until("it is tried", || told(&host) >= time && host.status().condition == Condition::Trying);
        assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY));
        host.kill();
    }
    assert_eq!(host.controller(&["--once"]).status.code(), Some(1));
    let status = host.status();
    assert_eq!((status.good, status.bad[0].commit.as_str(), status.files.len()), (None, bad.as_str(), 0));
    assert!(fs::symlink_metadata(host.declared("/etc/app/token")).is_err());
}

#[test]
fn after_going_back_it_is_said_whether_the_old_files_are_well() {
    let mut host = Host::new("");
    let read = host.declared("/etc/app/token");
    let health = format!("test ! -e {} && ! grep -q bad {}", host.path("away").display(), read.display());
    let good = first(&host, &health);
    host.start();
    host.write("web/app.yaml", &host.sealed("app", &[("token", "bad"), ("user", "sam")]));
    host.commit("A bad token");
    let status = host.ask(&Request::Sync).status;
    let after = status.bad[0].after.clone().unwrap();
    assert_eq!((after.commit, after.looked_at, after.unwell), (Some(good.clone()), vec!["app".to_owned()], None));
    assert!(status.message.contains(&format!("back at commit {}, and well", &good[..12])), "{}", status.message);
    // What it needs besides is away, so the old files do not do either.
    fs::write(host.path("away"), "").unwrap();
    host.write("web/app.yaml", &host.sealed("app", &[("token", "worse"), ("user", "sam")]));
    host.commit("Another token");
    let status = host.ask(&Request::Sync).status;
    let after = status.bad[1].after.clone().unwrap();
    assert_eq!(after.commit, Some(good));
    assert!(after.unwell.unwrap().starts_with("app is not well"), "{}", status.message);
    assert!(status.message.contains("not well either"), "{}", status.message);
    let told_by_then = told(&host);
    host.ask(&Request::Sync);
    assert_eq!(told(&host), told_by_then, "it is said, and not tried again and again");
}

#[test]
fn an_agent_whose_run_folder_is_another_one_ends_and_the_next_one_heals() {
    let mut host = Host::new("drift: {every: 200ms}\n");
    first(&host, "true");
    host.start();
    fs::rename(host.run(), host.run().with_extension("away")).unwrap();
    fs::create_dir(host.run()).unwrap();
    let ended = host.ended();
    assert!(!ended.success(), "the service manager starts it anew");
    assert!(host.log().contains("is not the folder any more"), "{}", host.log());
    host.start();
    assert_eq!(host.read("/etc/app/token").as_deref(), Some(CANARY), "{}", host.log());
    assert_eq!(host.status().condition, Condition::InSync);
}

#[test]
fn systemd_is_told_that_the_agent_is_up_and_lives_while_a_commit_is_proved() {
    let mut host = Host::new("");
    proving_for(&host, CANARY, "30m");
    let socket = host.path("notify.sock");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    host.spawn(|command| command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000").stdin(Stdio::null()));
    let mut buffer = [0; 4096];
    let mut next = || {
        let length = systemd.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}\n{}", host.log()));
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    while !next().contains("READY=1") {}
    until_tried(&host, CANARY);
    let fed = (0..5).filter(|_| next().contains("WATCHDOG=1")).count();
    assert!(fed >= 4, "fed {fed} times of 5");
    thread::sleep(Duration::from_millis(1));
    assert!(host.stop().success(), "{}", host.log());
}
