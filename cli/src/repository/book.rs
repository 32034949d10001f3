//! The rules of many files: each `.bulla.yaml` is found and read once, from any thread.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use globset::GlobMatcher;

use super::{RawRule, Rule, RulesError, StagedRules, absolute, find, matcher, parse, text_of};

/// What is known of the rules so far.
#[derive(Default)]
pub(crate) struct Book {
    /// By folder, as it was named: where it is, and the rules that hold there.
    folders: Mutex<HashMap<PathBuf, Folder>>,
    /// By `.bulla.yaml`.
    files: Mutex<HashMap<PathBuf, Arc<Rulebook>>>,
    /// Where the rules are what is staged, and not what the disk has.
    staged: Option<Arc<StagedRules>>,
}

/// A folder.
#[derive(Clone)]
struct Folder {
    resolved: PathBuf,
    rules: Option<Arc<Rulebook>>,
}

/// One `.bulla.yaml`.
pub(crate) struct Rulebook {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its rules in order, or why they cannot be read.
    pub(crate) rules: Result<Vec<Arc<Rule>>, RulesError>,
    /// What it says; empty where that cannot be read.
    pub(crate) text: String,
    globs: Vec<GlobMatcher>,
}

impl Book {
    /// The rules that are staged.
    pub(crate) fn staged(rules: &Arc<StagedRules>) -> Self {
        Self { staged: Some(Arc::clone(rules)), ..Self::default() }
    }

    /// The rule that holds for `file`. `None` if there is no `.bulla.yaml`, if it cannot be read, or if no rule of it
    /// matches.
    pub(crate) fn rule_for(&self, file: &Path) -> Option<Arc<Rule>> {
        let (book, file) = match &self.staged {
            Some(staged) => {
                let (rules, file) = staged.find(file)?;
                (self.rulebook(rules), file)
            }
            None => {
                let (folder, file) = self.place(file)?;
                (folder.rules?, file)
            }
        };
        let root = book.path.parent().unwrap_or_else(|| Path::new("/"));
        let relative = file.strip_prefix(root).unwrap_or(&file);
        let index = book.globs.iter().position(|glob| glob.is_match(relative))?;
        book.rules.as_ref().ok()?.get(index).cloned()
    }

    /// Every `.bulla.yaml` that was met so far, in order.
    pub(crate) fn met(&self) -> Vec<Arc<Rulebook>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut met: Vec<Arc<Rulebook>> = files.values().cloned().collect();
        met.sort_by(|a, b| a.path.cmp(&b.path));
        met
    }

    /// The folder of a file and the file, both with links resolved: what a link leads to is what counts.
    fn place(&self, file: &Path) -> Option<(Folder, PathBuf)> {
        let is_link = fs::symlink_metadata(file).is_ok_and(|metadata| metadata.file_type().is_symlink());
        let followed = if is_link { fs::canonicalize(file).ok() } else { None };
        let file = followed.as_deref().unwrap_or(file);
        let name = file.file_name()?;
        let folder = self
            .folder(file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")));
        let file = folder.resolved.join(name);
        Some((folder, file))
    }

    fn folder(&self, folder: &Path) -> Folder {
        if let Some(known) = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(folder) {
            return known.clone();
        }
        let resolved = fs::canonicalize(folder).or_else(|_| absolute(folder)).unwrap_or_else(|_| folder.to_path_buf());
        let rules = find(&resolved.join("file")).map(|path| self.rulebook(path));
        let found = Folder { resolved, rules };
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.entry(folder.to_path_buf()).or_insert(found).clone()
    }

    fn rulebook(&self, path: PathBuf) -> Arc<Rulebook> {
        // The lock is held while the file is read: others would only read it too.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(files.entry(path).or_insert_with_key(|path| {
            Arc::new(match &self.staged {
                Some(staged) => Rulebook::of(path, staged.text_of(path), |file| Some(staged.named(file))),
                None => Rulebook::of(path, text_of(path), |_| None),
            })
        }))
    }
}

impl Rulebook {
    /// The rules in a text, and the files of recipients of which something is known already.
    fn of(path: &Path, text: Result<String, RulesError>, known: impl Fn(&Path) -> Option<Option<String>>) -> Self {
        let root = path.parent().unwrap_or_else(|| Path::new("/"));
        let mut globs = Vec::new();
        let mut rules_of = |text: &str| {
            let rules = parse(path, text)?.rules.into_iter().map(|raw| {
                globs.push(matcher(&raw.path, path)?);
                let RawRule { recipients, recipient_files, scope, namespace, path: _ } = raw;
                let recipient_files: Vec<PathBuf> = recipient_files.iter().map(|named| root.join(named)).collect();
                let texts = recipient_files.iter().map(|file| Some((file.clone(), known(file)?))).collect();
                let texts = if recipient_files.is_empty() { None } else { texts };
                let file = path.to_path_buf();
                Ok(Arc::new(Rule { file, recipients, recipient_files, scope, namespace, texts }))
            });
            rules.collect::<Result<Vec<_>, _>>()
        };
        let (rules, text) = match text {
            Ok(text) => (rules_of(&text), text),
            Err(error) => (Err(error), String::new()),
        };
        Self { path: path.to_path_buf(), rules, text, globs }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::Arc;

    use super::Book;
    use crate::repository::rule_for;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_book_says_what_a_single_lookup_says_and_reads_each_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        write(&root.join(".bulla.yaml"), "version: 1\nrules:\n- {path: 'a/**', namespace: one}\n- {path: '*.yaml'}\n");
        write(&root.join("b/.bulla.yaml"), "version: 1\nrules:\n- {path: '**', recipientFiles: [k.pub]}\n");
        for file in ["a/x.yaml", "a/c/y.yaml", "b/z.yaml", "top.yaml", "other/x.yaml"] {
            write(&root.join(file), "");
        }
        std::os::unix::fs::symlink(root.join("b/z.yaml"), root.join("a/link.yaml")).unwrap();
        let book = Book::default();
        for file in ["a/x.yaml", "a/../a/c/y.yaml", "b/z.yaml", "top.yaml", "other/x.yaml", "a/link.yaml", "a/new.yaml"]
        {
            let file = root.join(file);
            assert_eq!(book.rule_for(&file).as_deref(), rule_for(&file).unwrap().as_ref(), "{}", file.display());
        }
        assert!(Arc::ptr_eq(
            &book.rule_for(&root.join("a/x.yaml")).unwrap(),
            &book.rule_for(&root.join("a/c/y.yaml")).unwrap()
        ));
        assert_eq!(book.met().len(), 2);
    }
}
