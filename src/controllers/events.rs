//! Kubernetes events, on change only, when there is time for them.
//!
//! They go through a short queue to one sender that waits while many objects are being worked on; what does not fit is
//! dropped and counted. A bulk sync never pays for its events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::PostParams;
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::debug;

use super::api::{self, Api, FIELD_MANAGER};
use super::random;

/// How many events wait at most.
const QUEUE: usize = 128;
/// With more objects than this in work, events wait.
const BUSY: usize = 4;
/// The most characters of a note that Kubernetes takes.
const NOTE: usize = 1024;
/// The least time between two events.
const PACE: Duration = Duration::from_millis(50);

/// Normal or warning.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Normal,
    Warning,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// The object that an event is about.
pub(super) struct Regarding {
    /// Group and version.
    pub(super) api_version: &'static str,
    /// Kind.
    pub(super) kind: &'static str,
    /// Namespace; empty for what has none.
    pub(super) namespace: String,
    /// Name.
    pub(super) name: String,
    /// Identity.
    pub(super) uid: Option<String>,
}

/// Where events are left.
#[derive(Clone)]
pub(super) struct Events {
    queue: mpsc::Sender<Note>,
    in_flight: Load,
    dropped: Counter,
}

struct Note {
    namespace: String,
    body: Value,
}

/// Sends what is left at [`Events`].
pub(super) struct Sender {
    api: Api,
    queue: mpsc::Receiver<Note>,
    in_flight: Load,
}

/// How many objects are in work, kind by kind.
#[derive(Clone)]
pub(super) struct Load(pub(super) [Arc<AtomicUsize>; 2]);

impl Load {
    fn is_high(&self) -> bool {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).sum::<usize>() > BUSY
    }
}

/// A queue and its sender; `in_flight` is how many objects are in work.
pub(super) fn queue(api: Api, in_flight: Load, dropped: Counter) -> (Events, Sender) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Events { queue: sender, in_flight: in_flight.clone(), dropped }, Sender { api, queue: receiver, in_flight })
}

impl Events {
    /// Leaves an event, or drops it. `action` is what was being done.
    pub(super) fn post(
        &self,
        regarding: &Regarding,
        kind: Kind,
        action: &'static str,
        reason: &'static str,
        note: &str,
    ) {
        // In a bulk sync, what went well is not worth a call for each object: their conditions say it.
        let is_worth_it = matches!(kind, Kind::Warning) || !self.in_flight.is_high();
        let Some(place) = is_worth_it.then(|| self.queue.try_reserve().ok()).flatten() else {
            self.dropped.inc();
            return;
        };
        // Events about what has no namespace are kept in this one, as Kubernetes does.
        let namespace = Some(regarding.namespace.as_str()).filter(|name| !name.is_empty()).unwrap_or("default");
        let note: String = note.chars().take(NOTE).collect();
        let body = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": event_name(&regarding.name), "namespace": namespace },
            "eventTime": format!("{:.6}", Timestamp::now()),
            "reportingController": "bulla-controller",
            "reportingInstance": "bulla-controller",
            "type": kind.as_str(),
            "action": action,
            "reason": reason,
            "note": note,
            "regarding": {
                "apiVersion": regarding.api_version,
                "kind": regarding.kind,
                "namespace": regarding.namespace,
                "name": regarding.name,
                "uid": regarding.uid,
            },
        });
        place.send(Note { namespace: namespace.to_owned(), body });
    }
}

/// A name for an event: that of its object, shortened so that a random part fits behind it.
fn event_name(object: &str) -> String {
    let end = object.char_indices().nth(236).map_or(object.len(), |(end, _)| end);
    format!("{}.{:016x}", object[..end].trim_end_matches(['-', '.']), random())
}

impl Sender {
    /// Sends until every [`Events`] is gone. A failed event is not tried again.
    pub(super) async fn run(mut self) {
        while let Some(note) = self.queue.recv().await {
            while self.in_flight.is_high() {
                tokio::time::sleep(PACE).await;
            }
            if let Err(error) = self.send(&note).await {
                debug!(%error, "an event was not taken");
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn send(&self, note: &Note) -> Result<(), api::ApiError> {
        let body = serde_json::to_vec(&note.body).map_err(|_| api::ApiError::Unreadable)?;
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let request = api::at::<Event>(&note.namespace).create(&parameters, body)?;
        self.api.write(api::with_body(request)).await.map(drop)
    }
}
