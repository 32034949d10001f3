//! What is asked of a provider, and what it answers.

use std::collections::BTreeMap;

use crate::secret::{Plaintext, Values};

/// One question to a provider. Equal questions to one store are asked once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// A remote secret's value.
    Value(Lookup),
    /// What the provider knows about a remote secret: its tags, or its labels and annotations.
    Metadata(Lookup),
    /// All remote secrets that match.
    Find(Find),
}

/// Names one remote secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lookup {
    /// The key as the ExternalSecret has it; a store's prefix is not part of it.
    pub key: String,
    /// The version, in the provider's words; `None` is the current one.
    pub version: Option<String>,
}

/// Describes many remote secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Find {
    /// Where to look.
    pub path: Option<String>,
    /// A regular expression (Go's syntax) that finds a match anywhere in the name.
    pub name: Option<String>,
    /// Tags that a match has, all of them.
    pub tags: BTreeMap<String, String>,
}

/// What a provider answers.
pub enum Answer {
    /// To [`Request::Value`] and [`Request::Metadata`].
    One(Fetched),
    /// To [`Request::Find`], by full name.
    Many(BTreeMap<String, Fetched>),
}

/// One remote secret.
pub struct Fetched {
    /// Its content.
    pub document: Document,
    /// Its version as the provider names it, where it does.
    pub version: Option<String>,
}

/// The content of a remote secret. The form decides how a `property` is looked up in it.
pub enum Document {
    /// Bytes as they were stored (AWS, fake, file). A property is a gjson path into them as JSON: first with every dot
    /// taken literally, then as a path.
    Opaque(Plaintext),
    /// The JSON text of one object whose numbers are as the provider wrote them (Vault). A property is a literal key
    /// first, then a gjson path.
    Object(Plaintext),
    /// Named bytes (Kubernetes). A property is a name, or a name, a dot and a gjson path into its bytes.
    Fields(Values),
}
