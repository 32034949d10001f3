//! The process itself: signals, core dumps.

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// A core dump would hold keys and values in the clear.
pub(super) fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err() {
        warn!("core dumps cannot be switched off");
    }
}

/// The signals that end the process in order.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the first of them.
    pub(super) async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Asks for a new sealing key whenever SIGUSR1 comes, as upstream does. From the call on the signal no longer ends the
/// process; the future never ends.
#[cfg(feature = "kubernetes")]
pub(super) fn rotate_on_signal(rotation: crate::controllers::Rotation) -> impl Future<Output = ()> + Send {
    let asked = signal(SignalKind::user_defined1());
    async move {
        match asked {
            Ok(mut asked) => {
                while asked.recv().await.is_some() {
                    rotation.request();
                }
            }
            Err(_) => warn!("SIGUSR1 cannot be handled: use `bulla keys rotate` for a new key"),
        }
        std::future::pending().await
    }
}
