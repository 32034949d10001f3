//! A namespace with sealing keys, a controller and its HTTP server in this process, and a front for kubeseal.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Output;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bulla::controllers::{Controller, ControllerConfig, KeyConfig, Namespaces};
use bulla::seal::{Binding, Certificate, Identity, Place, Recipient, Scope, seal};
use bulla::secret::Plaintext;
use bulla::server::{self, Answers, Listeners, ServerConfig};
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::{self, Reply};
use crate::front::Front;
use crate::support::apiserver::ApiServer;
use crate::support::tools;

/// Longer than any wait that is right, shorter than a patience.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// The name of the controller's Service.
pub(crate) const SERVICE: &str = "sealed-secrets-controller";
/// What every value holds that a test seals: it may come out nowhere.
pub(crate) const CANARY: &str = "canary-7f3a9e";

/// A key pair of upstream's kind.
pub(crate) struct Rsa {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// One of a few key pairs; a higher index is newer.
pub(crate) fn rsa(index: usize) -> &'static Rsa {
    static KEYS: [OnceLock<Rsa>; 3] = [const { OnceLock::new() }; 3];
    KEYS[index].get_or_init(|| {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(2023 + i32::try_from(index).unwrap(), 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2096, 1, 1);
        Rsa { certificate: parameters.self_signed(&pair).unwrap().pem(), key: pair.serialize_pem() }
    })
}

impl Rsa {
    pub(crate) fn recipient(&self) -> Recipient {
        Certificate::from_pem(self.certificate.as_bytes()).unwrap().into()
    }

    pub(crate) fn id(&self) -> String {
        self.recipient().key_id().to_string()
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) port: u16,
    pub(crate) metrics_port: u16,
    front: Front,
    kubeconfig: PathBuf,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    /// With the first so many RSA keys, and no limit on the rate.
    pub(crate) async fn new(certificates: usize) -> Self {
        let mut config = ServerConfig::default();
        config.rate = 0;
        Self::with(certificates, config).await
    }

    pub(crate) async fn with(certificates: usize, mut config: ServerConfig) -> Self {
        // No Service sends anything here.
        config.shutdown_delay = Duration::ZERO;
        crate::support::logs::capture();
        let server = ApiServer::shared();
        server.install_crd(&bulla_crds::sealed_secret_crd()).await;
        let namespace = server.namespace().await;
        let client = server.client();
        for index in 0..certificates {
            add_key(&client, &namespace, index).await;
        }
        let service = json!({
            "metadata": {"name": SERVICE},
            "spec": {"ports": [{"name": "http", "port": 8080}], "selector": {"app": "bulla"}},
        });
        create::<Service>(&client, &namespace, service).await;

        let listen = async || server::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let listeners = Listeners { main: listen().await, metrics: Some(listen().await) };
        let address: SocketAddr = listeners.main.local_addr().unwrap();
        let metrics_port = listeners.metrics.as_ref().unwrap().local_addr().unwrap().port();
        let mut keys = KeyConfig::default();
        // The certificates are what the test says.
        keys.renew_period = None;
        let controller_config = ControllerConfig {
            keys,
            namespaces: Namespaces::These(vec![namespace.clone()]),
            external: None,
            ..ControllerConfig::new(&namespace)
        };
        let mut registry = Registry::default();
        let controller = Controller::new(client.clone(), controller_config, &mut registry);
        let answers = Answers {
            is_ready: controller.readiness(),
            keys: controller.keys(),
            keyring: controller.keyring(),
            registry,
        };
        let stop = CancellationToken::new();
        let (one, other) = (stop.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(async move { controller.run(one).await.unwrap() }),
            tokio::spawn(async move { server::serve(listeners, answers, config, other).await.unwrap() }),
        ];
        let front = Front::start(server, &namespace, SERVICE, address);
        let kubeconfig = front.kubeconfig(server, &namespace);
        let port = address.port();
        let world = Self { client, namespace, port, metrics_port, front, kubeconfig, stop, tasks };
        world.until("ready", || world.get("/readyz").status == 200);
        world
    }

    /// Stops the controller and the server, in order.
    pub(crate) async fn stop(self) {
        let Self { front, stop, tasks, .. } = self;
        drop(front);
        stop.cancel();
        for task in tasks {
            tokio::time::timeout(SOON, task).await.expect("it stops").unwrap();
        }
    }

