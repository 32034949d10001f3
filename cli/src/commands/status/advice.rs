//! What to do next about an object, by the controller's reason.

use crate::args::SyncedKind;
use crate::objects::{Observed, State};

/// What to do next; `None` where there is nothing to do.
pub(super) fn next_step(object: &Observed) -> Option<String> {
    let Observed { namespace, name, kind, .. } = object;
    let word = match kind {
        SyncedKind::SealedSecret => "sealedsecret",
        SyncedKind::ExternalSecret => "externalsecret",
    };
    match object.state {
        State::Synced => None,
        State::Waiting if object.reason.as_deref() == Some("Deleting") => {
            Some("it is being deleted: a finalizer may hold it, see metadata.finalizers".to_owned())
        }
        State::Waiting | State::Stale | State::Unknown => Some(format!(
            "if this lasts, no controller is serving namespace {namespace}: look at its pods and its log, then \
             `bulla sync {word}/{name} -n {namespace}`"
        )),
        State::Failed => Some(match kind {
            SyncedKind::SealedSecret => sealed(object.reason.as_deref().unwrap_or_default(), namespace, name),
            SyncedKind::ExternalSecret => format!(
                "read the message; check the manifest with `bulla plan -f FILE` and the store it names with \
                 `kubectl get secretstore,clustersecretstore -n {namespace}`, then `bulla sync {word}/{name} -n {namespace}`"
            ),
        }),
    }
}

fn sealed(reason: &str, namespace: &str, name: &str) -> String {
    match reason {
        "UnknownKey" | "NoKeyOpens" => {
            "it was sealed for another cluster or its key is gone: seal the values again with `bulla seal`, or bring \
             the key back (see `bulla keys list`)"
                .to_owned()
        }
        "LockedKey" => {
            "its key cannot be unwrapped at present: look after what wraps it (log of the controller)".to_owned()
        }
        "RetiredKey" => "its key is retired: seal the values again with `bulla seal` or `bulla set`".to_owned(),
        "WrongScope" => format!(
            "the values belong to another name, namespace or data key: seal them for {namespace}/{name}, or put the \
             object back where it was; `bulla inspect FILE` shows where that is"
        ),
        "ScopeDisagrees" | "Unbound" => {
            "make the scope annotation of the object say what the values say; `bulla inspect FILE` shows it".to_owned()
        }
        "NotBase64" | "NotSealed" | "NotAString" | "Corrupt" | "TooLarge" | "UnknownVersion" | "Malformed" => {
            "the manifest is damaged: `bulla verify FILE` names the line; seal that value again".to_owned()
        }
        "SecretNotOwned" => format!(
            "Secret {namespace}/{name} is somebody else's: delete it, or annotate it \
             sealedsecrets.bitnami.com/managed=true to have it taken over"
        ),
        "ImmutableTarget" | "TypeConflict" => {
            format!("Secret {namespace}/{name} cannot be changed into this one: delete it, and it is made afresh")
        }
        "SecretTerminating" => format!("Secret {namespace}/{name} is being deleted; it is made afresh when it is gone"),
        "Forbidden" => "the controller may not write this Secret: check its Role in this namespace".to_owned(),
        "ApiServerError" | "ApiServerUnreachable" | "Throttled" | "Conflict" => {
            "nothing: the controller tries again by itself".to_owned()
        }
        _ => format!("read the message; after mending it, `bulla sync sealedsecret/{name} -n {namespace}`"),
    }
}
