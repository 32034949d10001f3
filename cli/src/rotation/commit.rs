//! The commit of a run: its branch and its message.

use jiff::tz::TimeZone;

use super::board::count;
use super::keys::list;
use super::state::{Sealed, State};
use crate::failure::Outcome;
use crate::git::Checkout;
use crate::output::short;

/// The name of the branch: what was asked for, else one that says date and key and is not taken.
pub(super) fn branch_of(checkout: &Checkout, state: &State) -> Outcome<String> {
    if let Some(name) = &state.wish.branch {
        return Ok(name.clone());
    }
    let day = state.began.to_zoned(TimeZone::UTC).date();
    let key = state.new.iter().map(|key| key.id.as_str()).next_back().unwrap_or("key");
    let wanted = format!("bulla/rotate-{day}-{}", short(key));
    let mut name = wanted.clone();
    let mut number = 1;
    while checkout.end_of(&name)?.is_some() {
        number += 1;
        name = format!("{wanted}-{number}");
    }
    Ok(name)
}

/// What marks the commit of a run, also where a merge repeats its message.
pub(super) fn trailer(state: &State) -> String {
    format!("Bulla-Rotation: {}", state.id)
}

/// The commit of a run that was killed before it could note it.
pub(super) fn find(checkout: &Checkout, state: &State) -> Outcome<Option<String>> {
    let Some(branch) = &state.branch else { return Ok(None) };
    let Some(end) = checkout.end_of(branch)? else { return Ok(None) };
    let is_ours = checkout.mentions(&state.origin.commit, &end, &trailer(state))?;
    Ok(is_ours.then_some(end))
}

/// The message. It holds key ids and numbers, and nothing that is secret.
pub(super) fn message(state: &State, sealed: Sealed, has_rules: bool) -> String {
    let subject = match (state.old.as_slice(), state.new.as_slice()) {
        ([old], [new]) => format!("Rotate the sealing key: {} to {}", short(&old.id), short(&new.id)),
        (_, [new]) => format!("Rotate the sealing key: to {}", short(&new.id)),
        _ => "Rotate the sealing keys".to_owned(),
    };
    let rules = if has_rules { " The recipients in .bulla.yaml are changed in place." } else { "" };
    let failed = match sealed.failed {
        0 => String::new(),
        failed => format!("\n{} could not be sealed again and need the old key still.\n", count(failed, "value")),
    };
    format!(
        "{subject}\n\n\
         {} in {} sealed again to the new key.{rules}\n{failed}\n\
         The values themselves are what they were: whoever has the old private key\n\
         reads them in the history of this repository. Keep that key: earlier\n\
         commits, and a revert of this one, need it.\n\n\
         Old-Key: {}\nNew-Key: {}\n{}\n",
        count(sealed.values, "value"),
        count(sealed.files, "file"),
        list(&state.old),
        list(&state.new),
        trailer(state),
    )
}
