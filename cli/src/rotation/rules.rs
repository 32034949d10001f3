//! The files of a repository that name recipients: every `.bulla.yaml`, and the files that these name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bulla::seal::{self, KeyId, Recipient};

use crate::failure::{OrFail as _, Outcome, refuse};
use crate::git::{Checkout, Tracked, TrackedKind};
use crate::output::{self, Access};
use crate::recipients;
use crate::repository::FILE_NAME;
use crate::repository::rewrite::{self, Replacement};

/// More than any such file has; a bound for hostile input.
const MAX_BYTES: u64 = 1 << 20;

/// Files that name recipients, by their paths from the root.
pub(super) struct Rules {
    root: PathBuf,
    /// Every `.bulla.yaml` that Git knows.
    files: Vec<PathBuf>,
    /// What they name: in the working tree by its path from there, else as it is.
    named: Vec<PathBuf>,
}

impl Rules {
    /// Finds them among the tracked files.
    pub(super) fn find(checkout: &Checkout, tracked: &[Tracked]) -> Outcome<Self> {
        let root = checkout.root().to_path_buf();
        let is_ours = |file: &&Tracked| {
            file.kind == TrackedKind::File && file.path.file_name().is_some_and(|name| name == FILE_NAME)
        };
        let files: Vec<PathBuf> = tracked.iter().filter(is_ours).map(|file| file.path.clone()).collect();
        let mut named = BTreeSet::new();
        for file in &files {
            let path = root.join(file);
            for rule in rewrite::named(&path, &read(&path)?).or_refuse("reading the rules")? {
                named.extend(rule.files.into_iter().map(|file| from_root(&root, file)));
            }
        }
        Ok(Self { root, files, named: named.into_iter().collect() })
    }

    /// Whether a `.bulla.yaml` is one of them.
    pub(super) fn are_in(&self, file: &Path) -> bool {
        self.files.iter().any(|own| own == file)
    }

    /// Everybody whom they name.
    pub(super) fn recipients(&self) -> Outcome<Vec<Recipient>> {
        let mut all = Vec::new();
        for file in &self.files {
            let path = self.root.join(file);
            let rules = rewrite::named(&path, &read(&path)?).or_refuse("reading the rules")?;
            all.extend(rules.into_iter().flat_map(|rule| rule.recipients));
        }
        for file in self.named.iter().map(|file| self.root.join(file)).filter(|file| file.exists()) {
            all.extend(recipients::from_named(&file, &self.root)?);
        }
        Ok(all)
    }

    /// The files that name one of the recipients that go.
    ///
    /// # Errors
    /// One cannot be edited in place, or is not Git's, or those whom a rule would name do not go together.
    pub(super) fn concerned(&self, changes: &[Replacement], tracked: &[Tracked]) -> Outcome<Vec<PathBuf>> {
        let changed = self.changed(changes)?;
        self.agree(&changed, changes)?;
        let concerned: Vec<PathBuf> = changed.into_iter().map(|(file, _)| file).collect();
        let known: BTreeSet<&PathBuf> =
            tracked.iter().filter(|file| file.kind == TrackedKind::File).map(|file| &file.path).collect();
        match concerned.iter().find(|file| !known.contains(file)) {
            Some(file) => Err(refuse!(
                "{} names the old key and is not in Git here: put the new recipient there yourself, then \
                 `bulla reseal`, or take the file into this repository",
                file.display()
            )),
            None => Ok(concerned),
        }
    }

    /// Writes them with the new recipients. What names nobody who goes is not touched.
    pub(super) fn write(&self, changes: &[Replacement]) -> Outcome {
        for (file, text) in self.changed(changes)? {
            output::write_file(&self.root.join(file), text.as_bytes(), Access::Ordinary)?;
        }
        Ok(())
    }

    /// Whether values can be sealed to those whom each rule would name that gets somebody new.
    fn agree(&self, changed: &[(PathBuf, String)], changes: &[Replacement]) -> Outcome {
        let new = |file: &PathBuf| changed.iter().find(|(other, _)| other == file).map(|(_, text)| text.clone());
        for file in &self.files {
            let path = self.root.join(file);
            let text = new(file).map_or_else(|| read(&path), Ok)?;
            for rule in rewrite::named(&path, &text).or_refuse("reading the rules")? {
                let mut all = rule.recipients;
                for named in rule.files {
                    match new(&from_root(&self.root, named.clone())) {
                        Some(text) => all.extend(recipients::parse_file(&text, &named.display().to_string())?),
                        None if named.exists() => all.extend(recipients::from_named(&named, &self.root)?),
                        None => {}
                    }
                }
                let is_new = |one: &Recipient| changes.iter().any(|change| change.new.key_id() == one.key_id());
                if all.iter().any(is_new) {
                    let place = format!("{}: those whom the rule for {:?} would name", file.display(), rule.path);
                    seal::agree(&all).or_refuse(place)?;
                }
            }
        }
        Ok(())
    }

    fn changed(&self, changes: &[Replacement]) -> Outcome<Vec<(PathBuf, String)>> {
        let mut changed = Vec::new();
        for file in &self.files {
            let path = self.root.join(file);
            let new = rewrite::rules(&path, &read(&path)?, changes).or_refuse("changing the recipients")?;
            changed.extend(new.map(|new| (file.clone(), new)));
        }
        for file in &self.named {
            let path = self.root.join(file);
            if path.exists() {
                let new =
                    rewrite::recipient_file(&path, &read(&path)?, changes).or_refuse("changing the recipients")?;
                changed.extend(new.map(|new| (file.clone(), new)));
            }
        }
        Ok(changed)
    }
}

/// A path from the root of the working tree, if it leads into it.
fn from_root(root: &Path, file: PathBuf) -> PathBuf {
    let resolved = fs::canonicalize(&file).unwrap_or(file);
    resolved.strip_prefix(root).map(Path::to_path_buf).unwrap_or(resolved)
}

/// Whether the rule of a file lets it be sealed to one of these keys; a file without a rule may be.
pub(super) fn allows(file: &Path, ids: &[KeyId]) -> Outcome<bool> {
    let Some(rule) = recipients::rule_for(Some(file))? else { return Ok(true) };
    let named = recipients::of_rule(&rule)?;
    Ok(named.is_empty() || named.iter().any(|recipient| ids.contains(&recipient.key_id())))
}

fn read(path: &Path) -> Outcome<String> {
    let named = || format!("reading {}", path.display());
    if fs::metadata(path).or_usage(named())?.len() > MAX_BYTES {
        return Err(refuse!("{} has more than {MAX_BYTES} bytes", path.display()));
    }
    fs::read_to_string(path).or_usage(named())
}
