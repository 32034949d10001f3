//! What the settings let the repository do: everything else that it asks for is a problem, and is not done.

mod places;

use std::path::PathBuf;

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::host::config::Allow;
use crate::host::desired::{Desired, File, Problem, Role};
use crate::host::sink;
use crate::host::units::name;

const NOT_THIS_UNIT: &str = "the settings of this host (allow.units) do not admit this unit";
const NO_COMMANDS: &str = "the settings of this host (allow.commands: false) run no commands of the repository";
const NO_PLACE: &str = "the settings of this host (allow.commands: false) let the repository write no file where the \
                        machine takes commands, units, jobs, libraries or logins from";
const NO_STATES: &str =
    "the settings of this host (allow.commands: false) let the repository enable, start and stop no units";
const NO_FILE: &str = "is neither enabled, started nor stopped: this host refuses a file of it";

/// The rules of the settings, ready to be asked.
pub(super) struct Rules {
    policy: sink::Policy,
    units: Option<GlobSet>,
    commands: bool,
}

impl Rules {
    /// Reads the rules. `own` are files and folders of the agent's.
    ///
    /// # Errors
    /// A glob that is none, with its field.
    pub(super) fn new(allow: &Allow, own: Vec<PathBuf>) -> Result<Self, String> {
        let units = allow.units.as_ref().map(|globs| globs_of(globs)).transpose()?;
        let policy = sink::Policy::new(allow.paths.as_deref(), &[], own);
        let policy = policy.map_err(|error| format!("allow.paths: {error}"))?;
        Ok(Self { policy, units, commands: allow.commands.unwrap_or(true) })
    }

    /// What the sink judges paths by.
    pub(super) const fn policy(&self) -> &sink::Policy {
        &self.policy
    }

    /// Takes away what is not allowed, and says so. What `allow.paths` says of files is the sink's to judge, but a unit
    /// whose file it refuses is left alone here.
    pub(super) fn apply(&self, desired: &mut Desired) {
        let mut problems = Vec::new();
        let mut refuse = |object: String, message: &str| {
            problems.push(Problem { object, at: None, message: message.to_owned() });
        };
        let mut without_file = Vec::new();
        desired.files.retain(|file| {
            let refusal = self.refusal(file);
            if refusal.is_some() || !self.policy.allows(&file.path) {
                without_file.extend(places::units(&file.path, file.role == Role::Unit));
            }
            if let Some(message) = refusal {
                refuse(file.path.display().to_string(), message);
            }
            refusal.is_none()
        });
        desired.services.retain(|service| {
            let health = service.health.as_ref().is_some_and(|health| !health.command.is_empty());
            let runs = !service.validate.is_empty() || service.commands.is_some() || health;
            let refusal = if !self.admits(service.unit.as_deref().unwrap_or(&service.name)) {
                Some(NOT_THIS_UNIT)
            } else {
                (runs && !self.commands).then_some(NO_COMMANDS)
            };
            if let Some(message) = refusal {
                refuse(format!("service {}", service.name), message);
            }
            refusal.is_none()
        });
        desired.units.retain(|unit| {
            let refusal = if !self.admits(&unit.name) {
                Some(NOT_THIS_UNIT)
            } else if !self.commands {
                Some(NO_STATES)
            } else {
                without_file.iter().any(|of| name::is_of(&unit.name, of)).then_some(NO_FILE)
            };
            if let Some(message) = refusal {
                refuse(format!("unit {}", unit.name), message);
            }
            refusal.is_none()
        });
        desired.credentials.retain(|credential| {
            let is_admitted = self.admits(&credential.unit);
            if !is_admitted {
                refuse(format!("credential {} of {}", credential.name, credential.unit), NOT_THIS_UNIT);
            }
            is_admitted
        });
        desired.problems.append(&mut problems);
    }

    /// Whether the unit may be told, started and stopped, and may have files and credentials.
    fn admits(&self, unit: &str) -> bool {
        let Some(units) = &self.units else { return true };
        units.is_match(unit) || units.is_match(name::of_systemd(unit))
    }

    /// Why a file is not written, whatever its path.
    fn refusal(&self, file: &File) -> Option<&'static str> {
        let units = places::units(&file.path, file.role == Role::Unit);
        let is_credential = file.role == Role::Credential || places::is_credential(&file.path);
        if !units.iter().all(|unit| self.admits(unit)) || (is_credential && !self.admits_credential(file)) {
            return Some(NOT_THIS_UNIT);
        }
        if self.commands {
            return None;
        }
        match file.role {
            Role::Unit | Role::Cron => Some(NO_COMMANDS),
            Role::File | Role::Credential => places::is_taken_from(&file.path).then_some(NO_PLACE),
        }
    }

    /// Whether `UNIT.NAME` is of a unit that is admitted; both may hold dots.
    fn admits_credential(&self, file: &File) -> bool {
        let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut units = name.match_indices('.').filter_map(|(at, _)| name.get(..at));
        self.units.is_none() || units.any(|unit| self.admits(unit))
    }
}

fn globs_of(globs: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob).map_err(|error| format!("allow.units: {error}"))?);
    }
    set.build().map_err(|error| format!("allow.units: {error}"))
}

#[cfg(test)]
mod tests;
