//! Plans are carried out, and states read, by a real systemd.

use std::fs;
use std::path::PathBuf;

use bulla::host::command::Scrubber;
use bulla::host::desired::{HealthCheck, Role, Service, Unit};
use bulla::host::gate;
use bulla::host::units::{Active, Asked, CarriedOut, Change, Manager, State, What, plan};

use super::machine::{Machine, wanting};

/// Reloads by a signal that it takes, and does not start while `/run/bad` is there.
const WEB: &str = "[Service]\nType=exec\nExecStartPre=/bin/sh -c 'test ! -e /run/bad || exit 3'\n\
                   ExecStart=/bin/sh -c 'trap \"echo again >> /run/reloaded\" HUP; while :; do sleep 0.05; done'\n\
                   ExecReload=/bin/kill -HUP $MAINPID\n[Install]\nWantedBy=multi-user.target\n";
const PLAIN: &str = "[Service]\nExecStart=/bin/sleep 1000\n";

fn service(name: &str, reload: &str, restart: &str) -> Service {
    let globs = |glob: &str| if glob.is_empty() { Vec::new() } else { vec![glob.to_owned()] };
    Service { name: name.to_owned(), reload_on: globs(reload), restart_on: globs(restart), ..Service::default() }
}

fn change(path: &str, role: Role, what: What) -> Change {
    Change { path: PathBuf::from(path), role, what }
}

fn edited(path: &str) -> Change {
    change(path, Role::File, What::Changed)
}

async fn told(manager: &Manager, services: &[Service], units: &[Unit], changes: &[Change]) -> CarriedOut {
    let plan = plan(&Asked { services, units, changes, credentials: &[] });
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    manager.carry_out(&plan, false, &Scrubber::default()).await
}

async fn done(manager: &Manager, services: &[Service], units: &[Unit], changes: &[Change]) -> Vec<String> {
    let carried_out = told(manager, services, units, changes).await;
    assert!(carried_out.failures.is_empty(), "{:?}", carried_out.failures);
    carried_out.units()
}

async fn state(manager: &Manager, unit: &str) -> State {
    manager.state(unit, None).await.unwrap()
}

