//! Why a value could not be sealed or opened, or a key not read. Facts, never bytes of a secret.

use std::fmt;

use super::{KeyId, Scope};

/// Why a key could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 16 lower-case hexadecimal digits.
    #[error("not a key id: 16 lower-case hexadecimal digits")]
    NotAKeyId,
    /// Text that is no age recipient.
    #[error("not a recipient: expected age1pq1... (hybrid) or age1... (X25519)")]
    NotARecipient,
    /// A private key where a public one belongs.
    #[error(
        "this is a private key (AGE-SECRET-KEY-...), not a recipient: keep it out of here, and use its public half"
    )]
    SecretInsteadOfRecipient,
    /// A recipient of a kind that is not supported.
    #[error("recipients of the kind {kind:?} are not supported: use age1pq1... (hybrid) or age1... (X25519)")]
    UnsupportedRecipient {
        /// The part of the recipient before its data.
        kind: String,
    },
    /// A line of an identity file that is no identity.
    #[error(
        "line {line} is not an identity: expected AGE-SECRET-KEY-PQ-1... or AGE-SECRET-KEY-1..., or a PEM private key"
    )]
    NotAnIdentity {
        /// The line, counted from 1.
        line: usize,
    },
    /// An identity file with nothing in it.
    #[error("no identity in it")]
    Empty,
    /// An identity file with more identities than anybody has.
    #[error("more than {limit} identities")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// PEM that does not parse.
    #[error("not valid PEM")]
    NotPem,
    /// A private key in PEM that is not RSA, is too small, or is damaged.
    #[error("not an RSA private key of 2048 to 8192 bits in PKCS#1 or PKCS#8")]
    NotRsa,
    /// A key that could not be made.
    #[error("the key or its certificate could not be made")]
    NotMade,
    /// A certificate that does not parse or does not hold an RSA key.
    #[error("not an X.509 certificate with an RSA key of 2048 to 8192 bits")]
    NotACertificate,
}

/// Why a value could not be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Nobody to seal to.
    #[error("no recipient: name at least one")]
    NoRecipient,
    /// More than [`super::MAX_RECIPIENTS`].
    #[error("{count} recipients; at most {limit}")]
    TooManyRecipients {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Kinds that do not go into one value together.
    #[error(
        "recipients of different kinds ({kinds}) cannot share one value: age forbids mixing hybrid and X25519, and a certificate stands alone. Use one kind for all"
    )]
    MixedKinds {
        /// The kinds.
        kinds: String,
    },
    /// Longer than [`super::MAX_VALUE`].
    #[error("the value has {bytes} bytes; a Secret holds at most {limit}")]
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// Names, an owner or key ids that are longer than any real ones.
    #[error("the names and key ids bound to the value have {bytes} bytes; at most {limit}")]
    BindingTooLarge {
        /// How many bytes they have, written out.
        bytes: usize,
        /// How many they may have.
        limit: usize,
    },
    /// The library refused.
    #[error("the cryptographic library refused to seal")]
    Failed,
}

/// What is wrong with a sealed value that begins like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It ends too early.
    #[error("it is cut off")]
    CutOff,
    /// The header does not follow the format, or a recipient's stanza in it does not.
    #[error("its header is malformed")]
    Header,
    /// The header follows the format, but is not what the sealer wrote.
    #[error("its header was altered")]
    HeaderMac,
    /// The `bulla` stanza does not follow the format, or there are several.
    #[error("its bulla stanza is malformed")]
    Binding,
    /// The key ids in the `bulla` stanza are not those of the recipients.
    #[error("its header names a key that does not open it")]
    Keys,
    /// More recipients than are looked at.
    #[error("it has more recipients than are allowed")]
    TooManyRecipients,
    /// The content does not authenticate.
    #[error("its content was altered or cut off")]
    Payload,
    /// More than [`super::MAX_VALUE`].
    #[error("it holds more than a Secret may")]
    TooLarge,
}

