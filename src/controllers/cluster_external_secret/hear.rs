//! What the watch of ExternalSecrets says, as far as it matters to ClusterExternalSecrets.

use bulla_crds::ExternalSecret;
use futures::StreamExt as _;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc;

use super::children::Child;
use crate::controllers::api;
use crate::controllers::queue::Key;
use crate::controllers::watch::Streams;

/// What happened to ExternalSecrets.
pub(in crate::controllers) enum Heard {
    /// A list of all of them begins.
    Begun,
    /// There is one, or it changed; `None` is one that no ClusterExternalSecret controls.
    Seen(Key, Option<Box<Child>>),
    /// One is gone.
    Gone(Key),
    /// The list is complete.
    Listed,
}

/// Tells `sender` what passes by on the one stream `objects`.
pub(in crate::controllers) fn listen(
    objects: Streams<ExternalSecret>,
    sender: mpsc::UnboundedSender<Heard>,
) -> Streams<ExternalSecret> {
    Box::pin(objects.inspect(move |(_, said)| {
        let heard = match said {
            Ok(Event::Init) => Heard::Begun,
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                Heard::Seen(key(object), Child::of(object).map(Box::new))
            }
            Ok(Event::Delete(object)) => Heard::Gone(key(object)),
            Ok(Event::InitDone) => Heard::Listed,
            // Whoever has the stream deals with it.
            Err(_) => return,
        };
        // Nobody listens any more at shutdown only.
        sender.send(heard).ok();
    }))
}

fn key(object: &ExternalSecret) -> Key {
    let (namespace, name) = api::place(&object.metadata);
    Key::new(namespace, name)
}
