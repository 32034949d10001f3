//! A small machine with a systemd of its own (`tests/servers/machine`), for one test.
//!
//! Nothing of the real machine can be written from inside. Root, a cgroup2 that can be written, systemd and dbus-daemon
//! are needed. Where one of these is wanting the tests say so, `tests/run` says it again at its end, and the path by
//! commands is what was tested (`tests/host/example`); what goes wrong on a machine that has them is a failure.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bulla::host::config::ManagerKind;
use bulla::host::units::{Manager, Settings};

use crate::servers::leash::{End, Leash};
use crate::servers::servers;

/// How a program is started inside.
const INSIDE: [&str; 7] = ["nsenter", "-t", "PID", "-m", "-p", "-C", "--"];

/// What this machine lacks for one of these, if it does.
pub(crate) fn wanting() -> Option<&'static str> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let cgroup2 = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        words.next().filter(|_| words.next() == Some("cgroup2"))
    });
    let is_writable = |hierarchy: &str| {
        let probe = Path::new(hierarchy).join(format!(
            "bulla-test-probe-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)).is_ok()
    };
    let wanting = if !rustix::process::geteuid().is_root() {
        "root"
    } else if !cgroup2.is_some_and(is_writable) {
        "a cgroup2 that can be written"
    } else if !Path::new("/usr/lib/systemd/systemd").exists() {
        "systemd"
    } else if !Path::new("/usr/bin/dbus-daemon").exists() {
        "dbus-daemon"
    } else {
        return None;
    };
    // Not by `eprintln!`, which is shown only where a test fails.
    let told = format!("NOT RUN with a systemd: this machine lacks {wanting}\n");
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    Some(wanting)
}

/// A machine, gone when it is dropped.
pub(crate) struct Machine {
    leash: Leash,
    log: PathBuf,
    folder: tempfile::TempDir,
}

impl Machine {
    /// Starts it, with these units, and waits until its systemd answers.
    pub(crate) async fn start(units: &[(&str, &str)]) -> Self {
        Self::attempt(units).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, where it may not be possible; why it was not.
    pub(crate) async fn attempt(units: &[(&str, &str)]) -> Result<Self, String> {
        Self::begin(tempfile::Builder::new().prefix("bulla-test-").tempdir().unwrap(), units, None).await
    }

    /// The same with a `/run` in memory, and with what is in the folders `etc`, `var`, `sbin` and `srv` of `furniture`.
    pub(crate) async fn furnished(units: &[(&str, &str)], furniture: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("bulla-test-").tempdir_in("/dev/shm").unwrap();
        Self::begin(folder, units, Some(furniture)).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn begin(
        folder: tempfile::TempDir,
        units: &[(&str, &str)],
        furniture: Option<&Path>,
    ) -> Result<Self, String> {
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("run/systemd/system")).unwrap();
        fs::create_dir(at("root")).unwrap();
        for (name, text) in units {
            fs::write(at("run/systemd/system").join(name), text).unwrap();
        }
        let mut command = Command::new(servers::script("machine"));
        command.args([at("run"), at("root")]).args(furniture);
        let end = End { grace: Duration::from_secs(5), remove: None };
        let leash = Leash::spawn("machine", &command, &at("log"), end);
        let mut machine = Self { leash, log: at("log"), folder };
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if machine.leash.ended().is_some() {
                return Err(format!("the machine did not start:\n{}", machine.said()));
            }
            let manager = machine.manager().await;
            if manager.way() == "systemd over D-Bus" {
                return Ok(machine);
            }
            if Instant::now() > until {
                return Err(format!("its systemd does not answer:\n{}", machine.said()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What is `/run` inside.
    pub(crate) fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub(crate) fn unit(&self, name: &str, text: &str) {
        fs::write(self.run().join("systemd/system").join(name), text).unwrap();
    }

    /// Its systemd, over its bus.
    pub(crate) async fn manager(&self) -> Manager {
        Manager::connect(&self.settings()).await
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { sockets: Some(self.run()), ..Settings::new(ManagerKind::Systemd) }
    }

    /// Its systemd by `systemctl`, which runs inside.
    pub(crate) async fn by_systemctl(&self) -> Manager {
        let pid = self.init().to_string();
        let inside = [&INSIDE[..], &["systemctl"]].concat().iter().map(|word| word.replace("PID", &pid)).collect();
        Manager::connect(&Settings { systemctl: inside, bus: false, ..self.settings() }).await
    }

    /// A program inside.
    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let pid = self.init().to_string();
        let mut words = INSIDE.iter().map(|word| word.replace("PID", &pid));
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(argv);
        command
    }

    /// A file inside.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init()))
    }

    /// Its systemd's process, seen from here: the one whose `/run` is ours.
    fn init(&self) -> u32 {
        use std::os::unix::fs::MetadataExt as _;
        let id = |path: &Path| fs::metadata(path).map(|about| (about.dev(), about.ino())).ok();
        let ours = id(&self.run());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers
            .filter(|pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "systemd\n"))
            .find(|pid| id(&Path::new("/proc").join(pid.to_string()).join("root").join("run")) == ours)
            .unwrap_or_else(|| panic!("no systemd of this machine:\n{}", self.said()))
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}
