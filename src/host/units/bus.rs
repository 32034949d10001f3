//! systemd over D-Bus.
//!
//! On a bus only: what systemd says on its private socket names a sender that zbus takes for a malformed name. `systemctl`
//! uses that socket where there is no bus.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, connection};

use super::systemctl::{NO_FILE, hint};
use super::{Act, Active, State, Why};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// How long one question may take: systemd answers at once, but for a `daemon-reload`.
const ANSWER: Duration = Duration::from_secs(25);

/// systemd, of the system or of a user. The connection is made when it is needed, and made again when it broke: systemd
/// may have been upgraded meanwhile.
pub(super) struct Bus {
    sockets: PathBuf,
    user: bool,
    connection: Mutex<Option<Connection>>,
}

impl Bus {
    pub(super) const fn new(sockets: PathBuf, user: bool) -> Self {
        Self { sockets, user, connection: Mutex::const_new(None) }
    }

    /// Whether it is reached.
    pub(super) async fn reach(&self) -> Result<(), Why> {
        self.connected().await.map(drop)
    }

    async fn connected(&self) -> Result<Connection, Why> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        *kept = None;
        let socket = self.sockets.join(if self.user { "bus" } else { "dbus/system_bus_socket" });
        let why = match timeout(ANSWER, connect(&socket)).await {
            Ok(Ok(connection)) => {
                *kept = Some(connection.clone());
                return Ok(connection);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "no answer".to_owned(),
        };
        Err(Why::Bus(format!("{}: {why}", socket.display())))
    }

    pub(super) async fn act(&self, unit: &str, act: Act, limit: Duration) -> Result<(), Why> {
        let connection = self.connected().await?;
        let method = match act {
            Act::Start => "StartUnit",
            Act::Stop => "StopUnit",
            Act::Restart => "RestartUnit",
            Act::Reload => "ReloadOrRestartUnit",
            Act::Enable => {
                // Neither until the next boot only, nor in place of a file that is there.
                call(&connection, MANAGER, PATH, "EnableUnitFiles", &(vec![unit], false, false), ANSWER).await?;
                return self.reread(&connection, limit).await;
            }
            Act::Disable => {
                match call(&connection, MANAGER, PATH, "DisableUnitFiles", &(vec![unit], false), ANSWER).await {
                    Err(Why::Refused(why)) if why.contains(NO_FILE) => {}
                    disabled => drop(disabled?),
                }
                return self.reread(&connection, limit).await;
            }
            Act::DaemonReload => return self.reread(&connection, limit).await,
            Act::Forgive => {
                call(&connection, MANAGER, PATH, "ResetFailedUnit", &(unit,), ANSWER).await?;
                return Ok(());
            }
        };
        let job = timeout(limit, job(&connection, method, unit)).await.map_err(|_elapsed| Why::TimedOut(limit))?;
        match job {
            Ok(result) if result == "done" || result == "skipped" => Ok(()),
            Ok(result) => {
                let state = Box::new(self.state(unit, limit).await.unwrap_or_default());
                Err(Why::Job { job: result, state, hint: hint(unit, self.user) })
            }
            // It is gone already, and that was wanted.
            Err(Why::Refused(_)) if act == Act::Stop && !self.state(unit, limit).await?.known => Ok(()),
            Err(why) => Err(why),
        }
    }

    async fn reread(&self, connection: &Connection, limit: Duration) -> Result<(), Why> {
        call(connection, MANAGER, PATH, "Reload", &(), limit).await.map(drop)
    }

    pub(super) async fn state(&self, unit: &str, limit: Duration) -> Result<State, Why> {
        let connection = self.connected().await?;
        timeout(limit, state(&connection, unit)).await.map_err(|_elapsed| Why::TimedOut(limit))?
    }
}

async fn connect(socket: &Path) -> zbus::Result<Connection> {
    let stream = tokio::net::UnixStream::connect(socket).await.and_then(tokio::net::UnixStream::into_std)?;
    let connection = connection::Builder::unix_stream(stream).build().await?;
    // It tells of its jobs only who asked.
    connection.call_method(Some(NAME), PATH, Some(MANAGER), "Subscribe", &()).await?;
    Ok(connection)
}

