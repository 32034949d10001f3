//! Files, and what each key opens in them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use bulla::seal::{self, Format, KeyId, Keyring, Place};
use jiff::civil::Date;
use rayon::prelude::*;
use serde::Serialize;

use super::values::{self, Value};
use super::{fingerprint, refuted};
use crate::document::MAX_BYTES;
use crate::failure::Outcome;
use crate::files::Files;
use crate::output::Progress;
use crate::recipients;
use crate::repository::Book;

/// Says of a key whether it opens anything.
pub(crate) type Opens = Box<dyn Fn(&KeyId) -> bool + Send + Sync>;

/// What is known beforehand.
#[derive(Default)]
pub(crate) struct Known {
    /// Private keys, to find out which of them opens a value of kubeseal's, and whether native ones open as they say.
    pub(crate) keyring: Keyring,
    /// The key of kubeseal's values, by [`fingerprint`], as a cluster found out.
    pub(crate) opened_by: HashMap<u64, KeyId>,
    /// Whether a key opens anything; without it, every key does.
    pub(crate) opens: Option<Opens>,
    /// Namespace of manifests that name none, where `.bulla.yaml` does not say it.
    pub(crate) namespace: Option<String>,
}

/// What the keys of a repository are needed for.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Audit {
    /// By key.
    pub(crate) keys: BTreeMap<KeyId, KeyUse>,
    /// Files with sealed values.
    pub(crate) files: u64,
    /// Sealed values.
    pub(crate) values: u64,
    /// Values that do not name their key, and nobody could say which it is.
    pub(crate) unknown: u64,
    /// The files with such values, and how many.
    pub(crate) unknown_in: Vec<(String, u64)>,
    /// Files whose SealedSecrets cannot be read, and why. Native values in them are counted.
    pub(crate) unread: Vec<(String, String)>,
    /// Values that name a private key that is at hand, and do not open with it.
    pub(crate) refuted: Vec<Refuted>,
    /// The files of `unread` in which nothing was looked at.
    #[serde(skip)]
    pub(crate) shut: BTreeSet<String>,
}

/// A value that is not sealed to whom it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Refuted {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// Its data key, where it says one.
    pub(crate) key: Option<String>,
    pub(crate) reason: String,
}

/// What one key is needed for.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyUse {
    /// `hybrid`, `x25519` or `rsa`.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// Whether a rule of `.bulla.yaml` names it.
    pub(crate) named_by_rules: bool,
    /// Values that are sealed to it.
    pub(crate) values: u64,
    /// Values that nobody can open without it.
    pub(crate) lost_without: u64,
    /// SealedSecrets with such values.
    pub(crate) objects: u64,
    /// The day of the oldest of its values, as they say themselves.
    pub(crate) oldest: Option<Date>,
    /// That of the newest.
    pub(crate) newest: Option<Date>,
    /// The files, in order.
    pub(crate) files: Vec<FileUse>,
}

/// What a key opens in one file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileUse {
    pub(crate) file: String,
    /// Line of the first of them.
    pub(crate) line: usize,
    pub(crate) values: u64,
    pub(crate) lost_without: u64,
    /// `namespace/name` of the SealedSecrets.
    pub(crate) objects: BTreeSet<String>,
}

/// Looks at every file of these paths, on all cores.
///
/// # Errors
/// A path that does not exist, or a folder that cannot be read.
pub(crate) fn repository(paths: &[PathBuf], exclude: &[String], known: &Known, progress: &Progress) -> Outcome<Audit> {
    let listed = Files::without(exclude)?;
    let mut files = BTreeSet::new();
    for path in paths {
        files.extend(listed.of(path)?);
    }
    let files: Vec<PathBuf> = files.into_iter().collect();
    progress.set_length(files.len() as u64);
    let rules = Book::default();
    let looked = files.par_iter().fold(Audit::default, |mut audit, file| {
        audit.look(file, known, &rules);
        progress.add(1);
        audit
    });
    let mut audit = looked.reduce(Audit::default, Audit::and);
    audit.rules(&rules);
    audit.unknown_in.sort();
    audit.unread.sort();
    audit.refuted.sort();
    audit.keys.values_mut().for_each(|used| used.files.sort_by(|a, b| a.file.cmp(&b.file)));
    progress.done();
    Ok(audit)
}

impl Audit {
    /// What one key is needed for.
    pub(crate) fn of(&self, id: &KeyId) -> Option<&KeyUse> {
        self.keys.get(id)
    }

