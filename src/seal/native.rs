//! The native format: a binary age v1 file (C2SP `age.md`) with a `bulla` stanza.
//!
//! The stanza is `-> bulla v1` with a body of compact JSON ([`Binding`]). It is covered by the header's MAC, so nobody
//! without the file key can change it, and every other age tool passes over it. Its list of key ids is in the order of
//! the recipients' stanzas: opening looks up which stanza is ours and unwraps that one.
//!
//! File key, header MAC and payload are the age crate's; it gets no header that [`Header::read`] has not seen.

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::iter;

use age_core::format::{FileKey, Stanza as AgeStanza};
use age_core::secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::stanza::{Header, Stanza, hybrid, is_authentic, version_name, write_header};
use super::{Binding, Damage, KeyId, Keyring, MAX_RECIPIENTS, MAX_VALUE, Opened, Place, Recipient, Refusal, Scope};
use super::{Identity, SealError};
use crate::secret::Plaintext;

/// The type of our stanza.
pub(super) const TAG: &str = "bulla";
/// The version of our stanza that this release writes, and the only one that it reads.
const VERSION: &str = "v1";
/// The longest body of our stanza: names of 253 characters and 64 key ids leave room to spare.
const MAX_BINDING: usize = 8 * 1024;
/// How many unwrappings a file without a binding is worth, which names no key: about 0.2 s.
pub(super) const MAX_TRIALS: usize = 1024;

/// All recipients and the binding as one age recipient, so that mixing kinds is ours to check and to explain.
struct Envelope<'a> {
    recipients: &'a [&'a Recipient],
    /// `None` in a file that is bound to nothing.
    binding: Option<Vec<u8>>,
}

impl age::Recipient for Envelope<'_> {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<AgeStanza>, HashSet<String>), age::EncryptError> {
        let refused = || age::EncryptError::Io(io::Error::other("the library refused to wrap"));
        let mut stanzas = Vec::with_capacity(self.recipients.len() + 1);
        for recipient in self.recipients {
            stanzas.push(recipient.wrap(file_key).ok_or_else(refused)?.into_age());
        }
        if let Some(binding) = &self.binding {
            stanzas.push(Stanza::Other { kind: TAG, arguments: VERSION, body: binding.clone() }.into_age());
        }
        Ok((stanzas, HashSet::new()))
    }
}

/// Seals to native recipients of one kind; the caller has checked that.
pub(super) fn seal(recipients: &[&Recipient], plaintext: &Plaintext, binding: &Binding) -> Result<Vec<u8>, SealError> {
    let mut binding = binding.clone();
    binding.keys = recipients.iter().map(|recipient| recipient.key_id()).collect();
    encrypt(recipients, plaintext, Some(body_of(&binding)?))
}

/// Writes an age file to recipients of one kind.
pub(super) fn encrypt(
    recipients: &[&Recipient],
    plaintext: &Plaintext,
    binding: Option<Vec<u8>>,
) -> Result<Vec<u8>, SealError> {
    let extra = binding.as_ref().map_or(0, Vec::len) * 3 / 2;
    let size = plaintext.len() + plaintext.len() / 4096 + extra + recipients.len() * 1700 + 512;
    let envelope = Envelope { recipients, binding };
    let recipient: &dyn age::Recipient = &envelope;
    let encryptor = age::Encryptor::with_recipients(iter::once(recipient)).map_err(|_| SealError::Failed)?;
    let mut writer = encryptor.wrap_output(Vec::with_capacity(size)).map_err(|_| SealError::Failed)?;
    writer.write_all(plaintext.expose()).map_err(|_| SealError::Failed)?;
    writer.finish().map_err(|_| SealError::Failed)
}

/// A file key that was unwrapped already, as the age crate wants to be given it.
struct Unwrapped(FileKey);

impl age::Identity for Unwrapped {
    fn unwrap_stanza(&self, _: &AgeStanza) -> Option<Result<FileKey, age::DecryptError>> {
        Some(Ok(FileKey::init_with_mut(|file_key| file_key.copy_from_slice(self.0.expose_secret()))))
    }
}

/// The length of an age file's nonce, and of the tag of each of its chunks of 64 KiB.
const NONCE_BYTES: usize = 16;
const SEALED_CHUNK: usize = 64 * 1024 + 16;

/// How many bytes a payload of this length holds; `None` if it is too short for its nonce.
pub(super) fn plaintext_length(payload: usize) -> Option<usize> {
    let chunks = payload.checked_sub(NONCE_BYTES)?;
    Some(chunks.saturating_sub(chunks.div_ceil(SEALED_CHUNK) * 16))
}

