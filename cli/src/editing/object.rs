//! A SealedSecret, opened, and changed where a person changed something.

use std::path::Path;

use bulla::seal::{self, KeyId, Keyring, Opened, Place, Recipient, Refusal, Scope};
use bulla::secret::Plaintext;

use super::chosen;
use crate::args::ToArguments;
use crate::document::{Document, Manifest, SealedManifest, SealedTemplate};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::recipients::{self, Resolved};
use crate::repository::Rule;
use crate::sealing::Sealer;

/// Which object, and to whom its new values are sealed.
pub(crate) struct Sought<'a> {
    pub(crate) file: &'a Path,
    pub(crate) name: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) to: &'a ToArguments,
}

/// An object whose values are shown.
pub(crate) struct Object {
    /// The file as it was read; `None` for one that is to be made.
    text: Option<String>,
    index: usize,
    name: String,
    namespace: String,
    scope: Scope,
    values: Vec<Value>,
    closed: Vec<(String, Refusal)>,
    recipients: Option<Vec<Recipient>>,
}

/// A value that was opened.
struct Value {
    key: String,
    plaintext: Plaintext,
    /// To whom it is sealed, if all of them are known.
    recipients: Option<Vec<Recipient>>,
}

/// What a person changed.
#[derive(Default)]
pub(crate) struct Changes {
    /// Values that are new or others than before, in the order in which they were written.
    pub(crate) set: Vec<(String, Plaintext)>,
    /// Keys that are gone.
    pub(crate) removed: Vec<String>,
}

impl Changes {
    pub(crate) const fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    /// Every key that is touched.
    fn keys(&self) -> impl Iterator<Item = &str> {
        self.set.iter().map(|(key, _)| key).chain(&self.removed).map(String::as_str)
    }
}

impl Object {
    /// Reads a file and opens the object that is meant. Values that do not open are left out, unless none does.
    pub(crate) fn open(sought: &Sought<'_>, keyring: &Keyring) -> Outcome<Self> {
        let file = sought.file;
        let document = chosen::read(file)?;
        let (index, manifest) = chosen::choose(&document, sought.name, file)?;
        let rule = recipients::rule_for(Some(file))?;
        let (namespace, name) = chosen::place(manifest, sought.namespace, rule.as_ref(), file)?;
        let scope = manifest.scope();
        if manifest.entries.is_empty() {
            return Err(refuse!("{name} in {} has no sealed values: `bulla set` adds one", file.display()));
        }
        let (mut values, mut closed) = (Vec::new(), Vec::new());
        for entry in &manifest.entries {
            let place = Place { namespace, name, key: &entry.key };
            let sealed = entry.value.as_deref().ok_or(Refusal::NotAString);
            match sealed.and_then(|sealed| seal::open(keyring, sealed, place, scope)) {
                Ok(opened) => {
                    let recipients = own_recipients(keyring, &opened, entry.value.as_deref());
                    values.push(Value { key: entry.key.clone(), plaintext: opened.plaintext, recipients });
                }
                Err(refusal) => closed.push((entry.key.clone(), refusal)),
            }
        }
        if values.is_empty() {
            let why: Vec<String> = closed.iter().map(|(key, refusal)| format!("{key:?} {refusal}")).collect();
            return Err(refuse!("no value of {} opens: {}", file.display(), why.join("; ")));
        }
        let all_known = values.iter().all(|value| value.recipients.is_some());
        let recipients = to_whom(sought, rule.as_ref(), all_known)?;
        let (name, namespace) = (name.to_owned(), namespace.to_owned());
        Ok(Self { text: Some(document.text().to_owned()), index, name, namespace, scope, values, closed, recipients })
    }

