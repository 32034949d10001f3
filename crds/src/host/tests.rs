use serde_json::{Value, json};

use super::*;

fn document(spec: Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "web"}, "spec": spec})
}

fn problem(document: Value) -> String {
    Host::read(document).unwrap_err().to_string()
}

#[test]
fn what_nobody_knows_is_an_error_that_says_what_may_be_meant() {
    assert_eq!(problem(document(json!({"file": []}))), "spec.file is not known; is files meant?");
    let nested =
        document(json!({"services": [{"name": "a", "health": {"http": {"url": "http://a", "statuses": []}}}]}));
    assert_eq!(problem(nested), "spec.services[0].health.http.statuses is not known; is status meant?");
    let far = document(json!({"files": [{"path": "/a", "zzzzzzzzzzzz": 1}]}));
    assert!(problem(far).starts_with("spec.files[0].zzzzzzzzzzzz is not known; there is path, secret,"));
    let mut top = document(json!({}));
    top["status"] = json!({});
    assert_eq!(problem(top), "status is not known; there is apiVersion, kind, metadata, spec");
}

#[test]
fn errors_say_where_and_never_what_stands_there() {
    for (spec, expected) in [
        (json!({"files": [{"path": "/a", "mode": 440}]}), "spec.files[0].mode must be a string: write it in quotes"),
        (json!({"files": [{"path": "/a"}, {"inline": "hunter2"}]}), "spec.files[1] lacks path"),
        (json!({"files": {"path": "hunter2"}}), "spec.files must be a list"),
        (json!({"files": [["/a"]]}), "spec.files[0] must be an object"),
        (
            json!({"files": [{"path": "/a", "secret": ["hunter2", "b", null]}]}),
            "spec.files[0].secret must be an object",
        ),
        (json!({"files": [{"path": "/a", "secrets": [["hunter2"]]}]}), "spec.files[0].secrets[0] must be an object"),
        (json!({"files": [{"path": "/a", "place": "hunter2"}]}), "spec.files[0].place must be `link` or `copy`"),
        (json!({"units": [{"name": "a", "enable": "hunter2"}]}), "spec.units[0].enable must be true or false"),
        (json!(["hunter2"]), "spec must be an object"),
    ] {
        let said = problem(document(spec));
        assert_eq!(said, expected);
        assert!(!said.contains("hunter2"));
    }
    assert_eq!(
        problem(json!({"apiVersion": "bulla.dev/v2", "kind": KIND, "metadata": {"name": "a"}})),
        "apiVersion must be bulla.dev/v1alpha1"
    );
    assert_eq!(problem(json!({"apiVersion": API_VERSION, "kind": KIND})), "metadata is missing");
}

#[test]
fn one_entry_that_cannot_be_read_does_not_hide_the_others() {
    let spec = json!({
        "files": [{"path": "/a", "inline": "x"}, {"path": "/b", "inlin": "x"}, {"path": "/c", "inline": "y"}],
        "units": [{"name": "a.service", "inline": ""}], "services": ["x"]
    });
    let reading = Host::read_each(document(spec));
    assert_eq!(reading.host.spec.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["/a", "/c"]);
    assert_eq!((reading.positions.files.as_slice(), reading.unread_paths), ([0, 2].as_slice(), vec!["/b".to_owned()]));
    assert_eq!((reading.unread.len(), reading.host.spec.units.len(), reading.is_partial), (2, 1, false));
    assert!(Host::read_each(document(json!({"files": [{"inline": "x"}]}))).is_partial);
    assert!(Host::read_each(document(json!({"fils": []}))).is_partial);
}

#[test]
fn a_host_takes_what_names_it_or_a_group_of_it() {
    let host = |namespace: Option<&str>, hosts: &[&str], groups: &[&str]| {
        let mut document = document(json!({"hosts": hosts, "groups": groups}));
        if let Some(namespace) = namespace {
            document["metadata"]["namespace"] = json!(namespace);
        }
        Host::read(document).unwrap()
    };
    let groups = ["edge".to_owned()];
    assert!(host(None, &[], &[]).is_for("web", &[]));
    assert!(!host(None, &[], &[]).is_for("frodo", &groups));
    assert!(host(Some("edge"), &[], &[]).is_for("frodo", &groups));
    assert!(host(None, &["frodo"], &[]).is_for("frodo", &[]));
    assert!(!host(None, &["frodo"], &[]).is_for("web", &[]));
    assert!(host(None, &["x"], &["edge"]).is_for("frodo", &groups));
}
