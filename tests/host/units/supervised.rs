//! runit and OpenRC themselves, with the scripts of `deploy`: an agent that they run tells a service that they run.

use std::fs;
use std::path::Path;
use std::process::Command;

use bulla::host::agent::{self, Answer, Condition, Request, Status};
use bulla::seal::Identity;
use jiff::Timestamp;

use crate::room::Room;
use crate::servers::servers;

/// A service that writes down when it starts and when it hears that it has new files, and that ends where its key is bad.
const WEB: &str = "#!/bin/sh\necho \"start $(cat /etc/web/key)\" >> /run/web.log\n! grep -q bad /etc/web/key || exit 1\n\
                   trap 'echo \"hup $(cat /etc/web/conf)\" >> /run/web.log' HUP\nwhile :; do sleep 0.05; done\n";

/// A machine with a service manager, a service `web`, and an agent that is not started yet.
struct World {
    room: Room,
}

impl World {
    fn new(manager: &str) -> Self {
        let room = Room::new();
        room.folder("/tmp", 0o1777);
        room.folder("/var/lib", 0o755);
        room.script("/usr/local/bin/web", WEB);
        room.write("/etc/web/conf", "none\n");
        room.write("/etc/web/key", "none\n");
        for path in ["/usr/local/bin/bulla-controller", "/usr/bin/bulla-controller"] {
            room.link(path, Path::new(env!("CARGO_BIN_EXE_bulla-controller")));
        }
        let identity = Identity::generate_x25519().unwrap().to_file_text(Timestamp::now()).unwrap();
        room.put("/etc/bulla/host.key", std::str::from_utf8(identity.as_bytes()).unwrap(), 0o600);
        let infra = room.path("infra");
        let settings = format!(
            "name: frodo\nidentities: [host.key]\nrepository: {{url: {}, poll: 0s}}\nmanager: {manager}\n",
            infra.display()
        );
        room.write("/etc/bulla/host.yaml", &settings);
        fs::create_dir(infra).unwrap();
        let world = Self { room };
        world.git(&["init", "-q", "-b", "main", "."]);
        world
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Sam", "-c", "user.email=sam@example.com", "-c", "commit.gpgsign=false"];
        let mut command = Command::new("git");
        let out = command.args(identity).args(arguments).current_dir(self.room.path("infra")).output().unwrap();
        assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Commits what `web` is to have, and how long it must be well with it.
    fn commit(&self, conf: &str, key: &str, lasting: &str) -> String {
        let text = format!(
            "apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: frodo}}\nspec:\n  files:\n  \
             - {{path: /etc/web/conf, inline: \"{conf}\\n\"}}\n  - {{path: /etc/web/key, inline: \"{key}\\n\"}}\n  services:\n  \
             - name: web\n    reloadOn: [/etc/web/conf]\n    restartOn: [/etc/web/key]\n    health: {{within: 10s, for: {lasting}}}\n"
        );
        fs::write(self.room.path("infra").join("host.yaml"), text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", &format!("{conf} and {key}")]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn sync(&self) -> Answer {
        let answer = agent::ask(&self.room.run().join("bulla"), &Request::Sync);
        answer.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    fn status(&self) -> Option<Status> {
        Status::read(&self.room.run().join("bulla")).ok()
    }

    fn answers(&self) -> bool {
        agent::ask(&self.room.run().join("bulla"), &Request::Sync).is_ok()
    }

    /// A program on the machine, which must end well.
    fn does(&self, argv: &[&str]) -> String {
        let out = self.room.command(argv);
        assert!(out.status.success(), "{argv:?}: {out:?}\n{}", self.log());
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// What was said on the machine.
    fn log(&self) -> String {
        let agent = fs::read_to_string(self.room.run().join("agent.log")).unwrap_or_default();
        format!("{}{agent}", self.room.log())
    }

    /// What `web` has written down since it was asked the last time.
    fn web(&self) -> Vec<String> {
        let file = self.room.run().join("web.log");
        let lines = fs::read_to_string(&file).unwrap_or_default().lines().map(str::to_owned).collect();
        fs::write(file, "").unwrap();
        lines
    }

    /// Waits until `web` has written down this line.
    fn until_web_says(&self, line: &str) {
        let says = || fs::read_to_string(self.room.run().join("web.log")).unwrap_or_default();
        self.room.until(line, || says().lines().any(|said| said == line));
    }

    /// From the agent's first commit over good ones to a bad one and back; `ask` is how its manager tells the agent to
    /// ask the repository, and `stop` how it stops `web`.
    fn story(&self, ask: &[&str], stop: &[&str]) {
        self.room.until("the agent answers", || self.answers());
        let status = self.status().unwrap();
        assert_eq!(status.condition, Condition::InSync, "{}\n{}", status.message, self.log());
        self.until_web_says("start one");
        assert_eq!(self.web(), ["start none", "start one"], "{}", self.log());

        // A reload is the same process, which hears of it; a restart is another one.
        self.commit("two", "one", "300ms");
        let answer = self.sync();
        assert!(answer.done, "{}\n{}", answer.message, self.log());
        self.until_web_says("hup two");
        assert_eq!(self.web(), ["hup two"]);
        let good = self.commit("two", "two", "300ms");
        assert!(self.sync().done);
        self.until_web_says("start two");
        assert_eq!(self.web(), ["start two"]);

        // The key that it does not start with.
        let bad = self.commit("two", "bad", "4s");
        let answer = self.sync();
        let log = self.log();
        assert_eq!(answer.status.condition, Condition::RolledBack, "{}\n{log}", answer.message);
        assert!(answer.message.contains("web"), "{}", answer.message);
        let status = self.status().unwrap();
        assert_eq!((status.good.unwrap().commit, &status.bad.last().unwrap().commit), (good, &bad));
        self.until_web_says("start two");
        let said = self.web();
        assert!(said[0] == "start bad" && said.last().unwrap() == "start two", "{said:?}\n{log}");

        // The agent is told by its manager, as a person would.
        let good = self.commit("three", "two", "300ms");
        self.does(ask);
        self.room.until("the commit is taken", || {
            self.status().is_some_and(|status| status.good.is_some_and(|last| last.commit == good))
        });
        self.until_web_says("hup three");
        self.web();

        // What somebody has stopped is left alone, and that is said.
        self.does(stop);
        let good = self.commit("four", "four", "300ms");
        let answer = self.sync();
        assert!(answer.message.contains("service web: does not run"), "{}", answer.message);
        assert_eq!(answer.status.good.unwrap().commit, good);
        assert_eq!(fs::read_to_string(self.room.inside("/etc/web/key")).unwrap(), "four\n");
        assert!(self.web().is_empty());
    }
}

#[test]
fn runit_runs_the_agent_which_reloads_and_restarts_a_service_of_runit() {
    let mut world = World::new("runit");
    for program in ["runsvdir", "runsv", "sv"] {
        world.room.link(&format!("/usr/local/bin/{program}"), &servers::path(program));
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/runit/bulla-host");
    world.room.copy(&shipped, "/etc/sv/bulla-host");
    // Not before `web` runs.
    world.room.write("/etc/sv/bulla-host/down", "");
    world.room.script("/etc/sv/web/run", "#!/bin/sh\nexec 2>&1 web\n");
    for service in ["bulla-host", "web"] {
        world.room.link(&format!("/etc/service/{service}"), &Path::new("/etc/sv").join(service));
    }
    world.commit("one", "one", "300ms");
    world.room.start(&["runsvdir", "/etc/service"]);
    world.until_web_says("start none");
    world.does(&["sv", "start", "bulla-host"]);
    world.story(&["sv", "hup", "bulla-host"], &["sv", "stop", "web"]);

    // An agent that is killed is started again.
    let before = world.does(&["sv", "status", "bulla-host"]);
    world.does(&["sv", "kill", "bulla-host"]);
    world.room.until("another agent answers", || {
        world.does(&["sv", "status", "bulla-host"]).split(')').next() != before.split(')').next() && world.answers()
    });
    // Its words went to syslog by its own script.
    assert!(world.log().contains("bulla-host: "), "{}", world.log());
    // Without it the files stay.
    world.does(&["sv", "stop", "bulla-host"]);
    assert!(!world.answers());
    assert_eq!(fs::read_to_string(world.room.inside("/etc/web/key")).unwrap(), "four\n");
}

#[test]
fn openrc_runs_the_agent_which_reloads_and_restarts_a_service_of_openrc() {
    let mut world = World::new("openrc");
    let openrc = servers::path("openrc");
    for folder in ["bin", "sbin", "lib", "usr", "etc"] {
        world.room.copy(&openrc.join(folder), &format!("/{folder}"));
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/openrc/bulla-host");
    world.room.script("/etc/init.d/bulla-host", &fs::read_to_string(shipped).unwrap());
    world.room.script("/etc/init.d/localmount", "#!/sbin/openrc-run\nstart() {\n\treturn 0\n}\n");
    let web = "#!/sbin/openrc-run\nsupervisor=supervise-daemon\ncommand=/usr/local/bin/web\nrespawn_delay=1\nrespawn_max=1\n\
               extra_started_commands=reload\nreload() {\n\tsupervise-daemon \"$RC_SVCNAME\" --signal HUP\n}\n";
    world.room.script("/etc/init.d/web", web);
    // What its first stage makes at boot, and what Debian's build of it reads.
    for state in ["started", "starting", "stopping", "inactive", "wasinactive", "failed", "scheduled", "hotplugged"] {
        world.room.folder(&format!("/run/openrc/{state}"), 0o755);
    }
    for state in ["exclusive", "daemons", "options", "tmp"] {
        world.room.folder(&format!("/run/openrc/{state}"), 0o755);
    }
    world.room.write("/run/openrc/softlevel", "default\n");
    world.room.folder("/etc/runlevels/default", 0o755);
    world.room.write("/etc/insserv.conf", "");
    world.room.folder("/etc/insserv.conf.d", 0o755);
    // Its `output_logger` is only for newer ones than Debian's: the administrator's file says it in the old way.
    world.room.write("/etc/conf.d/bulla-host", "output_log=/run/agent.log\nerror_log=/run/agent.log\n");
    world.commit("one", "one", "300ms");
    world.room.start(&["sh", "-c", "while :; do sleep 0.2; done"]);

    world.does(&["rc-service", "web", "start"]);
    world.until_web_says("start none");
    world.does(&["rc-service", "bulla-host", "start"]);
    world.story(&["rc-service", "bulla-host", "reload"], &["rc-service", "web", "stop"]);

    // The folders are as the script makes them.
    for (folder, mode) in [("/run/bulla", 0o751), ("/var/lib/bulla", 0o700)] {
        use std::os::unix::fs::PermissionsExt as _;
        let about = fs::metadata(world.room.inside(folder)).unwrap();
        assert_eq!(about.permissions().mode() & 0o7777, mode, "{folder}");
    }
    world.does(&["rc-service", "bulla-host", "stop"]);
    assert!(!world.answers());
    assert_eq!(fs::read_to_string(world.room.inside("/etc/web/key")).unwrap(), "four\n");
    // Without settings it does not start, and says why.
    world.does(&["mv", "/etc/bulla/host.yaml", "/etc/bulla/away"]);
    let out = world.room.command(&["rc-service", "bulla-host", "start"]);
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(!out.status.success() && said.contains("/etc/bulla/host.yaml"), "{said}");
}
