//! The agent of a user, with the user's own systemd: `deploy/systemd/user`, without root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bulla::host::agent::{self, Answer, Condition, Request, Status};
use bulla::seal::Identity;
use jiff::Timestamp;

use super::machine::{Machine, wanting};

const USER: u32 = 1000;
const HOME: &str = "/var/home/sam";
/// What `user@1000.service` is on other machines.
const MANAGER: &str = "[Service]\nType=notify\nUser=sam\nDelegate=yes\nKillMode=mixed\n\
                       Environment=HOME=/var/home/sam XDG_RUNTIME_DIR=/run/user/1000\n\
                       ExecStart=/usr/lib/systemd/systemd --user --log-target=console\n\
                       StandardOutput=append:/run/user.log\nStandardError=append:/run/user.log\n";

/// A machine with a user whose systemd runs, and the repository that the user's agent follows.
struct World {
    machine: Machine,
    folder: tempfile::TempDir,
}

/// Everything below is that user's: git serves nobody what others own.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), user));
    }
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("bulla-test-").tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let home = at(&format!("furniture{HOME}"));
        for path in ["furniture/etc", "furniture/sbin", "furniture/srv", "work"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for path in [".config/bulla", ".config/systemd/user"] {
            fs::create_dir_all(home.join(path)).unwrap();
        }
        fs::write(
            at("furniture/etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nsam:x:1000:1000:Sam:/var/home/sam:/bin/sh\n",
        )
        .unwrap();
        fs::write(at("furniture/etc/group"), "root:x:0:\nsam:x:1000:\n").unwrap();
        let agent = Path::new(env!("CARGO_BIN_EXE_bulla-controller"));
        if fs::hard_link(agent, at("furniture/sbin/bulla-controller")).is_err() {
            fs::copy(agent, at("furniture/sbin/bulla-controller")).unwrap();
        }
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/user/bulla-host.service");
        let unit = fs::read_to_string(shipped).unwrap();
        assert!(unit.contains("=/usr/bin/bulla-controller "));
        let unit = unit.replace("/usr/bin/bulla-controller", "/usr/local/sbin/bulla-controller");
        fs::write(home.join(".config/systemd/user/bulla-host.service"), unit).unwrap();
        let settings = "name: frodo\nidentities: [host.key]\nrepository: {url: /srv/infra.git, poll: 0s}\n";
        fs::write(home.join(".config/bulla/host.yaml"), settings).unwrap();
        let key = home.join(".config/bulla/host.key");
        let identity = Identity::generate_x25519().unwrap();
        fs::write(&key, identity.to_file_text(Timestamp::now()).unwrap().as_bytes()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        give(&home, USER);
        git(&at("work"), &["init", "-q", "-b", "main", "."]);
        git(&at("furniture/srv"), &["init", "-q", "--bare", "-b", "main", "infra.git"]);
        let machine = Machine::furnished(&[("sam.service", MANAGER)], &at("furniture")).await;
        let runtime = machine.run().join("user/1000");
        fs::create_dir_all(&runtime).unwrap();
        chown(&runtime, Some(USER), Some(USER)).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
        let world = Self { machine, folder };
        let out = world.machine.command(&["systemctl", "start", "sam.service"]).output().unwrap();
        assert!(out.status.success(), "{out:?}\n{}", world.log());
        world.until("the user's bus answers", || world.systemctl(&["show", "-P", "Version"]).status.success());
        world
    }

    fn run(&self) -> PathBuf {
        self.machine.run().join("user/1000/bulla")
    }

    fn log(&self) -> String {
        let user = fs::read_to_string(self.machine.run().join("user.log")).unwrap_or_default();
        format!("{user}\n{}", self.machine.said())
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < end, "{what}: not within a minute\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As the user.
    fn systemctl(&self, arguments: &[&str]) -> Output {
        let ids = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs", "--"];
        let systemctl = ["env", "XDG_RUNTIME_DIR=/run/user/1000", "systemctl", "--user"];
        self.machine.command(&[&ids[..], &systemctl, arguments].concat()).output().unwrap()
    }

    fn says(&self, arguments: &[&str]) -> String {
        let out = self.systemctl(arguments);
        assert!(out.status.success(), "{arguments:?}: {out:?}\n{}", self.log());
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    fn web(&self, property: &str) -> String {
        self.says(&["show", "-P", property, "web.service"])
    }

    /// Commits a unit with this program, a file that it reloads and one that it restarts on.
    fn commit(&self, program: &str, conf: &str, key: &str) -> String {
        let text = format!(
            "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: frodo}}\nspec:\n  files:\n  \
             - {{path: {HOME}/.config/web/conf, inline: {conf}}}\n  - {{path: {HOME}/.config/web/key, inline: {key}}}\n  units:\n  \
             - name: web.service\n    enable: true\n    start: true\n    inline: |\n      [Service]\n      ExecStart={program}\n      \
             ExecReload=/bin/sh -c 'cat {HOME}/.config/web/conf >> /run/user/1000/reloaded'\n      \
             [Install]\n      WantedBy=default.target\n  services:\n  - name: web\n    reloadOn: [{HOME}/.config/web/conf]\n    \
             restartOn: [{HOME}/.config/web/key, {HOME}/.config/systemd/user/web.service]\n    health: {{for: 500ms}}\n"
        );
        let work = self.folder.path().join("work");
        fs::write(work.join("host.yaml"), text).unwrap();
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-q", "-m", "Another"]);
        let srv = self.folder.path().join("furniture/srv");
        give(&srv, 0);
        git(&work, &["push", "-q", "../furniture/srv/infra.git", "main"]);
        give(&srv, USER);
        git(&work, &["rev-parse", "HEAD"])
    }

    fn sync(&self) -> Answer {
        agent::ask(&self.run(), &Request::Sync).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let settings = ["-c", "user.name=Sam", "-c", "user.email=sam@example.com", "-c", "commit.gpgsign=false"];
    let mut command = Command::new("git");
    let out = command.args(settings).args(arguments).current_dir(folder).output().unwrap();
    assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_agent_of_a_user_installs_reloads_and_restarts_units_of_the_users_own_systemd() {
    if wanting().is_some() {
        return;
    }
    let world = World::start().await;
    let first = world.commit("/bin/sleep 1000", "one", "one");
    // As a person does it; it is back when the agent has said that it is ready: the files are there, and the unit knows.
    world.says(&["enable", "--now", "bulla-host.service"]);
    let answer = world.sync();
    assert!(answer.done, "{}\n{}", answer.message, world.log());
    let status = Status::read(&world.run()).unwrap();
    assert_eq!(status.condition, Condition::InSync, "{}\n{}", status.message, world.log());
    assert_eq!(status.good.unwrap().commit, first);
    assert!(!world.log().contains("by systemctl then"), "the user's bus was not reached:\n{}", world.log());
    assert_eq!((&*world.web("ActiveState"), &*world.web("UnitFileState")), ("active", "enabled"));
    let conf = world.machine.inside(&format!("{HOME}/.config/web/conf"));
    assert_eq!(fs::symlink_metadata(conf).unwrap().uid(), USER);
    assert!(!world.machine.run().join("bulla").exists(), "that is root's");

    // A reload is the same process, a restart another one.
    let pid = world.web("MainPID");
    world.commit("/bin/sleep 1000", "two", "one");
    let answer = world.sync();
    assert!(answer.done, "{}\n{}", answer.message, world.log());
    assert_eq!(world.web("MainPID"), pid);
    assert_eq!(fs::read_to_string(world.machine.run().join("user/1000/reloaded")).unwrap(), "two");
    world.commit("/bin/sleep 1000", "two", "two");
    assert!(world.sync().done);
    let restarted = world.web("MainPID");
    assert_ne!(restarted, pid);

    // A unit that does not run is gone back from.
    let bad = world.commit("/bin/false", "two", "two");
    let answer = world.sync();
    assert_eq!(answer.status.condition, Condition::RolledBack, "{}\n{}", answer.message, world.log());
    assert!(answer.message.contains("web"), "{}", answer.message);
    assert_eq!(answer.status.bad.last().unwrap().commit, bad);
    assert_eq!(world.web("ActiveState"), "active");

    // Its unit's own reload asks the repository, and its stop leaves the files.
    let good = world.commit("/bin/sleep 1000", "three", "two");
    world.says(&["reload", "bulla-host.service"]);
    world.until("the commit is taken", || {
        Status::read(&world.run()).is_ok_and(|status| status.good.is_some_and(|last| last.commit == good))
    });
    world.says(&["stop", "bulla-host.service"]);
    let out = world.machine.command(&["cat", &format!("{HOME}/.config/web/conf")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "three");
    assert_eq!(world.web("ActiveState"), "active");
}
