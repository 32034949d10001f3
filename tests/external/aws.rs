//! AWS Secrets Manager and Parameter Store: what comes out of them, as whom, and how many calls it takes.

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::types::Tag;
use base64::Engine as _;
use bulla_crds::{ClusterSecretStore, ExternalSecret};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::canary::CANARY;
use crate::cloud::{Cloud, keys_of, login, spec, value};
use crate::support::apiserver::ApiServer;
use crate::support::proxy::Call;
use crate::world::{SOON, World, condition, data_of};

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

/// The manifest that everybody has, with only the key made this test's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_manifest_works_against_secrets_manager() {
    let cloud = Cloud::new().await;
    let key = cloud.key("production/database");
    cloud.put("production/database", &login("a")).await;
    cloud.world.store("aws-secrets-manager", cloud.provider("SecretsManager")).await;
    let manifest = json!({
        "apiVersion": "external-secrets.io/v1beta1",
        "kind": "ExternalSecret",
        "metadata": {"name": "db-credentials"},
        "spec": {
            "secretStoreRef": {"name": "aws-secrets-manager"},
            "target": {"name": "db-credentials"},
            "data": [{"secretKey": "password", "remoteRef": {"key": key, "property": "password"}}],
        },
    });
    let path = format!("/apis/external-secrets.io/v1beta1/namespaces/{}/externalsecrets", cloud.world.namespace);
    let body = serde_json::to_vec(&manifest).unwrap();
    let request = kube::core::Request::new(path).create(&PostParams::default(), body).unwrap();
    cloud.world.client.request::<Value>(request).await.unwrap();
    cloud.world.until_data("db-credentials", &[("password", &format!("{CANARY}-password-a"))]).await;
    cloud.world.synced("db-credentials").await;
    assert_eq!(cloud.proxy.names(), ["GetSecretValue"]);
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameter_store_is_read_and_refreshed() {
    let cloud = Cloud::new().await;
    cloud.put_parameter("plain", &value("plain")).await;
    cloud.put_parameter("login", &login("b")).await;
    cloud.world.store("parameters", cloud.provider("ParameterStore")).await;
    let (plain, login) = (cloud.key("plain"), cloud.key("login"));
    cloud.world.external("db", spec("parameters", &[("plain", &plain, ""), ("user", &login, "user")])).await;
    let user = format!("{CANARY}-user-b");
    cloud.world.until_data("db", &[("plain", &value("plain")), ("user", &user)]).await;
    assert_eq!(cloud.proxy.names(), ["GetParameters"]);
    cloud.proxy.forget();
    cloud.put_parameter("plain", &value("new")).await;
    cloud.world.force("db", "now").await;
    cloud.world.until_data("db", &[("plain", &value("new")), ("user", &user)]).await;
    assert_eq!(cloud.proxy.names(), ["GetParameters"], "and once again when it was asked for");
    cloud.end().await;
}

