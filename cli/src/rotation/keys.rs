//! The keys of a run: those that go, and those that come in their place.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bulla::seal::{KeyKind, Recipient};
use bulla_crds::names::{KEY_COMPROMISED, KEY_RETIRED};
use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::state::{Asked, State, Wish};
use crate::args::{KeyType, RotationArguments};
use crate::cluster::{self, PublishedKey};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::git::Checkout;
use crate::identities;
use crate::keys::{Keys, Renewal, mark};
use crate::output::Progress;
use crate::repository::rewrite::Replacement;

/// The fewest characters by which a key may be named.
const FEWEST: usize = 4;

/// The keys that are there before a run.
pub(super) struct Found {
    /// Those to be replaced.
    pub(super) old: Vec<PublishedKey>,
    /// Those that take their place, where none is to be made.
    pub(super) newest: Vec<PublishedKey>,
}

/// What a cluster has: every key that opens something, but for those that are to stay.
pub(super) fn in_cluster(wish: &Wish, named: &[String]) -> Outcome<Found> {
    let published = cluster::block_on(cluster::published_keys(&wish.cluster()))?;
    let is_newest = |key: &PublishedKey| {
        let mut same = published.iter().rev().filter(|other| other.state == "active" && is_rsa(other) == is_rsa(key));
        same.next().is_some_and(|newest| newest.id == key.id)
    };
    let (newest, older): (Vec<_>, Vec<_>) =
        published.iter().cloned().partition(|key| wish.no_new_key && is_newest(key));
    if wish.no_new_key && newest.is_empty() {
        return Err(usage!("the cluster publishes no active key: see the controller's log"));
    }
    if named.is_empty() {
        return Ok(Found { old: older, newest });
    }
    // A retired or compromised key is not published; whoever has it in a file may name it.
    let known: BTreeSet<&str> = published.iter().map(|key| key.id.as_str()).collect();
    let held = identities::read(&wish.identity)?;
    let held = held.iter().map(|identity| PublishedKey::of(identity.recipient()));
    let held = held.filter(|key| !known.contains(key.id.as_str()));
    let old = chosen(&older.iter().cloned().chain(held).collect::<Vec<_>>(), named)?;
    Ok(Found { old, newest })
}

/// What files and `.bulla.yaml` (`in_rules`) name, without a cluster.
pub(super) fn in_files(wish: &Wish, named: &[String], in_rules: &[Recipient]) -> Outcome<Vec<PublishedKey>> {
    if wish.identity.is_empty() {
        return Err(usage!("say --identity FILE: without a cluster, values are opened with the old private key"));
    }
    let mut held = Vec::new();
    held.extend(identities::read(&wish.identity)?.iter().map(|identity| PublishedKey::of(identity.recipient())));
    held.sort_by(|a, b| a.id.cmp(&b.id));
    held.dedup_by(|a, b| a.id == b.id);
    if !named.is_empty() {
        return chosen(&held, named);
    }
    if let [one] = held.as_slice() {
        return Ok(vec![one.clone()]);
    }
    let ids: BTreeSet<String> = in_rules.iter().map(|recipient| recipient.key_id().to_string()).collect();
    let (named, unnamed): (Vec<_>, Vec<_>) = held.into_iter().partition(|key| ids.contains(&key.id));
    match named.as_slice() {
        // What no rule names is left over from before, and goes too.
        [_] => Ok([named, unnamed].concat()),
        [] => Err(usage!("which key is to be replaced? No .bulla.yaml names one of {}: say --old ID", list(&unnamed))),
        _ => Err(usage!("which key is to be replaced? .bulla.yaml names {}: say --old ID", list(&named))),
    }
}

fn chosen(keys: &[PublishedKey], named: &[String]) -> Outcome<Vec<PublishedKey>> {
    let mut chosen = Vec::new();
    for beginning in named {
        let wanted = beginning.to_ascii_lowercase();
        let fits: Vec<&PublishedKey> = keys.iter().filter(|key| key.id.starts_with(&wanted)).collect();
        match fits.as_slice() {
            _ if wanted.len() < FEWEST => {
                return Err(usage!("--old {beginning}: too short for a key id: at least {FEWEST} characters of it"));
            }
            [one] => chosen.push((*one).clone()),
            [] => return Err(usage!("--old {beginning}: it is not among {}", list(keys))),
            _ => return Err(usage!("--old {beginning} is the beginning of several keys: write more of it")),
        }
    }
    Ok(chosen)
}

