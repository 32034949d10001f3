//! The definitions of `external-secrets.io` on a real API server: what both versions admit, what they refuse, and that
//! nothing is added to what somebody wrote.

use bulla_crds::secret_store::StoreProvider;
use bulla_crds::{ClusterExternalSecret, ClusterSecretStore, ExternalSecret, SecretStore};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::apiserver::ApiServer;

const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// A namespace of its own on the shared server, with every definition of the group.
struct Place {
    client: Client,
    namespace: String,
}

impl Place {
    async fn new() -> Self {
        let server = ApiServer::shared();
        for crd in bulla_crds::all() {
            server.install_crd(&crd).await;
        }
        Self { client: server.client(), namespace: server.namespace().await }
    }

    /// Where objects of this kind live. Cluster-wide ones carry the namespace's name in theirs, see [`Self::name`].
    fn path(&self, version: &str, plural: &str) -> String {
        let root = format!("/apis/external-secrets.io/{version}");
        if plural.starts_with("cluster") {
            format!("{root}/{plural}")
        } else {
            format!("{root}/namespaces/{}/{plural}", self.namespace)
        }
    }

    fn name(&self, plural: &str, name: &str) -> String {
        if plural.starts_with("cluster") { format!("{}-{name}", self.namespace) } else { name.to_owned() }
    }

    /// Creates an object with strict field validation: a field that the schema does not know is an error.
    async fn create(&self, version: &str, plural: &str, name: &str, spec: &Value) -> Result<Value, kube::Error> {
        let kind = match plural {
            "externalsecrets" => "ExternalSecret",
            "clusterexternalsecrets" => "ClusterExternalSecret",
            "secretstores" => "SecretStore",
            "clustersecretstores" => "ClusterSecretStore",
            other => panic!("{other}?"),
        };
        let object = json!({
            "apiVersion": format!("external-secrets.io/{version}"), "kind": kind,
            "metadata": {"name": self.name(plural, name)}, "spec": spec,
        });
        let path = self.path(version, plural);
        let mut request =
            Request::new(&path).create(&PostParams::default(), serde_json::to_vec(&object).unwrap()).unwrap();
        *request.uri_mut() = format!("{path}?fieldValidation=Strict").parse().unwrap();
        self.client.request(request).await
    }

