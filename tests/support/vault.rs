//! A real Vault on a port of its own, gone with the test process.
//!
//! Its storage is a folder, so that a [`Vault::restart`] finds everything again. It always listens for plain HTTP, by
//! which the test sets it up; [`Vault::start_tls`] adds HTTPS beside that. An audit device writes every request into a
//! file, without the values: that is where tests count what a client did.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};

use super::leash::{End, Leash};
use super::ports::free_port;
use super::{identities, servers};

/// Enough for a cold start beside a busy compiler.
const START: Duration = Duration::from_secs(60);

/// A running Vault with its folder; dropping it ends and removes both.
#[derive(Debug)]
pub(crate) struct Vault {
    /// `None` while it is stopped.
    leash: Mutex<Option<Leash>>,
    folder: PathBuf,
    /// Removes the folder in the end, so it is dropped after the server.
    _keeper: Leash,
    port: u16,
    /// And whether clients have to show a certificate there.
    tls_port: Option<(u16, bool)>,
    root_token: String,
    unseal_key: String,
}

#[derive(Clone, Copy)]
enum Tls {
    Without,
    With { must_show: bool },
}

/// PEM of a certificate and its private key.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The certificate.
    pub(crate) certificate: String,
    /// The private key.
    pub(crate) key: String,
}

impl Vault {
    /// Starts a server that speaks HTTP and waits until it is unsealed (about 2 s).
    pub(crate) fn start() -> Self {
        Self::start_with(Tls::Without)
    }

    /// The same with HTTPS beside it ([`Vault::tls_address`]), by a certificate of [`Vault::ca`]. Clients may show a
    /// certificate of that CA ([`Vault::client_pair`]).
    pub(crate) fn start_tls() -> Self {
        Self::start_with(Tls::With { must_show: false })
    }

    /// The same, and by HTTPS only clients are served that show a certificate.
    pub(crate) fn start_mutual_tls() -> Self {
        Self::start_with(Tls::With { must_show: true })
    }

    fn start_with(tls: Tls) -> Self {
        let mut said = String::new();
        // A free port may be taken before the server binds it: then everything starts afresh.
        for _ in 0..5 {
            match Self::attempt(tls) {
                Ok(vault) => return vault,
                Err(log) => said = log,
            }
        }
        panic!("Vault did not start in 5 attempts; {said}");
    }

