//! The native format: a binary age v1 file (C2SP `age.md`) with a `bulla` stanza.
//!
//! The stanza is `-> bulla v1` with a body of compact JSON ([`Binding`]). It is covered by the header's MAC, so nobody
//! without the file key can change it, and every other age tool passes over it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::iter;

use age_core::format::{FileKey, Stanza};

use super::{Binding, Identity, KeyId, Keyring, MAX_RECIPIENTS, MAX_VALUE, Opened, Place, Recipient, Refusal, Scope};
use super::{SealError, hybrid};
use crate::secret::Plaintext;

/// The first bytes of every version of an age file.
pub(super) const MAGIC: &[u8] = b"age-encryption.org/";
/// The type of our stanza.
const TAG: &str = "bulla";
/// The version of our stanza that this release writes, and the only one that it reads.
const VERSION: &str = "v1";
/// The longest body of our stanza: names of 253 characters and 64 key ids leave room to spare.
const MAX_BINDING: usize = 8 * 1024;
/// Stanzas that a header may have: the recipients, ours, and a few that others put in to keep parsers honest.
const MAX_STANZAS: usize = MAX_RECIPIENTS + 16;

/// All recipients and the binding as one age recipient, so that the kinds are ours to check and to explain.
struct Envelope<'a> {
    recipients: &'a [&'a Recipient],
    binding: Vec<u8>,
}

impl age::Recipient for Envelope<'_> {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let mut stanzas = Vec::with_capacity(self.recipients.len() + 1);
        for recipient in self.recipients {
            stanzas.extend(recipient.wrap(file_key)?);
        }
        stanzas.push(Stanza { tag: TAG.to_owned(), args: vec![VERSION.to_owned()], body: self.binding.clone() });
        Ok((stanzas, HashSet::new()))
    }
}

/// Seals to native recipients of one kind; the caller has checked that.
pub(super) fn seal(recipients: &[&Recipient], plaintext: &Plaintext, binding: &Binding) -> Result<Vec<u8>, SealError> {
    let mut binding = binding.clone();
    binding.keys = recipients.iter().map(|recipient| recipient.key_id()).collect();
    let binding = serde_json::to_vec(&binding).map_err(|_| SealError::Failed)?;
    let size = plaintext.len() + binding.len() * 3 / 2 + recipients.len() * 1800 + 512;

    let envelope = Envelope { recipients, binding };
    let recipient: &dyn age::Recipient = &envelope;
    let encryptor = age::Encryptor::with_recipients(iter::once(recipient)).map_err(|_| SealError::Failed)?;
    let mut writer = encryptor.wrap_output(Vec::with_capacity(size)).map_err(|_| SealError::Failed)?;
    writer.write_all(plaintext.expose()).map_err(|_| SealError::Failed)?;
    writer.finish().map_err(|_| SealError::Failed)
}

/// Opens a native value.
pub(super) fn open(keyring: &Keyring, bytes: &[u8], place: Place<'_>, declared: Scope) -> Result<Opened, Refusal> {
    let decryptor = age::Decryptor::new_buffered(bytes).map_err(|error| explain(bytes, &error))?;
    let opener = Opener { keyring, found: RefCell::new(Found::default()) };
    let identity: &dyn age::Identity = &opener;
    let decrypted = decryptor.decrypt(iter::once(identity));
    let Found { refusal, binding, key_id } = opener.found.into_inner();
    let mut reader = match decrypted {
        Ok(reader) => reader,
        Err(error) => return Err(refusal.unwrap_or_else(|| explain(bytes, &error))),
    };

    // From here on the header's MAC has been checked: the binding is the sealer's word.
    match &binding {
        Some(binding) => binding.admits(place, declared)?,
        None if declared == Scope::ClusterWide => {}
        None => return Err(Refusal::Unbound),
    }
    // The ciphertext is longer than the plaintext: with this much room the buffer never moves and leaves no copy.
    let mut plaintext = zeroize::Zeroizing::new(Vec::with_capacity(bytes.len() + 64));
    reader.read_to_end(&mut plaintext).map_err(|_| Refusal::Corrupt { what: "its content was altered or cut off" })?;
    if plaintext.len() > MAX_VALUE {
        return Err(Refusal::Corrupt { what: "it holds more than a Secret may" });
    }
    let key_id = key_id.ok_or(Refusal::Corrupt { what: "its header" })?;
    Ok(Opened { plaintext: Plaintext::from_guarded(plaintext), key_id, binding })
}

/// What a header says before any key is used. Unauthenticated.
pub(super) struct Header {
    pub(super) binding: Option<Binding>,
    pub(super) kinds: Vec<String>,
}

/// Reads the header without any key.
pub(super) fn header(bytes: &[u8]) -> Result<Header, Refusal> {
    let decryptor = age::Decryptor::new_buffered(bytes).map_err(|error| explain(bytes, &error))?;
    let looker = Looker(RefCell::new(None));
    let identity: &dyn age::Identity = &looker;
    // It matches nothing on purpose, so this always fails; what counts is what it saw.
    drop(decryptor.decrypt(iter::once(identity)));
    looker.0.into_inner().unwrap_or(Err(Refusal::Corrupt { what: "its header" }))
}

