//! ExternalSecrets and stores: what takes the files together, and where in a file it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use zeroize::Zeroizing;

use super::rules;
use crate::external::{self, Documents, Landed, Place};
use crate::findings::{Finding, Rule};
use crate::input;
use crate::outline::{Outline, View};

/// The ExternalSecrets and stores of all files.
#[derive(Default)]
pub(super) struct External {
    documents: Documents,
    /// Those of files that a kustomization pulls in, as they are written.
    written: Documents,
    stdin: Option<Zeroizing<String>>,
}

impl External {
    /// Adds those of one file. What a kustomization pulls in counts as it lands.
    pub(super) fn add(&mut self, documents: Documents, stdin: Option<Zeroizing<String>>, is_pulled_in: bool) {
        let into = if is_pulled_in { &mut self.written } else { &mut self.documents };
        into.append(documents);
        self.stdin = self.stdin.take().or(stdin);
    }

    /// Adds what comes out of a kustomization.
    pub(super) fn land(&mut self, landed: &[Landed]) {
        self.documents.append(self.written.landed(landed));
    }

    /// How many ExternalSecrets and stores there are in files.
    pub(super) fn counts(&self) -> (usize, usize) {
        let all = [&self.documents, &self.written];
        let place = |place: &Place| (place.file.clone(), place.line);
        let externals: BTreeSet<_> = all.iter().flat_map(|one| &one.externals).map(|one| place(&one.place)).collect();
        let stores: BTreeSet<_> = all.iter().flat_map(|one| &one.stores).map(|one| place(&one.place)).collect();
        (externals.len(), stores.len())
    }

    /// Everything that is wrong with them.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut found = external::check(&self.documents);
        found.extend(self.written.findings.iter().cloned());
        for finding in external::check_stores(&self.documents) {
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
        let keys = external::check_keys(&self.documents).into_iter().map(|one| (&rules::MISSING_KEY, one));
        let mut by_file: BTreeMap<String, Vec<(&'static Rule, external::Finding)>> = BTreeMap::new();
        for (rule, one) in found.into_iter().map(|one| (rule_of(&one), one)).chain(keys) {
            by_file.entry(one.file.clone()).or_default().push((rule, one));
        }
        by_file.into_iter().flat_map(|(file, found)| self.placed(&file, found)).collect()
    }

    /// Findings of a file at the line and column of the field that they are about.
    fn placed(&self, file: &str, found: Vec<(&'static Rule, external::Finding)>) -> Vec<Finding> {
        // Read again rather than kept: few files have any.
        let path = Path::new(file);
        let read = if path.is_file() { input::manifest(path).ok() } else { self.stdin.clone() };
        placed(&read.unwrap_or_default(), found)
    }
}

fn placed(text: &str, found: Vec<(&'static Rule, external::Finding)>) -> Vec<Finding> {
    let outline = Outline::parse(text).ok();
    let objects = outline.as_ref().map(Outline::objects).unwrap_or_default();
    let place = |one: &external::Finding| {
        let line = one.line?;
        let object = objects.iter().find(|object| object.line() == line);
        Some(object.map_or((line, 1), |object| field(*object, &one.path)))
    };
    found
        .into_iter()
        .map(|(rule, one)| (place(&one), rule, one))
        .map(|(place, rule, one)| finding(rule, one, place))
        .collect()
}

/// The place of a field, or of the closest around it that is there.
fn field(object: View<'_, '_>, path: &str) -> (usize, usize) {
    let mut place = object.place();
    let mut view = object;
    for part in path.split('.') {
        let (name, indices) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
        let Some((key, value)) = view.entry(name) else { break };
        (place, view) = (key.place(), value);
        for index in indices.split(['[', ']']).filter(|text| !text.is_empty()) {
            let Some(item) = index.parse().ok().and_then(|index: usize| view.items().nth(index)) else { return place };
            (place, view) = (item.place(), item);
        }
    }
    place
}

/// In a repository, a store may be somewhere else: with another team, or made by hand.
fn rule_of(found: &external::Finding) -> &'static Rule {
    if found.is_missing_store { &rules::MISSING_STORE } else { &rules::EXTERNAL_SECRET }
}

fn finding(rule: &'static Rule, found: external::Finding, place: Option<(usize, usize)>) -> Finding {
    let external::Finding { file, object, path, message, .. } = found;
    let given = "in the given files: name the file that has it with --store";
    let message = message.replace(given, "in the files that were checked");
    let found = Finding::new(rule, file, message).of(object).field(path);
    place.map_or(found.clone(), |(line, column)| found.at(line, column))
}
