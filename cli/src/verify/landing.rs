//! What is wrong with values because of where a kustomization makes them land.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::check::Shared;
use super::judge::{self, Landing, Wrong};
use super::kustomize::{Build, By, Held, Item, Kind, Tree};
use super::sealed::At;
use super::{duplicates, file, rules};
use crate::external::Landed;
use crate::findings::{Finding, Note, Related};

/// Places of one value in one build that are told one by one.
const MOST_PLACES: usize = 5;

/// What was told of a value.
#[derive(Default)]
struct Told {
    places: usize,
    /// The finding of the last of them.
    last: usize,
    /// Places that are only counted.
    more: usize,
}

/// The names under which ExternalSecrets and stores come out of a kustomization.
pub(super) fn external(build: &Build) -> Vec<Landed> {
    let landed = |item: &Item| Landed {
        file: item.file.to_string(),
        line: item.at.0,
        namespace: item.namespace.clone(),
        name: item.name.clone(),
        is_known: !item.is_doubtful,
    };
    build.items.iter().filter(|item| item.kind != Kind::SealedSecret).map(landed).collect()
}

/// Everything that is wrong with what comes out of a kustomization.
pub(super) fn check(build: &Build, tree: &Tree, root: usize, shared: &Shared<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = build
        .refusals
        .iter()
        .map(|(file, (line, column), field, problem)| {
            Finding::new(&rules::KUSTOMIZATION, file.to_string(), problem.as_str())
                .at(*line, *column)
                .field(field.as_str())
        })
        .collect();
    let ruled =
        tree.file(root).and_then(|(path, _)| shared.book.rule_for(path)).and_then(|rule| rule.namespace.clone());
    // Where a kustomization is pulled in on several ways a value lands in as many places, and there may be as many ways
    // as through a grid: the first places are told, the others are counted.
    let mut told: HashMap<(Arc<str>, At), Told> = HashMap::new();
    for item in build.items.iter().filter(|item| item.kind == Kind::SealedSecret && !item.is_doubtful) {
        let namespace = Some(item.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let namespace = namespace.or(shared.namespace).or(ruled.as_deref());
        for held in &item.entries {
            let Some(entry) = held.entry() else { continue };
            let known = told.entry((Arc::clone(&held.file), entry.at)).or_default();
            if known.places == MOST_PLACES {
                known.more += usize::from(misplaced(held, item, namespace, shared).is_some());
            } else if let Some(found) = landed(held, item, namespace, shared) {
                (known.places, known.last) = (known.places + 1, findings.len());
                findings.push(found);
            }
        }
    }
    for Told { last, more, .. } in told.into_values().filter(|told| told.more > 0) {
        if let Some(found) = findings.get_mut(last) {
            found.message = format!("{}; and so it is in {more} more place(s) of this build", found.message);
        }
    }
    findings.extend(duplicates::in_build(&build.items));
    findings
}

/// What is wrong with the place where a value lands, and the namespace of that.
fn misplaced(
    held: &Held,
    item: &Item,
    namespace: Option<&str>,
    shared: &Shared<'_>,
) -> Option<(Wrong, Option<String>)> {
    let entry = held.entry()?;
    let of_file = match namespace {
        None => shared.book.rule_for(std::path::Path::new(&*held.file)).and_then(|rule| rule.namespace.clone()),
        Some(_) => None,
    };
    let name = Some(item.name.as_str()).filter(|name| !name.is_empty());
    let namespace = namespace.map(str::to_owned).or(of_file);
    let wrong = judge::place(entry, Landing { namespace: namespace.as_deref(), name, scope: item.scope() })?;
    Some((wrong, namespace))
}

fn landed(held: &Held, item: &Item, namespace: Option<&str>, shared: &Shared<'_>) -> Option<Finding> {
    let entry = held.entry()?;
    let (wrong, namespace) = misplaced(held, item, namespace, shared)?;
    let name = Some(item.name.as_str()).filter(|name| !name.is_empty());
    let message = match by(&item.by) {
        Some(by) => format!("{} ({by})", wrong.message),
        None => wrong.message,
    };
    let object = file::full_name(namespace.as_deref(), name);
    let field = format!("spec.encryptedData.{}", entry.key);
    let mut found = Wrong { message, ..wrong }.found(&held.file, entry.at, Some(object), field);
    for By { file, at, what } in &item.by {
        let related = Related { file: file.to_string(), line: Some(at.0), column: Some(at.1), message: what.clone() };
        if !found.related.contains(&related) {
            found = found.see(related);
        }
    }
    Some(found)
}

/// Which kustomizations did it, in a sentence.
fn by(all: &[By]) -> Option<String> {
    let mut said: Vec<String> = Vec::new();
    for By { file, what, .. } in all {
        let one = format!("{file}: {what}");
        if !said.contains(&one) {
            said.push(one);
        }
    }
    (!said.is_empty()).then(|| said.join(", "))
}

/// What is wrong with kustomizations themselves, and what of them is not understood.
pub(super) fn problems(tree: &Tree, own: &BTreeSet<usize>) -> (Vec<Finding>, Vec<Note>) {
    let (mut findings, mut notes) = (Vec::new(), Vec::new());
    for index in own {
        let Some((file, problems)) = tree.problems(*index) else { continue };
        for problem in problems {
            let file: &Arc<str> = file;
            let (line, column) = problem.at;
            if problem.is_wrong {
                let found = Finding::new(&rules::KUSTOMIZATION, file.to_string(), problem.message.as_str());
                findings.push(found.at(line, column).field(problem.field.as_str()));
            } else {
                let message = format!(
                    "line {line}: {}: {}. Check what it builds: kustomize build FOLDER | bulla verify -",
                    problem.field, problem.message
                );
                notes.push(Note { file: file.to_string(), message });
            }
        }
    }
    (findings, notes)
}
