//! The SealedSecret of a file that is meant, and the place that its values are bound to.

use std::fs;
use std::path::Path;

use bulla::seal::Scope;

use crate::document::{Document, Manifest};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::repository::Rule;
use crate::sealing;

/// Reads a file that is to be changed.
pub(crate) fn read(file: &Path) -> Outcome<Document> {
    if file == Path::new("-") {
        return Err(usage!("a file is changed in place: name one, not -"));
    }
    // Not wiped: a SealedSecret is public.
    let text = fs::read_to_string(file).or_usage(format!("reading {}", file.display()))?;
    Document::parse(text).or_refuse(file.display().to_string())
}

/// The SealedSecret that is meant.
pub(crate) fn choose<'a>(document: &'a Document, name: Option<&str>, file: &Path) -> Outcome<(usize, &'a Manifest)> {
    let sealed: Vec<(usize, &Manifest)> =
        document.manifests().iter().enumerate().filter(|(_, manifest)| manifest.is_sealed_secret()).collect();
    let named: Vec<(usize, &Manifest)> =
        sealed.iter().filter(|(_, manifest)| name.is_none() || manifest.name.as_deref() == name).copied().collect();
    match (named.as_slice(), sealed.as_slice()) {
        ([one], _) => Ok(*one),
        (_, []) => Err(refuse!("{} holds no SealedSecret; `bulla seal -o` makes one", file.display())),
        (_, all) => {
            let names: Vec<&str> = all.iter().filter_map(|(_, manifest)| manifest.name.as_deref()).collect();
            Err(usage!("{} holds {}: choose one with --name", file.display(), names.join(", ")))
        }
    }
}

/// The namespace and the name that its values are bound to: its own, else what was typed, else what the rule says.
pub(crate) fn place<'a>(
    manifest: &'a Manifest,
    typed: Option<&'a str>,
    rule: Option<&'a Rule>,
    file: &Path,
) -> Outcome<(&'a str, &'a str)> {
    let name = manifest.name.as_deref().ok_or_else(|| refuse!("the SealedSecret in {} has no name", file.display()))?;
    let ruled = rule.and_then(|rule| rule.namespace.as_deref());
    let namespace = match (manifest.namespace.as_deref(), typed) {
        (Some(own), Some(given)) if own != given => {
            return Err(refuse!("{} is in namespace {own}, not {given}", file.display()));
        }
        (Some(own), _) => own,
        (None, given) => match given.or(ruled) {
            Some(namespace) => namespace,
            // Bound to none.
            None if manifest.scope() == Scope::ClusterWide => "",
            None => return Err(sealing::no_namespace(&file.display().to_string())),
        },
    };
    Ok((namespace, name))
}
