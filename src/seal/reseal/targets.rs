//! Whom values are to be sealed to, and whether they are.

use std::collections::BTreeSet;

use super::ResealRefusal;
use crate::seal::{Format, Inspection, KeyId, KeyState, Keyring, Recipient};

/// What values are sealed to from now on.
///
/// Either the newest key takes the place of an older one of ours and everybody else stays, or [`Self::exactly`] says
/// everybody.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// The newest key for values in the native format.
    pub native: Option<Recipient>,
    /// The newest key for values in kubeseal's format: a certificate.
    pub certificate: Option<Recipient>,
    /// Public halves of further recipients, such as other clusters and people. A value that is sealed to others stays
    /// sealed to them also where only their key ids are known; where all public halves are here it is sealed afresh.
    pub others: Vec<Recipient>,
    /// Everybody who is to open a value, where that is laid down; what is above does not count then. Native
    /// recipients move values in kubeseal's format to the native one.
    pub exactly: Vec<Recipient>,
    /// Recipients that every native value gets, beside those that it has.
    pub added: Vec<Recipient>,
    /// Recipients that every value loses.
    pub removed: BTreeSet<KeyId>,
    /// Whether values in kubeseal's format become native ones.
    pub is_native_only: bool,
}

/// How a value stands, as far as can be told from the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is sealed as it should be.
    Current,
    /// It is to be sealed again.
    Stale,
    /// It does not name the keys that it is sealed to: only opening it tells.
    Unknown,
}

/// Whom one value is sealed to from now on.
pub(super) struct Recipients {
    /// The newest key first.
    pub(super) known: Vec<Recipient>,
    /// Those who stay, and of whom no more than the ids is known.
    pub(super) unknown: Vec<KeyId>,
}

impl From<Vec<Recipient>> for Recipients {
    fn from(known: Vec<Recipient>) -> Self {
        Self { known, unknown: Vec::new() }
    }
}

impl Targets {
    /// The newest active key of either kind, and nobody else.
    #[must_use]
    pub fn newest(keyring: &Keyring) -> Self {
        Self {
            native: keyring.active().cloned(),
            certificate: keyring.active_certificate().cloned(),
            ..Self::default()
        }
    }

    /// Exactly these recipients.
    #[must_use]
    pub fn exactly(recipients: Vec<Recipient>) -> Self {
        Self { exactly: recipients, ..Self::default() }
    }

    /// Whether a value is sealed as it should be. What it says about its keys is not proven by this.
    #[must_use]
    pub fn standing(&self, value: &Inspection, keyring: &Keyring) -> Standing {
        match &value.binding {
            Some(binding) if self.are_met(value.format, &binding.keys, keyring) => Standing::Current,
            Some(_) => Standing::Stale,
            None if self.changes_format(value.format) => Standing::Stale,
            None => Standing::Unknown,
        }
    }

    /// Whether values of that format become native ones.
    fn changes_format(&self, format: Format) -> bool {
        let is_laid_down = self.exactly.iter().any(|recipient| recipient.certificate().is_none());
        format == Format::Kubeseal && (self.is_native_only || is_laid_down)
    }

    /// The newest key for values that have that format now.
    pub(super) fn newest_of(&self, format: Format) -> Option<&Recipient> {
        match format {
            _ if !self.exactly.is_empty() => self.exactly.first(),
            Format::Kubeseal if !self.is_native_only => self.certificate.as_ref(),
            Format::Kubeseal | Format::Native => self.native.as_ref(),
        }
    }

    /// Whether a value that is sealed to `keys` is sealed as it should be.
    pub(super) fn are_met(&self, format: Format, keys: &[KeyId], keyring: &Keyring) -> bool {
        if self.changes_format(format) {
            return false;
        }
        if !self.exactly.is_empty() {
            let wanted: BTreeSet<KeyId> = self.exactly.iter().map(Recipient::key_id).collect();
            return wanted == keys.iter().copied().collect();
        }
        let is_sealed_to = |recipient: &Recipient| keys.contains(&recipient.key_id());
        // A recipient that may open nothing any more is to be got rid of too.
        self.newest_of(format).is_some_and(is_sealed_to)
            && self.added.iter().all(is_sealed_to)
            && keys.iter().all(|id| keyring.refusal(id).is_none() && !self.removed.contains(id))
    }

    /// Whom a value that is sealed to `keys` is sealed to from now on, the newest key first.
    ///
    /// The newest key takes the place of the one of ours that it was sealed to, and of ours that nothing may be sealed
    /// to any more. Two active keys of ours in one value are there on purpose, such as one that several clusters share:
    /// both stay.
    pub(super) fn recipients(
        &self,
        format: Format,
        keys: &[KeyId],
        keyring: &Keyring,
    ) -> Result<Recipients, ResealRefusal> {
        if !self.exactly.is_empty() {
            let is_downgrade = format == Format::Native && self.exactly.iter().all(|one| one.certificate().is_some());
            return if is_downgrade { Err(ResealRefusal::Downgrade) } else { Ok(self.exactly.clone().into()) };
        }
        let target = self.newest_of(format).ok_or(ResealRefusal::NoActiveKey { format })?;
        if target.certificate().is_some() {
            let is_alone = self.added.is_empty() && !self.removed.contains(&target.key_id());
            return if is_alone { Ok(vec![target.clone()].into()) } else { Err(ResealRefusal::OneRecipientOnly) };
        }
        let (mut recipients, mut ours, mut unknown) = (vec![target.clone()], Vec::new(), Vec::new());
        // The one key of a value in kubeseal's format gives its place.
        let keys = if format == Format::Kubeseal { &[] } else { keys };
        for id in keys.iter().filter(|id| **id != target.key_id() && !self.removed.contains(id)) {
            if let Some(other) = self.others.iter().chain(&self.added).find(|other| other.key_id() == *id) {
                recipients.push(other.clone());
            } else if let Some((recipient, state)) = keyring.recipient_of(id) {
                if state == KeyState::Active {
                    ours.push(recipient.clone());
                }
            } else if keyring.refusal(id).is_none() {
                unknown.push(*id);
            }
        }
        if ours.len() > 1 {
            recipients.append(&mut ours);
        }
        for added in &self.added {
            if recipients.iter().all(|recipient| recipient.key_id() != added.key_id()) {
                recipients.push(added.clone());
            }
        }
        recipients.retain(|recipient| !self.removed.contains(&recipient.key_id()));
        if recipients.is_empty() {
            Err(ResealRefusal::NobodyLeft)
        } else {
            Ok(Recipients { known: recipients, unknown })
        }
    }
}
