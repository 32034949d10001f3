//! Services by commands: those that a service brings, OpenRC's and runit's.

use std::time::Duration;

use bulla_crds::host::ServiceCommands;

use super::{Act, Active, State, Why};
use crate::host::command::{Command, Ended, Scrubber, TIMEOUT};

/// How often a service of runit is looked at after a restart, and how long after each look.
const LOOKS: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(100);

/// How a service does whose `status` command ends with 0 if it runs. Without one it is taken to run.
pub(super) async fn state(status: &[impl AsRef<std::ffi::OsStr>]) -> Result<State, Why> {
    if status.is_empty() {
        return Ok(running("no status command"));
    }
    // What it says is not shown.
    let Ended { code, .. } = Command::new(status).within(TIMEOUT).ended(&Scrubber::default()).await?;
    let down = State { active: Active::Inactive, exit: code, known: true, ..State::default() };
    Ok(if code == Some(0) { running("") } else { down })
}

fn running(sub: &str) -> State {
    State { active: Active::Active, sub: sub.to_owned(), can_reload: true, known: true, ..State::default() }
}

/// Runs the commands that a service brings. One that cannot reload restarts, and the other way round.
pub(super) async fn perform(own: &ServiceCommands, act: Act, limit: Duration, scrubber: &Scrubber) -> Result<(), Why> {
    let (first, second) = match act {
        Act::Reload => (&own.reload, &own.restart),
        Act::Restart | Act::Start => (&own.restart, &own.reload),
        Act::Stop | Act::Enable | Act::Disable | Act::DaemonReload | Act::Forgive => return Err(Why::Nobody),
    };
    let Some(command) = [first, second].into_iter().find(|command| !command.is_empty()) else {
        return Err(Why::Nobody);
    };
    Command::new(command).within(limit.min(TIMEOUT)).succeeds(scrubber).await?;
    Ok(())
}

/// OpenRC's commands. A script that knows no `reload` restarts.
pub(super) async fn openrc(name: &str, act: Act, limit: Duration, scrubber: &Scrubber) -> Result<(), Why> {
    let command: &[&str] = match act {
        Act::Start => &["rc-service", name, "start"],
        Act::Stop => &["rc-service", name, "stop"],
        Act::Restart => &["rc-service", name, "restart"],
        Act::Enable => &["rc-update", "add", name],
        Act::Disable => &["rc-update", "del", name],
        Act::DaemonReload | Act::Forgive => return Ok(()),
        Act::Reload => {
            let reload = Command::new(&["rc-service", name, "reload"]).within(limit).succeeds(scrubber).await;
            let Err(error) = reload else { return Ok(()) };
            tracing::info!(service = name, %error, "does not reload: restarting it");
            &["rc-service", name, "restart"]
        }
    };
    Command::new(command).within(limit).succeeds(scrubber).await?;
    Ok(())
}

/// runit's commands. Services there start at boot if a folder links to them, which is the administrator's.
pub(super) async fn sv(name: &str, act: Act, limit: Duration, scrubber: &Scrubber) -> Result<(), Why> {
    let verb = match act {
        Act::Start => "start",
        Act::Stop => "stop",
        Act::Reload => "hup",
        Act::Restart => "restart",
        Act::DaemonReload | Act::Forgive => return Ok(()),
        Act::Enable | Act::Disable => {
            return Err(Why::Refused("runit starts what its folder of services links to: link it by hand".to_owned()));
        }
    };
    let before = if act == Act::Restart { runit(name).await.ok() } else { None };
    Command::new(&["sv", verb, name]).within(limit).succeeds(scrubber).await?;
    if let Some(before) = before {
        another(name, before.main_pid).await?;
    }
    Ok(())
}

/// Waits for another process than `before`, and not for long: whether it is well is somebody else's question. `sv` counts
/// whole seconds, so of a service that started within the present one it takes the old process for the new.
async fn another(name: &str, before: u32) -> Result<(), Why> {
    for _ in 0..LOOKS {
        let now = runit(name).await?.main_pid;
        if now != 0 && now != before {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

/// How a service of runit does: `run: NAME: (pid 42) 5s`, `down: NAME: …` or `fail: NAME: …`.
pub(super) async fn runit(name: &str) -> Result<State, Why> {
    // Its words are runit's own.
    let own = Scrubber::default();
    let Ended { code, output } = Command::new(&["sv", "status", name]).within(TIMEOUT).ended(&own).await?;
    Ok(of_runit(code, &output))
}

fn of_runit(code: Option<i32>, said: &str) -> State {
    let line = said.lines().next().unwrap_or_default();
    if !line.starts_with("run: ") {
        let known = line.starts_with("down: ");
        // It starts nothing twice within a second: it is about to.
        let active = if known && line.contains(", want up") { Active::Activating } else { Active::Inactive };
        return State { active, sub: line.to_owned(), exit: code, known, ..State::default() };
    }
    let pid = line.split_once("(pid ").and_then(|(_, rest)| rest.split_once(')')).and_then(|(pid, _)| pid.parse().ok());
    let main_pid = pid.unwrap_or_default();
    // It starts again by itself, and only its process tells one start from the next.
    State { main_pid, invocation: main_pid.to_string(), ..running("") }
}

#[cfg(test)]
mod tests {
    use super::of_runit;
    use crate::host::units::Active;

    #[test]
    fn runit_says_how_a_service_does() {
        let up = of_runit(Some(0), "run: web: (pid 42) 5s; run: log: (pid 41) 9s");
        assert_eq!((up.active, up.main_pid, up.invocation.as_str()), (Active::Active, 42, "42"));
        let down = of_runit(Some(0), "down: web: 3s, normally up");
        assert_eq!((down.active, down.known), (Active::Inactive, true));
        let soon = of_runit(Some(0), "down: web: 0s, normally up, want up; run: log: (pid 41) 9s");
        assert_eq!((soon.active, soon.known), (Active::Activating, true));
        let unknown = of_runit(Some(1), "fail: web: unable to change to service directory: file does not exist");
        assert_eq!((unknown.active, unknown.known), (Active::Inactive, false));
    }
}
