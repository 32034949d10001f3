//! Public keys: what a value is sealed to.

use std::fmt;
use std::str::FromStr;

use age_core::format::FileKey;
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
use jiff::Timestamp;
use x509_parser::pem::Pem;

use super::stanza::Stanza;
use super::stanza::hybrid::{self, HybridRecipient};
use super::stanza::x25519::{self, X25519Recipient};
use super::{KeyError, KeyId, KeyKind, MAX_RECIPIENTS, SealError};

/// Somebody who will be able to open a value: a cluster, a host, a person, an offline recovery key.
#[derive(Clone)]
pub struct Recipient {
    public: Public,
    id: KeyId,
}

#[derive(Clone)]
enum Public {
    Hybrid(HybridRecipient),
    X25519(X25519Recipient),
    Certificate(Certificate),
}

impl Recipient {
    pub(super) fn hybrid(key: HybridRecipient) -> Self {
        let id = KeyId::of(key.to_text().as_bytes());
        Self { public: Public::Hybrid(key), id }
    }

    pub(super) fn x25519(key: X25519Recipient) -> Self {
        let id = KeyId::of(key.to_text().as_bytes());
        Self { public: Public::X25519(key), id }
    }

    /// The id of its key pair.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.id
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self.public {
            Public::Hybrid(_) => KeyKind::Hybrid,
            Public::X25519(_) => KeyKind::X25519,
            Public::Certificate(_) => KeyKind::Rsa,
        }
    }

    /// The certificate, if it is one.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        match &self.public {
            Public::Certificate(certificate) => Some(certificate),
            Public::Hybrid(_) | Public::X25519(_) => None,
        }
    }

    /// Wraps a file key; a certificate has no place in an age file.
    pub(super) fn wrap(&self, file_key: &FileKey) -> Option<Stanza<'static>> {
        match &self.public {
            Public::Hybrid(key) => key.wrap(file_key).map(Stanza::Hybrid),
            Public::X25519(key) => key.wrap(file_key).map(Stanza::X25519),
            Public::Certificate(_) => None,
        }
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.len() > 4096 {
            return Err(KeyError::NotARecipient);
        }
        if text.to_ascii_uppercase().contains("AGE-SECRET-KEY-") {
            return Err(KeyError::SecretInsteadOfRecipient);
        }
        if text.starts_with("ssh-") || text.starts_with("age1tag") {
            let kind = text.split(' ').next().unwrap_or_default();
            return Err(KeyError::UnsupportedRecipient { kind: kind.chars().take(16).collect() });
        }
        let (hrp, data, variant) = bech32::decode(text).map_err(|_| KeyError::NotARecipient)?;
        if variant != bech32::Variant::Bech32 {
            return Err(KeyError::NotARecipient);
        }
        match hrp.as_str() {
            hybrid::RECIPIENT_HRP => {
                let bytes = <Vec<u8> as bech32::FromBase32>::from_base32(&data).map_err(|_| KeyError::NotARecipient)?;
                HybridRecipient::from_bytes(&bytes).map(Self::hybrid).ok_or(KeyError::NotARecipient)
            }
            x25519::RECIPIENT_HRP => {
                let bytes = <Vec<u8> as bech32::FromBase32>::from_base32(&data).map_err(|_| KeyError::NotARecipient)?;
                X25519Recipient::from_bytes(&bytes).map(Self::x25519).ok_or(KeyError::NotARecipient)
            }
            other if other.starts_with("age1") => Err(KeyError::UnsupportedRecipient { kind: other.to_owned() }),
            _ => Err(KeyError::NotARecipient),
        }
    }
}

impl From<Certificate> for Recipient {
    fn from(certificate: Certificate) -> Self {
        let id = KeyId::of(&certificate.spki);
        Self { public: Public::Certificate(certificate), id }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.public {
            Public::Hybrid(key) => formatter.write_str(&key.to_text()),
            Public::X25519(key) => formatter.write_str(&key.to_text()),
            Public::Certificate(certificate) => {
                write!(formatter, "rsa-{} {}", certificate.bits(), self.id)
            }
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Recipient({} {})", self.kind().as_str(), self.id)
    }
}

/// The RSA public key that kubeseal's format is sealed to.
#[derive(Clone)]
pub struct Certificate {
    key: PublicEncryptingKey,
    spki: Vec<u8>,
    validity: Option<(Timestamp, Timestamp)>,
}

impl Certificate {
    /// Reads the first certificate of a PEM file, as upstream does. Its signature and dates are not checked here: see
    /// [`Self::not_after`].
    ///
    /// # Errors
    /// If there is no certificate in it, or not one with an RSA key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        for block in Pem::iter_from_buffer(pem) {
            let block = block.map_err(|_| KeyError::NotPem)?;
            if block.label != "CERTIFICATE" {
                continue;
            }
            let certificate = block.parse_x509().map_err(|_| KeyError::NotACertificate)?;
            let validity = certificate.validity();
            let date = |date: x509_parser::time::ASN1Time| Timestamp::from_second(date.timestamp()).ok();
            let validity = date(validity.not_before).zip(date(validity.not_after));
            return Self::from_spki(certificate.public_key().raw, validity);
        }
        Err(KeyError::NotACertificate)
    }

    pub(super) fn from_spki(spki: &[u8], validity: Option<(Timestamp, Timestamp)>) -> Result<Self, KeyError> {
        let key = PublicEncryptingKey::from_der(spki).map_err(|_| KeyError::NotACertificate)?;
        Ok(Self { key, spki: spki.to_vec(), validity })
    }

    /// When it expires, if it says so. The controller opens with expired certificates; sealing to one is a mistake
    /// that whoever has a clock should refuse.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        self.validity.map(|(_, not_after)| not_after)
    }

    /// From when on it is good, if it says so.
    #[must_use]
    pub fn not_before(&self) -> Option<Timestamp> {
        self.validity.map(|(not_before, _)| not_before)
    }

    /// The length of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.key.key_size_bits()
    }

    pub(super) fn encrypting_key(&self) -> Result<OaepPublicEncryptingKey, SealError> {
        OaepPublicEncryptingKey::new(self.key.clone()).map_err(|_| SealError::Failed)
    }
}

/// What a set of recipients makes of a value.
pub(super) enum Kind<'a> {
    Native(Vec<&'a Recipient>),
    Certificate(&'a Certificate),
}

/// Sorts out which format the recipients call for. The same recipient twice counts once.
pub(super) fn one_kind(recipients: &[Recipient]) -> Result<Kind<'_>, SealError> {
    let mut unique: Vec<&Recipient> = Vec::with_capacity(recipients.len().min(MAX_RECIPIENTS));
    for recipient in recipients {
        if unique.iter().all(|known| known.id != recipient.id) {
            unique.push(recipient);
        }
        if unique.len() > MAX_RECIPIENTS {
            return Err(SealError::TooManyRecipients { count: recipients.len(), limit: MAX_RECIPIENTS });
        }
    }
    let Some(first) = unique.first() else {
        return Err(SealError::NoRecipient);
    };
    if let (Some(certificate), 1) = (first.certificate(), unique.len()) {
        return Ok(Kind::Certificate(certificate));
    }
    if first.kind() == KeyKind::Rsa || unique.iter().any(|other| other.kind() != first.kind()) {
        let mut kinds: Vec<&str> = unique.iter().map(|recipient| recipient.kind().as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        return Err(SealError::MixedKinds { kinds: kinds.join(" and ") });
    }
    Ok(Kind::Native(unique))
}
