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
    /// Whether the API server refuses it for want of rights.
    refused: bool,
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
                    (state.broken, state.refused) = (false, false);
                    info!(what, "the watch is back");
                }
                Some(event)
            }
            Err(problem) => {
                state.refused = is_refused(&problem);
                // Kinds of errors only: the text of an error may quote an object.
                let problem = match problem {
                    watcher::Error::InitialListFailed(_) if state.refused => "the controller may not list them",
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

    /// Whether the stream is refused for want of rights.
    pub(in crate::controllers) fn is_refused(&self, stream: usize) -> bool {
        self.streams.get(stream).is_some_and(|state| state.refused)
    }

    /// Whether every stream has completed a list. One namespace that the controller has no rights in does not keep the
    /// others waiting; where it has rights in none, nothing is known.
    pub(in crate::controllers) fn is_complete(&self) -> bool {
        let known = |state: &Stream| state.complete;
        self.streams.iter().all(|state| known(state) || state.refused)
            && (self.streams.is_empty() || self.streams.iter().any(known))
    }
}

/// Whether the API server answered that the controller has not got the right, as it does where a namespace, and with it
/// the binding in it, is still to come.
fn is_refused(problem: &watcher::Error) -> bool {
    match problem {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 403,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_rights_does_not_keep_the_others_waiting() {
        let status = kube::core::Status { code: 403, ..kube::core::Status::default() };
        let refused =
            || Err::<Event<()>, _>(watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status.clone()))));
        let mut known = Known::new(2);
        assert!(known.heard(0, refused(), "things").is_none() && known.is_refused(0));
        assert!(!known.is_complete(), "the other is not known yet");
        known.finish(1);
        assert!(known.is_complete());
        let mut known = Known::new(1);
        known.heard(0, refused(), "things");
        assert!(!known.is_complete(), "nothing is known at all");
    }
}
