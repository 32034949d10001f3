//! The upstream Sealed Secrets controller, run against the test's API server as if in a pod.
//!
//! It takes its settings only from where a pod has them: two environment variables and files at a
//! fixed path. The files are put into a mount namespace of its own, so that nothing of the machine
//! changes and several can run at once.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::apiserver::{ApiServer, free_port};
use super::leash::{End, Leash};
use super::servers;

/// In the new mount namespace: an empty folder over /run (which /var/run leads to) with a pod's files.
const AS_IN_A_POD: &str = r#"
set -eu
files=$1; shift
mount -t tmpfs -o mode=755 tmpfs "$(readlink -f /var/run)"
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
cp "$files"/token "$files"/ca.crt "$files"/namespace /var/run/secrets/kubernetes.io/serviceaccount/
exec "$@"
"#;

/// A running upstream controller; dropping it ends it.
#[derive(Debug)]
pub(crate) struct UpstreamController {
    leash: Leash,
    port: u16,
}

impl UpstreamController {
    /// The name of the service account it runs as, which is how the audit log shows it.
    pub(crate) const SERVICE_ACCOUNT: &'static str = "sealed-secrets-controller";

    /// Installs upstream's CRD, makes the account (cluster-admin) in `namespace`, starts the controller
    /// there and waits until it serves its certificate. `flags` go to it as they are, for example
    /// `--kubeclient-qps=-1` (its own limit of 5 requests a second off) or `--key-renew-period=0`.
    pub(crate) async fn start(api: &ApiServer, namespace: &str, flags: &[&str]) -> Self {
        let crd = fs::read(servers::path("sealed-secrets-crd")).expect("reading upstream's CRD");
        api.install_crd_yaml(&crd).await;
        let token = api.service_account(namespace, Self::SERVICE_ACCOUNT).await;
        api.bind(namespace, Self::SERVICE_ACCOUNT, "cluster-admin").await;
        let files = api.folder().join(format!("upstream-{namespace}"));
        fs::create_dir_all(&files).expect("a folder for a pod's files");
        fs::write(files.join("token"), token).expect("writing a pod's token");
        fs::write(files.join("namespace"), namespace).expect("writing a pod's namespace");
        fs::copy(api.ca_file(), files.join("ca.crt")).expect("writing a pod's CA");
        let port = free_port();
        let mut command = Command::new("unshare");
        command
            .args(unshare_flags())
            .args(["--", "sh", "-c", AS_IN_A_POD, "sh"])
            .arg(&files)
            .arg(servers::path("sealed-secrets-controller"))
            .arg(format!("--listen-addr=127.0.0.1:{port}"))
            .arg(format!("--listen-metrics-addr=127.0.0.1:{}", free_port()))
            .args(flags)
            .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .env("KUBERNETES_SERVICE_PORT", api.port().to_string())
            .env("POD_NAMESPACE", namespace);
        let leash = Leash::spawn(Self::SERVICE_ACCOUNT, &command, &files.join("log"), End::default());
        let mut this = Self { leash, port };
        this.wait_ready().await;
        this
    }

    /// The newest certificate in PEM, as `kubeseal --fetch-cert` would get it.
    pub(crate) fn certificate(&self) -> String {
        get(self.port, "/v1/cert.pem").expect("asking upstream's controller for its certificate")
    }

    /// The same in a file, for `kubeseal --cert`.
    pub(crate) fn write_certificate(&self, path: &Path) {
        fs::write(path, self.certificate()).expect("writing a certificate");
    }

    /// The port on 127.0.0.1 of its HTTP API (`/healthz`, `/v1/cert.pem`, `/v1/verify`, `/v1/rotate`).
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.leash.log()
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn stop(mut self) {
        self.leash.end();
    }

    /// A 4096-bit RSA key takes up to some seconds to make.
    async fn wait_ready(&mut self) {
        let began = Instant::now();
        while !get(self.port, "/v1/cert.pem").is_some_and(|text| text.contains("BEGIN CERTIFICATE")) {
            let ended = self.leash.ended();
            assert!(
                ended.is_none() && began.elapsed() < Duration::from_secs(60),
                "upstream's controller is not ready ({ended:?}); {}",
                self.leash.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A mount namespace needs root, or a user namespace in which one is root.
fn unshare_flags() -> &'static [&'static str] {
    for flags in [&["--mount"] as &[&str], &["--mount", "--map-root-user"]] {
        let tried = Command::new("unshare")
            .args(flags)
            .args(["--", "sh", "-c", "mount -t tmpfs tmpfs /run"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if tried.is_ok_and(|status| status.success()) {
            return flags;
        }
    }
    panic!("upstream's controller needs a mount namespace: run as root, or allow user namespaces (util-linux unshare)");
}

/// The body of a plain HTTP GET on 127.0.0.1 that is answered with 200.
fn get(port: u16, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    thread::spawn(move || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200").then(|| body.to_owned())
    })
    .join()
    .expect("asking over HTTP")
}
