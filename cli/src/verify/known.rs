//! The keys that values may be sealed to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulla::seal::KeyId;
use serde::Deserialize;

use crate::failure::{OrFail as _, Outcome};
use crate::recipients;
use crate::repository::Rule;

/// Keys, and who named them.
#[derive(Clone)]
pub(crate) struct Known {
    /// Who named them, in words.
    pub(super) by: String,
    pub(super) ids: BTreeSet<KeyId>,
    /// Whether every value should be sealed to all of them.
    pub(super) is_complete: bool,
}

/// What `bulla keys show --output json` and the ConfigMap of the controller hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listing {
    Plain(Vec<Listed>),
    Wrapped { keys: Vec<Listed> },
}

#[derive(Deserialize)]
struct Listed {
    id: KeyId,
}

impl Known {
    /// The keys in files.
    pub(super) fn read(files: &[PathBuf]) -> Outcome<Self> {
        let mut ids = BTreeSet::new();
        for file in files {
            ids.extend(from_file(file)?);
        }
        Ok(Self { by: "--keyring".to_owned(), ids, is_complete: false })
    }

    /// The recipients of a rule; `None` if it names none, and values are sealed to what the cluster publishes.
    pub(super) fn of_rule(rule: &Rule) -> Outcome<Option<Self>> {
        let ids: BTreeSet<KeyId> = recipients::of_rule(rule)?.iter().map(bulla::seal::Recipient::key_id).collect();
        let by = rule.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok((!ids.is_empty()).then_some(Self { by, ids, is_complete: true }))
    }
}

fn from_file(file: &Path) -> Outcome<Vec<KeyId>> {
    let text = std::fs::read_to_string(file).or_usage(format!("reading {}", file.display()))?;
    if text.trim_start().starts_with(['[', '{']) {
        let listing: Listing = serde_json::from_str(&text)
            .or_refuse(format!("{} is not what `bulla keys show --output json` prints", file.display()))?;
        let (Listing::Plain(keys) | Listing::Wrapped { keys }) = listing;
        return Ok(keys.into_iter().map(|key| key.id).collect());
    }
    Ok(recipients::from_file(file)?.iter().map(bulla::seal::Recipient::key_id).collect())
}
