//! ssh with a real sshd: it has to be the one that is known, and lets in whom its operator has let in.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bulla::host::repository::{Access, FetchError, Repository, Settings};

use super::origin::{Origin, text_of};
use crate::room::Room;
use crate::servers::leash::{End, Leash};
use crate::servers::ports::free_port;
use crate::servers::servers;

/// A server on a port of its own, gone when it is dropped.
struct Sshd {
    running: Option<Running>,
    port: u16,
    user: String,
}

/// As root it takes users and a folder below `/run`, which a room of its own has; anybody else lets in themselves.
enum Running {
    Room(Room),
    Here(Leash),
}

/// A new key, without a passphrase.
fn key(at: PathBuf) -> PathBuf {
    text_of(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "a key", "-f"]).arg(&at), b"");
    at
}

/// The public half of a key, without its comment.
fn public(key: &Path) -> String {
    let text = fs::read_to_string(key.with_extension("pub")).unwrap();
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

impl Sshd {
    /// Starts one on `port` that has the key `host` and lets in `deploy`, as forges do: for git and nothing else.
    fn start(origin: &Origin, port: u16, host: &Path, deploy: &Path) -> Self {
        let authorized = origin.path("authorized_keys");
        let line = format!("restrict,command=\"git-shell -c \\\"$SSH_ORIGINAL_COMMAND\\\"\" {}\n", public(deploy));
        fs::write(&authorized, line).unwrap();
        let config = origin.path("sshd_config");
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\nLogLevel VERBOSE\n",
            host.display(),
            authorized.display()
        );
        fs::write(&config, text).unwrap();
        let program = servers::path("sshd").to_string_lossy().into_owned();
        let argv = [program.as_str(), "-D", "-e", "-f", config.to_str().unwrap()];
        let (running, user) = if rustix::process::geteuid().is_root() {
            let mut room = Room::new();
            fs::create_dir(room.at("/run/sshd")).unwrap();
            let home = origin.folder().display();
            room.write(
                "/etc/passwd",
                &format!(
                    "root:x:0:0::/root:/bin/sh\ngit:x:0:0::{home}:/bin/sh\nsshd:x:65534:65534::/run/sshd:/bin/false\n"
                ),
            );
            room.start(&argv);
            (Running::Room(room), "git".to_owned())
        } else {
            let mut command = Command::new(argv[0]);
            command.args(&argv[1..]);
            let leash = Leash::spawn("sshd", &command, &origin.path("sshd.log"), End::default());
            (Running::Here(leash), text_of(Command::new("id").arg("-un"), b""))
        };
        let mut sshd = Self { running: Some(running), port, user };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(!sshd.ended() && Instant::now() < until, "sshd does not answer:\n{}", sshd.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        sshd
    }

    fn ended(&mut self) -> bool {
        match &mut self.running {
            Some(Running::Room(room)) => room.ended(),
            Some(Running::Here(leash)) => leash.ended().is_some(),
            None => true,
        }
    }

    fn log(&self) -> String {
        match &self.running {
            Some(Running::Room(room)) => room.log(),
            Some(Running::Here(leash)) => leash.log(),
            None => String::new(),
        }
    }

    /// The line of `known_hosts` for a server here that has this key.
    fn known(&self, key: &Path) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, public(key))
    }

    fn url(&self, path: &str) -> String {
        format!("ssh://{}@127.0.0.1:{}{path}", self.user, self.port)
    }
}

/// A repository, the keys around it, and a server.
struct World {
    origin: Origin,
    host: PathBuf,
    deploy: PathBuf,
    sshd: Sshd,
}

impl World {
    fn new() -> Self {
        let origin = Origin::new();
        let (host, deploy) = (key(origin.path("host_key")), key(origin.path("deploy_key")));
        let sshd = Sshd::start(&origin, free_port(), &host, &deploy);
        fs::write(origin.path("known_hosts"), sshd.known(&host)).unwrap();
        Self { origin, host, deploy, sshd }
    }

    fn access(&self) -> Access {
        let known_hosts = Some(self.origin.path("known_hosts"));
        Access { ssh_key: Some(self.deploy.clone()), known_hosts, ..Access::default() }
    }

    async fn follow(&self, access: Access) -> Repository {
        let url = self.sshd.url(&self.origin.url());
        Repository::open(Settings { url, access, ..self.origin.settings() }).await.unwrap()
    }

