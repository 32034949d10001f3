use bulla_crds::host::{HealthCheck, HostService, Place};

use super::Rules;
use crate::host::config::Allow;
use crate::host::desired::{Content, Credential, Desired, File, Role, Unit};

fn file(path: &str, role: Role) -> File {
    File {
        path: path.into(),
        owner: None,
        group: None,
        mode: 0o644,
        place: Place::Copy,
        role,
        content: Content::LastGood,
        secrets: Vec::new(),
    }
}

fn service(name: &str) -> HostService {
    HostService { name: name.to_owned(), ..HostService::default() }
}

fn start(name: &str) -> Unit {
    Unit { name: name.to_owned(), enable: Some(true), start: Some(true) }
}

fn credential(unit: &str) -> Credential {
    Credential { unit: unit.to_owned(), name: "token".to_owned(), value: None }
}

fn desired() -> Desired {
    let mut checked = service("checked");
    checked.health = Some(HealthCheck { command: vec!["true".to_owned()], ..HealthCheck::default() });
    Desired {
        files: vec![
            file("/etc/app.conf", Role::File),
            file("/etc/cron.d/bulla-backup", Role::Cron),
            file("/etc/systemd/system/nginx.service.d/limits.conf", Role::Unit),
            file("/etc/systemd/system/sshd.service", Role::Unit),
        ],
        services: vec![service("nginx"), service("sshd.service"), checked],
        units: vec![Unit { name: "sshd.service".to_owned(), enable: Some(true), start: None }],
        ..Desired::default()
    }
}

fn globs(globs: &[&str]) -> Option<Vec<String>> {
    Some(globs.iter().map(|glob| (*glob).to_owned()).collect())
}

fn apply(allow: &Allow, mut desired: Desired) -> Desired {
    Rules::new(allow, Vec::new()).unwrap().apply(&mut desired);
    desired
}

fn paths(desired: &Desired) -> Vec<String> {
    desired.files.iter().map(|file| file.path.display().to_string()).collect()
}

fn left(allow: &Allow) -> (Vec<String>, Vec<String>, usize, usize) {
    let desired = apply(allow, desired());
    let services = desired.services.iter().map(|service| service.name.clone()).collect();
    (paths(&desired), services, desired.units.len(), desired.problems.len())
}

#[test]
fn everything_is_allowed_unless_the_settings_say_less() {
    let (files, services, units, problems) = left(&Allow::default());
    assert_eq!((files.len(), services.len(), units, problems), (4, 3, 1, 0));
}

#[test]
fn units_that_are_not_named_are_refused_one_by_one() {
    let allow = Allow { units: globs(&["nginx*"]), ..Allow::default() };
    let (files, services, units, problems) = left(&allow);
    assert!(files.contains(&"/etc/systemd/system/nginx.service.d/limits.conf".to_owned()), "{files:?}");
    assert!(!files.contains(&"/etc/systemd/system/sshd.service".to_owned()), "{files:?}");
    assert_eq!((services, units, problems), (vec!["nginx".to_owned()], 0, 4));
}

#[test]
fn without_commands_nothing_of_the_repository_runs() {
    let allow = Allow { commands: Some(false), ..Allow::default() };
    let (files, services, units, problems) = left(&allow);
    assert_eq!((files, services.len(), units, problems), (vec!["/etc/app.conf".to_owned()], 2, 0, 5));
    assert!(Rules::new(&Allow { units: globs(&["["]), ..Allow::default() }, Vec::new()).is_err());
    assert!(Rules::new(&Allow { paths: globs(&["etc"]), ..Allow::default() }, Vec::new()).is_err());
}