    pub(crate) fn until(&self, what: &str, wanted: impl Fn() -> bool) {
        let began = Instant::now();
        while !tokio::task::block_in_place(&wanted) {
            assert!(began.elapsed() < SOON, "it does not get {what}");
            tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(20)));
        }
    }

    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        tokio::task::block_in_place(|| client::call(self.port, method, path, headers, body))
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, object: &Value) -> Reply {
        self.call("POST", path, &[], object.to_string().as_bytes())
    }

    /// Runs the real kubeseal as somebody who has only the cluster's address.
    pub(crate) fn kubeseal(&self, arguments: &[&str], stdin: &str) -> Output {
        let kubeconfig = self.kubeconfig.display().to_string();
        let ours =
            ["--kubeconfig", &kubeconfig, "--controller-namespace", &self.namespace, "--controller-name", SERVICE];
        tokio::task::block_in_place(|| tools::kubeseal(&[&ours[..], arguments].concat(), stdin.as_bytes()))
    }

    /// The same where it is to succeed: its output.
    pub(crate) fn kubeseal_says(&self, arguments: &[&str], stdin: &str) -> String {
        String::from_utf8(tools::stdout_of(self.kubeseal(arguments, stdin))).unwrap()
    }

    /// The same where it is to fail: what it complains about.
    pub(crate) fn kubeseal_complains(&self, arguments: &[&str], stdin: &str) -> String {
        let output = self.kubeseal(arguments, stdin);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "it succeeded: {}", String::from_utf8_lossy(&output.stdout));
        said
    }

    /// [`CANARY`] sealed for this place.
    pub(crate) fn sealed(&self, to: &Recipient, scope: Scope, name: &str, key: &str) -> String {
        let binding =
            Binding::new(scope, Place { namespace: &self.namespace, name, key }, "2020-01-01".parse().unwrap());
        seal(std::slice::from_ref(to), &Plaintext::copy_of(CANARY.as_bytes()), &binding).unwrap()
    }

    /// A SealedSecret with these values.
    pub(crate) fn object(&self, name: &str, values: &Value) -> Value {
        json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": {"encryptedData": values},
        })
    }

    /// Waits for the Secret that the controller makes, and gives its data.
    pub(crate) async fn secret(&self, name: &str) -> Vec<(String, String)> {
        let began = Instant::now();
        loop {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
            if let Some(secret) = api.get_opt(name).await.unwrap() {
                let data = secret.data.unwrap_or_default().into_iter();
                return data.map(|(key, value)| (key, String::from_utf8(value.0).unwrap())).collect();
            }
            assert!(began.elapsed() < SOON, "there is no Secret {name}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Applies an object as it stands.
    pub(crate) async fn apply(&self, object: &Value) {
        let api: Api<bulla_crds::SealedSecret> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patch(name, &PatchParams::apply("kubectl").force(), &Patch::Apply(object)).await.unwrap();
    }

    /// Puts a key into the cluster and waits until it is the one to seal to.
    pub(crate) async fn rotate_key(&self, index: usize) {
        add_key(&self.client, &self.namespace, index).await;
        self.until("the new certificate", || self.get("/v1/cert.pem").body == rsa(index).certificate);
    }

    /// The key that kubeseal recovers with: the Secret, as `kubectl get -o json` shows it, in a list.
    pub(crate) async fn key_backup(&self, index: usize) -> String {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut secret = serde_json::to_value(api.get(&key_name(index)).await.unwrap()).unwrap();
        secret["apiVersion"] = json!("v1");
        secret["kind"] = json!("Secret");
        json!({"apiVersion": "v1", "kind": "List", "items": [secret]}).to_string()
    }
}

fn key_name(index: usize) -> String {
    format!("sealed-secrets-key{index}")
}

async fn add_key(client: &Client, namespace: &str, index: usize) {
    let Rsa { certificate, key } = rsa(index);
    let secret = json!({
        "metadata": {
            "name": key_name(index),
            "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"},
        },
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key},
    });
    create::<Secret>(client, namespace, secret).await;
    // Keys are ordered by their Secrets' age, which is told in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

/// Puts a native key into the world's namespace.
pub(crate) async fn add_native(world: &World, name: &str, identity: &Identity, state: &str) {
    // Newer than the one that the controller made for itself, and than the last one: it is told in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let secret = json!({
        "metadata": {"name": name, "labels": {"bulla.dev/sealing-key": state}},
        "stringData": {"identity": *identity.to_text().unwrap(), "recipient": identity.recipient().to_string()},
    });
    create::<Secret>(&world.client, &world.namespace, secret).await;
    let id = identity.key_id().to_string();
    world.until("the new key", || world.get("/v1/keys").body.contains(&id));
}

async fn create<K>(client: &Client, namespace: &str, object: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize,
{
    let object: K = serde_json::from_value(object).unwrap();
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &object).await.unwrap();
}

/// Documents one after the other, as a file in Git has them.
pub(crate) fn documents(objects: &[Value]) -> String {
    let mut text = String::new();
    for object in objects {
        write!(text, "---\n{}", serde_saphyr::to_string(object).unwrap()).unwrap();
    }
    text
}