    /// Nobody got as far as to show a key.
    fn nobody_was_let_in(&self) {
        let log = self.sshd.log();
        assert!(log.contains("Connection from 127.0.0.1") && !log.contains("Accepted publickey"), "{log}");
    }
}

#[tokio::test]
async fn a_real_sshd_serves_whoever_has_the_deploy_key() {
    let world = World::new();
    let repository = world.follow(world.access()).await;
    assert_eq!(repository.fetch().await.unwrap(), world.origin.head(), "{}", world.sshd.log());
    let second = world.origin.commit("hosts/frodo.yaml", "two");
    assert_eq!(repository.fetch().await.unwrap(), second);
    let tree = repository.tree(&second, Path::new("")).await.unwrap();
    assert_eq!(tree.read("hosts/frodo.yaml").await.unwrap(), b"two");
    assert!(world.sshd.log().contains("Accepted publickey"), "{}", world.sshd.log());
    // What is not there is told as that.
    let url = world.sshd.url("/nonexistent.git");
    let settings = Settings { url, access: world.access(), ..world.origin.settings() };
    let settings = Settings { folder: world.origin.path("other"), ..settings };
    let error = Repository::open(settings).await.unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::NoRepository { .. }), "{error}");
}

#[tokio::test]
async fn a_server_whose_key_nobody_knows_is_refused_before_ours_is_shown() {
    let world = World::new();
    let other = world.origin.path("elsewhere");
    fs::write(&other, world.sshd.known(&world.host).replace("127.0.0.1", "127.0.0.2")).unwrap();
    // A list that has others only, an empty one, none at all, and that of the system.
    let empty = world.origin.path("empty");
    fs::write(&empty, "").unwrap();
    for known_hosts in [Some(other), Some(empty), Some("/nonexistent/known_hosts".into()), None] {
        let access = Access { known_hosts: known_hosts.clone(), ..world.access() };
        let error = world.follow(access).await.fetch().await.unwrap_err();
        assert!(matches!(error, FetchError::HostKey { .. }), "{known_hosts:?}: {error}");
        let said = error.to_string();
        for part in [&*world.sshd.url(&world.origin.url()), "is not known", "access.knownHosts"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    world.nobody_was_let_in();
}

#[tokio::test]
async fn a_server_whose_key_is_another_than_before_is_refused_and_what_was_fetched_stays() {
    let mut world = World::new();
    let repository = world.follow(world.access()).await;
    let first = repository.fetch().await.unwrap();
    // Somebody else answers there now.
    let thief = key(world.origin.path("thief_key"));
    let port = world.sshd.port;
    world.sshd.running = None;
    world.sshd = Sshd::start(&world.origin, port, &thief, &world.deploy);
    world.origin.commit("hosts/frodo.yaml", "two");
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::HostKey { .. }), "{error}");
    let said = error.to_string();
    for part in [&*world.sshd.url(&world.origin.url()), "has changed", "access.knownHosts"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(repository.tip(), Some(first));
    world.nobody_was_let_in();
    // Its operator says that this is the new key.
    fs::write(world.origin.path("known_hosts"), world.sshd.known(&thief)).unwrap();
    assert_eq!(repository.fetch().await.unwrap(), world.origin.head());
}

#[tokio::test]
async fn a_deploy_key_that_the_server_does_not_know_is_told_as_that() {
    let world = World::new();
    let open = world.origin.path("open_key");
    fs::copy(&world.deploy, &open).unwrap();
    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    // Another key, one that is not there, and the right one that everybody may read, which ssh does not use.
    for ssh_key in [key(world.origin.path("wrong_key")), "/nonexistent/key".into(), open] {
        let access = Access { ssh_key: Some(ssh_key.clone()), ..world.access() };
        let error = world.follow(access).await.fetch().await.unwrap_err();
        assert!(matches!(error, FetchError::Unauthorized { .. }), "{}: {error}", ssh_key.display());
        let said = error.to_string();
        for part in ["refuses this host", "Permission denied (publickey", "access.sshKey"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    world.nobody_was_let_in();
    // The agent's own way of being let in is what counts, not that of the user who started it.
    assert_eq!(world.follow(world.access()).await.fetch().await.unwrap(), world.origin.head());
}
