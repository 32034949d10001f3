//! Tells that something changed in the watched folders, by inotify: a hint to look, not proof. What a hint cannot tell
//! (an edit through another name of a file, a folder that came later) the period of the drift check finds.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};

use super::drift::Watched;

/// Watches folders.
pub struct Watch {
    fd: AsyncFd<OwnedFd>,
    names: HashMap<i32, BTreeSet<OsString>>,
    unwatched: Vec<(PathBuf, io::Error)>,
    quiet: Duration,
    longest: Duration,
    /// The first and the last change that were seen and not told.
    seen: Option<(Instant, Instant)>,
}

impl Watch {
    /// Watches `list`. A change is told when nothing more came for `quiet`, and after `longest` at the latest.
    ///
    /// # Errors
    /// If the kernel gives no inotify instance; a folder that cannot be watched is no error, see [`Self::unwatched`].
    pub fn new(list: Vec<Watched>, quiet: Duration, longest: Duration) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let (mut names, mut unwatched) = (HashMap::<i32, BTreeSet<OsString>>::new(), Vec::new());
        let events = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        for Watched { folder, names: wanted } in list {
            match inotify::add_watch(&fd, &folder, events) {
                // Two paths can lead to one folder.
                Ok(watch) => names.entry(watch).or_default().extend(wanted),
                Err(error) => unwatched.push((folder, error.into())),
            }
        }
        #[expect(
            deprecated,
            reason = "its successor is unsafe for those who lend a descriptor; this one is given away"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Self { fd, names, unwatched, quiet, longest, seen: None })
    }

    /// The folders that are not watched, and why: they are missing, or the user's limit of watches is reached.
    #[must_use]
    pub fn unwatched(&self) -> &[(PathBuf, io::Error)] {
        &self.unwatched
    }

    /// Waits until something changed. It can be dropped at any time: what was seen by then is told the next time.
    ///
    /// # Errors
    /// If the kernel takes no question any more: make a new one.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let Some((first, last)) = self.seen else {
                if self.read().await? {
                    let now = Instant::now();
                    self.seen = Some((now, now));
                }
                continue;
            };
            let until = (last + self.quiet).min(first + self.longest);
            tokio::select! {
                () = sleep_until(until) => {
                    self.seen = None;
                    return Ok(());
                }
                more = self.read() => {
                    if more? {
                        self.seen = Some((first, Instant::now()));
                    }
                }
            }
        }
    }

    /// Reads what has come; whether any of it matters.
    async fn read(&self) -> io::Result<bool> {
        let mut ready = self.fd.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(self.fd.get_ref(), &mut buffer);
        let mut matters = false;
        loop {
            match events.next() {
                Ok(event) => {
                    // Too many to tell, or the folder itself: all may have changed.
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    matters |= match (name, self.names.get(&event.wd())) {
                        (Some(name), Some(names)) => names.contains(name),
                        (Some(_), None) => false,
                        (None, _) => !event.events().contains(ReadFlags::IGNORED),
                    };
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    ready.clear_ready();
                    return Ok(matters);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
