//! Private keys from files: age identities, PEM, the Secrets in which a cluster keeps them, and a backup of these
//! together with the key that opens it.

use std::path::PathBuf;

use bulla::seal::{Identity, KeyState, Keyring};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::args::KeyType;
use crate::custody;
use crate::failure::{OrFail as _, Outcome, usage};

/// Reads every private key of every file into a keyring, in the order given: later ones are newer.
///
/// What is retired or compromised in a cluster opens here all the same: whoever holds the file has the key. A key that
/// only opened a backup is not one to seal to.
pub(crate) fn keyring(files: &[PathBuf]) -> Outcome<Keyring> {
    let documents = custody::open(files)?;
    let others = custody::identities_in(&documents);
    let has_backup = documents.iter().any(|document| document.fingerprint.is_some());
    let mut keyring = Keyring::new();
    for document in &documents {
        let is_opener = has_backup && document.fingerprint.is_none() && !document.is_manifest();
        for kept in document.keys(&others)? {
            match kept.identity {
                Some(identity) => keyring.insert(identity, if is_opener { KeyState::Opening } else { kept.state }),
                None => keyring.lock(kept.id),
            }
        }
    }
    Ok(keyring)
}

/// A new key.
pub(crate) fn generate(kind: KeyType) -> Outcome<Identity> {
    let made = match kind {
        KeyType::Hybrid => Identity::generate_hybrid(),
        KeyType::X25519 => Identity::generate_x25519(),
    };
    made.or_usage("no randomness from the operating system")
}

/// The text of a file that holds it, made now.
pub(crate) fn file_text(identity: &Identity) -> Outcome<Zeroizing<String>> {
    identity.to_file_text(Timestamp::now()).ok_or_else(|| usage!("this kind has no identity file"))
}

/// Every private key of the files.
pub(crate) fn read(files: &[PathBuf]) -> Outcome<Vec<Identity>> {
    let documents = custody::open(files)?;
    let others = custody::identities_in(&documents);
    let mut identities = Vec::new();
    for document in &documents {
        identities.extend(document.keys(&others)?.into_iter().filter_map(|kept| kept.identity));
    }
    Ok(identities)
}
