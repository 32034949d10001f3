use std::path::PathBuf;

use super::{Asked, Change, How, Plan, Step, Tell, What, affected, plan};
use crate::host::desired::{Role, Service, Unit};

fn change(path: &str, role: Role, what: What) -> Change {
    Change { path: PathBuf::from(path), role, what }
}

fn edited(path: &str) -> Change {
    change(path, Role::File, What::Added)
}

fn service(name: &str, reload: &[&str], restart: &[&str], after: &[&str]) -> Service {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Service {
        name: name.to_owned(),
        reload_on: owned(reload),
        restart_on: owned(restart),
        after: owned(after),
        ..Service::default()
    }
}

fn unit(name: &str, enable: Option<bool>, start: Option<bool>) -> Unit {
    Unit { name: name.to_owned(), enable, start }
}

fn told(plan: &Plan) -> impl Iterator<Item = &Tell> {
    plan.steps.iter().filter_map(|step| match step {
        Step::Tell(tell) => Some(tell),
        Step::Stop(_) | Step::Disable(_) | Step::DaemonReload | Step::Enable(_) => None,
    })
}

fn planned(services: &[Service], units: &[Unit], changes: &[Change]) -> Plan {
    plan(&Asked { services, units, changes, credentials: &[] })
}

fn steps(plan: &Plan) -> Vec<String> {
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    plan.steps.iter().map(ToString::to_string).collect()
}

#[test]
fn a_service_is_told_once_and_restart_wins_over_reload() {
    let services = [service("nginx", &["/etc/nginx/**"], &["/etc/nginx/modules/*"], &[])];
    let one = planned(&services, &[], &[edited("/etc/nginx/conf.d/a.conf"), edited("/etc/nginx/nginx.conf")]);
    assert_eq!(steps(&one), ["reload nginx.service"]);
    let both = planned(&services, &[], &[edited("/etc/nginx/nginx.conf"), edited("/etc/nginx/modules/x.so")]);
    assert_eq!(steps(&both), ["restart nginx.service"]);
    assert_eq!(told(&both).next().unwrap().because.len(), 2);
    assert!(
        steps(&planned(&services, &[], &[edited("/etc/nginxx"), edited("/etc/nginx/modules.d")]))
            == ["reload nginx.service"]
    );
    assert!(steps(&planned(&services, &[], &[edited("/etc/other")])).is_empty());
    assert!(steps(&planned(&services, &[], &[])).is_empty());
}

#[test]
fn a_star_does_not_cross_folders() {
    let services = [service("a", &["/etc/a/*.conf"], &[], &[])];
    assert!(steps(&planned(&services, &[], &[edited("/etc/a/b/c.conf")])).is_empty());
    assert_eq!(steps(&planned(&services, &[], &[edited("/etc/a/c.conf")])), ["reload a.service"]);
}

#[test]
fn services_of_one_unit_are_told_together() {
    let mut other = service("tls", &[], &["/etc/tls/*"], &[]);
    other.unit = Some("web.service".to_owned());
    let services = [service("web", &["/etc/web/*"], &[], &[]), other];
    let plan = planned(&services, &[], &[edited("/etc/web/a"), edited("/etc/tls/b")]);
    assert_eq!(steps(&plan), ["restart web.service"]);
    assert_eq!(told(&plan).next().unwrap().services, ["web", "tls"]);
}

#[test]
fn services_wait_for_those_that_they_name() {
    let all = &["/**"][..];
    let services = [
        service("proxy", all, &[], &["app", "nobody"]),
        service("app", all, &[], &["db"]),
        service("other", all, &[], &[]),
        service("db", all, &[], &[]),
    ];
    let plan = planned(&services, &[], &[edited("/x")]);
    assert_eq!(
        steps(&plan),
        ["reload other.service", "reload db.service", "reload app.service", "reload proxy.service"]
    );
}

#[test]
fn a_circle_stops_nobody() {
    let all = &["/**"][..];
    let services =
        [service("a", all, &[], &["b"]), service("b", all, &[], &["a", "b"]), service("c", all, &[], &["b"])];
    let plan = planned(&services, &[], &[edited("/x")]);
    assert_eq!(steps(&plan), ["reload a.service", "reload b.service", "reload c.service"]);
}

#[test]
fn unit_files_are_read_again_before_anything_is_told() {
    let services = [service("web", &["/etc/web"], &[], &[])];
    let units = [unit("web.service", Some(true), Some(true)), unit("old.service", Some(false), Some(false))];
    let changes = [change("/etc/systemd/system/web.service", Role::Unit, What::Added), edited("/etc/web")];
    let plan = planned(&services, &units, &changes);
    let expected =
        ["daemon-reload", "enable web.service", "disable old.service", "stop old.service", "restart web.service"];
    assert_eq!(steps(&plan), expected);
    assert!(told(&plan).next().unwrap().start);
}

