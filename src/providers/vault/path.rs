//! Where a key lies in a KV engine.

use super::{KvVersion, invalid, misconfigured};
use crate::providers::ProviderError;

/// A mount, or any mount: then keys begin with it.
pub(super) struct Engine {
    mount: Option<String>,
    pub(super) version: KvVersion,
}

/// What of a secret, or of a folder, is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Data,
    Metadata,
}

impl Side {
    const fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Metadata => "metadata",
        }
    }
}

impl Engine {
    /// The engine at `mount`.
    ///
    /// # Errors
    /// Where the mount is no path.
    pub(super) fn new(mount: Option<&str>, version: KvVersion) -> Result<Self, ProviderError> {
        let mount = mount.map(|mount| mount.trim_matches('/').to_owned()).filter(|mount| !mount.is_empty());
        if let Some(mount) = &mount {
            check(mount).map_err(|_| misconfigured(format!("{mount:?} is not the path of a mount")))?;
        }
        Ok(Self { mount, version })
    }

    /// The path of a secret's values.
    pub(super) fn data(&self, key: &str) -> Result<String, ProviderError> {
        self.path(key, Side::Data)
    }

    /// The path of a secret's metadata, which only version 2 has.
    pub(super) fn metadata(&self, key: &str) -> Result<String, ProviderError> {
        match self.version {
            KvVersion::V1 => Err(invalid("cannot perform metadata fetch operations with kv version v1")),
            KvVersion::V2 => self.path(key, Side::Metadata),
        }
    }

    /// The path to list a folder at, without a slash at its end.
    pub(super) fn folder(&self, folder: &str) -> Result<String, ProviderError> {
        let folder = folder.trim_matches('/');
        if !folder.is_empty() {
            check(folder)?;
        }
        let join = |parts: &[&str]| {
            let parts: Vec<_> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
            parts.join("/")
        };
        match (&self.mount, self.version) {
            (Some(mount), KvVersion::V1) => Ok(join(&[mount, folder])),
            (Some(mount), KvVersion::V2) => Ok(join(&[mount, Side::Metadata.word(), folder])),
            (None, _) if folder.is_empty() => {
                Err(invalid("find needs a path that begins with the mount, because the store names none"))
            }
            (None, KvVersion::V1) => Ok(folder.to_owned()),
            (None, KvVersion::V2) => Ok(unmounted(folder, Side::Metadata)),
        }
    }

    /// The key of a secret that was listed: with the mount and `data/` in front, so that exactly these are stripped from
    /// it and a name that itself begins with the mount's stays whole.
    pub(super) fn key_of_listed(&self, name: &str) -> String {
        match (&self.mount, self.version) {
            (Some(mount), KvVersion::V1) => format!("{mount}/{name}"),
            (Some(mount), KvVersion::V2) => format!("{mount}/{}/{name}", Side::Data.word()),
            // The folder was found as one of metadata; as a key it is the same with data.
            (None, KvVersion::V2) => unmounted(name, Side::Metadata).replacen("/metadata/", "/data/", 1),
            (None, KvVersion::V1) => name.to_owned(),
        }
    }

