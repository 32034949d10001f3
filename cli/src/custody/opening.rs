//! Files that hold private keys, whatever they are in: age identities, PEM, Secrets; and any of these in an age file,
//! which another of the files opens, or shares of its key do.

use std::path::{Path, PathBuf};

use bulla::seal::{FileError, Identity, KeyId, KeyState, open_file};
use bulla::secret::Plaintext;
use bulla_crds::names;
use zeroize::Zeroizing;

use super::key_secret::{IDENTITY, Key, KeySecret, WRAPPED_BY_AGE};
use super::shares::{self, Fingerprint, Share};
use crate::failure::{Failure, OrFail as _, Outcome, refuse};
use crate::input::{self, MAX_MANIFEST};

/// The longest share, in bytes.
const MAX_SHARE: usize = 64 * 1024;
/// What an age file of version 1 begins with, binary and armored.
const BINARY: &[u8] = b"age-encryption.org/";
const ARMORED: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// A file that could be read.
pub(crate) struct Document {
    /// Which of the files it is, counted from 0.
    pub(crate) place: usize,
    /// The file, for messages.
    pub(crate) file: String,
    pub(crate) text: Zeroizing<String>,
    /// Of an age file.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// A key in a file.
pub(crate) struct Kept {
    pub(crate) id: KeyId,
    /// `None` of a wrapped key that none of the files unwraps.
    pub(crate) identity: Option<Identity>,
    /// `Active`, or `Opening` of a key that is not sealed to any more: whoever has its file opens with it.
    pub(crate) state: KeyState,
}

/// An age file that has yet to be opened.
struct Locked {
    place: usize,
    file: String,
    bytes: Vec<u8>,
    fingerprint: Fingerprint,
}

/// Reads files, in this order. Those that are age files are opened with the keys in the others.
///
/// # Errors
/// With the first file that cannot be read or opened, and what it would take.
pub(crate) fn open(files: &[PathBuf]) -> Outcome<Vec<Document>> {
    let mut documents: Vec<Option<Document>> = Vec::with_capacity(files.len());
    let mut locked = Vec::new();
    let mut shares: Vec<(String, Share)> = Vec::new();
    let mut keys: Vec<Identity> = Vec::new();
    for (place, path) in files.iter().enumerate() {
        let (file, bytes) = (path.display().to_string(), input::whole(path)?);
        documents.push(None);
        match binary(&bytes, &file)? {
            Some(bytes) => locked.push(Locked { place, file, fingerprint: Fingerprint::of(&bytes), bytes }),
            None => {
                let document = Document { place, text: input::text(bytes, path)?, file, fingerprint: None };
                documents[place] = document.sort(&mut keys, &mut shares)?;
            }
        }
    }
    let known: Vec<(String, Fingerprint)> =
        locked.iter().map(|one| (one.file.clone(), one.fingerprint.clone())).collect();
    let mut is_combined = false;
    while !locked.is_empty() {
        let before = locked.len();
        let mut still = Vec::new();
        for one in locked {
            match open_file(&keys, &one.bytes, MAX_MANIFEST as usize) {
                Ok(plaintext) => {
                    let text = Zeroizing::new(plaintext.expose().to_vec());
                    let text = input::text(text, one.file.as_ref())?;
                    let document =
                        Document { place: one.place, file: one.file, text, fingerprint: Some(one.fingerprint) };
                    documents[one.place] = document.sort(&mut keys, &mut shares)?;
                }
                Err(FileError::NoIdentity { .. }) => still.push(one),
                Err(FileError::Passphrase) => {
                    return Err(refuse!(
                        "{0} is encrypted with a passphrase: `age -d {0}` asks for it, and what that prints can be piped into \
                         `--identity -`",
                        one.file
                    ));
                }
                Err(error) => return Err(refuse!("{} {error}", one.file)),
            }
        }
        locked = still;
        if locked.len() < before {
            continue;
        }
        if is_combined || shares.is_empty() {
            return Err(closed(&locked, keys.len()));
        }
        belong(&shares, &known)?;
        let wanted = |share: &Share| locked.iter().any(|one| one.fingerprint == share.backup);
        let (of_locked, others) = shares.into_iter().partition(|(_, share)| wanted(share));
        shares = others;
        keys.push(shares::combine(&of_locked).map_err(|failure| closed_by(&locked, failure))?);
        is_combined = true;
    }
    belong(&shares, &known)?;
    Ok(documents.into_iter().flatten().collect())
}

/// Opens one file with the keys and the shares in others.
///
/// # Errors
/// As [`open`], and if the file is a share.
pub(crate) fn open_one<'a>(file: &Path, openers: impl Iterator<Item = &'a PathBuf>) -> Outcome<Document> {
    let files: Vec<PathBuf> = std::iter::once(file.to_path_buf()).chain(openers.cloned()).collect();
    let found = open(&files)?.into_iter().find(|document| document.place == 0);
    found.ok_or_else(|| refuse!("{} is a share of a backup's key, not a backup", file.display()))
}

