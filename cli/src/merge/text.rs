//! Three texts merged line by line, by Git itself.
//!
//! A merge driver replaces Git's own merge and cannot hand a file back to it. So that files without sealed values come
//! out as they would without a driver, to the byte, Git merges them in a repository of its own: the same code, the same
//! algorithm, the same look of conflicts. `git merge-tree` is enough where nothing is configured; it knows neither
//! `merge.conflictStyle` nor `diff.algorithm`, and a Git older than 2.38 does not have it: then it is `git merge`.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use gix::objs::{Kind, Write as _};
use gix::odb::loose::Store;

use crate::failure::{OrFail as _, Outcome, usage};
use crate::git::ObjectId;
use crate::git::program::Program;

/// How conflicts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Both sides.
    Merge,
    /// Both sides and what they come from.
    Diff3,
    /// Likewise, without lines that both sides begin or end with.
    ZealousDiff3,
}

impl Style {
    /// From the setting `merge.conflictStyle`.
    pub(crate) fn from_setting(setting: Option<&str>) -> Self {
        match setting {
            Some("diff3") => Self::Diff3,
            Some("zdiff3") => Self::ZealousDiff3,
            _ => Self::Merge,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Diff3 => "diff3",
            Self::ZealousDiff3 => "zdiff3",
        }
    }

    /// Whether what the sides come from is shown.
    pub(crate) const fn shows_base(self) -> bool {
        matches!(self, Self::Diff3 | Self::ZealousDiff3)
    }
}

/// How conflicts are marked.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// How many characters a marker has.
    pub(crate) size: usize,
    pub(crate) style: Style,
    /// What the sides are called.
    pub(crate) ours: String,
    pub(crate) base: String,
    pub(crate) theirs: String,
}

/// What came out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) text: Vec<u8>,
    /// Whether there are conflicts in it.
    pub(crate) conflicts: bool,
}

impl Merged {
    pub(crate) fn clean(text: &[u8]) -> Self {
        Self { text: text.to_vec(), conflicts: false }
    }
}

/// How this repository wants texts merged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `diff.algorithm`; Git's own choice where it is not set.
    pub(crate) algorithm: Option<String>,
}

/// Merges `ours` and `theirs`, which both come from `base`, as Git does.
pub(crate) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], marks: &Marks, settings: &Settings) -> Outcome<Merged> {
    if ours == theirs || theirs == base {
        return Ok(Merged::clean(ours));
    }
    if ours == base {
        return Ok(Merged::clean(theirs));
    }
    let folder = tempfile::Builder::new().prefix("bulla-merge-").tempdir().or_usage("making a temporary folder")?;
    let texts = [base, ours, theirs];
    let (git, tree) = (folder.path().join("git"), folder.path().join("tree"));
    let work =
        Work { objects: Store::at(git.join("objects"), gix::hash::Kind::Sha1), git, tree, size: unused_size(texts) };
    let commits = work.prepare(texts)?;
    let has_settings = marks.style != Style::Merge || settings.algorithm.is_some();
    let quick = if has_settings { None } else { work.merge_tree(commits)? };
    let merged = match quick {
        Some(merged) => merged,
        None => work.merge(commits, marks.style, settings)?,
    };
    Ok(Merged { text: relabelled(&merged.text, work.size, marks), conflicts: merged.conflicts })
}

/// The one file in the repository.
const FILE: &str = "file";
/// What a marker is made of: ours, base, the middle, theirs.
const SIGNS: [u8; 4] = [b'<', b'|', b'=', b'>'];

/// A length of markers that no line begins with: markers are told from text by it.
fn unused_size(texts: [&[u8]; 3]) -> usize {
    let run = |line: &[u8]| {
        let sign = line.first().copied().unwrap_or_default();
        if SIGNS.contains(&sign) { line.iter().take_while(|byte| **byte == sign).count() } else { 0 }
    };
    let lines = texts.into_iter().flat_map(|text| text.split(|byte| *byte == b'\n'));
    lines.map(run).max().unwrap_or_default().max(7) + 1
}

