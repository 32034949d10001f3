//! A namespace of its own, with a sealing key, and the real program as a process that serves only that namespace.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bulla::seal::{Binding, Identity, Place, Scope, seal};
use bulla::secret::Plaintext;
use bulla_crds::{ExternalSecret, SealedSecret, SecretStore};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::apiserver::{ApiServer, free_port};
use crate::support::leash::{End, Leash};
use crate::support::objects::{self, Namespaced};
use crate::support::rights::Reach;

/// Longer than any wait that is right, shorter than a patience.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// Stands in every value of these tests, and must be seen nowhere but in Secrets.
pub(crate) const CANARY: &str = "c4n4ry";

/// See the module.
pub(crate) struct World {
    pub(crate) server: &'static ApiServer,
    pub(crate) namespace: String,
    pub(crate) identity: Identity,
    pub(crate) folder: tempfile::TempDir,
}

/// The program, until it is dropped.
pub(crate) struct Program {
    leash: Leash,
    address: SocketAddr,
    metrics: SocketAddr,
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = ApiServer::shared();
        for crd in bulla_crds::all() {
            server.install_crd(&crd).await;
        }
        let namespace = server.namespace().await;
        let identity = Identity::generate_x25519().unwrap();
        let world = Self { server, namespace, identity, folder: tempfile::tempdir().unwrap() };
        let text = world.identity.to_text().unwrap();
        world
            .create::<Secret>(json!({
                "metadata": {"name": "key", "labels": {"bulla.dev/sealing-key": "active"}},
                "stringData": {"identity": *text, "recipient": world.identity.recipient().to_string()},
            }))
            .await;
        world
    }

    /// A file in the world's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the program with these arguments and this environment, and waits until it is ready.
    pub(crate) async fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let (port, metrics) = (free_port(), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulla-controller"));
        let token = self.server.controller_token(&self.namespace, Reach::Namespaces(&[&self.namespace]));
        let kubeconfig = self.server.kubeconfig_as(&format!("controller-{}", self.namespace), &token);
        command.arg("run").arg("--kubeconfig").arg(kubeconfig);
        command.args(["--controller-namespace", &self.namespace, "--watch-namespace", &self.namespace]);
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--listen-metrics", &format!("127.0.0.1:{metrics}")]).args(arguments);
        command.envs(environment.iter().copied());
        let end = End { grace: Duration::from_secs(10), remove: None };
        let leash = Leash::spawn("bulla-controller", &command, &self.file("log"), end);
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut program = Program { leash, address: at(port), metrics: at(metrics) };
        let began = Instant::now();
        while program.ready().await != Some(200) {
            assert!(program.leash.ended().is_none() && began.elapsed() < SOON, "{}", program.leash.log_tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        program
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.server.client(), &self.namespace)
    }

    pub(crate) async fn create<K: Namespaced>(&self, object: Value) -> K {
        objects::create(&self.api(), object).await
    }

    pub(crate) async fn delete<K: Namespaced>(&self, name: &str) {
        objects::delete::<K>(&self.api(), name).await;
    }

    /// The spec of a SealedSecret of one value with the canary in it.
    pub(crate) fn good(&self, name: &str) -> Value {
        let place = Place { namespace: &self.namespace, name, key: "k" };
        let binding = Binding::new(Scope::Strict, place, "2026-11-21".parse().unwrap());
        let value = Plaintext::copy_of(format!("{CANARY}-{name}").as_bytes());
        let sealed = seal(&[self.identity.recipient().clone()], &value, &binding).unwrap();
        json!({"encryptedData": {"k": sealed}})
    }

    /// Creates a SealedSecret that opens, and waits until it did.
    pub(crate) async fn sealed(&self, name: &str) {
        self.create::<SealedSecret>(json!({"metadata": {"name": name}, "spec": self.good(name)})).await;
        self.synced(name, true).await;
    }

    /// Creates a SealedSecret that does not open.
    pub(crate) async fn broken(&self, name: &str) {
        self.create::<SealedSecret>(json!({"metadata": {"name": name}, "spec": bad()})).await;
    }

    /// Gives a SealedSecret another spec.
    pub(crate) async fn edit(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api::<SealedSecret>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until a SealedSecret is, or is not, in sync as it stands.
    pub(crate) async fn synced(&self, name: &str, synced: bool) {
        let began = Instant::now();
        loop {
            let object = self.api::<SealedSecret>().get(name).await.unwrap();
            let status = object.status.unwrap_or_default();
            let found = status.conditions.iter().find(|condition| condition.r#type == "Synced");
            let is_current = status.observed_generation == object.metadata.generation;
            if is_current && found.is_some_and(|found| found.status == synced.into()) {
                return;
            }
            assert!(began.elapsed() < SOON, "{name} is not Synced={synced}: {:?}", status.conditions);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Creates a store of one value with the canary in it.
    pub(crate) async fn store(&self) {
        let data = json!([{"key": "k", "value": format!("{CANARY}-remote")}]);
        let spec = json!({"provider": {"fake": {"data": data}}});
        self.create::<SecretStore>(json!({"metadata": {"name": "store"}, "spec": spec})).await;
    }

    /// Creates an ExternalSecret of a key of that store, and waits until it is, or is not, in sync.
    pub(crate) async fn external(&self, name: &str, key: &str, synced: bool) {
        let data = json!([{"secretKey": "k", "remoteRef": {"key": key}}]);
        let spec = json!({"secretStoreRef": {"name": "store"}, "refreshInterval": "1h", "data": data});
        self.create::<ExternalSecret>(json!({"metadata": {"name": name}, "spec": spec})).await;
        let began = Instant::now();
        loop {
            let object = self.api::<ExternalSecret>().get(name).await.unwrap();
            let conditions = object.status.map(|status| status.conditions).unwrap_or_default();
            let found = conditions.iter().find(|condition| condition.r#type == "Ready");
            if found.is_some_and(|found| found.status == synced.into()) {
                return;
            }
            assert!(began.elapsed() < SOON, "{name} is not Ready={synced}: {conditions:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// That the Secrets hold what is looked for elsewhere.
    pub(crate) async fn holds_the_canary(&self, name: &str) {
        let secret = self.api::<Secret>().get(name).await.unwrap();
        let value = &secret.data.unwrap()["k"];
        assert!(String::from_utf8_lossy(&value.0).contains(CANARY));
    }
}

/// A spec that does not open.
pub(crate) fn bad() -> Value {
    json!({"encryptedData": {"k": "bm90IHNlYWxlZA=="}})
}

impl Program {
    async fn ready(&self) -> Option<u16> {
        let answer = reqwest::get(format!("http://{}/readyz", self.address)).await.ok()?;
        Some(answer.status().as_u16())
    }

    /// What the program printed so far.
    pub(crate) fn log(&self) -> String {
        self.leash.log()
    }

    /// Ends the program in order, and gives its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.leash.end().code()
    }

    /// A scrape: its content type and its text.
    pub(crate) async fn scrape(&self, accept: Option<&str>) -> (String, String) {
        let mut request = reqwest::Client::new().get(format!("http://{}/metrics", self.metrics));
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.text().await.unwrap())
    }

    /// Waits until a line of a scrape begins like this, and gives the scrape.
    pub(crate) async fn until_line(&self, line: &str) -> String {
        let began = Instant::now();
        loop {
            let (_, text) = self.scrape(None).await;
            if text.lines().any(|found| found.starts_with(line)) {
                return text;
            }
            assert!(began.elapsed() < SOON, "no {line} in\n{text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
