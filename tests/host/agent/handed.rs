//! Credentials of the socket: a new agent restarts only what has another one than the agent before it handed out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::bench::Host;
use crate::room::Room;

const CANARY: &str = "canary-handed-41c0";

/// A machine whose service manager writes down what it is told, and says that all runs.
fn machine(host: &Host) -> Room {
    let settings = fs::read_to_string(host.path("host.yaml")).unwrap();
    let mut room = Room::new();
    // In the room the machine's own disk can only be read.
    let state = format!("state: {}\n", room.path("state").display());
    let settings = settings.replace("state: state\n", &state).replace("manager: none", "manager: openrc");
    fs::write(host.path("host.yaml"), settings).unwrap();
    let told = room.path("told");
    let script = format!("#!/bin/sh\n[ \"$2\" = status ] || echo \"$*\" >> {}\n", told.display());
    room.script("/usr/local/bin/rc-service", &script);
    room.start(&["sleep", "infinity"]);
    room
}

fn commit(host: &Host, value: &str) {
    host.write("web/app.yaml", &host.sealed("app", &[("token", value), ("other", "same")]));
    let text = "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {name: app, namespace: web}\nspec:\n  credentials:\n  \
                - {name: token, unit: app.service, secret: {name: app, key: token}}\n  \
                - {name: other, unit: other.service, secret: {name: app, key: other}}\n";
    host.write("web/host.yaml", text);
    host.commit(value);
}

/// Starts an agent for one pass, and says what the service manager was told by it.
fn start(host: &Host, room: &Room) -> Vec<String> {
    let settings = host.path("host.yaml");
    let agent = [env!("CARGO_BIN_EXE_bulla-controller"), "host", "--config", settings.to_str().unwrap(), "--once"];
    let out = room.command(&agent);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let told = fs::read_to_string(room.path("told")).unwrap_or_default();
    fs::write(room.path("told"), "").unwrap();
    let mut told: Vec<_> = told.lines().map(str::to_owned).collect();
    told.sort_unstable();
    told
}

#[test]
fn an_agent_that_was_started_anew_restarts_only_those_whose_credential_is_another_one() {
    let host = Host::new("");
    let room = machine(&host);
    commit(&host, CANARY);
    assert_eq!(start(&host, &room), ["app restart", "other restart"]);
    // An upgrade of the package.
    assert!(start(&host, &room).is_empty());
    commit(&host, "second");
    assert_eq!(start(&host, &room), ["app restart"]);
    assert!(start(&host, &room).is_empty());

    let note = host.run().join("handed.json");
    assert_eq!(fs::metadata(&note).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&note).unwrap();
    assert!(text.contains("app.service") && !text.contains("second") && !text.contains("same"), "{text}");
    // Without a note, what runs has its credential of this boot.
    fs::remove_file(note).unwrap();
    assert!(start(&host, &room).is_empty());
}
