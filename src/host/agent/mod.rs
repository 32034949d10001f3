//! The agent: follows the repository, and keeps the host as it says.
//!
//! | module | what it is |
//! | --- | --- |
//! | `run` | the loop: what wakes the agent, and what it does then |
//! | `pass` | one look at the repository: fetch, judge, take |
//! | `take` | one commit: declare, stage, validate, flip, tell, prove, or go back |
//! | `back` | the way back from a commit that did not prove well |
//! | `wake` | what wakes the agent, and what it does beside what takes long |
//! | `preview` | what would be done |
//! | `exposed` | secrets that others than those who need them can have |
//! | `drift` | changes by hand, found and put back |
//! | `allow` | what the settings let the repository do |
//! | `state` | what must be known after a reboot |
//! | `systemd` | what systemd is told |
//! | `status` | what the agent says about itself |
//! | `control` | how `bulla host` talks to it |
//! | `listeners` | HTTP: the push hook, metrics |
//! | `metrics` | the status in Prometheus' words |
//! | `handed` | which credentials the units have in use |
//! | `untold` | changes of files that services were not told of yet |
//! | `words` | from the words of one part to those of the next |
//! | `notify` | a webhook is told when something goes wrong, and when it is well again |

mod allow;
mod back;
mod control;
mod drift;
mod exposed;
mod handed;
mod listeners;
mod metrics;
mod notify;
mod pass;
mod preview;
mod run;
mod state;
mod status;
mod systemd;
mod take;
mod untold;
mod wake;
mod words;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use self::allow::Rules;
pub use self::control::{Answer, Request, ask};
use self::handed::Handed;
use self::notify::Teller;
pub use self::preview::{Preview, dry_run};
pub use self::run::{Once, follow, once};
pub use self::state::{After, Bad, Good, State};
pub use self::status::{Condition, FileStatus, ServiceStatus, Status};
use self::wake::{Under, Wakes};
use super::config::{Config, ConfigError};
use super::credentials::Credentials;
use super::declared::external::{self, External};
use super::declared::{Folders, Who};
use super::desired::Service;
use super::repository::{self, CommitId, Repository};
use super::sink::{self, Sink};
use super::units::{self, Manager};
use crate::seal::Keyring;

