//! What must deserialize, what it must become, and what is refused.

use serde_json::{Value, json};

use super::*;

fn read(value: Value) -> ExternalSecret {
    serde_json::from_value(value).unwrap()
}

fn spec(value: Value) -> ExternalSecretSpec {
    read(json!({"metadata": {"name": "db"}, "spec": value})).spec.unwrap()
}

/// Every field that there is.
fn full_spec() -> Value {
    json!({
        "secretStoreRef": {"name": "aws", "kind": "ClusterSecretStore"},
        "target": {
            "name": "db", "creationPolicy": "CreateOrMerge", "deletionPolicy": "Merge", "immutable": true,
            "manifest": {"apiVersion": "v1", "kind": "ConfigMap"},
            "template": {
                "type": "Opaque", "engineVersion": "v2", "mergePolicy": "Merge",
                "metadata": {"annotations": {"a": "{{ .x }}"}, "labels": {"l": "1"}, "finalizers": ["x/y"]},
                "data": {"url": "{{ .user }}"},
                "templateFrom": [
                    {"configMap": {"name": "t", "items": [{"key": "a", "templateAs": "KeysAndValues"}]}},
                    {"secret": {"name": "t", "items": [{"key": "a", "templateAs": "Values"}]}, "target": "Labels"},
                    {"literal": "a: b", "target": "spec.rules[0].from", "valuesDecodingStrategy": "Base64"},
                ],
            },
        },
        "refreshPolicy": "OnChange",
        "refreshInterval": "1h30m",
        "syncWindows": {"kind": "deny", "windows": [{"schedule": "0 8 * * 1-5", "duration": "10h"}]},
        "data": [
            {
                "secretKey": "password",
                "remoteRef": {
                    "key": "prod/db", "property": "password", "version": "uuid/1", "metadataPolicy": "Fetch",
                    "conversionStrategy": "Unicode", "decodingStrategy": "Base64URL", "nullBytePolicy": "Fail",
                },
                "sourceRef": {"storeRef": {"name": "other", "kind": "SecretStore"}},
            },
            {"secretKey": "user", "remoteRef": {"key": "prod/db"}},
        ],
        "dataFrom": [
            {"extract": {"key": "prod/app", "decodingStrategy": "Auto"}, "rewrite": [
                {"regexp": {"source": "^(.*)$", "target": "x_$1"}},
                {"transform": {"template": "{{ .value | upper }}"}},
                {"merge": {"into": "all", "priority": ["a"], "priorityPolicy": "IgnoreNotFound",
                           "conflictPolicy": "Ignore", "strategy": "JSON"}},
            ]},
            {"find": {"path": "/prod", "name": {"regexp": "^db"}, "tags": {"env": "prod"},
                      "conversionStrategy": "Default", "decodingStrategy": "None", "nullBytePolicy": "Ignore"}},
            {"sourceRef": {"generatorRef": {"apiVersion": "generators.external-secrets.io/v1alpha1",
                                            "kind": "Password", "name": "p"}}},
        ],
    })
}

fn full_status() -> Value {
    json!({
        "refreshTime": "2026-01-01T00:00:00Z",
        "syncedResourceVersion": "1-abc",
        "binding": {"name": "db"},
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
                        "reason": "SecretSynced", "message": "secret synced"}],
        "observedGeneration": 1,
        "nextRefreshTime": "2026-01-01T01:00:00Z",
        "syncReason": "Due",
        "secret": {"resourceVersion": "7", "digest": "abc"},
    })
}

#[test]
fn every_field_survives_the_round_trip() {
    let text = json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": "db", "namespace": "prod"},
        "spec": full_spec(), "status": full_status(),
    });
    let object = read(text.clone());
    let template = object.spec.as_ref().unwrap().target.as_ref().unwrap().template.as_ref().unwrap();
    assert_eq!(template.template_from[1].secret.as_ref().unwrap().items[0].template_as, Some(TemplateAs::Values));
    assert_eq!(serde_json::to_value(&object).unwrap(), text);
}

#[test]
fn what_is_not_set_is_not_written() {
    let minimal = json!({
        "secretStoreRef": {"name": "aws"},
        "data": [{"secretKey": "a", "remoteRef": {"key": "k"}}],
    });
    assert_eq!(serde_json::to_value(spec(minimal.clone())).unwrap(), minimal);
    let object = ExternalSecret::new("db", spec(minimal.clone()));
    let text = serde_json::to_value(&object).unwrap();
    assert_eq!(text["spec"], minimal);
    assert!(text.get("status").is_none());
}

