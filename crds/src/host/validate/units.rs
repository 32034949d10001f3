//! Rules of units, jobs of cron and credentials.

use std::collections::BTreeSet;

use super::super::names::{Unit, UnitKind, is_identifier, is_user, is_word};
use super::super::paths::in_repository;
use super::super::{CredentialBy, CronJob, HostCredential, HostUnit, cron as table};
use super::files::value;
use super::{Rules, entries};

pub(super) fn units(units: &[HostUnit], positions: &[usize], rules: &mut Rules) {
    let mut names = BTreeSet::new();
    for (path, unit) in entries("units", units, positions) {
        rules.distinct(&mut names, &unit.name, || format!("{path}.name"));
        let is_one = unit.inline.is_some() != unit.source.is_some();
        rules.hold(is_one, || path.clone(), "must have exactly one of inline and source");
        if let Some(Err(problem)) = unit.source.as_deref().map(in_repository) {
            rules.add(format!("{path}.source"), problem);
        }
        if let Some(inline) = &unit.inline {
            rules.text(inline, || format!("{path}.inline"));
        }
        match Unit::parse(&unit.name) {
            Ok(name) => state(&path, &name, unit, rules),
            Err(problem) => rules.add(format!("{path}.name"), problem),
        }
    }
}

fn state(path: &str, name: &Unit<'_>, unit: &HostUnit, rules: &mut Rules) {
    for (field, asked) in [("enable", unit.enable), ("start", unit.start)] {
        if asked.is_none() {
            continue;
        }
        let path = || format!("{path}.{field}");
        rules.hold(name.drop_in.is_none(), path, "is for units: a drop-in only adds to one");
        let sentence = "is for units with an instance, such as NAME@ONE.service";
        rules.hold(!name.is_template(), path, sentence);
        let sentence = "a Quadlet's service is enabled by WantedBy= in its section [Install]";
        rules.hold(field != "enable" || name.kind == UnitKind::Systemd, path, sentence);
    }
}

pub(super) fn cron(jobs: &[CronJob], positions: &[usize], rules: &mut Rules) {
    let mut names = BTreeSet::new();
    for (path, job) in entries("cron", jobs, positions) {
        let sentence = "must be letters, digits, `-` and `_`: cron passes over files with other names";
        rules.hold(is_word(&job.name, b"-_"), || format!("{path}.name"), sentence);
        rules.distinct(&mut names, &job.name, || format!("{path}.name"));
        if let Err(problem) = table::schedule(&job.schedule) {
            rules.add(format!("{path}.schedule"), problem);
        }
        let is_user = job.user.as_deref().is_none_or(is_user);
        rules.hold(is_user, || format!("{path}.user"), "must be the name of a user");
        if let Err(problem) = table::command(&job.command) {
            rules.add(format!("{path}.command"), problem);
        }
        for (name, text) in &job.environment {
            let sentence = "variables are letters, digits and `_`";
            rules.hold(is_identifier(name), || format!("{path}.environment"), sentence);
            if let Err(problem) = table::value(text) {
                rules.add(format!("{path}.environment.{name}"), problem);
            }
        }
    }
}

pub(super) fn credentials(credentials: &[HostCredential], positions: &[usize], rules: &mut Rules) {
    let mut seen = BTreeSet::new();
    for (path, credential) in entries("credentials", credentials, positions) {
        let HostCredential { name, unit, secret, by } = credential;
        let sentence = "must be letters, digits, `-`, `_` and `.`, 200 at most";
        rules.hold(is_word(name, b"-_."), || format!("{path}.name"), sentence);
        let is_service = matches!(Unit::parse(unit), Ok(Unit { kind: UnitKind::Systemd, drop_in: None, .. }));
        rules.hold(is_service, || format!("{path}.unit"), "must be a unit, such as backup.service");
        let file = unit.len() + name.len() < 255;
        rules.hold(
            file || *by == CredentialBy::Socket,
            || path.clone(),
            "UNIT.NAME is longer than a file's name may be",
        );
        rules.hold(seen.insert((unit, name)), || path.clone(), "is declared twice in this document");
        value(&format!("{path}.secret"), secret, rules);
    }
}
