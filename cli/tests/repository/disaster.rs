//! The bad day: the cluster and its etcd are gone. A repository and a recovery key bring every Secret back, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bulla::controllers::{self, ControllerConfig};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::custody::is_silent;
use crate::harness::{Bench, Run};
use crate::support::apiserver::ApiServer;
use crate::support::identities::ADMIN;
use crate::support::tools;

/// Where the controller runs.
const OWN: &str = "bulla-system";
/// Where the applications are.
const PLACES: [&str; 2] = ["shop", "billing"];
/// Enough for everything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster of its own: an etcd, an API server, and the controller in this process.
struct Cluster {
    api: ApiServer,
    kubeconfig: String,
    controller: Option<(CancellationToken, JoinHandle<Result<(), controllers::Error>>)>,
}

/// A Secret without what only one cluster means.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    kind: Option<String>,
    labels: BTreeMap<String, String>,
    data: BTreeMap<String, Vec<u8>>,
}

type Secrets = BTreeMap<(String, String), Plain>;

impl Cluster {
    async fn new() -> Self {
        let api = tokio::task::block_in_place(ApiServer::start);
        for crd in bulla_crds::all() {
            api.install_crd(&crd).await;
        }
        let kubeconfig = api.kubeconfig_as("admin", ADMIN).display().to_string();
        Self { api, kubeconfig, controller: None }
    }

    fn start(&mut self) {
        let stop = CancellationToken::new();
        let mut config = ControllerConfig::new(OWN);
        // As many keys as asked for, at once.
        config.keys.recheck = Duration::from_millis(200);
        config.keys.pause = Duration::from_millis(1);
        config.keys.certificates = Some(true);
        config.keys.rsa_bits = bulla::seal::RsaBits::new(2048).unwrap();
        let task = tokio::spawn(controllers::run(self.api.client(), config, stop.clone()));
        self.controller = Some((stop, task));
    }

    async fn stop(&mut self) {
        if let Some((stop, task)) = self.controller.take() {
            stop.cancel();
            task.await.unwrap().unwrap();
        }
    }

    /// `bulla keys`, with this cluster; no private key may show.
    fn keys(&self, bench: &Bench, arguments: &[&str]) -> Run {
        let arguments = [&["keys"], arguments, &["--kubeconfig", &self.kubeconfig]].concat();
        is_silent(tokio::task::block_in_place(|| bench.run(&arguments)))
    }

