//! The Debian package: built by `deploy/deb/build` from the programs of this build, read by dpkg-deb, and installed,
//! upgraded, removed and purged on a machine of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bulla::seal::{self, Binding, Recipient, Scope};
use bulla::secret::Plaintext;

use crate::units::machine::{Machine, wanting};

const TOKEN: &str = "a-token-in-a-package";
/// Makes what of the machine's read-only /usr the package is unpacked into writable there, and a list of packages with
/// one in it: that has those folders, which dpkg would remove with their last package, and what ours depends on. A
/// container has a policy that no service is started, which is not the machine's.
const FURNISH: &str = "set -e; for folder in bin share lib/systemd/user; do over=/run/over/$folder; \
                       mkdir -p $over/up $over/work; \
                       mount -t overlay overlay -o lowerdir=/usr/$folder,upperdir=$over/up,workdir=$over/work /usr/$folder; \
                       done; mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates; \
                       printf 'Package: base\\nStatus: install ok installed\\nMaintainer: Sam <sam@example.com>\\nArchitecture: all\\nVersion: 1\\nProvides: git, mount, libc6 (= 99), libgcc-s1 (= 99)\\nDescription: a machine\\n' > /var/lib/dpkg/status; \
                       printf '/.\\n/usr\\n/usr/bin\\n/usr/share\\n/usr/lib\\n/usr/lib/systemd\\n/usr/lib/systemd/system\\n/usr/lib/systemd/user\\n' > /var/lib/dpkg/info/base.list; \
                       policy=/usr/sbin/policy-rc.d; [ ! -e $policy ] || mount --bind /dev/null $policy";

/// The package, made once.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let binaries = Path::new(env!("CARGO_BIN_EXE_bulla-controller")).parent().unwrap();
        assert!(binaries.join("bulla").is_file(), "{} has no `bulla`: cargo build -p bulla-cli", binaries.display());
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deb");
        fs::remove_dir_all(&output).ok();
        let mut build = Command::new(root.join("deploy/deb/build"));
        build.arg("--fast").arg("--binaries").arg(binaries).arg("--output").arg(&output);
        let built = build.output().unwrap_or_else(|error| panic!("deploy/deb/build needs Python 3: {error}"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let package = String::from_utf8(built.stdout).unwrap().trim().to_owned();
        assert!(package.ends_with(".deb"), "{package}");
        PathBuf::from(package)
    })
}

fn dpkg_deb(arguments: &[&str]) -> String {
    let output = Command::new("dpkg-deb").args(arguments).arg(package()).env("LC_ALL", "C").output();
    let output = output.expect("dpkg-deb is needed: install the package `dpkg`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_package_holds_the_programs_units_manual_and_completions_and_no_settings() {
    let listed = dpkg_deb(&["--contents"]);
    let entries: Vec<(&str, &str, &str)> = listed
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0], words[1], words[5].trim_start_matches('.'))
        })
        .collect();
    for (mode, owner, path) in &entries {
        assert!(["0/0", "root/root"].contains(owner), "{path} is of {owner}");
        let is_program = path.starts_with("/usr/bin/") && !path.ends_with('/');
        let expected = if is_program || mode.starts_with('d') { "rwxr-xr-x" } else { "rw-r--r--" };
        assert_eq!(&mode[1..], expected, "{path}");
        assert!(path.starts_with("/usr/"), "{path}: settings are what enroll makes");
    }
    let programs: Vec<&str> = entries
        .iter()
        .map(|(.., path)| *path)
        .filter(|path| path.starts_with("/usr/bin/") && !path.ends_with('/'))
        .collect();
    assert_eq!(programs.len(), 2, "{programs:?}");
    for path in [
        "/usr/bin/bulla",
        "/usr/bin/bulla-controller",
        "/usr/lib/systemd/system/bulla-host.service",
        "/usr/lib/systemd/system/bulla-host-boot.service",
        "/usr/lib/systemd/user/bulla-host.service",
        "/usr/share/man/man1/bulla.1.gz",
        "/usr/share/man/man1/bulla-host-enroll.1.gz",
        "/usr/share/man/man1/bulla-controller.1.gz",
        "/usr/share/bash-completion/completions/bulla",
        "/usr/share/zsh/vendor-completions/_bulla",
        "/usr/share/fish/vendor_completions.d/bulla.fish",
        "/usr/share/doc/bulla-host/copyright",
        "/usr/share/doc/bulla-host/changelog.gz",
        "/usr/share/doc/bulla-host/changelog.Debian.gz",
        "/usr/share/doc/bulla-host/host.md",
        "/usr/share/doc/bulla-host/examples/host.yaml",
    ] {
        assert!(entries.iter().any(|(.., there)| *there == path), "no {path} in\n{listed}");
    }
    let field = |name: &str| {
        let output = Command::new("dpkg-deb").arg("--field").arg(package()).arg(name).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(field("Package"), "bulla-host");
    assert_eq!(field("Version"), format!("{}-1", env!("CARGO_PKG_VERSION")));
    for needed in ["git", "mount", "libc6"] {
        assert!(field("Depends").split(", ").any(|it| it.starts_with(needed)), "{}", field("Depends"));
    }
    let synopsis = field("Description").lines().next().unwrap().to_owned();
    assert!(synopsis.len() < 80, "{synopsis}");
}

