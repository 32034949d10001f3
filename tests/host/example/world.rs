//! The example's two hosts, each a machine with a systemd, an nginx and an agent of its own (or, where no systemd can be
//! started, a folder with the latter two), and their repository.
//!
//! The files are those of `deploy/examples/hosts`. Only what a reader changes too is changed: where Vault and the
//! application are, the role's id, and the ports, since both hosts are on one machine here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bulla::host::agent::{self, Request, Status};
use bulla::seal::{self, Binding, Identity, Recipient, Scope};
use bulla::secret::Plaintext;
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use super::folder::Folder;
use super::upstream::Upstream;
use super::visitor::Visitor;
use crate::servers::ports::free_port;
use crate::servers::servers;
use crate::servers::vault::Vault;
use crate::units::machine::Machine;

/// How long a test waits for what should come soon, beside a busy compiler.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const PASSWORD: &str = "speak-friend-and-enter";
pub(crate) const TOKEN: &str = "first-t0ken-of-the-upstream";
const PASSPHRASE: &str = "one-passphrase-for-the-backup";

/// Debian's, where nginx is elsewhere.
const NGINX: &str = "[Service]\nType=forking\nPIDFile=/run/nginx.pid\nExecStartPre=/usr/local/sbin/nginx -t -q\n\
                     ExecStart=/usr/local/sbin/nginx\nExecReload=/usr/local/sbin/nginx -s reload\n\
                     ExecStop=-/usr/local/sbin/nginx -s quit\nTimeoutStopSec=5\nKillMode=mixed\n\
                     StateDirectory=nginx\nLogsDirectory=nginx\n";
/// What nginx is like before Bulla comes.
pub(super) const STOCK: &str =
    "pid /run/nginx.pid;\nevents {}\nhttp {\n  server { listen unix:/run/stock.sock; return 404; }\n}\n";

/// The example, running.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) vault: Vault,
    pub(crate) upstream: Upstream,
    pub(crate) hosts: Vec<Host>,
}

/// One of the two.
pub(crate) struct Host {
    pub(crate) name: &'static str,
    pub(crate) home: Home,
    pub(crate) visitor: Visitor,
}

/// What a host is here.
pub(crate) enum Home {
    /// A machine with a systemd.
    Machine(Machine),
    /// A folder; its services are told by commands.
    Folder(Folder),
}

/// What is the same in every copy of the file: the example's folder.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/hosts")
}

