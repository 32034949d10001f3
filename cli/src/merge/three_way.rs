//! Whole texts, merged: sealed values by data key, everything else line by line as Git does.
//!
//! The merged entries of an object are put into all three texts in place of their own. Then the texts agree there, and
//! Git's merge of the rest cannot stumble over it: comments, order, other documents and metadata come out as Git merges
//! them. A key in conflict is one line that stands for it, and becomes the marked conflict afterwards.
//!
//! The result is checked by reading it, once from each side where it has conflicts: every SealedSecret in it must be one
//! that was merged, with exactly the entries that were worked out, or one that only one side has, untouched. If anything
//! is odd, Git's own merge of the original texts is the result.

use std::collections::BTreeMap;
use std::ops::Range;

use bulla::seal::Scope;
use rustix::rand::{GetRandomFlags, getrandom};

use super::conflict::{self, Reading};
use super::entries::{self, Block, Entries, Reason, Side, What, Why};
use super::text::{self, Marks, Merged, Settings};
use super::{pairing, seal};
use crate::document::{Document, Manifest};
use crate::failure::{OrFail as _, Outcome};

/// What to merge.
pub(crate) struct Texts<'a> {
    pub(crate) base: &'a [u8],
    pub(crate) ours: &'a [u8],
    pub(crate) theirs: &'a [u8],
}

/// What came out, and what to say of it.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) merged: Merged,
    /// The keys in conflict.
    pub(crate) disputes: Vec<Dispute>,
    /// Why sealed values were merged line by line, if they were.
    pub(crate) fallback: Option<String>,
}

/// A key in conflict.
#[derive(Debug)]
pub(crate) struct Dispute {
    /// Namespace and name of its object, as ours has it.
    pub(crate) object: String,
    pub(crate) key: String,
    pub(crate) why: Why,
    /// What the seals of both sides tell; `None` where the key is not there.
    pub(crate) ours: Option<String>,
    pub(crate) theirs: Option<String>,
}

/// An object that both sides have.
struct Trio<'a> {
    base: Option<Block<'a>>,
    ours: Block<'a>,
    theirs: Block<'a>,
}

/// The documents of the three texts.
struct Documents {
    base: Option<Document>,
    ours: Document,
    theirs: Document,
}

/// Merges the texts.
///
/// # Errors
/// When Git cannot be run.
pub(crate) fn merge(texts: &Texts<'_>, marks: &Marks, settings: &Settings) -> Outcome<Verdict> {
    let reason = match by_key(texts, marks, settings)? {
        Ok(verdict) => return Ok(verdict),
        Err(reason) => reason,
    };
    let mut merged = text::merge(texts.base, texts.ours, texts.theirs, marks, settings)?;
    if reason.is_some() && !merged.conflicts {
        // Lines that merge may still be a file that nobody can read: the same key twice.
        let reads = |text: &[u8]| document(text).is_some();
        merged.conflicts = reads(texts.ours) && reads(texts.theirs) && !reads(&merged.text);
    }
    Ok(Verdict { merged, disputes: Vec::new(), fallback: reason.map(str::to_owned) })
}

/// `Err(None)` where there is nothing to merge by key, `Err(Some)` where it cannot be done.
type ByKey = Result<Verdict, Option<Reason>>;

fn by_key(texts: &Texts<'_>, marks: &Marks, settings: &Settings) -> Outcome<ByKey> {
    let all = [texts.base, texts.ours, texts.theirs];
    if !all.iter().any(|text| mentions_sealed_secrets(text)) {
        return Ok(Err(None));
    }
    let Some(documents) = documents(texts) else {
        return Ok(Err(Some("one of the versions cannot be read as YAML or JSON")));
    };
    let trios = match trios(&documents) {
        Ok(trios) => trios,
        Err(reason) => return Ok(Err(Some(reason))),
    };
    if trios.is_empty() {
        return Ok(Err(None));
    }
    let nonce = nonce()?;
    let mut misplaced: Vec<BTreeMap<String, Side>> = vec![BTreeMap::new(); trios.len()];
    // At the second look, what the first one found misplaced is a conflict.
    for _ in 0..2 {
        let attempt = Attempt { documents: &documents, trios: &trios, nonce: &nonce };
        match attempt.run(&misplaced, marks, settings)? {
            Ok((verdict, found)) if found.iter().all(BTreeMap::is_empty) => return Ok(Ok(verdict)),
            Ok((_, found)) => misplaced = found,
            Err(reason) => return Ok(Err(Some(reason))),
        }
    }
    Ok(Err(Some("values would stand where they do not open")))
}