/// A repository for one merge.
struct Work {
    git: PathBuf,
    tree: PathBuf,
    objects: Store,
    size: usize,
}

impl Work {
    /// A commit for each text, the second and third on top of the first.
    fn prepare(&self, texts: [&[u8]; 3]) -> Outcome<[ObjectId; 3]> {
        for folder in ["objects", "refs", "info"] {
            fs::create_dir_all(self.git.join(folder))?;
        }
        fs::create_dir(&self.tree)?;
        let put = |name: &str, text: &str| fs::File::create(self.git.join(name))?.write_all(text.as_bytes());
        let attributes =
            format!("* -text !eol !filter !working-tree-encoding merge=text conflict-marker-size={}\n", self.size);
        put("info/attributes", &attributes)?;
        let [base, ours, theirs] = texts;
        let base = self.commit(base, None, "base")?;
        let (ours, theirs) = (self.commit(ours, Some(base), "ours")?, self.commit(theirs, Some(base), "theirs")?);
        put("HEAD", &format!("{ours}\n"))?;
        Ok([base, ours, theirs])
    }

    fn commit(&self, text: &[u8], parent: Option<ObjectId>, message: &str) -> Outcome<ObjectId> {
        let write = |kind, bytes: &[u8]| {
            self.objects.write_buf(kind, bytes).map_err(|error| usage!("writing an object to merge with: {error}"))
        };
        let blob = write(Kind::Blob, text)?;
        let tree = write(Kind::Tree, &[format!("100644 {FILE}\0").as_bytes(), blob.as_slice()].concat())?;
        let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
        let who = "bulla <bulla@localhost> 0 +0000";
        let commit = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\n{message}\n");
        write(Kind::Commit, commit.as_bytes())
    }

    /// `None` where this Git cannot.
    fn merge_tree(&self, [_, ours, theirs]: [ObjectId; 3]) -> Outcome<Option<Merged>> {
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        let done = self.run(&["merge-tree", "--write-tree", &ours, &theirs]).finish()?;
        let said = String::from_utf8_lossy(&done.stdout);
        let tree = said.lines().next().and_then(|line| ObjectId::from_hex(line.as_bytes()).ok());
        let (Some(tree), Some(code @ (0 | 1))) = (tree, done.status.code()) else { return Ok(None) };
        let text = self.read(tree).and_then(|tree| {
            // The one entry of the tree ends with the name of its blob.
            let blob = tree.len().checked_sub(ours.len() / 2).and_then(|at| ObjectId::try_from(&tree[at..]).ok())?;
            self.read(blob)
        });
        Ok(text.map(|text| Merged { text, conflicts: code == 1 }))
    }

    fn read(&self, id: ObjectId) -> Option<Vec<u8>> {
        let mut buffer = Vec::new();
        self.objects.try_find(&id, &mut buffer).ok()??;
        Some(buffer)
    }

    fn merge(&self, [_, ours, theirs]: [ObjectId; 3], style: Style, settings: &Settings) -> Outcome<Merged> {
        self.run(&["read-tree", "--reset", "-u", &ours.to_string()]).output()?;
        let (style, theirs) = (format!("merge.conflictStyle={}", style.as_str()), theirs.to_string());
        let mut arguments = vec!["-c", &style, "-c", "user.name=bulla", "-c", "user.email=bulla@localhost"];
        let algorithm = settings.algorithm.as_ref().map(|algorithm| format!("diff.algorithm={algorithm}"));
        if let Some(algorithm) = &algorithm {
            arguments.extend(["-c", algorithm.as_str()]);
        }
        arguments.extend(["-c", "core.hooksPath=/dev/null", "merge", "-q", "--no-commit", "--no-ff", &theirs]);
        let done = self.run(&arguments).finish()?;
        let code = done.status.code();
        if !matches!(code, Some(0 | 1)) {
            let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            return Err(usage!("git could not merge the texts: {why}"));
        }
        Ok(Merged { text: fs::read(self.tree.join(FILE))?, conflicts: code == Some(1) })
    }

    fn run(&self, arguments: &[&str]) -> Program {
        Program::apart(&self.git, &self.tree, arguments)
    }
}