impl World {
    /// Makes the repository and the hosts, and waits until both agents are up. The hosts are machines with a systemd, or
    /// folders.
    pub(crate) async fn start(with_systemd: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("bulla-test-").tempdir().unwrap();
        let vault = tokio::task::spawn_blocking(Vault::start).await.unwrap();
        vault.enable_kv("kv", 2);
        vault.policy("upstream", "path \"kv/data/upstream\" { capabilities = [\"read\"] }");
        let (role, secret) = vault.approle("hosts", &json!({"token_policies": ["upstream"], "token_ttl": "10m"}));
        let upstream = Upstream::start(TOKEN);
        let mut world = Self { folder, vault, upstream, hosts: Vec::new() };
        world.rotate(TOKEN);

        let keys = ["frodo", "camelot"].map(|name| (name, Identity::generate_hybrid().unwrap()));
        let recipients: Vec<Recipient> = keys.iter().map(|(_, key)| key.recipient().clone()).collect();
        copy(&example().join("hosts"), &world.path("work/hosts"));
        let ca = world.seal_everything(&recipients, &secret);
        world.adapt("hosts/web/upstream.yaml", "http://127.0.0.1:8200", &world.vault.address());
        world.adapt("hosts/web/upstream.yaml", "00000000-0000-0000-0000-000000000000", &role);
        world.adapt("hosts/web/upstream.yaml", "refreshInterval: 1m", "refreshInterval: 2s");
        let application = format!("127.0.0.1:{}", world.upstream.port);
        world.adapt("hosts/web/nginx.conf", "127.0.0.1:9000", &application);
        let mut ports = Vec::new();
        for (name, https, health) in [("frodo", "8443", "8081"), ("camelot", "8444", "8082")] {
            let (own, well) = (free_port(), free_port());
            world.adapt(&format!("hosts/{name}/host.yaml"), https, &own.to_string());
            world.adapt(&format!("hosts/{name}/host.yaml"), health, &well.to_string());
            ports.push(own);
        }
        if !with_systemd {
            world.adapt_to_folders();
        }
        world.git("work", &["init", "-q", "-b", "main", "."]);
        fs::create_dir_all(world.path("srv")).unwrap();
        world.git("srv", &["init", "-q", "--bare", "-b", "main", "infra.git"]);
        world.commit("The example");
        for ((name, key), port) in keys.iter().zip(ports) {
            let visitor = Visitor::new(port, &ca, PASSWORD);
            let home = match with_systemd {
                true => Home::Machine(world.machine(name, key).await),
                false => Home::Folder(world.folder(name, key)),
            };
            world.hosts.push(Host { name, home, visitor });
        }
        for host in &world.hosts {
            host.until("the agent answers", || agent::ask(&host.run(), &Request::Sync).is_ok());
        }
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the README has the reader seal; the certificate.
    fn seal_everything(&self, to: &[Recipient], secret_id: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["proxy.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
        let hashed = Command::new("openssl").args(["passwd", "-apr1", PASSWORD]).output().unwrap();
        assert!(hashed.status.success(), "{hashed:?}");
        let users = format!("sam:{}", String::from_utf8(hashed.stdout).unwrap());
        self.seal(to, "tls", &[("tls.crt", &certificate.pem()), ("tls.key", &key.serialize_pem())]);
        self.seal(to, "users", &[("users", &users)]);
        self.seal(to, "approle", &[("secret-id", secret_id)]);
        self.seal(to, "backup", &[("passphrase", PASSPHRASE)]);
        certificate.pem()
    }

    fn seal(&self, to: &[Recipient], name: &str, values: &[(&str, &str)]) {
        let mut text = format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}, namespace: web}}\n\
             spec:\n  encryptedData:\n"
        );
        for (key, value) in values {
            let place = seal::Place { namespace: "web", name, key };
            let binding = Binding::new(Scope::Strict, place, jiff::civil::date(2026, 11, 21));
            let sealed = seal::seal(to, &Plaintext::from((*value).to_owned()), &binding).unwrap();
            text.push_str(&format!("    {key}: {sealed}\n"));
        }
        fs::write(self.path(&format!("work/hosts/web/{name}.yaml")), text).unwrap();
    }

    /// Another token in Vault.
    pub(crate) fn rotate(&self, token: &str) {
        self.vault.write("kv/data/upstream", &json!({"data": {"token": token}}));
    }

    /// Changes a text of the repository, which must be there.
    pub(crate) fn adapt(&self, file: &str, from: &str, to: &str) {
        let path = self.path("work").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}:\n{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    pub(crate) fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Sam", "-c", "user.email=sam@example.com", "-c", "commit.gpgsign=false"];
        let mut command = Command::new("git");
        let out = command.args(identity).args(arguments).current_dir(self.path(folder)).output().unwrap();
        assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Commits and pushes everything.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git("work", &["add", "-A"]);
        self.git("work", &["commit", "-q", "-m", message]);
        self.push()
    }

    pub(crate) fn revert(&self) -> String {
        self.git("work", &["revert", "--no-edit", "HEAD"]);
        self.push()
    }

    fn push(&self) -> String {
        self.git("work", &["push", "-q", "../srv/infra.git", "main"]);
        self.git("work", &["rev-parse", "HEAD"])
    }

    /// Both agents ask the repository, at the same time; what they say.
    pub(crate) async fn sync(&self) -> Vec<agent::Answer> {
        let asked: Vec<_> = self
            .hosts
            .iter()
            .map(|host| {
                let run = host.run();
                tokio::task::spawn_blocking(move || agent::ask(&run, &Request::Sync))
            })
            .collect();
        let mut answers = Vec::new();
        for (host, asked) in self.hosts.iter().zip(asked) {
            answers.push(asked.await.unwrap().unwrap_or_else(|error| panic!("{error}\n{}", host.log())));
        }
        answers
    }

    /// A machine as it is before Bulla, with an agent that is enrolled.
    async fn machine(&self, name: &str, key: &Identity) -> Machine {
        let furniture = self.path(name);
        let at = |path: &str| furniture.join(path);
        for folder in ["etc/nginx", "etc/bulla", "etc/cron.d", "etc/systemd/system", "var/backups", "sbin"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        std::os::unix::fs::symlink(self.path("srv"), at("srv")).unwrap();
        fs::copy(servers::path("nginx"), at("sbin/nginx")).unwrap();
        let agent = Path::new(env!("CARGO_BIN_EXE_bulla-controller"));
        if fs::hard_link(agent, at("sbin/bulla-controller")).is_err() {
            fs::copy(agent, at("sbin/bulla-controller")).unwrap();
        }
        fs::write(at("etc/nginx/nginx.conf"), STOCK).unwrap();
        let users = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n\
                     backup:x:34:34::/var/backups:/usr/sbin/nologin\nnobody:x:65534:65534::/:/bin/false\n";
        fs::write(at("etc/passwd"), users).unwrap();
        fs::write(at("etc/group"), "root:x:0:\nwww-data:x:33:\nbackup:x:34:\nnogroup:x:65534:\n").unwrap();
        std::os::unix::fs::chown(at("var/backups"), Some(34), Some(34)).unwrap();
        let settings = format!(
            "name: {name}\ngroups: [web]\nidentities: [host.key]\nrepository: {{url: /srv/infra.git, poll: 0s}}\n"
        );
        fs::write(at("etc/bulla/host.yaml"), settings).unwrap();
        fs::write(at("etc/bulla/host.key"), key.to_file_text(Timestamp::now()).unwrap().as_bytes()).unwrap();
        fs::set_permissions(at("etc/bulla/host.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/bulla-host.service");
        let agent = fs::read_to_string(shipped).unwrap();
        assert!(agent.contains("/usr/bin/bulla-controller"));
        let agent = agent.replace("/usr/bin/bulla-controller", "/usr/local/sbin/bulla-controller");
        // A device takes mknod, which the machine may not do.
        let agent = agent.replace("\nPrivateDevices=yes", "\nPrivateDevices=no");
        let agent = agent.replace(
            "[Service]\n",
            "[Service]\nStandardOutput=append:/run/agent.log\nStandardError=append:/run/agent.log\n",
        );
        let units = [("nginx.service", NGINX), ("bulla-host.service", agent.as_str())];
        let machine = Machine::furnished(&units, &furniture).await;
        for unit in ["nginx.service", "bulla-host.service"] {
            let out = machine.command(&["systemctl", "start", "--no-block", unit]).output().unwrap();
            assert!(out.status.success(), "{unit}: {out:?}\n{}", machine.said());
        }
        machine
    }
}

impl Host {
    fn run(&self) -> PathBuf {
        let run = match &self.home {
            Home::Machine(machine) => machine.run(),
            Home::Folder(folder) => folder.run(),
        };
        run.join("bulla")
    }

    /// The machine that it is, if it is one.
    pub(crate) fn machine(&self) -> Option<&Machine> {
        match &self.home {
            Home::Machine(machine) => Some(machine),
            Home::Folder(_) => None,
        }
    }

    /// A file of the host, seen from here.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        match &self.home {
            Home::Machine(machine) => machine.inside(path),
            Home::Folder(folder) => folder.inside(path),
        }
    }

    /// The number of nginx' first process.
    pub(crate) fn nginx(&self) -> String {
        match &self.home {
            Home::Machine(_) => self.says(&["systemctl", "show", "-P", "MainPID", "nginx.service"]),
            Home::Folder(folder) => fs::read_to_string(folder.inside("/run/nginx.pid")).unwrap(),
        }
    }

    pub(crate) fn status(&self) -> Status {
        Status::read(&self.run()).unwrap()
    }

    /// The status as it is on the host.
    pub(crate) fn status_text(&self) -> String {
        fs::read_to_string(self.run().join("status.json")).unwrap()
    }

    /// What its agent and its systemd or nginx said.
    pub(crate) fn log(&self) -> String {
        let said = match &self.home {
            Home::Machine(machine) => {
                let agent = fs::read_to_string(machine.run().join("agent.log")).unwrap_or_default();
                format!("{agent}\n{}", machine.said())
            }
            Home::Folder(folder) => folder.said(),
        };
        format!("{}:\n{said}", self.name)
    }

    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A program on the machine, to its end.
    pub(crate) fn run_there(&self, argv: &[&str]) -> Output {
        self.machine().expect("a folder has no programs of its own").command(argv).output().unwrap()
    }

    /// A program on the machine that must end well; what it says.
    pub(crate) fn says(&self, argv: &[&str]) -> String {
        let out = self.run_there(argv);
        assert!(out.status.success(), "{argv:?}: {out:?}");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &there);
        } else {
            fs::copy(entry.path(), there).unwrap();
        }
    }
}
