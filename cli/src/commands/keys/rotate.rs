//! `bulla keys rotate`: asks the controller for a new sealing key, and waits until it is there.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::args::{Report, RotateArguments};
use crate::cluster::{self, PublishedKey};
use crate::failure::Outcome;
use crate::keys::{NO_BACKUP, Renewal};
use crate::output::{self, DIM, GOOD, Progress};

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
        output::note(NO_BACKUP);
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
    output::note(
        "older keys go on opening what was sealed to them: `bulla rotate --no-new-key` seals those values again",
    );
    output::note(NO_BACKUP);
    Ok(())
}

async fn rotate(arguments: &RotateArguments) -> Outcome<Answer> {
    let client = cluster::connect(&arguments.cluster.connection).await?;
    let namespace = &arguments.cluster.controller_namespace;
    let before: BTreeSet<String> =
        cluster::published_in(&client, namespace).await?.into_iter().map(|key| key.id).collect();
    let renewal = Renewal { client: &client, namespace, asked: Timestamp::now(), before: &before };
    renewal.ask().await?;
    let began = Instant::now();
    let keys = if arguments.no_wait {
        Vec::new()
    } else {
        let _waiting = Progress::spinner("waiting for the controller to make a key");
        renewal.served(arguments.timeout).await?
    };
    Ok(Answer { requested_at: renewal.asked.to_string(), keys, seconds: began.elapsed().as_secs_f64() })
}
