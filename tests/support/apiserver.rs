//! A real Kubernetes API server over a real etcd, on ports of its own, gone with the test process.
//!
//! RBAC is on, the audit log is complete and nothing is switched off that a client could notice,
//! except that there is no controller manager: nothing collects garbage by owner references and a
//! deleted namespace stays. Tests share one server ([`ApiServer::shared`]) and take a namespace each
//! ([`ApiServer::namespace`]); whoever stops the server starts one of their own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Config};
use serde_json::json;

use super::audit::{self, AuditEntry, AuditMark};
use super::identities::{self, ADMIN};
use super::leash::{End, Leash};
pub(crate) use super::ports::free_port;
use super::servers;

/// Enough for a cold start beside a busy compiler.
const START: Duration = Duration::from_secs(60);

/// A running API server with its etcd and its folder; dropping it ends and removes all three.
#[derive(Debug)]
pub(crate) struct ApiServer {
    /// `None` while it is stopped.
    server: Mutex<Option<Leash>>,
    /// Removes the folder in the end, so it is dropped after the server.
    etcd: Mutex<Leash>,
    folder: PathBuf,
    port: u16,
    etcd_port: u16,
    /// The CA's certificate in DER.
    ca: Vec<u8>,
}

impl ApiServer {
    /// The one server that the tests of this binary share, started by the first who asks.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<ApiServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server of one's own and waits until it is ready (about 3 s).
    pub(crate) fn start() -> Self {
        let mut said = String::new();
        // A free port may be taken before the server binds it: then everything starts afresh.
        for _ in 0..5 {
            match Self::attempt() {
                Ok(server) => return server,
                Err(log) => said = log,
            }
        }
        panic!("the API server did not start in 5 attempts; {said}");
    }

    /// Kills the API server's process; etcd and the data stay. Clients see refused connections.
    pub(crate) fn stop(&self) {
        let leash = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(leash);
    }

