//! A host of the example without a systemd: an agent and an nginx of the test's own, below a folder, told by commands.
//!
//! It needs neither root nor a service manager. Only what such a host has in another way is changed in its documents:
//! where `/etc`, `/run` and `/var` are, the commands of nginx, users that are not known here; and there are no units.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bulla::seal::Identity;
use jiff::Timestamp;

use super::world::{STOCK, World};
use crate::servers::leash::{End, Leash};
use crate::servers::servers;

/// Both processes, gone when it is dropped.
pub(crate) struct Folder {
    agent: Leash,
    nginx: Leash,
    root: PathBuf,
    /// On a tmpfs.
    run: tempfile::TempDir,
}

impl World {
    /// The root of such a host; its name is in it, as the documents that both share have it.
    fn root(&self, name: &str) -> PathBuf {
        self.path("hosts").join(name)
    }

    /// What the documents of both say of the machine.
    pub(super) fn adapt_to_folders(&self) {
        let root = self.root("{{ .host.name }}").display().to_string();
        let nginx = "hosts/web/nginx.conf";
        for folder in ["/etc/nginx/", "/run/", "/var/log/nginx/"] {
            self.adapt(nginx, &format!(" {folder}"), &format!(" {root}{folder}"));
        }
        self.adapt(nginx, "http {\n", &with_folders("http {\n", &root));
        // Others are not known in the user namespace that `nginx -t` runs in where this is not root; elsewhere it is ignored.
        self.adapt(nginx, "user www-data;", "user root;");
        self.adapt("hosts/web/host.yaml", "    group: www-data\n", "");
        self.adapt("hosts/web/host.yaml", "    owner: backup\n", "");
        self.adapt(
            "hosts/web/host.yaml",
            "  units:\n  - name: nginx.service.d/bulla.conf\n    source: nginx.service.conf\n",
            "",
        );
        self.adapt("hosts/frodo/host.yaml", "  units:\n  - name: cache.container\n    source: cache.container\n", "");
        let quadlet = "  # Podman makes cache.service of the Quadlet; it is told once it runs.\n  - name: cache\n    \
                       restartOn: [\"/etc/containers/systemd/cache.container\"]\n";
        self.adapt("hosts/frodo/host.yaml", quadlet, "");
        for name in ["frodo", "camelot"] {
            let document = format!("hosts/{name}/host.yaml");
            let commands = format!(
                "    validate: {}\n    commands:\n      reload: {}\n      restart: {}\n      status: [sh, -c, 'kill -0 $(cat {})']\n",
                self.nginx(name, &["-t"]),
                self.nginx(name, &["-s", "reload"]),
                self.nginx(name, &["-s", "reload"]),
                self.root(name).join("run/nginx.pid").display(),
            );
            self.adapt(&document, "    validate: [nginx, -t]\n", &commands);
        }
    }

    /// nginx of the host with its configuration, as YAML.
    fn nginx(&self, name: &str, more: &[&str]) -> String {
        let conf = self.root(name).join("etc/nginx/nginx.conf").display().to_string();
        let program = servers::path("nginx").display().to_string();
        let words = [&[program.as_str(), "-e", "stderr", "-c", &conf], more].concat();
        serde_json::to_string(&words).unwrap()
    }

    /// A host as it is before Bulla, with an agent that is enrolled.
    pub(super) fn folder(&self, name: &str, key: &Identity) -> Folder {
        let root = self.root(name);
        let at = |path: &str| root.join(path);
        for folder in ["etc/nginx", "etc/bulla", "run", "var/log/nginx", "var/lib"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let run = tempfile::Builder::new().prefix("bulla-test-").tempdir_in("/dev/shm").unwrap();
        let stock = STOCK.replace("http {\n", "http {\n    access_log off;\n");
        let stock = with_folders(&stock, &root.display().to_string());
        let stock = stock.replace(" /run/", &format!(" {}/run/", root.display()));
        let stock = stock.replace("unix:/run/", &format!("unix:{}/", run.path().display()));
        fs::write(at("etc/nginx/nginx.conf"), format!("error_log stderr;\n{stock}")).unwrap();
        let settings = format!(
            "name: {name}\ngroups: [web]\nidentities: [host.key]\nrepository: {{url: {}, poll: 0s}}\nmanager: none\n\
             root: {}\nstate: {}\nrun: {}\n",
            self.path("srv/infra.git").display(),
            root.display(),
            at("var/lib/bulla").display(),
            run.path().join("bulla").display()
        );
        fs::write(at("etc/bulla/host.yaml"), settings).unwrap();
        fs::write(at("etc/bulla/host.key"), key.to_file_text(Timestamp::now()).unwrap().as_bytes()).unwrap();
        fs::set_permissions(at("etc/bulla/host.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let conf = at("etc/nginx/nginx.conf").display().to_string();
        let mut command = Command::new(servers::path("nginx"));
        let nginx = command.args(["-e", "stderr", "-c", conf.as_str(), "-g", "daemon off;"]);
        let end = End { grace: Duration::from_secs(2), remove: None };
        let mut nginx = Leash::spawn("nginx", nginx, &at("nginx.log"), end);
        while !at("run/nginx.pid").exists() {
            assert!(nginx.ended().is_none(), "{}", nginx.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulla-controller"));
        let agent = command.arg("host").arg("--config").arg(at("etc/bulla/host.yaml"));
        let agent = Leash::spawn("agent", agent, &at("agent.log"), end);
        Folder { agent, nginx, root, run }
    }
}

/// nginx' configuration with folders for what it keeps: those that it was built with are a package's.
fn with_folders(configuration: &str, root: &str) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders = kinds.map(|kind| format!("    {kind}_temp_path {root}/var/{kind};\n")).concat();
    configuration.replace("http {\n", &format!("http {{\n{folders}"))
}

impl Folder {
    /// What is `/run` on a machine.
    pub(crate) fn run(&self) -> PathBuf {
        self.run.path().to_path_buf()
    }

    /// A file of the host.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path).strip_prefix("/").unwrap())
    }

    /// What its agent and its nginx said.
    pub(crate) fn said(&self) -> String {
        format!("{}\n{}", self.agent.log(), self.nginx.log())
    }
}