#[test]
fn an_object_of_v1beta1_with_its_defaults_reads_as_one_of_v1() {
    let object = read(json!({
        "apiVersion": "external-secrets.io/v1beta1", "kind": "ExternalSecret",
        "metadata": {"name": "db", "creationTimestamp": null},
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {"name": "aws", "kind": "SecretStore"},
            "target": {"creationPolicy": "Owner", "deletionPolicy": "Retain", "template": {
                "engineVersion": "v1", "mergePolicy": "Replace", "metadata": {}, "templateFrom": [{"literal": "", "target": "Data"}],
            }},
            "data": [{"secretKey": "a", "remoteRef": {"key": "k", "conversionStrategy": "Default",
                      "decodingStrategy": "None", "metadataPolicy": "None"}}],
        },
        "status": {"binding": {"name": ""}, "refreshTime": null},
    }));
    let spec = object.spec.unwrap();
    let template = spec.target.as_ref().unwrap().template.as_ref().unwrap();
    assert_eq!(template.engine_version, Some(EngineVersion::V1));
    assert_eq!(spec.data[0].remote_ref.decoding_strategy, Some(DecodingStrategy::None));
    assert_eq!(object.status.unwrap().refresh_time, None);
}

#[test]
fn absent_policies_have_their_usual_meaning() {
    let spec = spec(json!({}));
    assert_eq!(spec.creation_policy(), CreationPolicy::Owner);
    assert_eq!(spec.deletion_policy(), DeletionPolicy::Retain);
    assert_eq!(spec.refresh_policy(), RefreshPolicy::Periodic);
    assert_eq!(StoreRef::default().kind(), StoreKind::SecretStore);
    assert_eq!(StoreKind::ClusterSecretStore.as_str(), "ClusterSecretStore");
}

#[test]
fn unknown_fields_and_nulls_are_passed_over() {
    let spec = spec(json!({
        "newField": {"deep": [1]}, "target": null, "dataFrom": null,
        "data": [{"secretKey": "a", "remoteRef": {"key": "k", "property": null, "new": 1}, "sourceRef": null}],
    }));
    assert_eq!(spec.target, None);
    assert_eq!(spec.data[0].remote_ref, RemoteRef { key: "k".to_owned(), ..RemoteRef::default() });
}

#[test]
fn an_empty_map_of_tags_is_kept_apart_from_none() {
    let item = json!([{"find": {"tags": {}}}, {"find": {}}]);
    let spec = spec(json!({"dataFrom": item.clone()}));
    assert_eq!(serde_json::to_value(&spec.data_from).unwrap(), item);
}

/// None of these may fail to deserialize, and none may quote what it found.
#[test]
fn odd_objects_are_read_and_say_where_they_are_odd() {
    const SECRET: &str = "hunter2, expected by nobody";
    let table = [
        (json!(SECRET), "spec must be an object"),
        (json!([SECRET]), "spec must be an object"),
        (json!({"data": SECRET}), "spec.data must be a list"),
        (json!({"data": [SECRET]}), "spec.data[0] must be an object"),
        (json!({"data": [{"secretKey": "a"}]}), "spec.data[0] lacks remoteRef"),
        (json!({"data": [{"secretKey": "a", "remoteRef": {}}]}), "spec.data[0].remoteRef lacks key"),
        (json!({"data": [{"secretKey": 5, "remoteRef": {"key": "k"}}]}), "spec.data[0].secretKey must be a string"),
        (json!({"target": {"immutable": SECRET}}), "spec.target.immutable must be a boolean"),
        (
            json!({"target": {"creationPolicy": SECRET}}),
            "spec.target.creationPolicy must be one of `Owner`, `Orphan`, `Merge`, `None`, `CreateOrMerge`",
        ),
        (
            json!({"refreshPolicy": {"a": SECRET}}),
            "spec.refreshPolicy must be one of `CreatedOnce`, `Periodic`, `OnChange`",
        ),
        (json!({"syncWindows": {"kind": 1, "windows": []}}), "spec.syncWindows.kind must be a string"),
        (
            json!({"target": {"template": {"data": {"a": {"b": SECRET}}}}}),
            "spec.target.template.data.a must be a string",
        ),
        (json!({"data": [null]}), "spec.data[0] must be an object"),
    ];
    for (odd, expected) in table {
        let object = read(json!({"metadata": {"name": "db"}, "spec": odd}));
        let error = object.spec.as_ref().unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(object.metadata.name.as_deref(), Some("db"));
        assert!(serde_json::to_value(&object).unwrap().get("spec").is_none());
        assert!(!format!("{object:?}").contains("hunter2"));
    }
}

