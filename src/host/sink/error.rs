//! What can go wrong with the sink as a whole; what goes wrong with one file is a `desired::Problem`.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why the sink did nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds the run folder.
    #[error("another agent works in {}: stop it first", .0.display())]
    Busy(PathBuf),
    /// The run folder is on a disk.
    #[error("{} is on a disk ({kind}), where secrets stay for ever: mount a tmpfs there, or allow it in the settings (`allowDisk`)", path.display())]
    OnDisk {
        /// The run folder.
        path: PathBuf,
        /// The file system's magic number.
        kind: String,
    },
    /// A folder of the agent belongs to somebody else.
    #[error("{} belongs to user {uid}, who could change what is in it: remove it or give it to the agent's user", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// A path in the settings is not absolute.
    #[error("{} is not an absolute path", .0.display())]
    NotAbsolute(PathBuf),
    /// The run folder is not the one that this agent opened.
    #[error("{} is not the folder any more that this agent opened: something was mounted over it, or it was removed. Start the agent anew: it puts the files there again", .0.display())]
    Lost(PathBuf),
    /// The run folder is full. Nothing has changed.
    #[error("{} is full at {}: nothing has changed; make the tmpfs larger (`size=`) or keep fewer generations", run.display(), at.display())]
    NoSpace {
        /// The run folder.
        run: PathBuf,
        /// The file that had no place.
        at: PathBuf,
    },
    /// There is no such generation.
    #[error("there is no generation {0} any more")]
    NoGeneration(u64),
    /// A generation is not what was staged.
    #[error("generation {number} was changed by hand ({}): it is not gone back to", at.display())]
    Damaged {
        /// The generation.
        number: u64,
        /// The first file that is not what it was.
        at: PathBuf,
    },
    /// The operating system refused.
    #[error("failed to {doing} {}", path.display())]
    System {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What makes an error of the operating system one of ours.
    pub(super) fn when<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_path_buf();
        move |error| Self::System { doing, path, source: error.into() }
    }
}

/// Whether the target is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT))
}