/// Why a sealed value was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not base64.
    #[error("is not base64")]
    NotBase64,
    /// Longer than [`super::MAX_SEALED`].
    #[error("has {characters} characters; a sealed value has at most {limit}")]
    TooLarge {
        /// How many characters it has.
        characters: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A value in `encryptedData` that is not a string.
    #[error("is not a string: put the sealed value in quotes")]
    NotAString,
    /// Neither of the two formats.
    #[error("is not a sealed value: neither an age file nor kubeseal's format")]
    NotSealed,
    /// An age file of a version, or a `bulla` stanza of a version, that this release does not know.
    #[error("was written by a newer version ({version}): upgrade to open it")]
    UnknownVersion {
        /// The version that it names.
        version: String,
    },
    /// The structure does not parse.
    #[error("is damaged: {what}")]
    Corrupt {
        /// What is wrong with it.
        what: Damage,
    },
    /// Sealed to keys that are not here.
    #[error("is sealed to {}, which this keyring does not hold", list(.ids))]
    UnknownKey {
        /// The keys that would open it.
        ids: Vec<KeyId>,
    },
    /// Sealed to a key whose private half is wrapped and cannot be unwrapped at present.
    #[error("is sealed to the key {id}, which cannot be unwrapped at present: what wraps it is away or not set up")]
    LockedKey {
        /// The key.
        id: KeyId,
    },
    /// Sealed to a key that may not open any more.
    #[error("is sealed to the retired key {id}: seal it again to an active key")]
    RetiredKey {
        /// The key.
        id: KeyId,
    },
    /// Sealed to a key that somebody else may hold.
    #[error(
        "is sealed to the key {id}, which is declared compromised: change the secret itself, then seal it to an active key"
    )]
    CompromisedKey {
        /// The key.
        id: KeyId,
    },
    /// No key of the keyring opens it, and the format does not say which would.
    #[error(
        "is opened by none of {tried} key(s) here: sealed for another cluster, name, namespace or scope, or altered"
    )]
    NoKeyOpens {
        /// How many keys were tried.
        tried: usize,
    },
    /// Sealed for another place.
    #[error("was sealed for {sealed_for} but is used as {used_in}")]
    WrongScope {
        /// Where it belongs.
        sealed_for: String,
        /// Where it is.
        used_in: String,
    },
    /// The annotation of the object and the sealed value name different scopes.
    #[error("was sealed {sealed}, but the object is annotated {declared}: make the annotation say {sealed}")]
    ScopeDisagrees {
        /// What the value says. It is authenticated.
        sealed: Scope,
        /// What the annotation says. It is not.
        declared: Scope,
    },
    /// An age file without a `bulla` stanza, in an object that is not cluster-wide.
    #[error(
        "is a plain age file without a binding: accepted only in an object annotated cluster-wide; seal it with bulla"
    )]
    Unbound,
    /// The whole-Secret form and single values in one object.
    #[error("spec.data and spec.encryptedData are used at the same time: keep encryptedData")]
    BothForms,
    /// The whole-Secret form does not hold a Secret.
    #[error("opened, but it does not hold a Secret in JSON")]
    NotASecret,
}

/// How a list of ids reads in a sentence.
fn list(ids: &[KeyId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    match ids.as_slice() {
        [one] => format!("key {one}"),
        many => format!("keys {}", many.join(", ")),
    }
}

impl Refusal {
    /// A stable word for conditions, events and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotBase64 => "NotBase64",
            Self::TooLarge { .. } => "TooLarge",
            Self::NotAString => "NotAString",
            Self::NotSealed => "NotSealed",
            Self::UnknownVersion { .. } => "UnknownVersion",
            Self::Corrupt { .. } => "Corrupt",
            Self::UnknownKey { .. } => "UnknownKey",
            Self::LockedKey { .. } => "LockedKey",
            Self::RetiredKey { .. } => "RetiredKey",
            Self::CompromisedKey { .. } => "CompromisedKey",
            Self::NoKeyOpens { .. } => "NoKeyOpens",
            Self::WrongScope { .. } => "WrongScope",
            Self::ScopeDisagrees { .. } => "ScopeDisagrees",
            Self::Unbound => "Unbound",
            Self::BothForms => "BothForms",
            Self::NotASecret => "NotASecret",
        }
    }

    /// Whether another key could open the value as it is.
    #[must_use]
    pub const fn wants_key(&self) -> bool {
        matches!(
            self,
            Self::UnknownKey { .. }
                | Self::LockedKey { .. }
                | Self::RetiredKey { .. }
                | Self::CompromisedKey { .. }
                | Self::NoKeyOpens { .. }
        )
    }
}

/// A refusal and the data key that it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// The data key in `spec.encryptedData`.
    pub key: String,
    /// Why.
    pub refusal: Refusal,
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {}", self.key, self.refusal)
    }
}

/// Everything that is wrong with an object, not only the first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenErrors(Vec<OpenError>);

impl OpenErrors {
    pub(super) fn new(errors: Vec<OpenError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    pub(super) fn one(key: &str, refusal: Refusal) -> Self {
        Self(vec![OpenError { key: key.to_owned(), refusal }])
    }

    /// The errors, one a data key.
    #[must_use]
    pub fn as_slice(&self) -> &[OpenError] {
        &self.0
    }

    /// The word for conditions, events and metrics: that of the first error.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.first().map_or("Corrupt", |error| error.refusal.reason())
    }

    /// Whether a key that arrives might open what did not open. If so the object is worth another look then.
    #[must_use]
    pub fn wants_key(&self) -> bool {
        self.0.iter().any(|error| error.refusal.wants_key())
    }

    /// Whether nothing is missing but keys that the cluster has and cannot unwrap at present: it heals by itself.
    #[must_use]
    pub fn waits_for_unwrapping(&self) -> bool {
        self.0.iter().all(|error| matches!(error.refusal, Refusal::LockedKey { .. }))
    }

    /// The keys that are missing, as far as the values name them.
    #[must_use]
    pub fn missing_keys(&self) -> Vec<KeyId> {
        let mut missing: Vec<KeyId> = Vec::new();
        for error in &self.0 {
            if let Refusal::UnknownKey { ids } = &error.refusal {
                missing.extend(ids);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

/// How many errors a message spells out; the rest are counted, so that a status stays short.
const SPELLED_OUT: usize = 8;

impl fmt::Display for OpenErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().take(SPELLED_OUT).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{error}")?;
        }
        match self.0.len().checked_sub(SPELLED_OUT) {
            Some(more @ 1..) => write!(formatter, "; and {more} more"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for OpenErrors {}
