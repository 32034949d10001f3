//! What `restore` and `import` say of keys that they put into a cluster.

use crate::custody::{Fate, Placed, Placement};
use crate::failure::{Outcome, refuse};
use crate::output::{self, BAD, DIM, GOOD, WARN};

/// One line a key.
pub(super) fn lines(placement: &Placement, namespace: &str, is_dry: bool) -> String {
    let mut text = String::new();
    if placement.made_namespace {
        let done = if is_dry { "would be made" } else { "made" };
        text.push_str(&format!("{GOOD}✓{GOOD:#} namespace {namespace} {done}\n"));
    }
    for placed in &placement.placed {
        text.push_str(&line(placed, namespace, is_dry));
    }
    text
}

fn line(placed: &Placed, namespace: &str, is_dry: bool) -> String {
    let Placed { keys, r#type, state, secret, outcome, note, .. } = placed;
    let (secret, keys) = (output::plain(secret), keys.join(", "));
    let kind = r#type.unwrap_or("");
    let note = note.as_ref().map_or_else(String::new, |note| format!(": {}", output::plain(note)));
    match outcome {
        Fate::Created => {
            let done = if is_dry { "would be created" } else { "created" };
            format!("{GOOD}✓{GOOD:#} {keys} {kind} {state}: Secret {namespace}/{secret} {done}{note}\n")
        }
        Fate::AlreadyThere => {
            format!("{DIM}={DIM:#} {keys} {kind} {state}: there already, in Secret {namespace}/{secret}{note}\n")
        }
        Fate::Refused => format!("{BAD}✗{BAD:#} Secret {secret} of the file is left out{note}\n"),
    }
}

/// What wrapped keys need.
pub(super) fn wrappers(placement: &Placement) -> String {
    let needed = placement.wrappers().into_iter();
    needed
        .map(|by| {
            format!("{WARN}Wrapped by {by}:{WARN:#} the controller needs its --key-wrapping flags for that to open with such a key\n")
        })
        .collect()
}

/// Exit code 1 where something was left out.
pub(super) fn verdict(placement: &Placement) -> Outcome {
    match placement.count(Fate::Refused) {
        0 => Ok(()),
        count => Err(refuse!("{count} Secret(s) of the file were left out, see above")),
    }
}
