//! One file: its values looked at, the stale ones sealed again, the file written whole.

use std::fs;
use std::path::Path;

use bulla::seal::{self, Format, KeyId, Keyring, Pace, Refusal, Reseal, ResealRefusal, Scope, Standing};
use jiff::civil::Date;
use rayon::prelude::*;

use super::controller::{Answer, Controller, Object};
use super::goal::{Goal, Goals};
use super::report::{Failed, FileReport};
use super::{Mode, Plan, Way};
use crate::document::{Document, Entry, MAX_BYTES, Manifest, Replacement};
use crate::output::{self, Access};

/// What all files of a run share.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) goals: Goals<'a>,
    /// A keyring that opens nothing.
    pub(super) nobody: Keyring,
    pub(super) today: Date,
}

/// A value that is not known to be as it should be, and where it is.
struct Task<'a> {
    manifest: usize,
    object: &'a Manifest,
    entry: &'a Entry,
    sealed: &'a str,
    looked: Looked,
}

/// What is known of a value from the outside.
struct Looked {
    standing: Standing,
    format: Format,
    /// The keys that it names; none in kubeseal's format.
    keys: Vec<KeyId>,
    namespace: String,
}

/// What became of a value.
enum Fate {
    Current,
    Stale,
    Unknown,
    Resealed {
        /// The keys that are known to have opened it, and those that open it now.
        before: Vec<KeyId>,
        after: Vec<KeyId>,
        sealed: String,
    },
    Failed(String),
}

