//! One file: its values looked at, the stale ones sealed again, the file written whole.

use std::fs;
use std::path::Path;

use bulla::seal::{self, KeyId, Keyring, Pace, Place, Refusal, Reseal, Scope, Standing};
use jiff::civil::Date;
use rayon::prelude::*;

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
    /// The keys that it names.
    keys: Vec<KeyId>,
    namespace: String,
    standing: Standing,
}

/// What became of a value.
enum Fate {
    Current,
    Stale,
    Unknown,
    Resealed { before: Vec<KeyId>, after: Vec<KeyId>, sealed: String },
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
            Err(failure) => return Some(report.broken(None, failure.to_string())),
        };
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
                    Ok((Standing::Current, ..)) => report.current += 1,
                    Ok((standing, keys, namespace)) => {
                        tasks.push(Task { manifest, object, entry, sealed, keys, namespace, standing });
                    }
                    Err(refusal) => report.failed.push(failed(object, entry, refusal.to_string())),
                }
            }
        }
        let fates: Vec<Fate> = tasks.par_iter().map(|task| self.value(document, task, goal)).collect();
        let mut replacements = Vec::new();
        for (task, fate) in tasks.into_iter().zip(fates) {
            match fate {
                Fate::Current => report.current += 1,
                Fate::Stale => report.stale.push((task.entry.line, task.entry.key.clone())),
                Fate::Unknown => report.unknown += 1,
                Fate::Failed(reason) => report.failed.push(failed(task.object, task.entry, reason)),
                Fate::Resealed { before, after, sealed } => {
                    report.resealed(&before, &after);
                    replacements.push(Replacement {
                        manifest: task.manifest,
                        key: task.entry.key.clone(),
                        value: sealed,
                    });
                }
            }
        }
        replacements
    }

    /// How a value stands, the keys that it names, and its namespace.
    fn look(&self, object: &Manifest, sealed: &str, goal: &Goal) -> Result<(Standing, Vec<KeyId>, String), Refusal> {
        let inspection = seal::inspect(sealed)?;
        let standing = goal.targets.standing(&inspection, self.keyring());
        let bound = inspection.binding.as_ref();
        let said = [&object.namespace, &goal.namespace, &self.plan.namespace];
        let said = said.into_iter().find_map(Option::as_ref);
        // A value that says its namespace needs nobody else to say it.
        let namespace = said.or_else(|| bound?.namespace.as_ref()).cloned().unwrap_or_default();
        let keys = inspection.binding.map(|binding| binding.keys).unwrap_or_default();
        Ok((standing, keys, namespace))
    }

    fn keyring(&self) -> &Keyring {
        match &self.plan.way {
            Way::Identities(keyring) => keyring,
            Way::Outside => &self.nobody,
        }
    }

    fn value(&self, document: &Document, task: &Task<'_>, goal: &Goal) -> Fate {
        if self.plan.mode == Mode::Check && task.standing == Standing::Stale {
            return Fate::Stale;
        }
        let keyring = match &self.plan.way {
            Way::Identities(keyring) => keyring,
            Way::Outside => return if task.standing == Standing::Stale { Fate::Stale } else { Fate::Unknown },
        };
        let key = task.entry.key.as_str();
        let declared = task.object.scope();
        if let Err(error) = document.check_replaceable(task.manifest, key) {
            return Fate::Failed(error.to_string());
        }
        let name = task.object.name.as_deref().unwrap_or_default();
        let reseal = Reseal {
            keyring,
            targets: &goal.targets,
            namespace: &task.namespace,
            name,
            declared,
            today: self.today,
            pace: Pace::Quick,
        };
        match reseal.value(key, task.sealed) {
            seal::Outcome::Kept { .. } => Fate::Current,
            seal::Outcome::Resealed { .. } if self.plan.mode == Mode::Check => Fate::Stale,
            seal::Outcome::Resealed { from, to, sealed } => {
                let named = |keys: Vec<KeyId>, other| if keys.is_empty() { vec![other] } else { keys };
                let after = seal::inspect(&sealed).ok().and_then(|new| new.binding).map(|new| new.keys);
                Fate::Resealed {
                    before: named(task.keys.clone(), from),
                    after: named(after.unwrap_or_default(), to),
                    sealed,
                }
            }
            seal::Outcome::Refused(refusal) => {
                Fate::Failed(self.explain(&refusal, task, Place { namespace: &task.namespace, name, key }))
            }
        }
    }

    /// What to do about a refusal, where the refusal does not say it.
    fn explain(&self, refusal: &seal::ResealRefusal, task: &Task<'_>, place: Place<'_>) -> String {
        let said = refusal.to_string();
        let is_open = matches!(refusal, seal::ResealRefusal::Open(Refusal::NoKeyOpens { .. }));
        if is_open && place.namespace.is_empty() && task.object.scope() != Scope::ClusterWide {
            return format!("{said}; nothing says the namespace that it is bound to: pass --namespace");
        }
        said
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

fn failed(object: &Manifest, entry: &Entry, reason: String) -> Failed {
    Failed { line: Some(entry.line), object: Some(super::report::named(object)), key: Some(entry.key.clone()), reason }
}
