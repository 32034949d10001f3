//! `bulla keys backup`: every sealing key, encrypted to people who keep it; and whether a backup is still good.

mod check;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulla::seal::{Identity, Recipient};
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{BackupArguments, Report};
use crate::cluster;
use crate::custody::{self, Cluster, Fingerprint, Inventory, Item, KeySecret, MOST, Sealed};
use crate::failure::{Outcome, refuse, usage};
use crate::output::{self, Access, GOOD, HEAD, WARN};
use crate::recipients;

/// What was written; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    file: String,
    sha256: &'a Fingerprint,
    made: Timestamp,
    namespace: &'a str,
    keys: &'a [Item],
    /// Secrets that hold no key that can be read; they are in the backup as they are.
    malformed: Vec<&'a str>,
    threshold: Option<u8>,
    shares: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(arguments: &BackupArguments) -> Outcome {
    if let Some(file) = &arguments.check {
        return check::run(file, arguments);
    }
    let out = arguments.out.as_deref().ok_or_else(|| usage!("say where the backup goes: -o FILE"))?;
    let custodians = custodians(arguments)?;
    let shares = shares_of(out, if arguments.threshold.is_some() { custodians.len() } else { 0 });
    // Before any key is read.
    if !arguments.overwrite {
        for file in std::iter::once(out).chain(shares.iter().map(PathBuf::as_path)) {
            if std::fs::symlink_metadata(file).is_ok() {
                return Err(refuse!(
                    "{} is there already: choose another name, or say --overwrite to replace it",
                    file.display()
                ));
            }
        }
    }
    let mut secrets = if arguments.identity.is_empty() {
        let secrets = cluster::block_on(async { Cluster::connect(&arguments.cluster).await?.key_secrets().await })?;
        secrets.into_iter().map(KeySecret::portable).collect()
    } else {
        of_files(arguments)?
    };
    if secrets.is_empty() {
        return Err(refuse!(
            "no sealing key in namespace {}: is the controller there? see --controller-namespace",
            arguments.cluster.controller_namespace
        ));
    }
    let unwrapped = unwrap(&mut secrets, &arguments.unwrap)?;
    let inventory = Inventory::of(&secrets);
    refuse_own(&custodians, &inventory)?;

    let now = Timestamp::now();
    let namespace = arguments.cluster.controller_namespace.as_str();
    let text = custody::list(&secrets, &custody::title(namespace, now, arguments.identity.is_empty()));
    drop(secrets);
    let sealed = match arguments.threshold {
        Some(threshold) => custody::to_custodians(&text, &custodians, threshold, now)?,
        None => custody::to_any(&text, &custodians.concat())?,
    };
    drop(text);
    write(out, &shares, &sealed, arguments.overwrite)?;

    if arguments.output == Report::Json {
        return output::print_json(&Written {
            file: out.display().to_string(),
            sha256: &sealed.fingerprint,
            made: now,
            namespace,
            keys: &inventory.keys,
            malformed: inventory.malformed.iter().map(|(secret, _)| secret.as_str()).collect(),
            threshold: arguments.threshold,
            shares: shares.iter().map(|share| share.display().to_string()).collect(),
        });
    }
    output::print(&report(arguments, out, &shares, &sealed, &inventory, unwrapped))?;
    if !custody::is_post_quantum(&custodians.concat()) && inventory.keys.iter().any(|key| key.r#type == "hybrid") {
        output::note(&format!(
            "{WARN}note:{WARN:#} an X25519 key opens hybrid (post-quantum) keys here: whoever records it may open them with \
             a later quantum computer. `bulla keys generate` makes a hybrid recovery key"
        ));
    }
    Ok(())
}

/// Each `--to`: one custodian, who may have several keys.
fn custodians(arguments: &BackupArguments) -> Outcome<Vec<Vec<Recipient>>> {
    let custodians: Vec<Vec<Recipient>> =
        arguments.to.iter().map(|to| recipients::of_file(to)).collect::<Outcome<_>>()?;
    let Some(threshold) = arguments.threshold else { return Ok(custodians) };
    let count = custodians.len();
    if let Some(wanted) = arguments.custodians.filter(|wanted| usize::from(*wanted) != count) {
        return Err(usage!("--custodians {wanted}, but {count} --to: each --to is one custodian"));
    }
    if count > usize::from(MOST) || count < usize::from(threshold) {
        return Err(usage!(
            "--threshold {threshold} of {count} custodian(s): it takes between {threshold} and {MOST} --to"
        ));
    }
    let mut seen = BTreeSet::new();
    for recipient in custodians.iter().flatten() {
        if !seen.insert(recipient.key_id()) {
            return Err(usage!(
                "key {} is that of two custodians: one person would hold two shares",
                recipient.key_id()
            ));
        }
    }
    Ok(custodians)
}

