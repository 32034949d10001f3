//! Private keys: what opens a value.

use age_core::format::FileKey;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::rsa::RsaIdentity;
use super::stanza::Stanza;
use super::stanza::hybrid::HybridIdentity;
use super::stanza::x25519::X25519Identity;
use super::{DigestKey, KeyError, KeyId, KeyKind, Recipient, pem};

/// A key pair. It has no `Debug`, `Clone` or `Serialize`; [`Identity::to_file_text`] is the way out.
pub struct Identity {
    private: Private,
    recipient: Recipient,
    digest: DigestKey,
}

enum Private {
    // 1.3 KB: its key is expanded once.
    Hybrid(Box<HybridIdentity>),
    X25519(X25519Identity),
    Rsa(RsaIdentity),
}

/// More identities than a file or a keyring of ours ever holds; a bound for hostile input.
const MAX_IDENTITIES: usize = 256;

impl Identity {
    /// Makes a key pair of the default kind, hybrid.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn generate_hybrid() -> Result<Self, getrandom::Error> {
        HybridIdentity::generate().map(Self::from_hybrid)
    }

    /// Makes an X25519 key pair.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn generate_x25519() -> Result<Self, getrandom::Error> {
        X25519Identity::generate().map(Self::from_x25519)
    }

    /// Reads every identity of an age identity file, or every RSA private key of a PEM file.
    ///
    /// # Errors
    /// With the line that is no identity. The message never repeats the line.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, KeyError> {
        if text.contains("-----BEGIN ") {
            return Self::parse_pem(text);
        }
        let mut identities = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if identities.len() == MAX_IDENTITIES {
                return Err(KeyError::TooMany { limit: MAX_IDENTITIES });
            }
            identities.push(Self::parse_one(line).ok_or(KeyError::NotAnIdentity { line: number + 1 })?);
        }
        if identities.is_empty() { Err(KeyError::Empty) } else { Ok(identities) }
    }

    fn parse_one(line: &str) -> Option<Self> {
        if let Some(hybrid) = HybridIdentity::parse(line) {
            return Some(Self::from_hybrid(hybrid));
        }
        X25519Identity::parse(line).map(Self::from_x25519)
    }

    fn parse_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        let mut identities = Vec::new();
        for block in pem::blocks(text) {
            let block = block.ok_or(KeyError::NotPem)?;
            if !block.label.ends_with("PRIVATE KEY") {
                continue;
            }
            if identities.len() == MAX_IDENTITIES {
                return Err(KeyError::TooMany { limit: MAX_IDENTITIES });
            }
            let (rsa, certificate, digest) = RsaIdentity::from_der(block.label, &block.der).ok_or(KeyError::NotRsa)?;
            let recipient = Recipient::from(certificate);
            let digest = DigestKey::new(recipient.key_id(), digest);
            identities.push(Self { private: Private::Rsa(rsa), recipient, digest });
        }
        if identities.is_empty() { Err(KeyError::Empty) } else { Ok(identities) }
    }

    fn from_hybrid(identity: HybridIdentity) -> Self {
        let recipient = Recipient::hybrid(identity.recipient());
        let digest = DigestKey::new(recipient.key_id(), digest_secret(identity.secret()));
        Self { private: Private::Hybrid(Box::new(identity)), recipient, digest }
    }

    fn from_x25519(identity: X25519Identity) -> Self {
        let recipient = Recipient::x25519(identity.recipient());
        let digest = DigestKey::new(recipient.key_id(), digest_secret(identity.secret()));
        Self { private: Private::X25519(identity), recipient, digest }
    }

    /// The id of the key pair.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.recipient.key_id()
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.recipient.kind()
    }

    /// The public half.
    #[must_use]
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// A key for digests that only holders of this identity can make or check.
    #[must_use]
    pub const fn digest_key(&self) -> &DigestKey {
        &self.digest
    }

    /// The private half as age writes it (`AGE-SECRET-KEY-...`), without a line end; `None` for RSA, which stays in
    /// the form in which it came.
    #[must_use]
    pub fn to_text(&self) -> Option<Zeroizing<String>> {
        match &self.private {
            Private::Hybrid(identity) => Some(identity.to_text()),
            Private::X25519(identity) => Some(identity.to_text()),
            Private::Rsa(_) => None,
        }
    }

    /// An identity file as `age-keygen` writes it: two comments and the key.
    #[must_use]
    pub fn to_file_text(&self, created: jiff::Timestamp) -> Option<Zeroizing<String>> {
        let secret = self.to_text()?;
        let recipient = self.recipient.to_string();
        let mut text = Zeroizing::new(String::with_capacity(recipient.len() + secret.len() + 96));
        for part in ["# created: ", &created.to_string(), "\n# public key: ", &recipient, "\n", &secret, "\n"] {
            text.push_str(part);
        }
        Some(text)
    }

    /// Unwraps the file key in an age stanza: `None` if it is not for this key.
    pub(super) fn unwrap(&self, stanza: &Stanza<'_>) -> Option<FileKey> {
        match (&self.private, stanza) {
            (Private::Hybrid(identity), Stanza::Hybrid(wrapped)) => identity.unwrap(wrapped),
            (Private::X25519(identity), Stanza::X25519(wrapped)) => identity.unwrap(wrapped),
            (Private::Hybrid(_) | Private::X25519(_) | Private::Rsa(_), _) => None,
        }
    }

    pub(super) const fn rsa(&self) -> Option<&RsaIdentity> {
        match &self.private {
            Private::Rsa(identity) => Some(identity),
            Private::Hybrid(_) | Private::X25519(_) => None,
        }
    }
}

/// Derives the digest key from a private key: HKDF-SHA256 (RFC 5869) without salt, with our own info string.
pub(super) fn digest_secret(private: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut secret = Zeroizing::new([0; 32]);
    // 32 bytes are within what HKDF-SHA256 gives (8,160), the only error there is.
    let expanded = Hkdf::<Sha256>::new(None, private).expand(b"bulla.dev/digest/v1", secret.as_mut_slice());
    debug_assert!(expanded.is_ok());
    secret
}
