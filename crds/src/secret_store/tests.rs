//! What must deserialize, what it must become, and what is refused.

use serde_json::{Value, json};

use super::*;

fn read(value: Value) -> SecretStore {
    serde_json::from_value(value).unwrap()
}

fn spec_of(provider: Value) -> SecretStoreSpec {
    read(json!({"spec": {"provider": provider}})).spec.unwrap()
}

fn full_aws() -> Value {
    json!({
        "service": "ParameterStore", "region": "eu-central-1", "role": "arn:r", "additionalRoles": ["arn:a"],
        "externalID": "e", "sessionTags": [{"key": "k", "value": "v"}], "transitiveTagKeys": ["k"],
        "sessionTagsPolicy": "Custom", "customSessionTags": {"team": "x"}, "prefix": "p/",
        "secretsManager": {"forceDeleteWithoutRecovery": true, "recoveryWindowInDays": 7},
        "auth": {
            "secretRef": {"accessKeyIDSecretRef": {"name": "a", "namespace": "n", "key": "id"},
                          "secretAccessKeySecretRef": {"name": "a", "key": "secret"},
                          "sessionTokenSecretRef": {"name": "a", "key": "token"}},
            "jwt": {"serviceAccountRef": {"name": "sa", "namespace": "n", "audiences": ["x"]}},
        },
        "endpoint": "http://localhost:5000", "stsEndpoint": "http://localhost:5001",
    })
}

fn full_vault() -> Value {
    json!({
        "server": "https://vault", "path": "secret", "version": "v1", "namespace": "ns", "caBundle": "YQ==",
        "caProvider": {"type": "ConfigMap", "name": "ca", "key": "ca.crt", "namespace": "n"},
        "tls": {"certSecretRef": {"name": "t", "key": "tls.crt"}, "keySecretRef": {"name": "t"}},
        "readYourWrites": true, "forwardInconsistent": true, "headers": {"h": "v"}, "checkAndSet": {"required": true},
        "auth": {
            "namespace": "ns", "tokenSecretRef": {"name": "t", "key": "token"},
            "appRole": {"path": "approle", "roleId": "r", "roleRef": {"name": "r", "key": "id"}, "secretRef": {"name": "r", "key": "s"}},
            "kubernetes": {"mountPath": "kubernetes", "role": "r", "serviceAccountRef": {"name": "sa"}, "secretRef": {"name": "t"}},
            "ldap": {"path": "ldap", "username": "u", "secretRef": {"name": "l", "key": "p"}},
            "userPass": {"path": "userpass", "username": "u", "secretRef": {"name": "l", "key": "p"}},
            "jwt": {"path": "jwt", "role": "r", "secretRef": {"name": "j", "key": "t"},
                    "kubernetesServiceAccountToken": {"serviceAccountRef": {"name": "sa", "audiences": ["v"]},
                                                      "audiences": ["vault"], "expirationSeconds": 600}},
            "cert": {"path": "cert", "vaultRole": "r", "clientCert": {"name": "c", "key": "tls.crt"}, "secretRef": {"name": "c", "key": "tls.key"}},
            "iam": {}, "gcp": {},
        },
    })
}

/// As [`full_vault`], but the mount of the Kubernetes method has another name.
fn full_openbao() -> Value {
    let mut settings = full_vault();
    let method = settings["auth"]["kubernetes"].as_object_mut().unwrap();
    let mount = method.remove("mountPath").unwrap();
    method.insert("path".to_owned(), mount);
    settings
}

