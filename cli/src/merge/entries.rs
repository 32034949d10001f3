//! The entries of one SealedSecret, merged by data key.
//!
//! An entry is three pieces of text that merge apart from each other: the comment lines above it, key and value, and the
//! comment behind. A piece that only one side changed is that side's; where both changed it and the values differ, the
//! key is a conflict. Whether a new ciphertext holds a new value cannot be seen without a key, so every new ciphertext
//! counts as a change.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Document, DocumentError, Layout, Manifest, Placed};

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
}

/// The `encryptedData` of one object in one of the texts.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// Of its manifest in the document.
    pub(super) index: usize,
    pub(super) manifest: &'a Manifest,
    pub(super) layout: Layout,
    text: &'a str,
}

/// How entries are written: what has to be the same for them to stand side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) is_flow: bool,
    /// White space before the keys.
    pub(super) indent: String,
    pub(super) newline: &'static str,
}

/// One entry as text, in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Whole lines.
    pub(super) lead: String,
    /// Key and value.
    pub(super) body: String,
    /// The rest of the line.
    pub(super) trail: String,
    pub(super) value: Option<String>,
}

/// What both sides did to one key.
#[derive(Clone, Debug)]
pub(super) struct Conflict {
    pub(super) key: String,
    pub(super) why: Why,
    pub(super) ours: Option<Piece>,
    pub(super) base: Option<Piece>,
    pub(super) theirs: Option<Piece>,
}

/// Why nobody but a person can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Both have another ciphertext than the base.
    Changed,
    /// Both added it.
    Added,
    /// That side took it out, the other changed it.
    Removed(Side),
    /// The comments around it.
    Comments,
    /// That side's value was sealed for a place where the merged object is not.
    Misplaced(Side),
}

/// An entry of the result.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) key: String,
    /// Comment lines that both sides agree on.
    lead: String,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// Key, value and comment, and whose value it is.
    Entry {
        text: String,
        value: Option<String>,
        from: Side,
    },
    Conflict(Box<Conflict>),
}

/// The result for one object.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) frame: Frame,
    head: String,
    pub(super) items: Vec<Item>,
    foot: String,
}

/// Why entries cannot be merged by key.
pub(super) type Reason = &'static str;

impl<'a> Block<'a> {
    /// The entries of a SealedSecret.
    pub(super) fn of(document: &'a Document, index: usize) -> Result<Self, DocumentError> {
        let manifest = document.manifests().get(index).ok_or(DocumentError::NoManifest { manifest: index })?;
        Ok(Self { index, manifest, layout: document.layout(index)?, text: document.text() })
    }

    /// `None` without entries: then it fits into any frame.
    fn frame(&self) -> Option<Frame> {
        let first = self.layout.entries.first()?;
        let is_flow = self.layout.is_flow;
        let lines = &self.text[self.layout.range()];
        let newline =
            if lines.contains("\r\n") || (!lines.contains('\n') && self.text.contains("\r\n")) { "\r\n" } else { "\n" };
        // The body of an entry in lines begins with its line.
        let indent = if is_flow { String::new() } else { self.text[first.body.start..][..first.indent].to_owned() };
        Some(Frame { is_flow, indent, newline })
    }

    fn pieces(&self, own: Option<&Frame>, frame: &Frame) -> BTreeMap<&str, Piece> {
        let piece = |entry| {
            let entry: &Placed = entry;
            let value = self.manifest.entry(&entry.key).and_then(|entry| entry.value.clone());
            let text = |range: std::ops::Range<usize>| {
                own.map_or_else(String::new, |own| refit(&self.text[range], own, frame))
            };
            // In braces there is only white space before an entry, and it belongs to the place, not to the entry.
            let lead = if frame.is_flow { String::new() } else { text(entry.lead.clone()) };
            let end = entry.value.end.max(entry.body.start);
            let piece = Piece { lead, body: text(entry.body.start..end), trail: text(end..entry.body.end), value };
            (entry.key.as_str(), piece)
        };
        self.layout.entries.iter().map(piece).collect()
    }

    fn keys(&self) -> Vec<&str> {
        self.layout.entries.iter().map(|entry| entry.key.as_str()).collect()
    }
}

/// Lines of one frame as lines of another.
fn refit(text: &str, from: &Frame, to: &Frame) -> String {
    if from == to || from.is_flow {
        return text.to_owned();
    }
    let lines = text.split_inclusive('\n').map(|line| {
        let bare = line.trim_end_matches(['\r', '\n']);
        let is_whole = bare.len() < line.len();
        let shifted = bare.strip_prefix(from.indent.as_str()).map(|rest| format!("{}{rest}", to.indent));
        format!("{}{}", shifted.unwrap_or_else(|| bare.to_owned()), if is_whole { to.newline } else { "" })
    });
    lines.collect()
}

