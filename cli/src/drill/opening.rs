//! The values of a file, opened and let go.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulla::seal::{self, Binding, Format, KeyId, Keyring, Place, Refusal, Scope};
use jiff::civil::Date;

use super::Counts;
use super::lost::Cause;
use super::object::{self, Object};
use super::outside::Found;
use super::unread::{self, NotLookedAt};
use crate::audit;
use crate::git::{ObjectId, is_text};
use crate::leaks::FILLED;
use crate::outline::Outline;
use crate::repository::Namespaces;
use crate::verify::template;

/// Into how many parts what was seen is divided, so that threads seldom wait for each other.
const SHARDS: usize = 64;
/// How many values are remembered before they are opened again: 40 bytes each.
const REMEMBERED: usize = (1 << 20) / SHARDS;
/// How many places of values that do not open are told apart; those beyond are counted.
const TOLD: usize = 100_000;

/// How every native value begins: the first words of an age file, in base64.
const NATIVE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3Yx";

/// The length of the shortest value of kubeseal's, of a key of 1024 bits.
const FEWEST: usize = 190;

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
    unread: unread::Found,
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
    objects: usize,
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
            unread: unread::Found::default(),
        }
    }

    /// A file of the newest commit.
    pub(super) fn newest(&self, path: &str, blob: ObjectId, bytes: &[u8]) -> Option<Looked> {
        let Some(text) = text(bytes) else {
            self.other_letters(|| path.to_owned(), bytes, true);
            return None;
        };
        let paths = [path.to_owned()];
        let failing = self.file(&Version { paths: &paths, blob, in_newest: true }, text);
        let outside = Found::read(path, text, self.namespace.or_else(|| self.namespaces.of(path)));
        (!failing.is_empty() || !outside.is_empty()).then_some(Looked { failing, outside })
    }

    /// A version of a file, which was at these paths.
    pub(super) fn older(&self, paths: impl Fn() -> Vec<String>, blob: ObjectId, bytes: &[u8]) -> Vec<Failing> {
        let Some(text) = text(bytes) else {
            self.other_letters(|| paths().into_iter().next().unwrap_or_default(), bytes, false);
            return Vec::new();
        };
        // Most versions of most files: it is not worth its paths.
        if is_beside(text) {
            return Vec::new();
        }
        self.file(&Version { paths: &paths(), blob, in_newest: false }, text)
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
        let mut made = Made { version, used: BTreeMap::new(), failing: Vec::new(), is_template: false, objects: 0 };
        if is_beside(text) {
            return made.failing;
        }
        let (is_native, is_manifest) = (text.contains(NATIVE), mentions(text));
        let tally = if version.in_newest { &self.newest } else { &self.every };
        let mut has_any = is_native;
        // Values that stand somewhere else than in a SealedSecret: in the values of a chart, in a patch, in a text.
        let mut elsewhere: HashSet<&str> = if is_native { natives(text).collect() } else { HashSet::new() };
        let mut of_kubeseal: HashSet<&str> = if is_manifest { kubeseals(text).collect() } else { HashSet::new() };
        let mut taken = |value: &str| {
            let value = value.trim();
            elsewhere.remove(value);
            // It may be written on several lines.
            if !of_kubeseal.remove(value) {
                of_kubeseal.retain(|other| !value.contains(other));
            }
        };
        let is_template = version.paths.iter().all(|path| is_template_place(path)) && text.contains("{{");
        match Outline::parse(if is_template { "" } else { text }) {
            Ok(outline) if !is_template => self.objects(&outline, &mut made, &mut taken),
            Err(error) if !text.contains("{{") => {
                if text.contains("encryptedData") {
                    has_any = true;
                    let line = error.place().map_or_else(String::new, |(line, _)| format!("line {line}"));
                    let value = self.fingerprint(&[text]);
                    self.tell(line, "", value, Arc::new(Cause::unreadable()), None, &mut made);
                }
            }
            // What it is before it is rendered, as far as that can be read.
            Ok(_) | Err(_) => {
                made.is_template = is_manifest;
                self.rendered_later(text, is_template, &mut made, &mut taken);
            }
        }
        has_any |= made.objects > 0;
        tally.objects.fetch_add(made.objects, Ordering::Relaxed);
        let mut elsewhere: Vec<&str> = elsewhere.into_iter().collect();
        elsewhere.sort_unstable();
        elsewhere.into_iter().for_each(|sealed| self.alone(sealed, &mut made));
        has_any |= !of_kubeseal.is_empty();
        let mut of_kubeseal: Vec<&str> = of_kubeseal.into_iter().collect();
        of_kubeseal.sort_unstable();
        of_kubeseal.into_iter().for_each(|sealed| self.nowhere(sealed, text, &mut made));
        tally.templates.fetch_add(usize::from(made.is_template), Ordering::Relaxed);
        tally.files.fetch_add(usize::from(has_any), Ordering::Relaxed);
        if !made.used.is_empty() {
            let mut all = locked(&self.used);
            made.used.into_iter().for_each(|(key, count)| *all.entry(key).or_default() += count);
        }
        made.failing
    }

    /// A file that is no YAML before somebody renders it: whole with its actions filled in, else each document.
    fn rendered_later(&self, text: &str, is_template: bool, made: &mut Made<'_>, taken: &mut impl FnMut(&str)) {
        let filled = template::filled(text);
        if let Ok(outline) = Outline::parse(&filled) {
            return self.objects(&outline, made, taken);
        }
        for alone in text.split("\n---").filter(|alone| mentions(alone)) {
            if !is_template && let Ok(outline) = Outline::parse(alone) {
                self.objects(&outline, made, taken);
                continue;
            }
            let filled = template::filled(alone);
            match Outline::parse(&filled) {
                Ok(outline) => self.objects(&outline, made, taken),
                Err(_) => self.unread(made, String::new(), "a template that cannot be read before it is rendered"),
            }
        }
    }

    fn objects(&self, outline: &Outline<'_>, made: &mut Made<'_>, taken: &mut impl FnMut(&str)) {
        for object in object::all(outline) {
            made.objects += 1;
            self.object(&object, made);
            object.values.iter().filter_map(|(_, value)| *value).for_each(&mut *taken);
        }
    }

    /// One of kubeseal's values in no SealedSecret: nothing says for which object and key it was sealed.
    fn nowhere(&self, sealed: &str, text: &str, made: &mut Made<'_>) {
        let place = Place { namespace: "", name: "", key: "" };
        match seal::open(self.keyring, sealed, place, Scope::ClusterWide).map(|opened| opened.key_id) {
            Ok(key) => self.value("", "", sealed, self.fingerprint(&[sealed]), || Ok(key), made),
            Err(_) => {
                let line = text.find(sealed).map_or(0, |at| text[..at].bytes().filter(|byte| *byte == b'\n').count());
                let why = "a value of kubeseal's in no SealedSecret: nothing says for which object it was sealed";
                self.unread(made, format!("line {}", line + 1), why);
            }
        }
    }

    fn other_letters(&self, path: impl FnOnce() -> String, bytes: &[u8], in_newest: bool) {
        if audit::may_hold_values(bytes) {
            self.unread.add(&path(), String::new(), "not UTF-8, and speaks of sealed values", in_newest);
        }
    }

    fn unread(&self, made: &Made<'_>, value: String, why: &'static str) {
        let path = made.version.paths.first().map_or("", String::as_str);
        self.unread.add(path, value, why, made.version.in_newest);
    }

    /// What was not looked at.
    pub(super) fn not_looked_at(&self) -> NotLookedAt {
        self.unread.all()
    }

    fn object(&self, object: &Object<'_>, made: &mut Made<'_>) {
        let Object { name, namespace, scope, values } = object;
        let is_open = [Some(*name), *namespace].into_iter().flatten().any(is_put_in);
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
            let named = || format!("{object} {key}").replace(FILLED, "{{...}}");
            match sealed {
                // A place that a chart leaves for a value, which is looked at where it is.
                Some(value) if is_action(value) && made.version.paths.iter().all(|path| is_template_place(path)) => {
                    made.is_template = true;
                    continue;
                }
                Some(value) if is_put_in(value) => {
                    self.unread(made, named(), "a template puts it in, or a part of it");
                    continue;
                }
                // A native value says itself where it belongs.
                Some(value) if (is_open || is_put_in(key)) && value.trim().starts_with(NATIVE) => {
                    self.alone(value.trim(), made);
                    continue;
                }
                Some(_) if (is_open || is_put_in(key)) && *scope != Scope::ClusterWide => {
                    self.unread(made, named(), "a template names its object, so nothing says for which it was sealed");
                    continue;
                }
                Some(_) | None => {}
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

/// Every value of kubeseal's in a text, whatever is around it.
fn kubeseals(text: &str) -> impl Iterator<Item = &str> {
    let is_other = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
    let long = text.split(is_other).filter(|word| word.len() >= FEWEST && word.starts_with('A'));
    long.filter(|word| seal::inspect(word).is_ok_and(|told| told.format == Format::Kubeseal))
}

/// The text of a file, if it is one: a zero byte is in none.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|_| is_text(bytes))
}

/// Whether there is no sealed value in a text for sure. Words of YAML can be written in escapes too.
fn is_beside(text: &str) -> bool {
    !text.contains(NATIVE) && !mentions(text) && !text.contains('\\')
}

/// Whether a text speaks of SealedSecrets.
fn mentions(text: &str) -> bool {
    text.contains("SealedSecret") || text.contains("encryptedData")
}

/// Whether files there are templates: of a chart, or by their ending.
fn is_template_place(path: &str) -> bool {
    let is_in_chart =
        path.rsplit_once('/').is_some_and(|(folder, _)| folder.split('/').any(|part| part == "templates"));
    is_in_chart || path.ends_with(".gotmpl") || path.ends_with(".tpl")
}

/// Whether a template has a say in a text.
fn is_put_in(text: &str) -> bool {
    text.contains(FILLED) || text.contains("{{")
}

/// Whether it is one action of a template and nothing else.
fn is_action(text: &str) -> bool {
    let mut letters = text.trim().chars();
    letters.next() == Some(FILLED) && letters.next().is_none()
}

/// Whatever happened to another thread, what it had noted is true.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
