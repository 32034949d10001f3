//! The rules that a Host must keep beyond its shape.
//!
//! What can be judged by one document alone: that a path is declared by two of them, or that a service comes after one
//! that is nowhere, is for those who see all of them.

mod files;
mod services;
mod units;

use std::collections::BTreeSet;

use super::names::is_object;
use super::paths::is_unseen;
use super::{Host, Positions};
use crate::validation::Violation;

/// The most entries of a list, and the most bytes of one text in it.
const MOST: usize = 10_000;
const LONGEST_TEXT: usize = 256 * 1024;
/// What is said of a list that is too long.
const TOO_LONG: [&str; 2] = ["has more than 10000 entries", services::TOO_MANY];

/// Every rule that the document breaks, in the order of the document.
#[must_use]
pub fn validate(host: &Host) -> Vec<Violation> {
    validate_at(host, &Positions::all(&host.spec))
}

/// The same, of a document of which only a part could be read: `positions` say where its entries stood.
#[must_use]
pub fn validate_at(host: &Host, positions: &Positions) -> Vec<Violation> {
    let mut rules = Rules::default();
    head(host, &mut rules);
    files::check(&host.spec.files, &positions.files, &mut rules);
    units::units(&host.spec.units, &positions.units, &mut rules);
    units::cron(&host.spec.cron, &positions.cron, &mut rules);
    units::credentials(&host.spec.credentials, &positions.credentials, &mut rules);
    services::check(&host.spec.services, &positions.services, &mut rules);
    rules.broken
}

/// Whether what is broken is the length of a list: nobody looks at the entries of such a document.
#[must_use]
pub fn is_too_long(violation: &Violation) -> bool {
    TOO_LONG.contains(&violation.message.as_str())
}

/// Collects what is broken.
#[derive(Default)]
struct Rules {
    broken: Vec<Violation>,
}

impl Rules {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.broken.push(Violation::new(path, message));
    }

    /// Adds the rule unless it holds.
    fn hold(&mut self, holds: bool, path: impl FnOnce() -> String, message: &str) {
        if !holds {
            self.add(path(), message);
        }
    }

    /// A name of something in Kubernetes' words.
    fn object(&mut self, name: &str, path: impl FnOnce() -> String) {
        self.hold(is_object(name), path, "must be lower-case letters, digits, `-` and `.`, 253 at most");
    }

    /// A command and its arguments; an empty one is none.
    fn command(&mut self, command: &[String], path: &str) {
        let Some(program) = command.first() else { return };
        self.hold(command.len() <= 200, || path.to_owned(), "has more than 200 arguments");
        let is_program = !program.is_empty() && !program.chars().any(is_unseen) && !program.starts_with('-');
        self.hold(is_program, || format!("{path}[0]"), "must be a program: a path, or a name that the PATH has");
        for (index, argument) in command.iter().enumerate() {
            let is_legal = !argument.contains('\0') && argument.len() <= 32 * 1024;
            self.hold(is_legal, || format!("{path}[{index}]"), "holds a zero byte, or is longer than 32 KiB");
        }
    }

    /// A text that is written out as it is.
    fn text(&mut self, text: &str, path: impl FnOnce() -> String) {
        let is_legal = text.len() <= LONGEST_TEXT && !text.contains('\0');
        self.hold(is_legal, path, "holds a zero byte, or is longer than 256 KiB");
    }

    /// Values that must differ.
    fn distinct<'v>(&mut self, seen: &mut BTreeSet<&'v str>, value: &'v str, path: impl FnOnce() -> String) {
        self.hold(seen.insert(value), path, "is declared twice in this document");
    }
}

fn head(host: &Host, rules: &mut Rules) {
    rules.object(&host.metadata.name, || "metadata.name".to_owned());
    if let Some(namespace) = &host.metadata.namespace {
        rules.object(namespace, || "metadata.namespace".to_owned());
    }
    let spec = &host.spec;
    for (field, names) in [("hosts", &spec.hosts), ("groups", &spec.groups)] {
        let mut seen = BTreeSet::new();
        for (index, name) in names.iter().enumerate() {
            let path = || format!("spec.{field}[{index}]");
            rules.object(name, path);
            rules.distinct(&mut seen, name, path);
        }
    }
    let counts = [
        ("hosts", spec.hosts.len()),
        ("groups", spec.groups.len()),
        ("files", spec.files.len()),
        ("units", spec.units.len()),
        ("cron", spec.cron.len()),
        ("credentials", spec.credentials.len()),
        ("services", spec.services.len()),
    ];
    for (field, count) in counts {
        rules.hold(count <= MOST, || format!("spec.{field}"), TOO_LONG[0]);
    }
}

/// Entries with the path of each.
fn entries<'e, T>(
    list: &'static str,
    entries: &'e [T],
    positions: &'e [usize],
) -> impl Iterator<Item = (String, &'e T)> {
    entries.iter().enumerate().map(move |(index, entry)| {
        let index = positions.get(index).copied().unwrap_or(index);
        (format!("spec.{list}[{index}]"), entry)
    })
}

#[cfg(test)]
mod tests;
