//! A merge finished: the sealed values in conflict, found in a file, and which side's to take.

use std::ops::Range;

use bulla::seal::Keyring;

use super::conflict::{self, Part, Reading};
use super::seal::Seal;
use super::{compare, pairing};
use crate::document::{Document, Manifest};

/// One value in conflict.
#[derive(Debug)]
pub(crate) struct Disputed {
    /// Which part of the text it is.
    pub(crate) part: usize,
    pub(crate) key: String,
    /// The object with all conflicts taken from ours, and from theirs.
    pub(crate) objects: [Manifest; 2],
    /// The values; `None` where it was taken out.
    pub(crate) ours: Option<String>,
    pub(crate) theirs: Option<String>,
}

/// Whose value to take, and why; or why nobody can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Ours(&'static str),
    Theirs(&'static str),
    Neither(&'static str),
}

/// A text as one side has it, and where its conflicts are in it.
struct Version {
    document: Document,
    ranges: Vec<(usize, Range<usize>)>,
}

/// The parts of a text that are one sealed value in conflict.
///
/// # Errors
/// In words, where the text cannot be read as either side has it: then what is in a conflict cannot be told.
pub(crate) fn find(parts: &[Part<'_>]) -> Result<Vec<Disputed>, String> {
    let version = |reading, name: &str| {
        version(parts, reading).map_err(|error| format!("with every conflict as {name} has it, {error}"))
    };
    let (ours, theirs) = (version(Reading::Ours, "ours")?, version(Reading::Theirs, "theirs")?);
    let list = |version: &Version| -> Vec<(usize, Manifest)> {
        version.document.sealed_secrets().map(|(index, manifest)| (index, manifest.clone())).collect()
    };
    let (our_objects, their_objects) = (list(&ours), list(&theirs));
    let of = |objects: &'_ [(usize, Manifest)]| -> Vec<Manifest> {
        objects.iter().map(|(_, manifest)| manifest.clone()).collect()
    };
    let (one, other) = (of(&our_objects), of(&their_objects));
    let pairs = pairing::pairs(&one.iter().collect::<Vec<_>>(), &other.iter().collect::<Vec<_>>());
    let mut found = Vec::new();
    for ((part, our_range), (_, their_range)) in ours.ranges.iter().zip(&theirs.ranges) {
        let (Some(a), Some(b)) = (ours.entry(our_range), theirs.entry(their_range)) else { continue };
        let key = match (&a, &b) {
            (Some((_, a)), Some((_, b))) if a != b => continue,
            (Some((_, key)), _) | (None, Some((_, key))) => key.clone(),
            (None, None) => continue,
        };
        let index_of = |side: &Option<(usize, String)>, objects: &[(usize, Manifest)]| {
            let (manifest, _) = side.as_ref()?;
            objects.iter().position(|(index, _)| index == manifest)
        };
        let (at, bt) = (index_of(&a, &our_objects), index_of(&b, &their_objects));
        let Some((at, bt)) = pairs.iter().find(|(x, y)| at.is_none_or(|at| at == *x) && bt.is_none_or(|bt| bt == *y))
        else {
            continue;
        };
        let value = |side: &Option<(usize, String)>, object: &Manifest| {
            side.as_ref().and_then(|_| object.entry(&key)?.value.clone())
        };
        let objects = [one[*at].clone(), other[*bt].clone()];
        let (ours, theirs) = (value(&a, &objects[0]), value(&b, &objects[1]));
        found.push(Disputed { part: *part, key, objects, ours, theirs });
    }
    Ok(found)
}

fn version(parts: &[Part<'_>], reading: Reading) -> Result<Version, String> {
    let (mut text, mut ranges) = (String::new(), Vec::new());
    for (index, part) in parts.iter().enumerate() {
        let start = text.len();
        match part {
            Part::Text(lines) => text.push_str(lines),
            Part::Dispute(dispute) => {
                text.push_str(dispute.read(reading));
                ranges.push((index, start..text.len()));
            }
        }
    }
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    Ok(Version { document, ranges })
}

impl Version {
    /// What is in these lines: `Some(None)` is nothing but white space and comments, `None` anything but one entry.
    #[expect(clippy::option_option, reason = "nothing is not the same as something else")]
    fn entry(&self, range: &Range<usize>) -> Option<Option<(usize, String)>> {
        let text = self.document.text();
        let mut inside = Vec::new();
        for (index, _) in self.document.sealed_secrets() {
            let Ok(layout) = self.document.layout(index) else { continue };
            for entry in layout.entries {
                if entry.body.start >= range.start && entry.body.end <= range.end {
                    inside.push((index, entry));
                }
            }
        }
        let rest = match inside.as_slice() {
            [] => text[range.clone()].to_owned(),
            [(_, entry)] => format!("{}{}", &text[range.start..entry.body.start], &text[entry.body.end..range.end]),
            _ => return None,
        };
        let is_nothing = |line: &str| {
            let line = line.trim();
            line.is_empty() || line == "," || line.starts_with('#')
        };
        rest.lines().all(is_nothing).then(|| inside.pop().map(|(index, entry)| (index, entry.key)))
    }
}

/// What both sides come from.
pub(crate) enum Base {
    /// Nobody knows.
    Unknown,
    /// It was not there.
    Nothing,
    /// The value, in its object.
    Value(Box<Manifest>, String),
}

/// Chooses by what is in the values: the same value under two seals is no conflict, and a side that only sealed it
/// again gives way to one that changed it. `sources` are the objects that the values are from.
pub(crate) fn by_value(disputed: &Disputed, sources: [&Manifest; 2], base: &Base, keyring: &Keyring) -> Choice {
    let key = &disputed.key;
    let open = |object: &Manifest, value: &str| compare::open(keyring, object, key, value);
    let before = match base {
        Base::Value(object, value) => match open(object, value) {
            Some(before) => Some(before),
            None => return Choice::Neither("the value that both come from does not open with these keys"),
        },
        Base::Unknown | Base::Nothing => None,
    };
    match (&disputed.ours, &disputed.theirs) {
        (Some(ours), Some(theirs)) => {
            let Some(a) = open(sources[0], ours) else { return Choice::Neither("ours does not open with these keys") };
            let Some(b) = open(sources[1], theirs) else {
                return Choice::Neither("theirs does not open with these keys");
            };
            if a.same_as(b.expose()) {
                return match newest(disputed) {
                    Choice::Theirs(_) => Choice::Theirs("both hold the same value, and theirs was sealed later"),
                    Choice::Ours(_) | Choice::Neither(_) => Choice::Ours("both hold the same value"),
                };
            }
            match before {
                Some(before) if before.same_as(a.expose()) => Choice::Theirs("ours was only sealed again"),
                Some(before) if before.same_as(b.expose()) => Choice::Ours("theirs was only sealed again"),
                Some(_) => Choice::Neither("both sides changed the value"),
                None => Choice::Neither("the values differ, and what they come from is not known"),
            }
        }
        (Some(left), None) | (None, Some(left)) => {
            let is_ours = disputed.ours.is_some();
            let source = sources[usize::from(!is_ours)];
            let Some(left) = open(source, left) else {
                return Choice::Neither("the value does not open with these keys");
            };
            let gone = if is_ours { Choice::Theirs } else { Choice::Ours };
            let stays = if is_ours { Choice::Ours } else { Choice::Theirs };
            match (before, base) {
                (Some(before), _) if before.same_as(left.expose()) => {
                    gone("it was taken out there, and only sealed again here")
                }
                (Some(_), _) => Choice::Neither("one side took it out and the other changed it"),
                (None, Base::Nothing) => stays("it is new"),
                (None, _) => Choice::Neither("one side took it out, and what the other comes from is not known"),
            }
        }
        (None, None) => Choice::Neither("it is on neither side"),
    }
}

/// Chooses the value that was sealed later, as both say.
pub(crate) fn newest(disputed: &Disputed) -> Choice {
    let day = |value: &Option<String>| {
        let seal = Seal::of(value.as_deref());
        Some(seal.facts()?.binding.as_ref()?.sealed)
    };
    match (day(&disputed.ours), day(&disputed.theirs)) {
        (Some(a), Some(b)) if a > b => Choice::Ours("it was sealed later"),
        (Some(a), Some(b)) if a < b => Choice::Theirs("it was sealed later"),
        (Some(_), Some(_)) => Choice::Neither("both were sealed on the same day"),
        _ => Choice::Neither("one of them does not say when it was sealed"),
    }
}

/// The text with some conflicts decided: by the part that each is, what takes its place.
pub(crate) fn decided(parts: &[Part<'_>], chosen: &[(usize, String)]) -> String {
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        match (part, chosen.iter().find(|(part, _)| *part == index)) {
            (Part::Dispute(_), Some((_, lines))) => {
                text.push_str(lines);
                let closes = |part: Option<&Part<'_>>| matches!(part, Some(Part::Text(next)) if next.trim_start().starts_with('}'));
                // In braces, the entry that is the last one now has no comma.
                if lines.is_empty() && text.trim_end().ends_with(',') && closes(parts.get(index + 1)) {
                    let comma = text.trim_end().len() - 1;
                    text.remove(comma);
                }
            }
            (Part::Dispute(dispute), None) => text.push_str(dispute.whole),
            (Part::Text(lines), _) => text.push_str(lines),
        }
    }
    text
}

/// How many conflicts a text has.
pub(crate) fn count(text: &str, size: usize) -> usize {
    conflict::parts(text, size).iter().filter(|part| matches!(part, Part::Dispute(_))).count()
}
