//! What a run that has begun knows: enough to go on after a kill at any moment, and no secret.
//!
//! It says what was about to be done before it is done. What *has* been done is looked up where it was done (the files,
//! the branch, the cluster), so a state that is a step behind does no harm.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bulla::seal::{KeyId, Recipient};
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::args::{KeyType, RotationArguments};
use crate::cluster::{ClusterArguments, ConnectionArguments, PublishedKey};
use crate::failure::{OrFail as _, Outcome, usage};
use crate::git::{Checkout, SCRATCH, Tracked};
use crate::output::{self, Access};

/// The version of the file.
const VERSION: u32 = 1;
/// More than a run over any repository writes.
const MAX_BYTES: u64 = 64 << 20;

/// A run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct State {
    version: u32,
    /// Names the run, also in its commit.
    pub(super) id: String,
    pub(super) began: Timestamp,
    pub(super) wish: Wish,
    pub(super) origin: Origin,
    /// The keys to be replaced.
    pub(super) old: Vec<PublishedKey>,
    /// When the controller was asked for a key, and which it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<Asked>,
    /// The keys that replace them; empty before there are any.
    #[serde(default)]
    pub(super) new: Vec<PublishedKey>,
    /// Every file that may be changed, from the root.
    #[serde(default)]
    pub(super) files: Vec<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sealed: Option<Sealed>,
    /// The files with values that could not be sealed again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failed_in: Vec<PathBuf>,
    /// The branch of the commit, as soon as it is about to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    /// Set when the files are committed, or there was nothing to commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) committed: Option<Committed>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wish {
    /// From the root of the working tree; empty for all of it.
    pub(super) path: PathBuf,
    pub(super) identity: Vec<PathBuf>,
    pub(super) new_identity: Option<PathBuf>,
    pub(super) kubeconfig: Option<PathBuf>,
    pub(super) context: Option<String>,
    pub(super) controller_namespace: String,
    pub(super) controller_service: Option<String>,
    pub(super) kind: Option<KeyType>,
    pub(super) no_new_key: bool,
    pub(super) native: bool,
    #[serde(default)]
    pub(super) accept_recipient: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) baseline: Option<PathBuf>,
    pub(super) branch: Option<String>,
    pub(super) no_commit: bool,
    pub(super) keep_old: bool,
}

/// Where the run began.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Origin {
    /// `None` for a detached HEAD.
    pub(super) branch: Option<String>,
    pub(super) commit: String,
}

/// A request to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) at: Timestamp,
    /// The ids of the keys that were there.
    pub(super) before: Vec<String>,
}

/// What was sealed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sealed {
    pub(super) values: u64,
    pub(super) files: u64,
    pub(super) failed: u64,
}

/// How the files were committed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Committed {
    /// In this commit.
    As(String),
    /// Left to a person.
    ByHand,
    /// There was nothing to commit.
    Nothing,
}

impl Wish {
    /// From what was typed; files from the root of the file system, so that a rerun elsewhere finds them.
    pub(super) fn of(arguments: &RotationArguments, checkout: &Checkout) -> Outcome<Self> {
        let absolute = |path: &PathBuf| std::path::absolute(path).or_usage(path.display().to_string());
        let path = fs::canonicalize(&arguments.path).or_usage(arguments.path.display().to_string())?;
        let path = path.strip_prefix(checkout.root()).map(Path::to_path_buf);
        Ok(Self {
            path: path.map_err(|_| usage!("{} is in another repository", arguments.path.display()))?,
            identity: arguments.identity.iter().map(absolute).collect::<Outcome<_>>()?,
            new_identity: arguments.new_identity.as_deref().map(not_there_yet).transpose()?,
            kubeconfig: kubeconfig(arguments).as_ref().map(absolute).transpose()?,
            context: arguments.cluster.connection.context.clone(),
            controller_namespace: arguments.cluster.controller_namespace.clone(),
            controller_service: arguments.controller_service.clone(),
            kind: arguments.kind,
            no_new_key: arguments.no_new_key,
            native: arguments.native,
            accept_recipient: arguments.accept_recipient.clone(),
            exclude: arguments.exclude.clone(),
            baseline: arguments.baseline.as_ref().map(absolute).transpose()?,
            branch: arguments.branch.clone(),
            no_commit: arguments.no_commit,
            keep_old: arguments.keep_old,
        })
    }

    /// Whether no cluster takes part.
    pub(super) const fn is_offline(&self) -> bool {
        self.new_identity.is_some()
    }

    /// The cluster.
    pub(super) fn cluster(&self) -> ClusterArguments {
        let connection = ConnectionArguments { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() };
        ClusterArguments { connection, controller_namespace: self.controller_namespace.clone() }
    }
}

/// The kubeconfig that was typed, else one of `$KUBECONFIG` that is named from the current folder, which changes.
fn kubeconfig(arguments: &RotationArguments) -> Option<PathBuf> {
    let typed = arguments.cluster.connection.kubeconfig.clone();
    typed.or_else(|| {
        let told = std::env::var_os("KUBECONFIG")?;
        let mut paths = std::env::split_paths(&told).filter(|path| !path.as_os_str().is_empty());
        let (first, is_alone) = (paths.next()?, paths.next().is_none());
        (is_alone && first.is_relative()).then_some(first)
    })
}

