//! Follows a branch of a Git repository, and reads its commits without a working tree.
//!
//! The real `git` does it, as a child process that is kept on a short leash (`git`): no prompt, no hook, no setting
//! of others, one transport, a time limit, checked objects. What is fetched lies in a bare clone in the state folder,
//! so that a host boots from it offline: sealed values are ciphertext there as they are in the repository.
//!
//! | module | what it is |
//! | --- | --- |
//! | `remote` | which addresses are followed, and by which transport |
//! | `access` | credentials, keys, certificates: files that git reads, never arguments |
//! | `git` | one run of git |
//! | `clone` | the bare clone: its lock, its repair, its size |
//! | `fetch` | what is new there |
//! | `history` | whether a commit may follow the last good one |
//! | `signatures` | who signed it |
//! | `tree` | the files of a commit |
//! | `source` | the same, as the `declared` part reads them |
//!
//! [`Repository::fetch`] takes what the server says; [`Repository::judge`] decides whether this host follows it. In
//! between nothing of it is used.

mod access;
mod clone;
mod commit;
mod fetch;
mod git;
mod history;
mod remote;
mod signatures;
mod source;
mod tree;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use self::access::Access;
pub use self::clone::CloneError;
use self::clone::Folder;
pub use self::commit::{CommitId, NotACommit, short};
pub use self::fetch::FetchError;
use self::git::Git;
pub use self::git::GitError;
pub use self::history::{Refused, Summary};
use self::remote::Remote;
pub use self::remote::RemoteError;
pub use self::signatures::Signatures;
pub use self::tree::{Entry, PassedOver, ReadError, Tree, TreeError};

/// What is followed, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is: `https://…`, `ssh://…`, `user@host:path`, an absolute path, `file://…`, or the path of a bundle.
    pub url: String,
    /// Its branch.
    pub branch: String,
    /// A folder of ours for the clone and all that belongs to it. It is made where it is missing.
    pub folder: PathBuf,
    /// Credentials and what else the address needs.
    pub access: Access,
    /// Whose signature every commit has to have; nothing for no check.
    pub signatures: Option<Signatures>,
    /// The commit from which on a host that has no last good commit yet trusts the history: it has to be an ancestor of
    /// what is fetched, and all after it is checked for signatures. Without it a new host checks the newest commit only.
    pub anchor: Option<CommitId>,
    /// How long one run of git may take.
    pub timeout: Duration,
    /// The most bytes that the clone may have. A server that sends more is cut off.
    pub most_bytes: u64,
}

impl Settings {
    /// A repository without credentials and signatures; 10 minutes for a run of git, 2 GiB for the clone.
    #[must_use]
    pub fn new(url: impl Into<String>, branch: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            branch: branch.into(),
            folder: folder.into(),
            access: Access::default(),
            signatures: None,
            anchor: None,
            timeout: Duration::from_secs(600),
            most_bytes: 2 << 30,
        }
    }
}

/// A repository that is followed.
#[derive(Debug)]
pub struct Repository {
    remote: Remote,
    branch: String,
    folder: Folder,
    git: Arc<Git>,
    signatures: Option<Signatures>,
    anchor: Option<CommitId>,
    most_bytes: u64,
    /// What was fetched last.
    tip: Mutex<Option<CommitId>>,
    /// The range that was refused last for its signatures.
    refusal: Mutex<Option<signatures::Refusal>>,
    /// How many ranges were checked for signatures.
    signatures_checked: AtomicU64,
    /// Whether something could not be read that should be there: the next fetch looks at the clone first.
    suspect: Arc<AtomicBool>,
}

/// Why a repository cannot be followed at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address is not one that is followed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The branch is not the name of one.
    #[error("{branch:?} is not the name of a branch")]
    Branch {
        /// What it says.
        branch: String,
    },
    /// A setting cannot be used.
    #[error("{setting}: {problem}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The git of this machine is too old.
    #[error("this is {found}; Bulla needs git 2.32 or newer, which can be kept from reading the settings of others")]
    OldGit {
        /// What `git version` says.
        found: String,
    },
    /// git does not run.
    #[error("git is needed to follow a repository (install the package `git`): {0}")]
    NoGit(GitError),
    /// The state folder cannot be written.
    #[error("the state folder {} cannot be used", .folder.display())]
    Folder {
        /// It.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Repository {
    /// Makes ready to follow: the settings are checked and the state folder is made. Nothing is fetched.
    ///
    /// # Errors
    /// [`OpenError`]: a setting is wrong, git is missing, or the folder cannot be written.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let remote: Remote = settings.url.parse()?;
        if !remote::is_branch(&settings.branch) {
            return Err(OpenError::Branch { branch: settings.branch });
        }
        let folder = Folder::new(&settings.folder);
        let mut config = access::config(&settings.access, &remote)?;
        config.push_str(&signatures::config(settings.signatures.as_ref(), &folder)?);
        let unusable = |source| OpenError::Folder { folder: settings.folder.clone(), source };
        folder.make(&config).map_err(unusable)?;
        let git = Git::new(&settings.access, &remote, &folder, settings.timeout)?;
        git.check_version().await?;
        let repository = Self {
            remote,
            branch: settings.branch,
            folder,
            git: Arc::new(git),
            signatures: settings.signatures,
            anchor: settings.anchor,
            most_bytes: settings.most_bytes,
            tip: Mutex::new(None),
            refusal: Mutex::default(),
            signatures_checked: AtomicU64::new(0),
            suspect: Arc::default(),
        };
        repository.load_tip().await;
        Ok(repository)
    }

    /// What was fetched last, also by an earlier process: what a host boots from where there is no network.
    #[must_use]
    pub fn tip(&self) -> Option<CommitId> {
        self.tip.lock().map_or(None, |tip| tip.clone())
    }

    /// Where it is, for people; without credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        self.remote.url()
    }

    /// How many ranges of commits were checked for signatures. One that is refused is not checked at each poll.
    #[must_use]
    pub fn signatures_checked(&self) -> u64 {
        self.signatures_checked.load(Ordering::Relaxed)
    }

    /// Its branch.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.branch
    }
}
