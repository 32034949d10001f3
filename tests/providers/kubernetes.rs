//! The Secrets of a namespace, on a real API server.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use bulla::providers::kubernetes::{Settings, connect};
use bulla::providers::{Cause, Gate, Provider};
use bulla::sync::remote::{Document, Find, Request};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::contract::{self, Backend, Traits, content, counted, find, gate, lookup, many, one, value};
use crate::support::apiserver::{ApiServer, free_port};
use crate::support::identities::ADMIN;

struct Namespace {
    name: String,
    server: &'static ApiServer,
}

async fn namespace() -> Namespace {
    let server = ApiServer::shared();
    Namespace { name: server.namespace().await, server }
}

impl Namespace {
    fn api(&self) -> Api<Secret> {
        Api::namespaced(self.server.client(), &self.name)
    }

    async fn apply(&self, metadata: ObjectMeta, data: BTreeMap<String, ByteString>) {
        let name = metadata.name.clone().unwrap();
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
        let params = PatchParams::apply("bulla-test").force();
        self.api().patch(&name, &params, &Patch::Apply(&secret)).await.unwrap();
    }

    async fn labelled(&self, name: &str, label: &str) {
        let labels = [("example.com/team".to_owned(), label.to_owned())].into();
        let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
        self.apply(metadata, data(&[("value", label.as_bytes())])).await;
    }

    fn provider_with(&self, client: Client, gate: Gate) -> Arc<dyn Provider> {
        connect(Settings { client, namespace: self.name.clone() }, gate).unwrap()
    }