#[test]
fn without_commands_a_plain_file_is_refused_where_commands_are_taken_from() {
    let evil = ["/etc/cron.d/evil", "/etc/systemd/system/evil.service", "/etc/ld.so.preload", "/etc/profile.d/x.sh"];
    let files = || evil.iter().chain(&["/etc/app/conf"]).map(|path| file(path, Role::File)).collect();
    let allow = Allow { commands: Some(false), paths: globs(&["/etc/**"]), ..Allow::default() };
    let desired = apply(&allow, Desired { files: files(), ..Desired::default() });
    assert_eq!(paths(&desired), ["/etc/app/conf"]);
    let said: Vec<_> = desired.problems.iter().map(|problem| problem.object.as_str()).collect();
    assert_eq!(said, evil);
    assert!(desired.problems.iter().all(|problem| problem.message.contains("allow.commands")));
    let desired = apply(&Allow::default(), Desired { files: files(), ..Desired::default() });
    assert_eq!(desired.files.len(), 5);
}

#[test]
fn a_plain_file_below_systemds_folders_counts_as_of_its_unit() {
    let files = [
        "/etc/systemd/system/sshd.service.d/evil.conf",
        "/etc/systemd/system/sshd.service",
        "/etc/systemd/system-generators/evil",
        "/etc/systemd/system/nginx.service.d/sshd.service",
        "/etc/systemd/system/nginx.service.d/limits.conf",
        "/etc/nginx/nginx.conf",
    ];
    let allow = Allow { units: globs(&["nginx.service"]), ..Allow::default() };
    let files = files.iter().map(|path| file(path, Role::File)).collect();
    let desired = apply(&allow, Desired { files, ..Desired::default() });
    assert_eq!(paths(&desired), ["/etc/systemd/system/nginx.service.d/limits.conf", "/etc/nginx/nginx.conf"]);
    assert_eq!(desired.problems.len(), 4);
}

#[test]
fn credentials_of_units_that_are_not_named_are_refused() {
    let asked = || Desired {
        credentials: vec![credential("ssh.service"), credential("ssh"), credential("api.service"), credential("api")],
        files: vec![
            file("/run/credstore/ssh.service.token", Role::Credential),
            file("/etc/credstore/ssh.service.token", Role::File),
            file("/run/credstore/api.service.token", Role::Credential),
        ],
        ..Desired::default()
    };
    let desired = apply(&Allow { units: globs(&["api.service"]), ..Allow::default() }, asked());
    let units: Vec<_> = desired.credentials.iter().map(|credential| credential.unit.as_str()).collect();
    assert_eq!(units, ["api.service", "api"]);
    assert_eq!(paths(&desired), ["/run/credstore/api.service.token"]);
    assert_eq!(desired.problems.len(), 4, "{:?}", desired.problems);
    assert!(desired.problems.iter().all(|problem| problem.message.contains("allow.units")));
    let desired = apply(&Allow { units: globs(&[]), ..Allow::default() }, asked());
    assert_eq!((desired.credentials.len(), desired.files.len()), (0, 0));
    // Without commands a service may still be told of its new credential.
    let desired = apply(&Allow { commands: Some(false), ..Allow::default() }, asked());
    assert_eq!((desired.credentials.len(), desired.files.len(), desired.problems.len()), (4, 3, 0));
}

#[test]
fn a_unit_whose_file_is_refused_is_not_started() {
    let path = "/etc/systemd/system/debug-shell.service";
    let asked = |role| Desired {
        files: vec![file(path, role)],
        units: vec![start("debug-shell.service"), start("app.service")],
        ..Desired::default()
    };
    let started = |allow: &Allow, role| {
        let desired = apply(allow, asked(role));
        desired.units.iter().map(|unit| unit.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(started(&Allow::default(), Role::Unit), ["debug-shell.service", "app.service"]);
    // The sink refuses the file then.
    let elsewhere = Allow { paths: globs(&["/etc/app/**"]), ..Allow::default() };
    assert_eq!(started(&elsewhere, Role::Unit), ["app.service"]);
    let named = Allow { units: globs(&["app.service"]), ..Allow::default() };
    assert_eq!(started(&named, Role::File), ["app.service"]);
    let without = Allow { commands: Some(false), paths: globs(&["/**"]), ..Allow::default() };
    assert_eq!(started(&without, Role::Unit), Vec::<String>::new());
}