    /// The published keys, once there are this many.
    async fn published(&self, bench: &Bench, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let run = self.keys(bench, &["show", "--output", "json"]);
            let keys: Vec<Value> = serde_json::from_str(&run.out).unwrap_or_default();
            if keys.len() >= count {
                return keys;
            }
            assert!(began.elapsed() < PATIENCE, "{}{}", run.out, run.err);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Applies every manifest of a folder, as `kubectl apply -R -f` does.
    async fn apply(&self, folder: &Path) {
        let mut files: Vec<PathBuf> = Vec::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.extension() {
                    _ if path.ends_with(".git") => {}
                    _ if path.is_dir() => folders.push(path),
                    Some(extension) if extension == "yaml" => files.push(path),
                    _ => {}
                }
            }
        }
        // Namespaces first.
        files.sort_by_key(|file| (!file.ends_with("namespaces.yaml"), file.clone()));
        for file in files {
            let objects: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(&file).unwrap()).unwrap();
            for object in objects {
                self.apply_one(&object).await;
            }
        }
    }

    async fn apply_one(&self, object: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.api.client(), namespace, &resource),
            None => Api::all_with(self.api.client(), &resource),
        };
        let parameters = PatchParams::apply("gitops").force();
        api.patch(&text(&object["metadata"]["name"]), &parameters, &Patch::Apply(object)).await.unwrap();
    }

    /// The Secrets in these namespaces.
    async fn secrets(&self, namespaces: &[&str]) -> Secrets {
        let mut found = Secrets::new();
        for namespace in namespaces {
            let api: Api<Secret> = Api::namespaced(self.api.client(), namespace);
            for secret in api.list(&ListParams::default()).await.unwrap().items {
                let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
                let labels = secret.metadata.labels.unwrap_or_default();
                let name = ((*namespace).to_owned(), secret.metadata.name.unwrap());
                found.insert(name, Plain { kind: secret.type_, labels, data });
            }
        }
        found
    }

    /// The same, once there are this many.
    async fn opened(&self, count: usize) -> Secrets {
        let began = Instant::now();
        loop {
            let secrets = self.secrets(&PLACES).await;
            if secrets.len() >= count {
                return secrets;
            }
            assert!(began.elapsed() < PATIENCE, "{} of {count}: {:?}", secrets.len(), secrets.keys());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn secret(namespace: &str, name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  labels: {{app: {name}}}\nstringData:\n  user: {name}\n  password: \"canary {value} \\u00fc\\n\"\n"
    )
}

/// A repository on its way: sealed files, written and committed.
struct Repository {
    bench: Bench,
    files: usize,
}

impl Repository {
    fn git(&self, arguments: &[&str]) {
        let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"];
        let output = Command::new("git")
            .args(identity)
            .args(arguments)
            .current_dir(self.bench.path("repository"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&mut self, namespace: &str, name: &str) -> String {
        self.files += 1;
        format!("repository/{namespace}/{name}.yaml")
    }

    /// Seals in every scope to one recipient with `bulla seal`.
    fn seal(&mut self, generation: &str, to: &str) {
        for namespace in PLACES {
            for scope in ["strict", "namespace-wide", "cluster-wide"] {
                let name = format!("{generation}-{scope}");
                let out = self.path(namespace, &name);
                self.bench.write(&out, "");
                fs::remove_file(self.bench.path(&out)).unwrap();
                let arguments = ["seal", "--to", to, "--scope", scope, "-o", &out];
                self.bench.pipe(&arguments, &secret(namespace, &name, &out)).exits(0);
            }
        }
    }

    /// The same with the real kubeseal.
    fn kubeseal(&mut self, generation: &str, certificate: &str) {
        let certificate = self.bench.path(certificate).display().to_string();
        for namespace in PLACES {
            for scope in ["strict", "namespace-wide", "cluster-wide"] {
                let name = format!("{generation}-{scope}");
                let out = self.path(namespace, &name);
                let arguments = ["--cert", &certificate, "--scope", scope, "--format", "yaml"];
                let manifest = secret(namespace, &name, &out);
                let sealed = tools::stdout_of(tools::kubeseal(&arguments, manifest.as_bytes()));
                self.bench.write(&out, std::str::from_utf8(&sealed).unwrap());
            }
        }
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }
}

/// The newest active key of a kind that is published, as what `--to` takes.
fn newest(bench: &Bench, keys: &[Value], is_rsa: bool) -> String {
    let field = if is_rsa { "certificate" } else { "recipient" };
    let key = keys.iter().rev().find(|key| key["state"] == "active" && key[field].is_string()).unwrap();
    let public = key[field].as_str().unwrap();
    if !is_rsa {
        return public.to_owned();
    }
    let file = format!("{}.pem", key["id"].as_str().unwrap());
    bench.write(&file, public);
    file
}

/// Seals a repository to the keys of a cluster, through a rotation, and gives what the cluster made of it.
async fn a_life(cluster: &mut Cluster, bench: Bench) -> (Repository, Secrets) {
    let mut repository = Repository { bench, files: 0 };
    fs::create_dir(repository.bench.path("repository")).unwrap();
    repository.git(&["init", "-q", "-b", "main"]);
    cluster.api.create_namespace(OWN).await;
    let namespaces: String = PLACES
        .iter()
        .map(|name| format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"))
        .collect();
    repository.bench.write("repository/namespaces.yaml", &namespaces);
    cluster.start();
    // An X25519 key besides the hybrid one and the certificate.
    cluster.keys(&repository.bench, &["import", "small.key"]).exits(0);
    let keys = cluster.published(&repository.bench, 3).await;
    tokio::task::block_in_place(|| {
        let (hybrid, certificate) = (newest(&repository.bench, &keys, false), newest(&repository.bench, &keys, true));
        repository.seal("hybrid-old", &hybrid);
        repository.seal("small", "small.pub");
        repository.kubeseal("rsa-old", &certificate);
        repository.commit("before the rotation");
    });
    cluster.keys(&repository.bench, &["rotate", "--timeout", "60s"]).exits(0);
    let keys = cluster.published(&repository.bench, 5).await;
    tokio::task::block_in_place(|| {
        let (hybrid, certificate) = (newest(&repository.bench, &keys, false), newest(&repository.bench, &keys, true));
        repository.seal("hybrid-new", &hybrid);
        repository.kubeseal("rsa-new", &certificate);
        repository.commit("after the rotation");
    });
    cluster.apply(&repository.bench.path("repository")).await;
    let secrets = cluster.opened(repository.files).await;
    assert_eq!(secrets.len(), 30);
    (repository, secrets)
}

/// How the keys come back.
#[derive(Debug)]
enum Way {
    /// `bulla keys restore` with the recovery key.
    Recovery,
    /// age and a Kubernetes client, nothing of ours.
    PlainAge,
    /// Two of three custodians; the share of the third is lost.
    Custodians,
}

impl Way {
    async fn keys_back(&self, cluster: &Cluster, bench: &Bench) {
        match self {
            Self::Recovery => {
                let restore = ["restore", "keys.age", "--identity", "recovery.key"];
                let run = cluster.keys(bench, &restore).exits(0);
                assert!(run.out.contains("install the controller"), "{}", run.out);
            }
            Self::Custodians => {
                assert!(!bench.path("shared.age.share-2").exists());
                let restore =
                    ["restore", "shared.age", "--share", "shared.age.share-1", "--share", "shared.age.share-3"];
                cluster.keys(bench, &[&restore[..], &["--identity", "ann.key"]].concat()).exits(1);
                let both = ["--identity", "ann.key", "--identity", "eva.key"];
                cluster.keys(bench, &[&restore[..], &both].concat()).exits(0);
            }
            Self::PlainAge => {
                let (key, file) = (bench.path("recovery.key"), bench.path("keys.age"));
                let arguments = ["-d", "-i", &key.display().to_string(), &file.display().to_string()];
                let text = String::from_utf8(tools::stdout_of(tools::age(&arguments, b""))).unwrap();
                let list: Value = serde_saphyr::from_str(&text).unwrap();
                cluster.api.create_namespace(OWN).await;
                let secrets: Api<Secret> = Api::namespaced(cluster.api.client(), OWN);
                for item in list["items"].as_array().unwrap() {
                    let secret: Secret = serde_json::from_value(item.clone()).unwrap();
                    secrets.create(&PostParams::default(), &secret).await.unwrap();
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_cluster_is_gone_repository_and_recovery_key_bring_every_secret_back() {
    let bench = Bench::with_keys();
    for name in ["recovery", "ann", "ben", "eva"] {
        let public = bench.run(&["keys", "generate", "-o", &format!("{name}.key")]).exits(0).out;
        bench.write(&format!("{name}.pub"), &public);
    }
    let mut first = Cluster::new().await;
    let (repository, expected) = a_life(&mut first, bench).await;
    let bench = &repository.bench;
    let backup = ["backup", "--to", "recovery.pub", "-o", "keys.age"];
    let began = Instant::now();
    let run = first.keys(bench, &backup).exits(0);
    let seconds = began.elapsed().as_secs_f64();
    assert!(run.out.contains("5 key(s)"), "{}", run.out);
    let custodians = ["--to", "ann.pub", "--to", "ben.pub", "--to", "eva.pub", "--custodians", "3", "--threshold", "2"];
    first.keys(bench, &[&["backup", "-o", "shared.age"], &custodians[..]].concat()).exits(0);
    fs::remove_file(bench.path("shared.age.share-2")).unwrap();
    let check = ["backup", "--check", "keys.age", "--identity", "recovery.key", "--cluster"];
    first.keys(bench, &check).exits(0);
    let keys = first.secrets(&[OWN]).await;
    let published: Vec<Value> = first.published(bench, 5).await;
    // Gone: the processes, and the folder with etcd's data.
    let folder = first.api.folder().to_path_buf();
    first.stop().await;
    tokio::task::block_in_place(|| drop(first));
    assert!(!folder.exists(), "{} is still there", folder.display());
    let mut report = format!("30 Secrets of 5 keys; backup {seconds:.2} s");

    for way in [Way::Recovery, Way::PlainAge, Way::Custodians] {
        let mut cluster = Cluster::new().await;
        let began = Instant::now();
        way.keys_back(&cluster, bench).await;
        let mark = cluster.api.audit_mark();
        cluster.start();
        let clone = format!("clone-{way:?}");
        tokio::task::block_in_place(|| repository.git(&["clone", "-q", ".", &format!("../{clone}")]));
        cluster.apply(&bench.path(&clone)).await;
        let secrets = cluster.opened(expected.len()).await;
        report.push_str(&format!("; {way:?} {:.2} s", began.elapsed().as_secs_f64()));
        assert_eq!(secrets, expected, "{way:?}");
        // The same keys, in the same order and states, and none that was made here.
        assert_eq!(cluster.secrets(&[OWN]).await, keys, "{way:?}");
        assert_eq!(cluster.published(bench, 5).await, published, "{way:?}");
        let asked = cluster.api.audit_since(mark);
        assert!(asked.iter().any(|entry| entry.is("create", "secrets") && entry.namespace == PLACES[0]));
        let made = asked.iter().filter(|entry| entry.is("create", "secrets") && entry.namespace == OWN);
        assert_eq!(made.count(), 0, "{way:?}");
        cluster.stop().await;
        tokio::task::block_in_place(|| drop(cluster));
    }
    // For who runs it with --nocapture.
    println!("{report}");
}