fn shares_of(out: &Path, count: usize) -> Vec<PathBuf> {
    let named = |number: usize| {
        let mut name = out.as_os_str().to_owned();
        name.push(format!(".share-{number}"));
        PathBuf::from(name)
    };
    (1..=count).map(named).collect()
}

/// The keys of files, as Secrets for a cluster that is to be: the last one of a kind is the one to seal to.
fn of_files(arguments: &BackupArguments) -> Outcome<Vec<KeySecret>> {
    let documents = custody::open(&arguments.identity)?;
    let mut sources = custody::sources(&documents)?;
    let last = sources.iter().rposition(|source| source.is_bare && !source.secret.is_upstreams());
    for (place, source) in sources.iter_mut().enumerate() {
        if source.is_bare && Some(place) != last {
            source.secret.only_open();
        }
        let namespace = &arguments.cluster.controller_namespace;
        source.secret.namespace.get_or_insert_with(|| namespace.clone());
    }
    Ok(sources.into_iter().map(|source| source.secret).collect())
}

/// Unwraps what these files unwrap; how many keys that were.
fn unwrap(secrets: &mut [KeySecret], files: &[PathBuf]) -> Outcome<usize> {
    if files.is_empty() {
        return Ok(0);
    }
    let identities: Vec<Identity> = custody::identities_in(&custody::open(files)?);
    let count = secrets.iter_mut().filter_map(|secret| secret.unwrap(&identities).then_some(())).count();
    if count == 0 {
        return Err(refuse!("--unwrap: none of the keys is wrapped by age to one of these identities"));
    }
    Ok(count)
}

/// A backup that only the cluster itself could open is none.
fn refuse_own(custodians: &[Vec<Recipient>], inventory: &Inventory) -> Outcome {
    let ids = inventory.ids();
    match custodians.iter().flatten().find(|recipient| ids.contains(recipient.key_id().to_string().as_str())) {
        None => Ok(()),
        Some(own) => Err(refuse!(
            "--to: {} is one of the keys that are backed up: without them nobody could open it. Make a recovery key with \
             `bulla keys generate`, and keep it elsewhere",
            own.key_id()
        )),
    }
}

/// Writes the shares, then the backup; where one cannot be written, those before it go again.
fn write(out: &Path, shares: &[PathBuf], sealed: &Sealed, overwrite: bool) -> Outcome {
    let files = shares.iter().map(PathBuf::as_path).zip(sealed.shares.iter().map(Vec::as_slice));
    let mut written: Vec<&Path> = Vec::new();
    for (path, bytes) in files.chain([(out, sealed.file.as_slice())]) {
        let outcome = if overwrite {
            output::write_file(path, bytes, Access::Private)
        } else {
            output::create_private_file(path, bytes)
        };
        if let Err(failure) = outcome {
            if !overwrite {
                written.iter().for_each(|path| std::fs::remove_file(path).unwrap_or_default());
            }
            return Err(failure);
        }
        written.push(path);
    }
    Ok(())
}

fn report(
    arguments: &BackupArguments,
    out: &Path,
    shares: &[PathBuf],
    sealed: &Sealed,
    inventory: &Inventory,
    unwrapped: usize,
) -> String {
    let mut text = format!(
        "{GOOD}✓{GOOD:#} {} key(s) are in {} (mode 0600)\n{}  SHA-256 {}\n",
        inventory.keys.len(),
        out.display(),
        inventory.lines(),
        sealed.fingerprint
    );
    if let Some(threshold) = arguments.threshold {
        text.push_str(&format!(
            "{HEAD}Any {threshold} of {} open it:{HEAD:#} give each custodian their share\n",
            shares.len()
        ));
        for (share, to) in shares.iter().zip(&arguments.to) {
            let to = if to.chars().count() > 40 {
                format!("{}…", to.chars().take(39).collect::<String>())
            } else {
                to.clone()
            };
            text.push_str(&format!("  {} for {}\n", share.display(), output::plain(&to)));
        }
    }
    if unwrapped > 0 {
        text.push_str(&format!(
            "{WARN}{unwrapped} key(s) that the cluster wraps are not wrapped in the backup{WARN:#}, nor where it is restored.\n"
        ));
    }
    text.push_str(&wrapped(&inventory.wrappers()));
    text.push_str(&format!(
        "{HEAD}Next:{HEAD:#} keep it apart from the cluster, note the SHA-256, and see that it opens: \
         `bulla keys backup --check {} --identity ...`\n",
        out.display()
    ));
    text
}

/// What wrapped keys need besides the backup.
fn wrapped(wrappers: &BTreeSet<&'static str>) -> String {
    wrappers
        .iter()
        .map(|by| {
            let hint = if *by == "age" {
                "the identity that unwraps it (or --unwrap it now)"
            } else {
                "that service, with its key"
            };
            format!("{WARN}Wrapped by {by}:{WARN:#} such a key stays wrapped, and takes {hint} besides the backup.\n")
        })
        .collect()
}
