use serde_json::{Value, json};

use super::*;

fn broken(spec: Value) -> Vec<String> {
    let document = json!({
        "apiVersion": "bulla.dev/v1alpha1", "kind": "Host", "metadata": {"name": "web"}, "spec": spec
    });
    let host = Host::read(document).unwrap();
    validate(&host).iter().map(ToString::to_string).collect()
}

/// The places of what is broken.
fn places(spec: Value) -> Vec<String> {
    broken(spec).iter().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_whole_document_keeps_the_rules() {
    let spec = json!({
        "hosts": ["frodo"], "groups": ["web"],
        "files": [
            {"path": "/etc/a", "secret": {"name": "tls", "key": "tls.key"}, "owner": "www-data", "group": "33", "mode": "0440"},
            {"path": "/etc/b", "template": "nginx.conf.tmpl", "secrets": [{"name": "a-b", "as": "ab"}, {"name": "db"}]},
            {"path": "/etc/c", "source": "/shared/c", "place": "copy", "mode": "755"},
        ],
        "units": [
            {"name": "a.service", "inline": "[Service]\nExecStart=/bin/true\n", "enable": true, "start": true},
            {"name": "b.container", "source": "b.container", "start": true},
            {"name": "nginx.service.d/x.conf", "inline": "[Service]\n"},
        ],
        "cron": [{"name": "backup", "schedule": "30 2 * * mon-fri", "user": "backup", "command": "date +%F", "environment": {"A": "b"}}],
        "credentials": [{"name": "token", "unit": "backup.service", "secret": {"name": "db", "key": "password"}}],
        "services": [
            {"name": "nginx", "reloadOn": ["/etc/nginx/**"], "restartOn": ["/etc/a"], "validate": ["nginx", "-t"],
             "health": {"http": {"url": "https://[::1]:8443/healthz", "status": [200], "headers": {"Host": "x"}}, "tcp": "localhost:80",
                        "within": "30s", "for": "1m30s"}},
            {"name": "app", "after": ["nginx", "elsewhere"], "commands": {"restart": ["/etc/init.d/app", "restart"]}},
        ],
    });
    assert_eq!(broken(spec), [""; 0]);
}

#[test]
fn a_file_says_in_one_way_what_is_in_it() {
    let none = json!({"files": [{"path": "/a"}, {"path": "/b", "inline": "", "source": "x"}]});
    assert_eq!(places(none), ["spec.files[0]", "spec.files[1]"]);
}

#[test]
fn paths_outside_are_refused() {
    for path in ["etc/a", "/etc/../a", "/", "/a\nb", "/proc/x"] {
        assert_eq!(places(json!({"files": [{"path": path, "inline": ""}]})), ["spec.files[0].path"], "{path:?}");
    }
    for source in ["", "/", "a//b", ".git/config", "a\\b", "a/.git/x"] {
        assert_eq!(
            places(json!({"files": [{"path": "/a", "source": source}]})),
            ["spec.files[0].source"],
            "{source:?}"
        );
    }
}

#[test]
fn one_path_is_declared_once() {
    let twice =
        json!({"files": [{"path": "/a", "inline": ""}, {"path": "/b", "inline": ""}, {"path": "/a", "inline": "x"}]});
    assert_eq!(places(twice), ["spec.files[2].path"]);
}

#[test]
fn nobody_may_become_another_by_a_file_or_write_to_it() {
    for mode in ["4755", "2755", "1755", "0666", "0602", "999", "a"] {
        assert_eq!(
            places(json!({"files": [{"path": "/a", "inline": "", "mode": mode}]})),
            ["spec.files[0].mode"],
            "{mode}"
        );
    }
}

#[test]
fn templates_call_each_secret_by_another_name() {
    let file = |secrets: Value| json!({"files": [{"path": "/a", "inline": "", "secrets": secrets}]});
    assert_eq!(places(file(json!([{"name": "host"}]))), ["spec.files[0].secrets[0]"]);
    assert_eq!(places(file(json!([{"name": "a"}, {"name": "a", "namespace": "b"}]))), ["spec.files[0].secrets[1]"]);
    assert_eq!(places(file(json!([{"name": "a", "as": "a-b"}]))), ["spec.files[0].secrets[0].as"]);
    let source = json!({"files": [{"path": "/a", "source": "a", "secrets": [{"name": "a"}]}]});
    assert_eq!(places(source), ["spec.files[0].secrets"]);
}

#[test]
fn no_line_gets_into_cron_s_file_by_another() {
    let job = |name: &str, value: &str| {
        let mut job = json!({"name": "a", "schedule": "@daily", "command": "true"});
        job[name] = json!(value);
        json!({"cron": [job]})
    };
    for (field, value) in [
        ("name", "../a"),
        ("name", "a.b"),
        ("name", ""),
        ("schedule", "@daily\n* * * * *"),
        ("schedule", "* * * *"),
        ("command", "a\n* * * * * root id"),
        ("command", ""),
        ("user", "root x"),
        ("user", "0"),
        ("user", "a\nb"),
    ] {
        assert_eq!(places(job(field, value)), [format!("spec.cron[0].{field}")], "{value:?}");
    }
    let environment = json!({"cron": [{"name": "a", "schedule": "@daily", "command": "true", "environment": {"A=": "x", "B": "x\ny"}}]});
    assert_eq!(places(environment), ["spec.cron[0].environment", "spec.cron[0].environment.B"]);
}

#[test]
fn units_have_names_and_a_state_only_where_they_can() {
    let unit = |unit: Value| places(json!({"units": [unit]}));
    assert_eq!(unit(json!({"name": "../a.service", "inline": ""})), ["spec.units[0].name"]);
    assert_eq!(unit(json!({"name": "a.service"})), ["spec.units[0]"]);
    assert_eq!(unit(json!({"name": "a.container", "inline": "", "enable": true})), ["spec.units[0].enable"]);
    assert_eq!(unit(json!({"name": "a@.service", "inline": "", "start": true})), ["spec.units[0].start"]);
    assert_eq!(unit(json!({"name": "a.service.d/b.conf", "inline": "", "start": false})), ["spec.units[0].start"]);
}

#[test]
fn services_come_after_each_other_in_some_order() {
    let services = |edges: &[(&str, &[&str])]| {
        let list: Vec<_> = edges.iter().map(|(name, after)| json!({"name": name, "after": after})).collect();
        places(json!({"services": list}))
    };
    assert_eq!(services(&[("a", &["a"])]), ["spec.services[0].after[0]"]);
    assert_eq!(services(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]).len(), 3);
    assert_eq!(services(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]), [""; 0]);
    assert_eq!(services(&[("a", &[]), ("a", &[])]), ["spec.services[1].name"]);
}