    async fn get(&self, version: &str, plural: &str, name: &str) -> Value {
        let path = self.path(version, plural);
        let request = Request::new(&path).get(&self.name(plural, name), &Default::default()).unwrap();
        self.client.request(request).await.unwrap()
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn external_secret() -> Value {
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
                    {"configMap": {"name": "t", "items": [{"key": "a", "templateAs": "KeysAndValues"}]}, "target": "Data"},
                    {"secret": {"name": "t", "items": [{"key": "a", "templateAs": "Values"}]}, "target": "Labels"},
                    {"literal": "a: b", "target": "spec.rules[0].from", "valuesDecodingStrategy": "Base64"},
                ],
            },
        },
        "refreshPolicy": "Periodic",
        "refreshInterval": "1h30m",
        "syncWindows": {"kind": "allow", "windows": [{"schedule": "@daily", "duration": "10h"}]},
        "data": [{
            "secretKey": "password",
            "remoteRef": {
                "key": "prod/db", "property": "password", "version": "uuid/1", "metadataPolicy": "Fetch",
                "conversionStrategy": "Unicode", "decodingStrategy": "Base64URL", "nullBytePolicy": "Fail",
            },
            "sourceRef": {"storeRef": {"name": "other", "kind": "SecretStore"}},
        }],
        "dataFrom": [
            {"extract": {"key": "prod/app"}, "rewrite": [
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

fn store(provider: Value) -> Value {
    let mut spec = json!({
        "controller": "mine", "retrySettings": {"maxRetries": 3, "retryInterval": "5s"}, "refreshInterval": 30,
        "conditions": [{
            "namespaceSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]},
            "namespaces": ["prod"], "namespaceRegexes": ["^dev-"],
        }],
        "rateLimit": {"callsPerSecond": 2.5, "burst": 10},
    });
    spec["provider"] = provider;
    spec
}

/// `mount` is the field that says where the Kubernetes method is mounted.
fn vault(mount: &str) -> Value {
    let (secret, account) = (
        json!({"name": "s", "namespace": "n", "key": "k"}),
        json!({"name": "sa", "namespace": "n", "audiences": ["v"]}),
    );
    json!({
        "server": "https://vault", "path": "secret", "version": "v2", "namespace": "ns", "caBundle": "YQ==",
        "caProvider": {"type": "ConfigMap", "name": "ca", "key": "ca.crt", "namespace": "n"},
        "tls": {"certSecretRef": secret, "keySecretRef": secret},
        "readYourWrites": true, "forwardInconsistent": true, "headers": {"h": "v"}, "checkAndSet": {"required": true},
        "auth": {
            "namespace": "ns", "tokenSecretRef": secret,
            "appRole": {"path": "approle", "roleId": "r", "roleRef": secret, "secretRef": secret},
            "kubernetes": {mount: "kubernetes", "role": "r", "serviceAccountRef": account, "secretRef": secret},
            "ldap": {"path": "ldap", "username": "u", "secretRef": secret},
            "userPass": {"path": "userpass", "username": "u", "secretRef": secret},
            "jwt": {"path": "jwt", "role": "r", "secretRef": secret,
                    "kubernetesServiceAccountToken": {"serviceAccountRef": account, "audiences": ["v"], "expirationSeconds": 600}},
            "cert": {"path": "cert", "vaultRole": "r", "clientCert": secret, "secretRef": secret},
            "iam": {"vaultRole": "r", "secretRef": {"accessKeyIDSecretRef": secret}}, "gcp": {"role": "r", "projectID": "p"},
        },
    })
}

fn stores() -> Vec<(&'static str, Value)> {
    let secret = json!({"name": "s", "namespace": "n", "key": "k"});
    let account = json!({"name": "sa", "namespace": "n", "audiences": ["v"]});
    let ca = json!({"type": "Secret", "name": "ca", "key": "ca.crt", "namespace": "n"});
    vec![
        (
            "aws",
            store(json!({"aws": {
                "service": "CertificateManager", "region": "eu-central-1", "role": "arn:r", "additionalRoles": ["arn:a"],
                "externalID": "e", "sessionTags": [{"key": "k", "value": "v"}], "transitiveTagKeys": ["k"],
                "sessionTagsPolicy": "Custom", "customSessionTags": {"team": "x"}, "prefix": "p/",
                "secretsManager": {"forceDeleteWithoutRecovery": true, "recoveryWindowInDays": 7},
                "auth": {
                    "secretRef": {"accessKeyIDSecretRef": secret, "secretAccessKeySecretRef": secret, "sessionTokenSecretRef": secret},
                    "jwt": {"serviceAccountRef": account},
                },
                "endpoint": "http://localhost:5000", "stsEndpoint": "http://localhost:5000",
            }})),
        ),
        ("vault", store(json!({"vault": vault("mountPath")}))),
        ("openbao", store(json!({"openBao": vault("path")}))),
        (
            "kubernetes-token",
            store(json!({"kubernetes": {
                "server": {"url": "https://k", "caBundle": "YQ==", "caProvider": ca},
                "auth": {"token": {"bearerToken": secret}}, "remoteNamespace": "remote",
            }})),
        ),
        (
            "kubernetes-cert",
            store(json!({"kubernetes": {"auth": {"cert": {"clientCert": secret, "clientKey": secret}}}})),
        ),
        ("kubernetes-account", store(json!({"kubernetes": {"auth": {"serviceAccount": account}}}))),
        ("kubernetes-config", store(json!({"kubernetes": {"authRef": secret}}))),
        (
            "fake",
            store(json!({"fake": {
                "data": [{"key": "a", "value": "v", "version": "v1"}, {"key": "b", "valueMap": {"c": "d"}}], "validationResult": 2,
            }})),
        ),
        ("file-map", store(json!({"file": {"configMapRef": secret, "identitySecretRef": secret}}))),
        ("file-secret", store(json!({"file": {"secretRef": secret, "identitySecretRef": secret}}))),
        ("file-path", store(json!({"file": {"path": "/etc/secrets.age"}}))),
        ("gcp", store(json!({"gcpsm": {"projectID": "p", "auth": {"workloadIdentity": {"clusterName": "c"}}}}))),
        ("bare", json!({"provider": {"aws": {"service": "SecretsManager", "region": "r"}}, "refreshInterval": "5m"})),
    ]
}

fn cluster_external_secret() -> Value {
    let selector =
        json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["d"]}]});
    json!({
        "externalSecretSpec": external_secret(), "externalSecretName": "db",
        "externalSecretMetadata": {"annotations": {"a": "1"}, "labels": {"b": "2"}},
        "namespaceSelector": selector, "namespaceSelectors": [selector], "namespaces": ["prod"], "refreshTime": "1m",
    })
}