/// Calls `method` for `unit` and waits until its job is gone; what became of it.
async fn job(connection: &Connection, method: &'static str, unit: &str) -> Result<String, Why> {
    let rule = MatchRule::builder().msg_type(zbus::message::Type::Signal).interface(MANAGER).member("JobRemoved");
    let rule = rule.path(PATH).build().map_err(said)?;
    // Listens first: a job may be done before its number is known.
    let mut removed = MessageStream::for_match_rule(rule, connection, None).await.map_err(said)?;
    let reply = call(connection, MANAGER, PATH, method, &(unit, "replace"), ANSWER).await?;
    let wanted: OwnedObjectPath = reply.body().deserialize().map_err(said)?;
    while let Some(message) = removed.next().await {
        let message = message.map_err(said)?;
        let body = message.body();
        let (_number, job, _unit, result): (u32, zbus::ObjectPath<'_>, &str, &str) =
            body.deserialize().map_err(said)?;
        if job.as_str() == wanted.as_str() {
            return Ok(result.to_owned());
        }
    }
    Err(Why::Bus("systemd hung up".to_owned()))
}

async fn state(connection: &Connection, unit: &str) -> Result<State, Why> {
    let reply = call(connection, MANAGER, PATH, "LoadUnit", &(unit,), ANSWER).await?;
    let path: OwnedObjectPath = reply.body().deserialize().map_err(said)?;
    let mut of_unit = Properties::of(connection, &path, UNIT).await?;
    let invocation: Vec<u8> = of_unit.take("InvocationID").unwrap_or_default();
    let mut state = State {
        active: Active::of(&of_unit.text("ActiveState")?),
        sub: of_unit.text("SubState")?,
        invocation: invocation.iter().map(|byte| format!("{byte:02x}")).collect(),
        can_reload: of_unit.take("CanReload").unwrap_or_default(),
        known: of_unit.text("LoadState")? != "not-found",
        ..State::default()
    };
    if unit.ends_with(".service") {
        let mut of_service = Properties::of(connection, &path, SERVICE).await?;
        state.result = of_service.text("Result")?;
        state.exit = of_service.take("ExecMainStatus");
        state.main_pid = of_service.take("MainPID").unwrap_or_default();
        state.restarts = of_service.take("NRestarts").unwrap_or_default();
        let stays: bool = of_service.take("RemainAfterExit").unwrap_or_default();
        state.ends = of_service.text("Type")? == "oneshot" && !stays;
    }
    Ok(state)
}

/// What systemd says of a unit, all of an interface at once: its words belong together then.
struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    async fn of(connection: &Connection, path: &OwnedObjectPath, interface: &str) -> Result<Self, Why> {
        let reply = call(connection, PROPERTIES, path.as_str(), "GetAll", &(interface,), ANSWER).await?;
        reply.body().deserialize().map(Self).map_err(said)
    }

    /// Takes one that older ones do not have.
    fn take<T: TryFrom<OwnedVariant>>(&mut self, name: &str) -> Option<T> {
        T::try_from(self.0.remove(name)?).ok()
    }

    /// Takes one that every unit has.
    fn text(&mut self, name: &str) -> Result<String, Why> {
        self.take(name).ok_or_else(|| Why::Bus(format!("systemd does not say the {name} of the unit")))
    }
}

async fn call<B>(
    connection: &Connection,
    interface: &str,
    path: &str,
    method: &str,
    body: &B,
    limit: Duration,
) -> Result<Message, Why>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    let call = connection.call_method(Some(NAME), path, Some(interface), method, body);
    match timeout(limit, call).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(why(error)),
        Err(_elapsed) => Err(Why::TimedOut(limit)),
    }
}

/// What systemd said no to, and what never reached it.
fn why(error: zbus::Error) -> Why {
    match error {
        zbus::Error::MethodError(name, text, _) => {
            let name = name.as_str();
            Why::Refused(text.unwrap_or_else(|| name.rsplit_once('.').map_or(name, |(_, last)| last).to_owned()))
        }
        zbus::Error::FDO(error) => Why::Refused(error.to_string()),
        error => Why::Bus(error.to_string()),
    }
}

fn said(error: impl std::fmt::Display) -> Why {
    Why::Bus(error.to_string())
}