/// Opens a share with its custodian's keys.
///
/// # Errors
/// If none of them opens it, or it is something else.
pub(crate) fn open_share(file: &Path, identities: &[PathBuf]) -> Outcome<Share> {
    let name = file.display().to_string();
    let documents = open(identities)?;
    let keys = identities_in(&documents);
    let bytes = input::whole(file)?;
    let text = match binary(&bytes, &name)? {
        None => input::text(bytes, file)?,
        Some(bytes) => {
            let opened = open_file(&keys, &bytes, MAX_SHARE).map_err(|error| refuse!("{name} {error}"))?;
            input::text(Zeroizing::new(opened.expose().to_vec()), file)?
        }
    };
    if !shares::is_one(&text) {
        return Err(refuse!("{name} opens, but it is not a share of a backup's key"));
    }
    Share::parse(&text).map_err(|problem| refuse!("{name} {problem}"))
}

/// The keys in those of the documents that are identity files.
pub(crate) fn identities_in(documents: &[Document]) -> Vec<Identity> {
    let plain = documents.iter().filter(|document| !document.is_manifest());
    plain.filter_map(|document| Identity::parse_all(&document.text).ok()).flatten().collect()
}

/// The bytes of an age file without armor; `None` of anything else.
fn binary(bytes: &[u8], file: &str) -> Outcome<Option<Vec<u8>>> {
    if bytes.starts_with(BINARY) {
        return Ok(Some(bytes.to_vec()));
    }
    let armored = bytes.trim_ascii_start();
    if !armored.starts_with(ARMORED) {
        return Ok(None);
    }
    let mut binary = Vec::with_capacity(armored.len() / 4 * 3);
    let read = std::io::Read::read_to_end(&mut age::armor::ArmoredReader::new(armored), &mut binary);
    read.map(|_| Some(binary)).map_err(|_| refuse!("{file} is damaged: its armor is malformed or cut off"))
}

/// Every share has to be of one of the age files: the wrong one is named before anything else is said.
fn belong(shares: &[(String, Share)], known: &[(String, Fingerprint)]) -> Outcome {
    for (file, share) in shares {
        if !known.iter().any(|(_, fingerprint)| *fingerprint == share.backup) {
            return Err(refuse!(
                "{file} is a share of another backup: of the one with SHA-256 {}… from {}, which is not among the files",
                share.backup.short(),
                share.made
            ));
        }
    }
    Ok(())
}

fn closed(locked: &[Locked], keys: usize) -> Failure {
    let files: Vec<&str> = locked.iter().map(|one| one.file.as_str()).collect();
    match keys {
        0 => refuse!("{} is encrypted: give the private key that opens it too", files.join(", ")),
        _ => refuse!("{} is encrypted, and none of the {keys} private key(s) given opens it", files.join(", ")),
    }
}

fn closed_by(locked: &[Locked], failure: Failure) -> Failure {
    let files: Vec<&str> = locked.iter().map(|one| one.file.as_str()).collect();
    failure.at(format!("{} stays closed", files.join(", ")))
}

