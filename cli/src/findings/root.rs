//! The names of files as seen from the root of the repository: what forges and baselines know them by.

use std::path::{Component, Path, PathBuf};

/// Where the names of files begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Root {
    /// The root of the repository, if the current folder is in one.
    folder: Option<PathBuf>,
    /// The current folder, from there.
    prefix: PathBuf,
}

impl Root {
    /// The root of the repository that the current folder is in; without one, names begin at the current folder.
    pub(crate) fn of_current_folder() -> Self {
        let current = std::env::current_dir().and_then(|folder| folder.canonicalize()).unwrap_or_default();
        let folder = current.ancestors().find(|folder| folder.join(".git").exists());
        let prefix = folder.and_then(|folder| current.strip_prefix(folder).ok()).unwrap_or_else(|| Path::new(""));
        match folder {
            Some(folder) => Self { prefix: prefix.to_path_buf(), folder: Some(folder.to_path_buf()) },
            None => Self { prefix: PathBuf::new(), folder: Some(current) },
        }
    }

    /// The name of a file from the root, with `/`. A file elsewhere keeps the name that it was given.
    pub(crate) fn name(&self, file: &str) -> String {
        let path = Path::new(file);
        let joined = match &self.folder {
            Some(folder) if path.is_absolute() => match path.strip_prefix(folder) {
                Ok(inside) => inside.to_path_buf(),
                Err(_) => return file.to_owned(),
            },
            _ => self.prefix.join(path),
        };
        let mut parts: Vec<String> = Vec::new();
        for part in joined.components() {
            match part {
                Component::ParentDir => {
                    if parts.pop().is_none() {
                        return file.to_owned();
                    }
                }
                Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        parts.join("/")
    }

    /// The file with that name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
    }

    /// The name as a relative URI reference, or a `file:` URI for a file elsewhere.
    pub(super) fn uri(&self, file: &str) -> String {
        let name = self.name(file);
        let scheme = if Path::new(&name).is_absolute() { "file://" } else { "" };
        format!("{scheme}{}", encoded(&name))
    }
}

/// Percent-encodes what may not stand in the path of a URI. A colon is encoded too: before the first slash it would
/// end a scheme.
fn encoded(name: &str) -> String {
    let mut uri = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::Root;

    #[test]
    fn names_begin_at_the_root_of_the_repository_and_uris_are_encoded() {
        let root = Root { folder: Some("/r".into()), prefix: "clusters/prod".into() };
        for (file, name, uri) in [
            ("a.yaml", "clusters/prod/a.yaml", "clusters/prod/a.yaml"),
            ("./b/../a b.yaml", "clusters/prod/a b.yaml", "clusters/prod/a%20b.yaml"),
            ("../../x:y.yaml", "x:y.yaml", "x%3Ay.yaml"),
            ("/r/é.yaml", "é.yaml", "%C3%A9.yaml"),
            ("/elsewhere/a#.yaml", "/elsewhere/a#.yaml", "file:///elsewhere/a%23.yaml"),
            ("../../../a.yaml", "../../../a.yaml", "../../../a.yaml"),
            ("100%.yaml", "clusters/prod/100%.yaml", "clusters/prod/100%25.yaml"),
        ] {
            assert_eq!((root.name(file).as_str(), root.uri(file).as_str()), (name, uri), "{file}");
        }
    }
}
