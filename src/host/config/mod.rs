//! The agent's settings, `/etc/bulla/host.yaml`: who this host is, what it follows, and what it lets the repository do.
//!
//! The settings are the host's own word; everything else comes from the repository and is checked against them. A field
//! that nobody knows is an error: a misspelt restriction must not be none.

mod read;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use self::read::ConfigError;
use self::read::{duration, duration_or_none};

/// Where the settings are unless something else is said: `/etc/bulla/host.yaml`, and `$XDG_CONFIG_HOME/bulla/host.yaml`
/// for whoever is not root.
#[must_use]
pub fn default_file() -> PathBuf {
    own("XDG_CONFIG_HOME", ".config")
        .map_or_else(|| PathBuf::from("/etc/bulla"), |folder| folder.join("bulla"))
        .join("host.yaml")
}

/// A folder of the user's own, as the XDG Base Directory Specification has it; nothing for root.
fn own(variable: &str, below_home: &str) -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return None;
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}

/// The settings of a host's agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// What Host documents call this host, and a namespace of its secrets [default: the host name up to the first dot].
    #[serde(default)]
    pub name: String,
    /// The groups that it is in: namespaces of its secrets too.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Files with the age identities (or RSA keys) that open its secrets, readable by nobody else.
    pub identities: Vec<PathBuf>,
    /// What it follows.
    pub repository: RepositorySettings,
    /// What must survive a reboot: the clone, the last good commit, values from elsewhere (encrypted)
    /// [default: `/var/lib/bulla`; for whoever is not root `$XDG_STATE_HOME/bulla`].
    #[serde(default = "Config::default_state")]
    pub state: PathBuf,
    /// Where files are, on tmpfs [default: `/run/bulla`; for whoever is not root `$XDG_RUNTIME_DIR/bulla`].
    #[serde(default = "Config::default_run")]
    pub run: PathBuf,
    /// Declared paths are below it.
    #[serde(default = "Config::default_root")]
    pub root: PathBuf,
    /// How many generations are kept, at least 2.
    #[serde(default = "Config::default_keep")]
    pub keep: usize,
    /// Run although `run` is on a disk: plaintext may then stay there for ever.
    #[serde(default)]
    pub allow_disk: bool,
    /// What the repository may do.
    #[serde(default)]
    pub allow: Allow,
    /// Who starts and stops services.
    #[serde(default)]
    pub manager: ManagerKind,
    /// The folder that the paths of `file` stores are in.
    #[serde(default)]
    pub file_stores: Option<PathBuf>,
    /// Hand-made changes.
    #[serde(default)]
    pub drift: Drift,
    /// Where a push is told: an HTTP endpoint.
    #[serde(default)]
    pub hook: Option<Hook>,
    /// Prometheus.
    #[serde(default)]
    pub metrics: Metrics,
    /// Who is told of failures and recoveries.
    #[serde(default)]
    pub notify: Option<Notify>,
}

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositorySettings {
    /// `https://…`, `ssh://…` or `user@host:path`, a path, or a bundle file (`….bundle`).
    pub url: String,
    /// The branch.
    #[serde(default = "RepositorySettings::default_branch")]
    pub branch: String,
    /// Only this folder of the repository counts.
    #[serde(default)]
    pub path: PathBuf,
    /// How often it is asked for something new; up to a tenth is added or taken by chance. `0s`: only when told.
    #[serde(default = "RepositorySettings::default_poll", deserialize_with = "duration")]
    pub poll: Duration,
    /// How long one fetch may take.
    #[serde(default = "RepositorySettings::default_timeout", deserialize_with = "duration")]
    pub timeout: Duration,
    /// How it shows who it is over https and ssh.
    #[serde(default)]
    pub access: Access,
    /// Whose commits are taken.
    #[serde(default)]
    pub signatures: Option<Signatures>,
}

/// How the agent shows who it is, and knows the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Access {
    /// User name over https [default: `git`].
    pub username: Option<String>,
    /// A file with the password or token.
    pub password_file: Option<PathBuf>,
    /// A private key for ssh.
    pub ssh_key: Option<PathBuf>,
    /// The servers' keys for ssh; without it those that the system knows. An unknown server is refused.
    pub known_hosts: Option<PathBuf>,
    /// Certificates of authorities for https, PEM.
    pub ca_file: Option<PathBuf>,
    /// A proxy for https.
    pub proxy: Option<String>,
}

/// Whose commits are taken: every commit since the last good one must be signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signatures {
    /// ssh's `allowed_signers` file.
    #[serde(default)]
    pub allowed_signers: Option<PathBuf>,
    /// A file of ssh keys that are good no more, or a key revocation list.
    #[serde(default)]
    pub revoked: Option<PathBuf>,
    /// OpenPGP: a home of GnuPG with the public keys, a file of them as `gpg --export` writes it, or a folder of such
    /// files.
    #[serde(default)]
    pub gpg_home: Option<PathBuf>,
    /// The commit that the first clone must have; everything after it must be signed. Without it the first clone's tip
    /// must be.
    #[serde(default)]
    pub anchor: Option<String>,
}

