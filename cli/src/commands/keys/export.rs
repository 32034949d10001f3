//! `bulla keys export`: private keys out of a cluster.

use std::io::{self, IsTerminal as _};

use bulla::seal::Recipient;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::args::{ExportArguments, ExportFormat};
use crate::custody::{self, Cluster, Inventory, KeySecret};
use crate::failure::{Outcome, refuse, usage};
use crate::output;
use crate::{cluster, recipients};

/// The fewest characters by which a key may be named.
const FEWEST: usize = 4;

/// Runs the verb.
pub(super) fn run(arguments: &ExportArguments) -> Outcome {
    if arguments.plaintext && io::stdout().is_terminal() {
        return Err(usage!("private keys in the clear do not go onto a terminal: pipe them into what needs them"));
    }
    let to = arguments.to.iter().map(|to| recipients::of_file(to)).collect::<Outcome<Vec<_>>>()?.concat();
    let namespace = arguments.cluster.controller_namespace.as_str();
    let secrets = cluster::block_on(async { Cluster::connect(&arguments.cluster).await?.key_secrets().await })?;
    let secrets: Vec<KeySecret> = secrets.into_iter().map(KeySecret::portable).collect();
    let secrets = chosen(secrets, &arguments.ids, namespace)?;
    let inventory = Inventory::of(&secrets);
    let text = match arguments.format {
        ExportFormat::Secrets => custody::list(&secrets, &title(namespace)),
        ExportFormat::Keys => bare(&secrets)?,
    };
    drop(secrets);
    if arguments.plaintext {
        output::print_bytes(text.as_bytes())?;
        output::note(&format!(
            "{} private key(s) in the clear:\n{}",
            inventory.keys.len(),
            inventory.lines().trim_end()
        ));
        return Ok(());
    }
    let sealed = custody::armored(&custody::encrypt(&text, &to)?)?;
    match &arguments.out {
        Some(out) => output::create_private_file(out, &sealed)?,
        None => output::print_bytes(&sealed)?,
    }
    let place = arguments.out.as_ref().map_or_else(String::new, |out| format!(" are in {}", out.display()));
    output::note(&format!(
        "{} private key(s){place}, encrypted to {}:\n{}",
        inventory.keys.len(),
        recipients::describe(&to),
        inventory.lines().trim_end()
    ));
    warn(&to, &inventory);
    Ok(())
}

fn warn(to: &[Recipient], inventory: &Inventory) {
    if !inventory.wrappers().is_empty() {
        output::note("wrapped keys stay wrapped: they take what wrapped them, too");
    }
    if !custody::is_post_quantum(to) && inventory.keys.iter().any(|key| key.r#type == "hybrid") {
        output::note(
            "an X25519 key opens a hybrid (post-quantum) key here: better a hybrid one, `bulla keys generate`",
        );
    }
}

fn title(namespace: &str) -> Vec<String> {
    let now = Timestamp::now();
    vec![
        format!(
            "Sealing keys of the controller in namespace {namespace}, by bulla {} at {now}.",
            env!("CARGO_PKG_VERSION")
        ),
        "Whoever reads this opens every value that was ever sealed to them.".to_owned(),
    ]
}

/// The Secrets with these keys; all without any.
fn chosen(secrets: Vec<KeySecret>, ids: &[String], namespace: &str) -> Outcome<Vec<KeySecret>> {
    if secrets.is_empty() {
        return Err(refuse!(
            "no sealing key in namespace {namespace}: is the controller there? see --controller-namespace"
        ));
    }
    if ids.is_empty() {
        return Ok(secrets);
    }
    let known = Inventory::of(&secrets);
    let mut wanted = Vec::new();
    for id in ids {
        let typed = id.to_ascii_lowercase();
        if typed.len() < FEWEST {
            return Err(usage!("{id:?} is too short for a key id: at least {FEWEST} characters of it"));
        }
        let fits: Vec<_> = known.keys.iter().filter(|key| key.id.starts_with(&typed)).collect();
        match fits.as_slice() {
            [] => return Err(refuse!("namespace {namespace} has no key {id}: see `bulla keys list`")),
            [first, rest @ ..] if rest.iter().all(|key| key.id == first.id) => {
                wanted.extend(fits.iter().map(|key| key.secret.clone()));
            }
            _ => return Err(usage!("{id} is the beginning of several keys: write more of it")),
        }
    }
    Ok(secrets.into_iter().filter(|secret| wanted.contains(&secret.name)).collect())
}

/// The private keys without the Secrets around them.
fn bare(secrets: &[KeySecret]) -> Outcome<Zeroizing<String>> {
    let mut parts: Vec<&str> = Vec::new();
    let is_upstreams = secrets.iter().any(KeySecret::is_upstreams);
    if is_upstreams && !secrets.iter().all(KeySecret::is_upstreams) {
        return Err(usage!(
            "age identities and PEM do not go into one file: name the keys of one kind, or use --format secrets"
        ));
    }
    for secret in secrets {
        let names: &[&str] = if is_upstreams { &["tls.key", "tls.crt"] } else { &["identity"] };
        for name in names {
            let text = secret.text(name).map_err(|problem| refuse!("Secret {}: {problem}", secret.name))?;
            parts.push(text.ok_or_else(|| refuse!("Secret {} has no {name}: it is wrapped, or damaged", secret.name))?);
        }
    }
    let size = parts.iter().map(|part| part.len() + 1).sum();
    let mut text = Zeroizing::new(String::with_capacity(size));
    for part in parts {
        text.push_str(part);
        if !part.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}
