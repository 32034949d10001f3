//! Values written in the store itself: for tests and first steps.

use crate::secret::Plaintext;

/// A store that holds its values itself.
pub struct Settings {
    /// The values.
    pub data: Vec<Entry>,
}

/// One value.
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its version; a lookup must name the same, or none if there is none.
    pub version: Option<String>,
    /// The value.
    pub value: Plaintext,
}
