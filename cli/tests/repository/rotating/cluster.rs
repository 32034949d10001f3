//! The run with a cluster: the real API server and the real controller.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bulla::controllers::{Controller, ControllerConfig, Namespaces};
use bulla::server::{self, Answers, Listeners, ServerConfig};
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Resource};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::team::{CANARY, Team};
use crate::front::Front;
use crate::harness::Run;
use crate::world::{Running, World, json_of};

const SOON: Duration = Duration::from_secs(30);

/// A team, a cluster with a controller, and what is in Git on main deployed there.
struct Shop {
    world: World,
    team: Team,
    /// The id of the first key.
    old: String,
}

impl Shop {
    /// With this many objects of two values each, sealed to the cluster's key and to the recovery key, and live.
    async fn open(files: usize) -> (Self, Running) {
        let world = World::new().await;
        let controller = world.controller();
        (Self::set_up(world, files, &["recovery"]).await, controller)
    }

    /// The same, sealed to these keys beside the cluster's.
    async fn set_up(world: World, files: usize, beside: &[&str]) -> Self {
        let team = tokio::task::block_in_place(|| Team::empty_with("hybrid"));
        let mut shop = Self { world, team, old: String::new() };
        shop.until("a first key", async |shop| shop.world.keys(&["show"]).code == 0).await;
        let keys = shop.keys();
        shop.old = keys[0]["id"].as_str().unwrap().to_owned();
        shop.team.bench.write("cluster.pub", keys[0]["recipient"].as_str().unwrap());
        tokio::task::block_in_place(|| {
            let head =
                format!("version: 1\nrules:\n- path: '**'\n  namespace: {}\n  recipients:\n", shop.world.namespace);
            let mut rules = head + &format!("  - {}   # the cluster\n", shop.team.public("cluster"));
            beside.iter().for_each(|name| rules.push_str(&format!("  - {}   # {name}\n", shop.team.public(name))));
            shop.team.write(".bulla.yaml", &rules);
            for number in 0..files {
                shop.team.seal_in(&shop.world.namespace, &format!("app-{number}.yaml"), &format!("app-{number}"));
            }
            shop.team.commit("Seal");
        });
        shop.deploy().await;
        shop.all_open_with(files, &shop.old.clone()).await;
        shop
    }

