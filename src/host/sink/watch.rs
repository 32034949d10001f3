//! Tells that something changed in the watched folders, by inotify: a hint to look, not proof. What a hint cannot tell
//! (an edit through another name of a file, a folder that came later) the period of the drift check finds.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
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
    unwatched: Vec<(Watched, io::Error)>,
    quiet: Duration,
    longest: Duration,
    /// When the folders that are not watched are tried again, and after which time once more.
    again: Option<(Instant, Duration)>,
    /// The first and the last change that were seen and not told.
    seen: Option<(Instant, Instant)>,
    /// A folder went away: its path may be another folder's now.
    is_stale: bool,
}

const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

impl Watch {
    /// Watches `list`. A change is told when nothing more came for `quiet`, and after `longest` at the latest.
    ///
    /// # Errors
    /// If the kernel gives no inotify instance; a folder that cannot be watched is no error, see [`Self::unwatched`].
    pub fn new(list: Vec<Watched>, quiet: Duration, longest: Duration) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for those who lend a descriptor; this one is given away"
        )]
        let fd = AsyncFd::new(fd)?;
        let (names, unwatched) = (HashMap::new(), Vec::new());
        let mut watch = Self { fd, names, unwatched, quiet, longest, again: None, seen: None, is_stale: false };
        watch.add(list);
        Ok(watch)
    }

    /// Tries the folders that are not watched again each time that `period` is over; not at all if it is zero. One that
    /// can be watched then is told as a change.
    #[must_use]
    pub fn trying_again(mut self, period: Duration) -> Self {
        self.again = (!period.is_zero()).then(|| (Instant::now() + period, period));
        self
    }

    fn add(&mut self, list: Vec<Watched>) {
        for watched in list {
            match inotify::add_watch(&self.fd, &watched.folder, EVENTS) {
                // Two paths can lead to one folder.
                Ok(watch) => self.names.entry(watch).or_default().extend(watched.names),
                Err(error) => self.unwatched.push((watched, error.into())),
            }
        }
    }

    /// The folders that are not watched, and why: they are missing, or the user's limit of watches is reached.
    #[must_use]
    pub fn unwatched(&self) -> Vec<(&Path, &io::Error)> {
        self.unwatched.iter().map(|(watched, error)| (watched.folder.as_path(), error)).collect()
    }

    /// Waits until something changed. It can be dropped at any time: what was seen by then is told the next time.
    ///
    /// # Errors
    /// If a watched folder went away, which is a change, or the kernel takes no question any more: make a new one.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let Some((first, last)) = self.seen else {
                let due = self.again.filter(|_| !self.unwatched.is_empty());
                let matters = tokio::select! {
                    matters = self.read() => matters?,
                    (at, period) = until(due) => {
                        self.again = Some((at.max(Instant::now()) + period, period));
                        let before = self.unwatched.len();
                        let list = std::mem::take(&mut self.unwatched);
                        self.add(list.into_iter().map(|(watched, _)| watched).collect());
                        self.unwatched.len() < before
                    }
                };
                if matters {
                    let now = Instant::now();
                    self.seen = Some((now, now));
                }
                continue;
            };
            let until = (last + self.quiet).min(first + self.longest);
            tokio::select! {
                () = sleep_until(until) => {
                    self.seen = None;
                    if self.is_stale {
                        return Err(io::Error::other("a watched folder went away"));
                    }
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
    async fn read(&mut self) -> io::Result<bool> {
        let mut ready = self.fd.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(self.fd.get_ref(), &mut buffer);
        let mut matters = false;
        loop {
            match events.next() {
                Ok(event) => {
                    let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED;
                    self.is_stale |= event.events().intersects(gone);
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

async fn until(due: Option<(Instant, Duration)>) -> (Instant, Duration) {
    match due {
        Some((at, period)) => {
            sleep_until(at).await;
            (at, period)
        }
        None => std::future::pending().await,
    }
}