/// Key ids in words.
pub(super) fn list(keys: &[PublishedKey]) -> String {
    if keys.is_empty() {
        return "no key".to_owned();
    }
    keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether it is one of kubeseal's.
pub(super) fn is_rsa(key: &PublishedKey) -> bool {
    key.kind == KeyKind::Rsa.as_str()
}

/// Who comes for whom in `.bulla.yaml`: native for native, certificate for certificate, and native for a certificate
/// where no certificate comes.
pub(super) fn replacements(old: &[PublishedKey], new: &[PublishedKey]) -> Outcome<Vec<Replacement>> {
    let mut all = Vec::new();
    for key in old {
        let same = new.iter().rev().find(|new| is_rsa(new) == is_rsa(key));
        let Some(comes) = same.or_else(|| new.iter().rev().find(|new| !is_rsa(new))) else { continue };
        let Ok(id) = key.id.parse() else { continue };
        all.push(Replacement { old: id, new: comes.to_recipient()?, certificate: comes.certificate.clone() });
    }
    Ok(all)
}

/// A key that stands for the one that is to be made, to see whether everything would go well with it.
pub(super) fn stand_in(old: &[PublishedKey], kind: Option<KeyType>) -> Outcome<Vec<PublishedKey>> {
    Ok(vec![PublishedKey::of(identities::generate(kind_of(old, kind))?.recipient())])
}

/// The kind of the new key: as asked for, else that of the old one.
fn kind_of(old: &[PublishedKey], kind: Option<KeyType>) -> KeyType {
    let is_small = old.iter().rev().find(|key| !is_rsa(key)).is_some_and(|key| key.kind == KeyKind::X25519.as_str());
    kind.unwrap_or(if is_small { KeyType::X25519 } else { KeyType::Hybrid })
}

/// Refuses a place for a private half where it would get into Git, and a key that is to be replaced.
pub(super) fn check_place(checkout: &Checkout, file: &Path, old: &[PublishedKey]) -> Outcome {
    let folder = file.parent().and_then(|folder| fs::canonicalize(folder).ok());
    let Some(folder) = folder else {
        return Err(usage!("the folder of {} does not exist", file.display()));
    };
    let resolved = folder.join(file.file_name().unwrap_or_default());
    if resolved.starts_with(checkout.root()) && !checkout.is_ignored(&resolved)? {
        return Err(refuse!(
            "{} is in the working tree, where it could be committed: put the private half outside of it",
            file.display()
        ));
    }
    if file.exists() {
        let held = identities::read(&[file.to_path_buf()])?;
        let [one] = held.as_slice() else {
            return Err(refuse!("{} holds {} keys: a new key has a file of its own", file.display(), held.len()));
        };
        if old.iter().any(|key| key.id == one.key_id().to_string()) {
            return Err(refuse!("{} holds the key that is to be replaced: name another file", file.display()));
        }
    }
    Ok(())
}

/// Makes the key pair into its file, or takes the one that is there: a run before this one made it, or a person did.
pub(super) fn make(file: &Path, old: &[PublishedKey], kind: Option<KeyType>) -> Outcome<PublishedKey> {
    if !file.exists() {
        let identity = identities::generate(kind_of(old, kind))?;
        place(file, identities::file_text(&identity)?.as_bytes())?;
    }
    match identities::read(&[file.to_path_buf()])?.as_slice() {
        [one] => Ok(PublishedKey::of(one.recipient())),
        many => Err(refuse!("{} holds {} keys: a new key has a file of its own", file.display(), many.len())),
    }
}

/// A private file, whole or not at all, and never over another one. Half written it has a name of its own, so that a
/// run after a kill finds it and makes it anew: nothing secret stays behind.
fn place(path: &Path, bytes: &[u8]) -> Outcome {
    let named = || format!("writing {} (an existing key is never overwritten)", path.display());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let part = path.with_file_name(format!(".{name}.part"));
    fs::remove_file(&part).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).or_usage(named())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).or_usage(named())?;
    match rustix::fs::renameat_with(CWD, &part, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // A file system that cannot refuse to replace.
        Err(Errno::INVAL | Errno::NOSYS) if !path.exists() => fs::rename(&part, path).or_usage(named()),
        Err(error) => Err(error).or_usage(named()),
    }
}

/// Asks the controller for a new key and waits for it. `noted` is called before anything is asked for.
pub(super) fn renew(
    arguments: &RotationArguments,
    state: &mut State,
    noted: impl FnOnce(&State) -> Outcome,
) -> Outcome<Vec<PublishedKey>> {
    let runtime = cluster::runtime()?;
    let cluster = state.wish.cluster();
    let client = runtime.block_on(cluster::connect(&cluster.connection))?;
    let namespace = cluster.controller_namespace.as_str();
    let asked = match &state.asked {
        Some(asked) => asked.clone(),
        None => {
            let before = runtime.block_on(cluster::published_in(&client, namespace))?;
            Asked { at: Timestamp::now(), before: before.into_iter().map(|key| key.id).collect() }
        }
    };
    state.asked = Some(asked.clone());
    noted(state)?;
    let before: BTreeSet<String> = asked.before.into_iter().collect();
    let renewal = Renewal { client: &client, namespace, asked: asked.at, before: &before };
    let _waiting = Progress::spinner("waiting for the controller to make a key");
    runtime.block_on(async {
        renewal.ask().await?;
        renewal.served(arguments.timeout).await
    })
}

/// Retires keys of the cluster that nothing needs, by their ids, and says which were.
///
/// # Errors
/// One is what people seal to, shares its Secret with a key that stays, or may not be labelled by this user.
pub(super) fn retire(wish: &Wish, free: &[&str]) -> Outcome<Vec<String>> {
    if free.is_empty() {
        return Ok(Vec::new());
    }
    let cluster = wish.cluster();
    cluster::block_on(async {
        let client = cluster::connect(&cluster.connection).await?;
        let keys = Keys::read(&client, &cluster.controller_namespace).await?;
        let mut retired = Vec::new();
        for key in keys.keys.iter().filter(|key| free.contains(&key.id.as_str())) {
            let hint = || format!("`bulla keys retire {}` by somebody who may", key.id);
            let secret = keys.secret_of(key).map_err(|failure| failure.at(hint()))?;
            if [KEY_RETIRED, KEY_COMPROMISED].contains(&secret.state.as_str()) {
                continue;
            }
            if keys.is_sealed_to(key) {
                return Err(refuse!("{} is the key that people are told to seal to: make a new one first", key.id));
            }
            if let Some(other) = secret.ids.iter().find(|id| !free.contains(&id.as_str())) {
                return Err(refuse!("Secret {} holds {} and also {other}, which is still needed", secret.name, key.id));
            }
            mark(&client, &cluster.controller_namespace, secret, KEY_RETIRED)
                .await
                .map_err(|failure| failure.at(hint()))?;
            retired.push(key.id.clone());
        }
        Ok(retired)
    })
}