/// Opens a native value.
pub(super) fn open(keyring: &Keyring, bytes: &[u8], place: Place<'_>, declared: Scope) -> Result<Opened, Refusal> {
    let header = Header::read(bytes)?;
    let held = plaintext_length(header.payload).ok_or(Refusal::Corrupt { what: Damage::CutOff })?;
    if held > MAX_VALUE {
        return Err(Refusal::Corrupt { what: Damage::TooLarge });
    }
    let binding = binding_of(&header.stanzas)?;
    let (key_id, file_key) = match &binding {
        Some(binding) => unwrap_bound(keyring, &header.stanzas, &binding.keys)?,
        None => unwrap_any(keyring, &header.stanzas)?,
    };
    let payload = decrypt(bytes, file_key, held)?;

    // From here on the header's MAC has been checked: the binding is the sealer's word.
    match &binding {
        Some(binding) => binding.admits(place, declared)?,
        None if declared == Scope::ClusterWide => {}
        None => return Err(Refusal::Unbound),
    }
    Ok(Opened { plaintext: payload.read()?, key_id, binding })
}

/// The content of an age file whose header has been authenticated.
pub(super) struct Payload<'a> {
    reader: age::stream::StreamReader<&'a [u8]>,
    held: usize,
}

/// Checks the MAC of the header of `file` with its file key; the payload holds `held` bytes.
pub(super) fn decrypt(file: &[u8], file_key: FileKey, held: usize) -> Result<Payload<'_>, Refusal> {
    let unwrapped = Unwrapped(file_key);
    let identity: &dyn age::Identity = &unwrapped;
    let reader = age::Decryptor::new_buffered(file)
        .and_then(|decryptor| decryptor.decrypt(iter::once(identity)))
        .map_err(|error| explain(&error))?;
    Ok(Payload { reader, held })
}

impl Payload<'_> {
    /// Decrypts the content.
    pub(super) fn read(mut self) -> Result<Plaintext, Refusal> {
        // With this much room the buffer never moves and leaves no copy.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(self.held + 64));
        self.reader.read_to_end(&mut plaintext).map_err(|_| Refusal::Corrupt { what: Damage::Payload })?;
        Ok(Plaintext::from_guarded(plaintext))
    }
}

