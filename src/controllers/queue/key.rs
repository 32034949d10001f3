//! Names of objects and versions of them, small enough to keep for every object there is.

use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

/// Namespace and name of an object. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::controllers) struct Key {
    /// `namespace/name`; neither can hold a slash.
    text: Arc<str>,
}

impl Key {
    pub(in crate::controllers) fn new(namespace: &str, name: &str) -> Self {
        Self { text: format!("{namespace}/{name}").into() }
    }

    pub(in crate::controllers) fn namespace(&self) -> &str {
        self.text.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    pub(in crate::controllers) fn name(&self) -> &str {
        self.text.split_once('/').map_or(&self.text, |(_, name)| name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A resource version. Versions of one resource can be compared by age (Kubernetes says so since 1.35).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controllers) struct Version(u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Version {
    /// Reads a version; what is not a number still compares as equal or not.
    pub(in crate::controllers) fn parse(text: &str) -> Self {
        Self(text.parse().unwrap_or_else(|_| BuildHasherDefault::<DefaultHasher>::default().hash_one(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_its_parts() {
        let key = Key::new("prod", "db");
        assert_eq!((key.namespace(), key.name(), key.to_string().as_str()), ("prod", "db", "prod/db"));
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(Version::parse("99") < Version::parse("100"));
        assert_eq!(Version::parse("odd"), Version::parse("odd"));
        assert_ne!(Version::parse("odd"), Version::parse("even"));
    }
}