/// Why the agent cannot begin, or ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings, or a key.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting that cannot be followed.
    #[error("{0}")]
    Setting(String),
    /// The run folder, or a file.
    #[error(transparent)]
    Sink(#[from] sink::Error),
    /// The clone.
    #[error(transparent)]
    Repository(#[from] repository::OpenError),
    /// A file or socket of the agent's own.
    #[error("{doing}")]
    Io {
        /// What was to be done.
        doing: String,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        |source| Self::Io { doing: doing.into(), source }
    }
}

/// The agent of a host.
pub struct Agent {
    config: Config,
    rules: Rules,
    who: Who,
    keyring: Arc<Keyring>,
    repository: Arc<Repository>,
    sink: Arc<Mutex<Sink>>,
    manager: Arc<Manager>,
    external: External,
    credentials: Credentials,
    handed: Handed,
    teller: Option<Teller>,
    state: State,
    status: Status,
    /// The services of the generation in use: they are told when it is gone back to.
    services: Vec<Service>,
    /// The commit that this agent itself has read: what it asks for besides files is in memory only.
    known: Option<CommitId>,
    /// Changes of files that services were not told of yet: an earlier agent was killed between the flip and that.
    untold: Vec<units::Change>,
    /// A tip that may be taken although it is no descendant of the last good commit.
    accepted: Option<CommitId>,
    /// Only files are put in place, from the clone: no command of the repository runs and no service is told. That is
    /// early at boot, where a job for a service would wait for us, and a validate command for the network.
    files_only: bool,
    /// When values from elsewhere are due.
    refresh: Option<tokio::time::Instant>,
    /// How long to wait after values that could not be taken.
    pause: Duration,
    /// What wakes it; one pass has nobody to listen to.
    wakes: Option<Wakes>,
    /// What is under way.
    under: Under,
    /// Who ended the trial of a commit, and waits for the answer.
    ended_by: Vec<control::Asked>,
    /// systemd knows that it is up.
    is_ready: bool,
}

impl Agent {
    /// Opens everything that the agent needs: folders, keys, the clone, the service manager. An interrupted flip is
    /// finished or undone here. `file` is where the settings are.
    ///
    /// # Errors
    /// See [`Error`]: nothing was changed then but folders of the agent's own.
    pub async fn open(config: Config, file: &Path) -> Result<Self, Error> {
        let rules = Rules::new(&config.allow, config.own_paths(file)).map_err(Error::Setting)?;
        let admitted = external::Admitted::new(&config.allow).map_err(Error::Setting)?;
        let keyring = Arc::new(config.keyring()?);
        make_folder(&config.state)?;
        let settings = sink::Settings {
            run: config.run.clone(),
            root: config.root.clone(),
            state: config.state.clone(),
            keep: config.keep,
            storage: if config.allow_disk { sink::Storage::Any } else { sink::Storage::Memory },
            policy: rules.policy().clone(),
            probe: sink::Probe::default(),
        };
        let (sink, settled) = blocking(move || Sink::open(settings)).await?;
        sink.warnings().iter().for_each(|warning| warn!("{warning}"));
        settled.problems.iter().for_each(|problem| warn!("{problem}"));
        let repository = Arc::new(Repository::open(repository_settings(&config)?).await?);
        let manager = Arc::new(Manager::connect(&units::Settings::new(config.manager)).await);
        let external = External::new(external::Settings {
            state: Some(config.state.clone()),
            file_stores: config.file_stores.clone(),
            admitted,
            ..external::Settings::new(&config.name, Arc::clone(&keyring))
        });
        let credentials = Credentials::default();
        let (mut state, problem) = State::load(&config.state).map_err(Error::io("cannot read the agent's state"))?;
        problem.iter().for_each(|problem| warn!("{problem}"));
        if state.good.is_none()
            && let Some(good) = repository.remembered().await
        {
            // Without the state, the clone knows what the host had: what comes must descend from it.
            state.good = Some(Good { commit: good.to_string(), since: Timestamp::now() });
        }
        let untold = untold::read(&config.run);
        let handed = Handed::read(&config.run, sink.digest_key());
        let who = Who { name: config.name.clone(), groups: config.groups.clone(), folders: folders(&config) };
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: config.name.clone(),
            groups: config.groups.clone(),
            repository: repository.url().to_owned(),
            branch: repository.branch().to_owned(),
            pid: std::process::id(),
            started: Some(Timestamp::now()),
            ..Status::default()
        };
        let teller = config.notify.as_ref().map(Teller::new);
        Ok(Self {
            rules,
            who,
            keyring,
            repository,
            sink: Arc::new(Mutex::new(sink)),
            manager,
            external,
            credentials,
            handed,
            teller,
            state,
            status,
            services: Vec::new(),
            known: None,
            untold,
            accepted: None,
            files_only: false,
            refresh: None,
            pause: run::AGAIN,
            wakes: None,
            under: Under::Nothing,
            ended_by: Vec::new(),
            is_ready: false,
            config,
        })
    }

    /// How the host is.
    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    /// Works with the sink on a thread where it may block.
    async fn with_sink<T: Send + 'static>(&self, work: impl FnOnce(&mut Sink) -> T + Send + 'static) -> T {
        let sink = Arc::clone(&self.sink);
        blocking(move || work(&mut sink.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// Writes the state to the disk. A full disk is no reason to stop: what is lost is what to go back to after a reboot.
    fn save(&self) {
        if let Err(error) = self.state.save(&self.config.state) {
            warn!(%error, folder = %self.config.state.display(), "the agent's state cannot be saved");
        }
    }

    /// Says how the host is, to everybody who listens.
    fn publish(&mut self) {
        self.settle_condition();
        self.status.at = Some(Timestamp::now());
        self.status.good.clone_from(&self.state.good);
        self.status.previous.clone_from(&self.state.previous);
        self.status.bad.clone_from(&self.state.bad);
        if let Err(error) = self.status.write(&self.config.run) {
            warn!(%error, "the status cannot be written");
        }
        if let Some(textfile) = &self.config.metrics.textfile
            && let Err(error) = metrics::write(textfile, &self.status)
        {
            warn!(%error, file = %textfile.display(), "the metrics cannot be written");
        }
        if let Some(teller) = &mut self.teller {
            teller.tell(&self.status);
        }
    }
}

/// An error and what it comes from, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some say their cause themselves.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Runs what blocks on a thread for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels such a task, and then nobody waits for it.
            Err(_) => std::future::pending().await,
        },
    }
}

fn make_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(Error::io(format!("cannot make {}", path.display())))
}

fn folders(config: &Config) -> Folders {
    let is_user = match config.manager {
        super::config::ManagerKind::SystemdUser => true,
        super::config::ManagerKind::Auto => !rustix::process::geteuid().is_root() && config.root == Path::new("/"),
        super::config::ManagerKind::Systemd
        | super::config::ManagerKind::Openrc
        | super::config::ManagerKind::Runit
        | super::config::ManagerKind::None => false,
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| value.starts_with('/'));
    match (is_user, variable("HOME"), variable("XDG_RUNTIME_DIR")) {
        (true, Some(home), Some(runtime)) => Folders::user(&home, &runtime),
        _ => Folders::system(),
    }
}

fn repository_settings(config: &Config) -> Result<repository::Settings, Error> {
    let (given, folder) = (&config.repository, config.state.join("repository.git"));
    let anchor = given.signatures.as_ref().and_then(|signatures| signatures.anchor.as_ref());
    let anchor = anchor.map(|anchor| anchor.parse::<CommitId>()).transpose();
    let access = &given.access;
    Ok(repository::Settings {
        access: repository::Access {
            user: access.username.clone(),
            token_file: access.password_file.clone(),
            ca_file: access.ca_file.clone(),
            proxy: access.proxy.clone(),
            ssh_key: access.ssh_key.clone(),
            known_hosts: access.known_hosts.clone(),
            credential_helper: access.credential_helper.clone(),
            client_certificate: access.client_certificate.clone(),
            client_key: access.client_key.clone(),
            trust_owner: access.trust_owner,
            ssh_program: None,
        },
        signatures: given.signatures.as_ref().map(|signatures| repository::Signatures {
            allowed_signers: signatures.allowed_signers.clone(),
            revoked: signatures.revoked.clone(),
            gpg_home: signatures.gpg_home.clone(),
        }),
        anchor: anchor.map_err(|_| Error::Setting("repository.signatures.anchor: is no commit id".to_owned()))?,
        timeout: given.timeout,
        ..repository::Settings::new(&given.url, &given.branch, folder)
    })
}
