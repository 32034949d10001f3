//! `bulla set` and `bulla unset`: one value changes, every other byte of the file stays.

use std::fs;
use std::path::Path;

use bulla::seal::Place;

use crate::args::{SetArguments, UnsetArguments};
use crate::document::{Document, Manifest};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::output::{self, Access};
use crate::sealing::Sealer;
use crate::{input, recipients};

/// `bulla set`.
pub(super) fn set(arguments: &SetArguments) -> Outcome {
    let SetArguments { file, key, from_file, name, namespace, to } = arguments;
    let mut document = read(file)?;
    let (index, manifest) = choose(&document, name.as_deref(), file)?;
    let resolved = recipients::resolve(to, Some(file))?;
    let ruled = resolved.rule.as_ref().and_then(|rule| rule.namespace.as_deref());
    let name = manifest.name.as_deref().ok_or_else(|| refuse!("the SealedSecret in {} has no name", file.display()))?;
    let namespace = match (manifest.namespace.as_deref(), namespace.as_deref()) {
        (Some(own), Some(given)) if own != given => {
            return Err(refuse!("{} is in namespace {own}, not {given}", file.display()));
        }
        (Some(own), _) => own,
        (None, given) => given.or(ruled).ok_or_else(|| super::no_namespace(&file.display().to_string()))?,
    };
    let scope = manifest.scope();
    let old = manifest.entry(key).map(|entry| entry.value.clone().unwrap_or_default());
    let verb = if old.is_some() { "changed" } else { "added" };

    super::valid_key(key)?;
    let value = input::value(key, from_file.as_deref())?;
    let mut sealer = Sealer::new(resolved.recipients);
    let sealed = sealer.seal(scope, Place { namespace, name, key }, &value, old.as_deref())?;
    let to_whom = recipients::describe(sealer.recipients());
    if old.as_deref() == Some(sealed.as_str()) {
        sealer.finish();
        output::note(&format!("{key} in {} is unchanged", file.display()));
        return Ok(());
    }
    document.set(index, key, &sealed).or_refuse(file.display().to_string())?;
    output::write_file(file, document.text().as_bytes(), Access::Ordinary)?;
    sealer.finish();
    output::note(&format!("{key} {verb} in {}, sealed to {to_whom}, {scope}", file.display()));
    Ok(())
}

/// `bulla unset`.
pub(super) fn unset(arguments: &UnsetArguments) -> Outcome {
    let UnsetArguments { file, key, name } = arguments;
    let mut document = read(file)?;
    let (index, manifest) = choose(&document, name.as_deref(), file)?;
    if manifest.entry(key).is_none() {
        let keys: Vec<&str> = manifest.entries.iter().map(|entry| entry.key.as_str()).collect();
        return Err(refuse!("{} has no value {key}; it has {}", file.display(), keys.join(", ")));
    }
    document.unset(index, key).or_refuse(file.display().to_string())?;
    output::write_file(file, document.text().as_bytes(), Access::Ordinary)?;
    output::note(&format!("{key} taken out of {}; older commits still hold it, sealed", file.display()));
    Ok(())
}

fn read(file: &Path) -> Outcome<Document> {
    if file == Path::new("-") {
        return Err(usage!("a file is changed in place: name one, not -"));
    }
    // Not wiped: a SealedSecret is public.
    let text = fs::read_to_string(file).or_usage(format!("reading {}", file.display()))?;
    Document::parse(text).or_refuse(file.display().to_string())
}

/// The SealedSecret that is meant.
fn choose<'a>(document: &'a Document, name: Option<&str>, file: &Path) -> Outcome<(usize, &'a Manifest)> {
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
