//! `bulla set` and `bulla unset`: one value changes, every other byte of the file stays.

use bulla::seal::Place;

use crate::args::{SetArguments, UnsetArguments};
use crate::editing::chosen;
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::output::{self, Access};
use crate::sealing::Sealer;
use crate::{input, recipients};

/// `bulla set`.
pub(super) fn set(arguments: &SetArguments) -> Outcome {
    let SetArguments { file, key, from_file, name, namespace, to } = arguments;
    if !file.exists() {
        let name = name.as_deref().or_else(|| file.file_stem()?.to_str()).unwrap_or("NAME");
        let file = file.display();
        return Err(usage!("{file} is not there; `bulla seal --from-literal {key} --name {name} -o {file}` makes it"));
    }
    let mut document = chosen::read(file)?;
    let (index, manifest) = chosen::choose(&document, name.as_deref(), file)?;
    let resolved = recipients::resolve(to, Some(file))?;
    let (namespace, name) = chosen::place(manifest, namespace.as_deref(), resolved.rule.as_ref(), file)?;
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
    let mut document = chosen::read(file)?;
    let (index, manifest) = chosen::choose(&document, name.as_deref(), file)?;
    if manifest.entry(key).is_none() {
        let keys: Vec<&str> = manifest.entries.iter().map(|entry| entry.key.as_str()).collect();
        return Err(refuse!("{} has no value {key}; it has {}", file.display(), keys.join(", ")));
    }
    document.unset(index, key).or_refuse(file.display().to_string())?;
    output::write_file(file, document.text().as_bytes(), Access::Ordinary)?;
    output::note(&format!("{key} taken out of {}; older commits still hold it, sealed", file.display()));
    Ok(())
}