    /// A provider with a service account's rights: the rules hold for Secrets.
    async fn provider_as(&self, account: &str, rules: serde_json::Value) -> Arc<dyn Provider> {
        let token = self.server.service_account(&self.name, account).await;
        self.server.allow(&self.name, account, &rules).await;
        self.provider_with(self.server.client_as(&token, "bulla-test"), gate())
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn data(values: &[(&str, &[u8])]) -> BTreeMap<String, ByteString> {
    values.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect()
}

fn tagged(value: &str) -> Request {
    let tags = [("example.com/team".to_owned(), value.to_owned())].into();
    Request::Find(Find { tags, name: Some("^nothing-like-this$".to_owned()), ..Find::default() })
}

async fn cause(provider: &dyn Provider, request: Request) -> Cause {
    let error = provider.fetch(vec![request]).await.remove(0).map(|_| ()).unwrap_err();
    assert!(!error.message.contains("canary"), "{error}");
    error.cause
}

impl Backend for Namespace {
    async fn put(&self, entries: &[(String, Vec<u8>)]) {
        let apply = |(key, value): &(String, Vec<u8>)| {
            let (metadata, data) = (named(key), data(&[("value", value)]));
            async move { self.apply(metadata, data).await }
        };
        futures::future::join_all(entries.iter().map(apply)).await;
    }

    async fn delete(&self, key: &str) {
        self.api().delete(key, &DeleteParams::default()).await.unwrap();
    }

    fn provider(&self, gate: Gate) -> Arc<dyn Provider> {
        self.provider_with(self.server.client(), gate)
    }

    fn traits(&self) -> Traits {
        Traits::default()
    }
}

contract::contract!(namespace());

#[tokio::test]
async fn all_fields_of_a_secret_are_there_byte_by_byte() {
    let namespace = namespace().await;
    let values: [(&str, &[u8]); 3] = [("tls.crt", b"a"), ("bin", &[0, 255, 128]), ("empty", b"")];
    namespace.apply(named("full"), data(&values)).await;
    namespace.apply(named("bare"), BTreeMap::new()).await;
    let provider = namespace.provider(gate());
    let full = one(&*provider, value("full")).await.unwrap_or_else(|error| panic!("{error}"));
    let Document::Fields(fields) = &full.document else { panic!("not fields") };
    assert_eq!(fields.len(), 3);
    assert!(values.iter().all(|(key, value)| fields[*key].same_as(value)));
    assert!(full.version.is_some());
    let bare = one(&*provider, value("bare")).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(&bare.document, Document::Fields(fields) if fields.is_empty()));
}

#[tokio::test]
async fn metadata_are_labels_and_annotations_and_cost_no_second_call() {
    let namespace = namespace().await;
    let metadata = ObjectMeta {
        labels: Some([("app.kubernetes.io/name".to_owned(), "db".to_owned())].into()),
        annotations: Some([("note".to_owned(), "\"quoted\"\n".to_owned())].into()),
        ..named("described")
    };
    namespace.apply(metadata, data(&[("value", b"canary")])).await;
    namespace.apply(named("plain"), BTreeMap::new()).await;
    let (gate, calls) = counted();
    let provider = namespace.provider(gate);
    let json = async |name: &str| {
        let fetched = one(&*provider, Request::Metadata(lookup(name))).await.unwrap_or_else(|error| panic!("{error}"));
        let Document::Object(json) = &fetched.document else { panic!("not an object") };
        serde_json::from_slice::<serde_json::Value>(json.expose()).unwrap()
    };
    let expected = json!({"labels": {"app.kubernetes.io/name": "db"}, "annotations": {"note": "\"quoted\"\n"}});
    assert_eq!(json("described").await, expected);
    assert_eq!(json("plain").await, json!({"labels": {}, "annotations": {}}));
    assert_eq!(cause(&*provider, Request::Metadata(lookup("none"))).await, Cause::Missing);
    assert_eq!(calls.of("GetSecret"), 3);

    let requests = vec![Request::Metadata(lookup("described")), value("described"), value("described")];
    let answers = provider.fetch(requests).await;
    assert_eq!((answers.len(), calls.of("GetSecret")), (3, 4), "one GET answers all three");
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn tags_are_looked_up_by_the_server() {
    let namespace = namespace().await;
    namespace.labelled("a", "red").await;
    namespace.labelled("b", "blue").await;
    namespace.labelled("c", "red").await;
    namespace.apply(named("d"), BTreeMap::new()).await;
    let mark = namespace.server.audit_mark();
    let provider = namespace.provider(gate());
    let found = many(&*provider, tagged("red")).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        found.iter().map(|(name, found)| (name.as_str(), content(found))).collect::<Vec<_>>(),
        [("a", b"red".to_vec()), ("c", b"red".to_vec())]
    );
    assert!(many(&*provider, tagged("green")).await.is_ok_and(|found| found.is_empty()));
    assert_eq!(cause(&*provider, tagged("red,example.com/team!=blue")).await, Cause::Invalid);
    let quiet = std::time::Duration::from_millis(300);
    let wanted =
        |call: &crate::support::audit::AuditEntry| call.namespace == namespace.name && call.is("list", "secrets");
    let lists = namespace.server.audit_when_quiet(mark, quiet, wanted).await;
    assert_eq!(lists.len(), 2, "{lists:#?}");
    assert!(lists.iter().all(|call| call.uri.contains("labelSelector=example.com%2Fteam%3D")), "{lists:#?}");
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let namespace = namespace().await;
    let entries: Vec<_> = (0..120).map(|index| (format!("page-{index:03}"), vec![b'x'])).collect();
    namespace.put(&entries).await;
    let (gate, calls) = counted();
    let found = many(&*namespace.provider(gate), find("^page-")).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((found.len(), calls.of("ListSecrets")), (120, 3));
}

#[tokio::test]
async fn another_namespace_is_another_store() {
    let (one_space, other) = (namespace().await, namespace().await);
    one_space.apply(named("here"), data(&[("value", b"1")])).await;
    other.apply(named("there"), data(&[("value", b"2")])).await;
    let provider = one_space.provider(gate());
    assert_eq!(cause(&*provider, value("there")).await, Cause::Missing);
    let all = many(&*provider, find("")).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(all.into_keys().collect::<Vec<_>>(), ["here"]);
}

#[tokio::test]
async fn an_account_without_rights_is_denied() {
    let namespace = namespace().await;
    namespace.apply(named("guarded"), data(&[("value", b"canary")])).await;
    let secrets = |verbs: &[&str]| json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}]);
    let everything = [value("guarded"), value("none"), Request::Metadata(lookup("guarded")), find("."), tagged("red")];

    let provider = namespace.provider_as("powerless", json!([])).await;
    for request in everything.clone() {
        assert_eq!(cause(&*provider, request.clone()).await, Cause::Denied, "{request:?}");
    }
    let error = provider.validate().await.unwrap_err();
    assert_eq!(error.cause, Cause::Denied);
    assert!(error.message.contains("not allowed to get secrets"), "{error}");

    let reader = namespace.provider_as("reader", secrets(&["get"])).await;
    assert_eq!(reader.validate().await, Ok(()));
    assert_eq!(content(&one(&*reader, value("guarded")).await.unwrap_or_else(|error| panic!("{error}"))), b"canary");
    assert_eq!(cause(&*reader, value("none")).await, Cause::Missing);
    assert_eq!(cause(&*reader, find(".")).await, Cause::Denied);

    let lister = namespace.provider_as("lister", secrets(&["list"])).await;
    assert_eq!(lister.validate().await.map_err(|error| error.cause), Err(Cause::Denied));
    assert_eq!(many(&*lister, find(".")).await.map(|found| found.len()), Ok(1));

    // Of one Secret only: the others fail one by one.
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["guarded"], "verbs": ["get"]}]);
    let narrow = namespace.provider_as("narrow", rules).await;
    assert_eq!(narrow.validate().await, Ok(()));
    let answers = narrow.fetch(vec![value("other"), value("guarded")]).await;
    assert!(matches!(&answers[0], Err(error) if error.cause == Cause::Denied));
    assert!(answers[1].is_ok());
}

