//! The key that values are sealed to, and the one that takes its place.

use anyhow::Context as _;
use bulla::seal::{Certificate, Identity, Recipient};
use clap::ValueEnum;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use zeroize::Zeroizing;

/// Kinds of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Hybrid,
    X25519,
    Rsa,
}

impl Kind {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::X25519 => "X25519",
            Self::Rsa => "RSA-4096",
        }
    }
}

/// A key pair.
pub(crate) struct Key {
    pub(crate) recipient: Recipient,
    /// The private half, as it stands in a file: an age identity or PEM.
    pub(crate) identity: Zeroizing<String>,
    /// The public half, as it stands in a file: a recipient or a certificate.
    pub(crate) public: String,
}

impl Key {
    pub(crate) fn generate(kind: Kind) -> anyhow::Result<Self> {
        let identity = match kind {
            Kind::Hybrid => Identity::generate_hybrid()?,
            Kind::X25519 => Identity::generate_x25519()?,
            Kind::Rsa => return Self::rsa(),
        };
        let recipient = identity.recipient().clone();
        let text = identity.to_file_text(jiff::Timestamp::now()).context("a native key has a text")?;
        Ok(Self { public: format!("{recipient}\n"), recipient, identity: text })
    }

    fn rsa() -> anyhow::Result<Self> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096)?;
        let public = CertificateParams::new(Vec::new())?.self_signed(&key)?.pem();
        let recipient = Certificate::from_pem(public.as_bytes())?.into();
        Ok(Self { recipient, identity: Zeroizing::new(key.serialize_pem()), public })
    }
}
