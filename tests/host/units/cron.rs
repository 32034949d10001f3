//! A real cron reads the jobs that the agent installs, and runs those that are due when it starts.

use std::fs;
use std::path::Path;

use bulla::host::agent::Condition;

use crate::agent::bench::Host;
use crate::room::Room;
use crate::servers::servers;

/// Schedules of every form that a Host document may have.
const GOOD: [&str; 14] = [
    "* * * * *",
    "30 2 * * *",
    "*/5 * * * *",
    "0 0 1,15 * mon-fri",
    "0-30/10 8-18 * jan-mar,Dec 0-7",
    "5\\t4 * * Sun",
    "59 23 31 12 7",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];
/// Lines that neither a Host document nor cron takes.
const BAD: [&str; 14] = [
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "*/0 * * * *",
    "5/2 * * * *",
    "* * * foo *",
    "jan * * * *",
    "@dayly",
    "1, * * * *",
    "* * * *",
    "-1 * * * *",
    "* * * * mon-",
];

/// The example's own job, as its document has it.
fn of_the_example() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/hosts/hosts/web/host.yaml");
    let text = fs::read_to_string(file).unwrap();
    let jobs = text.split_once("\n  cron:\n").expect("the example has a job").1;
    let lines: Vec<&str> = jobs.lines().take_while(|line| line.starts_with("  ")).collect();
    assert!(lines[0].contains("name: backup"), "{jobs}");
    format!("{}\n", lines.join("\n"))
}

/// Jobs that are installed by the agent, in a room whose cron has not started.
fn installed(jobs: &str) -> Room {
    let host = Host::new("");
    host.write(
        "frodo.yaml",
        &format!("apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: frodo}}\nspec:\n  cron:\n{jobs}"),
    );
    host.commit("Jobs");
    let out = host.controller(&["--once"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(host.status().condition, Condition::InSync, "{:?}", host.status().problems);
    let room = Room::new();
    room.copy(&host.declared("/etc/cron.d"), "/etc/cron.d");
    room.folder("/var/spool/cron/crontabs", 0o730);
    room.folder("/tmp", 0o1777);
    room.folder("/run/out", 0o1777);
    // What Debian's has: who is who, and no more.
    room.write(
        "/etc/pam.d/cron",
        "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
    );
    let users = "root:x:0:0:root:/root:/bin/sh\nbackup:x:34:34::/var/backups:/usr/sbin/nologin\n";
    room.write("/etc/passwd", users);
    room.write("/etc/group", "root:x:0:\nbackup:x:34:\n");
    room
}

/// Starts cron, and waits until it has read everything.
fn start(room: &mut Room) -> String {
    room.start(&[servers::path("cron").to_str().unwrap(), "-f", "-L", "15"]);
    room.until("cron has read its files", || room.log().contains("Running @reboot jobs"));
    room.log()
}

#[test]
fn cron_takes_every_job_that_the_agent_installs_and_refuses_what_is_broken() {
    let mut jobs = of_the_example();
    for (number, schedule) in GOOD.iter().enumerate() {
        jobs.push_str(&format!(
            "  - {{name: job-{number}, schedule: \"{schedule}\", user: backup, command: \"true\"}}\n"
        ));
    }
    let mut room = installed(&jobs);
    // By hand, as nobody's document can say it.
    for (number, schedule) in BAD.iter().enumerate() {
        room.write(&format!("/etc/cron.d/bad-{number}"), &format!("{schedule}\tbackup\ttrue\n"));
    }
    room.write("/etc/cron.d/stranger", "* * * * *\tnobody-knows\ttrue\n");
    room.write("/etc/cron.d/endless", "* * * * *\tbackup\ttrue");
    room.put("/etc/cron.d/open", "* * * * *\tbackup\ttrue\n", 0o666);
    let log = start(&mut room);
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("bulla-")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(fs::read_dir(room.at("/etc/cron.d")).unwrap().count(), 1 + GOOD.len() + BAD.len() + 3);
    for (number, schedule) in BAD.iter().enumerate() {
        let refused = format!("(*system*bad-{number}) ERROR (Syntax error");
        assert!(log.contains(&refused), "cron takes {schedule}:\n{log}");
    }
    for refused in ["(*system*stranger) ERROR", "(*system*endless) ERROR", "(*system*open) INSECURE MODE"] {
        assert!(log.contains(refused), "{refused}:\n{log}");
    }
}

#[test]
fn a_document_with_what_cron_refuses_is_refused_with_its_schedule() {
    let host = Host::new("");
    for (number, schedule) in BAD.iter().enumerate() {
        let text = format!(
            "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: bad-{number}, namespace: web}}\nspec:\n  cron:\n  \
             - {{name: bad-{number}, schedule: \"{schedule}\", command: \"true\"}}\n"
        );
        host.write(&format!("web/{number}.yaml"), &text);
    }
    host.commit("Jobs");
    host.controller(&["--once"]);
    let problems = host.status().problems;
    assert_eq!(problems.len(), BAD.len(), "{problems:?}");
    assert!(host.read("/etc/cron.d/bulla-bad-0").is_none());
}

#[test]
fn cron_runs_a_job_as_its_user_with_its_variables_and_every_character_of_its_command() {
    let long = "x".repeat(990 - "printf  > /run/out/long".len());
    let jobs = format!(
        "  - {{name: who, schedule: \"@reboot\", user: backup, command: \"id -un > /run/out/who-$(date +%Y)\"}}\n  \
         - {{name: root, schedule: \"@reboot\", command: \"id -un > /run/out/root\"}}\n  \
         - name: words\n    schedule: \"@reboot\"\n    user: backup\n    environment: {{GREETING: \"it's 100% \\\\ok\", PATH: /usr/bin:/bin}}\n    \
         command: printf '%s|%s|%s' \"$GREETING\" '50%' \"$PATH\" > /run/out/words\n  \
         - {{name: long, schedule: \"@reboot\", user: backup, command: \"printf {long} > /run/out/long\"}}\n"
    );
    let mut room = installed(&jobs);
    start(&mut room);
    let out = |name: &str| fs::read_to_string(room.at(&format!("/run/out/{name}"))).unwrap_or_default();
    let who = || {
        let names = fs::read_dir(room.at("/run/out")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| name.into_string().ok()).find(|name| name.starts_with("who-")).unwrap_or_default()
    };
    room.until("the jobs have run", || [&*who(), "root", "words", "long"].iter().all(|name| !out(name).is_empty()));
    assert_eq!((&*out(&who()), &*out("root")), ("backup\n", "root\n"), "{}", room.log());
    assert!(who().trim_start_matches("who-").parse::<u32>().is_ok_and(|year| year > 2025), "{}", who());
    assert_eq!(out("words"), "it's 100% \\ok|50%|/usr/bin:/bin");
    assert_eq!(out("long"), long);
}
