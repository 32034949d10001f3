//! A commit that is in order.

use bulla::host::desired::{Keep, Place, Role};

use super::world::{World, contents, host, problems};

fn commit() -> World {
    let world = World::new();
    let spec = "
  files:
  - {path: /etc/nginx/tls.key, secret: {name: tls, key: tls.key}, owner: www-data, group: '33', mode: '0440'}
  - path: /etc/nginx/nginx.conf
    template: nginx.conf.tmpl
    secrets: [{name: db}, {name: tls, as: cert}, {name: own, namespace: frodo}]
  - {path: /etc/motd, inline: '{{ .host.name }} of {{ join \",\" .host.groups }}'}
  - {path: /usr/local/bin/backup, source: /shared/backup.sh, mode: '755', place: copy}
  units:
  - {name: backup.timer, inline: \"[Timer]\\nOnCalendar=daily\\n\", enable: true, start: true}
  - {name: app.container, source: units/app.container, start: true}
  - {name: nginx.service.d/tls.conf, inline: \"[Service]\\n\"}
  cron:
  - {name: dump, schedule: '30 2 * * *', user: backup, command: 'date +%F', environment: {PATH: /bin}}
  credentials:
  - {name: token, unit: backup.service, secret: {name: db, key: password}}
  - {name: token, unit: app.service, secret: {name: db, key: password}, by: credstore}
  services:
  - {name: app, after: [nginx]}
  - {name: nginx, reloadOn: ['/etc/nginx/**']}
";
    let secrets = [
        world.secret("edge", "db", &[("password", "hunter2")]),
        world.secret("edge", "tls", &[("tls.key", "KEY"), ("tls.crt", "CERT")]),
        world.secret("frodo", "own", &[("id", "7")]),
    ];
    world
        .write("hosts/web/host.yaml", host("web", spec))
        .write("hosts/web/secrets.yaml", secrets.join("---\n"))
        .write("hosts/web/nginx.conf.tmpl", "{{ .db.password }} {{ index .cert \"tls.crt\" }} {{ .own.id }}\n")
        .write("hosts/web/units/app.container", "[Container]\nImage=app\n")
        .write("shared/backup.sh", "#!/bin/sh\n");
    world
}

#[tokio::test]
async fn a_commit_becomes_files_units_services_and_credentials() {
    let desired = commit().declare().await;
    assert_eq!(problems(&desired), [""; 0]);
    assert_eq!(desired.keep, Keep::default());
    let made: Vec<_> = contents(&desired).into_iter().map(|(path, text)| (path, text.unwrap())).collect();
    let made: Vec<_> = made.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(
        made[..2],
        [
            ("/etc/containers/systemd/app.container", "[Container]\nImage=app\n"),
            (
                "/etc/cron.d/bulla-dump",
                "# Job dump of a Host document. Bulla puts this file back: edit the document.\nPATH=\"/bin\"\n\
             30 2 * * *\tbackup\tdate +\\%F\n"
            ),
        ]
    );
    assert_eq!(
        made[2..],
        [
            ("/etc/motd", "frodo of edge,web"),
            ("/etc/nginx/nginx.conf", "hunter2 CERT 7\n"),
            ("/etc/nginx/tls.key", "KEY"),
            ("/etc/systemd/system/backup.timer", "[Timer]\nOnCalendar=daily\n"),
            ("/etc/systemd/system/nginx.service.d/tls.conf", "[Service]\n"),
            ("/run/credstore/app.service.token", "hunter2"),
            ("/usr/local/bin/backup", "#!/bin/sh\n"),
        ]
    );
    let file = |path: &str| desired.files.iter().find(|file| file.path.to_str() == Some(path)).unwrap();
    let modes: Vec<_> = desired.files.iter().map(|file| (file.mode, file.role, file.place)).collect();
    assert_eq!(
        modes,
        [
            (0o644, Role::Unit, Place::Copy),
            (0o644, Role::Cron, Place::Copy),
            (0o444, Role::File, Place::Link),
            (0o400, Role::File, Place::Link),
            (0o440, Role::File, Place::Link),
            (0o644, Role::Unit, Place::Copy),
            (0o644, Role::Unit, Place::Copy),
            (0o400, Role::Credential, Place::Copy),
            (0o755, Role::File, Place::Copy),
        ]
    );
    let key = file("/etc/nginx/tls.key");
    assert_eq!((key.owner.as_deref(), key.group.as_deref()), (Some("www-data"), Some("33")));
    assert_eq!(file("/etc/nginx/nginx.conf").secrets, ["edge/db", "edge/tls", "frodo/own"]);
    let units: Vec<_> = desired.units.iter().map(|unit| (unit.name.as_str(), unit.enable, unit.start)).collect();
    assert_eq!(units, [("backup.timer", Some(true), Some(true)), ("app.service", None, Some(true))]);
    let services: Vec<_> = desired.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(services, ["nginx", "app"]);
    let [credential] = &desired.credentials[..] else { panic!("{} credentials", desired.credentials.len()) };
    assert_eq!((credential.unit.as_str(), credential.name.as_str()), ("backup.service", "token"));
    assert!(credential.value.as_ref().unwrap().same_as(b"hunter2"));
}

#[tokio::test]
async fn lists_json_and_several_documents_are_read_alike() {
    let world = World::new();
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: bulla.dev/v1alpha1\n  kind: Host\n  metadata: {name: frodo}\n  spec:\n    files: [{path: /a, inline: a}]\n";
    world
        .write("a.yaml", format!("# first\n---\n{list}---\n{}", host("b", "  files: [{path: /b, inline: b}]\n")))
        .write(
            "c.json",
            r#"{"apiVersion":"bulla.dev/v1alpha1","kind":"Host","metadata":{"name":"c","namespace":"web"},
            "spec":{"files":[{"path":"/c","inline":"c"}]}}"#,
        )
        .write(".github/d.yaml", host("d", "  files: [{path: /d, inline: d}]\n"))
        .write("e.yaml", host("e", "  hosts: [camelot]\n  files: [{path: /e, inline: e}]\n"))
        .write("f.txt", host("f", "  files: [{path: /f, inline: f}]\n"));
    let desired = world.declare().await;
    assert_eq!(problems(&desired), [""; 0]);
    assert_eq!(contents(&desired).into_keys().collect::<Vec<_>>(), ["/a", "/b", "/c"]);
}
