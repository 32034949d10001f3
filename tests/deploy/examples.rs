//! The examples: what is for a cluster is taken by a real API server that knows the kinds of Argo CD and Flux; what is for
//! a pipeline has the form that it must have and runs `bulla verify`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::manifests::{at, parse, text};

fn read(path: &str) -> String {
    fs::read_to_string(at(&format!("deploy/examples/{path}"))).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn argo_cd_and_flux_take_theirs() {
    let mut cluster = Cluster::new().await;
    let mut count = 0;
    for folder in ["argocd", "flux"] {
        let files = files(&at(&format!("deploy/examples/{folder}")));
        for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "yaml")) {
            let mut objects = parse(&fs::read_to_string(file).unwrap());
            for object in &mut objects {
                if text(object, "/metadata/namespace").is_empty() {
                    object["metadata"]["namespace"] = "test-examples".into();
                }
            }
            let refusals = cluster.refusals(&objects).await;
            assert!(refusals.is_empty(), "{}: {refusals:#?}", file.display());
            count += objects.len();
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn what_the_examples_point_at_is_there() {
    for (file, wave) in
        [("argocd/root.yaml", None), ("argocd/apps/bulla.yaml", Some(-2)), ("argocd/apps/workload.yaml", Some(0))]
    {
        let application = &parse(&read(file))[0];
        let path = text(application, "/spec/source/path");
        assert!(at(path).is_dir(), "{file}: there is no {path}");
        let said = application.pointer("/metadata/annotations/argocd.argoproj.io~1sync-wave").and_then(Value::as_str);
        assert_eq!(said.map(|wave| wave.parse::<i32>().unwrap()), wave, "{file}");
    }
    let values = &parse(&read("argocd/apps/bulla.yaml"))[0]["spec"]["source"]["helm"]["valuesObject"];
    crate::manifests::rendered(values, "test-examples").unwrap();
    let kustomization = &parse(&read("flux/bulla.yaml"))[1];
    assert!(at(text(kustomization, "/spec/path")).is_dir());
}

#[test]
fn fluxs_expressions_ask_for_conditions_that_we_publish() {
    let secrets = &parse(&read("flux/secrets.yaml"))[0];
    let expressions = secrets["spec"]["healthCheckExprs"].as_array().unwrap();
    let of = |kind: &str| expressions.iter().find(|one| one["kind"] == kind).unwrap();
    for (kind, condition) in [("SealedSecret", "Synced"), ("ExternalSecret", "Ready")] {
        let one = of(kind);
        assert!(text(one, "/failed").contains("'Stalled' && c.status == 'True'"));
        assert!(text(one, "/current").contains(&format!("'{condition}' && c.status == 'True'")));
    }
}

#[test]
fn pipelines_run_bulla_verify() {
    let workflow = &parse(&read("github-actions/verify.yaml"))[0];
    let steps = workflow["jobs"]["verify"]["steps"].as_array().unwrap();
    let runs: Vec<_> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert!(runs.iter().any(|run| run.starts_with("bulla verify ")), "{runs:?}");
    let workflow = &parse(&read("github-actions/rotate.yaml"))[0];
    let steps = workflow["jobs"]["rotate"]["steps"].as_array().unwrap();
    let runs: String = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert!(runs.contains("bulla rotate --yes --no-new-key --branch bulla/rotate --output json"), "{runs}");
    let jenkins = read("jenkins/Jenkinsfile");
    assert!(jenkins.contains("sh 'bulla verify "));
    assert_eq!(jenkins.matches('{').count(), jenkins.matches('}').count());
}

#[test]
fn nothing_secret_is_in_the_state_of_terraform() {
    let text = read("terraform/main.tf");
    assert_eq!(text.matches('{').count(), text.matches('}').count());
    assert!(text.contains("helm_release") && !text.contains("data \"kubernetes_secret"));
}
