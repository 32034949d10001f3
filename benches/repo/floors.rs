//! The least that the work can cost: reading the files, opening and sealing the values.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bulla::seal::{Binding, Identity, KeyState, Keyring, Place, Recipient, Scope, open, seal};
use bulla::secret::Plaintext;
use jiff::civil::Date;
use rayon::prelude::*;

use crate::generate::keys::Key;
use crate::generate::tree::Tree;

/// Finds and reads every file below `root`, on all cores.
pub(crate) fn read_all(root: &Path) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut files = Vec::new();
    walk(root, &mut files)?;
    let bytes: Result<Vec<usize>, _> = files.par_iter().map(|path| fs::read(path).map(|bytes| bytes.len())).collect();
    std::hint::black_box(bytes?);
    Ok(began.elapsed())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { walk(&entry.path(), files)? } else { files.push(entry.path()) }
    }
    Ok(())
}

/// Opens every value of `tree` with `old` and seals it to `new`, on all cores, and does nothing else. Base64 is part of
/// both, as it is of every sealed value.
pub(crate) fn open_and_seal(tree: &Tree, old: &Key, new: &Recipient, today: Date) -> anyhow::Result<Duration> {
    let binding = |place| Binding::new(Scope::Strict, place, today);
    let values: Vec<_> =
        tree.sealed.iter().flat_map(|file| file.values.iter().map(move |value| (file, value))).collect();
    let sealed = values.par_iter().map(|(file, (key, value))| {
        let place = Place { namespace: &file.namespace, name: &file.name, key };
        let text = seal(std::slice::from_ref(&old.recipient), &Plaintext::copy_of(value), &binding(place))?;
        anyhow::Ok((place, text))
    });
    let sealed = sealed.collect::<anyhow::Result<Vec<_>>>()?;
    let mut keyring = Keyring::new();
    let identity = Identity::parse_all(&old.identity)?.into_iter().next().context("an identity")?;
    keyring.insert(identity, KeyState::Active);
    let began = Instant::now();
    sealed.par_iter().try_for_each(|(place, text)| {
        let opened = open(&keyring, text, *place, Scope::Strict).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        std::hint::black_box(seal(std::slice::from_ref(new), &opened.plaintext, &binding(*place))?);
        anyhow::Ok(())
    })?;
    Ok(began.elapsed())
}