    /// Starts the API server again on the same port over the same data, and waits until it is ready.
    pub(crate) fn restart(&self) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        *server = None;
        let mut leash = self.spawn_server();
        self.wait_ready(&mut leash).unwrap_or_else(|log| panic!("the API server did not come back; {log}"));
        *server = Some(leash);
    }

    /// The URL, `https://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The port of its etcd, which speaks JSON below `/v3`.
    pub(crate) fn etcd_port(&self) -> u16 {
        self.etcd_port
    }

    /// The file with the CA's certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The server's own folder, a good place for what belongs to it; removed with it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A kubeconfig file of the administrator.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_as("admin", ADMIN)
    }

    /// A kubeconfig file that authenticates with `token`; `name` tells the files apart.
    pub(crate) fn kubeconfig_as(&self, name: &str, token: &str) -> PathBuf {
        self.kubeconfig_by(&self.url(), name, token)
    }

    /// The same for a client that takes another way, `url`, to this server.
    pub(crate) fn kubeconfig_by(&self, url: &str, name: &str, token: &str) -> PathBuf {
        let path = self.folder.join(format!("{name}.kubeconfig"));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": self.ca_file()}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        });
        identities::write(&path, &config.to_string());
        path
    }

    /// A client of the administrator, `User-Agent: bulla-test`. It belongs to the tokio runtime it
    /// is made in, which ends with its test, so each test makes its own.
    pub(crate) fn client(&self) -> Client {
        self.client_as(ADMIN, "bulla-test")
    }

    /// A client with this token and this `User-Agent` (to find its requests in the audit log).
    pub(crate) fn client_as(&self, token: &str, user_agent: &str) -> Client {
        let mut config = Config::new(self.url().parse().expect("a URL"));
        config.root_cert = Some(vec![self.ca.clone()]);
        config.auth_info.token = Some(token.to_owned().into());
        config.headers.push(("user-agent".parse().expect("a header"), user_agent.parse().expect("a header's value")));
        Client::try_from(config).expect("a Kubernetes client")
    }

    /// The place in the audit log to count from.
    pub(crate) fn audit_mark(&self) -> AuditMark {
        audit::end(&self.audit_log())
    }

    /// Every request since the server's first start.
    pub(crate) fn audit(&self) -> Vec<AuditEntry> {
        audit::read(&self.audit_log(), AuditMark(0))
    }

    /// Every request logged since the mark. The log can be a moment behind the answers.
    pub(crate) fn audit_since(&self, mark: AuditMark) -> Vec<AuditEntry> {
        audit::read(&self.audit_log(), mark)
    }

    /// The requests since the mark that `wanted` picks, once none has been added for `quiet`.
    pub(crate) async fn audit_when_quiet(
        &self,
        mark: AuditMark,
        quiet: Duration,
        wanted: impl Fn(&AuditEntry) -> bool,
    ) -> Vec<AuditEntry> {
        let mut last = 0;
        let mut since = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut entries = self.audit_since(mark);
            entries.retain(|entry| wanted(entry));
            if entries.len() != last {
                last = entries.len();
                since = Instant::now();
            } else if since.elapsed() >= quiet {
                return entries;
            }
        }
    }

    fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// One try; the error is the log of the server that did not start. Its folder goes with it.
    fn attempt() -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("bulla-test-").tempdir().expect("a temporary folder").keep();
        let ca = identities::write_files(&folder);
        let etcd_port = free_port();
        let mut etcd = spawn_etcd(&folder, etcd_port);
        let began = Instant::now();
        // The API server waits for etcd by itself; here it only has to have its port.
        while TcpListener::bind((Ipv4Addr::LOCALHOST, etcd_port)).is_ok() {
            if etcd.ended().is_some() || began.elapsed() > START {
                return Err(etcd.log_tail());
            }
            thread::sleep(Duration::from_millis(10));
        }
        let this = Self { server: Mutex::new(None), etcd: Mutex::new(etcd), folder, port: free_port(), etcd_port, ca };
        let mut leash = this.spawn_server();
        this.wait_ready(&mut leash)?;
        *this.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(leash);
        Ok(this)
    }

    fn spawn_server(&self) -> Leash {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new(servers::path("kube-apiserver"));
        command.args([
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            format!("--secure-port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--tls-cert-file={}", file("server.pem")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--service-account-key-file={}", file("accounts.pub")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            // As OpenShift has it: who makes an owner wait for an object needs the right to.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
            format!("--token-auth-file={}", file("tokens.csv")),
            format!("--audit-policy-file={}", file("audit-policy.json")),
            format!("--audit-log-path={}", file("audit.log")),
            // Never rotated: the marks are offsets.
            "--audit-log-maxsize=100000".to_owned(),
            // One server that nobody looks up by its endpoints, and that nobody profiles.
            "--endpoint-reconciler-type=none".to_owned(),
            "--profiling=false".to_owned(),
        ]);
        Leash::spawn("kube-apiserver", &command, &self.folder.join("apiserver.log"), End::default())
    }

    fn wait_ready(&self, leash: &mut Leash) -> Result<(), String> {
        let began = Instant::now();
        loop {
            if leash.ended().is_some() || began.elapsed() > START {
                return Err(leash.log_tail());
            }
            let ours = self.etcd.lock().unwrap_or_else(PoisonError::into_inner).ended().is_none();
            if !ours {
                return Err("etcd ended".to_owned());
            }
            // A runtime in a thread of its own: the caller may well be inside of one.
            let ready = thread::scope(|scope| scope.spawn(|| self.is_ready()).join().expect("asking /readyz"));
            if ready {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_ready(&self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let request = Request::new("").get("readyz", &GetParams::default()).expect("a request");
        let answer = async { self.client_as(ADMIN, "bulla-test-start").request_text(request).await };
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(5), answer).await })
            .is_ok_and(|text| text.is_ok())
    }
}

fn spawn_etcd(folder: &Path, port: u16) -> Leash {
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(servers::path("etcd"));
    command.arg("--data-dir").arg(folder.join("etcd")).args([
        "--listen-client-urls",
        &url,
        "--advertise-client-urls",
        &url,
        // A single member talks to no peer.
        "--listen-peer-urls",
        "http://127.0.0.1:0",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]);
    let end = End { remove: Some(folder), ..End::default() };
    Leash::spawn("etcd", &command, &folder.join("etcd.log"), end)
}
