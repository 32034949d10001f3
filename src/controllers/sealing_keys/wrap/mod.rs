//! Private halves that are wrapped at rest.

/// The data keys that a wrapped private half may be under.
pub(super) const FORMS: [&str; 3] = ["identity.age", "identity.vault", "identity.kms"];