/// What a service manager must do, by whichever way it is reached.
async fn does_what_is_planned(machine: &Machine, manager: &Manager) {
    let services = [service("web", "/etc/web/*", "/etc/web.key"), service("plain", "/etc/plain", "")];
    assert!(!state(manager, "web.service").await.known);
    assert!(done(manager, &services, &[], &[edited("/etc/web/a"), edited("/etc/plain")]).await.is_empty());

    machine.unit("web.service", WEB);
    machine.unit("plain.service", PLAIN);
    let started = [Unit { name: "web.service".to_owned(), enable: Some(true), start: Some(true) }];
    let added = [change("/etc/systemd/system/web.service", Role::Unit, What::Added)];
    assert_eq!(done(manager, &services, &started, &added).await, ["web.service"]);
    let first = state(manager, "web.service").await;
    assert_eq!((first.active, first.can_reload, first.ends), (Active::Active, true, false), "{first}");
    assert!(first.main_pid > 0 && !first.invocation.is_empty());
    assert_eq!(state(manager, "plain.service").await.active, Active::Inactive);

    // A reload is the same process, which hears of it.
    assert_eq!(done(manager, &services, &[], &[edited("/etc/web/a")]).await, ["web.service"]);
    let reloaded = state(manager, "web.service").await;
    assert_eq!((reloaded.main_pid, &reloaded.invocation), (first.main_pid, &first.invocation));
    for _ in 0..200 {
        if machine.run().join("reloaded").exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(machine.run().join("reloaded").exists(), "it never heard of it");

    // A restart is another one.
    assert_eq!(done(manager, &services, &[], &[edited("/etc/web.key")]).await, ["web.service"]);
    let restarted = state(manager, "web.service").await;
    assert!(restarted.invocation != first.invocation && restarted.active == Active::Active, "{restarted}");

    // What runs already is not started again; what does not run is not told.
    assert!(done(manager, &services, &started, &[]).await.is_empty());
    assert!(done(manager, &services, &[], &[edited("/etc/plain")]).await.is_empty());
    let plain = [Unit { name: "plain.service".to_owned(), enable: None, start: Some(true) }];
    assert_eq!(done(manager, &services, &plain, &[]).await, ["plain.service"]);

    // One that cannot reload restarts.
    let before = state(manager, "plain.service").await;
    assert!(!before.can_reload);
    assert_eq!(done(manager, &services, &[], &[edited("/etc/plain")]).await, ["plain.service"]);
    assert_ne!(state(manager, "plain.service").await.invocation, before.invocation);

    // Gone with its file.
    fs::remove_file(machine.run().join("systemd/system/web.service")).unwrap();
    let removed = [change("/etc/systemd/system/web.service", Role::Unit, What::Removed)];
    assert!(done(manager, &[], &[], &removed).await.is_empty());
    let gone = state(manager, "web.service").await;
    assert!(!gone.known && gone.active == Active::Inactive, "{gone}");
}

#[tokio::test]
async fn a_systemd_starts_where_nothing_is_said_to_be_wanting_and_nowhere_else() {
    match (wanting(), Machine::attempt(&[]).await) {
        (None, Ok(machine)) => {
            // It is one that runs units, and not only one that answers.
            machine.unit("plain.service", PLAIN);
            let start = [Unit { name: "plain.service".to_owned(), enable: None, start: Some(true) }];
            let added = [change("/etc/systemd/system/plain.service", Role::Unit, What::Added)];
            assert_eq!(done(&machine.manager().await, &[], &start, &added).await, ["plain.service"]);
        }
        (Some(_), Err(_)) => {}
        (None, Err(why)) => panic!("nothing is said to be wanting, and yet {why}"),
        (Some(wanting), Ok(_)) => panic!("{wanting} is said to be wanting, and a systemd starts: no test used it"),
    }
}

#[tokio::test]
async fn systemd_does_what_is_planned_over_dbus() {
    if wanting().is_some() {
        return;
    }
    let machine = Machine::start(&[]).await;
    does_what_is_planned(&machine, &machine.manager().await).await;
}

#[tokio::test]
async fn systemd_does_what_is_planned_by_systemctl() {
    if wanting().is_some() {
        return;
    }
    let machine = Machine::start(&[]).await;
    let manager = machine.by_systemctl().await;
    assert_eq!(manager.way(), "systemd by systemctl");
    does_what_is_planned(&machine, &manager).await;
}

#[tokio::test]
async fn a_unit_that_does_not_start_says_why_and_comes_back_with_the_old_files() {
    if wanting().is_some() {
        return;
    }
    let machine = Machine::start(&[("web.service", WEB)]).await;
    for manager in [machine.manager().await, machine.by_systemctl().await] {
        let services = [service("web", "", "/etc/web")];
        let start = [Unit { name: "web.service".to_owned(), enable: None, start: Some(true) }];
        done(&manager, &services, &start, &[]).await;
        fs::write(machine.run().join("bad"), "").unwrap();
        let bad = told(&manager, &services, &[], &[edited("/etc/web")]).await;
        assert_eq!(bad.units(), ["web.service"]);
        let error = bad.failures[0].to_string();
        let words = ["web.service could not be restarted", "result exit-code", "journalctl -u web.service"];
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert_eq!(state(&manager, "web.service").await.active, Active::Failed);
        // The files go back: a unit that failed is told again although it does not run.
        fs::remove_file(machine.run().join("bad")).unwrap();
        assert_eq!(done(&manager, &services, &[], &[edited("/etc/web")]).await, ["web.service"]);
        assert_eq!(state(&manager, "web.service").await.active, Active::Active);
    }
}

#[tokio::test]
async fn a_unit_that_runs_and_dies_later_is_not_well() {
    let once = "[Service]\nExecStart=/bin/sh -c 'test ! -e /run/bad || { sleep 1; exit 7; }; exec sleep 1000'\n";
    let again = format!("{once}Restart=always\nRestartSec=100ms\n[Unit]\nStartLimitIntervalSec=0\n");
    if wanting().is_some() {
        return;
    }
    let machine = Machine::start(&[("once.service", once), ("again.service", &again)]).await;
    let manager = machine.manager().await;
    for name in ["once", "again"] {
        let health = HealthCheck { lasting: Some("4s".to_owned()), ..HealthCheck::default() };
        let services = [Service { health: Some(health), ..service(name, "", "/etc/x") }];
        let start = [Unit { name: format!("{name}.service"), enable: None, start: Some(true) }];
        let good = told(&manager, &services, &start, &[]).await;
        gate::prove(&services, &good.told, &manager, &Scrubber::default()).await.unwrap();
        fs::write(machine.run().join("bad"), "").unwrap();
        let bad = told(&manager, &services, &[], &[edited("/etc/x")]).await;
        assert!(bad.failures.is_empty() && bad.units() == [format!("{name}.service")], "{bad:?}");
        let error = gate::prove(&services, &bad.told, &manager, &Scrubber::default()).await.unwrap_err();
        assert_eq!(error.service, name);
        let expected = ["exit code or signal 7", "started again", "well for"];
        assert!(expected.iter().any(|word| error.why.contains(word)), "{error}");
        fs::remove_file(machine.run().join("bad")).unwrap();
    }
}

#[tokio::test]
async fn a_reload_that_kills_its_process_is_not_well_although_systemd_starts_it_again() {
    let frail =
        "[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/kill -KILL $MAINPID\nRestart=always\nRestartSec=100ms\n";
    if wanting().is_some() {
        return;
    }
    let machine = Machine::start(&[("frail.service", frail)]).await;
    let manager = machine.manager().await;
    let services = [service("frail", "/etc/x", "")];
    let start = [Unit { name: "frail.service".to_owned(), enable: None, start: Some(true) }];
    done(&manager, &services, &start, &[]).await;
    let reloaded = told(&manager, &services, &[], &[edited("/etc/x")]).await;
    let refused = match reloaded.failures.first() {
        // systemd saw it die during the reload.
        Some(failed) => failed.to_string(),
        None => gate::prove(&services, &reloaded.told, &manager, &Scrubber::default()).await.unwrap_err().to_string(),
    };
    assert!(refused.contains("frail"), "{refused}");
}

#[tokio::test]
async fn a_unit_that_is_to_end_is_well_when_it_ended_well() {
    let job = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test ! -e /run/bad'\n";
    if wanting().is_some() {
        return;
    }
    let machine = Machine::start(&[("job.service", job)]).await;
    let manager = machine.manager().await;
    let services = [Service {
        health: Some(HealthCheck { lasting: Some("500ms".to_owned()), ..HealthCheck::default() }),
        ..service("job", "", "/etc/x")
    }];
    let start = [Unit { name: "job.service".to_owned(), enable: None, start: Some(true) }];
    let good = told(&manager, &services, &start, &[]).await;
    assert_eq!(good.units(), ["job.service"]);
    gate::prove(&services, &good.told, &manager, &Scrubber::default()).await.unwrap();
    fs::write(machine.run().join("bad"), "").unwrap();
    let bad = told(&manager, &services, &start, &[]).await;
    assert!(bad.failures[0].to_string().contains("exit code or signal 1"), "{:?}", bad.failures);
}

#[tokio::test]
async fn a_name_that_is_no_unit_never_reaches_systemd() {
    if wanting().is_some() {
        return;
    }
    let machine = Machine::start(&[]).await;
    let manager = machine.manager().await;
    for name in ["--version", "../../etc", "a b.service", ""] {
        let error = manager.state(name, None).await.unwrap_err();
        assert!(error.to_string().contains("not the name of a unit"), "{error}");
    }
}
