//! The values of a file, opened and let go.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulla::seal::{self, Binding, KeyId, Keyring, Place, Refusal, Scope};
use jiff::civil::Date;

use super::Counts;
use super::lost::Cause;
use super::object::{self, Object};
use super::outside::Found;
use crate::git::ObjectId;
use crate::outline::Outline;
use crate::repository::Namespaces;

/// Into how many parts what was seen is divided, so that threads seldom wait for each other.
const SHARDS: usize = 64;
/// How many values are remembered before they are opened again: 40 bytes each.
const REMEMBERED: usize = (1 << 20) / SHARDS;
/// How many places of values that do not open are told apart; those beyond are counted.
const TOLD: usize = 100_000;

/// How every native value begins: the first words of an age file, in base64.
const NATIVE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3Yx";

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
}

/// What is counted on every core.
#[derive(Default)]
struct Tally {
    files: AtomicUsize,
    objects: AtomicUsize,
    values: AtomicUsize,
    opened: AtomicUsize,
    templates: AtomicUsize,
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

/// What is made of a version of a file.
struct Made<'a> {
    version: &'a Version<'a>,
    used: BTreeMap<KeyId, usize>,
    failing: Vec<Failing>,
    is_template: bool,
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

    /// How many files, or versions of them, are templates with SealedSecrets, of which only a part can be read before
    /// they are rendered.
    pub(super) fn templates(&self) -> usize {
        let [newest, every] = [&self.newest, &self.every].map(|tally| tally.templates.load(Ordering::Relaxed));
        newest.max(every)
    }

    fn file(&self, version: &Version<'_>, text: &str) -> Vec<Failing> {
        let mut made = Made { version, used: BTreeMap::new(), failing: Vec::new(), is_template: false };
        let (is_native, is_manifest) = (text.contains(NATIVE), text.contains("SealedSecret"));
        if !is_native && !is_manifest {
            return made.failing;
        }
        let tally = if version.in_newest { &self.newest } else { &self.every };
        let mut has_any = is_native;
        // Native values that stand somewhere else than in a SealedSecret: in the values of a chart, in a patch.
        let mut elsewhere: HashSet<&str> = if is_native { natives(text).collect() } else { HashSet::new() };
        match Outline::parse(if is_manifest { text } else { "" }) {
            Ok(outline) => {
                for object in object::all(&outline) {
                    has_any = true;
                    tally.objects.fetch_add(1, Ordering::Relaxed);
                    self.object(&object, text, &mut made);
                    for value in object.values.iter().filter_map(|(_, value)| *value) {
                        elsewhere.remove(value);
                    }
                }
            }
            Err(_) if text.contains("{{") => made.is_template = true,
            Err(error) if text.contains("encryptedData") => {
                has_any = true;
                let line = error.place().map_or_else(String::new, |(line, _)| format!("line {line}"));
                let value = self.fingerprint(&[text]);
                self.tell(line, "", value, Arc::new(Cause::unreadable()), None, &mut made);
            }
            Err(_) => {}
        }
        let mut elsewhere: Vec<&str> = elsewhere.into_iter().collect();
        elsewhere.sort_unstable();
        elsewhere.into_iter().for_each(|sealed| self.alone(sealed, &mut made));
        tally.templates.fetch_add(usize::from(made.is_template), Ordering::Relaxed);
        tally.files.fetch_add(usize::from(has_any), Ordering::Relaxed);
        if !made.used.is_empty() {
            let mut all = locked(&self.used);
            made.used.into_iter().for_each(|(key, count)| *all.entry(key).or_default() += count);
        }
        made.failing
    }

