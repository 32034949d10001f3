//! Whom the values of a file are to be sealed to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bulla::seal::{self, KeyId, KeyKind, Keyring, Recipient, Targets};

use crate::cluster::{self, ClusterArguments, PublishedKey};
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::recipients;
use crate::repository::{Book, Rule};

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
    /// The cluster whose newest keys count where no other is named; it is asked when the first file needs it.
    pub(crate) cluster: Option<ClusterArguments>,
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

    /// Takes the newest keys from what a cluster publishes.
    ///
    /// # Errors
    /// A key that cannot be read.
    pub(crate) fn newest_of_cluster(mut self, published: &[PublishedKey]) -> Outcome<Self> {
        let newest = super::newest(published)?;
        self.native = newest.iter().find(|recipient| recipient.certificate().is_none()).cloned();
        self.certificate = newest.iter().find(|recipient| recipient.certificate().is_some()).cloned();
        Ok(self)
    }

    /// Refuses what would be refused for every file.
    pub(super) fn check(&self) -> Outcome {
        // With rules it depends on the file.
        if self.to.is_empty() { Ok(()) } else { self.targets(None).map(drop) }
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
        if let (None, None, Some(cluster)) = (&self.native, &self.certificate, &self.cluster) {
            let published = cluster::block_on(cluster::published_keys(cluster)).map_err(|failure| {
                failure.at(
                    "nobody to seal to: no --to, no rule in .bulla.yaml for this file, and the cluster cannot be asked",
                )
            })?;
            return Self { cluster: None, ..self.clone() }.newest_of_cluster(&published)?.targets(rule);
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

/// What follows from a rule, or why nothing does.
type Followed = Result<Arc<Targets>, String>;

/// The goals of all files of a run: rules are read once, and what follows from each is worked out once.
pub(super) struct Goals<'a> {
    wanted: &'a Wanted,
    /// The current folder.
    here: PathBuf,
    rules: Book,
    of_rules: Mutex<Vec<(Option<Arc<Rule>>, Followed)>>,
}

/// What holds for one file.
pub(super) struct Goal {
    pub(super) targets: Arc<Targets>,
    /// The namespace that `.bulla.yaml` says for it.
    pub(super) namespace: Option<String>,
    /// The file whose rule says it, where one does.
    pub(super) named_by: Option<String>,
}

impl<'a> Goals<'a> {
    pub(super) fn new(wanted: &'a Wanted) -> Self {
        let here = std::env::current_dir().and_then(|folder| folder.canonicalize()).unwrap_or_default();
        Self { wanted, here, rules: Book::default(), of_rules: Mutex::new(Vec::new()) }
    }

    /// The goal of a file, or why there is none.
    pub(super) fn of(&self, file: &Path) -> Result<Goal, String> {
        let rule = self.rules.rule_for(file);
        if rule.is_none() {
            self.rules_are_read()?;
        }
        let namespace = rule.as_ref().and_then(|rule| rule.namespace.clone());
        let is_by_rule = self.wanted.to.is_empty() && self.wanted.added.is_empty();
        let names = |rule: &&Arc<Rule>| !rule.recipients.is_empty() || !rule.recipient_files.is_empty();
        let named_by = rule.as_ref().filter(|_| is_by_rule).filter(names).map(|rule| self.shown(&rule.file));
        let mut known = self.of_rules.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &Option<Arc<Rule>>| match (known, &rule) {
            (Some(known), Some(rule)) => Arc::ptr_eq(known, rule),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if let Some((_, targets)) = known.iter().find(|(known, _)| is_same(known)) {
            return Ok(Goal { targets: targets.clone()?, namespace, named_by });
        }
        let targets = self.wanted.targets(rule.as_deref()).map(Arc::new).map_err(|failure| failure.to_string());
        known.push((rule, targets.clone()));
        Ok(Goal { targets: targets?, namespace, named_by })
    }

    /// Where rules cannot be read, nobody knows whether one of them holds.
    fn rules_are_read(&self) -> Result<(), String> {
        let broken = self.rules.met().into_iter().find_map(|book| Some(book.rules.as_ref().err()?.to_string()));
        broken.map_or(Ok(()), Err)
    }

    /// A file from the current folder, where it is in it.
    fn shown(&self, file: &Path) -> String {
        file.strip_prefix(&self.here).unwrap_or(file).display().to_string()
    }
}