impl Document {
    /// Puts shares aside, and the keys in the document to those that age files are opened with.
    fn sort(self, keys: &mut Vec<Identity>, shares: &mut Vec<(String, Share)>) -> Outcome<Option<Self>> {
        if shares::is_one(&self.text) {
            let share = Share::parse(&self.text).map_err(|problem| refuse!("{} {problem}", self.file))?;
            shares.push((self.file, share));
            return Ok(None);
        }
        if !self.is_manifest() {
            // What is no key is said by who needs it.
            keys.extend(Identity::parse_all(&self.text).unwrap_or_default());
        }
        Ok(Some(self))
    }

    /// Whether it holds Kubernetes objects.
    pub(crate) fn is_manifest(&self) -> bool {
        self.text.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("kind:") || line.starts_with("\"kind\"") || line.starts_with('{')
        })
    }

    /// The Secrets of a document that holds objects, oldest first.
    pub(crate) fn secrets(&self) -> Outcome<Vec<KeySecret>> {
        let secrets = KeySecret::parse_all(&self.text);
        let mut secrets = secrets.ok_or_else(|| refuse!("{}: not a Secret in YAML or JSON", self.file))?;
        secrets.sort_by_key(KeySecret::made);
        Ok(secrets)
    }

    /// Every private key in it, the newest last; age-wrapped ones are unwrapped with `others`.
    pub(crate) fn keys(&self, others: &[Identity]) -> Outcome<Vec<Kept>> {
        if !self.is_manifest() {
            let identities = Identity::parse_all(&self.text).or_refuse(self.file.clone())?;
            let kept =
                |identity: Identity| Kept { id: identity.key_id(), identity: Some(identity), state: KeyState::Active };
            return Ok(identities.into_iter().map(kept).collect());
        }
        let mut found = Vec::new();
        for secret in self.secrets()? {
            if !secret.is_of_keys() {
                continue;
            }
            let state = if secret.state() == Some(KeyState::Active) { KeyState::Active } else { KeyState::Opening };
            let keys = secret.keys().map_err(|problem| refuse!("{}: {problem}", secret.named(&self.file)))?;
            for Key { id, identity, wrapped, .. } in keys {
                let identity = match (identity, wrapped) {
                    (None, Some(_)) => secret.unwrapped(others, id),
                    (identity, _) => identity,
                };
                found.push(Kept { id, identity, state });
            }
        }
        if found.is_empty() {
            return Err(refuse!("{}: no Secret in it has a private key under identity or tls.key", self.file));
        }
        Ok(found)
    }
}

impl KeySecret {
    /// The file and the name, for messages.
    fn named(&self, file: &str) -> String {
        if self.name.is_empty() { file.to_owned() } else { format!("{file}: Secret {}", self.name) }
    }

    /// Puts the private half in the clear where it is wrapped by age and one of these opens it; whether that was so.
    pub(crate) fn unwrap(&mut self, identities: &[Identity]) -> bool {
        let keys = self.keys().unwrap_or_default();
        let [Key { id, identity: None, .. }] = keys.as_slice() else { return false };
        let Some(text) = self.unwrapped(identities, *id).and_then(|identity| identity.to_text()) else { return false };
        self.data.remove(WRAPPED_BY_AGE);
        self.annotations.remove(names::KEY_WRAPPED_BY);
        self.data.insert(IDENTITY.to_owned(), Plaintext::copy_of(text.as_bytes()));
        true
    }

    /// Its private half, where it is wrapped by age and one of these opens it.
    pub(crate) fn unwrapped(&self, identities: &[Identity], id: KeyId) -> Option<Identity> {
        let wrapped = self.data.get(WRAPPED_BY_AGE)?;
        let text = open_file(identities, wrapped.expose(), 64 * 1024).ok()?;
        let inside = Identity::parse_all(std::str::from_utf8(text.expose()).ok()?).ok()?;
        inside.into_iter().find(|identity| identity.key_id() == id)
    }
}
