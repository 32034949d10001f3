//! Failure is local: what is broken is told, keeps its last good content, and stops nothing else.

use std::path::Path;

use bulla::host::desired::Keep;

use super::world::{World, contents, host, problems, sealed_secret};

fn holds(keep: &Keep, path: &str) -> bool {
    keep.holds(Path::new(path))
}

#[tokio::test]
async fn a_secret_that_does_not_open_leaves_its_files_as_they_were_and_the_others_go_on() {
    let world = World::new();
    let spec = "
  files:
  - {path: /a, secret: {name: good, key: k}}
  - {path: /b, secret: {name: bad, key: k}}
  - {path: /c, inline: '{{ .good.k }}{{ .bad.k }}', secrets: [{name: good}, {name: bad}]}
  - {path: /d, secret: {name: good, key: other}}
  - {path: /e, secret: {name: nowhere, key: k}}
  - {path: /f, inline: '{{ .good.other }}', secrets: [{name: good}]}
  - {path: /g, inline: '{{ .good.k | nofunction }}', secrets: [{name: good}]}
  - {path: /h, template: missing.tmpl}
";
    world
        .write("host.yaml", host("web", spec))
        .write("good.yaml", world.secret("edge", "good", &[("k", "hunter2")]))
        .write("bad.yaml", sealed_secret("edge", "bad", "    k: AgBhYmNk\n"));
    let desired = world.declare().await;
    let made: Vec<_> = contents(&desired).into_iter().filter_map(|(path, text)| Some((path, text?))).collect();
    assert_eq!(made, [("/a".to_owned(), "hunter2".to_owned())]);
    assert_eq!((desired.files.len(), &desired.keep), (8, &Keep::default()));
    let said = problems(&desired);
    assert_eq!(said.len(), 7 - 1, "{said:#?}");
    let is_told = |object: &str, part: &str| said.iter().any(|line| line.starts_with(object) && line.contains(part));
    assert!(is_told("SealedSecret edge/bad: ", "(bad.yaml:1)"), "{said:#?}");
    assert!(is_told("secret edge/nowhere: ", "no SealedSecret or ExternalSecret"), "{said:#?}");
    assert!(is_told("/d: ", "the secret edge/good has no key other; it has k (host.yaml:1)"), "{said:#?}");
    assert!(is_told("/f: ", "the secret edge/good has no key other"), "{said:#?}");
    assert!(is_told("/g: ", "unknown function nofunction"), "{said:#?}");
    assert!(is_told("/h: ", "template missing.tmpl: is not in this commit"), "{said:#?}");
    assert!(!said.concat().contains("hunter2"));
}

#[tokio::test]
async fn a_value_that_was_sealed_for_another_place_is_refused() {
    let world = World::new();
    let moved = |namespace: &str, name: &str, key: &str| {
        let value = world.sealed("edge", "db", "password", "hunter2");
        sealed_secret(namespace, name, &format!("    {key}: {value}\n"))
    };
    let spec = "
  files:
  - {path: /a, secret: {name: db, key: passwd}}
  - {path: /b, secret: {name: other, key: password}}
  - {path: /c, secret: {name: db, key: password, namespace: frodo}}
";
    world
        .write("host.yaml", host("web", spec))
        .write("a.yaml", moved("edge", "db", "passwd"))
        .write("b.yaml", moved("edge", "other", "password"))
        .write("c.yaml", moved("frodo", "db", "password"));
    let desired = world.declare().await;
    assert!(contents(&desired).into_values().all(|text| text.is_none()));
    assert_eq!(desired.problems.len(), 3, "{:#?}", problems(&desired));
}

#[tokio::test]
async fn secrets_of_other_groups_are_out_of_reach() {
    let world = World::new();
    let spec = "  files:\n  - {path: /a, secret: {name: db, key: k, namespace: camelot}}\n";
    world.write("host.yaml", host("web", spec)).write("s.yaml", world.secret("camelot", "db", &[("k", "hunter2")]));
    let desired = world.declare().await;
    assert_eq!(contents(&desired)["/a"], None);
    let said = problems(&desired).join("\n");
    assert!(said.contains("camelot is not among the namespaces of this host (frodo, edge, web)"), "{said}");
}

#[tokio::test]
async fn a_manifest_that_does_not_parse_is_told_with_its_line_and_stops_nothing() {
    let world = World::new();
    world
        .write("host.yaml", host("web", "  files: [{path: /a, secret: {name: db, key: k}}]\n"))
        .write(
            "db.yaml",
            format!("{}---\nkind: SealedSecret\nmetadata: [\n", world.secret("edge", "db", &[("k", "v")])),
        )
        .write("chart/templates/x.yaml", "kind: Deployment\nspec: {{ .Values.spec }}\n");
    let desired = world.declare().await;
    assert_eq!(contents(&desired)["/a"].as_deref(), Some("v"));
    let said = problems(&desired);
    assert!(matches!(&said[..], [one] if one.ends_with("unclosed bracket '[' (db.yaml:9)")), "{said:#?}");
    // No file is declared by a SealedSecret: nothing has to be kept.
    assert_eq!(desired.keep, Keep::default());
}

