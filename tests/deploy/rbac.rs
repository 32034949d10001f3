//! Rights: the chart gives the same as kustomize, and a namespace the same as the cluster. That they are enough is shown
//! by the tests of the controller, which run with them and no others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::manifests::{find, rendered, text, with_components};

/// The roles and bindings among these objects, each by kind, namespace and name, without what does not grant anything.
fn grants(objects: &[Value]) -> BTreeMap<String, Value> {
    let of_rbac = objects.iter().filter(|object| text(object, "/apiVersion").starts_with("rbac.authorization.k8s.io/"));
    let known = of_rbac.map(|object| {
        let metadata = |field: &str| text(object, &format!("/metadata/{field}")).to_owned();
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let aggregated = labels.filter(|(name, _)| name.contains("aggregate-to")).collect::<BTreeMap<_, _>>();
        let rules = object.get("rules").and_then(Value::as_array).into_iter().flatten();
        let rules: BTreeSet<_> = rules.map(canonical).collect();
        let grant = json!({
            "rules": rules, "aggregated": aggregated, "role": object.get("roleRef"), "subjects": object.get("subjects"),
        });
        (format!("{} {}/{}", text(object, "/kind"), metadata("namespace"), metadata("name")), grant)
    });
    known.collect()
}

/// A rule with its lists in order.
fn canonical(rule: &Value) -> String {
    let fields = rule.as_object().unwrap().iter().map(|(field, list)| {
        let words: BTreeSet<_> = list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        (field.as_str(), words)
    });
    format!("{:?}", fields.collect::<BTreeMap<_, _>>())
}

#[test]
fn the_chart_gives_exactly_the_rights_that_kustomize_gives() {
    let kubeseal = json!({"fullnameOverride": "bulla-controller", "service": {"kubesealCompatible": true}, "crds": {"create": false}});
    let with = |more: Value| {
        let mut values = kubeseal.clone();
        values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        values
    };
    let tokens = json!({"externalSecrets": {"storeTokens": {"enabled": true}}});
    let review = json!({"externalSecrets": {"tokenReview": true}});
    let mut namespaced_tokens = tokens.clone();
    namespaced_tokens["rbac"] = json!({"clusterRole": false});
    for (components, values) in [
        (&["kubeseal"][..], json!({})),
        (&["kubeseal", "store-tokens"], tokens),
        (&["kubeseal", "token-review"], review),
        (&["kubeseal", "without-external-secrets"], json!({"externalSecrets": {"enabled": false}})),
        (&["kubeseal", "namespaced"], json!({"rbac": {"clusterRole": false}})),
        (&["kubeseal", "namespaced", "namespaced-store-tokens"], namespaced_tokens),
    ] {
        let chart = grants(&rendered(&with(values), "team-a").unwrap());
        assert!(chart.len() > 4, "{chart:?}");
        assert_eq!(chart, grants(&with_components(components, "team-a")), "{components:?}");
    }
}

#[test]
fn a_served_namespace_has_the_rights_that_the_cluster_has() {
    let wide = with_components(&["store-tokens"], "team-a");
    let narrow = with_components(&["namespaced", "namespaced-store-tokens"], "team-a");
    for (cluster, served) in [
        ("bulla-controller", "bulla-controller-served"),
        ("bulla-controller-external-secrets", "bulla-controller-served-external-secrets"),
        ("bulla-controller-store-tokens", "bulla-controller-served-store-tokens"),
    ] {
        let rules = |objects: &[Value], kind: &str, name: &str| find(objects, kind, name)["rules"].clone();
        assert_eq!(rules(&wide, "ClusterRole", cluster), rules(&narrow, "Role", served), "{cluster}");
    }
}

#[test]
fn no_right_is_a_wildcard_and_nobody_but_the_controller_reads_secrets() {
    let objects = with_components(&["store-tokens", "token-review", "kubeseal"], "team-a");
    for object in objects.iter().filter(|object| text(object, "/kind").ends_with("Role")) {
        let rules = object["rules"].as_array().unwrap();
        assert!(!object["rules"].to_string().contains("\"*\""), "{object}");
        let secrets = rules.iter().any(|rule| rule["resources"].to_string().contains("\"secrets\""));
        assert_eq!(secrets, text(object, "/metadata/name") == "bulla-controller", "{object}");
    }
    let everybody = objects.iter().filter(|object| object["subjects"].to_string().contains("system:authenticated"));
    let everybody: Vec<_> = everybody.map(|object| text(object, "/roleRef/name")).collect();
    assert_eq!(everybody, ["bulla-sealing-keys-reader"]);
}
