//! `bulla keys rotate`: asks the controller for a new sealing key, and waits until it is there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bulla_crds::names::{ROTATE_HANDLED_AT, ROTATE_REQUESTED_AT};
use indicatif::ProgressBar;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde_json::json;

use crate::args::{Report, RotateArguments};
use crate::cluster::{self, CONFIG_MAP, PublishedKey};
use crate::failure::{OrFail as _, Outcome, usage};
use crate::output::{self, DIM, GOOD};

/// How often the ConfigMap is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// What came of it; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    requested_at: String,
    /// The keys that are new; empty with `--no-wait`.
    keys: Vec<PublishedKey>,
    seconds: f64,
}

/// Runs the verb.
pub(super) fn run(arguments: &RotateArguments) -> Outcome {
    let answer = cluster::block_on(rotate(arguments))?;
    if arguments.output == Report::Json {
        return output::print_json(&answer);
    }
    if arguments.no_wait {
        output::note(&format!("asked for a new key at {}; see `bulla keys list`", answer.requested_at));
        return Ok(());
    }
    let mut text = String::new();
    for key in &answer.keys {
        text.push_str(&format!(
            "{GOOD}✓{GOOD:#} new key {} ({}) {DIM}{:.1} s{DIM:#}\n",
            key.id, key.kind, answer.seconds
        ));
        if let Some(recipient) = &key.recipient {
            text.push_str(&format!("{recipient}\n"));
        }
    }
    output::print(&text)?;
    output::note("older keys go on opening what was sealed to them: seal those values again, then `bulla keys retire`");
    Ok(())
}

async fn rotate(arguments: &RotateArguments) -> Outcome<Answer> {
    let client = cluster::connect(&arguments.cluster.connection).await?;
    let namespace = &arguments.cluster.controller_namespace;
    let before: BTreeSet<String> =
        cluster::published_in(&client, namespace).await?.into_iter().map(|key| key.id).collect();
    let asked = Timestamp::now();
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { ROTATE_REQUESTED_AT: asked.to_string() } } }));
    let parameters = PatchParams { field_manager: Some("bulla".to_owned()), ..PatchParams::default() };
    let place = format!("asking for a new key on ConfigMap {CONFIG_MAP} in namespace {namespace}");
    api.patch(CONFIG_MAP, &parameters, &patch).await.or_usage(place)?;
    let began = Instant::now();
    let answer = |keys| Answer { requested_at: asked.to_string(), keys, seconds: began.elapsed().as_secs_f64() };
    if arguments.no_wait {
        return Ok(answer(Vec::new()));
    }
    // On a terminal only, and on standard error.
    let spinner = ProgressBar::new_spinner().with_message("waiting for the controller to make a key");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let (mut handled_for_nothing, mut half) = (false, Vec::<String>::new());
    let mut trouble = None;
    while began.elapsed() < arguments.timeout {
        match api.get(CONFIG_MAP).await {
            Ok(map) => {
                let handled = map.metadata.annotations.as_ref().and_then(|all| all.get(ROTATE_HANDLED_AT));
                let handled = handled.and_then(|at| at.parse::<Timestamp>().ok()).is_some_and(|at| at >= asked);
                let keys = cluster::keys_in(map, namespace)?;
                let new: Vec<PublishedKey> = keys.into_iter().filter(|key| !before.contains(&key.id)).collect();
                // Served whole: where both kinds are made, one of them may be there before the other.
                if handled && !new.is_empty() {
                    spinner.finish_and_clear();
                    return Ok(answer(new));
                }
                (handled_for_nothing, half) = (handled, new.into_iter().map(|key| key.id).collect());
                trouble = None;
            }
            Err(error) => trouble = Some(error.to_string()),
        }
        tokio::time::sleep(LOOK).await;
    }
    spinner.finish_and_clear();
    let seconds = arguments.timeout.as_secs_f64();
    Err(match trouble {
        Some(trouble) => usage!("no new key within {seconds} s; the cluster says: {trouble}"),
        None if handled_for_nothing => usage!(
            "the controller has answered the request, but published no new key within {seconds} s: see its log. It makes \
             5 keys a day on request at most"
        ),
        None if !half.is_empty() => usage!(
            "the controller has made {}, but not all that was asked for within {seconds} s: see its log",
            half.join(", ")
        ),
        None => usage!(
            "no controller has made a key within {seconds} s: is one running in namespace {namespace}, and may it \
             create Secrets there? The request stays, and is served when one starts"
        ),
    })
}