    /// One that is to be made, in a file that is not there yet.
    pub(crate) fn new(sought: &Sought<'_>, scope: Option<Scope>) -> Outcome<Self> {
        let Resolved { recipients, rule } = recipients::resolve(sought.to, Some(sought.file))?;
        let name = sought.name.ok_or_else(|| usage!("a new SealedSecret needs a name: pass --name"))?;
        let scope = scope.or_else(|| rule.as_ref()?.scope).unwrap_or_default();
        let namespace = sought.namespace.or_else(|| rule.as_ref()?.namespace.as_deref()).unwrap_or_default();
        if namespace.is_empty() && scope != Scope::ClusterWide {
            return Err(crate::sealing::no_namespace(name));
        }
        Ok(Self {
            text: None,
            index: 0,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            scope,
            values: Vec::new(),
            closed: Vec::new(),
            recipients: Some(recipients),
        })
    }

    /// The file as it was read.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What a person is told: namespace, name and scope.
    pub(crate) fn described(&self) -> String {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        format!("SealedSecret {}{slash}{}, {}", self.namespace, self.name, self.scope)
    }

    /// The values that do not open, and why.
    pub(crate) fn closed(&self) -> &[(String, Refusal)] {
        &self.closed
    }

    /// How many values it has.
    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.closed.len()
    }

    /// Whether it has a value of that key, open or closed.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.value(key).is_some() || self.closed.iter().any(|(closed, _)| closed == key)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.key == key)
    }

    /// What is shown: its values, with the changes on top.
    pub(crate) fn shown<'a>(&'a self, changes: &'a Changes) -> Vec<(&'a str, &'a Plaintext)> {
        let changed = |key: &str| changes.set.iter().find(|(set, _)| set == key).map(|(_, value)| value);
        let kept = self.values.iter().filter(|value| !changes.removed.contains(&value.key));
        let mut shown: Vec<(&str, &Plaintext)> =
            kept.map(|value| (value.key.as_str(), changed(&value.key).unwrap_or(&value.plaintext))).collect();
        let new = changes.set.iter().filter(|(key, _)| self.value(key).is_none());
        shown.extend(new.map(|(key, value)| (key.as_str(), value)));
        shown
    }

    /// What is other in the values that a person left.
    pub(crate) fn changes(&self, edited: Vec<(String, Plaintext)>) -> Outcome<Changes> {
        if edited.is_empty() && self.closed.is_empty() && !self.values.is_empty() {
            return Err(refuse!("no value is left, and nothing is changed: `bulla unset` takes values out"));
        }
        let is_gone = |value: &&Value| edited.iter().all(|(key, _)| *key != value.key);
        let removed = self.values.iter().filter(is_gone).map(|value| value.key.clone()).collect();
        let is_new = |(key, value): &(String, Plaintext)| {
            self.value(key).is_none_or(|old| !old.plaintext.same_as(value.expose()))
        };
        Ok(Changes { set: edited.into_iter().filter(is_new).collect(), removed })
    }

    /// The keys of the changes that are not in `other`, which was read later, as they are here: somebody else changed
    /// them too.
    pub(crate) fn conflicts<'a>(&self, other: &Self, changes: &'a Changes) -> Outcome<Vec<&'a str>> {
        let (ours, theirs) = (self.document()?, other.document()?);
        let sealed = |document: &Document, object: &Self, key: &str| {
            let entry =
                document.manifests().get(object.index).and_then(|manifest: &Manifest| manifest.entry(key).cloned());
            entry.map(|entry| entry.value)
        };
        let is_other = |key: &&str| sealed(&ours, self, key) != sealed(&theirs, other, key);
        Ok(changes.keys().filter(is_other).collect())
    }

    fn document(&self) -> Outcome<Document> {
        Document::parse(self.text.clone().unwrap_or_default()).or_refuse("the SealedSecret")
    }

    /// The file with the changes, every other byte as it was, and to whom the new values are sealed.
    pub(crate) fn sealed(&self, changes: &Changes) -> Outcome<(String, Vec<Recipient>)> {
        let mut sealed = Vec::new();
        let mut to_whom: Vec<Recipient> = Vec::new();
        // One sealer for all values to the same recipients: it remembers what it sealed.
        let mut waiting: Vec<(&str, &Plaintext, &[Recipient])> = Vec::new();
        for (key, value) in &changes.set {
            waiting.push((key, value, self.recipients_of(key)?));
        }
        while let Some((_, _, recipients)) = waiting.first() {
            let ids = |recipients: &[Recipient]| recipients.iter().map(Recipient::key_id).collect::<Vec<_>>();
            let (wanted, mut sealer) = (ids(recipients), Sealer::new(recipients.to_vec()));
            let (now, later) = waiting.into_iter().partition(|(_, _, recipients)| ids(recipients) == wanted);
            waiting = later;
            for (key, value, _) in now as Vec<(&str, &Plaintext, &[Recipient])> {
                let place = Place { namespace: &self.namespace, name: &self.name, key };
                sealed.push((key, sealer.seal(self.scope, place, value, None)?));
            }
            for recipient in sealer.recipients() {
                if !ids(&to_whom).contains(&recipient.key_id()) {
                    to_whom.push(recipient.clone());
                }
            }
            sealer.finish();
        }
        let Some(text) = &self.text else { return Ok((self.manifest(sealed), to_whom)) };
        let named = || self.name.clone();
        let mut document = Document::parse(text.clone()).or_refuse(named())?;
        for key in &changes.removed {
            document.unset(self.index, key).or_refuse(named())?;
        }
        let sealed: Vec<(&str, &str)> = sealed.iter().map(|(key, value)| (*key, value.as_str())).collect();
        document.set_all(self.index, &sealed).or_refuse(named())?;
        Ok((document.text().to_owned(), to_whom))
    }

    /// To whom a value is sealed: to those that were typed or that a rule names, else to those that it is sealed to,
    /// else to those that all others here are sealed to.
    fn recipients_of(&self, key: &str) -> Outcome<&[Recipient]> {
        if let Some(recipients) = &self.recipients {
            return Ok(recipients);
        }
        let ids = |value: &Value| {
            let recipients = value.recipients.as_ref();
            recipients
                .map(|recipients| recipients.iter().map(Recipient::key_id).collect::<std::collections::BTreeSet<_>>())
        };
        let like = self.value(key).or_else(|| {
            let first = self.values.first()?;
            self.values.iter().all(|value| ids(value) == ids(first)).then_some(first)
        });
        like.and_then(|value| value.recipients.as_deref()).ok_or_else(|| {
            refuse!("nobody to seal {key} to: the other values are sealed to different keys. Pass --to, or name recipients in .bulla.yaml")
        })
    }

    fn manifest(&self, sealed: Vec<(&str, String)>) -> String {
        let manifest = SealedManifest {
            name: self.name.clone(),
            namespace: (!self.namespace.is_empty()).then(|| self.namespace.clone()),
            annotations: self.scope.annotation().map(|name| (name.to_owned(), "true".to_owned())).into_iter().collect(),
            encrypted_data: sealed.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            template: SealedTemplate::default(),
        };
        manifest.to_yaml()
    }
}

