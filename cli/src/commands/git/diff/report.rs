//! Changes in words: for a terminal, and for a comment in a pull request.

use bulla::seal::KeyId;

use super::{Found, Summary};
use crate::merge::compare::{Change, ObjectChange, ValueChange};
use crate::merge::seal::short;
use crate::output::{BAD, DIM, GOOD, HEAD, WARN, plain};

/// For a terminal.
pub(super) fn text(found: &Found, has_keys: bool) -> String {
    let mut text = String::new();
    for file in &found.files {
        let from = file.renamed_from.as_ref().map(|from| format!(" {DIM}(was {}){DIM:#}", plain(from)));
        text.push_str(&format!("{HEAD}{}{HEAD:#}{}\n", plain(&file.path), from.unwrap_or_default()));
        if let Some(problem) = &file.problem {
            text.push_str(&format!("  {WARN}not compared{WARN:#}: {}\n", plain(problem)));
        }
        for object in &file.objects {
            text.push_str(&format!("  SealedSecret {}{}\n", plain(&object.object), about(object)));
            let width = object.values.iter().map(|value| value.key.chars().count()).max().unwrap_or_default();
            for value in &object.values {
                let (style, mark) = match value.change {
                    Change::Added => (GOOD, "+"),
                    Change::Removed => (BAD, "-"),
                    Change::Changed => (WARN, "~"),
                    Change::Resealed => (DIM, "="),
                };
                let key = plain(&value.key);
                text.push_str(&format!("    {style}{mark}{style:#} {key:width$}  {}\n", sentence(value)));
            }
        }
    }
    text.push_str(&format!("{}\n", summary(&found.summary, has_keys)));
    text
}

/// For a comment in a pull request.
pub(super) fn markdown(found: &Found, has_keys: bool) -> String {
    let mut text = format!("### Sealed values\n\n{}\n", summary(&found.summary, has_keys));
    for file in &found.files {
        let from = file.renamed_from.as_ref().map(|from| format!(" (was {})", code(from)));
        text.push_str(&format!("\n**{}**{}\n\n", code(&file.path), from.unwrap_or_default()));
        if let Some(problem) = &file.problem {
            text.push_str(&format!("Not compared: {}\n", code(problem)));
            continue;
        }
        text.push_str("| object | key | what changed |\n| --- | --- | --- |\n");
        for object in &file.objects {
            let about = about(object);
            if object.values.is_empty() || !about.is_empty() {
                text.push_str(&format!("| {} | | {} |\n", code(&object.object), cell(&about)));
            }
            for value in &object.values {
                let (object, key) = (code(&object.object), code(&value.key));
                text.push_str(&format!("| {object} | {key} | {} |\n", cell(&sentence(value))));
            }
        }
    }
    text
}

const fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
        Change::Resealed => "sealed again",
    }
}

/// What changed of the object itself.
fn about(object: &ObjectChange) -> String {
    let mut parts = Vec::new();
    if object.change != Change::Changed {
        parts.push(word(object.change).to_owned());
    }
    parts.extend(object.renamed_from.as_ref().map(|from| format!("renamed from {}", plain(from))));
    parts.extend(object.scope.map(|[old, new]| format!("scope {old} -> {new}")));
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// What changed of a value.
fn sentence(value: &ValueChange) -> String {
    let mut parts = Vec::new();
    match (value.change, &value.before, &value.after) {
        (Change::Added, _, Some(told)) => {
            parts.push(format!("added: {} {}, {} bytes", told.format, told.kinds.join("+"), told.bytes));
            parts.extend(told.scope.map(|scope| scope.to_string()));
        }
        (Change::Removed, ..) => parts.push("removed".to_owned()),
        (Change::Added, ..) => parts.push("added".to_owned()),
        (Change::Resealed, ..) => parts.push(match value.same_value {
            Some(true) => "sealed again, the same value".to_owned(),
            _ => "sealed again; whether the value is the same takes a key to tell".to_owned(),
        }),
        (Change::Changed, before, after) => {
            let lengths = before.as_ref().zip(after.as_ref()).map(|(old, new)| (old.bytes, new.bytes));
            parts.push(match (value.same_value, lengths) {
                (Some(false), Some((old, new))) if old != new => format!("changed: {old} -> {new} bytes"),
                (Some(false), _) => "changed".to_owned(),
                _ => "changed, or sealed again to the same keys".to_owned(),
            });
        }
    }
    if let (Some(old), Some(new)) = (&value.before, &value.after) {
        if old.format != new.format || old.kinds != new.kinds {
            parts.push(format!("{} {} -> {} {}", old.format, old.kinds.join("+"), new.format, new.kinds.join("+")));
        }
        if let (Some(old), Some(new)) = (old.scope, new.scope)
            && old != new
        {
            parts.push(format!("scope {old} -> {new}"));
        }
    }
    let (added, removed) = (ids(&value.keys_added), ids(&value.keys_removed));
    parts.extend(match (value.change, added.is_empty(), removed.is_empty()) {
        (Change::Removed, ..) | (_, true, true) => None,
        (Change::Added, ..) => Some(format!("to {added}")),
        (_, false, true) => Some(format!("now also to {added}")),
        (_, true, false) => Some(format!("no longer to {removed}")),
        (_, false, false) => Some(format!("to {added} instead of {removed}")),
    });
    parts.extend(value.problem.as_ref().map(|problem| format!("{BAD}NOT SEALED: {}{BAD:#}", plain(problem))));
    parts.join(", ")
}

fn ids(ids: &[KeyId]) -> String {
    ids.iter().map(short).collect::<Vec<_>>().join(" ")
}

fn summary(summary: &Summary, has_keys: bool) -> String {
    let Summary { files, added, removed, changed, resealed, unproven } = summary;
    if *files == 0 {
        return "no sealed value changed".to_owned();
    }
    let advice = match (*unproven, has_keys) {
        (0, _) => String::new(),
        (some, false) => format!("; {some} of them may hold the same value or another: --identity tells"),
        (some, true) => format!("; {some} of them did not open with these keys"),
    };
    format!("{files} file(s): {added} added, {removed} removed, {changed} changed, {resealed} sealed again{advice}")
}

/// Text from a file, in backquotes that it cannot leave.
fn code(text: &str) -> String {
    format!("`{}`", plain(text).replace('`', "'").replace('|', "\\|"))
}

/// A sentence of ours in a cell of a table, without colours.
fn cell(text: &str) -> String {
    let plain_text: String = anstream::adapter::strip_str(text).to_string();
    plain_text.trim_start_matches(": ").replace('|', "\\|").replace('<', "&lt;").replace('`', "'")
}
