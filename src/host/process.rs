//! Child processes: a time limit, bounded output, and nothing of them left behind.
//!
//! A child leads a process group of its own. The group is killed before the child is reaped, so that its number cannot
//! belong to a stranger by then: when the time is up, when the future is dropped, and after a normal end too, for what
//! the child may have left in the background.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::time::{sleep, timeout};

/// What a child may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// The most bytes of its standard output; more is [`Stopped::TooMuch`].
    pub output: usize,
    /// The most bytes of any file that it writes.
    pub file: Option<u64>,
    /// The most bytes of memory of its own, for each of its processes.
    pub memory: Option<u64>,
}

impl Limits {
    /// `time`, 1 MiB of output, and no other limit.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        Self { time, output: 1 << 20, file: None, memory: None }
    }
}

/// A child that has ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it wrote on its standard output.
    pub output: Vec<u8>,
    /// The last [`MOST_ERRORS`] bytes that it wrote on its standard error.
    pub errors: Vec<u8>,
}

/// Why there is no end of a child to tell.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// It could not be started.
    #[error("{program} cannot be started")]
    NotStarted {
        /// Its program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was killed since its time was up.
    #[error("{program} was stopped: it had not ended after {} s", .after.as_secs_f32())]
    Timeout {
        /// Its program.
        program: String,
        /// How long it had.
        after: Duration,
    },
    /// It was killed since it did not get on.
    #[error("{program} was stopped: it did not get on for {} s", .after.as_secs_f32())]
    Stalled {
        /// Its program.
        program: String,
        /// How long it was waited for the next thing.
        after: Duration,
    },
    /// It was killed since it wrote more than allowed.
    #[error("{program} was stopped: it wrote more than {most} bytes")]
    TooMuch {
        /// Its program.
        program: String,
        /// The limit, in bytes.
        most: usize,
    },
    /// It could not be watched or read.
    #[error("{program} cannot be watched")]
    Lost {
        /// Its program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The most bytes of a child's standard error that are kept: the last ones.
pub const MOST_ERRORS: usize = 16 << 10;

/// Runs a command to its end. Its standard output and error are captured; its working folder and environment are
/// those that the command says.
///
/// # Errors
/// [`Stopped`], and then nothing of it runs any more.
pub async fn run(command: &mut Command, stdin: Stdio, limits: Limits) -> Result<Ended, Stopped> {
    let program = name_of(command);
    let lost = |source| Stopped::Lost { program: program.clone(), source };
    let mut running = Running::start(command.stdin(stdin), limits)?;
    let (output, errors) = (running.output(), running.errors());
    let (output, errors) = (output.map_err(lost)?, errors.map_err(lost)?);
    let work = async {
        tokio::try_join!(
            async {
                let all = read_most(&output, limits.output).await.map_err(lost)?;
                all.ok_or_else(|| Stopped::TooMuch { program: program.clone(), most: limits.output })
            },
            async { read_last(&errors, MOST_ERRORS).await.map_err(lost) },
            async { running.exited().await.map_err(lost) },
        )
    };
    let late = |_| Stopped::Timeout { program: program.clone(), after: limits.time };
    let (output, errors, ()) = timeout(limits.time, work).await.map_err(late)??;
    let status = running.reap().map_err(lost)?;
    Ok(Ended { status, output, errors })
}

/// A child that runs. Dropped, it and all that it started is killed.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    group: Pid,
}

impl Running {
    /// Starts a command as the leader of a group of its own, with pipes as its standard output and error.
    ///
    /// # Errors
    /// [`Stopped::NotStarted`].
    pub fn start(command: &mut Command, limits: Limits) -> Result<Self, Stopped> {
        let program = name_of(command);
        let started = Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let running = started.map_err(|source| Stopped::NotStarted { program, source })?;
        let limit = |resource, most: Option<u64>| {
            let Some(most) = most else { return };
            let limits = Rlimit { current: Some(most), maximum: Some(most) };
            // A child that has ended already needs no limit.
            if let Err(error) = rustix::process::prlimit(Some(running.group), resource, limits) {
                tracing::debug!(%error, "a limit of a child was not set");
            }
        };
        limit(Resource::Core, Some(0));
        limit(Resource::Fsize, limits.file);
        limit(Resource::Data, limits.memory);
        Ok(running)
    }

    /// Starts a command as the leader of a group of its own, without a limit, with the outputs that it says.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        Ok(Self { group: Pid::from_child(&child), child: Some(child) })
    }

    /// Its standard output, once.
    ///
    /// # Errors
    /// It was taken already, or this is not a runtime of tokio.
    pub fn output(&mut self) -> io::Result<pipe::Receiver> {
        let output = self.child.as_mut().and_then(|child| child.stdout.take()).ok_or(io::ErrorKind::BrokenPipe)?;
        pipe::Receiver::from_owned_fd(OwnedFd::from(output))
    }

    /// Its standard error, once.
    ///
    /// # Errors
    /// It was taken already, or this is not a runtime of tokio.
    pub fn errors(&mut self) -> io::Result<pipe::Receiver> {
        let errors = self.child.as_mut().and_then(|child| child.stderr.take()).ok_or(io::ErrorKind::BrokenPipe)?;
        pipe::Receiver::from_owned_fd(OwnedFd::from(errors))
    }

    /// Its standard input, once, where the command said [`Stdio::piped`].
    ///
    /// # Errors
    /// It is no pipe, it was taken already, or this is not a runtime of tokio.
    pub fn input(&mut self) -> io::Result<pipe::Sender> {
        let input = self.child.as_mut().and_then(|child| child.stdin.take()).ok_or(io::ErrorKind::BrokenPipe)?;
        pipe::Sender::from_owned_fd(OwnedFd::from(input))
    }

    /// Waits for its end, and ends what it left in the background.
    async fn exited(&self) -> io::Result<()> {
        self.waited().await?;
        self.kill();
        Ok(())
    }

    /// Waits for its end. What it left in the background runs on; so it does after [`Self::reap`].
    pub(super) async fn waited(&self) -> io::Result<()> {
        match rustix::process::pidfd_open(self.group, PidfdFlags::empty()) {
            Ok(fd) => {
                #[expect(deprecated, reason = "its successor is unsafe; the descriptor is ours and stays open")]
                let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
                fd.readable().await?.retain_ready();
            }
            // Before Linux 5.3.
            Err(_) => {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                while waitid(WaitId::Pid(self.group), options)?.is_none() {
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
        Ok(())
    }

    /// The whole group; its leader is not reaped, so that the number is ours.
    fn kill(&self) {
        // Nobody is left in it: that is as good.
        if let Err(error) = rustix::process::kill_process_group(self.group, Signal::KILL) {
            tracing::trace!(%error, "nothing to kill");
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn end(self) -> io::Result<ExitStatus> {
        self.exited().await?;
        self.reap()
    }

    /// How it ended; to be called once it has.
    pub(super) fn reap(mut self) -> io::Result<ExitStatus> {
        self.child.take().ok_or(io::ErrorKind::NotFound)?.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        self.kill();
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        // One that hangs in the kernel must not hang us.
        let reaper = std::thread::Builder::new().name("reaper".into()).spawn(move || child.wait());
        if let Err(error) = reaper {
            tracing::debug!(%error, "a child that was killed stays a zombie");
        }
    }
}

/// Reads to the end; nothing if that is more than `most` bytes.
async fn read_most(pipe: &pipe::Receiver, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut all = Vec::new();
    while read_some(pipe, &mut all).await? > 0 {
        if all.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(all))
}

/// Reads to the end and keeps the last `most` bytes.
async fn read_last(pipe: &pipe::Receiver, most: usize) -> io::Result<Vec<u8>> {
    let mut last = Vec::new();
    while read_some(pipe, &mut last).await? > 0 {
        if last.len() > 4 * most {
            last.drain(..last.len() - most);
        }
    }
    last.drain(..last.len().saturating_sub(most));
    Ok(last)
}

/// Appends what there is, and waits for it if there is nothing yet. 0 is the end.
///
/// # Errors
/// That of the pipe.
pub async fn read_some(pipe: &pipe::Receiver, to: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        pipe.readable().await?;
        // Not across the wait: it would be in every future that reads.
        let mut piece = [0; 16 << 10];
        match pipe.try_read(&mut piece) {
            Ok(read) => {
                to.extend_from_slice(&piece[..read]);
                return Ok(read);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes all of it, as fast as it is taken.
///
/// # Errors
/// That of the pipe; [`io::ErrorKind::BrokenPipe`] where nobody reads it any more.
pub async fn write_all(pipe: &pipe::Sender, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        pipe.writable().await?;
        match pipe.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_child_is_captured() {
        let ended =
            run(&mut shell("echo out; echo err >&2; exit 3"), Stdio::null(), Limits::of(Duration::from_secs(20)))
                .await
                .unwrap();
        assert_eq!((ended.status.code(), &*ended.output, &*ended.errors), (Some(3), &b"out\n"[..], &b"err\n"[..]));
    }

    #[tokio::test]
    async fn a_child_that_is_late_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("cd {}; (echo $$ > leader; sleep 1; echo > late) & sleep 600", folder.path().display());
        let error = run(&mut shell(&script), Stdio::null(), Limits::of(Duration::from_millis(300))).await.unwrap_err();
        assert!(matches!(error, Stopped::Timeout { .. }), "{error}");
        sleep(Duration::from_millis(1500)).await;
        assert!(folder.path().join("leader").exists());
        assert!(!folder.path().join("late").exists(), "a grandchild lives on");
    }

    #[tokio::test]
    async fn what_a_child_leaves_in_the_background_ends_with_it() {
        let ended = run(&mut shell("sleep 600 & echo $!"), Stdio::null(), Limits::of(Duration::from_secs(20))).await;
        let pid: i32 = String::from_utf8(ended.unwrap().output).unwrap().trim().parse().unwrap();
        // Killed; who adopted it reaps it soon.
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while state().contains(" S ") || state().contains(" R ") {
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_child_that_talks_for_ever_is_stopped() {
        let limits = Limits { output: 1000, ..Limits::of(Duration::from_secs(20)) };
        let error = run(&mut shell("exec yes"), Stdio::null(), limits).await.unwrap_err();
        assert!(matches!(error, Stopped::TooMuch { most: 1000, .. }), "{error}");
        let ended = run(&mut shell("yes | head -c 1000000 >&2"), Stdio::null(), limits).await.unwrap();
        assert_eq!(ended.errors.len(), MOST_ERRORS);
    }

    #[tokio::test]
    async fn a_file_has_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let limits = Limits { file: Some(100_000), ..Limits::of(Duration::from_secs(20)) };
        // The limit is set just after the start.
        let script = format!("sleep 0.3; head -c 10000000 /dev/zero > {}", file.display());
        let ended = run(&mut shell(&script), Stdio::null(), limits).await.unwrap();
        assert!(!ended.status.success());
        assert_eq!(std::fs::metadata(file).unwrap().len(), 100_000);
    }
}
