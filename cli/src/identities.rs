//! Private keys from files: age identities, PEM, or the Secrets in which a cluster keeps them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::seal::{Identity, KeyState, Keyring};
use serde::Deserialize;
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

use crate::failure::{OrFail as _, Outcome, refuse};
use crate::input;

/// A Secret, or a list of them, as `kubectl get secret -o yaml` and upstream's backup write it.
#[derive(Deserialize)]
struct KeySecret {
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    items: Vec<Self>,
}

/// The data keys that hold a private key: ours, then upstream's.
const PRIVATE: [&str; 2] = ["identity", "tls.key"];

/// Reads every private key of every file into a keyring, in the order given: later ones are newer.
pub(crate) fn keyring(files: &[PathBuf]) -> Outcome<Keyring> {
    let mut keyring = Keyring::new();
    for file in files {
        for identity in read(file)? {
            keyring.insert(identity, KeyState::Active);
        }
    }
    Ok(keyring)
}

/// Every private key of a file.
pub(crate) fn read(file: &Path) -> Outcome<Vec<Identity>> {
    let text = input::manifest(file)?;
    let named = file.display().to_string();
    let looks_like_a_manifest = text.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("kind:") || line.starts_with("\"kind\"") || line.starts_with('{')
    });
    if !looks_like_a_manifest {
        return Identity::parse_all(&text).or_refuse(named);
    }
    // The reader's message could repeat a line of the file, and this file holds private keys: leave it out.
    let secrets: Vec<KeySecret> =
        serde_saphyr::from_multiple(&text).map_err(|_| refuse!("{named}: not a Secret in YAML or JSON"))?;
    let mut identities = Vec::new();
    for mut secret in
        secrets.into_iter().flat_map(|secret| [secret.items, vec![KeySecret { items: Vec::new(), ..secret }]]).flatten()
    {
        for key in PRIVATE {
            if let Some(encoded) = secret.data.get(key) {
                let bytes = STANDARD.decode(encoded.trim()).map_err(|_| refuse!("{named}: {key} is not base64"))?;
                let bytes = Zeroizing::new(bytes);
                let text = std::str::from_utf8(&bytes).map_err(|_| refuse!("{named}: {key} is not text"))?;
                identities.extend(Identity::parse_all(text).or_refuse(format!("{named}: {key}"))?);
            }
        }
        secret.data.values_mut().for_each(Zeroize::zeroize);
    }
    if identities.is_empty() {
        return Err(refuse!("{named}: no Secret in it has a private key under identity or tls.key"));
    }
    Ok(identities)
}