    /// Waits until something holds.
    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self).await {
            assert!(began.elapsed() < SOON, "waited for {what} in vain");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn keys(&self) -> Value {
        json_of(&self.world.keys(&["show", "--output", "json"]).exits(0))
    }

    /// Applies what is checked out.
    async fn deploy(&self) {
        for entry in std::fs::read_dir(self.team.path("")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if name.starts_with("app-") {
                let object: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
                self.world.apply("SealedSecret", &name, json!({}), object["spec"].clone()).await;
            }
        }
    }

    async fn sealed(&self, name: &str) -> SealedSecret {
        self.world.objects().get(name).await.unwrap()
    }

    /// Waits until the controller has opened every object with a key.
    async fn all_open_with(&self, files: usize, id: &str) {
        for number in 0..files {
            let name = format!("app-{number}");
            self.until(&format!("{name} open with {id}"), async |shop| {
                let object = json!(shop.sealed(&name).await);
                let is_current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
                is_current && object["status"]["keyIds"] == json!([id])
            })
            .await;
            let secret: Secret = self.world.objects().get(&name).await.unwrap();
            assert_eq!(secret.data.unwrap()["password"].0, CANARY.as_bytes());
        }
    }

    /// Runs `bulla rotate` over the repository and the cluster.
    fn rotate(&self, arguments: &[&str]) -> Run {
        let ours = ["--kubeconfig", &self.world.kubeconfig, "--controller-namespace", &self.world.namespace];
        tokio::task::block_in_place(|| self.team.rotate(&[arguments, &ours].concat()))
    }

    /// The private half of a key, as a file in the bench.
    async fn private_half(&self, id: &str, file: &str) {
        let secret = self.secret_of(id).await;
        let identity = secret.data.unwrap().remove("identity").unwrap().0;
        self.team.bench.write(file, std::str::from_utf8(&identity).unwrap());
    }

    async fn secret_of(&self, id: &str) -> Secret {
        let all: Api<Secret> = self.world.objects();
        let all = all.list(&ListParams::default().labels("bulla.dev/sealing-key")).await.unwrap();
        let names = |secret: &Secret| {
            secret
                .metadata
                .annotations
                .as_ref()
                .is_some_and(|all| all.get("bulla.dev/key-id").is_some_and(|ids| ids.contains(id)))
        };
        all.items.into_iter().find(names).unwrap_or_else(|| panic!("no Secret of key {id}"))
    }

    async fn label_of(&self, id: &str) -> String {
        self.secret_of(id).await.metadata.labels.unwrap()["bulla.dev/sealing-key"].clone()
    }

    async fn label(&self, id: &str, state: &str) {
        let name = self.secret_of(id).await.metadata.name.unwrap();
        let patch = Patch::Merge(json!({"metadata": {"labels": {"bulla.dev/sealing-key": state}}}));
        let secrets: Api<Secret> = self.world.objects();
        secrets.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The version of every object that a run could touch.
    async fn versions(&self) -> BTreeMap<String, String> {
        async fn of<K>(api: Api<K>, kind: &str, all: &mut BTreeMap<String, String>)
        where
            K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
        {
            for object in api.list(&ListParams::default()).await.unwrap() {
                let meta = object.meta();
                all.insert(format!("{kind} {}", meta.name.clone().unwrap()), meta.resource_version.clone().unwrap());
            }
        }
        let mut all = BTreeMap::new();
        of::<Secret>(self.world.objects(), "Secret", &mut all).await;
        of::<ConfigMap>(self.world.objects(), "ConfigMap", &mut all).await;
        of::<SealedSecret>(self.world.objects(), "SealedSecret", &mut all).await;
        all
    }

    fn merge(&self) {
        tokio::task::block_in_place(|| {
            self.team.git(&["checkout", "--quiet", "main"]);
            self.team.git(&["merge", "--quiet", "-"]);
        });
    }
}

fn report(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}{}", run.out, run.err))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_goes_from_the_new_key_to_the_retired_one_and_a_revert_back() {
    let (shop, controller) = Shop::open(2).await;
    shop.private_half(&shop.old, "cluster.key").await;

    // Counters of the controller settle first.
    let mut before = shop.versions().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    while shop.versions().await != before {
        before = shop.versions().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let files = shop.team.snapshot();
    let planned = shop.rotate(&["--dry-run", "--identity", "cluster.key"]).exits(0);
    assert!(planned.out.contains("4 values in 2 files; recipients in .bulla.yaml"), "{}", planned.out);
    assert_eq!(shop.versions().await, before);
    assert!(shop.team.snapshot() == files, "a dry run changed a file");

    let answer = report(&shop.rotate(&["--yes", "--identity", "cluster.key", "--output", "json"]).exits(0));
    assert_eq!(answer["standing"], "waiting", "{answer}");
    assert_eq!(answer["resealed"], json!({"values": 4, "files": 2, "failed": 0}));
    let new = answer["newKeys"][0]["id"].as_str().unwrap().to_owned();
    assert_ne!(new, shop.old);
    assert_eq!(shop.label_of(&shop.old).await, "opening");
    let rules = shop.team.read(".bulla.yaml");
    let recipient = answer["newKeys"][0]["recipient"].as_str().unwrap();
    assert!(rules.contains(&format!("- {recipient}   # the cluster\n")) && rules.contains("# recovery\n"), "{rules}");

    // Merged, and not live yet.
    shop.merge();
    let run = shop.rotate(&["--continue", "--yes"]).exits(0);
    assert!(run.out.contains("✓ merge") && run.out.contains("▶ retire"), "{}", run.out);
    assert!(run.out.contains("4 live values in 2 objects of the cluster"), "{}", run.out);
    assert_eq!(shop.label_of(&shop.old).await, "opening");

    // A revert now: the old key opens, and so do its values.
    shop.deploy().await;
    shop.all_open_with(2, &new).await;
    tokio::task::block_in_place(|| shop.team.git(&["revert", "--no-edit", "HEAD"]));
    shop.deploy().await;
    shop.all_open_with(2, &shop.old).await;
    let run = shop.rotate(&["--continue", "--yes"]).exits(0);
    assert!(run.out.contains("▶ retire") && run.out.contains("4 values in Git on main"), "{}", run.out);
    tokio::task::block_in_place(|| shop.team.git(&["reset", "--quiet", "--hard", "HEAD~1"]));
    shop.deploy().await;
    shop.all_open_with(2, &new).await;

    let answer = report(&shop.rotate(&["--continue", "--yes", "--output", "json"]).exits(0));
    assert_eq!((&answer["standing"], &answer["retired"]), (&json!("done"), &json!([shop.old])), "{answer}");
    shop.until("the label", async |shop| shop.label_of(&shop.old).await == "retired").await;
    assert!(!shop.team.state().exists());

    // A revert after it: said beforehand, and true.
    shop.until("the list", async |shop| !shop.keys().to_string().contains(&shop.old)).await;
    shop.team.bench.write("keys.json", &shop.keys().to_string());
    let verify = || tokio::task::block_in_place(|| shop.team.bench.run(&["verify", "repo", "--keyring", "keys.json"]));
    verify().exits(0);
    tokio::task::block_in_place(|| shop.team.git(&["revert", "--no-edit", "HEAD"]));
    let run = verify().exits(1);
    assert!(run.out.contains("app-0.yaml") && run.out.contains(&shop.old), "{}", run.out);
    shop.deploy().await;
    shop.until("a refusal", async |shop| json!(shop.sealed("app-0").await).to_string().contains("RetiredKey")).await;
    // And the way back: the Secret has the private half still.
    shop.label(&shop.old, "opening").await;
    shop.all_open_with(2, &shop.old).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_while_it_waited_for_a_key_gets_that_key_and_no_second_one() {
    let (shop, controller) = Shop::open(1).await;
    shop.private_half(&shop.old, "cluster.key").await;
    controller.stop().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulla"));
    command.args(["rotate", "repo", "--yes", "--identity", "cluster.key", "--kubeconfig", &shop.world.kubeconfig]);
    command.args(["--controller-namespace", &shop.world.namespace]).current_dir(shop.team.bench.path(""));
    command.env_clear().env("HOME", shop.team.bench.path("")).env("PATH", std::env::var_os("PATH").unwrap());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let maps: Api<ConfigMap> = shop.world.objects();
    shop.until("the request", async |_| {
        let map = maps.get("bulla-sealing-keys").await.unwrap();
        map.metadata.annotations.unwrap_or_default().contains_key("bulla.dev/rotate-requested-at")
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let late = shop.rotate(&["--yes", "--timeout", "1s"]).exits(2).says("no controller has made a key within 1 s");
    assert!(late.out.contains("✗ new key"), "{}", late.out);

    let controller = shop.world.controller();
    let run = shop.rotate(&["--yes", "--timeout", "30s"]).exits(0);
    assert!(run.out.contains("✓ commit") && run.out.contains("▶ merge"), "{}", run.out);
    // Once more, to be sure that it does not ask for another.
    shop.rotate(&["--yes"]).exits(0);
    let keys = shop.keys();
    assert_eq!(keys.as_array().unwrap().len(), 2, "{keys}");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_with_fresh_clones_goes_on_with_what_the_cluster_says() {
    let (shop, controller) = Shop::open(1).await;
    shop.private_half(&shop.old, "cluster.key").await;
    // The controller has renewed its key by itself.
    shop.world.keys(&["rotate", "--timeout", "30s"]).exits(0);
    let mut clones = 0;
    let mut run = |more: &[&str]| {
        clones += 1;
        let clone = format!("clone-{clones}");
        let ours = ["--kubeconfig", &shop.world.kubeconfig, "--controller-namespace", &shop.world.namespace];
        let wish = ["--yes", "--no-new-key", "--branch", "bulla/rotate", "--output", "json"];
        tokio::task::block_in_place(|| {
            shop.team.git_in("", &["clone", "--quiet", "repo", &clone]);
            let answer = report(&shop.team.rotate_at(&clone, &[&wish[..], &ours, more].concat()).exits(0));
            if !answer["commit"].is_null() {
                shop.team.git_in(&clone, &["push", "--quiet", "--force", "origin", "bulla/rotate"]);
            }
            answer
        })
    };
    // Nobody has merged what the first one has pushed.
    for _ in 0..2 {
        let answer = run(&["--identity", "cluster.key"]);
        assert_eq!((&answer["standing"], &answer["oldKeys"]), (&json!("waiting"), &json!([shop.old])), "{answer}");
        assert_eq!(answer["hanging"]["base"][1]["name"], "origin/main", "{answer}");
    }
    let keys = shop.keys();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    tokio::task::block_in_place(|| shop.team.git(&["merge", "--quiet", "--squash", "bulla/rotate"]));
    tokio::task::block_in_place(|| shop.team.git(&["commit", "--quiet", "-m", "Rotate (#12)"]));
    // Merged, and not live.
    let answer = run(&[]);
    assert_eq!((&answer["standing"], &answer["retired"]), (&json!("waiting"), &json!([])), "{answer}");
    assert_eq!(answer["hanging"]["live"][&shop.old]["values"], 2, "{answer}");
    shop.deploy().await;
    shop.all_open_with(1, keys[1]["id"].as_str().unwrap()).await;
    let answer = run(&["--keep-old"]);
    assert_eq!((&answer["standing"], &answer["retired"]), (&json!("done"), &json!([])), "{answer}");
    let answer = run(&[]);
    assert_eq!((&answer["standing"], &answer["retired"]), (&json!("done"), &json!([shop.old])), "{answer}");
    assert_eq!(answer["resealed"]["values"], 0);
    let answer = run(&[]);
    assert_eq!((&answer["standing"], &answer["retired"]), (&json!("done"), &json!([])), "{answer}");
    controller.stop().await;
}

/// A controller with its HTTP server, reached as people reach it: through the API server's service proxy.
pub(crate) struct Served {
    _front: Front,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Served {
    pub(crate) async fn start(world: &mut World) -> Self {
        let mut config = ServerConfig::default();
        config.rate = 0;
        Self::with(world, config).await
    }

    pub(crate) async fn with(world: &mut World, mut server_config: ServerConfig) -> Self {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "bulla-controller"},
            "spec": {"ports": [{"name": "http", "port": 8080}], "selector": {"app": "bulla"}},
        });
        let services: Api<Service> = world.objects();
        services.patch("bulla-controller", &PatchParams::apply("test").force(), &Patch::Apply(&service)).await.unwrap();
        let main = server::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = main.local_addr().unwrap();
        let mut config = ControllerConfig::new(&*world.namespace);
        config.namespaces = Namespaces::These(vec![world.namespace.clone()]);
        config.keys.recheck = Duration::from_millis(300);
        let mut registry = Registry::default();
        let controller = Controller::new(world.api.client(), config, &mut registry);
        let answers = Answers {
            is_ready: controller.readiness(),
            keys: controller.keys(),
            keyring: controller.keyring(),
            registry,
        };
        server_config.shutdown_delay = Duration::ZERO;
        let stop = CancellationToken::new();
        let (one, other) = (stop.clone(), stop.clone());
        let listeners = Listeners { main, metrics: None };
        let tasks = vec![
            tokio::spawn(async move { controller.run(one).await.unwrap() }),
            tokio::spawn(async move { server::serve(listeners, answers, server_config, other).await.unwrap() }),
        ];
        let front = Front::start(world.api, &world.namespace, "bulla-controller", address);
        world.kubeconfig = front.kubeconfig(world.api, &world.namespace).display().to_string();
        Self { _front: front, stop, tasks }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_seals_again_and_no_value_leaves_the_cluster() {
    let mut world = World::new().await;
    let served = Served::start(&mut world).await;
    let shop = Shop::set_up(world, 3, &[]).await;
    let answer = report(&shop.rotate(&["--yes", "--output", "json"]).exits(0));
    assert_eq!(answer["resealed"], json!({"values": 6, "files": 3, "failed": 0}), "{answer}");
    let new = answer["newKeys"][0]["id"].as_str().unwrap().to_owned();
    shop.merge();
    shop.deploy().await;
    shop.all_open_with(3, &new).await;
    let answer = report(&shop.rotate(&["--yes", "--output", "json"]).exits(0));
    assert_eq!((&answer["standing"], &answer["retired"]), (&json!("done"), &json!([shop.old])), "{answer}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_controller_cannot_do_is_said_before_a_key_is_made() {
    let (shop, controller) = Shop::open(1).await;
    let run = shop.rotate(&["--yes"]).exits(1).says("such as the recovery key");
    assert!(run.err.contains(&tokio::task::block_in_place(|| shop.team.id_of("recovery"))), "{}", run.err);
    assert_eq!(shop.keys().as_array().unwrap().len(), 1);
    // With that key it goes, also with a kubeconfig that is named from here.
    let mut shop = shop;
    shop.team.bench.write("kube.yaml", &std::fs::read_to_string(&shop.world.kubeconfig).unwrap());
    shop.team.bench.variables.push(("KUBECONFIG", "kube.yaml".to_owned()));
    let arguments = ["--yes", "--identity", "recovery.key", "--controller-namespace", &shop.world.namespace];
    let run = tokio::task::block_in_place(|| shop.team.rotate(&arguments)).exits(0);
    assert!(run.out.contains("✓ seal again  2 values in 1 file\n"), "{}", run.out);
    controller.stop().await;
}