/// A file that may not be there, by the folder that it will be in.
fn not_there_yet(path: &Path) -> Outcome<PathBuf> {
    let absolute = std::path::absolute(path).or_usage(path.display().to_string())?;
    let folder = absolute.parent().and_then(|folder| fs::canonicalize(folder).ok());
    let resolved = folder.zip(absolute.file_name()).map(|(folder, name)| folder.join(name));
    Ok(resolved.unwrap_or(absolute))
}

impl State {
    /// A run that begins.
    pub(super) fn new(id: String, wish: Wish, origin: Origin, old: Vec<PublishedKey>, files: Vec<PathBuf>) -> Self {
        let (began, asked, new, sealed) = (Timestamp::now(), None, Vec::new(), None);
        Self {
            version: VERSION,
            id,
            began,
            wish,
            origin,
            old,
            asked,
            new,
            files,
            sealed,
            failed_in: Vec::new(),
            branch: None,
            committed: None,
        }
    }

    /// The ids of the keys to be replaced.
    pub(super) fn old_ids(&self) -> Vec<KeyId> {
        ids(&self.old)
    }

    /// The new keys, to seal to.
    pub(super) fn new_recipients(&self) -> Outcome<Vec<Recipient>> {
        self.new.iter().map(PublishedKey::to_recipient).collect()
    }
}

/// The ids of keys.
pub(super) fn ids(keys: &[PublishedKey]) -> Vec<KeyId> {
    keys.iter().filter_map(|key| key.id.parse().ok()).collect()
}

/// The folder in Git's folder where a run keeps what it knows. One run at a time has it.
pub(super) struct Desk {
    folder: PathBuf,
    _lock: Option<File>,
}

impl Desk {
    /// The folder of this working tree, made if need be.
    pub(super) fn take(checkout: &Checkout) -> Outcome<Self> {
        let folder = checkout.dir().join("bulla");
        fs::create_dir_all(&folder).or_usage(format!("making {}", folder.display()))?;
        let path = folder.join("rotate.lock");
        let lock = File::create(&path).or_usage(format!("making {}", path.display()))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let desk = Self { folder, _lock: Some(lock) };
                desk.tidy();
                Ok(desk)
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(usage!("another `bulla rotate` is at work in this working tree: let it finish"))
            }
            Err(error) => Err(error).or_usage(format!("locking {}", path.display())),
        }
    }

    /// The same to look at only: nothing is made or locked.
    pub(super) fn look(checkout: &Checkout) -> Self {
        Self { folder: checkout.dir().join("bulla"), _lock: None }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join("rotate.json")
    }

    /// Removes what a run that was killed left half written here.
    fn tidy(&self) {
        let is_left = |name: &str| SCRATCH.contains(&name) || is_temporary(name);
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_left) {
                fs::remove_file(entry.path()).unwrap_or_default();
            }
        }
    }

    /// The run that has begun here, if one has.
    pub(super) fn load(&self) -> Outcome<Option<State>> {
        let path = self.file();
        let named = || format!("reading {}", path.display());
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_BYTES => return Err(usage!("{} is too long", path.display())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).or_usage(named()),
        }
        let text = fs::read_to_string(&path).or_usage(named())?;
        let state: State = serde_json::from_str(&text).or_usage(format!(
            "{} is not what this version of bulla writes; `bulla rotate` of the version that began the run can end it, or delete the file",
            path.display()
        ))?;
        if state.version == VERSION {
            return Ok(Some(state));
        }
        Err(usage!("{} is from another version of bulla", path.display()))
    }

    /// Writes it down, whole or not at all.
    pub(super) fn save(&self, state: &State) -> Outcome {
        let text = serde_json::to_string_pretty(state).or_usage("writing down where the run is")?;
        output::write_file(&self.file(), text.as_bytes(), Access::Ordinary)
    }

    /// The run is over.
    pub(super) fn clear(&self) -> Outcome {
        match fs::remove_file(self.file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).or_usage(format!("removing {}", self.file().display()))
            }
            _ => Ok(()),
        }
    }
}

impl State {
    /// Removes what a run that was killed left half written beside its files: what has the name of a temporary file,
    /// is from after its beginning, and is not Git's.
    pub(super) fn tidy(&self, checkout: &Checkout, tracked: &[Tracked]) {
        let folders: BTreeSet<&Path> = self.files.iter().filter_map(|file| file.parent()).collect();
        let known: BTreeSet<&Path> = tracked.iter().map(|file| file.path.as_path()).collect();
        for folder in folders {
            for entry in fs::read_dir(checkout.root().join(folder)).into_iter().flatten().flatten() {
                let is_temporary = entry.file_name().to_str().is_some_and(is_temporary);
                let is_new = || {
                    let written = entry.metadata().and_then(|found| found.modified()).ok();
                    written.is_some_and(|written| written >= SystemTime::from(self.began))
                };
                if is_temporary && is_new() && !known.contains(folder.join(entry.file_name()).as_path()) {
                    fs::remove_file(entry.path()).unwrap_or_default();
                }
            }
        }
    }
}

/// Whether it is a name that [`output::write_file`] makes up. Names in small letters only are what people write.
fn is_temporary(name: &str) -> bool {
    name.strip_prefix(".bulla-").is_some_and(|rest| {
        let is_odd = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) && rest.bytes().any(is_odd)
    })
}
