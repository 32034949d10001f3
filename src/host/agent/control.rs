//! How `bulla host` talks to the running agent: `RUN/control.sock`, one JSON object a line each way.
//!
//! The socket has mode 0600: who may open it may read the host's keys as well.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use super::preview::Preview;
use super::status::Status;
use crate::host::disk;

const SOCKET: &str = "control.sock";
/// A request is shorter than this, in bytes.
const MAX_REQUEST: u64 = 4096;
/// How long somebody may take to say what they want.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Request {
    /// Ask the repository now, and take what is new.
    Sync,
    /// Go back to the commit before the present one, which is remembered as bad.
    Rollback,
    /// Try a bad commit again.
    Forgive {
        /// Which; all of them if it is not said.
        commit: Option<String>,
    },
    /// Take a tip that is no descendant of the last good commit, this once.
    AcceptRewrite {
        /// The tip.
        commit: String,
    },
    /// Look at the newest commit, and take nothing of it.
    Preview,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Whether what was asked for was done.
    pub done: bool,
    /// In a sentence.
    pub message: String,
    /// How the host is now.
    pub status: Box<Status>,
    /// What would be done, to [`Request::Preview`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Box<Preview>>,
}

/// A request and where its answer goes.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Listens in the run folder; requests go to `asked`.
///
/// # Errors
/// If the socket cannot be made.
pub(super) fn listen(run: &Path, asked: mpsc::Sender<Asked>) -> io::Result<impl Future<Output = ()> + Send + use<>> {
    let listener = disk::listen(&run.join(SOCKET))?;
    Ok(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(serve(stream, asked.clone()))),
                // Out of file descriptors: a moment later there may be some.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    })
}

async fn serve(stream: UnixStream, asked: mpsc::Sender<Asked>) {
    if let Err(error) = converse(stream, asked).await {
        debug!(%error, "a conversation on the control socket broke off");
    }
}

async fn converse(stream: UnixStream, asked: mpsc::Sender<Asked>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = tokio::io::BufReader::new(read.take(MAX_REQUEST));
    tokio::time::timeout(PATIENCE, read.read_line(&mut line)).await??;
    let request = serde_json::from_str(&line)?;
    let (answer, coming) = oneshot::channel();
    let gone = |_| io::Error::other("the agent ends");
    asked.send(Asked { request, answer }).await.map_err(|_| gone(()))?;
    let answer = coming.await.map_err(|_| gone(()))?;
    let mut bytes = serde_json::to_vec(&answer)?;
    bytes.push(b'\n');
    write.write_all(&bytes).await
}

/// Asks the agent whose run folder this is, and waits for the answer.
///
/// # Errors
/// If no agent listens there, or it ends meanwhile.
pub fn ask(run: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = BlockingStream::connect(run.join(SOCKET))?;
    let mut bytes = serde_json::to_vec(request)?;
    bytes.push(b'\n');
    stream.write_all(&bytes)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the agent ended before it answered"));
    }
    Ok(serde_json::from_str(&line)?)
}