struct Attempt<'a> {
    documents: &'a Documents,
    trios: &'a [Trio<'a>],
    nonce: &'a str,
}

/// What was worked out for a trio, the entries that the result must have, and whose value each is.
type Expected = BTreeMap<String, Option<String>>;

impl Attempt<'_> {
    #[expect(clippy::type_complexity, reason = "a verdict, and the values that turned out to be misplaced")]
    fn run(
        &self,
        misplaced: &[BTreeMap<String, Side>],
        marks: &Marks,
        settings: &Settings,
    ) -> Outcome<Result<(Verdict, Vec<BTreeMap<String, Side>>), Reason>> {
        let merged: Result<Vec<Entries>, Reason> = self
            .trios
            .iter()
            .zip(misplaced)
            .map(|(trio, misplaced)| entries::merge(trio.base.as_ref(), &trio.ours, &trio.theirs, misplaced))
            .collect();
        let merged = match merged {
            Ok(merged) => merged,
            Err(reason) => return Ok(Err(reason)),
        };
        let filled = self.filled(&merged);
        let [base, ours, theirs] = &filled;
        let lines = text::merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), marks, settings)?;
        let Ok(text) = String::from_utf8(lines.text) else { return Ok(Err("the result is not UTF-8")) };
        let found = match self.check(&text, lines.conflicts, &merged, marks.size) {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        let (text, disputes) = match self.show(text, &merged, marks) {
            Ok(shown) => shown,
            Err(reason) => return Ok(Err(reason)),
        };
        // Those that are conflicts already need not be found again.
        let found = found.into_iter().zip(misplaced).map(|(mut found, known)| {
            found.retain(|key, _| !known.contains_key(key));
            found
        });
        let conflicts = lines.conflicts || !disputes.is_empty();
        let merged = Merged { text: text.into_bytes(), conflicts };
        Ok(Ok((Verdict { merged, disputes, fallback: None }, found.collect())))
    }

    /// The value that stands for a conflict. No file has it.
    fn stand_in(&self, trio: usize, key: &str) -> String {
        format!("bulla-conflict-{}-{trio}-{key}", self.nonce)
    }

    fn stand_in_entry(&self, trio: usize, entries: &Entries, key: &str) -> String {
        // JSON is YAML: quoted, it is right in braces and in lines.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        format!("{}{}: {}", entries.frame.indent, quoted(key), quoted(&self.stand_in(trio, key)))
    }

    /// The three texts with the merged entries in each.
    fn filled(&self, merged: &[Entries]) -> [String; 3] {
        let mut splices: [Vec<(Range<usize>, String)>; 3] = Default::default();
        for (index, (trio, entries)) in self.trios.iter().zip(merged).enumerate() {
            let text = entries.text(|conflict| self.stand_in_entry(index, entries, &conflict.key));
            let blocks = [trio.base.as_ref(), Some(&trio.ours), Some(&trio.theirs)];
            for (splices, block) in splices.iter_mut().zip(blocks) {
                splices.extend(block.map(|block| (block.layout.range(), text.clone())));
            }
        }
        let texts = [
            self.documents.base.as_ref().map_or("", Document::text),
            self.documents.ours.text(),
            self.documents.theirs.text(),
        ];
        let [base, ours, theirs] = splices;
        [(texts[0], base), (texts[1], ours), (texts[2], theirs)].map(|(text, splices)| spliced(text, splices))
    }

    /// Reads the result; gives the values that stand where they do not open, though they did where they are from.
    fn check(
        &self,
        text: &str,
        conflicts: bool,
        merged: &[Entries],
        size: usize,
    ) -> Result<Vec<BTreeMap<String, Side>>, Reason> {
        let readings: &[Reading] = if conflicts { &[Reading::Ours, Reading::Theirs] } else { &[Reading::Ours] };
        let mut found = vec![BTreeMap::new(); self.trios.len()];
        for reading in readings {
            let text = if conflicts { conflict::resolved(text, size, *reading) } else { text.to_owned() };
            let document = Document::parse(text).map_err(|_| "the merged text could not be read")?;
            let mut objects: Vec<(&Manifest, Expected)> =
                document.sealed_secrets().map(|(_, manifest)| (manifest, entries_of(manifest))).collect();
            for (index, entries) in merged.iter().enumerate() {
                let expected = self.expected(index, entries);
                let at = objects.iter().position(|(_, entries)| *entries == expected);
                let at = at.ok_or("the merged text does not hold the values that were worked out")?;
                let (manifest, _) = objects.remove(at);
                for (key, side) in self.misplaced(index, entries, manifest) {
                    found[index].insert(key, side);
                }
            }
            let alone = self.alone();
            if objects.iter().any(|(_, entries)| !alone.contains(entries)) {
                return Err("the merged text holds values that no side has");
            }
        }
        Ok(found)
    }

    fn expected(&self, index: usize, entries: &Entries) -> Expected {
        let of = |item: &entries::Item| match &item.what {
            What::Entry { value, .. } => value.clone(),
            What::Conflict(_) => Some(self.stand_in(index, &item.key)),
        };
        entries.items.iter().map(|item| (item.key.clone(), of(item))).collect()
    }

    /// The entries of objects that only one side has.
    fn alone(&self) -> Vec<Expected> {
        let of = |document: &Document, paired: &dyn Fn(&Trio<'_>) -> usize| {
            let paired: Vec<usize> = self.trios.iter().map(paired).collect();
            let alone = document.sealed_secrets().filter(|(index, _)| !paired.contains(index));
            alone.map(|(_, manifest)| entries_of(manifest)).collect::<Vec<_>>()
        };
        let mut alone = of(&self.documents.ours, &|trio| trio.ours.index);
        alone.extend(of(&self.documents.theirs, &|trio| trio.theirs.index));
        alone
    }

    /// Values that were good in their own object and are not in the merged one.
    fn misplaced(&self, index: usize, entries: &Entries, merged: &Manifest) -> Vec<(String, Side)> {
        let trio = &self.trios[index];
        let mut found = Vec::new();
        for item in &entries.items {
            let What::Entry { value: Some(value), from, .. } = &item.what else { continue };
            let sources = [(&trio.ours, Side::Ours), (&trio.theirs, Side::Theirs)];
            let holds = |block: &Block<'_>| {
                block.manifest.entry(&item.key).and_then(|entry| entry.value.as_ref()) == Some(value)
            };
            let sources: Vec<&Manifest> =
                sources.iter().filter(|(block, _)| holds(block)).map(|(block, _)| block.manifest).collect();
            if sources.iter().all(|source| loses_its_place(value, &item.key, source, merged)) {
                found.push((item.key.clone(), *from));
            }
        }
        found
    }

    /// Puts marked conflicts in place of the lines that stand for them.
    fn show(&self, text: String, merged: &[Entries], marks: &Marks) -> Result<(String, Vec<Dispute>), Reason> {
        const UNSHOWN: Reason = "a conflict could not be shown in its place";
        let mut text = text;
        let mut disputes = Vec::new();
        for (index, entries) in merged.iter().enumerate() {
            for conflict in entries.conflicts() {
                let entry = self.stand_in_entry(index, entries, &conflict.key);
                let mut places = text.match_indices(&entry);
                let (Some((at, _)), None) = (places.next(), places.next()) else { return Err(UNSHOWN) };
                let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1);
                let (before, after) = (&text[start..at], text[at + entry.len()..end].trim_end_matches(['\r', '\n']));
                if !before.trim().is_empty() || !matches!(after, "" | ",") {
                    return Err("the values stand on one line");
                }
                let shown = conflict::written(conflict, marks, entries.frame.newline, (before, after));
                text.replace_range(start..end, &shown);
                disputes.push(self.dispute(index, conflict));
            }
        }
        Ok((text, disputes))
    }

    fn dispute(&self, index: usize, conflict: &entries::Conflict) -> Dispute {
        let manifest = self.trios[index].ours.manifest;
        let told =
            |piece: &Option<entries::Piece>| piece.as_ref().map(|piece| seal::Seal::of(piece.value.as_deref()).line());
        Dispute {
            object: named(manifest),
            key: conflict.key.clone(),
            why: conflict.why,
            ours: told(&conflict.ours),
            theirs: told(&conflict.theirs),
        }
    }
}

