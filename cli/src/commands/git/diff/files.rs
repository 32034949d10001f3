//! Which files differ, as `git diff` says, and their content on both sides.

use std::fs;
use std::path::Path;

use super::is_revision;
use crate::args::DiffArguments;
use crate::failure::{OrFail as _, Outcome, usage};
use crate::git::program::Program;
use crate::git::{Git, MAX_BYTES, ObjectId};

/// A file that differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// From the root of the repository; after a rename the old one and the new one.
    pub(super) old_path: String,
    pub(super) path: String,
    pub(super) before: Content,
    pub(super) after: Content,
}

/// Where one side's bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The file is not there, or is no file.
    Nothing,
    Blob(ObjectId),
    /// In the work tree, at this path.
    WorkTree(String),
}

impl Content {
    /// The bytes; nothing also of what is too large to be a manifest.
    pub(super) fn read(&self, git: &Git, root: Option<&Path>) -> Outcome<Option<Vec<u8>>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Blob(id) => git.bytes_of(*id).map(Some),
            Self::WorkTree(path) => {
                let path = root.unwrap_or_else(|| Path::new(".")).join(path);
                let named = format!("reading {}", path.display());
                if fs::metadata(&path).or_usage(named.clone())?.len() > MAX_BYTES {
                    return Ok(None);
                }
                fs::read(&path).or_usage(named).map(Some)
            }
        }
    }
}

/// The files that differ between what was asked for.
pub(super) fn changed(arguments: &DiffArguments) -> Outcome<Vec<Pair>> {
    let mut command = vec!["diff", "--raw", "-z", "-M", "--no-abbrev", "--no-color", "--no-ext-diff", "--no-relative"];
    if arguments.staged {
        command.push("--cached");
    }
    command.push("--end-of-options");
    let mut paths: Vec<&str> = arguments.paths.iter().map(String::as_str).collect();
    for word in &arguments.revisions {
        // As with git, a path needs no `--` where it cannot be taken for a revision.
        let comes_after_a_path = arguments.paths.is_empty() && !paths.is_empty();
        let is_path = || -> Outcome<bool> { Ok(paths.is_empty() && Path::new(word).exists() && !is_revision(word)?) };
        if comes_after_a_path || is_path()? {
            paths.push(word);
        } else {
            command.push(word);
        }
    }
    command.push("--");
    command.extend(paths);
    let said = Program::here(&command).output()?;
    parse(&said).ok_or_else(|| usage!("git diff --raw said something that is not understood"))
}

/// `:old-mode new-mode old-id new-id status`, then one path, or two after a rename, each ended by a zero byte.
fn parse(said: &[u8]) -> Option<Vec<Pair>> {
    let mut fields = said.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned());
    let mut pairs = Vec::new();
    while let Some(head) = fields.next().filter(|head| !head.is_empty()) {
        let words: Vec<&str> = head.strip_prefix(':')?.split(' ').collect();
        let [old_mode, new_mode, old_id, new_id, status] = words.as_slice() else { return None };
        let old_path = fields.next()?;
        let path = if status.starts_with(['R', 'C']) { fields.next()? } else { old_path.clone() };
        if status.starts_with('U') {
            continue;
        }
        let content = |mode: &str, id: &str, path: &str| {
            let is_file = mode.starts_with("100");
            let is_unknown = id.bytes().all(|digit| digit == b'0');
            match ObjectId::from_hex(id.as_bytes()) {
                _ if !is_file => Some(Content::Nothing),
                _ if is_unknown => Some(Content::WorkTree(path.to_owned())),
                Ok(id) => Some(Content::Blob(id)),
                Err(_) => None,
            }
        };
        let (before, after) = (content(old_mode, old_id, &old_path)?, content(new_mode, new_id, &path)?);
        pairs.push(Pair { old_path, path, before, after });
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_output_is_read_with_renames_new_files_and_the_work_tree() {
        let (one, zero) = ("1".repeat(40), "0".repeat(40));
        let said = format!(
            ":100644 100644 {one} {zero} M\0a b.yaml\0:000000 100644 {zero} {one} A\0new\0:100644 100644 {one} {one} R090\0old\0moved\0:100644 000000 {one} {zero} D\0gone\0:160000 160000 {one} {one} M\0sub\0"
        );
        let pairs = parse(said.as_bytes()).unwrap();
        let blob = || Content::Blob(ObjectId::from_hex(one.as_bytes()).unwrap());
        let seen: Vec<_> = pairs.iter().map(|pair| (pair.old_path.as_str(), pair.path.as_str())).collect();
        assert_eq!(
            seen,
            [("a b.yaml", "a b.yaml"), ("new", "new"), ("old", "moved"), ("gone", "gone"), ("sub", "sub")]
        );
        assert_eq!(pairs[0].after, Content::WorkTree("a b.yaml".to_owned()));
        assert_eq!((&pairs[1].before, &pairs[1].after), (&Content::Nothing, &blob()));
        assert_eq!(pairs[3].after, Content::Nothing);
        assert_eq!((&pairs[4].before, &pairs[4].after), (&Content::Nothing, &Content::Nothing));
        assert_eq!(parse(b"nonsense\0"), None);
    }
}
