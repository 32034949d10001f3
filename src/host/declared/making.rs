//! Making the files: values, templates, sources.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use super::asked::{Asked, Item, Text, What};
use super::commit;
use super::secrets::{Secrets, named};
use super::{Files, Full, Who};
use crate::host::desired::{Content, Credential, File, Problem};
use crate::secret::template::{self, Allowance, Delimiters, Environment, MissingKey, TEMPLATE_LIMIT, Tree};
use crate::secret::{Plaintext, Values};

/// The most bytes of one file from the repository, and of all files together: they lie in memory.
const MAX_SOURCE: u64 = 16 << 20;
const MAX_TOTAL: usize = 128 << 20;
/// The templates of a commit may do as much as so many that use up all that one may: some ten seconds.
const ALLOWANCE: usize = 32;
/// What templates call the host.
const HOST: &str = "host";
/// How many keys of a secret a message names.
const SPELLED_OUT: usize = 12;

/// What files are made of.
pub(super) struct Maker<'a> {
    pub(super) who: &'a Who,
    pub(super) secrets: &'a Secrets,
    pub(super) sources: &'a BTreeMap<PathBuf, Result<Vec<u8>, String>>,
    pub(super) now: Timestamp,
}

/// Reads every file of the repository that the items are made of.
pub(super) fn sources(files: &Files, items: &[Item]) -> BTreeMap<PathBuf, Result<Vec<u8>, String>> {
    let mut wanted: BTreeMap<&PathBuf, u64> = BTreeMap::new();
    for item in items {
        let (path, limit) = match &item.what {
            What::Template(Text::File(path), _) => (path, TEMPLATE_LIMIT as u64),
            What::Source(path) => (path, MAX_SOURCE),
            What::Template(Text::Here(_), _) | What::Value(..) | What::Ready(_) | What::Nothing => continue,
        };
        let least = wanted.entry(path).or_insert(limit);
        *least = limit.max(*least);
    }
    let (mut read, mut paths) = (BTreeMap::new(), Vec::new());
    let mut total = 0;
    for (path, limit) in wanted {
        let admitted = files.size(path, limit).and_then(|size| {
            total += size;
            if total > MAX_TOTAL as u64 {
                return Err("is more than the files of a host may have together".to_owned());
            }
            Ok(())
        });
        match admitted {
            Ok(()) => paths.push(path.clone()),
            Err(problem) => drop(read.insert(path.clone(), Err(problem))),
        }
    }
    let bytes = files.read(&paths);
    read.extend(paths.into_iter().zip(bytes));
    read
}

