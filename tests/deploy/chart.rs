//! The Helm chart: every value set renders to what a real API server takes, and what makes no sense is refused.

use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::manifests::{at, find, rendered, run, text};
use crate::schemas;
use crate::support::servers;

/// Values to render the chart with, by what they are.
fn value_sets() -> Vec<(&'static str, Value)> {
    vec![
        ("defaults", json!({})),
        ("one-replica", json!({"replicas": 1, "networkPolicy": {"enabled": false}, "rbac": {"aggregate": false}})),
        (
            "takes-over-sealed-secrets",
            json!({
                "fullnameOverride": "sealed-secrets-controller",
                "service": {"kubesealCompatible": true},
                "externalSecrets": {"enabled": false},
                "rbac": {"serviceProxier": {"bind": true, "subjects": "- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: sealers}"}},
            }),
        ),
        ("upstreams-values", upstreams_values()),
        (
            "namespaced",
            json!({
                "additionalNamespaces": ["test-a", "test-b"],
                "externalSecrets": {"storeTokens": {"enabled": true, "serviceAccounts": ["app"]}},
            }),
        ),
        ("own-namespace-only", json!({"rbac": {"clusterRole": false}, "crds": {"create": false}})),
        (
            "everything",
            json!({
                "commonLabels": {"team": "platform"}, "commonAnnotations": {"example.com/owner": "platform"},
                "image": {"digest": format!("sha256:{}", "0".repeat(64)), "pullSecrets": ["registry"]},
                "replicas": 3,
                "extraArgs": ["--concurrency=8"],
                "extraEnv": [{"name": "AWS_REGION", "value": "eu-west-1"}],
                "extraEnvFrom": [{"configMapRef": {"name": "proxy"}}],
                "externalSecrets": {
                    "storeTokens": {"enabled": true}, "tokenReview": true, "controllerClass": "a", "storeRequeueInterval": "1m",
                },
                "keyWrapping": {"existingSecret": "recovery", "args": ["--concurrency=9"]},
                "additionalVolumes": [{"name": "stores", "configMap": {"name": "stores"}}],
                "additionalVolumeMounts": [{"name": "stores", "mountPath": "/stores", "readOnly": true}],
                "podLabels": {"a": "b"}, "podAnnotations": {"c": "d"}, "priorityClassName": "system-cluster-critical",
                "affinity": {"nodeAffinity": {}}, "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": [{"operator": "Exists"}], "dnsPolicy": "ClusterFirst",
                "startupProbe": {"enabled": true, "failureThreshold": 30},
                "ingress": {"enabled": true, "tls": true, "ingressClassName": "nginx"},
                "networkPolicy": {"egress": {"enabled": true, "kubeapiCidr": "10.0.0.1/32", "kubeapiPort": 6443}},
                "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"}},
                "metrics": {"serviceMonitor": {"enabled": true, "interval": "30s"}},
                "pdb": {"minAvailable": 1, "maxUnavailable": ""},
                "extraDeploy": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "proxy", "namespace": "{{ .Release.Namespace }}"}}],
            }),
        ),
        (
            "watched",
            json!({
                "shards": 4, "labelSelector": "team in (a)", "secretLabels": {"a": "b"}, "kubesealCertificates": true,
                "auditLog": "stdout", "otlpEndpoint": "http://collector:4318", "updateStatus": false,
                "notify": {"existingSecret": "hooks", "events": ["failed", "rotated"]},
                "containerPorts": {"http": 9000, "metrics": 9100},
                "metrics": {
                    "objects": false, "serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true},
                    "dashboards": {"create": true},
                },
            }),
        ),
        ("rights-only", json!({"createController": false, "pdb": {"create": false}})),
    ]
}

/// All values of Bitnami's chart, as somebody may have them in a file, but for the image.
fn upstreams_values() -> Value {
    serde_saphyr::from_str(include_str!("upstream-values.yaml")).expect("values in YAML")
}

#[tokio::test]
async fn every_value_set_is_taken_by_the_api_server_and_by_kubeconform() {
    let mut cluster = Cluster::new().await;
    let mut all = Vec::new();
    for (what, values) in value_sets() {
        let objects =
            rendered(&values, &format!("test-chart-{what}")).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(objects.len() > 5, "{what}: {} objects", objects.len());
        let refusals = cluster.refusals(&objects).await;
        assert!(refusals.is_empty(), "{what}: {refusals:#?}");
        all.extend(objects);
    }
    schemas::check(&cluster, &all).await;
}

#[test]
fn the_chart_is_clean_and_its_documentation_is_made_from_its_values() {
    let chart = at("deploy/chart");
    let said = run(&servers::path("helm"), &["lint", "--strict", chart.to_str().unwrap()]);
    assert!(said.as_ref().is_ok_and(|said| said.contains("0 chart(s) failed")), "{said:?}");
    run(&at("deploy/chart-docs"), &["--check"]).unwrap();
}

