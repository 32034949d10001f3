//! Everything that was ever sealed to a key, in all of a repository's history.
//!
//! Whoever has the key and the repository has read it: what is in Git stays there, and no sealing again, no later commit
//! and no rewriting of history that others have fetched takes it back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bulla::seal::{self, Format, KeyId, Keyring, Place};
use serde::Serialize;

use super::tree::named;
use super::values::{self, Value};
use super::{fingerprint, hash};
use crate::failure::Outcome;
use crate::git::{Change, Checkout, Git, ObjectId, Revisions};
use crate::output::Progress;
use crate::repository::Namespaces;

/// Everything that was sealed to a key; the names of the fields are part of the output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exposure {
    pub(crate) key: KeyId,
    /// By file, object and data key.
    pub(crate) exposed: Vec<Exposed>,
    /// Commits that were looked at.
    pub(crate) commits: usize,
    /// Different values of kubeseal's in history that may be to this key: nobody has opened them.
    pub(crate) unknown: u64,
    /// What was not looked at.
    pub(crate) notes: Vec<String>,
}

/// A data key whose values were sealed to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exposed {
    pub(crate) file: String,
    /// `namespace/name`; nothing where it stood outside a SealedSecret.
    pub(crate) object: Option<String>,
    /// The data key.
    pub(crate) key: Option<String>,
    /// How many different ciphertexts: the secret changed so often at most.
    pub(crate) values: usize,
    /// The commit that brought the first of them.
    pub(crate) first: Option<When>,
    /// The last commit that wrote the file with one of them in it.
    pub(crate) last: Option<When>,
    /// Whether one of them is in the commit that is checked out.
    pub(crate) in_head: bool,
}

/// A commit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct When {
    pub(crate) commit: String,
    pub(crate) date: String,
}

/// A place in a blob with a value that is sealed to the key.
type Found = (Option<String>, Option<String>, u64);

/// Looks through the history of the repository that holds `path`: every ref, or only `revisions`. Values of kubeseal's
/// are opened with the private keys of `keyring`, where a manifest names no namespace in `namespace`, else in the one
/// that the committed rules say.
///
/// # Errors
/// There is no repository, or it cannot be read.
pub(crate) fn exposure(
    path: &Path,
    id: KeyId,
    keyring: &Keyring,
    namespace: Option<&str>,
    revisions: &Revisions,
    progress: &Progress,
) -> Outcome<Exposure> {
    let git = Git::discover(path)?;
    let mut history = git.history(revisions)?;
    let below = git.relative(path).unwrap_or_default();
    if !below.is_empty() {
        history.keep(|path| path == below || path.strip_prefix(&below).is_some_and(|rest| rest.starts_with('/')));
    }
    progress.set_length(history.blobs().len() as u64);
    let rules = rules_of_head(&git);
    let search = Search { id, keyring, namespace, rules, verdicts: Mutex::default(), unread: Mutex::default() };
    let (found, left) = git.each(
        &history,
        || progress.add(1),
        |blob, bytes| {
            let paths = || history.places(blob).map(|place| place.path).collect();
            search.look(paths, bytes).map(|found| (blob.id, found))
        },
    );
    progress.done();
    let by_blob: HashMap<ObjectId, Vec<Found>> = found.into_iter().collect();
    let mut paths = BTreeSet::new();
    for blob in history.blobs().iter().filter(|blob| by_blob.contains_key(&blob.id)) {
        paths.extend(history.places(blob).map(|place| place.path));
    }
    let paths: Vec<String> = paths.into_iter().collect();
    let head = in_head(path);
    let changes = git.commits_of(&history, &paths);
    let exposed = paths.iter().zip(changes).flat_map(|(path, changes)| of_path(path, &changes, &by_blob, &head));
    let exposed: Vec<Exposed> = exposed.collect();
    let unknown = search.unknown();
    let mut notes = history.notes().to_vec();
    if left.large > 0 {
        notes.push(format!("{} file(s) of more than 16 MB in history were not looked at", left.large));
    }
    if left.binary > 0 {
        notes.push(format!("{} file(s) of history are not text, and were not looked at", left.binary));
    }
    let unread = search.unread.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !unread.is_empty() {
        let named: Vec<&str> = unread.iter().take(NAMED).map(String::as_str).collect();
        notes.push(format!(
            "{} file(s) of history speak of sealed values and cannot be read in some version (not UTF-8, a template, or \
             broken): values of kubeseal's in them are in no list: {}{}",
            unread.len(),
            named.join(", "),
            if unread.len() > NAMED { ", ..." } else { "" }
        ));
    }
    if left.missing > 0 {
        notes.push(format!("{} file(s) of history are not in this clone, or damaged", left.missing));
    }
    Ok(Exposure { key: id, exposed, commits: history.commits().len(), unknown, notes })
}

/// How many files are named that could not be read.
const NAMED: usize = 20;

/// What is known of different ciphertexts so far: the same ones are in many blobs.
struct Search<'a> {
    id: KeyId,
    keyring: &'a Keyring,
    namespace: Option<&'a str>,
    /// The committed rules, which say the namespace of manifests that name none.
    rules: Namespaces,
    /// By ciphertext and place: whether one of kubeseal's opens is for its place to say.
    verdicts: Mutex<HashMap<(u64, u64), Verdict>>,
    /// Files that could not be read, or not all of them.
    unread: Mutex<BTreeSet<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ours,
    Others,
    Unknown,
}

