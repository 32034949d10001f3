//! The values of a file, opened and let go.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulla::seal::{self, KeyId, Keyring, Place, Refusal, Scope};
use jiff::civil::Date;

use super::Counts;
use super::lost::Cause;
use super::outside::Found;
use crate::document::{Document, Manifest};
use crate::git::ObjectId;
use crate::repository::Namespaces;

/// Into how many parts what was seen is divided, so that threads seldom wait for each other.
const SHARDS: usize = 64;
/// How many values are remembered before they are opened again: 40 bytes each.
const REMEMBERED: usize = (1 << 20) / SHARDS;
/// How many places of values that do not open are told apart; those beyond are counted.
const TOLD: usize = 100_000;

/// A sealed value at a place, without any of it.
pub(super) type Fingerprint = [u64; 2];

/// A value that does not open, in one version of a file.
#[derive(Clone)]
pub(super) struct Failing {
    pub(super) value: Fingerprint,
    pub(super) blob: ObjectId,
    pub(super) path: String,
    /// Namespace and name.
    pub(super) object: String,
    pub(super) key: String,
    pub(super) cause: Arc<Cause>,
    pub(super) sealed: Option<Date>,
    pub(super) in_newest: bool,
}

/// What a file of the newest commit came to.
pub(super) struct Looked {
    pub(super) failing: Vec<Failing>,
    pub(super) outside: Found,
}

/// Opens values and remembers which.
pub(super) struct Opener<'a> {
    keyring: &'a Keyring,
    namespaces: Namespaces,
    namespace: Option<&'a str>,
    /// Why each value that was seen does not open; nothing of one that does.
    seen: Vec<Mutex<HashMap<Fingerprint, Option<Arc<Cause>>>>>,
    /// Keyed afresh in every process: nobody can make two values look like one.
    hashers: [RandomState; 2],
    used: Mutex<BTreeMap<KeyId, usize>>,
    newest: Tally,
    every: Tally,
    told: AtomicUsize,
    untold: AtomicUsize,
    templates: AtomicUsize,
}

/// What is counted on every core.
#[derive(Default)]
struct Tally {
    files: AtomicUsize,
    objects: AtomicUsize,
    values: AtomicUsize,
    opened: AtomicUsize,
}

impl Tally {
    fn counts(&self) -> Counts {
        let [files, objects, values, opened] =
            [&self.files, &self.objects, &self.values, &self.opened].map(|count| count.load(Ordering::Relaxed));
        Counts { files, objects, values, opened }
    }

    fn value(&self, is_open: bool) {
        self.values.fetch_add(1, Ordering::Relaxed);
        self.opened.fetch_add(usize::from(is_open), Ordering::Relaxed);
    }
}

/// Of a version of a file.
struct Version<'a> {
    paths: &'a [String],
    blob: ObjectId,
    in_newest: bool,
}

impl<'a> Opener<'a> {
    pub(super) fn new(keyring: &'a Keyring, namespaces: Namespaces, namespace: Option<&'a str>) -> Self {
        Self {
            keyring,
            namespaces,
            namespace,
            seen: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hashers: [RandomState::new(), RandomState::new()],
            used: Mutex::default(),
            newest: Tally::default(),
            every: Tally::default(),
            told: AtomicUsize::new(0),
            untold: AtomicUsize::new(0),
            templates: AtomicUsize::new(0),
        }
    }

    /// A file of the newest commit.
    pub(super) fn newest(&self, path: &str, blob: ObjectId, bytes: &[u8]) -> Option<Looked> {
        let text = std::str::from_utf8(bytes).ok()?;
        let paths = [path.to_owned()];
        let failing = self.file(&Version { paths: &paths, blob, in_newest: true }, text);
        let outside = Found::read(path, text, self.namespace.or_else(|| self.namespaces.of(path)));
        (!failing.is_empty() || !outside.is_empty()).then_some(Looked { failing, outside })
    }