/// Merges the entries of one object; the keys in `misplaced` are conflicts whatever else is true of them.
///
/// # Errors
/// When the texts are written in ways that do not go together: then only whole lines can be merged.
pub(super) fn merge(
    base: Option<&Block<'_>>,
    ours: &Block<'_>,
    theirs: &Block<'_>,
    misplaced: &BTreeMap<String, Side>,
) -> Result<Entries, Reason> {
    let [own_base, own_ours, own_theirs] = [base, Some(ours), Some(theirs)].map(|block| block.and_then(Block::frame));
    let frame = match (&own_ours, &own_theirs) {
        (Some(a), Some(b)) if a.is_flow != b.is_flow => {
            return Err("one side writes the values in braces, the other in lines");
        }
        (Some(a), Some(b)) => {
            if own_base.as_ref() == Some(a) {
                b
            } else {
                a
            }
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Err("there are no values"),
    }
    .clone();
    if own_base.as_ref().is_some_and(|base| base.is_flow != frame.is_flow) {
        return Err("the values were in braces and are in lines, or the other way round");
    }
    let none = BTreeMap::new();
    let base_pieces = base.map_or(none, |base| base.pieces(own_base.as_ref(), &frame));
    let our_pieces = ours.pieces(own_ours.as_ref(), &frame);
    let their_pieces = theirs.pieces(own_theirs.as_ref(), &frame);

    let mut items = Vec::new();
    let base_keys = base.map(Block::keys).unwrap_or_default();
    for key in order(&base_keys, &ours.keys(), &theirs.keys()) {
        let [o, a, b] = [&base_pieces, &our_pieces, &their_pieces].map(|pieces| pieces.get(key));
        let item = match misplaced.get(key) {
            Some(side) => Some(conflict(key, Why::Misplaced(*side), o, a, b)),
            None => one_key(key, o, a, b),
        };
        items.extend(item);
    }
    say_once(&mut items, &base_pieces);
    let head = head(base, ours, theirs, &frame).ok_or("both sides changed the comment at encryptedData")?;
    let framing = if own_ours.as_ref() == Some(&frame) { ours } else { theirs };
    Ok(Entries { head, foot: framing.text[framing.layout.foot.clone()].to_owned(), items, frame }.spaced(framing))
}

/// What stands before the entries, from those texts that have entries.
fn head(base: Option<&Block<'_>>, ours: &Block<'_>, theirs: &Block<'_>, frame: &Frame) -> Option<String> {
    let of = |block: &Block<'_>| {
        let head = &block.text[block.layout.head.clone()];
        (!block.layout.entries.is_empty()).then(|| head.replace("\r\n", "\n").replace('\n', frame.newline))
    };
    match (base.and_then(of), of(ours), of(theirs)) {
        (base, Some(a), Some(b)) => three_way(base.as_deref(), &a, &b).map(str::to_owned),
        (_, Some(one), None) | (_, None, Some(one)) => Some(one),
        (_, None, None) => None,
    }
}

/// The one that changed, if only one did.
fn three_way<'t>(base: Option<&str>, ours: &'t str, theirs: &'t str) -> Option<&'t str> {
    if ours == theirs || Some(theirs) == base {
        Some(ours)
    } else if Some(ours) == base {
        Some(theirs)
    } else {
        None
    }
}

/// Every key that any text has, in an order that keeps what both sides say of it as far as they agree.
fn order<'t>(base: &[&'t str], ours: &[&'t str], theirs: &[&'t str]) -> Vec<&'t str> {
    let set = |keys: &[&'t str]| keys.iter().copied().collect::<BTreeSet<&str>>();
    let (known, in_ours) = (set(base), set(ours));
    // A side that only put keys in or took them out keeps the order of the base: then the other's order holds.
    let kept = base.iter().filter(|key| in_ours.contains(*key));
    let keeps_order = ours.iter().filter(|key| known.contains(*key)).eq(kept);
    let (first, second) = if keeps_order { (theirs, ours) } else { (ours, theirs) };
    let in_second = set(second);
    let mut result: Vec<&str> = first.to_vec();
    for keys in [second, base] {
        let mut at = 0;
        for key in keys {
            if let Some(found) = result.iter().position(|known| known == key) {
                at = found + 1;
                continue;
            }
            // Behind the key that it follows. What both sides put there: ours, then theirs.
            if !keeps_order {
                let is_new = |other: &&&str| !known.contains(**other) && !in_second.contains(**other);
                at += result[at..].iter().take_while(is_new).count();
            }
            result.insert(at, key);
            at += 1;
        }
    }
    result
}

/// One key; `None` if it is gone.
fn one_key(key: &str, base: Option<&Piece>, ours: Option<&Piece>, theirs: Option<&Piece>) -> Option<Item> {
    let (a, b) = match (ours, theirs) {
        (Some(a), Some(b)) => (a, b),
        (None, None) => return None,
        (Some(one), None) | (None, Some(one)) => {
            let (here, gone) = if ours.is_some() { (Side::Ours, Side::Theirs) } else { (Side::Theirs, Side::Ours) };
            return match base {
                Some(base) if base == one => None,
                Some(_) => Some(conflict(key, Why::Removed(gone), base, ours, theirs)),
                None => Some(entry(key, one.lead.clone(), &one.trail, one, here)),
            };
        }
    };
    let part = |part: fn(&Piece) -> &String| three_way(base.map(|base| part(base).as_str()), part(a), part(b));
    let from = body(base, a, b);
    let Some(from) = from else {
        let why = if base.is_some() { Why::Changed } else { Why::Added };
        return Some(conflict(key, why, base, ours, theirs));
    };
    let (Some(lead), Some(trail)) = (part(|piece| &piece.lead), part(|piece| &piece.trail)) else {
        return Some(conflict(key, Why::Comments, base, ours, theirs));
    };
    Some(entry(key, lead.to_owned(), trail, if from == Side::Ours { a } else { b }, from))
}