/// Puts the markers in that were asked for, in place of those of `size` signs.
fn relabelled(text: &[u8], size: usize, marks: &Marks) -> Vec<u8> {
    let labels = [&marks.ours, &marks.base, "", &marks.theirs];
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        let kind = SIGNS.iter().position(|sign| {
            let run = bare.iter().take_while(|byte| *byte == sign).count();
            run == size && matches!(bare.get(size), None | Some(b' '))
        });
        match kind {
            Some(kind) => {
                out.extend_from_slice(marker(SIGNS[kind], labels[kind], marks.size).as_bytes());
                out.extend_from_slice(&line[bare.len()..]);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// A marker, without line break.
pub(super) fn marker(sign: u8, label: &str, size: usize) -> String {
    let signs = char::from(sign).to_string().repeat(size);
    if label.is_empty() { signs } else { format!("{signs} {label}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &[u8] = b"a\nb\nc\nd\ne\n";

    fn marks(style: Style) -> Marks {
        Marks { size: 7, style, ours: "HEAD".into(), base: "before".into(), theirs: "a branch".into() }
    }

    fn merged(ours: &[u8], theirs: &[u8], marks: &Marks) -> Merged {
        merge(BASE, ours, theirs, marks, &Settings::default()).ok().unwrap()
    }

    #[test]
    fn changes_apart_merge_and_conflicts_bear_our_labels() {
        let ours = merged(b"A\nb\nc\nd\ne\n", b"a\nb\nc\nd\nE\n", &marks(Style::Merge));
        assert_eq!(ours, Merged::clean(b"A\nb\nc\nd\nE\n"));
        for (style, middle) in
            [(Style::Merge, ""), (Style::Diff3, "||||||| before\nc\n"), (Style::ZealousDiff3, "||||||| before\nc\n")]
        {
            let merged = merged(b"a\nb\nX\nd\ne\n", b"a\nb\nY\nd\ne\n", &marks(style));
            let expected = format!("a\nb\n<<<<<<< HEAD\nX\n{middle}=======\nY\n>>>>>>> a branch\nd\ne\n");
            assert_eq!(String::from_utf8(merged.text).unwrap(), expected);
            assert!(merged.conflicts);
        }
    }

    #[test]
    fn a_git_without_merge_tree_comes_to_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (git, tree) = (folder.path().join("git"), folder.path().join("tree"));
        let work = Work { objects: Store::at(git.join("objects"), gix::hash::Kind::Sha1), git, tree, size: 9 };
        let commits = work.prepare([BASE, b"a\nb\nX\nd\ne\n", b"a\nb\nY\nd\ne\n"]).ok().unwrap();
        let of = |merged: Merged| (relabelled(&merged.text, 9, &marks(Style::Merge)), merged.conflicts);
        let quick = work.merge_tree(commits).ok().unwrap().unwrap();
        let slow = work.merge(commits, Style::Merge, &Settings::default()).ok().unwrap();
        assert_eq!(of(quick), of(slow));
    }

    #[test]
    fn what_is_not_text_stays_ours_and_is_a_conflict() {
        let merged = merged(b"a\0b", b"a\0c", &marks(Style::Merge));
        assert_eq!(merged, Merged { text: b"a\0b".to_vec(), conflicts: true });
    }

    #[test]
    fn line_ends_and_marker_sizes_are_kept_and_text_that_looks_like_markers_is_text() {
        let marks = Marks { size: 12, ..marks(Style::Merge) };
        let (ours, theirs) = (b"<<<<<<< HEAD\r\nc\r\n", b"<<<<<<< HEAD\r\nd\r\n");
        let merged = merge(b"<<<<<<< HEAD\r\nb\r\n", ours, theirs, &marks, &Settings::default()).ok().unwrap();
        let expected = "<<<<<<< HEAD\r\n<<<<<<<<<<<< HEAD\r\nc\r\n============\r\nd\r\n>>>>>>>>>>>> a branch\r\n";
        assert_eq!(String::from_utf8(merged.text).unwrap(), expected);
    }
}
