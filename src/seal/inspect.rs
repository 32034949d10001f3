//! What a sealed value tells without any key. Nothing of it is authenticated until the value is opened.

use super::{Binding, Damage, KeyKind, Refusal, decode, native, rsa, stanza};

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An age file.
    Native,
    /// RSA-OAEP and AES-GCM.
    Kubeseal,
}

impl Format {
    /// Tells the formats apart by their first bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(stanza::MAGIC) {
            Some(Self::Native)
        } else if matches!(bytes.first(), Some(1..=4)) {
            // The length of an RSA modulus, 256 to 1024 bytes, high byte first.
            Some(Self::Kubeseal)
        } else {
            None
        }
    }

    /// The word in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Kubeseal => "kubeseal",
        }
    }
}

/// What is known of a value from the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its format.
    pub format: Format,
    /// What it says about itself; kubeseal's format says nothing.
    pub binding: Option<Binding>,
    /// The kinds of key that it is sealed to, one word a recipient.
    pub kinds: Vec<String>,
    /// Whether every recipient is safe against a later quantum computer.
    pub post_quantum: bool,
    /// Length in bytes, decoded.
    pub bytes: usize,
    /// Length in bytes of what it holds: neither format hides it. Of different lengths are different values.
    pub held: usize,
}

/// Looks at a sealed value from the outside.
///
/// # Errors
/// When it is not a sealed value, or a damaged one.
pub fn inspect(sealed: &str) -> Result<Inspection, Refusal> {
    let bytes = decode(sealed)?;
    match Format::of(&bytes) {
        Some(Format::Native) => {
            let native::Outside { binding, kinds, held } = native::outside(&bytes)?;
            let recipients = kinds.iter().filter(|kind| !kind.ends_with("-grease"));
            let post_quantum = recipients.clone().count() > 0 && recipients.clone().all(|k| native::is_post_quantum(k));
            let kinds = recipients.map(|kind| word(kind).to_owned()).collect();
            Ok(Inspection { format: Format::Native, binding, kinds, post_quantum, bytes: bytes.len(), held })
        }
        Some(Format::Kubeseal) => {
            let parts = rsa::parts(&bytes).ok_or(Refusal::Corrupt { what: Damage::CutOff })?;
            let kinds = vec![format!("rsa-{}", parts.wrapped.len() * 8)];
            let held = parts.ciphertext.len().saturating_sub(rsa::TAG_BYTES);
            let (format, bytes) = (Format::Kubeseal, bytes.len());
            Ok(Inspection { format, binding: None, kinds, post_quantum: false, bytes, held })
        }
        None => Err(Refusal::NotSealed),
    }
}

/// Our word for an age stanza's type, or the type itself.
pub(super) fn word(kind: &str) -> &str {
    match kind {
        stanza::hybrid::TAG => KeyKind::Hybrid.as_str(),
        stanza::x25519::TAG => KeyKind::X25519.as_str(),
        other => other,
    }
}
