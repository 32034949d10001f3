//! Rules as they are staged: a commit is judged by the rules that it brings, and not by what only the disk has.

use std::path::{Path, PathBuf};

use super::{FILE_NAME, MAX_BYTES, RulesError, clean};
use crate::failure::{Outcome, usage};
use crate::git::{Git, Index, Indexed};

/// What the index has.
pub(crate) struct StagedRules {
    git: Git,
    root: PathBuf,
    index: Index,
}

impl StagedRules {
    /// Reads the index of the repository that holds a folder.
    ///
    /// # Errors
    /// There is none with a work tree, or its index cannot be read.
    pub(crate) fn read(folder: &Path) -> Outcome<Self> {
        let git = Git::discover(folder)?;
        let root = git.root().ok_or_else(|| usage!("a bare repository has nothing staged"))?.to_path_buf();
        let index = git.index()?;
        Ok(Self { git, root, index })
    }

    /// The `.bulla.yaml` whose rules hold for a file, and the file, both absolute. The file need not be on the disk.
    pub(super) fn find(&self, file: &Path) -> Option<(PathBuf, PathBuf)> {
        let name = self.name(file)?;
        let mut folder = name.as_str();
        loop {
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            let rules = if folder.is_empty() { FILE_NAME.to_owned() } else { format!("{folder}/{FILE_NAME}") };
            if self.index.at(&rules).is_some() {
                return Some((self.root.join(rules), self.root.join(name)));
            }
            if folder.is_empty() {
                return None;
            }
        }
    }

    /// What a `.bulla.yaml` says.
    pub(super) fn text_of(&self, file: &Path) -> Result<String, RulesError> {
        let path = || file.to_path_buf();
        let unreadable =
            |problem: String| RulesError::Unreadable { path: path(), error: std::io::Error::other(problem) };
        match self.entry(file) {
            Some(Indexed::File(blob)) => {
                let bytes = self.git.bytes_of(blob).map_err(|failure| unreadable(failure.to_string()))?;
                if bytes.len() as u64 > MAX_BYTES {
                    return Err(RulesError::TooLarge { path: path() });
                }
                String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))
            }
            Some(Indexed::Link) => Err(RulesError::Linked { path: path() }),
            None => Err(unreadable("it is not staged".to_owned())),
        }
    }

    /// What a file of recipients says; `None` if it is not staged as a file, or is none.
    pub(super) fn named(&self, file: &Path) -> Option<String> {
        let Some(Indexed::File(blob)) = self.entry(file) else { return None };
        let bytes = self.git.bytes_of(blob).ok().filter(|bytes| bytes.len() as u64 <= MAX_BYTES)?;
        String::from_utf8(bytes).ok()
    }

    fn entry(&self, file: &Path) -> Option<Indexed> {
        self.index.at(&self.name(file)?)
    }

    /// A path as the index has it.
    fn name(&self, file: &Path) -> Option<String> {
        let clean = clean(file).ok()?;
        let parts = clean.strip_prefix(&self.root).ok()?.components();
        Some(parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"))
    }
}