#[test]
fn a_drop_in_and_a_quadlet_restart_the_unit_of_a_service() {
    let services = [service("nginx", &[], &[], &[]), service("app", &[], &[], &[]), service("still", &[], &[], &[])];
    let changes = [
        change("/etc/systemd/system/nginx.service.d/limits.conf", Role::Unit, What::Removed),
        change("/etc/containers/systemd/app.container", Role::Unit, What::Added),
    ];
    let plan = planned(&services, &[], &changes);
    assert_eq!(steps(&plan), ["daemon-reload", "restart nginx.service", "restart app.service"]);
    assert!(told(&plan).all(|tell| !tell.start && tell.how == How::Restart));
}

#[test]
fn a_unit_whose_file_is_gone_is_stopped_before_systemd_forgets_how() {
    let services = [service("old", &[], &["/etc/old"], &[])];
    let changes = [change("/etc/systemd/system/old.service", Role::Unit, What::Removed), edited("/etc/old")];
    let plan = planned(&services, &[], &changes);
    assert_eq!(steps(&plan), ["stop old.service", "disable old.service", "daemon-reload"]);
    // It moved to another folder.
    let changes = [changes[0].clone(), change("/etc/systemd/system.control/old.service", Role::Unit, What::Added)];
    assert_eq!(steps(&planned(&services, &[], &changes)), ["daemon-reload", "restart old.service"]);
}

#[test]
fn a_unit_that_is_to_run_and_has_no_news_is_only_started() {
    let plan = planned(&[], &[unit("backup.timer", Some(true), Some(true)), unit("left.service", None, None)], &[]);
    assert_eq!(steps(&plan), ["enable backup.timer", "start backup.timer"]);
}

#[test]
fn a_unit_that_is_to_stop_is_not_told() {
    let services = [service("web", &["/etc/web"], &[], &[])];
    let plan = planned(&services, &[unit("web.service", None, Some(false))], &[edited("/etc/web")]);
    assert_eq!(steps(&plan), ["stop web.service"]);
}

#[test]
fn other_credentials_restart_their_unit() {
    let asked = |credentials| Asked { services: &[], units: &[], changes: &[], credentials };
    let credentials = [("web.service".to_owned(), "token".to_owned()), ("web.service".to_owned(), "key".to_owned())];
    assert_eq!(steps(&plan(&asked(&credentials))), ["restart web.service"]);
    let file = [change("/run/credstore/app.service.token", Role::Credential, What::Added)];
    assert_eq!(steps(&planned(&[service("app", &[], &[], &[])], &[], &file)), ["restart app.service"]);
}

#[test]
fn instances_are_about_the_file_of_their_template() {
    let services = [service("web@one", &[], &[], &[]), service("web", &[], &[], &[])];
    let changes = [change("/etc/systemd/system/web@.service", Role::Unit, What::Added)];
    assert_eq!(steps(&planned(&services, &[], &changes)), ["daemon-reload", "restart web@one.service"]);
}

#[test]
fn commands_are_a_way_of_their_own() {
    let mut own = service("web", &["/etc/web"], &[], &[]);
    own.commands = Some(bulla_crds::host::ServiceCommands { reload: vec!["true".to_owned()], ..Default::default() });
    let plan = planned(&[own, service("other", &["/etc/web"], &[], &["web"])], &[], &[edited("/etc/web")]);
    assert_eq!(steps(&plan), ["reload web", "reload other.service"]);
    assert!(matches!(&plan.steps[0], Step::Tell(tell) if tell.commands.is_some()));
}

#[test]
fn what_cannot_be_planned_is_told_and_stops_nothing_else() {
    let mut bad = service("bad", &["/**"], &[], &[]);
    bad.unit = Some("--now".to_owned());
    let services = [bad, service("odd", &["/etc/[", "/etc/odd"], &[], &[]), service("good", &["/etc/odd"], &[], &[])];
    let plan = planned(&services, &[], &[edited("/etc/odd")]);
    let told: Vec<&str> = told(&plan).map(|tell| tell.unit.as_str()).collect();
    assert_eq!(told, ["odd.service", "good.service"]);
    let problems: Vec<&str> = plan.problems.iter().map(|problem| problem.object.as_str()).collect();
    assert_eq!(problems, ["service bad", "service odd"]);
}

#[test]
fn who_is_affected_is_asked_to_validate() {
    let mut every = service("every", &[], &[], &[]);
    every.validate = vec!["true".to_owned()];
    let services = [service("web", &["/etc/web"], &[], &[]), service("db", &[], &["/etc/db"], &[]), every];
    let names = |changes: &[Change]| -> Vec<String> {
        affected(&services, changes).into_iter().map(|service| service.name.clone()).collect()
    };
    assert_eq!(names(&[edited("/etc/db")]), ["db", "every"]);
    assert_eq!(names(&[change("/etc/systemd/system/web.service", Role::Unit, What::Added)]), ["web", "every"]);
    assert!(names(&[]).is_empty());
}
