//! The objects that are meant, watched: a list first, then what changes, and a list again where the server has
//! forgotten where the watch was.

use std::pin::Pin;

use futures::stream::{Stream, StreamExt as _, select_all};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};

use super::{Observed, Selection};
use crate::args::SyncedKind;

/// Objects in one page of the list.
const PAGE: u32 = 500;

/// What a watch says.
pub(crate) enum Change {
    /// A list of that kind begins: what is not in it is gone.
    Begins(SyncedKind),
    /// It is complete.
    Listed(SyncedKind),
    /// An object is there, or has changed.
    Seen(Box<Observed>),
    /// An object is gone.
    Gone { kind: SyncedKind, namespace: String, name: String },
    /// The server cannot be asked, or refuses; it is asked again soon.
    Trouble { kind: SyncedKind, error: Box<watcher::Error> },
}

/// Watches the objects of `kinds` for ever.
pub(crate) fn changes(selection: &Selection, kinds: &[SyncedKind]) -> Pin<Box<dyn Stream<Item = Change>>> {
    let streams = kinds.iter().map(|kind| {
        let kind = *kind;
        let mut config = watcher::Config::default().page_size(PAGE);
        config.label_selector = selection.labels.clone();
        config.field_selector = selection.field(kind);
        let events = watcher(selection.api(kind), config).default_backoff();
        events.map(move |event| match event {
            Ok(Event::Init) => Change::Begins(kind),
            Ok(Event::InitDone) => Change::Listed(kind),
            Ok(Event::InitApply(object) | Event::Apply(object)) => Change::Seen(Box::new(Observed::of(kind, &object))),
            Ok(Event::Delete(object)) => Change::Gone {
                kind,
                namespace: object.metadata.namespace.unwrap_or_default(),
                name: object.metadata.name.unwrap_or_default(),
            },
            Err(error) => Change::Trouble { kind, error: Box::new(error) },
        })
    });
    Box::pin(select_all(streams.map(|stream| stream.boxed_local())))
}

impl Change {
    /// The HTTP code of a refusal, such as 403; `None` where the trouble is another.
    pub(crate) fn refusal(error: &watcher::Error) -> Option<u16> {
        match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status) => Some(status.code),
            watcher::Error::InitialListFailed(_)
            | watcher::Error::WatchStartFailed(_)
            | watcher::Error::WatchFailed(_)
            | watcher::Error::NoResourceVersion => None,
        }
    }
}