#[test]
fn systemd_takes_the_units_where_the_package_puts_them() {
    let root = tempfile::tempdir().unwrap();
    let unpacked = Command::new("dpkg-deb").arg("-x").arg(package()).arg(root.path()).status().unwrap();
    assert!(unpacked.success());
    let units = root.path().join("usr/lib/systemd/system");
    for target in ["basic", "sysinit", "multi-user", "default", "network-online", "shutdown", "local-fs", "sockets"] {
        fs::write(units.join(format!("{target}.target")), "[Unit]\nDescription=A target\n").unwrap();
    }
    fs::create_dir(root.path().join("bin")).unwrap();
    fs::write(root.path().join("bin/kill"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.path().join("bin/kill"), fs::Permissions::from_mode(0o755)).unwrap();
    for unit in ["bulla-host.service", "bulla-host-boot.service"] {
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no"]).arg(format!("--root={}", root.path().display())).arg(unit);
        let output = verify.output().expect("systemd-analyze is needed: install the package `systemd`");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "{unit}: {said}");
    }
}

/// A machine with nothing of Bulla on it but the package in `/srv` and a repository that it may follow.
struct Host {
    machine: Machine,
    folder: tempfile::TempDir,
}

impl Host {
    async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("bulla-test-").tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["furniture/etc", "furniture/sbin", "furniture/var", "srv"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        std::os::unix::fs::symlink(at("srv"), at("furniture/srv")).unwrap();
        fs::copy(package(), at("srv/bulla-host.deb")).unwrap();
        let machine = Machine::furnished(&[], &at("furniture")).await;
        // A device takes mknod, which the machine may not do.
        let drop_in = machine.run().join("systemd/system/bulla-host.service.d");
        fs::create_dir_all(&drop_in).unwrap();
        let text =
            "[Service]\nPrivateDevices=no\nStandardOutput=append:/run/agent.log\nStandardError=append:/run/agent.log\n";
        fs::write(drop_in.join("test.conf"), text).unwrap();
        let host = Self { machine, folder };
        host.says(&["sh", "-c", FURNISH]);
        host
    }

    /// What a program inside says, on both its outputs; it must end well.
    fn says(&self, argv: &[&str]) -> String {
        let output = self.machine.command(argv).env("LC_ALL", "C").output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        assert!(output.status.success(), "{argv:?}: {said}\n{}", self.log());
        said
    }

    fn log(&self) -> String {
        let agent = fs::read_to_string(self.machine.run().join("agent.log")).unwrap_or_default();
        format!("{agent}\n{}", self.machine.said())
    }

    fn dpkg(&self, arguments: &[&str]) -> String {
        // Nothing here outlives the test.
        self.says(&[&["dpkg", "--force-unsafe-io"], arguments].concat())
    }