/// The manifest of the issue, as every blog post has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_of_v1beta1_works_as_it_stands() {
    let place = Place::new().await;
    let spec = json!({
        "secretStoreRef": {"name": "aws-secrets-manager"},
        "target": {"name": "db-credentials"},
        "data": [{"secretKey": "password", "remoteRef": {"key": "production/database", "property": "password"}}],
    });
    place.create("v1beta1", "externalsecrets", "db-credentials", &spec).await.unwrap();
    for version in VERSIONS {
        let object = place.get(version, "externalsecrets", "db-credentials").await;
        assert_eq!(object["apiVersion"], format!("external-secrets.io/{version}"));
        assert_eq!(object["spec"], spec, "nothing was added");
    }
    let typed = place.api::<ExternalSecret>().get("db-credentials").await.unwrap();
    assert_eq!(serde_json::to_value(typed.spec.unwrap()).unwrap(), spec);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_is_admitted_in_both_versions_and_comes_back_as_it_was() {
    let place = Place::new().await;
    let mut samples = vec![
        ("externalsecrets", "full", external_secret()),
        ("clusterexternalsecrets", "full", cluster_external_secret()),
    ];
    for (name, spec) in stores() {
        samples.push(("secretstores", name, spec.clone()));
        samples.push(("clustersecretstores", name, spec));
    }
    for (plural, name, spec) in &samples {
        for version in VERSIONS {
            let name = format!("{name}-{version}");
            place.create(version, plural, &name, spec).await.unwrap_or_else(|error| panic!("{plural} {name}: {error}"));
            for read_as in VERSIONS {
                assert_eq!(place.get(read_as, plural, &name).await["spec"], *spec, "{plural} {name} as {read_as}");
            }
        }
    }
    let full = place.api::<ExternalSecret>().get("full-v1beta1").await.unwrap();
    assert_eq!(serde_json::to_value(full.spec.unwrap()).unwrap(), external_secret());
    let name = place.name("clusterexternalsecrets", "full-v1");
    let full = Api::<ClusterExternalSecret>::all(place.client.clone()).get(&name).await.unwrap();
    assert_eq!(serde_json::to_value(full.spec.unwrap()).unwrap(), cluster_external_secret());
    let name = place.name("clustersecretstores", "vault-v1");
    let vault = Api::<ClusterSecretStore>::all(place.client.clone()).get(&name).await.unwrap();
    assert_eq!(vault.spec.unwrap().provider.key(), "vault");
    let foreign = place.api::<SecretStore>().get("gcp-v1").await.unwrap();
    assert_eq!(foreign.spec.unwrap().provider, StoreProvider::Other("gcpsm".to_owned()));
    assert_eq!(place.api::<SecretStore>().list(&ListParams::default()).await.unwrap().items.len(), 2 * stores().len());
}

