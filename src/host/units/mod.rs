//! Service managers: what is told of changes, and how it does.
//!
//! systemd is talked to over D-Bus, so that the end of a job is known and not guessed; where neither its private socket
//! nor a bus can be reached, by `systemctl`. OpenRC and runit are talked to by their commands, and a service that brings
//! commands of its own by those.

mod bus;
mod commands;
pub mod name;
mod plan;
mod state;
mod systemctl;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::plan::{Asked, Change, How, Plan, Step, Tell, What, affected, plan};
pub use self::state::{Active, State};
use super::command::{CommandError, Scrubber};
use super::config::ManagerKind;

/// How long one job of a service manager may take: longer than systemd's own limit for a start.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The kind of service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// systemd, of the system or of a user.
    Systemd,
    /// OpenRC.
    OpenRc,
    /// runit.
    Runit,
    /// None: only services with commands are told.
    None,
}

/// Which service manager, and how it is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which.
    pub kind: ManagerKind,
    /// How long one job may take.
    pub timeout: Duration,
    /// Where its sockets are: `/run`, or a user's `$XDG_RUNTIME_DIR`.
    pub sockets: Option<PathBuf>,
    /// What `systemctl` is called as, where D-Bus is not reachable.
    pub systemctl: Vec<String>,
    /// Whether D-Bus is tried.
    pub bus: bool,
}

impl Settings {
    /// That one, reached as usual.
    #[must_use]
    pub fn new(kind: ManagerKind) -> Self {
        Self { kind, timeout: TIMEOUT, sockets: None, systemctl: vec!["systemctl".to_owned()], bus: true }
    }
}

/// A service manager.
pub struct Manager {
    way: Way,
    timeout: Duration,
}

enum Way {
    Bus(bus::Bus),
    Systemctl(systemctl::Systemctl),
    OpenRc,
    Runit,
    None,
}

/// What could not be done, to which unit.
#[derive(Debug, thiserror::Error)]
#[error("{unit} could not be {doing}: {why}")]
pub struct Failed {
    /// The unit, or `systemd` itself.
    pub unit: String,
    /// What was tried: `restarted`.
    pub doing: &'static str,
    /// Why, and what to do.
    pub why: Why,
}

/// Why a service manager did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Its job ended otherwise than well.
    #[error("its job ended with {job}, and it is {state} (see {hint})")]
    Job {
        /// What systemd says of the job.
        job: String,
        /// How the unit does.
        state: Box<State>,
        /// Where there is more about it.
        hint: String,
    },
    /// Its job did not end in time.
    #[error("nothing came of it within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The service manager refused.
    #[error("{0}")]
    Refused(String),
    /// D-Bus failed.
    #[error("systemd was not reached over D-Bus: {0}")]
    Bus(String),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The name cannot be handed to a service manager.
    #[error("that is not the name of a unit")]
    Name,
    /// Nobody is there to do it.
    #[error("there is no service manager, and the service has no command for it")]
    Nobody,
}

/// What became of a [`Plan`].
#[derive(Debug, Default)]
pub struct CarriedOut {
    /// The units that were told, also where that failed.
    pub told: Vec<Told>,
    /// What failed.
    pub failures: Vec<Failed>,
}

/// A unit that was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// How.
    pub tell: Tell,
    /// How it did before.
    pub before: State,
}

impl CarriedOut {
    /// The names of the units that were told.
    #[must_use]
    pub fn units(&self) -> Vec<String> {
        self.told.iter().map(|told| told.tell.unit.clone()).collect()
    }
}

impl Manager {
    /// The service manager of `settings`, or the one that runs here. One that is not reached now is tried again with
    /// every call.
    pub async fn connect(settings: &Settings) -> Self {
        let way = match settings.kind {
            ManagerKind::Auto => Self::find(settings).await,
            ManagerKind::Systemd => Self::systemd(settings, false).await,
            ManagerKind::SystemdUser => Self::systemd(settings, true).await,
            ManagerKind::Openrc => Way::OpenRc,
            ManagerKind::Runit => Way::Runit,
            ManagerKind::None => Way::None,
        };
        Self { way, timeout: settings.timeout }
    }