#[test]
fn health_is_asked_for_in_ways_that_exist() {
    let health = |health: Value| places(json!({"services": [{"name": "a", "health": health}]}));
    for (field, value) in
        [("within", "1d"), ("for", "2h"), ("within", ""), ("tcp", "localhost"), ("tcp", "a:0"), ("tcp", "a b:1")]
    {
        assert_eq!(health(json!({field: value})), [format!("spec.services[0].health.{field}")], "{value}");
    }
    for url in [
        "",
        "ftp://a",
        "http://",
        "http://user:word@a/",
        "http://a b/",
        "http://a:x/",
        "file:///etc/passwd",
        "http://[::g]/",
    ] {
        assert_eq!(health(json!({"http": {"url": url}})), ["spec.services[0].health.http.url"], "{url}");
    }
    for url in ["http://a", "http://127.0.0.1:8080/x?y#z", "https://[::1]/", "http://a_b.c-d:1"] {
        assert_eq!(health(json!({"http": {"url": url}})), [""; 0], "{url}");
    }
    let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    for (url, ca, is_legal) in [
        ("https://a", "/etc/ca.pem", true),
        ("https://a", pem, true),
        ("http://a", "/etc/ca.pem", false),
        ("https://a", "ca.pem", false),
        ("https://a", "/etc/../ca.pem", false),
        ("https://a", "-----BEGIN CERTIFICATE-----", false),
        ("https://a", &format!("{pem}-----BEGIN PRIVATE KEY-----"), false),
        ("https://a", &pem.repeat(2000), false),
    ] {
        let found = health(json!({"http": {"url": url, "ca": ca}}));
        assert_eq!(found.is_empty(), is_legal, "{url} {ca:.60}: {found:?}");
    }
    let odd =
        json!({"http": {"url": "http://a", "status": [99], "contains": "", "headers": {"A\r": "x", "B": "x\r\ny"}}});
    assert_eq!(health(odd).len(), 4);
}

#[test]
fn globs_and_commands_must_make_sense() {
    let service = |service: Value| places(json!({"services": [service]}));
    assert_eq!(service(json!({"name": "a", "reloadOn": ["/a", "a/[", "/["]})).len(), 2);
    assert_eq!(service(json!({"name": "a", "validate": ["", "x"]})), ["spec.services[0].validate[0]"]);
    assert_eq!(service(json!({"name": "a", "validate": ["nginx", "a\0"]})), ["spec.services[0].validate[1]"]);
    assert_eq!(service(json!({"name": "a", "commands": {"status": ["x"]}})), ["spec.services[0].commands"]);
    assert_eq!(service(json!({"name": "a/b"})), ["spec.services[0].name"]);
}

#[test]
fn places_are_those_of_the_document_although_an_entry_before_could_not_be_read() {
    let document = json!({
        "apiVersion": "bulla.dev/v1alpha1", "kind": "Host", "metadata": {"name": "web"},
        "spec": {"files": [{"path": "/a", "what": 1}, {"path": "b", "inline": ""}]}
    });
    let reading = Host::read_each(document);
    assert_eq!(reading.unread.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["spec.files[0].what"]);
    assert_eq!(reading.unread_paths, ["/a"]);
    let broken = validate_at(&reading.host, &reading.positions);
    assert_eq!(broken.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["spec.files[1].path"]);
}
