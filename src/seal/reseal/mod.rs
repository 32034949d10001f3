//! Sealing the values of one object again, and only those that are not sealed to whom they should be yet.
//!
//! A value keeps its binding (scope, place, `notAfter`, `owner`) and, unless [`Targets`] say otherwise, its format and
//! its other recipients; a value that is sealed to the newest active key of its kind, and to no retired or compromised
//! one, keeps its bytes. Nothing is dropped silently: what cannot be sealed again as it was is refused with the reason,
//! and the other values of the object are not affected.

mod targets;

use std::collections::BTreeSet;

use jiff::civil::Date;

use self::targets::Recipients;
pub use self::targets::{Standing, Targets};

use super::{Binding, Format, KeyId, Keyring, MAX_VALUE, Place, Recipient, Refusal, Scope, SealError};
use super::{Opened, inspect, open, open_evenly, rewrap, seal};
use crate::secret::Plaintext;

/// For whom the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// For whoever holds the keys: as fast as it goes.
    Quick,
    /// For a stranger: each value costs every RSA key and one sealing, whatever comes of it ([`open_evenly`]).
    Even,
}

/// One object whose values are to be sealed again.
#[derive(Clone, Copy)]
pub struct Reseal<'a> {
    /// What opens the values.
    pub keyring: &'a Keyring,
    /// What they are sealed to.
    pub targets: &'a Targets,
    /// The namespace of the object.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The scope that the object's own annotations declare, never those of its template.
    pub declared: Scope,
    /// Today, in UTC: the day that native values say they were sealed.
    pub today: Date,
    /// For whom.
    pub pace: Pace,
}

/// What became of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is sealed to the newest key of its kind already and keeps its bytes.
    Kept {
        /// The key that opened it.
        key: KeyId,
    },
    /// It was sealed again.
    Resealed {
        /// The key that opened the old text.
        from: KeyId,
        /// The newest key, which opens the new one.
        to: KeyId,
        /// The new text, in base64.
        sealed: String,
    },
    /// It stays as it is, because it cannot be sealed again as it was.
    Refused(ResealRefusal),
}

/// Why a value was not sealed again. Facts, never bytes of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResealRefusal {
    /// It does not open.
    #[error(transparent)]
    Open(Refusal),
    /// It opens, but there is no active key of its kind to seal it to.
    #[error("opens, but there is no active key to seal it to again: {}", missing(*.format))]
    NoActiveKey {
        /// Its format.
        format: Format,
    },
    /// A plain age file to several recipients: it does not even name them.
    #[error("is a plain age file to {count} recipients that it does not name: seal the value afresh with bulla")]
    UnnamedRecipients {
        /// How many it has.
        count: usize,
    },
    /// A native value where only a certificate is named: kubeseal's format has no room for what it says about itself.
    #[error(
        "is a native value, and would lose its binding to the data key, its dates and its owner in kubeseal's format: name native recipients (age1...), or seal it afresh"
    )]
    Downgrade,
    /// Several recipients for a value of kubeseal's format.
    #[error("is in kubeseal's format, which has one recipient: move it to the native format to add others")]
    OneRecipientOnly,
    /// Nobody would be left.
    #[error("would be sealed to nobody: every recipient that it has is to be removed")]
    NobodyLeft,
    /// The deprecated form that seals a whole Secret as one value.
    #[error(
        "is the deprecated form that seals a whole Secret at once, which is opened but never written: seal the Secret afresh with bulla or kubeseal"
    )]
    WholeSecret,
    /// It opens, but sealing it again failed.
    #[error("opens, but cannot be sealed again: {0}")]
    Seal(SealError),
}

const fn missing(format: Format) -> &'static str {
    match format {
        Format::Native => "make a native sealing key",
        Format::Kubeseal => "make or supply a certificate",
    }
}

/// What became of an object's values, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// The data key and the outcome of each. `spec.data` stands for the whole-Secret form.
    pub values: Vec<(String, Outcome)>,
}

impl Resealed {
    /// The values that were sealed again: data key and new text.
    pub fn changes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().filter_map(|(key, outcome)| match outcome {
            Outcome::Resealed { sealed, .. } => Some((key.as_str(), sealed.as_str())),
            Outcome::Kept { .. } | Outcome::Refused(_) => None,
        })
    }

    /// The values that were refused: data key and reason.
    pub fn refusals(&self) -> impl Iterator<Item = (&str, &ResealRefusal)> {
        self.values.iter().filter_map(|(key, outcome)| match outcome {
            Outcome::Refused(refusal) => Some((key.as_str(), refusal)),
            Outcome::Kept { .. } | Outcome::Resealed { .. } => None,
        })
    }

    /// The keys that opened values or that values are sealed to now.
    #[must_use]
    pub fn key_ids(&self) -> BTreeSet<KeyId> {
        let mut ids = BTreeSet::new();
        for (_, outcome) in &self.values {
            match outcome {
                Outcome::Kept { key } => drop(ids.insert(*key)),
                Outcome::Resealed { from, to, .. } => ids.extend([*from, *to]),
                Outcome::Refused(_) => {}
            }
        }
        ids
    }
}