/// 20 secrets fit into one call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_objects_of_two_properties_cost_four_calls_and_on_one_key_one() {
    let mut cloud = Cloud::without_controller().await;
    cloud.store().await;
    for at in 0..60 {
        cloud.put(&at.to_string(), &login(&at.to_string())).await;
    }
    let names: Vec<_> = (0..60).map(|at| format!("own-{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        let key = cloud.key(&at.to_string());
        cloud.world.external(name, spec("aws", &[("u", &key, "user"), ("p", &key, "password")])).await;
    }
    cloud.world.start();
    for (at, name) in names.iter().enumerate() {
        let (user, password) = (format!("{CANARY}-user-{at}"), format!("{CANARY}-password-{at}"));
        cloud.world.until_data(name, &[("u", &user), ("p", &password)]).await;
        cloud.world.synced(name).await;
    }
    let calls = cloud.proxy.names();
    assert!((3..=4).contains(&calls.len()), "{calls:?}");
    assert!(calls.iter().all(|call| call == "BatchGetSecretValue"), "{calls:?}");

    // The same on one key.
    cloud.world.stop().await;
    for name in &names {
        cloud.world.delete::<ExternalSecret>(name).await;
    }
    let key = cloud.key("7");
    let names: Vec<_> = (0..60).map(|at| format!("shared-{at}")).collect();
    for name in &names {
        cloud.world.external(name, spec("aws", &[("u", &key, "user"), ("p", &key, "password")])).await;
    }
    cloud.proxy.forget();
    cloud.world.start();
    for name in &names {
        let (user, password) = (format!("{CANARY}-user-7"), format!("{CANARY}-password-7"));
        cloud.world.until_data(name, &[("u", &user), ("p", &password)]).await;
        cloud.world.synced(name).await;
    }
    assert_eq!(cloud.proxy.names(), ["GetSecretValue"]);
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefix_version_metadata_and_tags() {
    let cloud = Cloud::new().await;
    let world = &cloud.world;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    for (name, team) in [("one", "a"), ("two", "a"), ("three", "b")] {
        let create = cloud.secrets.create_secret().name(cloud.key(name)).secret_string(value(name));
        create.tags(tag("team", team)).tags(tag("space", &world.namespace)).send().await.unwrap();
    }
    let first = cloud.secrets.describe_secret().secret_id(cloud.key("one")).send().await.unwrap();
    let first = first.version_ids_to_stages.unwrap().into_keys().next().unwrap();
    cloud.put("one", &value("one-new")).await;
    cloud.store().await;

    let mut provider = cloud.provider("SecretsManager");
    provider["aws"]["prefix"] = json!(format!("/{}/", world.namespace));
    world.store("prefixed", provider).await;
    world.external("prefixed", spec("prefixed", &[("k", "two", "")])).await;
    world.until_data("prefixed", &[("k", &value("two"))]).await;

    let key = cloud.key("one");
    let mut versions = spec("aws", &[("now", &key, ""), ("before", &key, ""), ("first", &key, "")]);
    versions["data"][1]["remoteRef"]["version"] = json!("AWSPREVIOUS");
    versions["data"][2]["remoteRef"]["version"] = json!(format!("uuid/{first}"));
    world.external("versions", versions).await;
    let expected = [("now", value("one-new")), ("before", value("one")), ("first", value("one"))];
    world.until_data("versions", &expected.each_ref().map(|(key, value)| (*key, value.as_str()))).await;

    let mut metadata = spec("aws", &[("team", &key, "team")]);
    metadata["data"][0]["remoteRef"]["metadataPolicy"] = json!("Fetch");
    world.external("metadata", metadata).await;
    world.until_data("metadata", &[("team", "a")]).await;

    let find = json!({
        "secretStoreRef": {"name": "aws"},
        "dataFrom": [{
            "find": {"tags": {"team": "a", "space": world.namespace}},
            "rewrite": [{"regexp": {"source": ".*/", "target": ""}}],
        }],
    });
    world.external("tagged", find).await;
    world.until_data("tagged", &[("one", &value("one-new")), ("two", &value("two"))]).await;
    cloud.end().await;
}

/// The access key that a call was signed with.
pub(crate) fn signer(call: &Call) -> String {
    let authorization = call.header("authorization").unwrap_or_default();
    let (_, after) = authorization.split_once("Credential=").unwrap_or_default();
    after.split('/').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_assumed_once_for_all() {
    let mut cloud = Cloud::without_controller().await;
    cloud.put("a", &value("a")).await;
    cloud.put("b", &value("b")).await;
    let mut provider = cloud.provider("SecretsManager");
    provider["aws"]["role"] = json!(ROLE);
    provider["aws"]["externalID"] = json!("ours");
    provider["aws"]["sessionTags"] = json!([{"key": "cost", "value": "centre"}]);
    cloud.world.store("assumed", provider).await;
    let names: Vec<_> = (0..20).map(|at| format!("es-{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        let key = cloud.key(if at % 2 == 0 { "a" } else { "b" });
        cloud.world.external(name, spec("assumed", &[("k", &key, "")])).await;
    }
    cloud.world.start();
    for name in &names {
        cloud.world.synced(name).await;
    }
    let calls = cloud.proxy.calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["AssumeRole", "BatchGetSecretValue"]);
    assert_eq!(signer(&calls[0]), crate::cloud::ACCESS_KEY);
    assert!(signer(&calls[1]).starts_with("ASIA"), "the role's own key signs");
    for part in ["ExternalId=ours", "Tags.member.1.Key=cost", "Tags.member.1.Value=centre"] {
        assert!(calls[0].body.contains(part), "{}", calls[0].body);
    }
    cloud.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_is_exchanged_for_its_role() {
    let cloud = Cloud::new().await;
    let world = &cloud.world;
    cloud.put("a", &value("a")).await;
    cloud.put("b", &value("b")).await;
    let annotations = json!({"eks.amazonaws.com/role-arn": ROLE});
    world.create::<ServiceAccount>(json!({"metadata": {"name": "reader", "annotations": annotations}})).await;
    world.create::<ServiceAccount>(json!({"metadata": {"name": "nobody"}})).await;
    let mark = world.mark();
    for account in ["reader", "nobody"] {
        let mut provider = cloud.provider("SecretsManager");
        provider["aws"]["auth"] = json!({"jwt": {"serviceAccountRef": {"name": account}}});
        world.store(account, provider).await;
    }
    for name in ["a", "b"] {
        world.external(name, spec("reader", &[("k", &cloud.key(name), "")])).await;
        world.until_data(name, &[("k", &value(name))]).await;
        world.synced(name).await;
    }
    assert_eq!(cloud.proxy.count("AssumeRoleWithWebIdentity"), 1);
    let tokens = world.calls(mark).await.into_iter().filter(|call| call == "create serviceaccounts/token").count();
    assert_eq!(tokens, 1);

    // The token is one of that account for AWS.
    let call = cloud.proxy.calls().into_iter().find(|call| call.name == "AssumeRoleWithWebIdentity").unwrap();
    let field = |name: &str| call.body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap();
    assert!(field("RoleArn").ends_with("role%2Freader"));
    let token = field("WebIdentityToken");
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
    assert_eq!(claims["sub"], format!("system:serviceaccount:{}:reader", world.namespace));
    let reads = cloud.proxy.calls().into_iter().filter(|call| call.name == "GetSecretValue").collect::<Vec<_>>();
    assert!(!reads.is_empty() && reads.iter().all(|read| signer(read).starts_with("ASIA")));

    let message = world.store_is("nobody", false).await;
    assert!(message.contains("an IAM role must be associated with service account nobody"), "{message}");
    world.leaks_nothing(&[token]).await;
    let secret: Secret = world.secret("a").await.unwrap();
    assert_eq!(data_of(&secret)["k"], value("a"));
    cloud.end().await;
}

/// A ClusterSecretStore whose selectors name no namespace: each namespace asks with its own keys, by a session of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_store_uses_the_keys_of_whoever_asks() {
    // Cluster stores are served by a controller for the whole cluster; the server ends with this process.
    let server: &ApiServer = Box::leak(Box::new(ApiServer::start()));
    let mut cloud = Cloud::around(World::on(server).await).await;
    cloud.world.whole_cluster = true;
    cloud.put("a", &value("a")).await;
    let (key, client) = (cloud.key("a"), cloud.world.client.clone());
    let store = json!({"metadata": {"name": "everybody"}, "spec": {"provider": cloud.provider("SecretsManager")}});
    let stores: Api<ClusterSecretStore> = Api::all(client.clone());
    stores.create(&PostParams::default(), &serde_json::from_value(store).unwrap()).await.unwrap();
    let mut spec = spec("everybody", &[("k", &key, "")]);
    spec["secretStoreRef"]["kind"] = json!("ClusterSecretStore");
    cloud.world.external("db", spec.clone()).await;
    cloud.world.start();
    cloud.world.until_data("db", &[("k", &value("a"))]).await;
    assert_eq!(cloud.proxy.calls().iter().map(signer).collect::<Vec<_>>(), [crate::cloud::ACCESS_KEY]);

    // Another namespace without keys, then with keys of its own.
    let other = server.namespace().await;
    let object = json!({"metadata": {"name": "db"}, "spec": spec});
    let objects: Api<ExternalSecret> = Api::namespaced(client.clone(), &other);
    objects.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    let until = async |wanted: bool| {
        let began = Instant::now();
        loop {
            let object = objects.get("db").await.unwrap();
            if let Some(ready) = condition(&object, "Ready").filter(|ready| ready.status == wanted.into()) {
                return ready.message.clone().unwrap_or_default();
            }
            assert!(began.elapsed() < SOON, "{:?}", object.status);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let message = until(false).await;
    assert!(message.contains("cannot get Kubernetes secret \"aws-keys\"") && message.contains(&other), "{message}");
    assert_eq!(cloud.proxy.calls().len(), 1, "nobody asks with another's keys");
    let keys = json!({"metadata": {"name": crate::cloud::KEYS}, "stringData": keys_of("AKIAOTHER")});
    let secrets: Api<Secret> = Api::namespaced(client, &other);
    secrets.create(&PostParams::default(), &serde_json::from_value(keys).unwrap()).await.unwrap();
    until(true).await;
    let signers: Vec<_> = cloud.proxy.calls().iter().map(signer).collect();
    assert_eq!(signers, [crate::cloud::ACCESS_KEY, "AKIAOTHER"]);
    assert_eq!(data_of(&secrets.get("db").await.unwrap())["k"], value("a"));
    cloud.end().await;
}
