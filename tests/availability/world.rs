//! A cluster with a sealing key, and replicas of the program that serve all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use bulla::seal::{Binding, Identity, Place, Scope, seal};
use bulla::secret::Plaintext;
use bulla_crds::SealedSecret;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::apiserver::{ApiServer, free_port};
use crate::support::audit::{AuditEntry, AuditMark};
use crate::support::leash::{End, Leash};
use crate::support::rights::Reach;

/// Longer than any wait that is right beside a busy compiler.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    pub(crate) client: Client,
    /// The namespace of the controller: its keys and its Leases.
    pub(crate) namespace: String,
    identity: Identity,
}

impl Cluster {
    /// A server of its own with a key and without a controller.
    pub(crate) async fn new() -> Self {
        let server = ApiServer::start();
        server.install_crd(&bulla_crds::sealed_secret_crd()).await;
        let namespace = server.namespace().await;
        let (client, identity) = (server.client(), Identity::generate_x25519().unwrap());
        let this = Self { server, client, namespace, identity };
        let key = json!({
            "metadata": {"name": "key", "labels": {"bulla.dev/sealing-key": "active"}},
            "stringData": {
                "identity": *this.identity.to_text().unwrap(), "recipient": this.identity.recipient().to_string(),
            },
        });
        let keys: Api<Secret> = Api::namespaced(this.client.clone(), &this.namespace);
        keys.create(&PostParams::default(), &serde_json::from_value(key).unwrap()).await.unwrap();
        this
    }

    /// So many fresh namespaces.
    pub(crate) async fn places(&self, count: usize) -> Vec<String> {
        futures::stream::iter(0..count).then(|_| self.server.namespace()).collect().await
    }

