//! `bulla keys import`: key pairs of people, of the other controller or of an export, into a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::placing;
use crate::args::{BroughtState, ImportArguments, Report};
use crate::cluster;
use crate::custody::{self, Cluster, Document, Fate, Placed, Source};
use crate::failure::Outcome;
use crate::output::{self, HEAD, WARN};

/// What was done; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Imported<'a> {
    namespace: &'a str,
    dry_run: bool,
    made_namespace: bool,
    keys: &'a [Placed],
}

/// Runs the verb.
pub(super) fn run(arguments: &ImportArguments) -> Outcome {
    let files: Vec<PathBuf> = arguments.files.iter().chain(arguments.opener.files()).cloned().collect();
    let documents = custody::open(&files)?;
    let brought: Vec<Document> =
        documents.into_iter().filter(|document| document.place < arguments.files.len()).collect();
    // All of them are read before the first one is written.
    let mut sources = custody::sources(&brought)?;
    drop(brought);
    for Source { secret, is_bare, .. } in &mut sources {
        match (arguments.state, is_bare) {
            (Some(BroughtState::Active), _) => secret.activate(),
            (Some(BroughtState::Opening), _) | (None, true) => secret.only_open(),
            (None, false) => {}
        }
    }
    let upstreams = sources.iter().filter(|source| source.secret.is_upstreams()).count();
    // Each key once, though several files have it; the first one counts.
    let mut distinct = BTreeMap::new();
    for (place, source) in sources.into_iter().enumerate() {
        let ids = source.secret.keys().unwrap_or_default().iter().map(|key| key.id.to_string()).collect::<Vec<_>>();
        distinct.entry(ids).or_insert((place, source.secret));
    }
    let mut secrets: Vec<_> = distinct.into_values().collect();
    secrets.sort_by_key(|(place, _)| *place);
    let secrets = secrets.into_iter().map(|(_, secret)| secret).collect();

    let namespace = arguments.cluster.controller_namespace.as_str();
    let placement = cluster::block_on(async {
        custody::place(&Cluster::connect(&arguments.cluster).await?, secrets, arguments.dry_run).await
    })?;
    if arguments.output == Report::Json {
        output::print_json(&Imported {
            namespace,
            dry_run: arguments.dry_run,
            made_namespace: placement.made_namespace,
            keys: &placement.placed,
        })?;
        return placing::verdict(&placement);
    }
    let mut text = placing::lines(&placement, namespace, arguments.dry_run);
    text.push_str(&placing::wrappers(&placement));
    if arguments.state == Some(BroughtState::Opening) && upstreams > 0 {
        text.push_str(&format!(
            "{WARN}RSA keys have no state `opening`{WARN:#}: they open while their label says active, and the newest certificate is sealed to\n"
        ));
    }
    if placement.count(Fate::Created) > 0 && !arguments.dry_run {
        text.push_str(&format!("{HEAD}Next:{HEAD:#} a running controller takes them up at once: `bulla keys list`\n"));
    }
    output::print(&text)?;
    placing::verdict(&placement)
}