fn providers() -> Vec<(&'static str, Value)> {
    vec![
        ("aws", full_aws()),
        ("vault", full_vault()),
        ("openBao", full_openbao()),
        (
            "kubernetes",
            json!({
                "server": {"url": "https://k", "caBundle": "YQ==", "caProvider": {"type": "Secret", "name": "ca"}},
                "auth": {"cert": {"clientCert": {"name": "c", "key": "a"}, "clientKey": {"name": "c", "key": "b"}},
                         "token": {"bearerToken": {"name": "t", "key": "t"}},
                         "serviceAccount": {"name": "sa", "audiences": ["x"]}},
                "authRef": {"name": "kubeconfig", "key": "config"}, "remoteNamespace": "remote",
            }),
        ),
        (
            "fake",
            json!({"data": [{"key": "a", "value": "v", "version": "v1"}, {"key": "b", "valueMap": {"c": "d"}}], "validationResult": 2}),
        ),
        (
            "file",
            json!({"path": "/etc/secrets.age", "configMapRef": {"name": "f", "key": "k", "namespace": "n"},
                   "secretRef": {"name": "f", "key": "k"}, "identitySecretRef": {"name": "i", "key": "identity"}}),
        ),
    ]
}

#[test]
fn every_field_survives_the_round_trip() {
    for (key, settings) in providers() {
        let text = json!({
            "apiVersion": "external-secrets.io/v1", "kind": "SecretStore",
            "metadata": {"name": "s", "namespace": "prod"},
            "spec": {
                "controller": "mine", "provider": {key: settings},
                "retrySettings": {"maxRetries": 3, "retryInterval": "5s"}, "refreshInterval": 30,
                "conditions": [{"namespaceSelector": {"matchLabels": {"a": "b"}}, "namespaces": ["a"], "namespaceRegexes": ["^b"]}],
                "rateLimit": {"callsPerSecond": 2.5, "burst": 10},
            },
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Valid"}], "capabilities": "ReadOnly", "observedGeneration": 1},
        });
        let store = read(text.clone());
        assert_eq!(store.spec.as_ref().unwrap().provider.key(), key);
        assert_eq!(serde_json::to_value(&store).unwrap(), text);
        let mut of_cluster = text;
        of_cluster["kind"] = json!("ClusterSecretStore");
        let store: ClusterSecretStore = serde_json::from_value(of_cluster.clone()).unwrap();
        assert_eq!(serde_json::to_value(&store).unwrap(), of_cluster);
    }
}

#[test]
fn a_provider_that_we_do_not_serve_is_known_by_name() {
    let provider = spec_of(json!({"gcpsm": {"projectID": "p", "auth": [1]}})).provider;
    assert_eq!(provider, StoreProvider::Other("gcpsm".to_owned()));
    assert_eq!(serde_json::to_value(&provider).unwrap(), json!({"gcpsm": {}}));
    let provider =
        spec_of(json!({"vault": {"server": "x"}, "aws": {"service": "SecretsManager", "region": "r"}})).provider;
    assert_eq!(provider, StoreProvider::Several(vec!["aws".to_owned(), "vault".to_owned()]));
    assert_eq!(spec_of(json!({})).provider, StoreProvider::Missing);
    assert_eq!(spec_of(json!({"aws": null, "akeyless": {}})).provider, StoreProvider::Other("akeyless".to_owned()));
}

#[test]
fn both_forms_of_the_refresh_interval_are_read() {
    let read = |interval: Value| {
        let store = read(json!({"spec": {"provider": {"fake": {"data": []}}, "refreshInterval": interval}}));
        store.spec.map(|spec| spec.refresh_interval)
    };
    assert_eq!(read(json!(60)), Ok(Some(RefreshInterval::Seconds(60))));
    assert_eq!(read(json!(-1)), Ok(Some(RefreshInterval::Seconds(-1))));
    assert_eq!(read(json!("5m")), Ok(Some(RefreshInterval::Duration("5m".to_owned()))));
    assert_eq!(read(json!(null)), Ok(None));
    assert_eq!(
        read(json!([])).unwrap_err().to_string(),
        "spec.refreshInterval must be a whole number of seconds or a duration such as 1h"
    );
}

