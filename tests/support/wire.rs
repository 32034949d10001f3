//! A wire between a client and a real server, which can be cut, stretched and broken.
//!
//! It passes bytes on and knows nothing of what they mean: TLS goes through it untouched. Two threads a connection, so it
//! works in any runtime; everything ends with the [`Wire`].

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It arrives.
    #[default]
    Whole,
    /// It arrives so much later.
    Slow(Duration),
    /// It is kept until the wire is whole again, and nobody is told: what a lost network looks like.
    Silent,
    /// Connections are closed as soon as they are made.
    Cut,
    /// The wire is gone.
    Gone,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Both ends of every connection there was.
    ends: Mutex<Vec<TcpStream>>,
}

/// See the module.
pub(crate) struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

impl Wire {
    /// A wire to `server` that begins at a port of its own of 127.0.0.1.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the wire");
        let port = listener.local_addr().expect("the wire's port").port();
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                match serving.state() {
                    State::Gone => return,
                    State::Cut => continue,
                    State::Whole | State::Slow(_) | State::Silent => {}
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else { continue };
                serving.join(&client, &server);
            }
        });
        Self { port, shared }
    }

    /// The URL of a TLS server at the other end, `https://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Breaks every connection there is; new ones are as good as ever.
    pub(crate) fn break_all(&self) {
        for end in self.shared.ends().drain(..) {
            // One that is closed already needs no more.
            end.shutdown(Shutdown::Both).ok();
        }
    }

    /// Breaks every connection there is and refuses new ones.
    pub(crate) fn cut(&self) {
        self.set(State::Cut);
        self.break_all();
    }

    /// Nothing arrives any more, and nobody is told.
    pub(crate) fn silence(&self) {
        self.set(State::Silent);
    }

    /// Everything arrives so much later.
    pub(crate) fn slow(&self, by: Duration) {
        self.set(State::Slow(by));
    }

    /// It is whole again; what was kept arrives.
    pub(crate) fn mend(&self) {
        self.set(State::Whole);
    }

    fn set(&self, state: State) {
        *self.shared.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.set(State::Gone);
        self.break_all();
        // Wakes the thread that waits for the next connection.
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
    }
}

impl Shared {
    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        for (from, to) in [(client, server), (server, client)] {
            let (Ok(mut from), Ok(mut to), Ok(end)) = (from.try_clone(), to.try_clone(), from.try_clone()) else {
                return;
            };
            self.ends().push(end);
            let shared = Arc::clone(self);
            thread::spawn(move || {
                // A connection that breaks is its ends' to notice.
                shared.carry(&mut from, &mut to).ok();
                from.shutdown(Shutdown::Both).ok();
                to.shutdown(Shutdown::Both).ok();
            });
        }
    }

    fn carry(&self, from: &mut TcpStream, to: &mut TcpStream) -> std::io::Result<()> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut bytes)?;
            if read == 0 {
                return Ok(());
            }
            loop {
                match self.state() {
                    State::Silent => thread::sleep(Duration::from_millis(20)),
                    State::Slow(by) => {
                        thread::sleep(by);
                        break;
                    }
                    State::Whole => break,
                    State::Cut | State::Gone => return Ok(()),
                }
            }
            to.write_all(&bytes[..read])?;
        }
    }
}
