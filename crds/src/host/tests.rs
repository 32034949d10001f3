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

/// The schema as an editor reads it.
struct Editor {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Editor {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.set_default_draft(boon::Draft::V2020_12);
        compiler.add_resource("host.json", schema()).unwrap();
        let index = compiler.compile("host.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Self { schemas, index }
    }

    fn accepts(&self, document: &Value) -> bool {
        self.schemas.validate(document, self.index).is_ok()
    }
}

/// Documents that use every field there is.
fn examples() -> Vec<Value> {
    let whole = json!({
        "apiVersion": API_VERSION, "kind": KIND,
        "metadata": {"name": "web", "namespace": "edge", "labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {
            "hosts": ["frodo"], "groups": ["edge"],
            "files": [
                {"path": "/a", "secret": {"name": "x", "key": "k", "namespace": "edge"}, "owner": "a", "group": "0", "mode": "0440", "place": "copy"},
                {"path": "/b", "template": "b.tmpl", "secrets": [{"name": "x", "namespace": "edge", "as": "y"}], "place": "link"},
                {"path": "/c", "inline": "x"}, {"path": "/d", "source": "d"},
            ],
            "units": [{"name": "a.service", "inline": "x", "enable": true, "start": false}, {"name": "b.container", "source": "b"}],
            "cron": [{"name": "a", "schedule": "@daily", "user": "b", "command": "true", "environment": {"A": "b"}}],
            "credentials": [
                {"name": "a", "unit": "a.service", "secret": {"name": "x", "key": "k"}, "by": "credstore"},
                {"name": "b", "unit": "a.service", "secret": {"name": "x", "key": "k"}, "by": "socket"},
            ],
            "services": [{
                "name": "a", "unit": "a.service", "reloadOn": ["/a"], "restartOn": ["/b"], "validate": ["x"], "after": ["b"],
                "commands": {"reload": ["a"], "restart": ["b"], "status": ["c"]},
                "health": {
                    "http": {"url": "http://a", "status": [200], "contains": "x", "headers": {"A": "b"}},
                    "tcp": "a:1", "command": ["c"], "within": "1m30s", "for": "5s",
                },
            }],
        },
    });
    let least = json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "web"}});
    vec![whole, least]
}

/// The places of all objects in a value, as JSON pointers.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            fields.iter().for_each(|(field, value)| objects(value, &format!("{at}/{field}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| objects(value, &format!("{at}/{index}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let editor = Editor::new();
    for example in examples() {
        assert!(editor.accepts(&example), "{example}");
        let host = Host::read(example.clone()).unwrap();
        assert_eq!(validate(&host), []);
        // Nothing that stands in the document is lost.
        assert!(editor.accepts(&serde_json::to_value(&host).unwrap()));
        assert_eq!(Host::read(serde_json::to_value(&host).unwrap()).unwrap(), host);
    }
}

#[test]
fn a_field_that_nobody_knows_is_refused_by_schema_and_reader_wherever_it_is() {
    let editor = Editor::new();
    for example in examples() {
        let mut places = Vec::new();
        objects(&example, "", &mut places);
        for place in places {
            let mut odd = example.clone();
            odd.pointer_mut(&place).unwrap().as_object_mut().unwrap().insert("oddity".to_owned(), json!("x"));
            // Labels and their like are maps of any words.
            let is_map = ["labels", "annotations", "environment", "headers"].iter().any(|map| place.ends_with(map));
            assert_eq!(editor.accepts(&odd), is_map, "schema at {place}");
            assert_eq!(Host::read(odd).is_ok(), is_map, "reader at {place}");
        }
    }
}

#[test]
fn a_value_of_a_wrong_shape_is_refused_by_schema_and_reader_wherever_it_is() {
    let editor = Editor::new();
    let [whole, _] = examples().try_into().unwrap();
    let mut places = Vec::new();
    objects(&whole, "", &mut places);
    let mut count = 0;
    for place in places {
        let fields: Vec<_> = whole.pointer(&place).unwrap().as_object().unwrap().keys().cloned().collect();
        for field in fields {
            for wrong in [json!(7), json!("x\ny"), json!(["x"]), json!({"x": 1}), json!(true)] {
                let mut odd = whole.clone();
                *odd.pointer_mut(&format!("{place}/{field}")).unwrap() = wrong.clone();
                let is_taken = Host::read(odd.clone()).is_ok_and(|host| validate(&host).is_empty());
                // The schema may take what a rule refuses, never refuse what the reader takes.
                assert!(!is_taken || editor.accepts(&odd), "{place}/{field}: {wrong}");
                // A wrong type is refused by both.
                let read = Host::read(odd.clone()).is_ok();
                assert!(read || !editor.accepts(&odd), "{place}/{field}: {wrong}");
                count += 1;
            }
        }
    }
    assert!(count > 200, "{count}");
}

/// The Host documents of a text: of a manifest, or of the examples in a page.
fn written(text: &str) -> Vec<Value> {
    let is_page = text.contains("```yaml");
    let blocks: Vec<&str> = if is_page {
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
    } else {
        vec![text]
    };
    let documents = blocks.into_iter().flat_map(|block| block.split("\n---"));
    let read = documents.filter(|text| text.contains("kind: Host\n")).map(|text| serde_saphyr::from_str(text).unwrap());
    read.filter(is_host).collect()
}

fn manifests(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn the_documents_that_people_are_shown_are_accepted_by_schema_and_reader() {
    let editor = Editor::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![root.join("docs/host.md")];
    manifests(&root.join("deploy/examples"), &mut files);
    let mut count = 0;
    for file in files {
        for document in written(&std::fs::read_to_string(&file).unwrap()) {
            assert!(editor.accepts(&document), "{}", file.display());
            let host = Host::read(document).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(validate(&host), [], "{}", file.display());
            count += 1;
        }
    }
    assert!(count > 0);
}