#[test]
fn what_go_writes_for_absent_structs_is_read() {
    let provider =
        spec_of(json!({"aws": {"service": "SecretsManager", "region": "r", "auth": {}, "externalID": ""}})).provider;
    let StoreProvider::Aws(aws) = provider else { panic!("{provider:?}") };
    assert_eq!(aws.auth, Some(AwsAuth::default()));
    spec_of(
        json!({"vault": {"server": "s", "tls": {}, "auth": {"cert": {"path": "cert", "clientCert": {}, "secretRef": {}}}}}),
    );
    spec_of(json!({"kubernetes": {"server": {}, "auth": {"cert": {"clientCert": {}, "clientKey": {}}}}}));
}

#[test]
fn settings_of_vault_that_are_known_by_name_only_are_passed_over() {
    let provider =
        spec_of(json!({"vault": {"server": "s", "auth": {"iam": {"vaultRole": "r", "region": 1}, "gcp": "x"}}}))
            .provider;
    let StoreProvider::Vault(vault) = provider else { panic!("{provider:?}") };
    let auth = vault.auth.unwrap();
    assert_eq!((auth.iam, auth.gcp, auth.method()), (Some(Unsupported), Some(Unsupported), None));
}

#[test]
fn the_mount_of_the_kubernetes_method_has_two_names() {
    for (method, mount) in [
        (json!({"role": "r"}), "kubernetes"),
        (json!({"role": "r", "mountPath": "a"}), "a"),
        (json!({"role": "r", "path": "b"}), "b"),
    ] {
        assert_eq!(serde_json::from_value::<VaultKubernetes>(method).unwrap().mount(), mount);
    }
}

/// A store may hold secrets itself: neither an error nor a debug print shows one.
#[test]
fn values_in_a_store_are_never_shown() {
    const SECRET: &str = "hunter2, expected by nobody";
    let data = json!([{"key": "a", "value": SECRET}, {"key": "b", "valueMap": {"c": SECRET}}]);
    let store = read(json!({"spec": {"provider": {"fake": {"data": data}}}}));
    assert!(!format!("{store:?}").contains("hunter2"));
    let StoreProvider::Fake(fake) = &store.spec.as_ref().unwrap().provider else { panic!("{store:?}") };
    assert_eq!(fake.data[0].value.as_ref().map(FakeValue::reveal), Some(SECRET));
    for (data, expected) in [
        (json!([{"key": "a", "value": [SECRET]}]), "spec.provider.fake.data[0].value must be a string"),
        (json!([{"key": "a", "valueMap": SECRET}]), "spec.provider.fake.data[0].valueMap must be an object"),
        (json!(SECRET), "spec.provider.fake.data must be a list"),
        (json!([SECRET]), "spec.provider.fake.data[0] must be an object"),
        (json!([{"value": SECRET}]), "spec.provider.fake.data[0] lacks key"),
        (json!([{"key": "a", "version": {"x": SECRET}}]), "spec.provider.fake.data[0].version must be a string"),
    ] {
        let store = read(json!({"spec": {"provider": {"fake": {"data": data}}}}));
        assert_eq!(store.spec.as_ref().unwrap_err().to_string(), expected);
        assert!(!format!("{store:?}").contains("hunter2"));
    }
}

#[test]
fn odd_stores_say_where_they_are_odd() {
    for (limit, expected) in [
        (json!({"burst": 1.5}), "spec.rateLimit.burst must be a whole number of a sensible size"),
        (json!({"burst": -1}), "spec.rateLimit.burst must be a whole number of a sensible size"),
        (json!({"callsPerSecond": "2"}), "spec.rateLimit.callsPerSecond must be a number"),
    ] {
        let store = read(json!({"spec": {"provider": {"gcpsm": {}}, "rateLimit": limit}}));
        assert_eq!(store.spec.unwrap_err().to_string(), expected);
    }
    for (provider, expected) in [
        (json!("aws"), "spec.provider must be an object with one provider"),
        (json!({"aws": {"region": "r"}}), "spec.provider.aws lacks service"),
        (
            json!({"aws": {"service": "S3", "region": "r"}}),
            "spec.provider.aws.service must be one of `SecretsManager`, `ParameterStore`, `CertificateManager`",
        ),
        (json!({"vault": {"server": "s", "version": "v3"}}), "spec.provider.vault.version must be `v1` or `v2`"),
        (json!({"openBao": []}), "spec.provider.openBao must be an object"),
    ] {
        let store = read(json!({"metadata": {"name": "s"}, "spec": {"provider": provider}}));
        assert_eq!(store.spec.unwrap_err().to_string(), expected);
    }
}

