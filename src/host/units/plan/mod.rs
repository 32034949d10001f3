//! From what changed to what is done about it, in which order: pure.
//!
//! The files are in their places by then: write, flip, and only then tell. First what is gone is stopped, then systemd
//! reads its files again, then units are enabled, and then each unit is told once, whoever named it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bulla_crds::host::ServiceCommands;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Init, name};
use crate::host::desired::{Problem, Role, Service, Unit};

/// A declared path that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The declared path.
    pub path: PathBuf,
    /// What the file is for.
    pub role: Role,
    /// What happened.
    pub what: What,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// It is new.
    Added,
    /// It has other bytes, or another owner, group, mode or place.
    Changed,
    /// It is gone.
    Removed,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop(unit) => write!(f, "stop {unit}"),
            Self::Disable(unit) => write!(f, "disable {unit}"),
            Self::DaemonReload => f.write_str("daemon-reload"),
            Self::Enable(unit) => write!(f, "enable {unit}"),
            Self::Tell(tell) => {
                let how = match tell.how {
                    How::Start => "start",
                    How::Reload => "reload",
                    How::Restart => "restart",
                };
                write!(f, "{how} {}", tell.unit)
            }
        }
    }
}

/// What is done, in this order.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What could not be planned.
    pub problems: Vec<Problem>,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A unit whose file is gone, or that is not to run, is stopped.
    Stop(String),
    /// A unit no longer starts at boot.
    Disable(String),
    /// systemd reads its files again.
    DaemonReload,
    /// A unit starts at boot.
    Enable(String),
    /// A unit is told.
    Tell(Tell),
}

/// A unit that is told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// The unit, or the service that has commands instead.
    pub unit: String,
    /// The services that are about it; none for a unit that is only to run.
    pub services: Vec<String>,
    /// How.
    pub how: How,
    /// Whether it is started where it does not run. Otherwise only what runs is told.
    pub start: bool,
    /// Commands in place of a service manager.
    pub commands: Option<ServiceCommands>,
    /// The changes that it is told of.
    pub because: Vec<PathBuf>,
}

/// How a unit is told; the greater one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is to run, and has no news.
    Start,
    /// It takes new files without a pause; one that cannot is restarted.
    Reload,
    /// It stops and starts.
    Restart,
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is told of changes.
    pub services: &'a [Service],
    /// Units whose state is asked for.
    pub units: &'a [Unit],
    /// The files that are not as they were.
    pub changes: &'a [Change],
    /// Credentials of the socket that are not as they were, `(UNIT, NAME)`: systemd hands them out when a unit starts.
    pub credentials: &'a [(String, String)],
}

/// A unit on its way into the plan.
struct Node {
    tell: Tell,
    told: bool,
    after: Vec<String>,
}

/// Plans what is done about `asked`.
#[must_use]
pub fn plan(asked: &Asked<'_>) -> Plan {
    let mut plan = Plan::default();
    let stopped: Vec<&Unit> = asked.units.iter().filter(|unit| unit.start == Some(false)).collect();
    let gone = gone(asked);
    plan.steps.extend(gone.iter().cloned().map(Step::Stop));
    plan.steps.extend(gone.iter().cloned().map(Step::Disable));
    if asked.changes.iter().any(|change| change.role == Role::Unit) {
        plan.steps.push(Step::DaemonReload);
    }
    let wanted = |unit: &&Unit| !gone.contains(&unit.name);
    for unit in asked.units.iter().filter(wanted) {
        match unit.enable {
            Some(true) => plan.steps.push(Step::Enable(unit.name.clone())),
            Some(false) => plan.steps.push(Step::Disable(unit.name.clone())),
            None => {}
        }
    }
    plan.steps.extend(stopped.iter().map(|unit| Step::Stop(unit.name.clone())));
    let nodes = nodes(asked, &mut plan.problems);
    let silent = |unit: &String| gone.contains(unit) || stopped.iter().any(|stopped| stopped.name == *unit);
    let told = ordered(nodes).into_iter().filter(|node| node.told && !silent(&node.tell.unit));
    plan.steps.extend(told.map(|node| Step::Tell(node.tell)));
    plan
}

/// The services that are about something that changed, in the order in which they are declared. One that names no paths
/// but has a `validate` command is about everything.
#[must_use]
pub fn affected<'a>(services: &'a [Service], changes: &[Change]) -> Vec<&'a Service> {
    let about = |service: &&Service| {
        let unit = unit_of(service);
        let globs = [&service.reload_on, &service.restart_on].map(|globs| set(globs).0);
        let any = service.reload_on.is_empty() && service.restart_on.is_empty() && !service.validate.is_empty();
        changes
            .iter()
            .any(|change| any || globs.iter().any(|globs| globs.is_match(&change.path)) || is_about(change, &unit))
    };
    services.iter().filter(about).collect()
}

impl Tell {
    fn new(unit: String, how: How, start: bool) -> Self {
        Self { unit, services: Vec::new(), how, start, commands: None, because: Vec::new() }
    }
}

/// As systemd names it; where services are no units, the manager knows.
fn unit_of(service: &Service) -> String {
    name::of_service(service, Init::Systemd)
}

/// Units whose own file is gone and that nothing declares any more.
fn gone(asked: &Asked<'_>) -> Vec<String> {
    let own = |change: &Change| match name::of_file(&change.path) {
        Some((unit, true)) if change.role == Role::Unit && change.what == What::Removed => Some(unit),
        Some(_) | None => None,
    };
    let mut gone: Vec<String> = asked.changes.iter().filter_map(own).collect();
    // It moved: another file of that name is there now.
    gone.retain(|unit| {
        let there = |change: &Change| change.what != What::Removed && is_about(change, unit);
        !unit.contains("@.") && !asked.changes.iter().any(there)
    });
    gone.sort();
    gone.dedup();
    gone
}

