//! Who opens the values after a run: those who did before and the new key, and nobody else.
//!
//! A rule says whom the values of its files are to be sealed to. Whoever can write a `.bulla.yaml` somewhere in a
//! repository could have a run hand over values in this way, so what a rule adds is never part of a rotation.

use std::collections::BTreeSet;
use std::path::Path;

use bulla::seal::{KeyId, Recipient};

use super::rules::Rules;
use super::survey::Held;
use crate::failure::{Outcome, refuse};
use crate::git::Checkout;
use crate::{recipients, repository};

/// What of a run decides who opens its values.
pub(super) struct Openers<'a> {
    pub(super) checkout: &'a Checkout,
    pub(super) rules: &'a Rules,
    /// The keys that go, and those that come.
    pub(super) old: BTreeSet<KeyId>,
    pub(super) new: BTreeSet<KeyId>,
    /// Recipients that a person let in, by the beginnings of their ids.
    pub(super) accepted: &'a [String],
}

impl Openers<'_> {
    /// Refuses what the rule of a file would do to its values: let somebody in who did not open them before, or leave
    /// the new key out.
    pub(super) fn check(&self, file: &Path, held: &Held) -> Outcome {
        let path = self.checkout.root().join(file);
        let Some(by) = repository::nearest(&path) else { return Ok(()) };
        let by = by.strip_prefix(self.checkout.root()).map(Path::to_path_buf).unwrap_or(by);
        if !self.rules.are_in(&by) {
            return Err(refuse!(
                "{} would say whom {} is sealed to, and it is not a file that Git has here (it is untracked, or a link): \
                 commit it as a file, or remove it",
                by.display(),
                file.display()
            ));
        }
        let Some(rule) = recipients::rule_for(Some(&path))? else { return Ok(()) };
        let named: BTreeSet<KeyId> = recipients::of_rule(&rule)?.iter().map(Recipient::key_id).collect();
        if named.is_empty() {
            return Ok(());
        }
        if named.is_disjoint(&self.old) && named.is_disjoint(&self.new) {
            return Err(refuse!(
                "{}: the rule in {} names neither the key that goes nor the one that comes, only {}: no key of the run \
                 would open its values any more. Mend the rule, or leave the file out (--exclude)",
                file.display(),
                by.display(),
                list(&named)
            ));
        }
        let strangers: BTreeSet<KeyId> = held.sealed_to.iter().flat_map(|keys| self.let_in(&named, keys)).collect();
        if strangers.is_empty() {
            return Ok(());
        }
        Err(refuse!(
            "{}: {} names {}, who could not open all of its values before: a rotation hands no value to anybody new. If \
             it is to be so: --accept-recipient ID, or `bulla reseal` first; else mend the rule",
            file.display(),
            by.display(),
            list(&strangers)
        ))
    }

    /// Those of `named` who would open a value of these keys, and did not before.
    fn let_in(&self, named: &BTreeSet<KeyId>, keys: &BTreeSet<KeyId>) -> BTreeSet<KeyId> {
        let is_known = |id: &KeyId| keys.contains(id) || self.old.contains(id) || self.new.contains(id);
        let is_accepted = |id: &KeyId| {
            let id = id.to_string();
            self.accepted.iter().any(|accepted| id.starts_with(&accepted.to_ascii_lowercase()))
        };
        named.iter().filter(|id| !is_known(id) && !is_accepted(id)).copied().collect()
    }
}

fn list(ids: &BTreeSet<KeyId>) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
