//! `bulla keys restore`: the keys of a backup into a new cluster.

use jiff::Timestamp;
use serde::Serialize;

use super::placing;
use crate::args::{Report, RestoreArguments};
use crate::cluster;
use crate::custody::{self, Cluster, Fate, Fingerprint, KeySecret, Placed};
use crate::failure::{Outcome, refuse};
use crate::output::{self, HEAD, WARN};

/// What was done; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Restored<'a> {
    file: String,
    sha256: Option<&'a Fingerprint>,
    namespace: &'a str,
    dry_run: bool,
    made_namespace: bool,
    keys: &'a [Placed],
}

/// Runs the verb.
pub(super) fn run(arguments: &RestoreArguments) -> Outcome {
    let document = custody::open_one(&arguments.file, arguments.opener.files())?;
    if !document.is_manifest() {
        return Err(refuse!(
            "{} is no backup: it holds bare keys. `bulla keys import` takes those",
            arguments.file.display()
        ));
    }
    let secrets: Vec<KeySecret> = document.secrets()?;
    if !secrets.iter().any(KeySecret::is_of_keys) {
        return Err(refuse!("{} opens, but there is no key in it", arguments.file.display()));
    }
    let found = document.fingerprint.as_ref().map(ToString::to_string);
    if let Some(wanted) = arguments.sha256.as_deref()
        && !found.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
    {
        return Err(refuse!(
            "{} is not the backup with SHA-256 {wanted}: it has {}. Nothing was restored",
            arguments.file.display(),
            found.unwrap_or_else(|| "none".to_owned())
        ));
    }
    // Before anything is placed: there is time to compare it.
    if let (Some(found), None) = (&found, &arguments.sha256) {
        output::note(&format!(
            "SHA-256 of the backup: {found}. Is it what was noted when the backup was made? (--sha256)"
        ));
    }
    let now = Timestamp::now();
    let from = secrets.iter().find_map(|secret| secret.namespace.clone());
    let namespace = arguments.cluster.controller_namespace.as_str();
    let (placement, runs) = cluster::block_on(async {
        let cluster = Cluster::connect(&arguments.cluster).await?;
        let secrets = secrets.into_iter().map(|secret| secret.portable().of_keys_only(now)).collect();
        let placement = custody::place(&cluster, secrets, arguments.dry_run).await?;
        Ok((placement, cluster.published().await.is_some()))
    })?;
    if arguments.output == Report::Json {
        output::print_json(&Restored {
            file: arguments.file.display().to_string(),
            sha256: document.fingerprint.as_ref(),
            namespace,
            dry_run: arguments.dry_run,
            made_namespace: placement.made_namespace,
            keys: &placement.placed,
        })?;
        return placing::verdict(&placement);
    }
    let mut text = placing::lines(&placement, namespace, arguments.dry_run);
    if let Some(from) = from.filter(|from| from != namespace) {
        text.push_str(&format!(
            "{WARN}The backup is of namespace {}, and this is {namespace}{WARN:#}: the controller has to run here (--controller-namespace)\n",
            output::plain(&from)
        ));
    }
    text.push_str(&placing::wrappers(&placement));
    if !placement.has_active {
        text.push_str(&format!(
            "{WARN}No native key of the cluster is active{WARN:#}: the controller makes a new one\n"
        ));
    }
    let next = match (arguments.dry_run, runs) {
        (true, _) => "the same without --dry-run",
        (false, true) => "nothing has to be restarted: the controller takes the keys up at once. Apply the repository",
        (false, false) => "install the controller in this namespace; it finds the keys. Then apply the repository",
    };
    text.push_str(&format!("{HEAD}Next:{HEAD:#} {next}\n"));
    output::print(&text)?;
    if placement.count(Fate::Created) == 0 && !arguments.dry_run {
        output::note("nothing had to be changed");
    }
    placing::verdict(&placement)
}
