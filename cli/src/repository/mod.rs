//! `.bulla.yaml`: which file of a repository is sealed for whom, so that sealing needs no cluster.
//!
//! The format is described in [`rules`]. The file that counts is the first one found in the folder of the manifest or
//! in a folder above it, up to the root of the Git repository (a folder with `.git`) or of the file system.

mod error;
mod recipients;
mod rules;

use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

pub(crate) use error::RepositoryError;
pub(crate) use recipients::RecipientSource;
pub(crate) use rules::ScopeName;

use rules::Rule;

/// The name of the file.
pub(crate) const FILE_NAME: &str = ".bulla.yaml";

/// The longest `.bulla.yaml`, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// One `.bulla.yaml`, read and checked.
#[derive(Debug)]
pub(crate) struct Repository {
    folder: PathBuf,
    rules: Vec<Rule>,
}

/// What the rule that matches says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealing {
    /// Who can open: those written in the rule, then those of its files. Never empty.
    pub(crate) recipients: Vec<RecipientSource>,
    /// The scope, if the rule says one.
    pub(crate) scope: Option<ScopeName>,
    /// The namespace for manifests without one, if the rule says one.
    pub(crate) namespace: Option<String>,
    /// The rule's path, for messages.
    pub(crate) pattern: String,
    /// The rule's line in `.bulla.yaml`, for messages.
    pub(crate) line: u64,
}

impl Repository {
    /// The `.bulla.yaml` that counts for `path`, which need not exist; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, or does not say what it must.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, RepositoryError> {
        let path = absolute(path)?;
        for folder in path.ancestors().skip(usize::from(!path.is_dir())) {
            let file = folder.join(FILE_NAME);
            match fs::symlink_metadata(&file) {
                Ok(_) => return Self::read(&file).map(Some),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {}
                Err(source) => return Err(RepositoryError::Read { path: file, source }),
            }
            if folder.join(".git").exists() {
                break;
            }
        }
        Ok(None)
    }

    /// Reads one `.bulla.yaml`.
    ///
    /// # Errors
    /// It cannot be read, or does not say what it must.
    pub(crate) fn read(file: &Path) -> Result<Self, RepositoryError> {
        let file = absolute(file)?;
        let rules = rules::parse(&read_limited(&file, MAX_BYTES)?, &file)?;
        Ok(Self {
            folder: file.parent().unwrap_or(Path::new("/")).to_owned(),
            rules,
        })
    }

    /// The file itself.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(FILE_NAME)
    }

    /// What the first rule that matches `path` says; `None` where none does or the file is outside of the folder.
    /// The recipient files of that rule are read, no others.
    ///
    /// # Errors
    /// A recipient file cannot be read, or holds something else.
    pub(crate) fn sealing_for(&self, path: &Path) -> Result<Option<Sealing>, RepositoryError> {
        let path = absolute(path)?;
        let Ok(relative) = path.strip_prefix(&self.folder) else {
            return Ok(None);
        };
        let Some(rule) = self
            .rules
            .iter()
            .find(|rule| rule.paths.iter().any(|glob| glob.is_match(relative)))
        else {
            return Ok(None);
        };
        let mut recipients: Vec<_> = rule
            .recipients
            .iter()
            .cloned()
            .map(RecipientSource::Text)
            .collect();
        for file in &rule.recipient_files {
            recipients.extend(recipients::read(&self.folder.join(file))?);
        }
        let mut unique: Vec<RecipientSource> = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            if !unique.contains(&recipient) {
                unique.push(recipient);
            }
        }
        Ok(Some(Sealing {
            recipients: unique,
            scope: rule.scope,
            namespace: rule.namespace.clone(),
            pattern: rule.pattern.clone(),
            line: rule.line,
        }))
    }
}

/// The path from the root, with links in its folders resolved as far as these exist, and `.` and `..` done away with:
/// so that a path typed through a link still lies in its repository.
fn absolute(path: &Path) -> Result<PathBuf, RepositoryError> {
    let full = std::path::absolute(path).map_err(|source| RepositoryError::Read {
        path: path.to_owned(),
        source,
    })?;
    let folder = full.parent().map_or_else(|| full.clone(), Path::to_owned);
    let existing = folder
        .ancestors()
        .find_map(|folder| Some((folder, fs::canonicalize(folder).ok()?)));
    let resolved =
        existing.and_then(|(folder, real)| Some(real.join(full.strip_prefix(folder).ok()?)));
    let mut plain = PathBuf::new();
    for part in resolved.unwrap_or(full).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    Ok(plain)
}

/// A text file of at most `limit` bytes.
fn read_limited(path: &Path, limit: usize) -> Result<String, RepositoryError> {
    let failed = |source| RepositoryError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(limit as u64 + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() > limit {
        return Err(RepositoryError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