#[tokio::test]
async fn a_host_document_that_does_not_parse_removes_nothing() {
    let world = World::new();
    world
        .write("a.yaml", host("a", "  files: [{path: /a, inline: a}]\n"))
        .write("b.yaml", host("b", "  files: [{path: /b, inline: b}\n"));
    let desired = world.declare().await;
    assert_eq!(contents(&desired).into_keys().collect::<Vec<_>>(), ["/a"]);
    assert_eq!((desired.keep, desired.problems.len()), (Keep::Everything, 1));
}

#[tokio::test]
async fn a_typing_error_in_one_entry_keeps_its_file_and_no_other() {
    let world = World::new();
    let spec = "
  files:
  - {path: /a, inline: a}
  - {path: /b, inlin: b}
  - {path: /c, inline: c, mode: '0666'}
  - {path: c, inline: c}
  services:
  - {name: nginx, restartsOn: [/a]}
  - {name: app}
";
    world.write("host.yaml", host("web", spec));
    let desired = world.declare().await;
    assert_eq!(contents(&desired).into_keys().collect::<Vec<_>>(), ["/a"]);
    assert!(
        holds(&desired.keep, "/b") && holds(&desired.keep, "/c") && !holds(&desired.keep, "/gone"),
        "{:?}",
        desired.keep
    );
    assert_eq!(desired.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["app"]);
    let said = problems(&desired).join("\n");
    for part in [
        "spec.files[1].inlin is not known; is inline meant?",
        "spec.files[2].mode",
        "spec.files[3].path",
        "spec.services[0]",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[tokio::test]
async fn a_list_that_nobody_knows_removes_nothing() {
    let world = World::new();
    world.write("host.yaml", host("web", "  fils: [{path: /a, inline: a}]\n"));
    let desired = world.declare().await;
    assert_eq!(desired.keep, Keep::Everything);
    assert!(problems(&desired)[0].contains("spec.fils is not known; is files meant?"));
}

#[tokio::test]
async fn a_document_of_another_host_is_none_of_this_one_s_business() {
    let world = World::new();
    world.write("host.yaml", host("web", "  hosts: [camelot]\n  groups: [db]\n  fils: [{path: /a, inline: a}]\n"));
    let desired = world.declare().await;
    assert_eq!((desired.keep, desired.problems.len(), desired.files.len()), (Keep::default(), 0, 0));
}

#[tokio::test]
async fn a_path_that_is_declared_twice_stays_as_it_is() {
    let world = World::new();
    world
        .write("a.yaml", host("a", "  files: [{path: /same, inline: a}, {path: /a, inline: a}]\n"))
        .write("b.yaml", host("b", "  files: [{path: /same, inline: b}, {path: /b, inline: b}]\n"))
        .write("c.yaml", host("c", "  files: [{path: /a/below, inline: b}]\n"))
        .write("d.yaml", host("d", "  files: [{path: /etc/systemd/system/x.service, inline: d}]\n  units: [{name: x.service, inline: u}]\n"));
    let desired = world.declare().await;
    assert_eq!(contents(&desired).into_keys().collect::<Vec<_>>(), ["/a", "/b"]);
    assert!(
        holds(&desired.keep, "/same")
            && holds(&desired.keep, "/a/below")
            && holds(&desired.keep, "/etc/systemd/system/x.service")
    );
    let said = problems(&desired);
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(
        said.iter()
            .any(|one| one.starts_with("/same: is declared here and at a.yaml:1") && one.ends_with("(b.yaml:1)")),
        "{said:#?}"
    );
}

#[tokio::test]
async fn a_secret_that_is_made_twice_is_taken_from_none() {
    let world = World::new();
    world
        .write("host.yaml", host("web", "  files: [{path: /a, secret: {name: db, key: k}}]\n"))
        .write("x.yaml", world.secret("edge", "db", &[("k", "v")]))
        .write("y.yaml", world.secret("edge", "db", &[("k", "w")]));
    let desired = world.declare().await;
    assert_eq!(contents(&desired)["/a"], None);
    assert!(
        problems(&desired)[0].contains("is made more than once, at x.yaml:1, y.yaml:1"),
        "{:?}",
        problems(&desired)
    );
}

#[tokio::test]
async fn a_secret_without_a_namespace_is_hinted_at() {
    let world = World::new();
    let homeless = world.secret("edge", "db", &[("k", "v")]).replace(", namespace: edge", "");
    world
        .write("host.yaml", host("web", "  files: [{path: /a, secret: {name: db, key: k}}]\n"))
        .write("x.yaml", homeless);
    let said = problems(&world.declare().await);
    assert!(said[0].contains("the one at x.yaml:1 has no metadata.namespace"), "{said:?}");
}