/// What the repository may do on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Allow {
    /// Globs of the paths that may be declared [default: everything but `/proc`, `/sys`, `/dev` and the agent's own].
    pub paths: Option<Vec<String>>,
    /// Globs of the units that may be told, started and stopped, and have files and credentials [default: all]. A file
    /// below a folder of systemd is of the unit that its name, or its folder `UNIT.d`, says.
    pub units: Option<Vec<String>>,
    /// Whether commands of the repository run: `validate`, `commands` and `health.command`, and what runs commands:
    /// cron jobs, unit files, and any file where the machine takes commands, units, libraries or logins from
    /// [default: they do]. If not, no unit is enabled, started or stopped either, and `paths` must be named.
    pub commands: Option<bool>,
    /// Stores that ExternalSecrets may ask: globs of the addresses of `vault` and `openBao`, and the words `aws` (with
    /// credentials in the store), `aws-ambient` (without: the machine's own role), `file` and `fake` [default: all if
    /// nothing else of `allow` is set, or else `file` and `fake`]. Who may commit may have every sealed value of the
    /// host's groups sent to a store that is admitted.
    pub stores: Option<Vec<String>>,
}

/// Who starts and stops services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ManagerKind {
    /// What runs here.
    #[default]
    Auto,
    /// systemd.
    Systemd,
    /// The user's systemd.
    SystemdUser,
    /// OpenRC.
    Openrc,
    /// runit.
    Runit,
    /// Nobody: only services with commands are told.
    None,
}

/// What becomes of changes by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Drift {
    /// Whether they are put back; they are told in any case.
    pub repair: bool,
    /// How often everything is compared, besides what the kernel tells at once.
    #[serde(deserialize_with = "duration")]
    pub every: Duration,
}

/// Where a push is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// `ADDRESS:PORT`; `POST /hook` there.
    pub listen: SocketAddr,
    /// A file with the secret: `X-Hub-Signature-256` (GitHub, Forgejo), `X-Gitlab-Token`, or a bearer token.
    pub secret_file: PathBuf,
}

/// Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Metrics {
    /// `ADDRESS:PORT`; `GET /metrics` and `/healthz` there.
    pub listen: Option<SocketAddr>,
    /// A file for node_exporter's textfile collector.
    pub textfile: Option<PathBuf>,
}

/// Who is told of failures and recoveries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notify {
    /// A file with the URL of a webhook that takes JSON (`text` is there for Slack); the URL is a secret.
    pub webhook_file: PathBuf,
    /// A file with the key that posts are signed with, `X-Bulla-Signature-256`.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Not more often than this for one and the same failure [default: 1 h].
    #[serde(default, deserialize_with = "duration_or_none")]
    pub every: Option<Duration>,
}

impl Config {
    fn default_state() -> PathBuf {
        own("XDG_STATE_HOME", ".local/state").map_or_else(|| PathBuf::from("/var/lib/bulla"), |own| own.join("bulla"))
    }

    fn default_run() -> PathBuf {
        own("XDG_RUNTIME_DIR", ".local/run").map_or_else(|| PathBuf::from("/run/bulla"), |own| own.join("bulla"))
    }

    fn default_root() -> PathBuf {
        PathBuf::from("/")
    }

    const fn default_keep() -> usize {
        3
    }

    /// What the repository may never declare: the settings in `file`, and the keys and folders of the agent.
    #[must_use]
    pub fn own_paths(&self, file: &Path) -> Vec<PathBuf> {
        let access = &self.repository.access;
        let files = [&access.password_file, &access.ssh_key, &access.known_hosts, &access.ca_file];
        let signatures = self.repository.signatures.as_ref();
        let signers =
            signatures.map(|signatures| [&signatures.allowed_signers, &signatures.revoked, &signatures.gpg_home]);
        let hook = self.hook.as_ref().map(|hook| &hook.secret_file);
        let notify = self.notify.as_ref();
        let all = [&self.state, &self.run].into_iter().chain(&self.identities);
        let all = all.chain(files.into_iter().flatten()).chain(signers.into_iter().flatten().flatten());
        let all = all.chain(hook).chain(notify.map(|notify| &notify.webhook_file));
        let all = all.chain(notify.and_then(|notify| notify.key_file.as_ref()));
        all.map(PathBuf::as_path).chain([file]).map(Path::to_path_buf).collect()
    }
}

impl RepositorySettings {
    fn default_branch() -> String {
        "main".to_owned()
    }

    const fn default_poll() -> Duration {
        Duration::from_secs(60)
    }

    const fn default_timeout() -> Duration {
        Duration::from_secs(120)
    }
}

impl Default for Drift {
    fn default() -> Self {
        Self { repair: true, every: Duration::from_secs(300) }
    }
}