    /// A version of a file, which was at these paths.
    pub(super) fn older(&self, paths: &[String], blob: ObjectId, bytes: &[u8]) -> Vec<Failing> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        self.file(&Version { paths, blob, in_newest: false }, text)
    }

    /// The newest commit is done: its values that do not open are told again, with the commits that brought them.
    pub(super) fn begin_history(&self) {
        self.told.store(0, Ordering::Relaxed);
    }

    /// What the newest commit has.
    pub(super) fn newest_counts(&self) -> Counts {
        self.newest.counts()
    }

    /// What every commit that was looked at has: of each file every version, of each value one.
    pub(super) fn every_count(&self) -> Counts {
        self.every.counts()
    }

    /// How many values each key opened.
    pub(super) fn used(&self) -> BTreeMap<KeyId, usize> {
        locked(&self.used).clone()
    }

    /// How many places of values that do not open were not told apart.
    pub(super) fn untold(&self) -> usize {
        self.untold.load(Ordering::Relaxed)
    }

    /// How many files are templates that name SealedSecrets and cannot be read before they are rendered.
    pub(super) fn templates(&self) -> usize {
        self.templates.load(Ordering::Relaxed)
    }

    fn file(&self, version: &Version<'_>, text: &str) -> Vec<Failing> {
        let mut failing = Vec::new();
        if !text.contains("SealedSecret") {
            return failing;
        }
        let tally = if version.in_newest { &self.newest } else { &self.every };
        let document = match Document::parse(text.to_owned()) {
            Ok(document) => document,
            Err(_) if text.contains("{{") => {
                self.templates.fetch_add(1, Ordering::Relaxed);
                return failing;
            }
            Err(error) if text.contains("encryptedData") => {
                tally.files.fetch_add(1, Ordering::Relaxed);
                let cause = Arc::new(Cause::unreadable());
                let value = self.fingerprint(&[text]);
                let what = error.line().map_or_else(String::new, |line| format!("line {line}"));
                self.tell(version, what, String::new(), value, cause, None, &mut failing);
                return failing;
            }
            Err(_) => return failing,
        };
        let mut used: BTreeMap<KeyId, usize> = BTreeMap::new();
        let mut is_ours = false;
        for manifest in document.manifests().iter().filter(|manifest| manifest.is_sealed_secret()) {
            is_ours = true;
            tally.objects.fetch_add(1, Ordering::Relaxed);
            self.object(version, manifest, &mut used, &mut failing);
        }
        tally.files.fetch_add(usize::from(is_ours), Ordering::Relaxed);
        if !used.is_empty() {
            let mut all = locked(&self.used);
            used.into_iter().for_each(|(key, count)| *all.entry(key).or_default() += count);
        }
        failing
    }

    fn object(
        &self,
        version: &Version<'_>,
        manifest: &Manifest,
        used: &mut BTreeMap<KeyId, usize>,
        failing: &mut Vec<Failing>,
    ) {
        let name = manifest.name.as_deref().unwrap_or_default();
        // Where a file was at several paths, one may say another namespace than the other.
        let mut namespaces: Vec<&str> = match (manifest.namespace.as_deref(), self.namespace) {
            (Some(own), _) => vec![own],
            (None, Some(typed)) => vec![typed],
            (None, None) => version.paths.iter().filter_map(|path| self.namespaces.of(path)).collect(),
        };
        namespaces.dedup();
        let scope = manifest.scope();
        for entry in &manifest.entries {
            let sealed = entry.value.as_deref().unwrap_or_default();
            let place = namespaces.join("/");
            let value = self.fingerprint(&[sealed, scope.as_str(), &place, name, &entry.key]);
            let shard = &self.seen[value[0] as usize % SHARDS];
            let known = locked(shard).get(&value).cloned();
            let is_new = known.is_none();
            let cause = known.unwrap_or_else(|| {
                let found = match entry.value.as_deref() {
                    Some(sealed) => self.open(sealed, name, &entry.key, &namespaces, scope),
                    None => Err(Refusal::NotAString),
                };
                let cause = match found {
                    Ok(key) => {
                        *used.entry(key).or_default() += 1;
                        None
                    }
                    Err(refusal) => Some(Arc::new(Cause::of(&refusal))),
                };
                let mut seen = locked(shard);
                if seen.len() >= REMEMBERED {
                    seen.clear();
                }
                seen.insert(value, cause.clone());
                cause
            });
            if is_new {
                self.every.value(cause.is_none());
            }
            if version.in_newest {
                self.newest.value(cause.is_none());
            }
            if let Some(cause) = cause {
                let sealed = seal::inspect(sealed).ok().and_then(|told| told.binding).map(|binding| binding.sealed);
                let namespace = namespaces.first().copied().unwrap_or_default();
                let object = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
                self.tell(version, object, entry.key.clone(), value, cause, sealed, failing);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one thing, which is made here only")]
    fn tell(
        &self,
        version: &Version<'_>,
        object: String,
        key: String,
        value: Fingerprint,
        cause: Arc<Cause>,
        sealed: Option<Date>,
        failing: &mut Vec<Failing>,
    ) {
        if self.told.fetch_add(1, Ordering::Relaxed) >= TOLD {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (blob, in_newest) = (version.blob, version.in_newest);
        let path = version.paths.first().cloned().unwrap_or_default();
        failing.push(Failing { value, blob, path, object, key, cause, sealed, in_newest });
    }

    /// Opens a value where it stands. The plaintext is wiped here.
    fn open(&self, sealed: &str, name: &str, key: &str, namespaces: &[&str], scope: Scope) -> Result<KeyId, Refusal> {
        let open = |namespace: &str| {
            let place = Place { namespace, name, key };
            seal::open(self.keyring, sealed, place, scope).map(|opened| opened.key_id)
        };
        let mut found = None;
        for namespace in namespaces {
            match open(namespace) {
                Ok(key) => return Ok(key),
                Err(refusal) => found = Some(refusal),
            }
        }
        found.map_or_else(
            || {
                // Nothing says the namespace but, if it is a native one, the value itself.
                let own = seal::inspect(sealed).ok().and_then(|told| told.binding?.namespace);
                open(own.as_deref().unwrap_or_default())
            },
            Err,
        )
    }

    fn fingerprint(&self, parts: &[&str]) -> Fingerprint {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(parts))
    }
}

/// Whatever happened to another thread, what it had noted is true.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