    fn attempt(tls: Tls) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("bulla-vault-").tempdir().expect("a temporary folder").keep();
        let end = End { remove: Some(&folder), ..End::default() };
        let mut idle = Command::new("sleep");
        idle.arg("1000000");
        let keeper = Leash::spawn("the folder's keeper", &idle, &folder.join("keeper.log"), end);
        let tls_port = match tls {
            Tls::Without => None,
            Tls::With { must_show } => {
                write_certificates(&folder);
                Some((free_port(), must_show))
            }
        };
        let (root_token, unseal_key) = (String::new(), String::new());
        let (leash, port) = (Mutex::new(None), free_port());
        let mut this = Self { leash, folder, _keeper: keeper, port, tls_port, root_token, unseal_key };
        this.spawn(false)?;
        let keys = fs::read(this.folder.join("keys.json")).expect("Vault's keys");
        let keys: Value = serde_json::from_slice(&keys).expect("Vault's keys as JSON");
        this.root_token = keys["root_token"].as_str().expect("a root token").to_owned();
        this.unseal_key = keys["unseal_key"].as_str().expect("an unseal key").to_owned();
        // These headers are logged in the clear: tests look for them.
        for header in ["X-Vault-Namespace", "X-Team"] {
            this.write(&format!("sys/config/auditing/request-headers/{header}"), &json!({"hmac": false}));
        }
        let options = json!({"file_path": this.audit_file()});
        this.write("sys/audit/file", &json!({"type": "file", "options": options}));
        Ok(this)
    }

    /// Starts the process and waits until it answers and is unsealed, or sealed where that is wanted.
    fn spawn(&self, sealed: bool) -> Result<(), String> {
        let file = |name: &str| self.folder.join(name);
        let mut command = Command::new(servers::path("vault"));
        command.arg("-data").arg(&self.folder).arg("-listen").arg(format!("127.0.0.1:{}", self.port));
        if sealed {
            command.arg("-sealed");
        }
        if let Some((port, must_show)) = self.tls_port {
            if must_show {
                command.arg("-require-client-cert");
            }
            command.arg("-listen-tls").arg(format!("127.0.0.1:{port}"));
            command.arg("-cert").arg(file("server.pem")).arg("-key").arg(file("server.key"));
            command.arg("-client-ca").arg(file("ca.pem"));
        }
        let mut leash = Leash::spawn("vault", &command, &file("vault.log"), End::default());
        let began = Instant::now();
        let wanted = if sealed { 503 } else { 200 };
        while self.call("GET", "sys/health", "", None).is_none_or(|(status, _)| status != wanted) {
            if leash.ended().is_some() || began.elapsed() > START {
                return Err(leash.log_tail());
            }
            thread::sleep(Duration::from_millis(30));
        }
        *self.leash.lock().unwrap_or_else(PoisonError::into_inner) = Some(leash);
        Ok(())
    }

    /// `http://127.0.0.1:<port>`.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `https://127.0.0.1:<port>` of a server with TLS.
    pub(crate) fn tls_address(&self) -> String {
        format!("https://127.0.0.1:{}", self.tls_port.expect("a Vault of start_tls").0)
    }

    /// The token that may do everything.
    pub(crate) fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The CA's certificate in PEM, of a server with TLS.
    pub(crate) fn ca(&self) -> String {
        fs::read_to_string(self.folder.join("ca.pem")).expect("a CA of start_tls")
    }

    /// A client's certificate of that CA.
    pub(crate) fn client_pair(&self) -> Pair {
        let read = |name| fs::read_to_string(self.folder.join(name)).expect("a certificate of start_tls");
        Pair { certificate: read("client.pem"), key: read("client.key") }
    }

    /// Writes (POST) below `/v1/` as root and returns the answer's JSON, `null` where it has none.
    pub(crate) fn write(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_write(path, body);
        assert!((200..300).contains(&status), "writing {path}: {status} {answer}");
        answer
    }

    /// The same with the body as it is written here.
    pub(crate) fn write_text(&self, path: &str, body: &str) -> Value {
        let (status, answer) = self.call("POST", path, &self.root_token, Some(body)).expect("an answer of Vault");
        assert!((200..300).contains(&status), "writing {path}: {status} {answer}");
        answer
    }

    /// Writes and returns the status with the answer.
    pub(crate) fn try_write(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, &self.root_token, Some(&body.to_string())).expect("an answer of Vault")
    }

    /// Reads below `/v1/` as root; `null` where there is nothing.
    pub(crate) fn read(&self, path: &str) -> Value {
        let (status, answer) = self.call("GET", path, &self.root_token, None).expect("an answer of Vault");
        assert!(status == 200 || status == 404, "reading {path}: {status} {answer}");
        if status == 404 { Value::Null } else { answer }
    }

    /// Deletes below `/v1/` as root.
    pub(crate) fn delete(&self, path: &str) {
        let (status, answer) = self.call("DELETE", path, &self.root_token, None).expect("an answer of Vault");
        assert!((200..300).contains(&status), "deleting {path}: {status} {answer}");
    }

    /// Mounts a KV engine and waits until it takes writes.
    pub(crate) fn enable_kv(&self, mount: &str, version: u8) {
        self.write(&format!("sys/mounts/{mount}"), &json!({"type": "kv", "options": {"version": version.to_string()}}));
        let (path, body) = match version {
            1 => (format!("{mount}/first-write"), json!({"a": "b"})),
            _ => (format!("{mount}/data/first-write"), json!({"data": {"a": "b"}})),
        };
        let began = Instant::now();
        // Version 2 prepares its storage in the background.
        while !(200..300).contains(&self.try_write(&path, &body).0) {
            assert!(began.elapsed() < START, "the mount {mount} takes no writes");
            thread::sleep(Duration::from_millis(50));
        }
        self.delete(&path.replacen(&format!("{mount}/data/"), &format!("{mount}/metadata/"), 1));
    }

    /// Writes a policy (HCL).
    pub(crate) fn policy(&self, name: &str, rules: &str) {
        self.write(&format!("sys/policies/acl/{name}"), &json!({"policy": rules}));
    }

    /// Switches an auth method on, unless it is.
    pub(crate) fn enable_auth(&self, kind: &str) {
        let (status, answer) = self.try_write(&format!("sys/auth/{kind}"), &json!({"type": kind}));
        assert!(status == 204 || answer.to_string().contains("already in use"), "{kind}: {status} {answer}");
    }

    /// Makes the AppRole `name` with `settings` (such as `token_ttl` and `token_policies`); its role id and secret id.
    pub(crate) fn approle(&self, name: &str, settings: &Value) -> (String, String) {
        self.enable_auth("approle");
        let role = format!("auth/approle/role/{name}");
        self.write(&role, settings);
        let text = |value: &Value| value.as_str().expect("an id").to_owned();
        let role_id = text(&self.read(&format!("{role}/role-id"))["data"]["role_id"]);
        let secret_id = text(&self.write(&format!("{role}/secret-id"), &json!({}))["data"]["secret_id"]);
        (role_id, secret_id)
    }

    /// Seals it: every request is refused with 503.
    pub(crate) fn seal(&self) {
        self.write("sys/seal", &json!({}));
    }

    /// Unseals it and waits until it is active.
    pub(crate) fn unseal(&self) {
        self.write("sys/unseal", &json!({"key": self.unseal_key}));
        let began = Instant::now();
        while self.call("GET", "sys/health", "", None).is_none_or(|(status, _)| status != 200) {
            assert!(began.elapsed() < START, "Vault did not unseal");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the process; the storage stays. Clients see refused connections.
    pub(crate) fn stop(&self) {
        drop(self.leash.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Starts it again on the same ports over the same storage, unsealed.
    pub(crate) fn restart(&self) {
        self.stop();
        self.spawn(false).unwrap_or_else(|log| panic!("Vault did not come back; {log}"));
    }

    /// Every audited request since the first start, as Vault's JSON (`request.path`, `request.operation`, …).
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.audit_file()).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|entry| entry["type"] == "request").collect()
    }

    /// How many audited requests had this path.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.audit().iter().filter(|entry| entry["request"]["path"] == path).count()
    }

    fn audit_file(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// One plain HTTP request; `None` where nothing answers. An answer without JSON is `null`.
    fn call(&self, method: &str, path: &str, token: &str, body: Option<&str>) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let body = body.unwrap_or_default();
        let length = body.len();
        // HTTP/1.0: the answer ends with the connection.
        let head = format!("{method} /v1/{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Vault-Token: {token}\r\n");
        let request = format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }
}

/// A CA, the server's certificate and a client's.
fn write_certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("a certificate's parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
    identities::write(&folder.join("ca.pem"), &ca.pem());
    let pairs = [
        ("server", "127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", "client", ExtendedKeyUsagePurpose::ClientAuth),
    ];
    for (name, subject, usage) in pairs {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![subject.to_owned()]).expect("a certificate's parameters");
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &ca).expect("a certificate");
        identities::write(&folder.join(format!("{name}.pem")), &certificate.pem());
        identities::write(&folder.join(format!("{name}.key")), &key.serialize_pem());
    }
}