/// Namespace and name.
pub(crate) fn named(manifest: &Manifest) -> String {
    let name = manifest.name.as_deref().unwrap_or("(no name)");
    manifest.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// Whether the value opens in one object and not in the other, as far as that can be seen from outside.
pub(crate) fn loses_its_place(value: &str, key: &str, from: &Manifest, to: &Manifest) -> bool {
    match (seal::fits(value, from, key), seal::fits(value, to, key)) {
        (Some(before), Some(after)) => before && !after,
        // kubeseal's format does not say where it belongs: the object that it is from does.
        _ => {
            let (scope, same_namespace) = (from.scope(), from.namespace == to.namespace);
            let same = match scope {
                Scope::Strict => same_namespace && from.name == to.name,
                Scope::NamespaceWide => same_namespace,
                Scope::ClusterWide => true,
            };
            seal::Seal::of(Some(value)).facts().is_some() && !(same && scope == to.scope())
        }
    }
}

fn documents(texts: &Texts<'_>) -> Option<Documents> {
    let base = if texts.base.trim_ascii().is_empty() { None } else { Some(document(texts.base)?) };
    Some(Documents { base, ours: document(texts.ours)?, theirs: document(texts.theirs)? })
}

fn document(text: &[u8]) -> Option<Document> {
    Document::parse(std::str::from_utf8(text).ok()?.to_owned()).ok()
}

/// The objects that both sides have, and have values in.
fn trios(documents: &Documents) -> Result<Vec<Trio<'_>>, Reason> {
    let list = |document: &'_ Document| -> Vec<usize> { document.sealed_secrets().map(|(index, _)| index).collect() };
    let (ours, theirs) = (list(&documents.ours), list(&documents.theirs));
    let of = |document: &'_ Document, indices: &[usize]| -> Vec<Manifest> {
        indices.iter().map(|index| document.manifests()[*index].clone()).collect()
    };
    let pair = |one: (&Document, &[usize]), other: (&Document, &[usize])| {
        let (one, other) = (of(one.0, one.1), of(other.0, other.1));
        pairing::pairs(&one.iter().collect::<Vec<_>>(), &other.iter().collect::<Vec<_>>())
    };
    let mut found: Vec<(Option<usize>, usize, usize)> = Vec::new();
    if let Some(base) = &documents.base {
        let bases = list(base);
        let to_ours: BTreeMap<usize, usize> = pair((base, &bases), (&documents.ours, &ours)).into_iter().collect();
        let to_theirs: BTreeMap<usize, usize> =
            pair((base, &bases), (&documents.theirs, &theirs)).into_iter().collect();
        for (at, index) in bases.iter().enumerate() {
            if let (Some(a), Some(b)) = (to_ours.get(&at), to_theirs.get(&at)) {
                found.push((Some(*index), ours[*a], theirs[*b]));
            }
        }
    }
    // What both sides have added.
    let new = |all: &[usize], known: &[usize]| -> Vec<usize> {
        all.iter().copied().filter(|index| !known.contains(index)).collect()
    };
    let (known_ours, known_theirs): (Vec<usize>, Vec<usize>) = found.iter().map(|(_, a, b)| (*a, *b)).unzip();
    let (new_ours, new_theirs) = (new(&ours, &known_ours), new(&theirs, &known_theirs));
    for (a, b) in pair((&documents.ours, &new_ours), (&documents.theirs, &new_theirs)) {
        found.push((None, new_ours[a], new_theirs[b]));
    }
    let block =
        |document, index| Block::of(document, index).map_err(|_| "values are written in a way that cannot be moved");
    let mut trios = Vec::new();
    for (base, ours, theirs) in found {
        let base = base.zip(documents.base.as_ref()).map(|(index, base)| block(base, index)).transpose()?;
        let (ours, theirs) = (block(&documents.ours, ours)?, block(&documents.theirs, theirs)?);
        if !(ours.layout.entries.is_empty() && theirs.layout.entries.is_empty()) {
            trios.push(Trio { base, ours, theirs });
        }
    }
    Ok(trios)
}

fn entries_of(manifest: &Manifest) -> Expected {
    manifest.entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
}

fn spliced(text: &str, mut splices: Vec<(Range<usize>, String)>) -> String {
    splices.sort_by_key(|(range, _)| range.start);
    let (mut out, mut at) = (String::with_capacity(text.len() * 2), 0);
    for (range, new) in splices {
        out.push_str(&text[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// 16 letters that nobody could have written into a file.
fn nonce() -> Outcome<String> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes, GetRandomFlags::empty()).or_usage("asking the kernel for random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether the bytes could hold a SealedSecret at all.
pub(crate) fn mentions_sealed_secrets(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.contains(bulla_crds::sealed_secret::KIND))
}
