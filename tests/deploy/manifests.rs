//! Manifests as the real tools render them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::servers;

/// A file or folder of the repository.
pub(crate) fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The objects in a text of one or more YAML documents.
pub(crate) fn parse(text: &str) -> Vec<Value> {
    documents(text).iter().map(|document| object(document)).filter(|object| !object.is_null()).collect()
}

/// The same without the CRDs, which are long and everywhere the same.
fn parse_without_crds(text: &str) -> Vec<Value> {
    let documents = documents(text).into_iter().filter(|one| !one.contains("\nkind: CustomResourceDefinition\n"));
    documents.map(|document| object(&document)).filter(|object| !object.is_null()).collect()
}

fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    documents
}

fn object(document: &str) -> Value {
    serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("no YAML: {error}\n{document}"))
}

/// Runs a program to its end: what it said, or what it complained of.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("running a tool");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr) + &text(&done.stdout)) }
}

/// What `kustomize build` makes of a folder.
pub(crate) fn kustomized(folder: &Path) -> Vec<Value> {
    parse(&kustomize(folder))
}

fn kustomize(folder: &Path) -> String {
    let folder = folder.to_str().expect("a path in UTF-8");
    run(&servers::path("kustomize"), &["build", folder]).unwrap_or_else(|error| panic!("{folder}: {error}"))
}

/// What `kustomize build` makes of the base with these components in `namespace`, without the CRDs.
pub(crate) fn with_components(components: &[&str], namespace: &str) -> Vec<Value> {
    // Kustomize takes paths relative to the file only.
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let folder = scratch.path().canonicalize().expect("a path");
    let up: PathBuf = folder.components().skip(1).map(|_| "..").collect();
    let here = at("deploy/kustomize").canonicalize().expect("a path");
    let there = up.join(here.strip_prefix("/").expect("an absolute path"));
    let list = |names: &[&str]| {
        let paths = names.iter().map(|name| format!("- {}\n", there.join(name).display()));
        paths.collect::<String>()
    };
    let components: Vec<_> = components.iter().map(|name| format!("components/{name}")).collect();
    let components: Vec<_> = components.iter().map(String::as_str).collect();
    let text = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {namespace}\nresources:\n{}components:\n{}",
        list(&["base"]),
        list(&components),
    );
    std::fs::write(folder.join("kustomization.yaml"), text).expect("writing a kustomization");
    parse_without_crds(&kustomize(&folder))
}

/// What `helm template` makes of the chart with these values, or why it refuses them.
pub(crate) fn rendered(values: &Value, namespace: &str) -> Result<Vec<Value>, String> {
    let file = tempfile::Builder::new().suffix(".json").tempfile().expect("a temporary file");
    std::fs::write(file.path(), values.to_string()).expect("writing values");
    let (chart, file) = (at("deploy/chart"), file.path().to_str().expect("a path in UTF-8").to_owned());
    let chart = chart.to_str().expect("a path in UTF-8");
    let arguments = ["template", "bulla", chart, "--namespace", namespace, "--values", &file];
    run(&servers::path("helm"), &arguments).map(|text| parse(&text))
}

/// A string in an object.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The one object of this kind and name.
pub(crate) fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |object: &&Value| text(object, "/kind") == kind && text(object, "/metadata/name") == name;
    objects.iter().find(is_it).unwrap_or_else(|| panic!("there is no {kind} {name}"))
}