#[test]
fn they_are_resources_of_their_scopes() {
    use kube::Resource as _;
    let path = SecretStore::url_path(&(), Some("prod"));
    assert_eq!(path, "/apis/external-secrets.io/v1/namespaces/prod/secretstores");
    assert_eq!(ClusterSecretStore::url_path(&(), None), "/apis/external-secrets.io/v1/clustersecretstores");
}

fn broken_spec(spec: Value, cluster_scoped: bool) -> Vec<String> {
    let spec = read(json!({"spec": spec})).spec.unwrap();
    let namespace = (!cluster_scoped).then_some("prod");
    validate(&spec, cluster_scoped, namespace).iter().map(ToString::to_string).collect()
}

fn broken(provider: Value, cluster_scoped: bool) -> Vec<String> {
    broken_spec(json!({"provider": provider}), cluster_scoped)
}

#[test]
fn rules_of_every_store() {
    let fake = json!({"fake": {"data": []}});
    let interval = "spec.refreshInterval: invalid refreshInterval: must be a number of seconds or a duration such as 5m, and not negative";
    let cases: Vec<(Value, Vec<&str>)> = vec![
        (json!({"provider": fake, "refreshInterval": 0}), vec![]),
        (json!({"provider": fake, "refreshInterval": "5m"}), vec![]),
        (json!({"provider": fake, "refreshInterval": -1}), vec![interval]),
        (json!({"provider": fake, "refreshInterval": "-5m"}), vec![interval]),
        (json!({"provider": fake, "refreshInterval": "soon"}), vec![interval]),
        (
            json!({"provider": fake, "retrySettings": {"retryInterval": "5"}}),
            vec!["spec.retrySettings.retryInterval: must be a duration such as 5s, and not negative"],
        ),
        (
            json!({"provider": fake, "conditions": [{}, {"namespaceRegexes": ["ok", "("]}]}),
            vec!["spec.conditions[1].namespaceRegexes[1]: failed to compile 1th namespace regex in 1th condition"],
        ),
        (
            json!({"provider": fake, "rateLimit": {"callsPerSecond": 0, "burst": 0}}),
            vec!["spec.rateLimit.callsPerSecond: must be above zero", "spec.rateLimit.burst: must be at least one"],
        ),
        (json!({}), vec!["spec.provider: a provider must be set"]),
        (
            json!({"provider": {"vault": {"server": "s"}, "gcpsm": {}}}),
            vec!["spec.provider: only one provider may be set, but there are gcpsm, vault"],
        ),
        (json!({"provider": {"gcpsm": {}}}), vec![]),
    ];
    for (spec, expected) in cases {
        assert_eq!(broken_spec(spec.clone(), false), expected, "{spec}");
    }
}