/// Whether the change is of a file that says something about `unit`.
fn is_about(change: &Change, unit: &str) -> bool {
    match change.role {
        Role::Unit => name::of_file(&change.path).is_some_and(|(of, _)| name::is_of(unit, &of)),
        // `UNIT.NAME` in a credstore.
        Role::Credential => {
            let file = change.path.file_name().and_then(|file| file.to_str());
            file.and_then(|file| file.strip_prefix(unit)).is_some_and(|rest| rest.starts_with('.'))
        }
        Role::File | Role::Cron => false,
    }
}

fn nodes(asked: &Asked<'_>, problems: &mut Vec<Problem>) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for unit in asked.units.iter().filter(|unit| unit.start == Some(true)) {
        let mut node = Node { tell: Tell::new(unit.name.clone(), How::Start, true), told: true, after: Vec::new() };
        node.restart_for(asked);
        nodes.push(node);
    }
    for service in asked.services {
        let (reload, restart) = globs(service, problems);
        let unit = match &service.commands {
            Some(_) => service.name.clone(),
            None => unit_of(service),
        };
        if !name::is_valid(&unit) {
            problems.push(Problem {
                object: format!("service {}", service.name),
                at: None,
                message: format!("{unit:?} is not the name of a unit: it is not told of changes"),
            });
            continue;
        }
        let same = |node: &&mut Node| node.tell.unit == unit && node.tell.commands == service.commands;
        let node = match nodes.iter_mut().find(same) {
            Some(node) => node,
            None => {
                let mut tell = Tell::new(unit, How::Start, false);
                tell.commands.clone_from(&service.commands);
                nodes.push(Node { tell, told: false, after: Vec::new() });
                let Some(node) = nodes.last_mut() else { continue };
                if service.commands.is_none() {
                    node.restart_for(asked);
                }
                node
            }
        };
        node.tell.services.push(service.name.clone());
        node.after.extend(service.after.iter().cloned());
        for change in asked.changes {
            if restart.is_match(&change.path) {
                node.tell(How::Restart, &change.path);
            } else if reload.is_match(&change.path) {
                node.tell(How::Reload, &change.path);
            }
        }
    }
    for (unit, _) in asked.credentials {
        // One that no service names has news all the same.
        if name::is_valid(unit) && !nodes.iter().any(|node| node.tell.unit == *unit) {
            let mut node = Node { tell: Tell::new(unit.clone(), How::Start, false), told: false, after: Vec::new() };
            node.restart_for(asked);
            nodes.push(node);
        }
    }
    nodes
}

impl Node {
    fn tell(&mut self, how: How, path: &Path) {
        self.told = true;
        self.tell.how = self.tell.how.max(how);
        if !self.tell.because.iter().any(|known| known == path) {
            self.tell.because.push(path.to_path_buf());
        }
    }

    /// What it only learns at its start: its own files, and its credentials.
    fn restart_for(&mut self, asked: &Asked<'_>) {
        let unit = self.tell.unit.clone();
        for change in asked.changes.iter().filter(|change| change.what != What::Removed || change.role == Role::Unit) {
            if is_about(change, &unit) {
                self.tell(How::Restart, &change.path);
            }
        }
        if asked.credentials.iter().any(|(of, _)| *of == unit) {
            self.told = true;
            self.tell.how = How::Restart;
        }
    }
}

fn globs(service: &Service, problems: &mut Vec<Problem>) -> (GlobSet, GlobSet) {
    let [(reload, mut bad), (restart, more)] = [&service.reload_on, &service.restart_on].map(|globs| set(globs));
    bad.extend(more);
    problems.extend(bad.into_iter().map(|message| Problem {
        object: format!("service {}", service.name),
        at: None,
        message: format!("{message}; it is not told of what that was to match"),
    }));
    (reload, restart)
}

/// The globs that are right, and what is wrong with the others.
fn set(globs: &[String]) -> (GlobSet, Vec<String>) {
    let mut builder = GlobSetBuilder::new();
    let mut bad = Vec::new();
    for glob in globs {
        match GlobBuilder::new(glob).literal_separator(true).build() {
            Ok(glob) => {
                builder.add(glob);
            }
            Err(error) => bad.push(error.to_string()),
        }
    }
    match builder.build() {
        Ok(set) => (set, bad),
        Err(error) => {
            bad.push(error.to_string());
            (GlobSet::empty(), bad)
        }
    }
}

/// As they are declared, but each after those that it names. Where they wait for each other in a circle, nobody waits.
fn ordered(nodes: Vec<Node>) -> Vec<Node> {
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        at.extend(node.tell.services.iter().map(|service| (service.clone(), index)));
    }
    let mut waits: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let before = node.after.iter().filter_map(|service| at.get(service).copied());
        waits.push(before.filter(|before| *before != index).collect());
    }
    let mut left: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(left.len());
    while ordered.len() < left.len() {
        let there = |index: &usize| left.get(*index).is_some_and(Option::is_some);
        let free = |index: &usize| waits.get(*index).is_some_and(|waits| !waits.iter().any(there));
        let Some(next) = (0..left.len()).filter(there).find(free).or_else(|| (0..left.len()).find(there)) else {
            break;
        };
        ordered.extend(left.get_mut(next).and_then(Option::take));
    }
    ordered
}

#[cfg(test)]
mod tests;