    /// Where the server is, for a wire to it.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.server.port()).into()
    }

    /// Starts a replica that the audit log knows as the service account `name`.
    pub(crate) async fn replica(&self, name: &str, flags: &[&str]) -> Replica {
        self.replica_by(&self.server.url(), name, flags).await
    }

    /// The same for one that takes another way to the server.
    pub(crate) async fn replica_by(&self, url: &str, name: &str, flags: &[&str]) -> Replica {
        let token = self.token(name).await;
        let kubeconfig = self.server.kubeconfig_by(url, name, &token);
        let (port, metrics) = (free_port(), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulla-controller"));
        command
            .args(["run", "--controller-namespace", &self.namespace, "--identity", name])
            .args(["--listen", &format!("127.0.0.1:{port}"), "--listen-metrics", &format!("127.0.0.1:{metrics}")])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(flags);
        let log = self.server.folder().join(format!("{name}-{port}.log"));
        let leash = Leash::spawn(name, &command, &log, End::default());
        Replica { name: name.to_owned(), user: self.user(name), leash, port, metrics }
    }

    /// The token of a service account that may do what the controller may.
    pub(crate) async fn token(&self, name: &str) -> String {
        self.server.grant(&self.namespace, name, Reach::Cluster).await
    }

    fn user(&self, name: &str) -> String {
        format!("system:serviceaccount:{}:{name}", self.namespace)
    }

    /// Creates a SealedSecret of one value.
    pub(crate) async fn seal(&self, place: &str, name: &str, value: &str) {
        let object = self.sealed(place, name, value, &self.identity);
        let api: Api<SealedSecret> = Api::namespaced(self.client.clone(), place);
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    /// Creates one that no key here opens.
    pub(crate) async fn seal_for_others(&self, place: &str, name: &str) {
        let object = self.sealed(place, name, "lost", &Identity::generate_x25519().unwrap());
        let api: Api<SealedSecret> = Api::namespaced(self.client.clone(), place);
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    /// Changes the value of a SealedSecret.
    pub(crate) async fn reseal(&self, place: &str, name: &str, value: &str) {
        let object = self.sealed(place, name, value, &self.identity);
        let api: Api<SealedSecret> = Api::namespaced(self.client.clone(), place);
        let patch = Patch::Merge(json!({"spec": object["spec"]}));
        api.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    fn sealed(&self, place: &str, name: &str, value: &str, identity: &Identity) -> Value {
        let binding =
            Binding::new(Scope::Strict, Place { namespace: place, name, key: "value" }, "2026-11-21".parse().unwrap());
        let text = seal(&[identity.recipient().clone()], &Plaintext::copy_of(value.as_bytes()), &binding).unwrap();
        json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": name, "namespace": place}, "spec": {"encryptedData": {"value": text}},
        })
    }

    /// Creates `count` SealedSecrets over these namespaces, many at a time, each of its own value.
    pub(crate) async fn seal_many(&self, places: &[String], prefix: &str, count: usize) {
        let all = (0..count).map(|number| async move {
            let place = &places[number % places.len()];
            self.seal(place, &format!("{prefix}-{number}"), &value_of(prefix, number)).await;
        });
        futures::stream::iter(all).buffer_unordered(24).collect::<Vec<_>>().await;
    }

    /// Waits until the Secrets of [`Self::seal_many`] are there with their values.
    pub(crate) async fn until_many(&self, places: &[String], prefix: &str, count: usize, patience: Duration) {
        let began = Instant::now();
        loop {
            let found = self.values(places).await;
            let right = |number: &usize| {
                let key = (places[number % places.len()].clone(), format!("{prefix}-{number}"));
                found.get(&key) == Some(&value_of(prefix, *number))
            };
            let missing = (0..count).filter(|number| !right(number)).count();
            if missing == 0 {
                return;
            }
            assert!(began.elapsed() < patience, "{missing} of {count} Secrets are missing or wrong");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Values of all Secrets in these namespaces.
    async fn values(&self, places: &[String]) -> BTreeMap<(String, String), String> {
        let lists = futures::stream::iter(places).then(|place| async move {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), place);
            api.list(&ListParams::default()).await.map(|list| (place.clone(), list.items))
        });
        let lists: Vec<_> = lists.try_collect().await.unwrap();
        let secrets =
            lists.into_iter().flat_map(|(place, items)| items.into_iter().map(move |item| (place.clone(), item)));
        secrets
            .filter_map(|(place, secret)| {
                let value = secret.data?.remove("value")?;
                Some(((place, secret.metadata.name?), String::from_utf8(value.0).unwrap()))
            })
            .collect()
    }

    /// Waits until the Secret has this value; gives how long it took.
    pub(crate) async fn until_value(&self, place: &str, name: &str, value: &str) -> Duration {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), place);
        let began = Instant::now();
        loop {
            // The server may just be away.
            let found = api.get_opt(name).await.ok().flatten().and_then(|secret| secret.data?.remove("value"));
            if found.is_some_and(|found| found.0 == value.as_bytes()) {
                return began.elapsed();
            }
            assert!(began.elapsed() < LONG, "the Secret {place}/{name} does not become {value}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Seals something new and waits for its Secret: the controller is at work there.
    pub(crate) async fn works(&self, place: &str, name: &str) -> Duration {
        self.seal(place, name, name).await;
        self.until_value(place, name, name).await
    }

    /// The Lease of a shard.
    pub(crate) async fn lease(&self, shard: u32) -> Option<Lease> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        api.get_opt(&format!("bulla-controller-{shard}")).await.ok().flatten()
    }

    /// Who holds each of the shards; empty where nobody does.
    pub(crate) async fn holders(&self, shards: u32) -> Vec<String> {
        let holder = |lease: Option<Lease>| lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
        futures::stream::iter(0..shards).then(|shard| async move { holder(self.lease(shard).await) }).collect().await
    }

    /// Waits until each of these holds so many of the shards, and gives all holders.
    pub(crate) async fn until_held(&self, shards: u32, by: &[(&Replica, usize)]) -> Vec<String> {
        let began = Instant::now();
        loop {
            let holders = self.holders(shards).await;
            let count = |replica: &Replica| holders.iter().filter(|holder| **holder == replica.name).count();
            if by.iter().all(|(replica, wanted)| count(replica) == *wanted) {
                return holders;
            }
            let logs: Vec<_> = by.iter().map(|(replica, _)| replica.leash.log_tail()).collect();
            assert!(began.elapsed() < LONG, "the shards are held by {holders:?}\n{}", logs.join("\n"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts two replicas; the first of them leads.
    pub(crate) async fn pair(&self, flags: &[&str]) -> (Replica, Replica) {
        let leader = self.replica("a", flags).await;
        self.until_held(1, &[(&leader, 1)]).await;
        let standby = self.replica("b", flags).await;
        standby.until_ready().await;
        (leader, standby)
    }

    /// What these did to Secrets in these namespaces since `mark`, in order.
    pub(crate) async fn writes(&self, mark: AuditMark, places: &[String], by: &[&Replica]) -> Vec<AuditEntry> {
        let wanted = |entry: &AuditEntry| {
            entry.is_write()
                && entry.resource == "secrets"
                && places.contains(&entry.namespace)
                && by.iter().any(|replica| replica.user == entry.user)
        };
        let mut entries = self.server.audit_when_quiet(mark, Duration::from_secs(1), wanted).await;
        entries.sort_by(|a, b| a.at.cmp(&b.at));
        entries
    }
}

/// The value of object number `number`.
pub(crate) fn value_of(prefix: &str, number: usize) -> String {
    format!("{prefix}:{number}")
}

/// Asserts that of all these writes each Secret was created once and never changed. What a client had asked for that was
/// killed before it had the answer may be done and logged with any code.
pub(crate) fn assert_written_once(writes: &[AuditEntry], count: usize) {
    let done: Vec<_> = writes.iter().filter(|entry| (200..300).contains(&entry.code)).collect();
    let changes: Vec<_> = done.iter().filter(|entry| entry.verb != "create").collect();
    assert!(changes.is_empty(), "a Secret was changed after it was made: {changes:#?}");
    let mut created = BTreeMap::<_, usize>::new();
    done.iter().for_each(|entry| *created.entry((&entry.namespace, &entry.name)).or_default() += 1);
    let twice: Vec<_> = created.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "created twice: {twice:?}");
    let unanswered = |entry: &&AuditEntry| entry.verb == "create" && (entry.code == 0 || entry.code >= 499);
    let unanswered: BTreeSet<_> = writes.iter().filter(unanswered).map(|e| (&e.namespace, &e.name)).collect();
    let known = created.keys().copied().chain(unanswered.iter().copied()).collect::<BTreeSet<_>>();
    assert_eq!(known.len(), count, "each Secret was created by one of the replicas: {} unanswered", unanswered.len());
    assert!(count - created.len() <= unanswered.len());
}

/// The program, running.
pub(crate) struct Replica {
    /// Its name in Leases.
    pub(crate) name: String,
    /// Its name in the audit log.
    pub(crate) user: String,
    pub(crate) leash: Leash,
    port: u16,
    metrics: u16,
}

impl Replica {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.leash.server().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap()));
        kill_process(pid.expect("the replica runs"), signal).unwrap();
    }

    /// Waits until it has ended; gives its exit code.
    pub(crate) async fn until_ended(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.leash.ended() {
                return status.code();
            }
            assert!(began.elapsed() < LONG, "{} does not end; {}", self.name, self.leash.log_tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn until_ready(&self) {
        let began = Instant::now();
        while !get(self.port, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(began.elapsed() < LONG, "{} is not ready; {}", self.name, self.leash.log_tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A gauge by its name with its labels; `None` where nothing is answered.
    pub(crate) fn gauge(&self, name: &str) -> Option<i64> {
        let answer = get(self.metrics, "/metrics")?;
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    /// Waits until a gauge has this value; gives the moment.
    pub(crate) async fn until_gauge(&self, name: &str, value: i64) -> Instant {
        let began = Instant::now();
        while self.gauge(name) != Some(value) {
            assert!(began.elapsed() < LONG, "{}: {name} is not {value}; {}", self.name, self.leash.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Instant::now()
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
