//! A host in a folder: its repository, its key, its agent.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bulla::host::agent::{Request, ask};
use bulla::seal::{self, Binding, Identity, Place, Scope};
use bulla::secret::Plaintext;
use jiff::Timestamp;

/// What is measured.
pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_bulla-controller");
const PATIENCE: Duration = Duration::from_secs(120);
const HOOK: &str = "the-hook-s-secret";

pub(crate) struct Host {
    folder: tempfile::TempDir,
    run: tempfile::TempDir,
    pub(crate) identity: Identity,
    port: u16,
    values: usize,
}

impl Host {
    /// A repository of `files` SealedSecrets with `values` values each, and a document for each of them.
    pub(crate) fn new(files: usize, values: usize) -> anyhow::Result<Self> {
        let identity = Identity::generate_hybrid()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let host =
            Self { folder: tempfile::tempdir()?, run: tempfile::tempdir_in("/dev/shm")?, identity, port, values };
        fs::create_dir_all(host.path("infra/web"))?;
        fs::create_dir(host.path("root"))?;
        let key = host.identity.to_file_text(Timestamp::now()).context("an identity's text")?;
        for (name, text) in [("host.key", key.as_bytes()), ("hook.secret", HOOK.as_bytes())] {
            fs::write(host.path(name), text)?;
            fs::set_permissions(host.path(name), fs::Permissions::from_mode(0o600))?;
        }
        let settings = format!(
            "name: frodo\ngroups: [web]\nidentities: [host.key]\nstate: state\nroot: root\nrun: {}\nmanager: none\n\
             repository: {{url: infra, poll: 0s}}\nhook: {{listen: \"127.0.0.1:{port}\", secretFile: hook.secret}}\n",
            host.run().display()
        );
        fs::write(host.path("host.yaml"), settings)?;
        for number in 0..files {
            host.put(number, "first")?;
        }
        host.git(&["init", "-q", "-b", "main", "."])?;
        host.commit()?;
        Ok(host)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.run.path().join("bulla")
    }

    /// Writes the SealedSecret of this number, with values that begin with `text`, and its document.
    pub(crate) fn put(&self, number: usize, text: &str) -> anyhow::Result<()> {
        let name = format!("app{number}");
        let mut sealed = format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}, namespace: web}}\nspec:\n  \
             encryptedData:\n"
        );
        let mut document = format!(
            "---\napiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: {name}, namespace: web}}\nspec:\n  files:\n"
        );
        for value in 0..self.values {
            let key = format!("k{value}");
            let place = Place { namespace: "web", name: &name, key: &key };
            let binding = Binding::new(Scope::Strict, place, jiff::civil::date(2026, 11, 21));
            let plain = Plaintext::from(format!("{text}-{number}-{value}"));
            sealed.push_str(&format!(
                "    {key}: {}\n",
                seal::seal(&[self.identity.recipient().clone()], &plain, &binding)?
            ));
            document.push_str(&format!("  - {{path: /etc/{name}/{key}, secret: {{name: {name}, key: {key}}}}}\n"));
        }
        Ok(fs::write(self.path(&format!("infra/web/{name}.yaml")), sealed + &document)?)
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> anyhow::Result<()> {
        git(&self.path("infra"), arguments)
    }

    pub(crate) fn commit(&self) -> anyhow::Result<()> {
        commit(&self.path("infra"))
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(AGENT);
        command.arg("host").arg("--config").arg(self.path("host.yaml")).args(flags);
        // As its units have it.
        command.env("MALLOC_ARENA_MAX", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// From nothing: a new clone, every value opened, every file there. How long it took.
    pub(crate) fn cold(&self, declared: &Path, text: &str) -> anyhow::Result<Duration> {
        for folder in [self.path("state"), self.path("root"), self.run()] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        fs::create_dir(self.path("root"))?;
        let began = Instant::now();
        let mut child = self.command(&["--once"]).spawn()?;
        let flipped = self.until(began, declared, text);
        let status = child.wait()?;
        ensure!(status.success(), "the agent ended with {status}");
        flipped
    }

    /// When the declared file begins with `text`.
    pub(crate) fn until(&self, began: Instant, declared: &Path, text: &str) -> anyhow::Result<Duration> {
        let path = self.path("root").join(declared);
        while !fs::read_to_string(&path).is_ok_and(|there| there.starts_with(text)) {
            if began.elapsed() > PATIENCE {
                bail!("{} did not come within {PATIENCE:?}", path.display());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(began.elapsed())
    }

    /// The agent, which has taken the tip.
    pub(crate) fn start(&self) -> anyhow::Result<Agent<'_>> {
        let agent = Agent { host: self, child: self.command(&[]).spawn()? };
        let began = Instant::now();
        while ask(&self.run(), &Request::Sync).is_err() {
            ensure!(began.elapsed() < PATIENCE, "the agent does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }
}

/// Runs git in a folder.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let who = ["-c", "user.name=Sam", "-c", "user.email=sam@example.com", "-c", "commit.gpgsign=false"];
    let status = Command::new("git").args(who).args(arguments).current_dir(folder).status()?;
    ensure!(status.success(), "git {arguments:?}");
    Ok(())
}

/// Commits all that is in a folder.
pub(crate) fn commit(folder: &Path) -> anyhow::Result<()> {
    git(folder, &["add", "-A"])?;
    git(folder, &["commit", "-q", "-m", "A commit"])
}

/// A running agent.
pub(crate) struct Agent<'a> {
    host: &'a Host,
    child: Child,
}

impl Agent<'_> {
    /// Asks the repository, which has nothing new.
    pub(crate) fn sync(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let answer = ask(&self.host.run(), &Request::Sync)?;
        ensure!(answer.done, "{}", answer.message);
        Ok(began.elapsed())
    }

    /// Tells of a push.
    pub(crate) fn push(&self) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.host.port))?;
        write!(
            stream,
            "POST /hook HTTP/1.1\r\nHost: host\r\nAuthorization: Bearer {HOOK}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 2"), "the hook answered {answer}");
        Ok(())
    }

    /// Resident memory, in MiB: `VmRSS`, or `RssAnon`, which is without the pages of the program's file.
    pub(crate) fn memory(&self, field: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a field of memory")?;
        let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Processor time so far, in ticks of 10 ms, with that of its children.
    pub(crate) fn ticks(&self) -> anyhow::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = stat.rsplit_once(')').context("stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        fields.get(11..15).context("times")?.iter().map(|time| Ok(time.parse::<u64>()?)).sum()
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        // One that is gone needs no end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
