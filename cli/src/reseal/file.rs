//! One file: its values looked at, the stale ones sealed again, the file written whole.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use bulla::seal::{self, Keyring, Pace, Refusal, Reseal, ResealRefusal, Scope, Standing};
use bulla_crds::sealed_secret::KIND;
use jiff::civil::Date;
use rayon::prelude::*;

use super::controller::{Answer, Controller, Object};
use super::goal::{Goal, Goals};
use super::report::{Failed, FileReport};
use super::task::{At, Fate, Task, keys_of};
use super::{Mode, Plan, Way};
use crate::audit::{loose, refuted};
use crate::document::{Document, MAX_BYTES, Replacement};
use crate::output::{self, Access};

/// What all files of a run share.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) goals: Goals<'a>,
    /// A keyring that opens nothing.
    pub(super) nobody: Keyring,
    pub(super) today: Date,
}

/// New texts of values.
#[derive(Default)]
struct Changes {
    /// Of entries of SealedSecrets.
    entries: Vec<Replacement>,
    /// Of values elsewhere, by the old text.
    loose: HashMap<String, String>,
}

impl Run<'_> {
    /// Looks at a file; `None` where it holds no sealed value.
    pub(super) fn file(&self, path: &Path) -> Option<FileReport> {
        let mut report = FileReport::new(path);
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() > MAX_BYTES as u64 => return None,
            Ok(_) => {}
            Err(error) => return Some(report.broken(None, error.to_string())),
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return Some(report.broken(None, error.to_string())),
        };
        // Not text: no manifest, whatever else it is.
        let text = String::from_utf8(bytes).ok()?;
        let is_named = text.contains(KIND);
        if !is_named && loose(&text).next().is_none() {
            return None;
        }
        let parsed = is_named.then(|| Document::parse(text.clone()));
        let document = match parsed {
            Some(Ok(document)) => Some(document),
            Some(Err(error)) => {
                // Of a template what names its keys is dealt with all the same; of anything else somebody has to look.
                if !text.contains("{{") || may_hold_upstreams(&text) {
                    report = report.broken(error.line(), error.to_string());
                }
                None
            }
            None => None,
        };
        let goal = match self.goals.of(path) {
            Ok(goal) => goal,
            Err(reason) => return Some(report.broken(None, reason)),
        };
        report.named_by.clone_from(&goal.named_by);
        let changes = self.values(&text, document.as_ref(), &goal, &mut report);
        if self.plan.mode == Mode::Write
            && (!changes.entries.is_empty() || !changes.loose.is_empty())
            && let Err(reason) = write(path, &text, document, &changes)
        {
            report.not_written(reason);
        }
        Some(report)
    }

    fn values(&self, text: &str, document: Option<&Document>, goal: &Goal, report: &mut FileReport) -> Changes {
        let tasks = self.tasks(text, document, goal, report);
        let fates = self.fates(document, &tasks, goal);
        let mut changes = Changes::default();
        for (task, fate) in tasks.into_iter().zip(fates) {
            match fate {
                Fate::Current => report.current += 1,
                Fate::Stale => report.stale.push((task.at.line(), task.at.key().to_owned())),
                Fate::Unknown => report.unknown += 1,
                Fate::Failed(reason) => report.failed.push(task.at.failed(reason)),
                Fate::Resealed { before, after, sealed } => {
                    report.resealed(&before, &after);
                    match task.at {
                        At::Object { manifest, entry, .. } => {
                            changes.entries.push(Replacement { manifest, key: entry.key.clone(), value: sealed });
                        }
                        At::Loose { .. } => drop(changes.loose.insert(task.sealed.to_owned(), sealed)),
                    }
                }
            }
        }
        report.failed.sort_by_key(|failed| failed.line);
        changes
    }

    /// The values that are not known to be as they should be.
    fn tasks<'a>(
        &self,
        text: &'a str,
        document: Option<&'a Document>,
        goal: &Goal,
        report: &mut FileReport,
    ) -> Vec<Task<'a>> {
        let (mut tasks, mut seen) = (Vec::new(), HashSet::new());
        let manifests = document.into_iter().flat_map(|document| document.manifests().iter().enumerate());
        for (manifest, object) in manifests.filter(|(_, manifest)| manifest.is_sealed_secret()) {
            for entry in &object.entries {
                let at = At::Object { manifest, object, entry };
                let Some(sealed) = entry.value.as_deref() else {
                    let refused = document.and_then(|document| document.check_replaceable(manifest, &entry.key).err());
                    let reason = refused.map_or_else(|| Refusal::NotAString.to_string(), |error| error.to_string());
                    report.failed.push(at.failed(reason));
                    seen.insert(text.get(entry.span.clone()).unwrap_or_default().trim_matches(['"', '\'']));
                    continue;
                };
                seen.insert(sealed.trim());
                let said = [&object.namespace, &goal.namespace, &self.plan.namespace];
                let said = said.into_iter().find_map(Option::as_ref);
                match self.look(at, sealed, said.map(String::as_str), goal) {
                    Ok(task) if task.standing == Standing::Current => report.current += 1,
                    Ok(task) => tasks.push(task),
                    Err(failed) => report.failed.push(failed),
                }
            }
        }
        // A value that stands there twice is one.
        for value in loose(text).filter(|value| seen.insert(value.sealed)) {
            let binding = seal::inspect(value.sealed).ok().and_then(|looked| looked.binding);
            // What says nothing about its place may be anything, such as a file that age encrypted.
            let Some(binding) = binding else { continue };
            match self.look(At::loose(value.line, binding), value.sealed, None, goal) {
                Ok(task) if task.standing == Standing::Current => report.current += 1,
                Ok(task) => tasks.push(task),
                Err(failed) => report.failed.push(failed),
            }
        }
        tasks
    }

    fn look<'a>(&self, at: At<'a>, sealed: &'a str, namespace: Option<&str>, goal: &Goal) -> Result<Task<'a>, Failed> {
        let inspection = match seal::inspect(sealed) {
            Ok(inspection) => inspection,
            Err(refusal) => return Err(at.failed(refusal.to_string())),
        };
        let standing = goal.targets.standing(&inspection, self.keyring());
        let bound = inspection.binding.as_ref();
        // What is left alone on its own word has to keep it, as far as that can be tried here.
        let is_left = standing == Standing::Current;
        if let Some(reason) = bound.filter(|_| is_left).and_then(|bound| refuted(self.keyring(), sealed, bound)) {
            return Err(at.failed(reason));
        }
        // A value that says its namespace needs nobody else to say it.
        let namespace = namespace.or_else(|| bound?.namespace.as_deref()).unwrap_or_default().to_owned();
        let format = inspection.format;
        let keys = inspection.binding.map(|binding| binding.keys).unwrap_or_default();
        Ok(Task { at, sealed, standing, format, keys, namespace })
    }

    fn keyring(&self) -> &Keyring {
        match &self.plan.way {
            Way::Identities(keyring) => keyring,
            Way::Controller(_) | Way::Outside => &self.nobody,
        }
    }

    /// What becomes of each value.
    fn fates(&self, document: Option<&Document>, tasks: &[Task<'_>], goal: &Goal) -> Vec<Fate> {
        match (&self.plan.way, self.plan.mode) {
            (Way::Identities(keyring), _) => {
                let fate = |task: &Task<'_>| match not_replaceable(document, task) {
                    Some(reason) => Fate::Failed(reason),
                    None => self.open_and_seal(keyring, task, goal),
                };
                tasks.par_iter().map(fate).collect()
            }
            (Way::Controller(controller), Mode::Write) => {
                let objects = tasks.chunk_by(|one, other| one.at.is_beside(&other.at));
                objects.flat_map(|tasks| self.ask(controller, document, tasks, goal)).collect()
            }
            // Asking is work for the controller: what values say about themselves has to do.
            (Way::Controller(_), Mode::DryRun | Mode::Check) | (Way::Outside, _) => {
                let fate = |task: &Task<'_>| if task.standing == Standing::Stale { Fate::Stale } else { Fate::Unknown };
                tasks.iter().map(fate).collect()
            }
        }
    }

    fn open_and_seal(&self, keyring: &Keyring, task: &Task<'_>, goal: &Goal) -> Fate {
        if self.plan.mode == Mode::Check && task.standing == Standing::Stale {
            return Fate::Stale;
        }
        let (place, declared) = (task.place(), task.at.scope());
        let reseal = Reseal {
            keyring,
            targets: &goal.targets,
            namespace: place.namespace,
            name: place.name,
            declared,
            today: self.today,
            pace: Pace::Quick,
        };
        match reseal.value(place.key, task.sealed) {
            seal::Outcome::Kept { .. } => Fate::Current,
            seal::Outcome::Resealed { .. } if self.plan.mode == Mode::Check => Fate::Stale,
            seal::Outcome::Resealed { from, to, sealed } => {
                let named = |keys: Vec<_>, other| if keys.is_empty() { vec![other] } else { keys };
                let (before, after) = (named(task.keys.clone(), from), named(keys_of(&sealed), to));
                Fate::Resealed { before, after, sealed }
            }
            seal::Outcome::Refused(refusal) => {
                let is_lost = matches!(refusal, ResealRefusal::Open(Refusal::NoKeyOpens { .. }));
                let hint = if is_lost && place.namespace.is_empty() && declared != Scope::ClusterWide {
                    "; nothing says the namespace that it is bound to: pass --namespace"
                } else {
                    ""
                };
                Fate::Failed(format!("{refusal}{hint}"))
            }
        }
    }

    /// The values of one object, sealed again by the controller.
    fn ask(&self, controller: &Controller, document: Option<&Document>, tasks: &[Task<'_>], goal: &Goal) -> Vec<Fate> {
        let Some(first) = tasks.first() else { return Vec::new() };
        let mut object = Object {
            namespace: &first.namespace,
            name: first.at.name(),
            annotations: first.at.annotations(),
            values: Vec::new(),
        };
        let mut fates: Vec<Option<Fate>> = Vec::new();
        for task in tasks {
            let refused = not_replaceable(document, task);
            let refused = refused.or_else(|| controller.cannot(&goal.targets, task.format, &task.keys));
            if refused.is_none() {
                object.values.push((task.at.key(), task.sealed));
            }
            fates.push(refused.map(Fate::Failed));
        }
        let answers =
            if object.values.is_empty() { Vec::new() } else { controller.reseal(&object, &goal.targets, self.today) };
        let mut answers = answers.into_iter();
        let answered = |task: &Task<'_>, answer: Option<Answer>| match answer {
            Some(Answer::Kept) => Fate::Current,
            Some(Answer::Sealed(sealed)) => {
                Fate::Resealed { before: task.keys.clone(), after: keys_of(&sealed), sealed }
            }
            Some(Answer::Refused(reason)) => Fate::Failed(reason),
            None => Fate::Unknown,
        };
        let fates = fates.into_iter().zip(tasks);
        fates.map(|(fate, task)| fate.unwrap_or_else(|| answered(task, answers.next()))).collect()
    }
}