/// To whom a value is sealed; `None` if one of them is not known.
fn own_recipients(keyring: &Keyring, opened: &Opened, sealed: Option<&str>) -> Option<Vec<Recipient>> {
    let known = |id: &KeyId| Some(keyring.recipient_of(id)?.0.clone());
    match &opened.binding {
        Some(binding) => binding.keys.iter().map(known).collect(),
        // A plain age file does not name them.
        None if seal::inspect(sealed?).ok()?.kinds.len() > 1 => None,
        None => Some(vec![known(&opened.key_id)?]),
    }
}

/// Whom new values are sealed to, whoever the old ones are sealed to; `None` if those are known and nobody says
/// otherwise. Found out before a person has done any work.
fn to_whom(sought: &Sought<'_>, rule: Option<&Rule>, own_are_known: bool) -> Outcome<Option<Vec<Recipient>>> {
    let connection = &sought.to.cluster.connection;
    let is_said = !sought.to.to.is_empty()
        || connection.kubeconfig.is_some()
        || connection.context.is_some()
        || rule.is_some_and(|rule| !rule.recipients.is_empty() || !rule.recipient_files.is_empty());
    if own_are_known && !is_said {
        return Ok(None);
    }
    recipients::resolve(sought.to, Some(sought.file)).map(|resolved| Some(resolved.recipients))
}