/// An age identity that opens nothing and looks at everything.
struct Looker(RefCell<Option<Result<Header, Refusal>>>);

impl age::Identity for Looker {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        None
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, age::DecryptError>> {
        let kinds = || stanzas.iter().map(|stanza| stanza.tag.clone()).filter(|tag| tag != TAG).collect();
        *self.0.borrow_mut() = Some(binding_of(stanzas).map(|binding| Header { binding, kinds: kinds() }));
        None
    }
}

/// An age identity that looks up which key of the keyring the header calls for.
struct Opener<'a> {
    keyring: &'a Keyring,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    refusal: Option<Refusal>,
    binding: Option<Binding>,
    key_id: Option<KeyId>,
}

impl age::Identity for Opener<'_> {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        // The library asks for all stanzas at once; one alone does not say which key is meant.
        None
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, age::DecryptError>> {
        let mut found = self.found.borrow_mut();
        let binding = match binding_of(stanzas) {
            Ok(binding) => binding,
            Err(refusal) => {
                found.refusal = Some(refusal);
                return None;
            }
        };
        let candidates = match &binding {
            Some(binding) => match candidates(self.keyring, &binding.keys) {
                Ok(candidates) => candidates,
                Err(refusal) => {
                    found.refusal = Some(refusal);
                    return None;
                }
            },
            None => self.keyring.iter().rev().map(|(identity, _)| identity).filter(|i| i.rsa().is_none()).collect(),
        };
        let tried = candidates.len();
        let unwrapped = candidates.into_iter().find_map(|identity| {
            let file_key = stanzas.iter().find_map(|stanza| identity.unwrap(stanza))?;
            Some((identity.key_id(), file_key))
        });
        let Some((key_id, file_key)) = unwrapped else {
            found.refusal = Some(match &binding {
                Some(_) => Refusal::Corrupt { what: "its header names a key that does not open it" },
                None => Refusal::NoKeyOpens { tried },
            });
            return None;
        };
        found.key_id = Some(key_id);
        found.binding = binding;
        Some(file_key)
    }
}

/// The keys of the keyring that a binding names.
fn candidates<'a>(keyring: &'a Keyring, ids: &[KeyId]) -> Result<Vec<&'a Identity>, Refusal> {
    let held: Vec<&Identity> = ids.iter().filter_map(|id| keyring.get(id)).collect();
    if !held.is_empty() {
        return Ok(held);
    }
    match ids.iter().find(|id| keyring.is_retired(id)) {
        Some(id) => Err(Refusal::RetiredKey { id: *id }),
        None => Err(Refusal::UnknownKey { ids: ids.to_vec() }),
    }
}

/// Finds and reads our stanza; bounds what a hostile header can make us do.
fn binding_of(stanzas: &[Stanza]) -> Result<Option<Binding>, Refusal> {
    if stanzas.len() > MAX_STANZAS {
        return Err(Refusal::Corrupt { what: "it has more recipients than are allowed" });
    }
    let mut ours = stanzas.iter().filter(|stanza| stanza.tag == TAG);
    let Some(stanza) = ours.next() else {
        return Ok(None);
    };
    if ours.next().is_some() {
        return Err(Refusal::Corrupt { what: "it has more than one bulla stanza" });
    }
    match stanza.args.as_slice() {
        [version] if version == VERSION => {}
        [version, ..] => {
            return Err(Refusal::UnknownVersion { version: version.chars().take(16).collect() });
        }
        [] => {
            return Err(Refusal::Corrupt { what: "its bulla stanza has no version" });
        }
    }
    let malformed = Refusal::Corrupt { what: "its bulla stanza does not parse" };
    if stanza.body.len() > MAX_BINDING {
        return Err(malformed);
    }
    let binding: Binding = serde_json::from_slice(&stanza.body).map_err(|_| malformed.clone())?;
    if !binding.is_complete() || binding.keys.is_empty() || binding.keys.len() > MAX_RECIPIENTS {
        return Err(malformed);
    }
    Ok(Some(binding))
}

/// Turns the library's errors into facts about the value.
fn explain(bytes: &[u8], error: &age::DecryptError) -> Refusal {
    match error {
        age::DecryptError::UnknownFormat => {
            let version = bytes.get(MAGIC.len()..).unwrap_or_default();
            let version = version.iter().take_while(|byte| byte.is_ascii_alphanumeric()).take(16);
            Refusal::UnknownVersion { version: version.map(|byte| char::from(*byte)).collect() }
        }
        age::DecryptError::InvalidMac => Refusal::Corrupt { what: "its header was altered" },
        age::DecryptError::Io(_) => Refusal::Corrupt { what: "it is cut off" },
        age::DecryptError::DecryptionFailed
        | age::DecryptError::ExcessiveWork { .. }
        | age::DecryptError::InvalidHeader
        | age::DecryptError::KeyDecryptionFailed
        | age::DecryptError::NoMatchingKeys => Refusal::Corrupt { what: "its header" },
    }
}

/// Whether a stanza of this type is safe against a later quantum computer.
pub(super) fn is_post_quantum(kind: &str) -> bool {
    kind == hybrid::TAG || kind == "mlkem768p256tag"
}
