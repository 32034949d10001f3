//! systemd by `systemctl`, where D-Bus is not reachable from here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Act, Active, State, Why};
use crate::host::command::{Command, Scrubber, TIMEOUT};

/// What is asked of a unit.
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,Result,ExecMainStatus,MainPID,NRestarts,InvocationID,\
                          CanReload,Type,RemainAfterExit";

/// What systemd says of a unit whose file is gone: nothing starts it at boot then.
pub(super) const NO_FILE: &str = "does not exist";

/// How `systemctl` is called.
pub(super) struct Systemctl {
    program: Vec<String>,
    user: bool,
}

impl Systemctl {
    pub(super) const fn new(program: Vec<String>, user: bool) -> Self {
        Self { program, user }
    }

    fn command<'a>(&'a self, arguments: &'a [&'a str]) -> Command<'a> {
        let scope: &[&str] = if self.user { &["--user"] } else { &["--system"] };
        Command::new(&self.program).and(scope).and(&["--no-ask-password", "--no-pager"]).and(arguments)
    }

    pub(super) async fn state(&self, unit: &str) -> Result<State, Why> {
        // What it says is systemd's own: a secret that is also one of its words must not hide that.
        let own = Scrubber::default();
        let said = self.command(&["show", PROPERTIES, "--", unit]).within(TIMEOUT).succeeds(&own).await?;
        Ok(of_properties(&said))
    }

    pub(super) async fn act(&self, unit: &str, act: Act, limit: Duration, scrubber: &Scrubber) -> Result<(), Why> {
        let verb = match act {
            Act::Start => "start",
            Act::Stop => "stop",
            Act::Reload => "reload-or-restart",
            Act::Restart => "restart",
            Act::Enable => "enable",
            Act::Disable => "disable",
            Act::Forgive => "reset-failed",
            Act::DaemonReload => {
                self.command(&["daemon-reload"]).within(limit).succeeds(scrubber).await?;
                return Ok(());
            }
        };
        let Err(error) = self.command(&[verb, "--", unit]).within(limit).succeeds(scrubber).await else {
            return Ok(());
        };
        match act {
            Act::Start | Act::Stop | Act::Reload | Act::Restart => {
                let state = self.state(unit).await?;
                if act == Act::Stop && !state.known {
                    return Ok(());
                }
                Err(Why::Job { job: error.to_string(), state: Box::new(state), hint: hint(unit, self.user) })
            }
            Act::Disable if error.to_string().contains(NO_FILE) => Ok(()),
            Act::Enable | Act::Disable | Act::Forgive | Act::DaemonReload => Err(Why::Command(error)),
        }
    }
}

/// Where there is more about a unit that failed.
pub(super) fn hint(unit: &str, user: bool) -> String {
    format!("journalctl {}-u {unit} -n 50", if user { "--user " } else { "" })
}

fn of_properties(said: &str) -> State {
    let properties: BTreeMap<&str, &str> = said.lines().filter_map(|line| line.split_once('=')).collect();
    let text = |name: &str| properties.get(name).copied().unwrap_or_default();
    State {
        active: Active::of(text("ActiveState")),
        sub: text("SubState").to_owned(),
        result: text("Result").to_owned(),
        exit: text("ExecMainStatus").parse().ok(),
        main_pid: text("MainPID").parse().unwrap_or_default(),
        restarts: text("NRestarts").parse().unwrap_or_default(),
        invocation: text("InvocationID").to_owned(),
        can_reload: text("CanReload") == "yes",
        ends: text("Type") == "oneshot" && text("RemainAfterExit") != "yes",
        known: text("LoadState") != "not-found" && !text("LoadState").is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::of_properties;
    use crate::host::units::Active;

    #[test]
    fn what_systemctl_shows_is_a_state() {
        let state = of_properties(
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=3\nMainPID=0\n\
             NRestarts=2\nInvocationID=ab12\nCanReload=yes\nType=simple\n",
        );
        assert_eq!((state.active, state.exit, state.restarts, state.can_reload), (Active::Failed, Some(3), 2, true));
        assert_eq!(state.to_string(), "failed, result exit-code, exit code or signal 3");
        assert!(!of_properties("LoadState=not-found\nActiveState=inactive\n").known);
        assert!(!of_properties("").known);
    }
}
