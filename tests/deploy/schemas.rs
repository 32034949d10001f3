//! kubeconform, with schemas made of what the real API server says of itself: nothing is fetched from anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kube::api::GetParams;
use kube::core::Request;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::manifests::{run, text};
use crate::support::servers;

/// Holds each object against the schema of its kind, strictly.
pub(crate) async fn check(cluster: &Cluster, objects: &[Value]) {
    let scratch = tempfile::tempdir().unwrap();
    write_schemas(cluster, objects, scratch.path()).await;
    let (problems, checked) = conform(scratch.path(), objects);
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(checked, objects.len());
    // The schemas do refuse: a field that nobody knows is found.
    let mut wrong = objects.iter().find(|object| text(object, "/kind") == "Deployment").unwrap().clone();
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnly"] = json!(true);
    let (problems, _) = conform(scratch.path(), &[wrong]);
    assert!(problems.len() == 1 && problems[0].contains("readOnly"), "{problems:?}");
}

/// What kubeconform has against these objects, and how many it looked at.
fn conform(schemas: &Path, objects: &[Value]) -> (Vec<String>, usize) {
    let file = schemas.join("objects.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    fs::write(&file, list.to_string()).unwrap();
    let location =
        format!("{}/{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}_{{{{.ResourceKind}}}}.json", schemas.display());
    let arguments = ["-strict", "-output", "json", "-verbose", "-schema-location", &location, file.to_str().unwrap()];
    let said = run(&servers::path("kubeconform"), &arguments).unwrap_or_else(|said| said);
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    let results = said["resources"].as_array().unwrap();
    let problems = results.iter().filter(|one| one["status"] != "statusValid");
    (problems.map(Value::to_string).collect(), results.len())
}

async fn write_schemas(cluster: &Cluster, objects: &[Value], folder: &Path) {
    let wanted: BTreeSet<_> =
        objects.iter().map(|object| (text(object, "/apiVersion"), text(object, "/kind"))).collect();
    for (version, kind) in wanted {
        let path = if version.contains('/') { format!("apis/{version}") } else { format!("api/{version}") };
        let request = Request::new("/openapi/v3").get(&path, &GetParams::default()).unwrap();
        let mut document: Value = cluster.client.request(request).await.unwrap();
        let mut schemas = document["components"]["schemas"].take();
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let id = json!({"group": group, "version": version, "kind": kind});
        let of_kind = |schema: &Value| {
            let kinds = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            kinds.is_some_and(|kinds| kinds.contains(&id))
        };
        let found = schemas.as_object().unwrap().iter().find(|(_, schema)| of_kind(schema));
        let name = found.unwrap_or_else(|| panic!("the API server has no schema of {id}")).0.clone();
        close(&mut schemas);
        let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": schemas}});
        // kubeconform takes the version of the core group for its name.
        let group = if group.is_empty() { version } else { group };
        let file = format!("{group}_{version}_{}.json", kind.to_lowercase());
        fs::write(folder.join(file), schema.to_string()).unwrap();
    }
}

/// Lets no object have fields that its schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            let is_open =
                ["additionalProperties", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"];
            if map.get("properties").is_some_and(Value::is_object)
                && !is_open.iter().any(|word| map.contains_key(*word))
            {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