#[tokio::test]
async fn a_wrong_token_is_unauthenticated() {
    let namespace = namespace().await;
    let provider = namespace.provider_with(namespace.server.client_as("no-such-token", "bulla-test"), gate());
    assert_eq!(cause(&*provider, value("a")).await, Cause::Unauthenticated);
    assert_eq!(provider.validate().await.map_err(|error| error.cause), Err(Cause::Unauthenticated));
    let right = namespace.provider_with(namespace.server.client_as(ADMIN, "bulla-test"), gate());
    assert_eq!(right.validate().await, Ok(()));
}

#[tokio::test]
async fn what_cannot_be_a_name_is_not_asked_for() {
    let namespace = namespace().await;
    let (gate, calls) = counted();
    let provider = namespace.provider(gate);
    for key in ["", "..", "../configmaps/a", "a/b", "A", "a?watch=1", "a#b", "a%2fb"] {
        assert_eq!(cause(&*provider, value(key)).await, Cause::Invalid, "{key}");
    }
    assert_eq!(calls.total(), 0);
    let settings = Settings { client: namespace.server.client(), namespace: "../kube-system".to_owned() };
    assert_eq!(connect(settings, contract::gate()).err().map(|error| error.cause), Some(Cause::Misconfigured));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let client = Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    let provider = connect(Settings { client, namespace: "default".to_owned() }, gate()).unwrap();
    let error = one(&*provider, value("a")).await.map(|_| ()).unwrap_err();
    assert_eq!(error.cause, Cause::Unavailable);
    assert!(error.message.contains("Connection refused"), "the reason is named: {error}");
}

/// Another web server knows no Secret either, but must not be believed.
#[tokio::test]
async fn a_server_that_is_no_api_server_says_nothing_about_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _: usize = stream.read(&mut [0; 4096]).unwrap_or_default();
            let page = "HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\nconnection: close\r\n\r\ncanary";
            stream.write_all(page.as_bytes()).ok();
        }
    });
    let client = Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    let provider = connect(Settings { client, namespace: "default".to_owned() }, gate()).unwrap();
    for request in [value("a"), Request::Metadata(lookup("a")), find(".")] {
        assert_eq!(cause(&*provider, request).await, Cause::Misconfigured);
    }
}
