//! `bulla keys`: make a key pair, show public keys; see, renew and retire the keys of a cluster.

mod audit;
mod backup;
mod export;
mod exposed;
mod import;
mod list;
mod placing;
mod restore;
mod retire;
mod rotate;
mod share;

use std::path::Path;

use crate::args::{KeyType, KeysVerb, Report};
use crate::cluster::{self, ClusterArguments, PublishedKey};
use crate::failure::{Outcome, usage};
use crate::{identities, output, recipients};

/// Runs one of the verbs.
pub(super) fn run(verb: KeysVerb) -> Outcome {
    match verb {
        KeysVerb::Generate { kind, out } => generate(kind, out.as_deref()),
        KeysVerb::Show { file: Some(file), output, .. } => show_rule(&file, output),
        KeysVerb::Show { file: None, output, cluster } => show_cluster(&cluster, output),
        KeysVerb::List(arguments) => list::run(&arguments),
        KeysVerb::Rotate(arguments) => rotate::run(&arguments),
        KeysVerb::Audit(arguments) => audit::run(&arguments),
        KeysVerb::Import(arguments) => import::run(&arguments),
        KeysVerb::Export(arguments) => export::run(&arguments),
        KeysVerb::Backup(arguments) => backup::run(&arguments),
        KeysVerb::Restore(arguments) => restore::run(&arguments),
        KeysVerb::Share(verb) => share::run(&verb),
        KeysVerb::Retire(arguments) => retire::retire(&arguments),
        KeysVerb::Compromised(arguments) => retire::compromised(&arguments),
    }
}

fn generate(kind: KeyType, out: Option<&Path>) -> Outcome {
    let identity = identities::generate(kind)?;
    let text = identities::file_text(&identity)?;
    let Some(path) = out else {
        // As age-keygen does: the file itself to standard output, and what may be shown to the person.
        output::note(&format!("Public key: {}", identity.recipient()));
        return output::print_bytes(text.as_bytes());
    };
    output::create_private_file(path, text.as_bytes())?;
    output::note(&format!(
        "{} holds the private key {} (mode 0600): keep it out of Git. Its recipient, for .bulla.yaml or --to:",
        path.display(),
        identity.key_id()
    ));
    output::print(&format!("{}\n", identity.recipient()))
}

fn show_rule(file: &Path, report: Report) -> Outcome {
    let rule = recipients::rule_for(Some(file))?
        .ok_or_else(|| usage!("no rule of a .bulla.yaml covers {}", file.display()))?;
    let keys: Vec<PublishedKey> = recipients::of_rule(&rule)?.iter().map(PublishedKey::of).collect();
    print_keys(&keys, report, &format!("{} names for {}", rule.file.display(), file.display()))
}

fn show_cluster(arguments: &ClusterArguments, report: Report) -> Outcome {
    let keys = cluster::block_on(cluster::published_keys(arguments))?;
    print_keys(&keys, report, &format!("the controller in namespace {} publishes", arguments.controller_namespace))
}

fn print_keys(keys: &[PublishedKey], report: Report, source: &str) -> Outcome {
    if report == Report::Json {
        return output::print_json(&keys);
    }
    output::note(&format!("{} key(s) that {source}:", keys.len()));
    let mut text = String::new();
    for key in keys {
        let created = key.created.as_deref().map_or_else(String::new, |created| format!(", made {created}"));
        let public = key.recipient.as_deref().or(key.certificate.as_deref()).unwrap_or("(a certificate file)");
        text.push_str(&format!("# {} {} {}{created}\n{}\n", key.id, key.kind, key.state, public.trim_end()));
    }
    output::print(&text)
}