    /// Whether a unit is active, enabled: what systemctl answers in one word.
    fn unit(&self, question: &str) -> String {
        let output = self.machine.command(&["systemctl", question, "bulla-host.service"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn main_pid(&self) -> String {
        self.says(&["systemctl", "show", "-P", "MainPID", "bulla-host.service"])
    }

    /// The declared file's content, as a service sees it.
    fn token(&self) -> Option<String> {
        let output = self.machine.command(&["cat", "/etc/app/token"]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn is_there(&self, path: &str) -> bool {
        self.machine.command(&["test", "-e", path]).status().unwrap().success()
    }

    /// A repository that declares one file, from a value that is sealed to this host.
    fn repository(&self, recipient: &Recipient) {
        let folder = self.folder.path().join("srv/infra");
        fs::create_dir_all(folder.join("hosts/frodo")).unwrap();
        let place = seal::Place { namespace: "frodo", name: "app", key: "token" };
        let binding = Binding::new(Scope::Strict, place, jiff::civil::date(2026, 11, 21));
        let sealed = seal::seal(std::slice::from_ref(recipient), &Plaintext::from(TOKEN.to_owned()), &binding).unwrap();
        let text = format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: app, namespace: frodo}}\n\
             spec: {{encryptedData: {{token: {sealed}}}}}\n---\n\
             apiVersion: bulla.dev/v1alpha1\nkind: Host\nmetadata: {{name: frodo, namespace: frodo}}\n\
             spec: {{files: [{{path: /etc/app/token, secret: {{name: app, key: token}}}}]}}\n"
        );
        fs::write(folder.join("hosts/frodo/host.yaml"), text).unwrap();
        for arguments in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-q", "-m", "A host"]] {
            let identity = ["-c", "user.name=Sam", "-c", "user.email=sam@example.com", "-c", "commit.gpgsign=false"];
            let done = Command::new("git").args(identity).args(arguments).current_dir(&folder).status().unwrap();
            assert!(done.success(), "git {arguments:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_is_installed_upgraded_removed_and_purged_and_no_key_is_lost_by_it() {
    if wanting().is_some() {
        return;
    }
    let host = Host::start().await;

    // Installed, nothing runs: there are no settings yet.
    host.dpkg(&["--install", "/srv/bulla-host.deb"]);
    assert_eq!((host.unit("is-enabled"), host.unit("is-active")), ("disabled".to_owned(), "inactive".to_owned()));
    assert!(host.says(&["bulla-controller", "--version"]).ends_with(env!("CARGO_PKG_VERSION")));
    let answer = host.says(&["bulla", "host", "enroll", "--url", "/srv/infra", "--name", "frodo", "--output", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let recipient = answer["recipient"].as_str().unwrap();
    host.repository(&recipient.parse().unwrap());
    host.says(&["systemctl", "enable", "--now", "bulla-host.service"]);
    assert_eq!(host.token().as_deref(), Some(TOKEN), "{}", host.log());
    host.says(&["bulla", "host", "status"]);

    // An upgrade starts the agent again; the file is there all the time.
    let before = host.main_pid();
    host.dpkg(&["--install", "/srv/bulla-host.deb"]);
    let until = Instant::now() + Duration::from_secs(60);
    while host.unit("is-active") != "active" {
        assert!(Instant::now() < until, "{}", host.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_ne!(host.main_pid(), before, "the old program still runs");
    assert_eq!(host.token().as_deref(), Some(TOKEN));

    // Removed: services keep what they read.
    host.dpkg(&["--remove", "bulla-host"]);
    assert_ne!(host.unit("is-active"), "active");
    assert!(!host.is_there("/usr/bin/bulla-controller") && host.is_there("/etc/bulla/host.yaml"));
    assert_eq!(host.token().as_deref(), Some(TOKEN));

    // Purged: what can be made again is gone; what cannot is named.
    let said = host.dpkg(&["--purge", "bulla-host"]);
    assert!(said.contains("kept") && said.contains("/etc/bulla/host.key"), "{said}");
    assert!(said.contains("  /etc/app/token") && said.contains("after the next boot"), "{said}");
    for gone in
        ["/var/lib/bulla", "/etc/bulla/host.yaml", "/etc/systemd/system/multi-user.target.wants/bulla-host.service"]
    {
        assert!(!host.is_there(gone), "{gone} is left");
    }
    assert_eq!(host.token().as_deref(), Some(TOKEN), "a service may be reading it");

    // And back: it is the same host.
    host.dpkg(&["--install", "/srv/bulla-host.deb"]);
    let answer = host.says(&["bulla", "host", "enroll", "--url", "/srv/infra", "--name", "frodo", "--output", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["recipient"], &answer["madeKey"]), (&recipient.into(), &false.into()));
    host.says(&["systemctl", "enable", "--now", "bulla-host.service"]);
    host.says(&["bulla", "host", "status"]);
}