impl Maker<'_> {
    /// Makes every file. What cannot be made keeps its last good content.
    pub(super) fn files(&self, items: Vec<Item>, problems: &mut Vec<Problem>) -> Vec<File> {
        let allowance = Allowance::of(ALLOWANCE);
        let mut total = 0;
        items
            .into_iter()
            .map(|item| {
                let made = self.content(&item, &allowance).and_then(|content| {
                    total += content.as_ref().map_or(0, Plaintext::len);
                    if total > MAX_TOTAL {
                        Err("the files of this host have more than 128 MiB together".to_owned())
                    } else {
                        Ok(content)
                    }
                });
                let content = made.unwrap_or_else(|message| {
                    let at = Some(commit::place(&item.at.0, item.at.1));
                    problems.push(Problem { object: item.path.clone(), at, message });
                    None
                });
                file(item, content)
            })
            .collect()
    }

    /// The credentials for the agent's socket.
    pub(super) fn credentials(&self, asked: Vec<Asked>, problems: &mut Vec<Problem>) -> Vec<Credential> {
        let mut credential = |Asked { unit, name, secret, at }: Asked| {
            let made = secret.map_or(Ok(None), |(full, key)| self.value(&full, &key));
            let value = made.unwrap_or_else(|message| {
                let at = Some(commit::place(&at.0, at.1));
                problems.push(Problem { object: format!("credential {name} of {unit}"), at, message });
                None
            });
            Credential { unit, name, value }
        };
        asked.into_iter().map(&mut credential).collect()
    }

    /// The bytes of a file; nothing where a problem has been told already.
    fn content(&self, item: &Item, allowance: &Allowance) -> Result<Option<Plaintext>, String> {
        match &item.what {
            What::Value(full, key) => self.value(full, key),
            What::Template(Text::Here(text), secrets) => self.rendered(text, secrets, allowance),
            What::Template(Text::File(path), secrets) => {
                let told = |problem: &str| format!("template {}: {problem}", commit::shown(path));
                let bytes = self.source(path).map_err(|problem| told(&problem))?;
                let text = std::str::from_utf8(bytes).map_err(|_| told("is not UTF-8"))?;
                self.rendered(text, secrets, allowance).map_err(|problem| told(&problem))
            }
            What::Source(path) => {
                let bytes = self.source(path).map_err(|problem| format!("{}: {problem}", commit::shown(path)))?;
                Ok(Some(Plaintext::copy_of(bytes)))
            }
            What::Ready(text) => Ok(Some(Plaintext::copy_of(text.as_bytes()))),
            What::Nothing => Ok(None),
        }
    }

    fn source(&self, path: &PathBuf) -> Result<&[u8], String> {
        match self.sources.get(path) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(problem)) => Err(problem.clone()),
            None => Err("was not read".to_owned()),
        }
    }

    fn secret(&self, full: &Full) -> Option<&Values> {
        self.secrets.get(full).and_then(Option::as_ref)
    }

    fn value(&self, full: &Full, key: &str) -> Result<Option<Plaintext>, String> {
        let Some(values) = self.secret(full) else { return Ok(None) };
        let value = values.get(key).ok_or_else(|| {
            let mut keys: Vec<_> = values.keys().take(SPELLED_OUT).map(String::as_str).collect();
            if values.len() > keys.len() {
                keys.push("…");
            }
            format!("the {} has no key {key}; it has {}", named("secret", full), keys.join(", "))
        })?;
        Ok(Some(Plaintext::copy_of(value.expose())))
    }

    fn rendered(
        &self,
        text: &str,
        secrets: &[(String, Full)],
        allowance: &Allowance,
    ) -> Result<Option<Plaintext>, String> {
        let host = BTreeMap::from([("name", Tree::Text(&self.who.name)), ("groups", Tree::Texts(&self.who.groups))]);
        let mut data = BTreeMap::from([(HOST, Tree::Map(host))]);
        for (called, full) in secrets {
            // Why it is not there is told already.
            let Some(values) = self.secret(full) else { return Ok(None) };
            data.insert(called, Tree::Secret { called: format!("the {}", named("secret", full)), values });
        }
        let out_of_randomness = Cell::new(false);
        let random =
            |bytes: &mut [u8]| out_of_randomness.set(out_of_randomness.get() | getrandom::fill(bytes).is_err());
        let environment = Environment {
            now: self.now,
            random: &random,
            missing_key: MissingKey::Error,
            delimiters: Delimiters::default(),
        };
        let rendered = template::render_tree(text, &data, "the list `secrets` of this file", &environment, allowance)
            .map_err(|error| error.to_string())?;
        if out_of_randomness.get() { Err("the system gives no random bytes".to_owned()) } else { Ok(Some(rendered)) }
    }
}

fn file(item: Item, content: Option<Plaintext>) -> File {
    let Item { path, owner, group, mode, place, role, what, .. } = item;
    let full = |(namespace, name): &Full| format!("{namespace}/{name}");
    let secrets: BTreeSet<String> = match &what {
        What::Value(secret, _) => BTreeSet::from([full(secret)]),
        What::Template(_, secrets) => secrets.iter().map(|(_, secret)| full(secret)).collect(),
        What::Source(_) | What::Ready(_) | What::Nothing => BTreeSet::new(),
    };
    File {
        path: PathBuf::from(path),
        owner,
        group,
        mode,
        place,
        role,
        content: content.map_or(Content::LastGood, Content::Bytes),
        secrets: secrets.into_iter().collect(),
    }
}