    async fn find(settings: &Settings) -> Way {
        let is_there = |path: &str| Path::new(path).exists();
        if is_there("/run/systemd/system") {
            Self::systemd(settings, !rustix::process::geteuid().is_root()).await
        } else if is_there("/run/openrc") {
            Way::OpenRc
        } else if is_there("/run/runit") || is_there("/etc/runit/runsvdir") {
            Way::Runit
        } else {
            Way::None
        }
    }

    async fn systemd(settings: &Settings, user: bool) -> Way {
        if settings.bus {
            let sockets = settings.sockets.clone().or_else(|| {
                if user { std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) } else { Some(PathBuf::from("/run")) }
            });
            let bus = bus::Bus::new(sockets.unwrap_or_default(), user);
            match bus.reach().await {
                Ok(()) => return Way::Bus(bus),
                Err(error) => tracing::info!(%error, "systemd is not reached over D-Bus: by systemctl then"),
            }
        }
        Way::Systemctl(systemctl::Systemctl::new(settings.systemctl.clone(), user))
    }

    /// What it is.
    #[must_use]
    pub const fn init(&self) -> Init {
        match self.way {
            Way::Bus(_) | Way::Systemctl(_) => Init::Systemd,
            Way::OpenRc => Init::OpenRc,
            Way::Runit => Init::Runit,
            Way::None => Init::None,
        }
    }

    /// How it is reached, for people.
    #[must_use]
    pub const fn way(&self) -> &'static str {
        match self.way {
            Way::Bus(_) => "systemd over D-Bus",
            Way::Systemctl(_) => "systemd by systemctl",
            Way::OpenRc => "OpenRC",
            Way::Runit => "runit",
            Way::None => "none",
        }
    }

    /// Does what `plan` says. With `all` it goes on after a failure; without, it stops there: the files go back then.
    pub async fn carry_out(&self, plan: &Plan, all: bool, scrubber: &Scrubber) -> CarriedOut {
        let mut done = CarriedOut::default();
        for step in &plan.steps {
            match step {
                Step::Tell(tell) => match self.state(&tell.unit, tell.commands.as_ref()).await {
                    // What does not run has no old files in its memory; what failed may have failed for their sake.
                    Ok(before) if !tell.start && !before.is_wanted() => {
                        tracing::info!(unit = tell.unit, "does not run: not told");
                    }
                    Ok(before) if tell.how == How::Start && before.runs() => {}
                    Ok(before) => {
                        tracing::info!(unit = tell.unit, how = ?tell.how, because = ?tell.because, "telling a unit");
                        if let Err(failed) = self.tell(tell, &before, scrubber).await {
                            done.failures.push(failed);
                        }
                        done.told.push(Told { tell: tell.clone(), before });
                    }
                    Err(failed) => done.failures.push(failed),
                },
                Step::Stop(_) | Step::Disable(_) | Step::DaemonReload | Step::Enable(_) => {
                    if let Err(failed) = self.perform(step, scrubber).await {
                        done.failures.push(failed);
                    }
                }
            }
            if !all && !done.failures.is_empty() {
                break;
            }
        }
        done
    }

    /// How a unit does; `commands` are those of its service, if it has any.
    ///
    /// # Errors
    /// If the service manager does not say.
    pub async fn state(
        &self,
        unit: &str,
        commands: Option<&bulla_crds::host::ServiceCommands>,
    ) -> Result<State, Failed> {
        let why = match commands {
            Some(own) => commands::state(&own.status).await,
            None if !name::is_valid(unit) => Err(Why::Name),
            None => match &self.way {
                Way::Bus(bus) => bus.state(unit, self.timeout).await,
                Way::Systemctl(systemctl) => systemctl.state(unit).await,
                Way::OpenRc => commands::state(&["rc-service", plain(unit), "status"]).await,
                Way::Runit => commands::runit(plain(unit)).await,
                Way::None => Err(Why::Nobody),
            },
        };
        why.map_err(|why| Failed { unit: unit.to_owned(), doing: "asked how it does", why })
    }

    async fn tell(&self, tell: &Tell, before: &State, scrubber: &Scrubber) -> Result<(), Failed> {
        let act = match tell.how {
            How::Start => Act::Start,
            // What does not run is started, and what cannot reload restarts.
            How::Reload if before.runs() && (before.can_reload || tell.commands.is_some()) => Act::Reload,
            How::Reload | How::Restart => Act::Restart,
        };
        let done = match &tell.commands {
            Some(own) => commands::perform(own, act, self.timeout, scrubber).await,
            None => {
                if before.active == Active::Failed {
                    // Too many starts in a row are refused until somebody forgives them.
                    self.forgive(&tell.unit, scrubber).await;
                }
                self.act(&tell.unit, act, scrubber).await
            }
        };
        done.map_err(|why| Failed { unit: tell.unit.clone(), doing: act.done(), why })
    }

    async fn perform(&self, step: &Step, scrubber: &Scrubber) -> Result<(), Failed> {
        let (unit, act) = match step {
            Step::Stop(unit) => (unit.as_str(), Act::Stop),
            Step::Disable(unit) => (unit.as_str(), Act::Disable),
            Step::Enable(unit) => (unit.as_str(), Act::Enable),
            Step::DaemonReload => ("systemd", Act::DaemonReload),
            Step::Tell(tell) => (tell.unit.as_str(), Act::Start),
        };
        let done = self.act(unit, act, scrubber).await;
        done.map_err(|why| Failed { unit: unit.to_owned(), doing: act.done(), why })
    }

    async fn act(&self, unit: &str, act: Act, scrubber: &Scrubber) -> Result<(), Why> {
        if !name::is_valid(unit) {
            return Err(Why::Name);
        }
        match &self.way {
            Way::Bus(bus) => bus.act(unit, act, self.timeout).await,
            Way::Systemctl(systemctl) => systemctl.act(unit, act, self.timeout, scrubber).await,
            Way::OpenRc => commands::openrc(plain(unit), act, self.timeout, scrubber).await,
            Way::Runit => commands::sv(plain(unit), act, self.timeout, scrubber).await,
            // Nobody has read the units that are other ones now.
            Way::None if act == Act::DaemonReload => Ok(()),
            Way::None => Err(Why::Nobody),
        }
    }

    async fn forgive(&self, unit: &str, scrubber: &Scrubber) {
        if let Err(error) = self.act(unit, Act::Forgive, scrubber).await {
            tracing::debug!(unit, %error, "a failed unit was not reset");
        }
    }
}

/// Where services are no units, they have no suffix.
fn plain(unit: &str) -> &str {
    unit.strip_suffix(".service").unwrap_or(unit)
}

/// What a service manager is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Start,
    Stop,
    Reload,
    Restart,
    Enable,
    Disable,
    DaemonReload,
    Forgive,
}

impl Act {
    const fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Reload => "reloaded",
            Self::Restart => "restarted",
            Self::Enable => "enabled",
            Self::Disable => "disabled",
            Self::DaemonReload => "reloaded",
            Self::Forgive => "reset",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_service_manager_units_may_be_declared_and_not_started() {
        let nobody = Manager::connect(&Settings::new(crate::host::config::ManagerKind::None)).await;
        let plan = |step| Plan { steps: vec![step], ..Plan::default() };
        let read = nobody.carry_out(&plan(Step::DaemonReload), true, &Scrubber::default()).await;
        assert!(read.failures.is_empty(), "{:?}", read.failures);
        let enabled = nobody.carry_out(&plan(Step::Enable("web.service".to_owned())), true, &Scrubber::default()).await;
        assert_eq!(enabled.failures.len(), 1);
    }
}
