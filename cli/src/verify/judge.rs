//! The rules for SealedSecrets and their values.

use std::collections::{BTreeMap, BTreeSet};

use bulla::seal::{Binding, Damage, Format, Inspection, KeyId, KeyState, Place, Refusal, Scope};
use bulla_crds::sealed_secret::API_VERSION;
use jiff::civil::Date;

use super::known::{Allowed, Keyring};
use super::rules;
use super::sealed::{Annotation, At, Entry, Sealed};
use super::template;
use crate::findings::{Finding, Level, Rule, is_tame};

/// The annotations that declare a scope.
const SCOPES: [&str; 2] = [Scope::CLUSTER_WIDE_ANNOTATION, Scope::NAMESPACE_WIDE_ANNOTATION];

/// What holds for every value of a file.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    /// The file, as it is called in findings.
    pub(super) file: &'a str,
    /// The keys of `--keyring`; without one, any.
    pub(super) keyring: Option<&'a Keyring>,
    /// The keys that `.bulla.yaml` allows for the file; without a rule that names some, any.
    pub(super) allowed: Option<&'a Allowed>,
    pub(super) today: Date,
    /// Values that have to be replaced by then are near their end.
    pub(super) soon: Date,
}

/// What is wrong with a value.
pub(super) struct Wrong {
    pub(super) rule: &'static Rule,
    pub(super) level: Level,
    pub(super) message: String,
    /// A better way out than the rule's.
    pub(super) mend: Option<String>,
}

impl Wrong {
    pub(super) fn new(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self { rule, level: rule.level, message: message.into(), mend: None }
    }

    /// As a finding.
    pub(super) fn found(self, file: &str, (line, column): At, object: Option<String>, field: String) -> Finding {
        let found = Finding::new(self.rule, file, self.message).as_level(self.level).at(line, column).field(field);
        let found = object.map_or(found.clone(), |object| found.of(object));
        let key = found.path.rsplit_once("encryptedData.").map(|(_, key)| key.to_owned());
        match (self.mend, key) {
            (Some(mend), _) => found.mended_by(mend),
            (None, Some(key)) => found.naming("KEY", &key),
            (None, None) => found,
        }
    }
}

/// Where an object comes to be. What is `None` is not known, and nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Landing<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) scope: Option<Scope>,
}

