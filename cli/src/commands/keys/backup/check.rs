//! `bulla keys backup --check`: whether a backup opens, what is in it, and what the cluster has besides.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::wrapped;
use crate::args::{BackupArguments, Report};
use crate::cluster;
use crate::custody::{self, Cluster, Fingerprint, Inventory, Item, KeySecret};
use crate::failure::{Outcome, refuse, usage};
use crate::keys::Secrets;
use crate::output::{self, BAD, GOOD, WARN};

/// What a check found; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    file: String,
    sha256: Option<Fingerprint>,
    keys: Vec<Item>,
    /// Ids of the cluster's keys that are not in the backup, or names of the Secrets that do not say theirs; none
    /// where no cluster was asked.
    missing: Option<Vec<String>>,
    /// Keys whose state has changed since.
    changed: Vec<Changed>,
    malformed: Vec<String>,
}

#[derive(Serialize)]
struct Changed {
    id: String,
    backup: String,
    cluster: String,
}

/// Runs the verb.
pub(super) fn run(file: &Path, arguments: &BackupArguments) -> Outcome {
    let document = custody::open_one(file, arguments.identity.iter().chain(&arguments.share))?;
    let secrets: Vec<KeySecret> = document.secrets()?.into_iter().filter(KeySecret::is_of_keys).collect();
    let inventory = Inventory::of(&secrets);
    if inventory.keys.is_empty() {
        return Err(refuse!("{} opens, but there is no key in it", file.display()));
    }
    let mut checked = Checked {
        file: file.display().to_string(),
        sha256: document.fingerprint.clone(),
        keys: inventory.keys.clone(),
        missing: None,
        changed: Vec::new(),
        malformed: inventory.malformed.iter().map(|(secret, _)| secret.clone()).collect(),
    };
    if arguments.against_cluster {
        cluster::block_on(compare(arguments, &mut checked))?;
    }
    match arguments.output {
        Report::Json => output::print_json(&checked)?,
        Report::Text => output::print(&checked.text(&inventory))?,
    }
    checked.verdict()
}

/// Looks at the metadata of the key Secrets, and at the public keys: no private key leaves the cluster.
async fn compare(arguments: &BackupArguments, checked: &mut Checked) -> Outcome {
    let cluster = Cluster::connect(&arguments.cluster).await?;
    let namespace = &arguments.cluster.controller_namespace;
    let mut secrets = Secrets::read(cluster.client(), namespace).await?;
    if let Secrets::Forbidden(why) = &secrets {
        return Err(usage!("comparing with the cluster: you may not list key Secrets: {why}"));
    }
    let published = cluster::published_in(cluster.client(), namespace).await.unwrap_or_default();
    secrets.recognise(&published);
    let held = |id: &str| checked.keys.iter().find(|key| key.id == id);
    let mut missing = BTreeSet::new();
    let mut changed = Vec::new();
    for secret in secrets.known() {
        if secret.ids.is_empty() && !checked.keys.iter().any(|key| key.secret == secret.name) {
            missing.insert(format!("Secret {}", secret.name));
        }
        for id in &secret.ids {
            match held(id) {
                None => drop(missing.insert(id.clone())),
                Some(key) if key.state != secret.state => changed.push(Changed {
                    id: id.clone(),
                    backup: key.state.to_owned(),
                    cluster: secret.state.clone(),
                }),
                Some(_) => {}
            }
        }
    }
    missing.extend(published.into_iter().map(|key| key.id).filter(|id| held(id).is_none()));
    checked.missing = Some(missing.into_iter().collect());
    checked.changed = changed;
    Ok(())
}

impl Checked {
    fn text(&self, inventory: &Inventory) -> String {
        let mut text =
            format!("{GOOD}✓{GOOD:#} {} opens and holds {} key(s)\n{}", self.file, self.keys.len(), inventory.lines());
        text.extend(self.sha256.iter().map(|sha256| format!("  SHA-256 {sha256}\n")));
        text.push_str(&wrapped(&inventory.wrappers()).replace(" (or --unwrap it now)", ""));
        for Changed { id, backup, cluster } in &self.changed {
            text.push_str(&format!(
                "{WARN}changed{WARN:#} {id} is {cluster} in the cluster, and {backup} in the backup\n"
            ));
        }
        match &self.missing {
            Some(missing) if missing.is_empty() => {
                text.push_str(&format!("{GOOD}✓{GOOD:#} every key of the cluster is in it\n"));
            }
            Some(missing) => {
                let lines = missing.iter().map(|id| format!("{BAD}missing{BAD:#} {}\n", output::plain(id)));
                text.extend(lines);
            }
            None => {}
        }
        text
    }

    fn verdict(&self) -> Outcome {
        match self.missing.as_ref().map_or(0, Vec::len) {
            0 => Ok(()),
            count => Err(refuse!("{count} key(s) of the cluster are not in {}: make a new backup", self.file)),
        }
    }
}
