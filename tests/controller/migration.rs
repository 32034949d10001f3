//! `docs/migrate/from-sealed-secrets.md`, step by step: the real controller of upstream's runs, ours takes its place
//! with its flags and variables, and goes again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::apiserver::ApiServer;
use crate::support::audit::AuditMark;
use crate::support::leash::{End, Leash};
use crate::support::rights::Reach;
use crate::support::tools;
use crate::support::upstream::UpstreamController;
use crate::world::{QUIET, SOON, condition, data_of, strings};

const AGENT: &str = "bulla-controller/";

/// A namespace of users and one of the controllers.
struct Cluster<'a> {
    server: &'a ApiServer,
    users: String,
    controllers: String,
}

impl Cluster<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.server.client(), &self.users)
    }

    /// Seals with the real tool and applies what it prints.
    async fn seal(&self, certificate: &Path, name: &str, value: &str, arguments: &[&str]) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": self.users, "labels": {"team": "payments"}},
            "stringData": {"password": value},
        });
        let certificate = certificate.display().to_string();
        let arguments = [&["--cert", &certificate, "--format", "yaml"], arguments].concat();
        let yaml = tools::stdout_of(tools::kubeseal(&arguments, secret.to_string().as_bytes()));
        let object: Value = serde_saphyr::from_str(std::str::from_utf8(&yaml).unwrap()).unwrap();
        let parameters = PatchParams::apply("kubectl").force();
        self.api::<SealedSecret>().patch(name, &parameters, &Patch::Apply(&object)).await.unwrap();
    }

    async fn until_password(&self, name: &str, value: &str) -> Secret {
        let began = Instant::now();
        loop {
            let secret = self.api::<Secret>().get_opt(name).await.unwrap();
            if let Some(secret) = secret.filter(|secret| data_of(secret) == strings(&[("password", value)])) {
                return secret;
            }
            assert!(began.elapsed() < SOON, "the Secret {name} is not {value}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_synced(&self, name: &str) {
        let began = Instant::now();
        loop {
            let object = self.api::<SealedSecret>().get(name).await.unwrap();
            let current = object.status.as_ref().is_some_and(|s| s.observed_generation == object.metadata.generation);
            if current && condition(&object, "Synced").is_some_and(|synced| synced.status == true.into()) {
                return;
            }
            assert!(began.elapsed() < SOON, "{name} is not synced: {:?}", object.status);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Identity and data of every Secret of the users.
    async fn secrets(&self) -> BTreeMap<String, (String, BTreeMap<String, String>)> {
        let all = self.api::<Secret>().list(&ListParams::default()).await.unwrap().items;
        let facts = |secret: Secret| {
            let data = data_of(&secret);
            (secret.metadata.name.unwrap(), (secret.metadata.uid.unwrap(), data))
        };
        all.into_iter().map(facts).collect()
    }

    /// Ours, as its container is started: without `run`, with upstream's flags and variables.
    fn ours(&self, log: &str) -> Leash {
        let token = self.server.controller_token(&self.controllers, Reach::Cluster);
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulla-controller"));
        command
            .args(["--update-status", "--key-prefix", "sealed-secrets-key", "--key-renew-period=720h0m0s"])
            .args(["--max-unseal-retries=7", "--listen-addr", "127.0.0.1:0", "--log-level=INFO"])
            .args(["--kubeclient-qps=50", "--external-secrets=false"])
            .env("SEALED_SECRETS_KUBECLIENT_BURST", "100")
            .env("SEALED_SECRETS_LISTEN_METRICS_ADDR", "127.0.0.1:0")
            .env("POD_NAMESPACE", &self.controllers)
            .env("KUBECONFIG", self.server.kubeconfig_as("ours", &token));
        let end = End { grace: Duration::from_secs(10), ..End::default() };
        Leash::spawn("bulla-controller", &command, &self.server.folder().join(log), end)
    }

    /// What ours asked for in the users' namespace since the mark, with the answer's code.
    async fn calls(&self, mark: AuditMark) -> BTreeMap<String, usize> {
        let ours = |entry: &crate::support::audit::AuditEntry| {
            entry.user_agent.starts_with(AGENT)
                && entry.namespace == self.users
                && entry.resource != "events"
                && !matches!(entry.verb.as_str(), "list" | "watch")
        };
        let entries = self.server.audit_when_quiet(mark, 2 * QUIET, ours).await;
        let mut counts = BTreeMap::new();
        for entry in entries {
            *counts.entry(format!("{} {}", entry.verb, entry.resource)).or_default() += 1;
        }
        counts
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sealed_secrets_and_back() {
    let server = ApiServer::start();
    let cluster = Cluster { server: &server, users: server.namespace().await, controllers: server.namespace().await };
    let theirs = UpstreamController::start(&server, &cluster.controllers, &["--kubeclient-qps=-1"]).await;
    let certificate = server.folder().join("certificate.pem");
    theirs.write_certificate(&certificate);
    let scopes = [("strict", "strict"), ("wide", "namespace-wide"), ("open", "cluster-wide")];
    for (name, scope) in scopes {
        cluster.seal(&certificate, name, "first", &["--scope", scope]).await;
    }
    for (name, _) in scopes {
        cluster.until_password(name, "first").await;
        cluster.until_synced(name).await;
    }
    let before = cluster.secrets().await;
    let keys = Api::<Secret>::namespaced(server.client(), &cluster.controllers);
    let of_theirs = ListParams::default().labels("sealedsecrets.bitnami.com/sealed-secrets-key");
    // Ours notes on a key how many values it opens, and changes nothing else.
    let facts = |secrets: Vec<Secret>| -> Vec<_> {
        let facts = |secret: Secret| (secret.metadata.uid, secret.metadata.labels, secret.data);
        secrets.into_iter().map(facts).collect()
    };
    let keys_before = facts(keys.list(&of_theirs).await.unwrap().items);
    assert_eq!(keys_before.len(), 1);

    // Step 1: the definition. It adds to the status, and takes nothing away.
    server.install_crd(&bulla_crds::sealed_secret_crd()).await;
    // Step 2: theirs stops. Nothing happens to what is there. Step 3: ours starts.
    theirs.stop();
    let mark = server.audit_mark();
    let ours = cluster.ours("ours.log");
    for (name, _) in scopes {
        cluster.until_synced(name).await;
        let began = Instant::now();
        while condition(&cluster.api::<SealedSecret>().get(name).await.unwrap(), "Ready").is_none() {
            assert!(began.elapsed() < SOON, "{name} has not been looked at");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Each is read once, gets our label, by which it is watched, and its status; the data is what it was.
    let calls = cluster.calls(mark).await;
    let expected = [("get secrets", 3), ("update secrets", 3), ("patch sealedsecrets", 3)];
    assert_eq!(calls, expected.map(|(call, count)| (call.to_owned(), count)).into());
    assert_eq!(cluster.secrets().await, before);
    assert_eq!(facts(keys.list(&of_theirs).await.unwrap().items), keys_before, "their key is used as it is");
    // What is of no use here was answered, once each.
    let log = std::fs::read_to_string(server.folder().join("ours.log")).unwrap();
    for setting in [
        "--max-unseal-retries=7",
        "--kubeclient-qps=50",
        "SEALED_SECRETS_KUBECLIENT_BURST=100",
        "--listen-addr=127.0.0.1:0",
    ] {
        assert_eq!(log.matches(&format!("{setting} is ")).count(), 1, "{setting} in {log}");
    }
    // Step 4: what people sealed for theirs, and seal now with the same certificate, opens.
    cluster.seal(&certificate, "later", "second", &[]).await;
    cluster.until_password("later", "second").await;
    cluster.seal(&certificate, "strict", "second", &[]).await;
    cluster.until_password("strict", "second").await;
    cluster.until_synced("later").await;
    cluster.until_synced("strict").await;
    // A restart costs nothing any more.
    drop(ours);
    let mark = server.audit_mark();
    let ours = cluster.ours("again.log");
    cluster.seal(&certificate, "last", "third", &[]).await;
    cluster.until_synced("last").await;
    let calls = cluster.calls(mark).await;
    let expected = [("create secrets", 1), ("patch sealedsecrets", 1)];
    assert_eq!(calls, expected.map(|(call, count)| (call.to_owned(), count)).into());

    // The way back: ours stops, theirs starts, and every Secret stays as it is.
    drop(ours);
    let with_ours = cluster.secrets().await;
    let theirs = UpstreamController::start(&server, &cluster.controllers, &["--kubeclient-qps=-1"]).await;
    theirs.write_certificate(&certificate);
    cluster.seal(&certificate, "back", "fourth", &[]).await;
    cluster.until_password("back", "fourth").await;
    cluster.seal(&certificate, "later", "fourth", &[]).await;
    let after = cluster.until_password("later", "fourth").await;
    assert_eq!(after.metadata.uid.as_ref(), Some(&with_ours["later"].0));
    let now = cluster.secrets().await;
    for name in ["strict", "wide", "open", "last"] {
        assert_eq!(now[name], with_ours[name], "{name}");
        cluster.until_synced(name).await;
    }
    assert!(!theirs.log().contains("not managed by"), "{}", theirs.log());
    theirs.stop();
}
