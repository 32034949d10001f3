//! Everything that was ever sealed to a key, in all of a repository's history.
//!
//! Whoever has the key and the repository has read it: what is in Git stays there, and no sealing again, no later commit
//! and no rewriting of history that others have fetched takes it back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bulla::seal::{self, Format, KeyId, Keyring, Place};
use serde::Serialize;

use super::fingerprint;
use super::tree::named;
use super::values::{self, Value};
use crate::failure::Outcome;
use crate::git::{Change, Checkout, Git, ObjectId, Revisions};
use crate::output::Progress;

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
/// are opened with the private keys of `keyring`.
///
/// # Errors
/// There is no repository, or it cannot be read.
pub(crate) fn exposure(
    path: &Path,
    id: KeyId,
    keyring: &Keyring,
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
    let search = Search { id, keyring, verdicts: Mutex::default() };
    let (found, left) =
        git.each(&history, || progress.add(1), |blob, bytes| search.look(bytes).map(|found| (blob.id, found)));
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
    let mut notes = history.notes().to_vec();
    if left.large > 0 {
        notes.push(format!("{} file(s) of more than 16 MB in history were not looked at", left.large));
    }
    if left.missing > 0 {
        notes.push(format!("{} file(s) of history are not in this clone, or damaged", left.missing));
    }
    Ok(Exposure { key: id, exposed, commits: history.commits().len(), unknown: search.unknown(), notes })
}

/// What is known of different ciphertexts so far: the same ones are in many blobs.
struct Search<'a> {
    id: KeyId,
    keyring: &'a Keyring,
    verdicts: Mutex<HashMap<u64, Verdict>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ours,
    Others,
    Unknown,
}

impl Search<'_> {
    fn look(&self, bytes: &[u8]) -> Option<Vec<Found>> {
        let text = values::text(bytes)?;
        let mut found = Vec::new();
        // What cannot be read as manifests is searched as text.
        let read = values::each(text, |value| {
            let fingerprint = fingerprint(value.sealed);
            let known = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).get(&fingerprint).copied();
            let verdict = known.unwrap_or_else(|| {
                let verdict = self.judge(value);
                self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint, verdict);
                verdict
            });
            if verdict == Verdict::Ours {
                let object = value.object.map(|object| named(object, None));
                found.push((object, value.key.map(str::to_owned), fingerprint));
            }
        });
        drop(read);
        (!found.is_empty()).then_some(found)
    }

    fn judge(&self, value: &Value<'_>) -> Verdict {
        let Ok(looked) = seal::inspect(value.sealed) else { return Verdict::Others };
        match (looked.format, looked.binding) {
            (Format::Native, Some(binding)) if binding.keys.contains(&self.id) => Verdict::Ours,
            (Format::Native, _) => Verdict::Others,
            (Format::Kubeseal, _) => self
                .open(value)
                .map_or(Verdict::Unknown, |key| if key == self.id { Verdict::Ours } else { Verdict::Others }),
        }
    }

    fn open(&self, value: &Value<'_>) -> Option<KeyId> {
        let object = value.object.filter(|_| self.keyring.rsa_keys() > 0)?;
        let (namespace, name) = (object.namespace.as_deref().unwrap_or_default(), object.name.as_deref()?);
        let place = Place { namespace, name, key: value.key? };
        seal::open(self.keyring, value.sealed, place, object.scope()).ok().map(|opened| opened.key_id)
    }

    fn unknown(&self) -> u64 {
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.values().filter(|verdict| **verdict == Verdict::Unknown).count() as u64
    }
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