impl Reseal<'_> {
    /// Does it: `values` are those of `spec.encryptedData`, `legacy` is `spec.data`. Every value is looked at, whatever
    /// became of those before it.
    pub fn object<'v>(&self, values: impl IntoIterator<Item = (&'v str, &'v str)>, legacy: Option<&str>) -> Resealed {
        let mut resealed = Resealed::default();
        if legacy.is_some_and(|legacy| !legacy.is_empty()) {
            resealed.values.push(("spec.data".to_owned(), Outcome::Refused(ResealRefusal::WholeSecret)));
        }
        for (key, sealed) in values {
            resealed.values.push((key.to_owned(), self.value(key, sealed)));
        }
        resealed
    }

    /// One value, which stands at `key`.
    #[must_use]
    pub fn value(&self, key: &str, sealed: &str) -> Outcome {
        let place = Place { namespace: self.namespace, name: self.name, key };
        if self.pace == Pace::Quick
            && let Some(kept) = self.kept(sealed)
        {
            return kept;
        }
        let opened = match self.pace {
            Pace::Quick => open(self.keyring, sealed, place, self.declared),
            Pace::Even => open_evenly(self.keyring, sealed, place, self.declared),
        };
        let outcome = match opened {
            Ok(opened) => self.opened(&opened, sealed, place).unwrap_or_else(Outcome::Refused),
            Err(refusal) => Outcome::Refused(ResealRefusal::Open(refusal)),
        };
        if self.pace == Pace::Even && !matches!(outcome, Outcome::Resealed { .. }) {
            self.stand_in(sealed, place);
        }
        outcome
    }

    /// What says by itself that it is sealed as it should be is not opened: its word suffices to leave it alone.
    fn kept(&self, sealed: &str) -> Option<Outcome> {
        let inspection = inspect(sealed).ok()?;
        let binding = inspection.binding.as_ref()?;
        let is_met = self.targets.are_met(inspection.format, &binding.keys, self.keyring);
        let newest = self.targets.newest_of(inspection.format).map(Recipient::key_id);
        let key = newest.filter(|newest| binding.keys.contains(newest)).or(binding.keys.first().copied())?;
        is_met.then_some(Outcome::Kept { key })
    }

    fn opened(&self, opened: &Opened, sealed: &str, place: Place<'_>) -> Result<Outcome, ResealRefusal> {
        let inspection = inspect(sealed).map_err(ResealRefusal::Open)?;
        let keys = opened.binding.as_ref().map(|binding| binding.keys.as_slice());
        let names_no_key = (inspection.format == Format::Kubeseal || inspection.kinds.len() == 1)
            .then_some(std::slice::from_ref(&opened.key_id));
        let keys = keys.or(names_no_key).unwrap_or_default();
        if keys.is_empty() {
            return Err(ResealRefusal::UnnamedRecipients { count: inspection.kinds.len() });
        }
        if self.targets.are_met(inspection.format, keys, self.keyring) {
            return Ok(Outcome::Kept { key: opened.key_id });
        }
        let Recipients { known, unknown } = self.targets.recipients(inspection.format, keys, self.keyring)?;
        let to = known.first().map(Recipient::key_id).ok_or(ResealRefusal::NobodyLeft)?;
        let binding = match &opened.binding {
            Some(binding) => Binding { sealed: self.today, ..binding.clone() },
            None => Binding::new(self.declared, place, self.today),
        };
        let sealed = if unknown.is_empty() {
            seal(&known, &opened.plaintext, &binding)
        } else {
            rewrap(self.keyring, sealed, &unknown, &known, &binding)
        };
        Ok(Outcome::Resealed { from: opened.key_id, to, sealed: sealed.map_err(ResealRefusal::Seal)? })
    }

    /// The sealing that a value did not need or did not come to, so that it costs what the others cost.
    fn stand_in(&self, sealed: &str, place: Place<'_>) {
        let Ok(inspection) = inspect(sealed) else { return };
        let Some(target) = self.targets.newest_of(inspection.format) else { return };
        let nothing = Plaintext::new(vec![0; inspection.bytes.min(MAX_VALUE)]);
        let binding = Binding::new(self.declared, place, self.today);
        // Only its time is wanted.
        drop(seal(std::slice::from_ref(target), &nothing, &binding));
    }
}

#[cfg(test)]
mod tests;
