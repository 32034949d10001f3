//! How a program sees files that are not there yet.
//!
//! Declared paths are links through `current`, so the staged generation's folder, mounted over the current one's in a
//! mount namespace of the program's own, changes all of them. What else differs at a path (a file that is not a link, a
//! link that is new or gone) is shown by mounting the staged file over it, or, where there is nothing yet to mount over
//! or something is to vanish, by an overlay on its folder whose upper half is a tmpfs of that namespace.
//!
//! It is all done by the programs `unshare` and `mount`, of util-linux or busybox, so nothing of it touches this process.
//! Limits: a path whose nearest folder is `/` itself, and one with `:`, `,` or `\` in its folder's name, cannot be shown;
//! below an overlay, other mounts are not seen.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// What a `validate` command is to see.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The folder of the generation that `current` points at.
    pub current: PathBuf,
    /// The folder of the staged one: mounted over it.
    pub staged: PathBuf,
    /// What differs at paths outside of them. What is right already may be named too.
    pub paths: Vec<Shown>,
    /// A folder that is made for the mounts and removed again; what is mounted there is seen by the command only.
    pub scratch: PathBuf,
}

/// What is to be at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A symbolic link.
    Link {
        /// Where, the declared path below the host's root.
        path: PathBuf,
        /// What it points at.
        target: PathBuf,
    },
    /// A file of its own.
    Copy {
        /// Where.
        path: PathBuf,
        /// The staged file, below [`View::staged`].
        from: PathBuf,
    },
    /// Nothing.
    Gone {
        /// Where.
        path: PathBuf,
    },
}

/// What is mounted, in the words of [`SCRIPT`], and what cannot be shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mounts {
    pub(super) words: Vec<OsString>,
    pub(super) hidden: Vec<PathBuf>,
}

/// Mounts what its words say and becomes the command; where it cannot, it ends and says the mark. Paths are its
/// arguments and never part of its text.
pub(super) const SCRIPT: &str = r#"set -e
mark=$1; shift
trap 'printf "%s\n" "$mark"' EXIT
# Without this, what is mounted here might be seen outside.
mount --make-rprivate /
while [ $# -gt 0 ]; do
  case $1 in
    scratch) mount -t tmpfs -o mode=0700 tmpfs "$2"; scratch=$2; number=0; shift 2 ;;
    overlay) number=$((number + 1)); mkdir "$scratch/$number" "$scratch/$number.work"
      # The folder's own owner and mode, which the upper half has the say about.
      chmod "$3" "$scratch/$number"
      # In a user namespace the owner may be nobody who is known there.
      chown "$4" "$scratch/$number" 2>/dev/null || :
      mount -t overlay -o "lowerdir=$2,upperdir=$scratch/$number,workdir=$scratch/$number.work" overlay "$2"; shift 4 ;;
    folder) mkdir -p "$2"; shift 2 ;;
    remove) rm -f "$2"; shift 2 ;;
    link) ln -s "$3" "$2"; shift 3 ;;
    empty) : > "$2"; shift 2 ;;
    bind) mount --bind "$2" "$3"; shift 3 ;;
    run) shift; break ;;
    *) exit 1 ;;
  esac
done
trap - EXIT
exec "$@"
"#;

impl Shown {
    fn path(&self) -> &Path {
        match self {
            Self::Link { path, .. } | Self::Copy { path, .. } | Self::Gone { path } => path,
        }
    }

    /// Whether it is so already, or will be once the staged folder is mounted.
    fn is_right(&self) -> bool {
        match self {
            Self::Link { path, target } => fs::read_link(path).is_ok_and(|there| there == *target),
            // A mount over it shows it as it is to be.
            Self::Copy { path, .. } => fs::symlink_metadata(path).is_ok_and(|there| there.is_file()),
            Self::Gone { path } => fs::symlink_metadata(path).is_err(),
        }
    }
}

