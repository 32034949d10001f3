//! Seals single values, and leaves those alone that are provably unchanged.

use bulla::seal::{self, Binding, Place, Recipient, Scope};
use bulla::secret::Plaintext;
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};

use crate::failure::{Failure, OrFail as _, Outcome, usage};
use crate::memory::Memory;

/// Seals to fixed recipients, on one day.
pub(crate) struct Sealer {
    recipients: Vec<Recipient>,
    memory: Memory,
    today: Date,
    kept: usize,
    sealed: usize,
}

impl Sealer {
    /// A sealer for these recipients.
    pub(crate) fn new(recipients: Vec<Recipient>) -> Self {
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        Self { recipients, memory: Memory::open(), today, kept: 0, sealed: 0 }
    }

    /// Seals a value, or gives back `old` if it was made on this machine from the same value for the same place and
    /// recipients.
    pub(crate) fn seal(
        &mut self,
        scope: Scope,
        place: Place<'_>,
        value: &Plaintext,
        old: Option<&str>,
    ) -> Outcome<String> {
        let binding = Binding::new(scope, place, self.today);
        let mut ids: Vec<String> = self.recipients.iter().map(|recipient| recipient.key_id().to_string()).collect();
        ids.sort_unstable();
        let (place_in_words, ids) = (format!("{scope}: {binding}"), ids.join(","));
        let digest = self.memory.digest([
            ("place", place_in_words.as_bytes()),
            ("recipients", ids.as_bytes()),
            ("value", value.expose()),
        ]);
        if let Some(old) = old.filter(|old| self.memory.proves(old, digest.as_deref())) {
            self.kept += 1;
            return Ok(old.to_owned());
        }
        let sealed = seal::seal(&self.recipients, value, &binding).or_refuse(format!("sealing {:?}", place.key))?;
        self.memory.note(&sealed, digest);
        self.sealed += 1;
        Ok(sealed)
    }

    /// To whom.
    pub(crate) fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Writes down what was learnt and says how many values were sealed and how many kept.
    pub(crate) fn finish(self) -> (usize, usize) {
        self.memory.save();
        (self.sealed, self.kept)
    }
}

/// What to say where a namespace is needed and nothing names one. Guessing one from a kubeconfig is how values end up
/// sealed for the wrong place.
pub(crate) fn no_namespace(what: &str) -> Failure {
    usage!(
        "{what} has no namespace, and its values are bound to one: put it into the manifest or .bulla.yaml, or pass --namespace"
    )
}
