//! Why an answer does not yield the values that were asked for.

/// Why an answer does not yield the values that were asked for. Names keys and properties, never a value.
///
/// The words are those of External Secrets where it has some: people search for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// The document has no such property.
    #[error("key {property} does not exist in secret {key}")]
    NoProperty {
        /// What was looked for.
        property: String,
        /// The remote key.
        key: String,
    },
    /// Vault: the document has no such property.
    #[error("cannot find secret data for key: {0:?}")]
    NoData(String),
    /// Kubernetes: the Secret has no such property.
    #[error("property {property} does not exist in data of secret {key:?}")]
    NoField {
        /// What was looked for.
        property: String,
        /// Name of the Secret.
        key: String,
    },
    /// Kubernetes: the Secret has no such key to extract from.
    #[error("property {property} does not exist in key {key}")]
    NoKey {
        /// What was looked for.
        property: String,
        /// Name of the Secret.
        key: String,
    },
    /// The content is not a JSON object.
    #[error("unable to unmarshal secret {0}: it is not a JSON object")]
    NotAnObject(String),
    /// A property path that is too long, or would take too much work.
    #[error("property path of {length} bytes is not usable: {reason}")]
    BadPath {
        /// Bytes of the path.
        length: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A value is not in the encoding that its decoding strategy asks for.
    #[error("error applying decoding strategy {strategy} to data: illegal base64 data")]
    NotBase64 {
        /// `Base64` or `Base64URL`.
        strategy: &'static str,
    },
    /// The same, for one of many.
    #[error("failure decoding key {key}: {cause}")]
    Decoding {
        /// The data key.
        key: String,
        /// Why.
        cause: Box<Self>,
    },
    /// A value contains null bytes although the policy forbids it.
    #[error("fetched secret value for key {0:?} contains null bytes; nullBytePolicy is Fail")]
    NullBytes(String),
    /// Two keys became one by conversion.
    #[error("secret name collision during conversion: {0}")]
    Collision(String),
    /// A key cannot be a data key of a Secret.
    #[error(
        "invalid secret keys (TIP: use rewrite or conversionStrategy to change keys): key has invalid character \
         {character}, only alphanumeric, '-', '.' and '_' are allowed: {key}"
    )]
    BadKey {
        /// The key.
        key: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// A key is too long to be a data key of a Secret.
    #[error(
        "invalid secret keys (TIP: use rewrite or conversionStrategy to change keys): key has length {length} but max \
         is 253: (following is truncated): {key}"
    )]
    LongKey {
        /// The beginning of the key.
        key: String,
        /// Its length in bytes.
        length: usize,
    },
    /// A rewrite failed.
    #[error("failed rewrite operation[{index}]: {reason}")]
    Rewrite {
        /// Which one, from 0.
        index: usize,
        /// Why; never a value.
        reason: String,
    },
}