impl View {
    /// The mounts that show it, after a look at what is there now.
    pub(super) fn mounts(&self) -> Mounts {
        let mut mounts = Mounts::default();
        let mut words: Vec<OsString> = Vec::new();
        // First, since the staged files are taken from their own folder, which stays where it is.
        words.extend(["bind".into(), self.staged.clone().into(), self.current.clone().into()]);
        let wrong: Vec<&Shown> = self.paths.iter().filter(|shown| !shown.is_right()).collect();
        let mut folders = BTreeSet::new();
        let mut shown_later = Vec::new();
        for shown in wrong {
            match folder_of(shown.path()) {
                Some(folder) => {
                    folders.insert(folder);
                    shown_later.push(shown);
                }
                None => mounts.hidden.push(shown.path().to_path_buf()),
            }
        }
        // An overlay on a folder covers those below it.
        let outer: Vec<&PathBuf> = folders
            .iter()
            .filter(|folder| !folders.iter().any(|other| *folder != other && folder.starts_with(other)))
            .collect();
        if !outer.is_empty() {
            words.extend(["scratch".into(), self.scratch.clone().into()]);
        }
        for folder in outer {
            let (mode, owner) = rights(folder);
            words.extend(["overlay".into(), folder.clone().into(), mode.into(), owner.into()]);
        }
        for shown in shown_later {
            let path = shown.path();
            if let Some(folder) = path.parent() {
                words.extend(["folder".into(), folder.into()]);
            }
            words.extend(["remove".into(), path.into()]);
            match shown {
                Shown::Link { target, .. } => words.extend(["link".into(), path.into(), target.into()]),
                Shown::Copy { .. } => words.extend(["empty".into(), path.into()]),
                Shown::Gone { .. } => {}
            }
        }
        for shown in &self.paths {
            if let Shown::Copy { path, from } = shown
                && !mounts.hidden.contains(path)
            {
                words.extend(["bind".into(), from.into(), path.into()]);
            }
        }
        mounts.words = words;
        mounts
    }
}

/// The nearest folder of `path` that is there, if an overlay can be laid on it.
fn folder_of(path: &Path) -> Option<PathBuf> {
    // A path with steps back is nobody's that was declared.
    if path.components().any(|component| component == Component::ParentDir) {
        return None;
    }
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir())?;
    // The folder behind a link: mounts go there, and the kernel wants the plain path.
    let folder = fs::canonicalize(folder).ok()?;
    let plain = !folder.as_os_str().as_bytes().iter().any(|byte| b":,\\".contains(byte));
    (folder.parent().is_some() && plain).then_some(folder)
}

fn rights(folder: &Path) -> (String, String) {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(folder).map_or_else(
        |_| ("0755".to_owned(), "0:0".to_owned()),
        |about| (format!("{:o}", about.mode() & 0o7777), format!("{}:{}", about.uid(), about.gid())),
    )
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::path::PathBuf;

    use super::{Shown, View};

    #[test]
    fn only_what_differs_is_mounted_over() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        fs::create_dir_all(at("etc/a")).unwrap();
        std::os::unix::fs::symlink("/run/x", at("etc/right")).unwrap();
        fs::File::create(at("etc/copy")).unwrap();
        let view = View {
            current: at("1"),
            staged: at("2"),
            scratch: at("scratch"),
            paths: vec![
                Shown::Link { path: at("etc/right"), target: PathBuf::from("/run/x") },
                Shown::Link { path: at("etc/a/b/new"), target: PathBuf::from("/run/y") },
                Shown::Copy { path: at("etc/copy"), from: at("2/copy") },
                Shown::Gone { path: at("etc/never") },
                Shown::Gone { path: PathBuf::from("/../etc/passwd") },
                Shown::Copy { path: PathBuf::from("/no-such-folder/file"), from: at("2/file") },
            ],
        };
        let mounts = view.mounts();
        let words: Vec<String> = mounts.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let words: Vec<String> = words.iter().map(|word| word.replace(&*root.to_string_lossy(), "~")).collect();
        let rights = super::rights(&at("etc/a"));
        let expected = format!(
            "bind ~/2 ~/1 scratch ~/scratch overlay ~/etc/a {} {} folder ~/etc/a/b remove ~/etc/a/b/new \
             link ~/etc/a/b/new /run/y bind ~/2/copy ~/etc/copy",
            rights.0, rights.1
        );
        assert_eq!(words.join(" "), expected);
        assert_eq!(mounts.hidden, [PathBuf::from("/../etc/passwd"), PathBuf::from("/no-such-folder/file")]);
        assert!(View::default().mounts().words.contains(&OsString::from("bind")));
    }
}