    fn object(&self, object: &Object<'_>, text: &str, made: &mut Made<'_>) {
        let Object { name, namespace, scope, values } = object;
        // Where a file was at several paths, one may say another namespace than the other.
        let mut namespaces: Vec<&str> = match (namespace, self.namespace) {
            (Some(own), _) => vec![own],
            (None, Some(typed)) => vec![typed],
            (None, None) => made.version.paths.iter().filter_map(|path| self.namespaces.of(path)).collect(),
        };
        namespaces.dedup();
        let object = match namespaces.first() {
            Some(namespace) => format!("{namespace}/{name}"),
            None => (*name).to_owned(),
        };
        for (key, sealed) in values {
            // A place that a template leaves for a value.
            let is_left = sealed.map_or_else(|| text.contains("{{"), |value| value.contains("{{"));
            if is_left {
                made.is_template = true;
                continue;
            }
            let value =
                self.fingerprint(&[sealed.unwrap_or_default(), scope.as_str(), &namespaces.join("/"), name, key]);
            let open = || match sealed {
                Some(sealed) => self.open(sealed, name, key, &namespaces, *scope),
                None => Err(Refusal::NotAString),
            };
            self.value(&object, key, sealed.unwrap_or_default(), value, open, made);
        }
    }

    /// A native value that says itself where it belongs.
    fn alone(&self, sealed: &str, made: &mut Made<'_>) {
        let binding = seal::inspect(sealed).ok().and_then(|told| told.binding);
        let part = |part: fn(&Binding) -> Option<&String>| binding.as_ref().and_then(part).map_or("", String::as_str);
        let (namespace, name) = (part(|own| own.namespace.as_ref()), part(|own| own.name.as_ref()));
        let key = part(|own| own.key.as_ref());
        // A plain age file says nothing, and is taken where anything is.
        let scope = binding.as_ref().map_or(Scope::ClusterWide, |binding| binding.scope);
        let open = || {
            let place = Place { namespace, name, key };
            seal::open(self.keyring, sealed, place, scope).map(|opened| opened.key_id)
        };
        let object = if name.is_empty() { namespace.to_owned() } else { format!("{namespace}/{name}") };
        self.value(&object, key, sealed, self.fingerprint(&[sealed]), open, made);
    }

    /// Opens a value, unless it was opened before, and counts it.
    fn value(
        &self,
        object: &str,
        key: &str,
        sealed: &str,
        value: Fingerprint,
        open: impl FnOnce() -> Result<KeyId, Refusal>,
        made: &mut Made<'_>,
    ) {
        let shard = &self.seen[value[0] as usize % SHARDS];
        let known = locked(shard).get(&value).cloned();
        let is_new = known.is_none();
        let cause = known.unwrap_or_else(|| {
            let cause = match open() {
                Ok(key) => {
                    *made.used.entry(key).or_default() += 1;
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
        if made.version.in_newest {
            self.newest.value(cause.is_none());
        }
        if let Some(cause) = cause {
            let day = seal::inspect(sealed).ok().and_then(|told| told.binding).map(|binding| binding.sealed);
            self.tell(object.to_owned(), key, value, cause, day, made);
        }
    }

    fn tell(
        &self,
        object: String,
        key: &str,
        value: Fingerprint,
        cause: Arc<Cause>,
        sealed: Option<Date>,
        made: &mut Made<'_>,
    ) {
        if self.told.fetch_add(1, Ordering::Relaxed) >= TOLD {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let Version { blob, in_newest, .. } = *made.version;
        let path = made.version.paths.first().cloned().unwrap_or_default();
        made.failing.push(Failing { value, blob, path, object, key: key.to_owned(), cause, sealed, in_newest });
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

/// Every native value in a text, whatever is around it.
fn natives(text: &str) -> impl Iterator<Item = &str> {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    text.match_indices(NATIVE).filter_map(move |(at, _)| {
        // Else it is inside of something longer.
        let begins = !text[..at].ends_with(is_base64);
        let rest = &text[at..];
        begins.then(|| rest.split_once(|c| !is_base64(c)).map_or(rest, |(value, _)| value))
    })
}

/// Whatever happened to another thread, what it had noted is true.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