#[tokio::test]
async fn the_pods_meet_pod_security_restricted() {
    let cluster = Cluster::new().await;
    for (what, mut values) in value_sets() {
        values["crds"] = json!({"create": false});
        if values["createController"] == json!(false) {
            continue;
        }
        let objects = rendered(&values, "test-pods").unwrap();
        let deployment = objects.iter().find(|object| text(object, "/kind") == "Deployment").unwrap();
        cluster.admits_pod(deployment).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    // The admission does refuse: nothing here passes by not being looked at.
    let mut open = find(&rendered(&json!({}), "test-pods").unwrap(), "Deployment", "bulla").clone();
    open["spec"]["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let refused = cluster.admits_pod(&open).await.unwrap_err();
    assert!(refused.contains("allowPrivilegeEscalation"), "{refused}");
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    for (values, words) in [
        (json!({"replica": 3}), "additional properties 'replica' not allowed"),
        (json!({"rbac": {"clusterRoles": true}}), "additional properties 'clusterRoles' not allowed"),
        (json!({"metrics": {"serviceMonitor": {"enable": true}}}), "additional properties 'enable' not allowed"),
        (json!({"replicas": "two"}), "got string, want integer"),
        (json!({"logFormat": "xml"}), "value must be one of"),
        (json!({"image": {"digest": "sha256:abc"}}), "does not match pattern"),
        (json!({"command": ["controller"]}), "use extraArgs and extraEnv"),
        (json!({"args": ["--update-status"]}), "use extraArgs and extraEnv"),
        (json!({"image": {"repository": "bitnami/sealed-secrets-controller"}}), "remove image from the values"),
        (json!({"rbac": {"pspEnabled": true}}), "no PodSecurityPolicy"),
        (json!({"metrics": {"service": {"type": "LoadBalancer"}}}), "use a ServiceMonitor"),
        (json!({"rbac": {"serviceProxier": {"bind": true}}}), "system:authenticated"),
        (json!({"service": {"kubesealCompatible": true, "name": "x"}}), "choose one"),
        (json!({"ingress": {"selfSigned": true}}), "extraDeploy"),
    ] {
        match rendered(&values, "test-refusals") {
            Ok(_) => panic!("{values} is taken"),
            Err(said) => assert!(said.contains(words), "{values}: {said}"),
        }
    }
}

#[test]
fn upstreams_settings_arrive_as_its_variables() {
    let objects = rendered(&upstreams_values(), "kube-system").unwrap();
    let deployment = find(&objects, "Deployment", "sealed-secrets-controller");
    let env = deployment.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap();
    let value =
        |name: &str| env.iter().find(|one| text(one, "/name") == name).map(|one| text(one, "/value").to_owned());
    for (name, wanted) in [
        ("BULLA_LOG_FORMAT", Some("text")),
        ("BULLA_LOG_LEVEL", Some("info")),
        ("SEALED_SECRETS_KEY_RENEW_PERIOD", Some("0")),
        ("SEALED_SECRETS_KEY_TTL", Some("87600h")),
        ("SEALED_SECRETS_KEY_CUTOFF_TIME", Some("Tue, 01 Sep 2026 00:00:00 +0000")),
        ("SEALED_SECRETS_SKIP_RECREATE", Some("true")),
        ("SEALED_SECRETS_RATE_LIMIT", Some("5")),
        ("SEALED_SECRETS_RATE_LIMIT_BURST", Some("5")),
        ("SEALED_SECRETS_PRIVATEKEY_ANNOTATIONS", Some("a=1,b=2")),
        ("SEALED_SECRETS_PRIVATEKEY_LABELS", Some("c=3")),
        ("SEALED_SECRETS_KEY_PREFIX", None),
        ("BULLA_WATCH_NAMESPACE", None),
    ] {
        assert_eq!(value(name).as_deref(), wanted, "{name}");
    }
    find(&objects, "Service", "sealed-secrets-controller");
    find(&objects, "ClusterRole", "secrets-unsealer");
}

/// What the chart installs for Prometheus and Grafana is what is tested as such.
#[test]
fn alerts_and_dashboards_are_those_of_deploy_monitoring() {
    let monitoring = json!({"crds": {"create": false}, "metrics": {"prometheusRule": {"enabled": true}, "dashboards": {"create": true}}});
    let objects = rendered(&monitoring, "test-monitoring").unwrap();
    let read = |name: &str| std::fs::read_to_string(at(&format!("deploy/monitoring/{name}"))).unwrap();
    let alerts: Value = serde_saphyr::from_str(&read("alerts.yaml")).unwrap();
    assert_eq!(find(&objects, "PrometheusRule", "bulla")["spec"], alerts);
    let dashboard = find(&objects, "ConfigMap", "bulla-dashboard");
    assert_eq!(text(dashboard, "/data/dashboard.json").trim_end(), read("dashboard.json").trim_end());
}

/// Every variable that any value sets is one that the controller knows.
#[test]
fn the_controller_knows_every_variable_that_the_chart_sets() {
    let help = run(Path::new(env!("CARGO_BIN_EXE_bulla-controller")), &["run", "--help"]).unwrap();
    let mut seen = 0;
    for (what, mut values) in value_sets() {
        values["crds"] = json!({"create": false});
        let objects = rendered(&values, "test-variables").unwrap();
        let Some(deployment) = objects.iter().find(|object| text(object, "/kind") == "Deployment") else { continue };
        let env = deployment.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap();
        for name in env.iter().map(|one| text(one, "/name")).filter(|name| name.starts_with("BULLA_")) {
            // The secret ones are told in the text of the flags that name files.
            assert!(help.contains(name), "{what}: the controller does not know {name}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_crds_are_those_of_the_api_types_and_outlive_the_release() {
    let objects = rendered(&json!({}), "test-crds").unwrap();
    let mut count = 0;
    for crd in bulla_crds::all() {
        let crd = serde_json::to_value(crd).unwrap();
        let ours = find(&objects, "CustomResourceDefinition", text(&crd, "/metadata/name"));
        assert_eq!(numbers(&ours["spec"]), numbers(&crd["spec"]));
        assert_eq!(ours["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
        count += 1;
    }
    assert_eq!(objects.iter().filter(|object| text(object, "/kind") == "CustomResourceDefinition").count(), count);
}

/// The same with every number as a float: Helm reads them so, and JSON does not care.
fn numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(list) => list.iter().map(numbers).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), numbers(value))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}