impl Judge<'_> {
    /// Everything that is wrong with one, but for where its values land. `named` is what it is called.
    pub(super) fn object(&self, sealed: &Sealed, named: &str) -> Vec<Finding> {
        let found =
            |wrong: Wrong, at: At, field: &str| wrong.found(self.file, at, Some(named.to_owned()), field.to_owned());
        let mut findings = Vec::new();
        if let Some((key, at)) = &sealed.duplicate {
            let message = format!("the key `{key}` is there twice; remove one");
            findings.push(found(Wrong::new(&rules::SYNTAX, message), *at, ""));
        }
        match &sealed.api_version {
            None => {
                let message = format!("is missing: write {API_VERSION}");
                findings.push(found(Wrong::new(&rules::API_VERSION, message), sealed.at, "apiVersion"));
            }
            Some((version, at)) if version != API_VERSION && template::known(version).is_some() => {
                let message = format!("{version} is not served: write {API_VERSION}");
                findings.push(found(Wrong::new(&rules::API_VERSION, message), *at, "apiVersion"));
            }
            Some(_) => {}
        }
        if sealed.name.is_none() && !sealed.is_named_by_template {
            findings.push(found(Wrong::new(&rules::NAME, "must be set"), sealed.at, "metadata.name"));
        }
        for (name, at, level, message) in annotations(sealed) {
            findings.push(found(
                Wrong { level, ..Wrong::new(&rules::SCOPE, message) },
                at,
                &format!("metadata.annotations.{name}"),
            ));
        }
        findings.extend(self.values(&sealed.entries, sealed.data_at, Some(named), "spec.encryptedData"));
        findings
    }

    /// Everything that is wrong with the values of a map that stands at `data_at` and is called `path`.
    pub(super) fn values(&self, entries: &[Entry], data_at: At, named: Option<&str>, path: &str) -> Vec<Finding> {
        let named = named.map(str::to_owned);
        let mut findings = Vec::new();
        let mut missing: BTreeSet<KeyId> = BTreeSet::new();
        let mut classes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for entry in entries {
            let inspection = match &entry.looked {
                None => continue,
                Some(Ok(inspection)) => inspection,
                Some(Err(refusal)) => {
                    let wrong = Wrong::new(&rules::SEALED_VALUE, refusal.to_string());
                    findings.push(wrong.found(self.file, entry.at, named.clone(), within(path, &entry.key)));
                    continue;
                }
            };
            classes.entry(class(inspection)).or_default().push(&entry.key);
            for wrong in self.value(inspection) {
                findings.push(wrong.found(self.file, entry.at, named.clone(), within(path, &entry.key)));
            }
            if let (Some(allowed), Some(binding)) = (self.allowed, &inspection.binding) {
                missing.extend(allowed.ids.iter().filter(|id| !binding.keys.contains(id)));
            }
        }
        // One line an object: a recipient that was added later is missing in every value.
        if let Some(allowed) = self.allowed.filter(|_| !missing.is_empty()) {
            let ids = list(allowed.ids.iter().copied().filter(|id| missing.contains(id)));
            let message = format!("some values are not sealed to {ids}, which {} names", allowed.by);
            let wrong = Wrong::new(&rules::MISSING_RECIPIENT, message);
            findings.push(wrong.found(self.file, data_at, named.clone(), path.to_owned()));
        }
        if classes.len() > 1 {
            let kinds = classes.iter().map(|(kind, keys)| format!("{} to {kind} keys", keys.join(", ")));
            let message =
                format!("values are sealed to keys of several kinds: {}", kinds.collect::<Vec<_>>().join("; "));
            let wrong = Wrong::new(&rules::MIXED_KINDS, message);
            findings.push(wrong.found(self.file, data_at, named, path.to_owned()));
        }
        findings
    }

    /// What is wrong with one value, wherever it is.
    fn value(&self, inspection: &Inspection) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let kinds = &inspection.kinds;
        if kinds.iter().any(|kind| kind == "hybrid") && kinds.iter().any(|kind| kind != "hybrid") {
            let kinds = kinds.join(", ");
            wrong.push(Wrong {
                level: Level::Error,
                ..Wrong::new(
                    &rules::MIXED_KINDS,
                    format!("is sealed to keys of several kinds ({kinds}): age refuses it"),
                )
            });
        }
        let Some(binding) = &inspection.binding else {
            wrong.extend(self.without_keys(inspection));
            return wrong;
        };
        let recipients = kinds.iter().filter(|kind| matches!(kind.as_str(), "hybrid" | "x25519")).count();
        if recipients != binding.keys.len() {
            let refusal = Refusal::Corrupt { what: Damage::Keys };
            wrong.push(Wrong::new(&rules::SEALED_VALUE, refusal.to_string()));
        }
        wrong.extend(self.date(binding));
        wrong.extend(self.keys(binding));
        let strangers = |allowed: &Allowed| list(binding.keys.iter().copied().filter(|id| !allowed.ids.contains(id)));
        if let Some((allowed, ids)) =
            self.allowed.map(|known| (known, strangers(known))).filter(|(_, ids)| !ids.is_empty())
        {
            let message = format!("is sealed to {ids}, which {} does not allow here", allowed.by);
            wrong.push(Wrong::new(&rules::RECIPIENT, message));
        }
        wrong
    }

    /// A value that does not say which keys open it: kubeseal's, or a plain age file.
    fn without_keys(&self, inspection: &Inspection) -> Option<Wrong> {
        if inspection.format != Format::Kubeseal {
            return None;
        }
        if self.keyring.is_some_and(|keyring| !keyring.opens_kubeseal) {
            let message = "is in kubeseal's format, and --keyring has no certificate whose key opens such values";
            return Some(Wrong::new(&rules::UNKNOWN_KEY, message));
        }
        let allowed = self.allowed.filter(|allowed| !allowed.has_certificate)?;
        let message = format!("is in kubeseal's format, and {} names no certificate", allowed.by);
        // Who migrates has such values, and they open.
        Some(Wrong { level: Level::Warning, ..Wrong::new(&rules::RECIPIENT, message) })
    }

    fn date(&self, binding: &Binding) -> Option<Wrong> {
        let end = binding.not_after?;
        let owner = binding.owner.as_ref().map(|owner| format!(" (owner {owner:?})")).unwrap_or_default();
        if end < self.today {
            return Some(Wrong::new(&rules::NOT_AFTER, format!("should have been replaced by {end}{owner}")));
        }
        (end <= self.soon).then(|| Wrong::new(&rules::EXPIRES_SOON, format!("has to be replaced by {end}{owner}")))
    }

    /// Whether a key of the keyring opens the value.
    fn keys(&self, binding: &Binding) -> Vec<Wrong> {
        let Some(keyring) = self.keyring else { return Vec::new() };
        let of = |state| list(binding.keys.iter().copied().filter(|id| keyring.state(*id) == Some(state)));
        let mut wrong = Vec::new();
        let compromised = of(KeyState::Compromised);
        if !compromised.is_empty() {
            wrong
                .push(Wrong::new(&rules::COMPROMISED_KEY, format!("is sealed to {compromised}, which is compromised")));
        }
        let opens = binding.keys.iter().any(|id| keyring.state(*id).is_some_and(KeyState::opens));
        let retired = of(KeyState::Retired);
        if !opens && !retired.is_empty() {
            wrong.push(Wrong::new(
                &rules::RETIRED_KEY,
                format!("is sealed to {retired}, which is retired: it will not open"),
            ));
        }
        let is_allowed = |id: &KeyId| self.allowed.is_some_and(|allowed| allowed.ids.contains(id));
        // A key that is kept offline is in no listing of a cluster: .bulla.yaml vouches for it beside one that opens.
        let unknown =
            list(binding.keys.iter().copied().filter(|id| keyring.state(*id).is_none() && !(opens && is_allowed(id))));
        if !unknown.is_empty() && (opens || wrong.is_empty()) {
            wrong.push(Wrong::new(
                &rules::UNKNOWN_KEY,
                format!("is sealed to {unknown}, which --keyring does not name"),
            ));
        }
        wrong
    }
}