#[test]
fn odd_metadata_and_status_are_read_as_far_as_they_make_sense() {
    let object = read(json!({
        "metadata": {"name": "db", "labels": {"a": 1, "b": "x"}, "creationTimestamp": "yesterday"},
        "status": {
            "refreshTime": "yesterday", "syncedResourceVersion": "1-a", "observedGeneration": "one", "binding": "x",
            "conditions": [null, 5, {"status": "True"}, {"type": "Ready", "status": "Perhaps", "lastTransitionTime": "x"}],
            "secret": {"digest": "d"}, "extra": 1,
        },
    }));
    assert_eq!(object.metadata.labels.unwrap().into_iter().collect::<Vec<_>>(), [("b".to_owned(), "x".to_owned())]);
    let status = object.status.unwrap();
    assert_eq!(status.synced_resource_version.as_deref(), Some("1-a"));
    assert_eq!((status.refresh_time, status.observed_generation, status.binding), (None, None, None));
    assert_eq!(status.secret.unwrap().digest, "d");
    assert_eq!(status.conditions.len(), 1);
    assert_eq!(status.conditions[0].status, crate::ConditionStatus::Unknown);
    for status in [json!(null), json!("x"), json!([])] {
        assert_eq!(read(json!({"status": status})).status, None);
    }
    assert_eq!(read(json!({})).spec, Ok(ExternalSecretSpec::default()));
}

#[test]
fn it_is_a_namespaced_resource_of_version_1() {
    use kube::Resource as _;
    let path = ExternalSecret::url_path(&(), Some("prod"));
    assert_eq!(path, "/apis/external-secrets.io/v1/namespaces/prod/externalsecrets");
}

fn broken(value: Value) -> Vec<String> {
    validate(&spec(value)).iter().map(ToString::to_string).collect()
}

#[test]
fn rules_are_those_of_external_secrets() {
    const OWNER: &str = "spec.target.deletionPolicy: deletionPolicy=Delete must not be used when the controller doesn't own the secret. Please set creationPolicy=Owner";
    const EITHER: &str = "spec: either data or dataFrom should be specified";
    let store = json!({"name": "s"});
    let item = |key: &str| json!({"secretKey": key, "remoteRef": {"key": "k"}});
    let with_target = |target: Value| json!({"secretStoreRef": {"name": "s"}, "data": [item("a")], "target": target});
    let from = |item: Value| json!({"secretStoreRef": {"name": "s"}, "dataFrom": [item]});
    let generator = json!({"kind": "Password", "name": "p"});
    let typed = |kind: &str, rest: Value| {
        let mut template = rest;
        template["type"] = json!(kind);
        with_target(json!({"template": template}))
    };
    let account = "kubernetes.io/service-account-token";
    let cases: Vec<(Value, Vec<&str>)> = vec![
        (with_target(json!({})), vec![]),
        (json!({"secretStoreRef": store}), vec![EITHER]),
        (with_target(json!({"deletionPolicy": "Delete"})), vec![]),
        (with_target(json!({"deletionPolicy": "Delete", "creationPolicy": "Orphan"})), vec![]),
        (with_target(json!({"deletionPolicy": "Delete", "creationPolicy": "Merge"})), vec![OWNER]),
        (with_target(json!({"deletionPolicy": "Delete", "creationPolicy": "None"})), vec![OWNER]),
        (with_target(json!({"deletionPolicy": "Delete", "creationPolicy": "CreateOrMerge"})), vec![OWNER]),
        (with_target(json!({"deletionPolicy": "Merge", "creationPolicy": "Merge"})), vec![]),
        (
            with_target(json!({"deletionPolicy": "Merge", "creationPolicy": "None"})),
            vec![
                "spec.target.deletionPolicy: deletionPolicy=Merge must not be used with creationPolicy=None. There is no Secret to merge with",
            ],
        ),
        (
            json!({"secretStoreRef": store, "data": [item("a"), item("b"), item("a")]}),
            vec!["spec.data[2].secretKey: duplicate secretKey found: a"],
        ),
        (
            json!({"secretStoreRef": store, "data": [item("a"), item("a")], "target": {"deletionPolicy": "Delete"}}),
            vec![],
        ),
        (from(json!({"extract": {"key": "k"}})), vec![]),
        (from(json!({"find": {}})), vec![]),
        (from(json!({"sourceRef": {"generatorRef": generator}})), vec![]),
        (from(json!({"sourceRef": {"storeRef": store}, "find": {}})), vec![]),
        (
            from(json!({"extract": {"key": "k"}, "find": {}})),
            vec!["spec.dataFrom[0]: extract, find, or generatorRef cannot be set at the same time"],
        ),
        (
            from(json!({"extract": {"key": "k"}, "sourceRef": {"generatorRef": generator}})),
            vec!["spec.dataFrom[0]: extract, find, or generatorRef cannot be set at the same time"],
        ),
        (
            from(json!({"rewrite": []})),
            vec!["spec.dataFrom[0]: either extract, find, or sourceRef must be set to dataFrom"],
        ),
        (
            from(json!({"sourceRef": {}})),
            vec!["spec.dataFrom[0].sourceRef: generatorRef or storeRef must be set when using sourceRef in dataFrom"],
        ),
        (
            from(json!({"sourceRef": {"storeRef": store}})),
            vec!["spec.dataFrom[0]: extract or find must be set beside sourceRef.storeRef"],
        ),
        (
            typed("bootstrap.kubernetes.io/token", json!({})),
            vec!["spec.target.template.type: bootstrap.kubernetes.io/token is not allowed"],
        ),
        (typed(account, json!({})), vec![]),
        (typed(account, json!({"metadata": {"annotations": {"other": "x"}}})), vec![]),
        (
            typed(account, json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "admin"}}})),
            vec![
                "spec.target.template.type: kubernetes.io/service-account-token is not allowed with the annotation kubernetes.io/service-account.name",
            ],
        ),
        (
            typed(account, json!({"templateFrom": [{"literal": "a: b", "target": "annotations"}]})),
            vec![
                "spec.target.template.type: kubernetes.io/service-account-token is not allowed with a templateFrom that makes annotations",
            ],
        ),
        (
            with_target(
                json!({"template": {"templateFrom": [{"literal": "", "target": "DATA"}, {"literal": "", "target": "spec.x"}]}}),
            ),
            vec![
                "spec.target.template.templateFrom[1].target: must be Data, Annotations or Labels where the target is a Secret",
            ],
        ),
        (
            with_target(json!({"manifest": {"apiVersion": "v1", "kind": "ConfigMap"},
                               "template": {"templateFrom": [{"literal": "", "target": "spec.x"}]}})),
            vec![],
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(broken(value.clone()), expected, "{value}");
    }
}

