//! Answers systemd's `LoadCredential=NAME:/run/bulla/credentials.sock`: no file ever has the value.
//!
//! systemd connects before it starts a unit, from an abstract address that says for what:
//! `@RANDOM/unit/UNIT/CREDENTIAL`. Whoever may connect could choose that address, so only root is answered, or, where a
//! user's own systemd asks, that user: both could read the value anyway. Who asks for what is not declared is answered
//! with more than systemd takes for a credential: the unit then fails to start, and does not start with an empty secret.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::desired::Credential;
use super::disk;
use super::units::name::of_systemd;
use crate::secret::Plaintext;

/// The socket's name in the run folder.
pub const SOCKET: &str = "credentials.sock";

/// So many are answered at once.
const AT_ONCE: usize = 32;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than systemd takes for all credentials of a unit together, which is 1 MiB.
const TOO_MUCH: usize = (1 << 20) + 1;

/// The values, by unit and name.
#[derive(Clone, Default)]
pub struct Credentials {
    values: Arc<RwLock<Values>>,
}

/// Values by unit and name.
type Values = BTreeMap<(String, String), Plaintext>;

/// What [`Credentials`] held before.
pub struct Former(Values);

/// The socket.
struct Server {
    listener: UnixListener,
    path: PathBuf,
    credentials: Credentials,
    places: Arc<Semaphore>,
}

/// What systemd asks for.
#[derive(Debug, PartialEq, Eq)]
struct Question<'a> {
    unit: &'a str,
    name: &'a str,
}

impl Credentials {
    /// Takes what is declared in place of what was. One whose value could not be made keeps the one that it had.
    ///
    /// What was, for [`Self::restore`].
    pub fn replace(&self, declared: Vec<Credential>) -> Former {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Values::new();
        for Credential { unit, name, value } in declared {
            let key = (of_systemd(&unit), name);
            let last = || values.get(&key).map(|last| Plaintext::copy_of(last.expose()));
            if let Some(value) = value.or_else(last) {
                new.insert(key, value);
            }
        }
        Former(std::mem::replace(&mut *values, new))
    }

    /// Takes back what was: the units and names that have another value now.
    pub fn restore(&self, former: Former) -> Vec<(String, String)> {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let now = std::mem::replace(&mut *values, former.0);
        let is_other = |(key, value): &(&(String, String), &Plaintext)| {
            !now.get(*key).is_some_and(|now| value.same_as(now.expose()))
        };
        values.iter().filter(is_other).map(|(key, _)| key.clone()).collect()
    }

    /// A copy of the value, if it is declared.
    pub(super) fn value(&self, unit: &str, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let key = (unit.to_owned(), name.to_owned());
        let found = values.get(&key).or_else(|| {
            // What a template declares holds for its instances.
            let (stem, rest) = unit.split_once('@')?;
            let (_instance, suffix) = rest.rsplit_once('.')?;
            values.get(&(format!("{stem}@.{suffix}"), key.1.clone()))
        });
        found.map(|value| Zeroizing::new(value.expose().to_vec()))
    }
}

/// Listens at [`SOCKET`] in `run`, which only the agent's own user may connect to. What comes back answers for ever: to
/// be spawned, and dropped at the end.
///
/// # Errors
/// Of the file system. A socket that is there is replaced: its agent is gone.
pub fn listen(run: &Path, credentials: Credentials) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Server::open(&run.join(SOCKET), credentials).map(Server::run)
}

impl Server {
    fn open(path: &Path, credentials: Credentials) -> io::Result<Self> {
        let listener = disk::listen(path)?;
        Ok(Self { listener, path: path.to_path_buf(), credentials, places: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    async fn run(self) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let credentials = self.credentials.clone();
                    tokio::spawn(async move {
                        let answered = timeout(PATIENCE, answer(stream, &credentials)).await;
                        if !matches!(answered, Ok(Ok(()))) {
                            tracing::warn!("a credential was asked for, and its answer not taken");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, socket = %self.path.display(), "no connection was taken");
                    // Out of file descriptors, most likely: not at full speed.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn answer(mut stream: UnixStream, credentials: &Credentials) -> io::Result<()> {
    // Asked for anew: an accepted connection's address lacks its abstract name in tokio.
    let from = stream.peer_addr()?;
    let peer = stream.peer_cred()?;
    let own = rustix::process::geteuid().as_raw();
    if peer.uid() != 0 && peer.uid() != own {
        tracing::warn!(uid = peer.uid(), pid = peer.pid(), "somebody else asked for a credential: not answered");
        return Ok(());
    }
    let Some(Question { unit, name }) = from.as_abstract_name().and_then(question) else {
        tracing::warn!(pid = peer.pid(), "a credential was asked for from an address that is not systemd's");
        return Ok(());
    };
    match credentials.value(unit, name) {
        Some(value) => {
            tracing::info!(unit, credential = name, "handed a credential to systemd");
            stream.write_all(&value).await?;
        }
        None => {
            tracing::warn!(unit, credential = name, "no such credential is declared: the unit will not start");
            match stream.write_all(&vec![0; TOO_MUCH]).await {
                // It has read enough to know.
                Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {}
                written => written?,
            }
        }
    }
    stream.shutdown().await
}

/// `RANDOM/unit/UNIT/CREDENTIAL`.
fn question(address: &[u8]) -> Option<Question<'_>> {
    let mut parts = std::str::from_utf8(address).ok()?.split('/');
    let (_random, kind, unit, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (kind == "unit" && parts.next().is_none() && !unit.is_empty() && !name.is_empty())
        .then_some(Question { unit, name })
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Question, question};
    use crate::host::desired::Credential;
    use crate::secret::Plaintext;

    fn declared(unit: &str, name: &str, value: Option<&str>) -> Credential {
        let value = value.map(|value| Plaintext::copy_of(value.as_bytes()));
        Credential { unit: unit.to_owned(), name: name.to_owned(), value }
    }

    #[test]
    fn an_address_of_systemd_says_what_it_is_for() {
        let asked = Question { unit: "web.service", name: "token" };
        assert_eq!(question(b"4f1c0a/unit/web.service/token"), Some(asked));
        for bad in ["", "x", "a/unit/b", "a/unit//b", "a/unit/b/", "a/user/b/c", "a/unit/b/c/d"] {
            assert_eq!(question(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(question(b"a/unit/\xff/c"), None);
    }

    #[test]
    fn what_has_another_value_can_be_taken_back() {
        let credentials = Credentials::default();
        let key = |unit: &str, name: &str| (unit.to_owned(), name.to_owned());
        let first = vec![declared("web", "a", Some("1")), declared("web.service", "b", Some("2"))];
        credentials.replace(first);
        let second = vec![declared("web", "a", Some("1")), declared("web", "b", Some("3")), declared("x@", "c", None)];
        let former = credentials.replace(second);
        assert_eq!(credentials.restore(former), [key("web.service", "b")]);
        assert_eq!(credentials.value("web.service", "b").unwrap().as_slice(), b"2");
        credentials.replace(vec![declared("web", "b", Some("3"))]);
        // What cannot be made any more keeps its last good value.
        let third = vec![declared("web", "b", None)];
        credentials.replace(third);
        assert_eq!(credentials.value("web.service", "b").unwrap().as_slice(), b"3");
        assert!(credentials.value("web.service", "a").is_none(), "what is no longer declared is gone");
        credentials.replace(vec![declared("x@.service", "c", Some("4"))]);
        assert_eq!(credentials.value("x@one.service", "c").unwrap().as_slice(), b"4");
    }
}