/// What is wrong with a value because of where it lands.
pub(super) fn place(entry: &Entry, landing: Landing<'_>) -> Option<Wrong> {
    let inspection = entry.looked.as_ref()?.as_ref().ok()?;
    let Some(binding) = &inspection.binding else {
        // kubeseal's values say nothing about their place; a plain age file is taken anywhere or nowhere.
        let is_unbound = inspection.format == Format::Native && landing.scope.is_some_and(|s| s != Scope::ClusterWide);
        return is_unbound.then(|| Wrong::new(&rules::WRONG_PLACE, Refusal::Unbound.to_string()));
    };
    let namespace = landing.namespace.or(binding.namespace.as_deref()).unwrap_or_default();
    let name = landing.name.or(binding.name.as_deref()).unwrap_or_default();
    let place = Place { namespace, name, key: &entry.key };
    let refusal = binding.admits(place, landing.scope.unwrap_or(binding.scope)).err()?;
    let rule = if matches!(refusal, Refusal::ScopeDisagrees { .. }) { &rules::SCOPE } else { &rules::WRONG_PLACE };
    let mend = if matches!(refusal, Refusal::ScopeDisagrees { .. }) { None } else { sealing(binding.scope, place) };
    Some(Wrong { mend, ..Wrong::new(rule, refusal.to_string()) })
}

/// The command that seals a value for a place; none where a name would need a shell's attention.
fn sealing(scope: Scope, place: Place<'_>) -> Option<String> {
    let Place { namespace, name, key } = place;
    if ![namespace, name, key].into_iter().all(is_tame) {
        return None;
    }
    let scope = if scope == Scope::Strict { String::new() } else { format!(" --scope {scope}") };
    Some(format!(
        "seal the value for where it lands: `bulla seal --raw --name {name} -n {namespace} --from-literal {key}{scope}`, \
         or undo the move"
    ))
}

/// What is wrong with the annotations that declare a scope.
fn annotations(sealed: &Sealed) -> Vec<(&'static str, At, Level, String)> {
    let mut wrong = Vec::new();
    for name in SCOPES {
        match sealed.annotations.get(name) {
            None | Some(Annotation { is_template: true, .. }) => {}
            Some(Annotation { value: None, at, .. }) => {
                let message = "must be a string: write \"true\" in quotes, or an API server refuses the object";
                wrong.push((name, *at, Level::Error, message.to_owned()));
            }
            Some(Annotation { value: Some(value), at, .. }) if !matches!(value.as_str(), "true" | "false") => {
                let scope = sealed.scope().unwrap_or_default();
                let message = format!("is {value:?}: only \"true\" counts, so the object is {scope}");
                wrong.push((name, *at, Level::Error, message));
            }
            Some(Annotation { value: Some(_), .. }) => {}
        }
    }
    let is_on = |name: &str| sealed.annotations.get(name).filter(|one| one.value.as_deref() == Some("true"));
    if let [Some(_), Some(second)] = SCOPES.map(is_on) {
        let message = "is without effect beside cluster-wide: keep the one that is meant";
        wrong.push((SCOPES[1], second.at, Level::Warning, message.to_owned()));
    }
    wrong
}

/// A key of a map, as a path.
pub(super) fn within(map: &str, key: &str) -> String {
    if map.is_empty() { key.to_owned() } else { format!("{map}.{key}") }
}

/// The kind of key that a value is sealed to, for comparing values of one object.
fn class(inspection: &Inspection) -> &str {
    let kind = inspection.kinds.first().map_or("other", String::as_str);
    kind.split('-').next().unwrap_or(kind)
}

/// Ids in a sentence; empty for none.
fn list(ids: impl Iterator<Item = KeyId>) -> String {
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join(" and ")
}