#[test]
fn rules_of_the_schema_and_of_the_first_sync_are_told_early() {
    let item = json!({"secretKey": "a", "remoteRef": {"key": "k"}});
    let from =
        |rewrite: Value| json!({"secretStoreRef": {"name": "s"}, "dataFrom": [{"find": {}, "rewrite": [rewrite]}]});
    let no_store = "names no store: set spec.secretStoreRef.name or sourceRef.storeRef.name";
    let cases: Vec<(Value, Vec<String>)> = vec![
        (json!({"data": [item]}), vec![format!("spec.data[0]: {no_store}")]),
        (json!({"dataFrom": [{"find": {}}]}), vec![format!("spec.dataFrom[0]: {no_store}")]),
        (json!({"dataFrom": [{"sourceRef": {"generatorRef": {"kind": "Password", "name": "p"}}}]}), vec![]),
        (
            json!({"data": [{"secretKey": "a", "remoteRef": {"key": "k"}, "sourceRef": {"storeRef": {"name": "s"}}}]}),
            vec![],
        ),
        (
            json!({"data": [{"secretKey": "a", "remoteRef": {"key": "k"}, "sourceRef": {"generatorRef": {"kind": "P", "name": "p"}}}]}),
            vec!["spec.data[0].sourceRef.generatorRef: a generator gives many keys: use it in dataFrom".to_owned()],
        ),
        (
            json!({"secretStoreRef": {"name": "s"}, "data": [{"secretKey": "a b", "remoteRef": {"key": "k"}}]}),
            vec!["spec.data[0].secretKey: must be 1 to 253 letters, digits, '-', '.' and '_'".to_owned()],
        ),
        (
            json!({"secretStoreRef": {"name": "s"}, "data": [item], "refreshInterval": "1d", "syncWindows": {"kind": "allow", "windows": []}}),
            vec![
                "spec.refreshInterval: must be a duration such as 1h30m".to_owned(),
                "spec.syncWindows.windows: must have at least one window".to_owned(),
            ],
        ),
        (
            json!({"secretStoreRef": {"name": "s"}, "data": [item], "target": {"template": {"engineVersion": "v1"}}}),
            vec!["spec.target.template.engineVersion: engine version v1 does not exist any more: use v2, which is also what an absent field means".to_owned()],
        ),
        (from(json!({"merge": {}})), vec![]),
        (
            from(json!({})),
            vec!["spec.dataFrom[0].rewrite[0]: exactly one of regexp, transform and merge must be set".to_owned()],
        ),
        (
            from(json!({"merge": {"strategy": "JSON"}})),
            vec!["spec.dataFrom[0].rewrite[0].merge.into: must be set with strategy JSON".to_owned()],
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(broken(value.clone()), expected, "{value}");
    }
}

#[test]
fn one_odd_object_does_not_end_a_list() {
    let list: kube::core::ObjectList<ExternalSecret> = serde_json::from_value(json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecretList", "metadata": {"resourceVersion": "1"},
        "items": [{"metadata": {"name": "odd"}, "spec": {"data": 1}}, {"metadata": {"name": "good"}, "spec": full_spec()}],
    }))
    .unwrap();
    let readable: Vec<_> = list.items.iter().map(|object| object.spec.is_ok()).collect();
    assert_eq!(readable, [false, true]);
}
