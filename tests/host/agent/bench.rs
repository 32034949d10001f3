//! A host in a folder: a repository, a key, an agent of its own process.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use bulla::host::agent::{Answer, Request, Status, ask};
use bulla::seal::{self, Binding, Identity, Place, Scope};
use bulla::secret::Plaintext;
use jiff::Timestamp;

/// How long a test waits for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A host in a folder.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    /// The file system of the run folder is memory where the machine has one that anybody may write to.
    run: tempfile::TempDir,
    pub(crate) identity: Identity,
    agent: Option<Child>,
}

impl Host {
    /// A host `frodo` in group `web`, with an empty repository and more lines for its settings.
    pub(crate) fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = tempfile::tempdir_in("/dev/shm").unwrap();
        let identity = Identity::generate_x25519().unwrap();
        let host = Self { folder, run, identity, agent: None };
        fs::create_dir(host.path("root")).unwrap();
        let key = host.path("host.key");
        fs::write(&key, host.identity.to_file_text(Timestamp::now()).unwrap().as_bytes()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let settings = format!(
            "name: frodo\ngroups: [web]\nidentities: [host.key]\nstate: state\nroot: root\nrun: {}\n\
             repository: {{url: infra, poll: 0s}}\nmanager: none\n{more}",
            host.run().display()
        );
        fs::write(host.path("host.yaml"), settings).unwrap();
        host.git(&["init", "-q", "-b", "main", "."]);
        host
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.run.path().join("bulla")
    }

    /// A declared path on this machine.
    pub(crate) fn declared(&self, path: &str) -> PathBuf {
        self.path("root").join(path.trim_start_matches('/'))
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.declared(path)).ok()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let infra = self.path("infra");
        fs::create_dir_all(&infra).unwrap();
        let out = Command::new("git")
            .args(["-c", "user.name=Sam", "-c", "user.email=sam@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(infra)
            .output()
            .unwrap();
        assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Writes a file of the repository, without committing it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path("infra").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits everything; the id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A SealedSecret `web/NAME` with these values.
    pub(crate) fn sealed(&self, name: &str, values: &[(&str, &str)]) -> String {
        let mut text = format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}, namespace: web}}\n\
             spec:\n  encryptedData:\n"
        );
        for (key, value) in values {
            let binding =
                Binding::new(Scope::Strict, Place { namespace: "web", name, key }, jiff::civil::date(2026, 11, 21));
            let to = [self.identity.recipient().clone()];
            let sealed = seal::seal(&to, &Plaintext::from((*value).to_owned()), &binding).unwrap();
            text.push_str(&format!("    {key}: {sealed}\n"));
        }
        text
    }

    /// `bulla-controller host` with these flags, to its end.
    pub(crate) fn controller(&self, flags: &[&str]) -> Output {
        self.command(flags).output().unwrap()
    }

    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulla-controller"));
        command.arg("host").arg("--config").arg(self.path("host.yaml")).args(flags).stdin(Stdio::null());
        command
    }

    /// Starts the agent, and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.spawn(|command| command);
        self.until("the agent answers", || ask(&self.run(), &Request::Sync).is_ok());
    }

    /// Starts the agent, with more of its environment, and does not wait.
    pub(crate) fn spawn(&mut self, more: impl FnOnce(&mut Command) -> &mut Command) {
        let log = fs::File::options().create(true).append(true).open(self.path("agent.log")).unwrap();
        let mut command = self.command(&[]);
        self.agent = Some(more(&mut command).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Tells the agent to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let pid = self.agent.as_ref().unwrap().id();
        assert!(Command::new("kill").arg(pid.to_string()).status().unwrap().success());
        self.ended()
    }

    /// Waits until the agent has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut agent = self.agent.take().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = agent.try_wait().unwrap() {
                return status;
            }
            if Instant::now() >= end {
                agent.kill().unwrap();
                panic!("the agent does not end\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the agent, as a power failure would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }

    pub(crate) fn ask(&self, request: &Request) -> Answer {
        ask(&self.run(), request).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    pub(crate) fn status(&self) -> Status {
        Status::read(&self.run()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every byte that is on a disk below the host's folder, but for its declared paths.
    pub(crate) fn on_disk(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(self.folder.path(), &mut found);
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), found);
        } else if kind.is_file() {
            found.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}