#[test]
fn a_secret_store_reaches_into_no_other_namespace() {
    const FOREIGN: &str =
        "namespace should either be empty or match the namespace of the SecretStore for a namespaced SecretStore";
    let elsewhere = json!({"name": "a", "namespace": "other", "key": "k"});
    let cases = [
        (
            json!({"aws": {"service": "SecretsManager", "region": "r", "auth": {"secretRef": {
            "accessKeyIDSecretRef": elsewhere, "secretAccessKeySecretRef": elsewhere, "sessionTokenSecretRef": elsewhere}}}}),
            3,
        ),
        (
            json!({"aws": {"service": "SecretsManager", "region": "r", "auth": {"jwt": {"serviceAccountRef": elsewhere}}}}),
            1,
        ),
        (
            json!({"vault": {"server": "s", "tls": {"certSecretRef": elsewhere, "keySecretRef": elsewhere}, "auth": {
            "tokenSecretRef": elsewhere,
            "appRole": {"roleRef": elsewhere, "secretRef": elsewhere},
            "kubernetes": {"role": "r", "serviceAccountRef": elsewhere, "secretRef": elsewhere},
            "ldap": {"username": "u", "secretRef": elsewhere},
            "userPass": {"username": "u", "secretRef": elsewhere},
            "jwt": {"secretRef": elsewhere, "kubernetesServiceAccountToken": {"serviceAccountRef": elsewhere}},
            "cert": {"clientCert": elsewhere, "secretRef": elsewhere}}}}),
            13,
        ),
        (json!({"kubernetes": {"authRef": elsewhere}}), 1),
        (json!({"kubernetes": {"auth": {"serviceAccount": elsewhere}}}), 1),
        (json!({"kubernetes": {"auth": {"token": {"bearerToken": elsewhere}}}}), 1),
        (json!({"kubernetes": {"auth": {"cert": {"clientCert": elsewhere, "clientKey": elsewhere}}}}), 2),
        (json!({"file": {"secretRef": elsewhere, "identitySecretRef": elsewhere}}), 2),
        (json!({"file": {"configMapRef": elsewhere, "identitySecretRef": elsewhere}}), 2),
    ];
    for (provider, places) in cases {
        let found = broken(provider.clone(), false);
        assert_eq!(found.len(), places, "{found:?}");
        assert!(found.iter().all(|line| line.ends_with(&format!(".namespace: {FOREIGN}"))), "{found:?}");
        assert_eq!(broken(provider.clone(), true), Vec::<String>::new(), "a ClusterSecretStore may");
        let spec = spec_of(provider);
        assert_eq!(validate(&spec, false, Some("other")), [], "its own namespace is no other");
        assert_eq!(validate(&spec, false, None), [], "an unknown namespace is not judged");
    }
}