impl Run<'_> {
    /// Looks at a file; `None` where it holds no SealedSecret.
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
        let text = String::from_utf8(bytes).ok().filter(|text| text.contains(bulla_crds::sealed_secret::KIND))?;
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => return Some(report.broken(error.line(), error.to_string())),
        };
        if !document.manifests().iter().any(Manifest::is_sealed_secret) {
            return None;
        }
        let goal = match self.goals.of(path) {
            Ok(goal) => goal,
            Err(reason) => return Some(report.broken(None, reason)),
        };
        report.named_by.clone_from(&goal.named_by);
        let replacements = self.values(&document, &goal, &mut report);
        if self.plan.mode == Mode::Write && !replacements.is_empty() {
            self.write(path, document, &replacements, &mut report);
        }
        Some(report)
    }

    fn values(&self, document: &Document, goal: &Goal, report: &mut FileReport) -> Vec<Replacement> {
        let mut tasks = Vec::new();
        let sealed_secrets =
            document.manifests().iter().enumerate().filter(|(_, manifest)| manifest.is_sealed_secret());
        for (manifest, object) in sealed_secrets {
            for entry in &object.entries {
                let Some(sealed) = entry.value.as_deref() else {
                    let refused = document.check_replaceable(manifest, &entry.key).err();
                    let reason = refused.map_or_else(|| Refusal::NotAString.to_string(), |error| error.to_string());
                    report.failed.push(failed(object, entry, reason));
                    continue;
                };
                match self.look(object, sealed, goal) {
                    Ok(Looked { standing: Standing::Current, .. }) => report.current += 1,
                    Ok(looked) => tasks.push(Task { manifest, object, entry, sealed, looked }),
                    Err(refusal) => report.failed.push(failed(object, entry, refusal.to_string())),
                }
            }
        }
        let fates = self.fates(document, &tasks, goal);
        let mut replacements = Vec::new();
        for (task, fate) in tasks.into_iter().zip(fates) {
            match fate {
                Fate::Current => report.current += 1,
                Fate::Stale => report.stale.push((task.entry.line, task.entry.key.clone())),
                Fate::Unknown => report.unknown += 1,
                Fate::Failed(reason) => report.failed.push(failed(task.object, task.entry, reason)),
                Fate::Resealed { before, after, sealed } => {
                    report.resealed(&before, &after);
                    let key = task.entry.key.clone();
                    replacements.push(Replacement { manifest: task.manifest, key, value: sealed });
                }
            }
        }
        report.failed.sort_by_key(|failed| failed.line);
        replacements
    }

    fn look(&self, object: &Manifest, sealed: &str, goal: &Goal) -> Result<Looked, Refusal> {
        let inspection = seal::inspect(sealed)?;
        let standing = goal.targets.standing(&inspection, self.keyring());
        let bound = inspection.binding.as_ref();
        let said = [&object.namespace, &goal.namespace, &self.plan.namespace];
        let said = said.into_iter().find_map(Option::as_ref);
        // A value that says its namespace needs nobody else to say it.
        let namespace = said.or_else(|| bound?.namespace.as_ref()).cloned().unwrap_or_default();
        let format = inspection.format;
        let keys = inspection.binding.map(|binding| binding.keys).unwrap_or_default();
        Ok(Looked { standing, format, keys, namespace })
    }

    fn keyring(&self) -> &Keyring {
        match &self.plan.way {
            Way::Identities(keyring) => keyring,
            Way::Controller(_) | Way::Outside => &self.nobody,
        }
    }

    /// What becomes of each value.
    fn fates(&self, document: &Document, tasks: &[Task<'_>], goal: &Goal) -> Vec<Fate> {
        let is_refused = |task: &Task<'_>| document.check_replaceable(task.manifest, &task.entry.key).err();
        let from_outside =
            |task: &Task<'_>| if task.looked.standing == Standing::Stale { Fate::Stale } else { Fate::Unknown };
        match (&self.plan.way, self.plan.mode) {
            (Way::Identities(keyring), _) => {
                let fate = |task: &Task<'_>| match is_refused(task) {
                    Some(error) => Fate::Failed(error.to_string()),
                    None => self.open_and_seal(keyring, task, goal),
                };
                tasks.par_iter().map(fate).collect()
            }
            (Way::Controller(controller), Mode::Write) => {
                let objects = tasks.chunk_by(|one, other| one.manifest == other.manifest);
                objects.flat_map(|tasks| self.ask(controller, document, tasks, goal)).collect()
            }
            // Asking is work for the controller: what values say about themselves has to do.
            (Way::Controller(_), Mode::DryRun | Mode::Check) | (Way::Outside, _) => {
                tasks.iter().map(from_outside).collect()
            }
        }
    }

    fn open_and_seal(&self, keyring: &Keyring, task: &Task<'_>, goal: &Goal) -> Fate {
        if self.plan.mode == Mode::Check && task.looked.standing == Standing::Stale {
            return Fate::Stale;
        }
        let Looked { namespace, .. } = &task.looked;
        let declared = task.object.scope();
        let reseal = Reseal {
            keyring,
            targets: &goal.targets,
            namespace,
            name: task.object.name.as_deref().unwrap_or_default(),
            declared,
            today: self.today,
            pace: Pace::Quick,
        };
        match reseal.value(&task.entry.key, task.sealed) {
            seal::Outcome::Kept { .. } => Fate::Current,
            seal::Outcome::Resealed { .. } if self.plan.mode == Mode::Check => Fate::Stale,
            seal::Outcome::Resealed { from, to, sealed } => {
                let named = |keys: Vec<KeyId>, other| if keys.is_empty() { vec![other] } else { keys };
                let (before, after) = (named(task.looked.keys.clone(), from), named(keys_of(&sealed), to));
                Fate::Resealed { before, after, sealed }
            }
            seal::Outcome::Refused(refusal) => {
                let is_lost = matches!(refusal, ResealRefusal::Open(Refusal::NoKeyOpens { .. }));
                let hint = if is_lost && namespace.is_empty() && declared != Scope::ClusterWide {
                    "; nothing says the namespace that it is bound to: pass --namespace"
                } else {
                    ""
                };
                Fate::Failed(format!("{refusal}{hint}"))
            }
        }
    }

    /// The values of one object, sealed again by the controller.
    fn ask(&self, controller: &Controller, document: &Document, tasks: &[Task<'_>], goal: &Goal) -> Vec<Fate> {
        let Some(first) = tasks.first() else { return Vec::new() };
        let mut object = Object {
            namespace: &first.looked.namespace,
            name: first.object.name.as_deref().unwrap_or_default(),
            annotations: &first.object.annotations,
            values: Vec::new(),
        };
        let mut fates: Vec<Option<Fate>> = Vec::new();
        for task in tasks {
            let refused =
                document.check_replaceable(task.manifest, &task.entry.key).err().map(|error| error.to_string());
            let refused = refused.or_else(|| controller.cannot(&goal.targets, task.looked.format, &task.looked.keys));
            if refused.is_none() {
                object.values.push((&task.entry.key, task.sealed));
            }
            fates.push(refused.map(Fate::Failed));
        }
        let answers =
            if object.values.is_empty() { Vec::new() } else { controller.reseal(&object, &goal.targets, self.today) };
        let mut answers = answers.into_iter().map(|answer| match answer {
            Answer::Kept => Fate::Current,
            Answer::Sealed(sealed) => Fate::Resealed { before: Vec::new(), after: keys_of(&sealed), sealed },
            Answer::Refused(reason) => Fate::Failed(reason),
        });
        let next = |(fate, task): (Option<Fate>, &Task<'_>)| match fate
            .or_else(|| answers.next())
            .unwrap_or(Fate::Unknown)
        {
            Fate::Resealed { after, sealed, .. } => Fate::Resealed { before: task.looked.keys.clone(), after, sealed },
            other @ (Fate::Current | Fate::Stale | Fate::Unknown | Fate::Failed(_)) => other,
        };
        fates.into_iter().zip(tasks).map(next).collect()
    }

    fn write(&self, path: &Path, mut document: Document, replacements: &[Replacement], report: &mut FileReport) {
        let before = document.text().to_owned();
        let written = document.replace_all(replacements).map_err(|error| error.to_string()).and_then(|()| {
            // Somebody's editor may have saved the file meanwhile.
            match fs::read(path) {
                Ok(now) if now == before.as_bytes() => {}
                Ok(_) => return Err("it was changed by somebody else meanwhile: run again".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
            output::write_file(path, document.text().as_bytes(), Access::Ordinary).map_err(|error| error.to_string())
        });
        if let Err(reason) = written {
            report.not_written(reason);
        }
    }
}

/// The keys that a value names.
fn keys_of(sealed: &str) -> Vec<KeyId> {
    seal::inspect(sealed).ok().and_then(|looked| looked.binding).map(|binding| binding.keys).unwrap_or_default()
}

fn failed(object: &Manifest, entry: &Entry, reason: String) -> Failed {
    Failed { line: Some(entry.line), object: Some(super::report::named(object)), key: Some(entry.key.clone()), reason }
}