/// Why a value cannot be replaced where it stands.
fn not_replaceable(document: Option<&Document>, task: &Task<'_>) -> Option<String> {
    match task.at {
        At::Object { manifest, entry, .. } => {
            document.and_then(|document| document.check_replaceable(manifest, &entry.key).err()).map(|e| e.to_string())
        }
        At::Loose { .. } => None,
    }
}

/// Whether there may be a value of kubeseal's in what cannot be read as manifests: they begin with the length of an RSA
/// modulus (of 2048, 3072 or 4096 bits) and are at least that long.
fn may_hold_upstreams(text: &str) -> bool {
    const LEAST: usize = 340;
    const BEGINNINGS: [&str; 3] = ["AQ", "AY", "Ag"];
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut places = BEGINNINGS.into_iter().flat_map(|beginning| text.match_indices(beginning));
    places.any(|(at, _)| {
        let is_begun = text[..at].bytes().next_back().is_some_and(|byte| is_base64(&byte));
        !is_begun && text[at..].bytes().take_while(is_base64).count() > LEAST
    })
}

fn write(path: &Path, before: &str, document: Option<Document>, changes: &Changes) -> Result<(), String> {
    let after = match document {
        Some(mut document) => {
            document.replace_all(&changes.entries).map_err(|error| error.to_string())?;
            let after = replaced(document.text(), &changes.loose);
            if !changes.loose.is_empty() && !Document::parse(after.clone()).is_ok_and(|read| read.says_as(&document)) {
                return Err("values outside of SealedSecrets cannot be replaced in it safely".to_owned());
            }
            after
        }
        None => replaced(before, &changes.loose),
    };
    // Somebody's editor may have saved the file meanwhile.
    match fs::read(path) {
        Ok(now) if now == before.as_bytes() => {}
        Ok(_) => return Err("it was changed by somebody else meanwhile: run again".to_owned()),
        Err(error) => return Err(error.to_string()),
    }
    output::write_file(path, after.as_bytes(), Access::Ordinary).map_err(|error| error.to_string())
}

/// The text with the new values in place of the old ones.
fn replaced(text: &str, new: &HashMap<String, String>) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for value in loose(text) {
        if let Some(sealed) = new.get(value.sealed) {
            out.push_str(&text[from..value.at]);
            out.push_str(sealed);
            from = value.at + value.sealed.len();
        }
    }
    out.push_str(&text[from..]);
    out
}
