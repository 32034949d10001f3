//! A whole age file, as `age -r ... -o secrets.yaml.age` makes it: read with native identities, written to native
//! recipients.
//!
//! Such a file is bound to nothing. A value that is bound to an object is therefore not opened here: its binding
//! would be passed over.

use std::io::Read as _;

use age::armor::ArmoredReader;
use age_core::format::FileKey;

use super::recipient::{Kind, one_kind};
use super::stanza::{Header, MAGIC};
use super::{Damage, Identity, Recipient, Refusal, SealError, native};
use crate::secret::Plaintext;

/// The first words of an armored file; spaces and line ends may come before them.
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// Why an age file was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Neither a binary nor an armored age file.
    #[error("is not an age file")]
    NotAge,
    /// Of a version that this release does not know.
    #[error("was written by a newer version of age ({version})")]
    UnknownVersion {
        /// The version that it names.
        version: String,
    },
    /// The armor around it does not follow the format.
    #[error("is damaged: its armor is malformed or cut off")]
    Armor,
    /// The structure does not parse, or does not authenticate.
    #[error("is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: Damage,
    },
    /// Encrypted with a passphrase.
    #[error("is encrypted with a passphrase: encrypt it to a recipient instead")]
    Passphrase,
    /// A sealed value that belongs to an object.
    #[error("is a sealed value bound to an object, not a plain age file: encrypt it with age -r")]
    Bound,
    /// None of the identities opens it.
    #[error("is opened by none of {tried} identities here; it is encrypted to {}", list(.kinds))]
    NoIdentity {
        /// How many identities were tried.
        tried: usize,
        /// The types of its recipients.
        kinds: Vec<String>,
    },
    /// More content than the caller takes.
    #[error("holds {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// How many bytes it holds.
        bytes: usize,
        /// How many it may hold.
        limit: usize,
    },
}

fn list(kinds: &[String]) -> String {
    if kinds.is_empty() { "nobody".to_owned() } else { kinds.join(", ") }
}

/// Decrypts an age file, binary or armored, with whichever of `identities` fits. RSA identities open no age file.
/// `limit` is the longest content that is taken, in bytes.
///
/// # Errors
/// A [`FileError`]: a fact that carries no bytes of the content.
pub fn open_file(identities: &[Identity], file: &[u8], limit: usize) -> Result<Plaintext, FileError> {
    if file.starts_with(MAGIC) {
        return open_binary(identities, file, limit);
    }
    let armored = file.trim_ascii_start();
    if !armored.starts_with(ARMOR) {
        return Err(FileError::NotAge);
    }
    let mut binary = Vec::with_capacity(armored.len() / 4 * 3);
    ArmoredReader::new(armored).read_to_end(&mut binary).map_err(|_| FileError::Armor)?;
    if !binary.starts_with(MAGIC) {
        return Err(FileError::NotAge);
    }
    open_binary(identities, &binary, limit)
}

/// Encrypts to a binary age file, which any age tool opens. It is bound to nothing.
///
/// # Errors
/// When there is no recipient, too many, a mixture of kinds, or a certificate, which has no place in an age file.
pub fn seal_file(recipients: &[Recipient], plaintext: &Plaintext) -> Result<Vec<u8>, SealError> {
    match one_kind(recipients)? {
        Kind::Native(recipients) => native::encrypt(&recipients, plaintext, None),
        Kind::Certificate(_) => Err(SealError::MixedKinds { kinds: "a certificate and an age file".to_owned() }),
    }
}

fn open_binary(identities: &[Identity], file: &[u8], limit: usize) -> Result<Plaintext, FileError> {
    let header = Header::read(file)?;
    let bytes = native::plaintext_length(header.payload).ok_or(FileError::Damaged { what: Damage::CutOff })?;
    if bytes > limit {
        return Err(FileError::TooLarge { bytes, limit });
    }
    let kinds = || header.stanzas.iter().map(|stanza| stanza.kind());
    if kinds().any(|kind| kind == native::TAG) {
        return Err(FileError::Bound);
    }
    if kinds().any(|kind| kind == "scrypt") {
        return Err(FileError::Passphrase);
    }
    let identities: Vec<&Identity> = identities.iter().filter(|identity| identity.rsa().is_none()).collect();
    if identities.len() * header.stanzas.len() > native::MAX_TRIALS {
        return Err(FileError::Damaged { what: Damage::TooManyRecipients });
    }
    let unwrap = |identity: &&Identity| header.stanzas.iter().find_map(|stanza| identity.unwrap(stanza));
    let file_key: FileKey = identities.iter().find_map(unwrap).ok_or_else(|| {
        // A type is the writer's word: only those that read like one are repeated.
        let is_word = |kind: &&str| kind.len() <= 24 && !kind.ends_with("-grease");
        let mut kinds: Vec<String> = kinds().filter(is_word).map(str::to_owned).collect();
        kinds.dedup();
        kinds.truncate(4);
        FileError::NoIdentity { tried: identities.len(), kinds }
    })?;
    Ok(native::decrypt(file, file_key, bytes)?.read()?)
}

impl From<Refusal> for FileError {
    /// Of what the readers of the header and the payload say about a sealed value, only damage concerns a file.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Corrupt { what } => Self::Damaged { what },
            Refusal::UnknownVersion { version } => Self::UnknownVersion { version },
            Refusal::NotBase64
            | Refusal::TooLarge { .. }
            | Refusal::NotAString
            | Refusal::NotSealed
            | Refusal::UnknownKey { .. }
            | Refusal::LockedKey { .. }
            | Refusal::RetiredKey { .. }
            | Refusal::CompromisedKey { .. }
            | Refusal::NoKeyOpens { .. }
            | Refusal::WrongScope { .. }
            | Refusal::ScopeDisagrees { .. }
            | Refusal::Unbound
            | Refusal::BothForms
            | Refusal::NotASecret => Self::Damaged { what: Damage::Header },
        }
    }
}