/// Whose key and value it is.
fn body(base: Option<&Piece>, ours: &Piece, theirs: &Piece) -> Option<Side> {
    let by = |part: fn(&Piece) -> Option<&str>| {
        let [o, a, b] = [base.and_then(part), part(ours), part(theirs)];
        if a == b || (base.is_some() && b == o) {
            Some(Side::Ours)
        } else {
            (base.is_some() && a == o).then_some(Side::Theirs)
        }
    };
    // Where both wrote it in another way, the value decides.
    let has_values = ours.value.is_some() && theirs.value.is_some();
    by(|piece| Some(&piece.body)).or_else(|| by(|piece| piece.value.as_deref()).filter(|_| has_values))
}

/// Both sides may have put a new key under the same comment: it stays above the first of them.
fn say_once(items: &mut [Item], base: &BTreeMap<&str, Piece>) {
    for index in 1..items.len() {
        let [before, item] = &mut items[index - 1..=index] else { continue };
        let is_new = |item: &Item| !base.contains_key(item.key.as_str());
        let both = match (&before.what, &item.what) {
            (What::Entry { from: one, .. }, What::Entry { from: other, .. }) => one != other,
            _ => false,
        };
        if both && is_new(before) && is_new(item) && before.lead == item.lead {
            item.lead.clear();
        }
    }
}

fn entry(key: &str, lead: String, trail: &str, piece: &Piece, from: Side) -> Item {
    let text = format!("{}{trail}", piece.body);
    Item { key: key.to_owned(), lead, what: What::Entry { text, value: piece.value.clone(), from } }
}

/// Comment lines that the sides agree on stay out of it.
fn conflict(key: &str, why: Why, base: Option<&Piece>, ours: Option<&Piece>, theirs: Option<&Piece>) -> Item {
    let lead = |piece: Option<&Piece>| piece.map(|piece| piece.lead.clone());
    let agreed = match (lead(base), lead(ours), lead(theirs)) {
        (base, Some(a), Some(b)) => three_way(base.as_deref(), &a, &b).map(str::to_owned),
        (base, Some(one), None) | (base, None, Some(one)) => {
            (base.is_none() || base == Some(one.clone())).then_some(one)
        }
        (base, None, None) => base,
    };
    let without_lead = |piece: Option<&Piece>| {
        let mut piece = piece?.clone();
        if agreed.is_some() {
            piece.lead.clear();
        }
        Some(piece)
    };
    let [base, ours, theirs] = [base, ours, theirs].map(without_lead);
    let conflict = Conflict { key: key.to_owned(), why, ours, base, theirs };
    Item { key: key.to_owned(), lead: agreed.unwrap_or_default(), what: What::Conflict(Box::new(conflict)) }
}

impl Entries {
    /// In braces, white space between entries belongs to their places: as it is in the text that gives the frame.
    fn spaced(mut self, framing: &Block<'_>) -> Self {
        if !self.frame.is_flow {
            return self;
        }
        let leads: Vec<&str> = framing.layout.entries.iter().map(|entry| &framing.text[entry.lead.clone()]).collect();
        let first = leads.first().copied().unwrap_or_default();
        let next = leads.get(1).copied().unwrap_or(if first.contains('\n') { first } else { " " });
        for (index, item) in self.items.iter_mut().enumerate() {
            item.lead = if index == 0 { first } else { next }.to_owned();
        }
        self
    }

    /// The conflicts, in order.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.items.iter().filter_map(|item| match &item.what {
            What::Conflict(conflict) => Some(&**conflict),
            What::Entry { .. } => None,
        })
    }

    /// All of it as text, from behind the colon; `stand_in` writes the entry that stands for a conflict.
    pub(super) fn text(&self, mut stand_in: impl FnMut(&Conflict) -> String) -> String {
        let newline = self.frame.newline;
        if self.items.is_empty() && !self.frame.is_flow {
            return format!(" {{}}{}", self.head.trim_end_matches(['\r', '\n']));
        }
        let items = self.items.iter().map(|item| {
            let text = match &item.what {
                What::Entry { text, .. } => text.clone(),
                What::Conflict(conflict) => stand_in(conflict),
            };
            format!("{}{text}", item.lead)
        });
        let between = if self.frame.is_flow { "," } else { newline };
        format!("{}{}{}", self.head, items.collect::<Vec<_>>().join(between), self.foot)
    }
}