/// What External Secrets' webhook refuses is stored without it: the objects are there before we are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_webhook_refuses_is_stored() {
    let place = Place::new().await;
    let external_secrets = [
        json!({}),
        json!({"target": {"template": {"engineVersion": "v1"}}}),
        json!({"target": {"deletionPolicy": "Delete", "creationPolicy": "Merge"}, "dataFrom": [{}]}),
        json!({"refreshInterval": "soon", "secretStoreRef": {}}),
    ];
    for (index, spec) in external_secrets.iter().enumerate() {
        for version in VERSIONS {
            let name = format!("odd-{index}-{version}");
            place.create(version, "externalsecrets", &name, spec).await.unwrap();
            let typed = place.api::<ExternalSecret>().get(&name).await.unwrap();
            let spec = typed.spec.unwrap();
            assert_ne!(bulla_crds::external_secret::validate(&spec), [], "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_external_secrets_refuses_is_refused() {
    let place = Place::new().await;
    let item = |remote_ref: Value| json!({"data": [{"secretKey": "a", "remoteRef": remote_ref}]});
    let aws = |rest: Value| {
        let mut aws = json!({"service": "SecretsManager", "region": "r"});
        aws.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"provider": {"aws": aws}})
    };
    let table = [
        ("externalsecrets", json!({"target": {"creationPolicy": "Sometimes"}}), "spec.target.creationPolicy"),
        ("externalsecrets", json!({"target": {"deletionPolicy": "Sometimes"}}), "spec.target.deletionPolicy"),
        ("externalsecrets", json!({"target": {"name": "Not A Name"}}), "spec.target.name"),
        ("externalsecrets", json!({"target": {"template": {"mergePolicy": "x"}}}), "spec.target.template.mergePolicy"),
        (
            "externalsecrets",
            json!({"target": {"template": {"engineVersion": "v3"}}}),
            "spec.target.template.engineVersion",
        ),
        ("externalsecrets", json!({"refreshPolicy": "Sometimes"}), "spec.refreshPolicy"),
        ("externalsecrets", json!({"secretStoreRef": {"name": "s", "kind": "Vault"}}), "spec.secretStoreRef.kind"),
        ("externalsecrets", json!({"secretStoreRef": {"name": ""}}), "spec.secretStoreRef.name"),
        ("externalsecrets", json!({"syncWindows": {"kind": "allow", "windows": []}}), "spec.syncWindows.windows"),
        (
            "externalsecrets",
            json!({"syncWindows": {"kind": "x", "windows": [{"schedule": "@daily", "duration": "1h"}]}}),
            "spec.syncWindows.kind",
        ),
        ("externalsecrets", item(json!({})), "spec.data[0].remoteRef.key"),
        ("externalsecrets", item(json!({"key": "k", "metadataPolicy": "x"})), "spec.data[0].remoteRef.metadataPolicy"),
        (
            "externalsecrets",
            item(json!({"key": "k", "conversionStrategy": "x"})),
            "spec.data[0].remoteRef.conversionStrategy",
        ),
        (
            "externalsecrets",
            item(json!({"key": "k", "decodingStrategy": "x"})),
            "spec.data[0].remoteRef.decodingStrategy",
        ),
        ("externalsecrets", item(json!({"key": "k", "nullBytePolicy": "x"})), "spec.data[0].remoteRef.nullBytePolicy"),
        (
            "externalsecrets",
            json!({"data": [{"secretKey": "a b", "remoteRef": {"key": "k"}}]}),
            "spec.data[0].secretKey",
        ),
        (
            "externalsecrets",
            json!({"data": [{"secretKey": "a", "remoteRef": {"key": "k"}, "sourceRef": {}}]}),
            "spec.data[0].sourceRef",
        ),
        ("externalsecrets", json!({"dataFrom": [{"rewrite": [{}]}]}), "spec.dataFrom[0].rewrite[0]"),
        (
            "externalsecrets",
            json!({"dataFrom": [{"rewrite": [{"merge": {"strategy": "x"}}]}]}),
            "spec.dataFrom[0].rewrite[0].merge.strategy",
        ),
        (
            "externalsecrets",
            json!({"dataFrom": [{"rewrite": [{"merge": {}, "transform": {"template": ""}}]}]}),
            "spec.dataFrom[0].rewrite[0]",
        ),
        ("clusterexternalsecrets", json!({}), "spec.externalSecretSpec"),
        (
            "clusterexternalsecrets",
            json!({"externalSecretSpec": {"refreshPolicy": "x"}}),
            "spec.externalSecretSpec.refreshPolicy",
        ),
        ("clusterexternalsecrets", json!({"externalSecretSpec": {}, "namespaces": ["A"]}), "spec.namespaces[0]"),
        ("secretstores", json!({}), "spec.provider"),
        ("secretstores", json!({"provider": {}}), "spec.provider"),
        ("secretstores", json!({"provider": {"gcpsm": {}, "akeyless": {}}}), "spec.provider"),
        ("secretstores", json!({"provider": {"aws": {"region": "r"}}}), "spec.provider.aws.service"),
        ("secretstores", aws(json!({"service": "S3"})), "spec.provider.aws.service"),
        ("secretstores", aws(json!({"sessionTagsPolicy": "x"})), "spec.provider.aws.sessionTagsPolicy"),
        (
            "secretstores",
            aws(json!({"customSessionTags": {"esoNamespace": "x"}})),
            "spec.provider.aws.customSessionTags",
        ),
        ("clustersecretstores", json!({"provider": {"vault": {}}}), "spec.provider.vault.server"),
        (
            "clustersecretstores",
            json!({"provider": {"vault": {"server": "s", "version": "v3"}}}),
            "spec.provider.vault.version",
        ),
        (
            "clustersecretstores",
            json!({"provider": {"vault": {"server": "s", "caProvider": {"type": "x", "name": "a"}}}}),
            "spec.provider.vault.caProvider.type",
        ),
        ("clustersecretstores", json!({"provider": {"kubernetes": {"auth": {}}}}), "spec.provider.kubernetes.auth"),
        ("clustersecretstores", json!({"provider": {"fake": {}}}), "spec.provider.fake.data"),
        (
            "clustersecretstores",
            json!({"provider": {"fake": {"data": []}}, "rateLimit": {"callsPerSecond": 0}}),
            "spec.rateLimit.callsPerSecond",
        ),
    ];
    for (plural, spec, field) in &table {
        for version in VERSIONS {
            let error = place.create(version, plural, "bad", spec).await.expect_err(field).to_string();
            assert!(error.contains(field), "{plural} {version}: {field} is not named by {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_is_kept_and_fields_select() {
    let place = Place::new().await;
    let item = json!([{"secretKey": "a", "remoteRef": {"key": "k"}}]);
    for store in ["one", "two"] {
        let spec = json!({"secretStoreRef": {"name": store}, "data": item});
        place.create("v1", "externalsecrets", store, &spec).await.unwrap();
    }
    let api = place.api::<ExternalSecret>();
    let chosen = api.list(&ListParams::default().fields("spec.secretStoreRef.name=two")).await.unwrap();
    let names: Vec<_> = chosen.items.iter().filter_map(|object| object.metadata.name.as_deref()).collect();
    assert_eq!(names, ["two"]);

    let status = json!({
        "refreshTime": "2026-01-01T00:00:00Z", "syncedResourceVersion": "1-abc", "binding": {"name": "db"},
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
                        "reason": "SecretSynced", "message": "secret synced"}],
        "observedGeneration": 1, "nextRefreshTime": "2026-01-01T01:00:00Z", "syncReason": "Due",
        "secret": {"resourceVersion": "7", "digest": "abc"},
    });
    let patch = Patch::Merge(json!({"status": status}));
    let patched = api.patch_status("one", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(serde_json::to_value(patched.status).unwrap(), status);
    // What External Secrets' own Go types write for a time that is not set. A patch would only take the field away.
    let mut object = place.get("v1", "externalsecrets", "two").await;
    object["status"] = json!({"refreshTime": null, "binding": {"name": ""}});
    let body = serde_json::to_vec(&object).unwrap();
    let path = place.path("v1", "externalsecrets");
    let request = Request::new(&path).replace_subresource("status", "two", &PostParams::default(), body).unwrap();
    let replaced: ExternalSecret = place.client.request(request).await.unwrap();
    assert_eq!(replaced.status.unwrap().binding.unwrap().name, "");

    place.create("v1beta1", "secretstores", "s", &json!({"provider": {"fake": {"data": []}}})).await.unwrap();
    let status = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Valid"}], "capabilities": "ReadOnly", "observedGeneration": 1});
    let patch = Patch::Merge(json!({"status": status}));
    let patched = place.api::<SecretStore>().patch_status("s", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(serde_json::to_value(patched.status).unwrap(), status);
}
