//! How far the lists of one resource have come, stream by stream.

use kube::runtime::watcher::{self, Event};
use tracing::{debug, info, warn};

use crate::controllers::watch::Namespaces;

/// The lists of one resource.
pub(in crate::controllers) struct Known {
    streams: Vec<Stream>,
}

#[derive(Clone, Default)]
struct Stream {
    /// Number of the list that is under way or was last completed.
    list: u32,
    /// Whether a list was ever completed.
    complete: bool,
    /// Whether the stream is broken.
    broken: bool,
}

impl Known {
    pub(in crate::controllers) fn new(streams: usize) -> Self {
        Self { streams: vec![Stream::default(); streams] }
    }

    /// Takes what a stream says; an error is logged once per outage.
    pub(in crate::controllers) fn heard<K>(
        &mut self,
        stream: usize,
        said: Result<Event<K>, watcher::Error>,
        what: &'static str,
    ) -> Option<Event<K>> {
        let state = self.streams.get_mut(stream)?;
        match said {
            Ok(event) => {
                // The list is only announced by Init: it is there when its first object is.
                if state.broken && !matches!(event, Event::Init) {
                    state.broken = false;
                    info!(what, "the watch is back");
                }
                Some(event)
            }
            Err(problem) => {
                // Kinds of errors only: the text of an error may quote an object.
                let problem = match problem {
                    watcher::Error::InitialListFailed(_) => "the list failed",
                    watcher::Error::WatchStartFailed(_) => "the watch does not start",
                    watcher::Error::WatchError(_) => "the API server ended the watch",
                    watcher::Error::WatchFailed(_) => "the watch broke",
                    watcher::Error::NoResourceVersion => "no resource version",
                };
                if state.broken {
                    debug!(what, problem, "still no watch");
                } else {
                    warn!(what, problem, "the watch is interrupted; trying again");
                }
                state.broken = true;
                None
            }
        }
    }

    /// A new list begins.
    pub(in crate::controllers) fn begin(&mut self, stream: usize) {
        if let Some(state) = self.streams.get_mut(stream) {
            state.list += 1;
        }
    }

    /// The list is complete; gives its number.
    pub(in crate::controllers) fn finish(&mut self, stream: usize) -> u32 {
        self.streams.get_mut(stream).map_or(0, |state| {
            state.complete = true;
            state.list
        })
    }

    /// The number of the current list.
    pub(in crate::controllers) fn list(&self, stream: usize) -> u32 {
        self.streams.get(stream).map_or(0, |state| state.list)
    }

    /// The number of the current list of the stream that covers `namespace`.
    pub(in crate::controllers) fn current(&self, namespaces: &Namespaces, namespace: &str) -> u32 {
        let covering = (0..self.streams.len()).find(|stream| namespaces.covers(*stream, namespace));
        covering.map_or(0, |stream| self.list(stream))
    }

    /// Whether every stream has completed a list.
    pub(in crate::controllers) fn is_complete(&self) -> bool {
        self.streams.iter().all(|state| state.complete)
    }
}
