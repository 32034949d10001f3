//! What the settings let the repository do: everything else that it asks for is a problem, and is not done.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::host::config::Allow;
use crate::host::desired::{Desired, Problem, Role};

/// The rules of the settings, ready to be asked.
pub(super) struct Rules {
    units: Option<GlobSet>,
    commands: bool,
}

impl Rules {
    /// Reads the rules.
    ///
    /// # Errors
    /// A glob that is none, with its field.
    pub(super) fn new(allow: &Allow) -> Result<Self, String> {
        let units = allow.units.as_ref().map(|globs| globs_of(globs)).transpose()?;
        Ok(Self { units, commands: allow.commands.unwrap_or(true) })
    }

    /// Takes away what is not allowed, and says so.
    pub(super) fn apply(&self, desired: &mut Desired) {
        let mut problems = Vec::new();
        let mut refuse = |object: String, message: &str| {
            problems.push(Problem { object, at: None, message: message.to_owned() });
        };
        if let Some(units) = &self.units {
            let message = "the settings of this host (allow.units) do not admit this unit";
            desired.services.retain(|service| {
                let unit = service.unit.as_deref().unwrap_or(&service.name);
                let is_admitted = units.is_match(unit) || units.is_match(format!("{unit}.service"));
                if !is_admitted {
                    refuse(format!("service {}", service.name), message);
                }
                is_admitted
            });
            desired.units.retain(|unit| {
                let is_admitted = units.is_match(&unit.name);
                if !is_admitted {
                    refuse(format!("unit {}", unit.name), message);
                }
                is_admitted
            });
            desired.files.retain(|file| {
                let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let folder = file.path.parent().and_then(|parent| parent.file_name()).and_then(|name| name.to_str());
                let of_drop_in = folder.and_then(|folder| folder.strip_suffix(".d"));
                let is_admitted = file.role != Role::Unit || units.is_match(of_drop_in.unwrap_or(name));
                if !is_admitted {
                    refuse(file.path.display().to_string(), message);
                }
                is_admitted
            });
        }
        if !self.commands {
            let message = "the settings of this host (allow.commands: false) run no commands of the repository";
            desired.services.retain(|service| {
                let health = service.health.as_ref().is_some_and(|health| !health.command.is_empty());
                let is_admitted = service.validate.is_empty() && service.commands.is_none() && !health;
                if !is_admitted {
                    refuse(format!("service {}", service.name), message);
                }
                is_admitted
            });
            desired.files.retain(|file| {
                let is_admitted = !matches!(file.role, Role::Unit | Role::Cron);
                if !is_admitted {
                    refuse(file.path.display().to_string(), message);
                }
                is_admitted
            });
        }
        desired.problems.append(&mut problems);
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
mod tests {
    use bulla_crds::host::{HealthCheck, HostService, Place};

    use super::Rules;
    use crate::host::config::Allow;
    use crate::host::desired::{Content, Desired, File, Role, Unit};

    fn desired() -> Desired {
        let file = |path: &str, role| File {
            path: path.into(),
            owner: None,
            group: None,
            mode: 0o644,
            place: Place::Copy,
            role,
            content: Content::LastGood,
            secrets: Vec::new(),
        };
        let service = |name: &str| HostService { name: name.to_owned(), ..HostService::default() };
        let mut checked = service("checked");
        checked.health = Some(HealthCheck { command: vec!["true".to_owned()], ..HealthCheck::default() });
        Desired {
            files: vec![
                file("/etc/app.conf", Role::File),
                file("/etc/cron.d/bulla-backup", Role::Cron),
                file("/etc/systemd/system/nginx.service.d/limits.conf", Role::Unit),
                file("/etc/systemd/system/sshd.service", Role::Unit),
            ],
            services: vec![service("nginx"), service("sshd.service"), checked],
            units: vec![Unit { name: "sshd.service".to_owned(), enable: Some(true), start: None }],
            ..Desired::default()
        }
    }

    fn left(allow: &Allow) -> (Vec<String>, Vec<String>, usize, usize) {
        let mut desired = desired();
        Rules::new(allow).unwrap().apply(&mut desired);
        let files = desired.files.iter().map(|file| file.path.display().to_string()).collect();
        let services = desired.services.iter().map(|service| service.name.clone()).collect();
        (files, services, desired.units.len(), desired.problems.len())
    }

    #[test]
    fn everything_is_allowed_unless_the_settings_say_less() {
        let (files, services, units, problems) = left(&Allow::default());
        assert_eq!((files.len(), services.len(), units, problems), (4, 3, 1, 0));
    }

    #[test]
    fn units_that_are_not_named_are_refused_one_by_one() {
        let allow = Allow { units: Some(vec!["nginx*".to_owned()]), ..Allow::default() };
        let (files, services, units, problems) = left(&allow);
        assert!(files.contains(&"/etc/systemd/system/nginx.service.d/limits.conf".to_owned()), "{files:?}");
        assert!(!files.contains(&"/etc/systemd/system/sshd.service".to_owned()), "{files:?}");
        assert_eq!((services, units, problems), (vec!["nginx".to_owned()], 0, 4));
    }

    #[test]
    fn without_commands_nothing_of_the_repository_runs() {
        let allow = Allow { commands: Some(false), ..Allow::default() };
        let (files, services, units, problems) = left(&allow);
        assert_eq!((files, services.len(), units, problems), (vec!["/etc/app.conf".to_owned()], 2, 1, 4));
        assert!(Rules::new(&Allow { units: Some(vec!["[".to_owned()]), ..Allow::default() }).is_err());
    }
}
