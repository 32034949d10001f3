//! The keys that values may be sealed to: those of a keyring, and those that `.bulla.yaml` allows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bulla::seal::{KeyId, KeyKind, KeyState, Recipient};
use serde::Deserialize;

use super::rules;
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::findings::{Finding, Level};
use crate::input;
use crate::outline::{Outline, View};
use crate::recipients;
use crate::repository::{Rule, Rulebook, RulesError};

/// The keys of `--keyring`, with their states where the files say them.
#[derive(Default)]
pub(super) struct Keyring {
    states: BTreeMap<KeyId, KeyState>,
    /// Whether one of the keys opens kubeseal's values.
    pub(super) opens_kubeseal: bool,
}

/// What `bulla keys list --output json`, `bulla keys show --output json` and the controller's ConfigMap hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listing {
    Plain(Vec<Listed>),
    Wrapped {
        keys: Vec<Listed>,
    },
    /// As `kubectl get configmap bulla-sealing-keys -o json` prints it.
    ConfigMap {
        data: BTreeMap<String, String>,
    },
}

#[derive(Deserialize)]
struct Listed {
    id: KeyId,
    #[serde(rename = "type")]
    kind: Option<String>,
    state: Option<String>,
}

impl Keyring {
    /// The keys in files.
    pub(super) fn read(files: &[PathBuf]) -> Outcome<Self> {
        let mut keyring = Self::default();
        for file in files {
            keyring.add(file)?;
        }
        Ok(keyring)
    }

    /// The state of a key; `None` if the keyring does not have it.
    pub(super) fn state(&self, id: KeyId) -> Option<KeyState> {
        self.states.get(&id).copied()
    }

    fn add(&mut self, file: &Path) -> Outcome {
        let text = input::manifest(file)?;
        if !text.trim_start().starts_with(['[', '{']) {
            for recipient in recipients::from_file(file)? {
                self.insert(recipient.key_id(), KeyState::Active, recipient.kind() == KeyKind::Rsa);
            }
            return Ok(());
        }
        for listed in listing(&text, file)? {
            let state = match listed.state.as_deref() {
                None | Some("active") => KeyState::Active,
                Some("opening") => KeyState::Opening,
                Some("compromised") => KeyState::Compromised,
                // Any other word on a key Secret retires it.
                Some(_) => KeyState::Retired,
            };
            self.insert(listed.id, state, listed.kind.as_deref() == Some("rsa"));
        }
        Ok(())
    }

    /// Of two states of one key the stricter counts.
    fn insert(&mut self, id: KeyId, state: KeyState, is_rsa: bool) {
        let known = self.states.entry(id).or_insert(state);
        *known = (*known).max(state);
        self.opens_kubeseal |= is_rsa && state.opens();
    }
}

fn listing(text: &str, file: &Path) -> Outcome<Vec<Listed>> {
    let what = || format!("{} is not what `bulla keys list --output json` prints", file.display());
    match serde_json::from_str(text).or_refuse(what())? {
        Listing::Plain(keys) | Listing::Wrapped { keys } => Ok(keys),
        Listing::ConfigMap { data } => {
            let inner = data.get("keys.json").ok_or_else(|| refuse!("{}: it has no keys.json", what()))?;
            match serde_json::from_str(inner).or_refuse(what())? {
                Listing::Plain(keys) | Listing::Wrapped { keys } => Ok(keys),
                Listing::ConfigMap { .. } => Err(refuse!("{}", what())),
            }
        }
    }
}

/// The keys that a rule of `.bulla.yaml` names.
pub(super) struct Allowed {
    /// Who named them, in words.
    pub(super) by: String,
    pub(super) ids: BTreeSet<KeyId>,
    /// Whether kubeseal's values may be among what is sealed to them.
    pub(super) has_certificate: bool,
}

/// What every rule allows, worked out once.
#[derive(Default)]
pub(super) struct Policy {
    /// By the address of the rule, which the book keeps as long as this lives.
    allowed: Mutex<HashMap<usize, Option<Arc<Allowed>>>>,
}

impl Policy {
    /// What a rule allows; `None` if it names no recipients (values are then sealed to what the cluster publishes), or
    /// if they cannot be read, which is a finding of [`findings`].
    pub(super) fn of(&self, rule: &Arc<Rule>) -> Option<Arc<Allowed>> {
        let address = Arc::as_ptr(rule).addr();
        let mut known = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(address).or_insert_with(|| allowed(rule).map(Arc::new)).clone()
    }
}

fn allowed(rule: &Rule) -> Option<Allowed> {
    let named = recipients::of_rule(rule).ok().filter(|named| !named.is_empty())?;
    let by = rule.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let has_certificate = named.iter().any(|recipient| recipient.kind() == KeyKind::Rsa);
    Some(Allowed { by, ids: named.iter().map(Recipient::key_id).collect(), has_certificate })
}

/// What is wrong with a `.bulla.yaml` itself; `named` is what it is called in findings.
pub(super) fn findings(book: &Rulebook, named: &str) -> Vec<Finding> {
    let rules = match &book.rules {
        Ok(rules) => rules,
        Err(error) => {
            let (place, message) = match error {
                RulesError::Malformed { at, problem, .. } => (at.0, problem.clone()),
                RulesError::Unreadable { .. } | RulesError::TooLarge { .. } | RulesError::Linked { .. } => {
                    (None, error.to_string())
                }
            };
            let found = Finding::new(&rules::BULLA_YAML, named, message);
            return vec![place.map_or(found.clone(), |(line, column)| found.at(line, column))];
        }
    };
    let mut found = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let wrong = match recipients::of_rule(rule) {
            Ok(named) => mixture(&named).map(|message| (&rules::MIXED_KINDS, message)),
            Err(failure) => Some((&rules::BULLA_YAML, failure.to_string())),
        };
        if let Some((rule, message)) = wrong {
            let (line, column) = place_of(&book.text, index);
            let field = format!("rules[{index}]");
            let one = Finding::new(rule, named, message).as_level(Level::Error).at(line, column).field(field);
            found.push(one.mended_by("name recipients of one kind in each rule, in files that are there"));
        }
    }
    found
}

/// Why nothing can be sealed to all of these.
fn mixture(named: &[Recipient]) -> Option<String> {
    let kinds: BTreeSet<&str> = named.iter().map(|recipient| recipient.kind().as_str()).collect();
    let several_certificates = named.iter().filter(|recipient| recipient.kind() == KeyKind::Rsa).count() > 1;
    if kinds.len() > 1 {
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
        return Some(format!("names recipients of several kinds ({kinds}): nothing can be sealed to all of them"));
    }
    several_certificates.then(|| "names several certificates: kubeseal's format takes one".to_owned())
}

/// Where a rule stands in its file.
fn place_of(text: &str, index: usize) -> (usize, usize) {
    let Ok(outline) = Outline::parse(text) else { return (1, 1) };
    let rule = outline.documents().next().and_then(|root| root.get("rules")?.items().nth(index));
    rule.map_or((1, 1), View::place)
}