    fn path(&self, key: &str, side: Side) -> Result<String, ProviderError> {
        let key = key.trim_start_matches('/');
        let path = match (&self.mount, self.version) {
            (Some(mount), version) => {
                // Keys with and without the mount, and with and without `data/`, name the same secret.
                let rest = key.strip_prefix(mount.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
                match version {
                    KvVersion::V1 => format!("{mount}/{rest}"),
                    KvVersion::V2 => {
                        let rest = rest.strip_prefix("data/").unwrap_or(rest);
                        format!("{mount}/{}/{rest}", side.word())
                    }
                }
            }
            (None, KvVersion::V1) => key.to_owned(),
            (None, KvVersion::V2) => unmounted(key, side),
        };
        check(&path).map_err(|_| invalid(format!("{key:?} is not the path of a secret")))?;
        Ok(path)
    }
}

/// A path of version 2 that begins with its mount: the mount ends at `/data/`, or else is the first segment.
fn unmounted(path: &str, side: Side) -> String {
    for given in [Side::Data, Side::Metadata] {
        // `metadata` is only looked for where it is wanted: below a mount it is a name like any other.
        if given == Side::Metadata && side == Side::Data {
            continue;
        }
        let word = format!("/{}", given.word());
        if let Some(at) = path.find(&format!("{word}/")).or_else(|| {
            // A folder may end there; a secret cannot.
            path.ends_with(&word).then(|| path.len() - word.len()).filter(|_| side == Side::Metadata)
        }) {
            return format!("{}/{}{}", &path[..at], side.word(), &path[at + word.len()..]);
        }
    }
    match path.split_once('/') {
        Some((mount, rest)) => format!("{mount}/{}/{rest}", side.word()),
        None => format!("{path}/{}", side.word()),
    }
}

/// Segments that would lead out of the mount, or nowhere, are refused before a URL is made of them.
pub(super) fn check(path: &str) -> Result<(), ProviderError> {
    let is_bad = |segment: &str| matches!(segment, "" | "." | "..") || segment.contains(char::is_control);
    if path.split('/').any(is_bad) { Err(invalid(format!("{path:?} is not a path in Vault"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(mount: Option<&str>, version: KvVersion) -> Engine {
        Engine::new(mount, version).expect("an engine")
    }

    #[test]
    fn a_mount_and_data_are_stripped_once() {
        let v2 = engine(Some("/team/kv/"), KvVersion::V2);
        for key in ["a/b", "/a/b", "team/kv/a/b", "team/kv/data/a/b", "data/a/b"] {
            assert_eq!(v2.data(key).unwrap(), "team/kv/data/a/b", "{key}");
            assert_eq!(v2.metadata(key).unwrap(), "team/kv/metadata/a/b", "{key}");
        }
        assert_eq!(v2.data("team/kvx").unwrap(), "team/kv/data/team/kvx");
        assert_eq!(v2.data("data/data/a").unwrap(), "team/kv/data/data/a");
        let v1 = engine(Some("kv"), KvVersion::V1);
        assert_eq!(v1.data("kv/a").unwrap(), "kv/a");
        assert_eq!(v1.data("data/a").unwrap(), "kv/data/a");
        assert!(v1.metadata("a").is_err());
    }

    #[test]
    fn without_a_mount_keys_begin_with_it() {
        let v2 = engine(None, KvVersion::V2);
        assert_eq!(v2.data("kv/a/b").unwrap(), "kv/data/a/b");
        assert_eq!(v2.data("team/kv/data/a").unwrap(), "team/kv/data/a");
        assert_eq!(v2.metadata("team/kv/data/a").unwrap(), "team/kv/metadata/a");
        assert_eq!(v2.metadata("kv/a").unwrap(), "kv/metadata/a");
        assert_eq!(v2.data("kv/metadata/a").unwrap(), "kv/data/metadata/a");
        assert_eq!(engine(Some(""), KvVersion::V1).data("kv/a").unwrap(), "kv/a");
    }

    #[test]
    fn folders() {
        assert_eq!(engine(Some("kv"), KvVersion::V2).folder("/a/").unwrap(), "kv/metadata/a");
        assert_eq!(engine(Some("kv"), KvVersion::V2).folder("").unwrap(), "kv/metadata");
        assert_eq!(engine(Some("kv"), KvVersion::V1).folder("").unwrap(), "kv");
        assert_eq!(engine(None, KvVersion::V2).folder("kv").unwrap(), "kv/metadata");
        assert_eq!(engine(None, KvVersion::V2).folder("team/kv/data").unwrap(), "team/kv/metadata");
        assert_eq!(engine(None, KvVersion::V2).folder("team/kv/metadata/a").unwrap(), "team/kv/metadata/a");
        assert_eq!(engine(None, KvVersion::V1).folder("kv/a").unwrap(), "kv/a");
        for version in [KvVersion::V1, KvVersion::V2] {
            assert!(engine(None, version).folder("").is_err());
        }
    }

    #[test]
    fn what_was_listed_is_found_again() {
        for (mount, version, name, path) in [
            (Some("kv"), KvVersion::V2, "kv/data/a", "kv/data/kv/data/a"),
            (Some("kv"), KvVersion::V2, "data/a", "kv/data/data/a"),
            (Some("kv"), KvVersion::V1, "kv/a", "kv/kv/a"),
            (None, KvVersion::V2, "kv/a", "kv/data/a"),
            (None, KvVersion::V2, "team/kv/data/a", "team/kv/data/a"),
            (None, KvVersion::V2, "team/kv/metadata/a", "team/kv/data/a"),
            (None, KvVersion::V1, "kv/a", "kv/a"),
        ] {
            let engine = engine(mount, version);
            assert_eq!(engine.data(&engine.key_of_listed(name)).unwrap(), path, "{name}");
        }
    }

    #[test]
    fn a_key_stays_in_its_mount() {
        let v2 = engine(Some("kv"), KvVersion::V2);
        for key in ["../../sys/mounts", "a/../b", "a//b", "./a", "a/", "", "a\nb"] {
            assert!(v2.data(key).is_err(), "{key:?}");
        }
        assert!(Engine::new(Some("../sys"), KvVersion::V1).is_err());
    }
}
