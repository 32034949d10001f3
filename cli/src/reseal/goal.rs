//! Whom the values of a file are to be sealed to.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bulla::seal::{self, KeyId, KeyKind, Keyring, Recipient, Targets};

use crate::failure::{OrFail as _, Outcome, refuse};
use crate::recipients;
use crate::repository::Rule;

/// Whom values are to be sealed to: exactly [`Self::to`], else exactly whom `.bulla.yaml` names for the file, else the
/// newest key in place of an older one.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    /// Exactly these.
    pub(crate) to: Vec<Recipient>,
    /// The newest key of the native format.
    pub(crate) native: Option<Recipient>,
    /// The newest certificate.
    pub(crate) certificate: Option<Recipient>,
    /// Others that values may be sealed to: who is known by its public half keeps what it can open.
    pub(crate) kept: Vec<Recipient>,
    /// Recipients that all values get.
    pub(crate) added: Vec<Recipient>,
    /// Recipients that all values lose.
    pub(crate) removed: BTreeSet<KeyId>,
    /// Whether values in kubeseal's format become native ones.
    pub(crate) is_native_only: bool,
}

impl Wanted {
    /// Takes the newest keys from a keyring.
    pub(crate) fn newest_of(mut self, keyring: &Keyring) -> Self {
        self.native = keyring.active().cloned();
        self.certificate = keyring.active_certificate().cloned();
        self
    }

    fn targets(&self, rule: Option<&Rule>) -> Outcome<Targets> {
        let (named, by) = if self.to.is_empty() {
            let named = rule.map(recipients::of_rule).transpose()?.unwrap_or_default();
            (named, rule.map_or_else(String::new, |rule| rule.file.display().to_string()))
        } else {
            (self.to.clone(), "--to".to_owned())
        };
        if !named.is_empty() {
            let mut exactly = named;
            exactly.extend(self.added.iter().cloned());
            exactly.retain(|recipient| !self.removed.contains(&recipient.key_id()));
            if exactly.is_empty() {
                return Err(refuse!("nobody is left of whom {by} names: values need at least one recipient"));
            }
            seal::agree(&exactly).or_refuse(by)?;
            return Ok(Targets::exactly(recipients::usable(exactly)?));
        }
        let Self { native, certificate, kept, added, removed, is_native_only, .. } = self.clone();
        let kinds = native.iter().chain(&added).map(Recipient::kind);
        if kinds.clone().any(|kind| kind == KeyKind::Rsa) {
            return Err(refuse!("a certificate cannot be added: kubeseal's format has one recipient. Use --to"));
        }
        if native.is_some() {
            let all: Vec<Recipient> = native.iter().chain(&added).cloned().collect();
            seal::agree(&all).or_refuse("--add")?;
        }
        if let Some(newest) = native.iter().chain(&certificate).find(|newest| removed.contains(&newest.key_id())) {
            return Err(refuse!(
                "{} is the newest key, which values are sealed to: it cannot be removed",
                newest.key_id()
            ));
        }
        Ok(Targets { native, certificate, others: kept, added, removed, is_native_only, ..Targets::default() })
    }
}

/// The goals of all files of a run: a rule is read once for all files that it holds for.
pub(super) struct Goals<'a> {
    wanted: &'a Wanted,
    of_rules: Mutex<Vec<(Option<Rule>, Arc<Targets>)>>,
}

/// What holds for one file.
pub(super) struct Goal {
    pub(super) targets: Arc<Targets>,
    /// The namespace that `.bulla.yaml` says for it.
    pub(super) namespace: Option<String>,
}

impl<'a> Goals<'a> {
    pub(super) const fn new(wanted: &'a Wanted) -> Self {
        Self { wanted, of_rules: Mutex::new(Vec::new()) }
    }

    pub(super) fn of(&self, file: &Path) -> Outcome<Goal> {
        let rule = recipients::rule_for(Some(file))?;
        let namespace = rule.as_ref().and_then(|rule| rule.namespace.clone());
        let mut known = self.of_rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, targets)) = known.iter().find(|(known, _)| *known == rule) {
            return Ok(Goal { targets: Arc::clone(targets), namespace });
        }
        let targets = Arc::new(self.wanted.targets(rule.as_ref())?);
        known.push((rule, Arc::clone(&targets)));
        Ok(Goal { targets, namespace })
    }
}