impl Search<'_> {
    /// `paths` are those where the bytes were; most have no values, and are not worth them.
    fn look(&self, paths: impl Fn() -> Vec<String>, bytes: &[u8]) -> Option<Vec<Found>> {
        let unread = || self.unread.lock().unwrap_or_else(PoisonError::into_inner).extend(paths());
        if std::str::from_utf8(bytes).is_err() && values::may_hold_values(bytes) {
            unread();
        }
        let text = values::text(bytes)?;
        let paths = paths();
        let ruled = paths.iter().filter_map(|path| self.rules.of(path));
        let mut namespaces: Vec<&str> = self.namespace.map_or_else(|| ruled.collect(), |typed| vec![typed]);
        namespaces.dedup();
        let mut found = Vec::new();
        // What cannot be read as manifests is searched as text.
        let read = values::each(text, |value| {
            let fingerprint = fingerprint(value.sealed);
            let place =
                value.object.map(|object| (&object.namespace, &object.name, object.scope().as_str(), &namespaces));
            let at = (fingerprint, hash((place, value.key)));
            let known = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).get(&at).copied();
            let verdict = known.unwrap_or_else(|| {
                let verdict = self.judge(value, &namespaces);
                self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).insert(at, verdict);
                verdict
            });
            if verdict == Verdict::Ours {
                let object = value.object.map(|object| named(object, None));
                found.push((object, value.key.map(str::to_owned), fingerprint));
            }
        });
        if read.is_err() {
            self.unread.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
        }
        (!found.is_empty()).then_some(found)
    }

    fn judge(&self, value: &Value<'_>, namespaces: &[&str]) -> Verdict {
        let Ok(looked) = seal::inspect(value.sealed) else { return Verdict::Others };
        match (looked.format, looked.binding) {
            (Format::Native, Some(binding)) if binding.keys.contains(&self.id) => Verdict::Ours,
            (Format::Native, _) => Verdict::Others,
            (Format::Kubeseal, _) => self
                .open(value, namespaces)
                .map_or(Verdict::Unknown, |key| if key == self.id { Verdict::Ours } else { Verdict::Others }),
        }
    }

    fn open(&self, value: &Value<'_>, namespaces: &[&str]) -> Option<KeyId> {
        let object = value.object.filter(|_| self.keyring.rsa_keys() > 0)?;
        let (name, key) = (object.name.as_deref()?, value.key?);
        let said = match object.namespace.as_deref() {
            Some(own) => vec![own],
            None if namespaces.is_empty() => vec![""],
            None => namespaces.to_vec(),
        };
        said.into_iter().find_map(|namespace| {
            let place = Place { namespace, name, key };
            seal::open(self.keyring, value.sealed, place, object.scope()).ok().map(|opened| opened.key_id)
        })
    }

    fn unknown(&self) -> u64 {
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |is_unknown: bool| {
            let fits = verdicts.iter().filter(move |(_, verdict)| (**verdict == Verdict::Unknown) == is_unknown);
            fits.map(|((sealed, _), _)| *sealed).collect::<HashSet<u64>>()
        };
        // What opens at one of its places is known.
        of(true).difference(&of(false)).count() as u64
    }
}

/// The rules of the commit that is checked out, as far as they can be read.
fn rules_of_head(git: &Git) -> Namespaces {
    let mut rules = Namespaces::default();
    let files = git.commit_named("HEAD").and_then(|head| git.files_of(head)).unwrap_or_default();
    for (path, id) in files.into_iter().filter(|(path, _)| Namespaces::are_in(path)) {
        if let Ok(bytes) = git.bytes_of(id) {
            // One that is broken is for `bulla verify` to say.
            drop(rules.add(&path, &String::from_utf8_lossy(&bytes)));
        }
    }
    rules
}

/// The blobs of the commit that is checked out, with their paths.
fn in_head(path: &Path) -> HashSet<(String, String)> {
    let files = Checkout::find(path).and_then(|checkout| {
        let Some(head) = checkout.head()? else { return Ok(Vec::new()) };
        checkout.files_of(&head)
    });
    // A bare repository has nothing checked out.
    let files = files.unwrap_or_default().into_iter();
    files.map(|(blob, path)| (path.to_string_lossy().into_owned(), blob)).collect()
}

/// An object and a data key of it.
type Named = (Option<String>, Option<String>);

fn of_path(
    path: &str,
    changes: &[Change<'_>],
    by_blob: &HashMap<ObjectId, Vec<Found>>,
    head: &HashSet<(String, String)>,
) -> Vec<Exposed> {
    let mut exposed: BTreeMap<Named, (Exposed, HashSet<u64>)> = BTreeMap::new();
    for change in changes {
        let Some(blob) = change.blob else { continue };
        let when = When { commit: change.commit.id.to_string(), date: change.commit.authored.date() };
        let in_head = head.contains(&(path.to_owned(), blob.to_string()));
        for (object, key, fingerprint) in by_blob.get(&blob).into_iter().flatten() {
            let (one, values) = exposed.entry((object.clone(), key.clone())).or_insert_with(|| {
                let (object, key, first) = (object.clone(), key.clone(), Some(when.clone()));
                let one = Exposed { file: path.to_owned(), object, key, values: 0, first, last: None, in_head: false };
                (one, HashSet::new())
            });
            values.insert(*fingerprint);
            one.last = Some(when.clone());
            one.in_head |= in_head;
        }
    }
    let counted = |(one, values): (Exposed, HashSet<u64>)| Exposed { values: values.len(), ..one };
    exposed.into_values().map(counted).collect()
}