    fn look(&mut self, path: &Path, known: &Known, rules: &Book) {
        let file = path.strip_prefix(".").unwrap_or(path).display().to_string();
        if fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_BYTES as u64) {
            return self.shut(file, format!("more than {} MiB: too long for a manifest", MAX_BYTES >> 20));
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.shut(file, error.to_string()),
        };
        // What rules name counts whether or not a file of theirs holds a value yet.
        let rule = rules.rule_for(path);
        let Some(text) = values::text(&bytes) else {
            if std::str::from_utf8(&bytes).is_err() && values::may_hold_values(&bytes) {
                self.shut(file, "not UTF-8, and speaks of sealed values".to_owned());
            }
            return;
        };
        let namespace = rule.and_then(|rule| rule.namespace.clone()).or_else(|| known.namespace.clone());
        let mut own: BTreeMap<KeyId, FileUse> = BTreeMap::new();
        let (mut count, mut unknown) = (0, 0);
        let read = values::each(text, |value| {
            let Ok(looked) = seal::inspect(value.sealed) else { return };
            count += 1;
            let (ids, day) = match &looked.binding {
                Some(binding) => (binding.keys.clone(), Some(binding.sealed)),
                None => (known.key_of(value, looked.format, namespace.as_deref()).into_iter().collect(), None),
            };
            if ids.is_empty() {
                unknown += 1;
            }
            let told = looked.binding.as_ref();
            if let Some((binding, reason)) =
                told.and_then(|one| Some((one, refuted(&known.keyring, value.sealed, one)?)))
            {
                let key = value.key.map(str::to_owned).or_else(|| binding.key.clone());
                self.refuted.push(Refuted { file: file.clone(), line: value.line, key, reason });
            }
            let object = value.object.map(|object| named(object, namespace.as_deref()));
            for (at, id) in ids.iter().enumerate() {
                let others =
                    ids.iter().filter(|other| *other != id && known.opens.as_ref().is_none_or(|opens| opens(other)));
                let is_lost = others.count() == 0;
                let used = own.entry(*id).or_insert_with(|| FileUse {
                    file: file.clone(),
                    line: value.line,
                    values: 0,
                    lost_without: 0,
                    objects: BTreeSet::new(),
                });
                used.values += 1;
                used.lost_without += u64::from(is_lost);
                used.objects.extend(object.clone());
                let key = self.keys.entry(*id).or_default();
                if key.kind.is_none() {
                    key.kind = looked.kinds.get(at).map(|kind| kind.split('-').next().unwrap_or(kind).to_owned());
                }
                key.oldest = [key.oldest, day].into_iter().flatten().min();
                key.newest = [key.newest, day].into_iter().flatten().max();
            }
        });
        if let Err(reason) = read {
            self.unread.push((file.clone(), reason));
        }
        self.files += u64::from(count > 0);
        self.values += count;
        self.unknown += unknown;
        if unknown > 0 {
            self.unknown_in.push((file, unknown));
        }
        for (id, used) in own {
            self.keys.entry(id).or_default().add(used);
        }
    }

    /// Nothing in a file was looked at.
    fn shut(&mut self, file: String, why: String) {
        self.shut.insert(file.clone());
        self.unread.push((file, why));
    }

    fn and(mut self, other: Self) -> Self {
        self.files += other.files;
        self.values += other.values;
        self.unknown += other.unknown;
        self.unknown_in.extend(other.unknown_in);
        self.unread.extend(other.unread);
        self.refuted.extend(other.refuted);
        self.shut.extend(other.shut);
        for (id, mut used) in other.keys {
            let own = self.keys.entry(id).or_default();
            own.kind = own.kind.take().or(used.kind);
            own.oldest = [own.oldest, used.oldest].into_iter().flatten().min();
            own.newest = [own.newest, used.newest].into_iter().flatten().max();
            used.files.drain(..).for_each(|file| own.add(file));
        }
        self
    }

    /// The keys that rules name, used or not.
    fn rules(&mut self, rules: &Book) {
        for book in rules.met() {
            for rule in book.rules.iter().flatten() {
                // A recipient that cannot be read is for `bulla verify` to say.
                for recipient in recipients::of_rule(rule).unwrap_or_default() {
                    let key = self.keys.entry(recipient.key_id()).or_default();
                    key.named_by_rules = true;
                    key.kind.get_or_insert_with(|| recipient.kind().as_str().to_owned());
                }
            }
        }
    }
}

impl KeyUse {
    fn add(&mut self, file: FileUse) {
        self.values += file.values;
        self.lost_without += file.lost_without;
        self.objects += file.objects.len() as u64;
        self.files.push(file);
    }
}

impl Known {
    /// The key of a value that names none, if anybody knows it.
    fn key_of(&self, value: &Value<'_>, format: Format, namespace: Option<&str>) -> Option<KeyId> {
        if let Some(id) = self.opened_by.get(&fingerprint(value.sealed)) {
            return Some(*id);
        }
        let object = value.object.filter(|_| format == Format::Kubeseal && self.keyring.rsa_keys() > 0)?;
        let namespace = object.namespace.as_deref().or(namespace).unwrap_or_default();
        let place = Place { namespace, name: object.name.as_deref()?, key: value.key? };
        seal::open(&self.keyring, value.sealed, place, object.scope()).ok().map(|opened| opened.key_id)
    }
}

/// `namespace/name`, as far as it is said.
pub(super) fn named(object: &crate::document::Manifest, namespace: Option<&str>) -> String {
    let name = object.name.as_deref().unwrap_or("(no name)");
    let namespace = object.namespace.as_deref().or(namespace);
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}