#[test]
fn rules_of_the_providers() {
    let aws = |rest: Value| {
        let mut settings = json!({"service": "SecretsManager", "region": "r"});
        settings.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"aws": settings})
    };
    let vault = |rest: Value| {
        let mut settings = json!({"server": "s"});
        settings.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"vault": settings})
    };
    let some = json!({"name": "n", "key": "k"});
    let ca = json!({"type": "Secret", "name": "ca"});
    let cases: Vec<(Value, Vec<&str>)> = vec![
        (aws(json!({})), vec![]),
        (aws(json!({"region": ""})), vec!["spec.provider.aws.region: must not be empty"]),
        (
            aws(json!({"customSessionTags": {"esoNamespace": "x"}})),
            vec!["spec.provider.aws.customSessionTags.esoNamespace: is set by sessionTagsPolicy: use another key"],
        ),
        (aws(json!({"secretsManager": {"recoveryWindowInDays": 0, "forceDeleteWithoutRecovery": true}})), vec![]),
        (
            aws(json!({"secretsManager": {"recoveryWindowInDays": 31, "forceDeleteWithoutRecovery": true}})),
            vec![
                "spec.provider.aws.secretsManager.recoveryWindowInDays: must be 7 to 30",
                "spec.provider.aws.secretsManager: forceDeleteWithoutRecovery and recoveryWindowInDays cannot both be set",
            ],
        ),
        (
            aws(json!({"auth": {"secretRef": {"accessKeyIDSecretRef": some}, "jwt": {}}})),
            vec![
                "spec.provider.aws.auth.secretRef.secretAccessKeySecretRef.name: must not be empty",
                "spec.provider.aws.auth.jwt.serviceAccountRef: must be set",
            ],
        ),
        (
            vault(json!({"version": "v1", "checkAndSet": {"required": true}})),
            vec!["spec.provider.vault.checkAndSet: checkAndSet is not supported with Vault KV version v1"],
        ),
        (vault(json!({"version": "v1", "checkAndSet": {}})), vec![]),
        (vault(json!({"tls": {}})), vec![]),
        (
            vault(json!({"tls": {"certSecretRef": some}})),
            vec![
                "spec.provider.vault.tls: when provided, both ClientTLS.ClientCert and ClientTLS.SecretRef should be provided",
            ],
        ),
        (
            vault(json!({"auth": {"appRole": {"secretRef": some}}})),
            vec!["spec.provider.vault.auth.appRole: roleId or roleRef must be set"],
        ),
        (vault(json!({"auth": {"appRole": {"roleId": "r", "secretRef": some}}})), vec![]),
        (
            vault(json!({"auth": {"jwt": {}}})),
            vec!["spec.provider.vault.auth.jwt: secretRef or kubernetesServiceAccountToken must be set"],
        ),
        (
            vault(json!({"auth": {"iam": {}}})),
            vec!["spec.provider.vault.auth.iam: this way to log in is not supported"],
        ),
        (vault(json!({"auth": {"iam": {}, "tokenSecretRef": some}})), vec![]),
        (json!({"openBao": {"server": ""}}), vec!["spec.provider.openBao.server: must not be empty"]),
        (json!({"kubernetes": {}}), vec!["spec.provider.kubernetes.auth: no auth provider given"]),
        (json!({"kubernetes": {"auth": {}}}), vec!["spec.provider.kubernetes.auth: no auth provider given"]),
        (json!({"kubernetes": {"authRef": some}}), vec![]),
        (
            json!({"kubernetes": {"authRef": some, "auth": {"serviceAccount": {"name": "s"}}}}),
            vec!["spec.provider.kubernetes: authRef and inline auth cannot both be set"],
        ),
        (
            json!({"kubernetes": {"auth": {"serviceAccount": {"name": "s"}, "token": {"bearerToken": some}}}}),
            vec!["spec.provider.kubernetes.auth: multiple auth methods provided: token, serviceAccount"],
        ),
        (
            json!({"kubernetes": {"auth": {"token": {}}}}),
            vec![
                "spec.provider.kubernetes.auth.token.bearerToken.name: BearerToken.Name cannot be empty",
                "spec.provider.kubernetes.auth.token.bearerToken.key: BearerToken.Key cannot be empty",
            ],
        ),
        (
            json!({"fake": {"data": [{"key": "", "value": ""}, {"key": "b", "valueMap": {"c": "d"}}, {"key": "c", "value": "d"}]}}),
            vec![
                "spec.provider.fake.data[0].key: must not be empty",
                "spec.provider.fake.data[0].value: must not be empty",
            ],
        ),
        (json!({"file": {"path": "/x"}}), vec![]),
        (
            json!({"file": {}}),
            vec![
                "spec.provider.file: exactly one of path, configMapRef and secretRef must be set",
                "spec.provider.file.identitySecretRef: must be set",
            ],
        ),
        (
            json!({"file": {"path": "", "secretRef": some, "identitySecretRef": some}}),
            vec![
                "spec.provider.file: exactly one of path, configMapRef and secretRef must be set",
                "spec.provider.file.path: must not be empty",
            ],
        ),
    ];
    for (provider, expected) in cases {
        assert_eq!(broken(provider.clone(), false), expected, "{provider}");
    }
    for (provider, root) in [
        (vault(json!({"caProvider": ca})), "spec.provider.vault"),
        (json!({"kubernetes": {"authRef": some, "server": {"caProvider": ca}}}), "spec.provider.kubernetes.server"),
    ] {
        assert_eq!(broken(provider.clone(), false), Vec::<String>::new());
        let needs =
            format!("{root}.caProvider.namespace: CAProvider.namespace must not be empty with ClusterSecretStore");
        assert_eq!(broken(provider.clone(), true), [needs]);
        let mut placed = provider;
        let key = if placed.get("vault").is_some() { "/vault/caProvider" } else { "/kubernetes/server/caProvider" };
        placed.pointer_mut(key).unwrap()["namespace"] = json!("n");
        assert_eq!(broken(placed.clone(), true), Vec::<String>::new());
        let forbids = format!("{root}.caProvider.namespace: CAProvider.namespace must be empty with SecretStore");
        assert_eq!(broken(placed, false), [forbids]);
    }
}