/// Seals the content of `bytes` to `new` recipients under the file key that it has, so that those who are `kept` go on
/// opening it, of whom no more than the ids need be known. The ids in `binding` are filled in here.
pub(super) fn rewrap(
    keyring: &Keyring,
    bytes: &[u8],
    kept: &[KeyId],
    new: &[&Recipient],
    binding: &Binding,
) -> Result<Vec<u8>, SealError> {
    let header = Header::read(bytes).map_err(|_| SealError::Failed)?;
    let old = binding_of(&header.stanzas).ok().flatten().ok_or(SealError::Failed)?;
    let (_, file_key) = unwrap_bound(keyring, &header.stanzas, &old.keys).map_err(|_| SealError::Failed)?;
    let (text, payload) = bytes.split_at_checked(bytes.len() - header.payload).ok_or(SealError::Failed)?;
    if !is_authentic(&file_key, text) {
        return Err(SealError::Failed);
    }
    let count = new.len() + kept.len();
    if count > MAX_RECIPIENTS {
        return Err(SealError::TooManyRecipients { count, limit: MAX_RECIPIENTS });
    }
    let mut stanzas = Vec::with_capacity(count + 1);
    for recipient in new {
        stanzas.push(recipient.wrap(&file_key).ok_or(SealError::Failed)?);
    }
    let recipients = header.stanzas.into_iter().filter(|stanza| !matches!(stanza, Stanza::Other { .. }));
    stanzas.extend(old.keys.iter().zip(recipients).filter(|(id, _)| kept.contains(id)).map(|(_, stanza)| stanza));
    let mut kinds: Vec<&str> = stanzas.iter().map(|stanza| super::inspect::word(stanza.kind())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 1 {
        return Err(SealError::MixedKinds { kinds: kinds.join(" and ") });
    }
    let kept = old.keys.iter().filter(|id| kept.contains(id)).copied();
    let keys = new.iter().map(|recipient| recipient.key_id()).chain(kept).collect();
    let body = body_of(&Binding { keys, ..binding.clone() })?;
    stanzas.push(Stanza::Other { kind: TAG, arguments: VERSION, body });
    let mut sealed = write_header(&file_key, stanzas).ok_or(SealError::Failed)?;
    sealed.extend_from_slice(payload);
    Ok(sealed)
}

/// The body of our stanza.
fn body_of(binding: &Binding) -> Result<Vec<u8>, SealError> {
    let body = serde_json::to_vec(binding).map_err(|_| SealError::Failed)?;
    if body.len() > MAX_BINDING {
        return Err(SealError::BindingTooLarge { bytes: body.len(), limit: MAX_BINDING });
    }
    Ok(body)
}

/// What a header says before any key is used. Unauthenticated.
pub(super) struct Outside {
    pub(super) binding: Option<Binding>,
    pub(super) kinds: Vec<String>,
    /// How many bytes it holds.
    pub(super) held: usize,
}

/// Reads the header without any key, and sees whether there is enough behind it to hold a value.
pub(super) fn outside(bytes: &[u8]) -> Result<Outside, Refusal> {
    let Header { stanzas, payload } = Header::read(bytes)?;
    let held = plaintext_length(payload).ok_or(Refusal::Corrupt { what: Damage::CutOff })?;
    let binding = binding_of(&stanzas)?;
    let kinds = stanzas.iter().map(Stanza::kind).filter(|kind| *kind != TAG).map(str::to_owned).collect();
    Ok(Outside { binding, kinds, held })
}

/// Unwraps the file key with the keys of the keyring that a binding names: the first id is that of the first
/// recipient's stanza, and so on.
fn unwrap_bound(keyring: &Keyring, stanzas: &[Stanza<'_>], ids: &[KeyId]) -> Result<(KeyId, FileKey), Refusal> {
    let recipients = || stanzas.iter().filter(|stanza| !matches!(stanza, Stanza::Other { .. }));
    if recipients().count() != ids.len() {
        return Err(Refusal::Corrupt { what: Damage::Keys });
    }
    let mut is_held = false;
    for (id, stanza) in ids.iter().zip(recipients()) {
        let Some(identity) = keyring.get(id) else { continue };
        is_held = true;
        if let Some(file_key) = identity.unwrap(stanza) {
            return Ok((*id, file_key));
        }
    }
    if is_held {
        return Err(Refusal::Corrupt { what: Damage::Keys });
    }
    // One that may come back goes before those that may not.
    let locked = ids.iter().find(|id| keyring.is_locked(id)).map(|id| Refusal::LockedKey { id: *id });
    Err(locked
        .or_else(|| ids.iter().find_map(|id| keyring.refusal(id)))
        .unwrap_or_else(|| Refusal::UnknownKey { ids: ids.to_vec() }))
}

/// Unwraps the file key with any key of the keyring, newest first.
fn unwrap_any(keyring: &Keyring, stanzas: &[Stanza<'_>]) -> Result<(KeyId, FileKey), Refusal> {
    let keys = || keyring.iter().rev().map(|(identity, _)| identity).filter(|identity| identity.rsa().is_none());
    let tried = keys().count();
    if tried * stanzas.len() > MAX_TRIALS {
        return Err(Refusal::Corrupt { what: Damage::TooManyRecipients });
    }
    let unwrap = |identity: &Identity| {
        stanzas.iter().find_map(|stanza| identity.unwrap(stanza)).map(|file_key| (identity.key_id(), file_key))
    };
    keys().find_map(unwrap).ok_or(Refusal::NoKeyOpens { tried })
}

/// Finds and reads our stanza.
fn binding_of(stanzas: &[Stanza<'_>]) -> Result<Option<Binding>, Refusal> {
    let malformed = || Refusal::Corrupt { what: Damage::Binding };
    let mut ours = stanzas.iter().filter_map(|stanza| match stanza {
        Stanza::Other { kind, arguments, body } if *kind == TAG => Some((*arguments, body)),
        Stanza::Other { .. } | Stanza::X25519(_) | Stanza::Hybrid(_) => None,
    });
    let Some((arguments, body)) = ours.next() else {
        return Ok(None);
    };
    if ours.next().is_some() {
        return Err(malformed());
    }
    if arguments != VERSION {
        let version = arguments.split(' ').next().filter(|version| *version != VERSION).and_then(version_name);
        return Err(version.map_or_else(malformed, |version| Refusal::UnknownVersion { version }));
    }
    // Only an object: a list would be read as the fields in their order.
    if body.len() > MAX_BINDING || !body.starts_with(b"{") {
        return Err(malformed());
    }
    let binding: Binding = serde_json::from_slice(body).map_err(|_| malformed())?;
    if !binding.is_complete() || binding.keys.is_empty() || binding.keys.len() > MAX_RECIPIENTS {
        return Err(malformed());
    }
    Ok(Some(binding))
}

/// Turns the age crate's errors into facts. The header follows the format, so little is left to go wrong.
const fn explain(error: &age::DecryptError) -> Refusal {
    let what = match error {
        age::DecryptError::InvalidMac => Damage::HeaderMac,
        age::DecryptError::Io(_) => Damage::CutOff,
        age::DecryptError::DecryptionFailed
        | age::DecryptError::ExcessiveWork { .. }
        | age::DecryptError::InvalidHeader
        | age::DecryptError::KeyDecryptionFailed
        | age::DecryptError::NoMatchingKeys
        | age::DecryptError::UnknownFormat => Damage::Header,
    };
    Refusal::Corrupt { what }
}

/// Whether a stanza of this type is safe against a later quantum computer.
pub(super) fn is_post_quantum(kind: &str) -> bool {
    kind == hybrid::TAG || kind == "mlkem768p256tag"
}
