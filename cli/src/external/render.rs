//! A plan for people.

use super::plan::{Plan, State, ValuePlan};
use crate::output::{BAD, DIM, GOOD, HEAD, WARN};

/// The plan as text. No value is in it: there is none in a plan that is shown.
pub(crate) fn text(plan: &Plan) -> String {
    let target = &plan.target;
    let secret = match &target.namespace {
        Some(namespace) => format!("{namespace}/{}", target.name),
        None => target.name.clone(),
    };
    let line = plan.line.map(|line| format!(":{line}")).unwrap_or_default();
    let mut text = format!(
        "{HEAD}Secret {secret}{HEAD:#} {DIM}of {} ({}{line}){DIM:#}\n  {}, creationPolicy {}, deletionPolicy {}, {}{}\n",
        plan.object,
        plan.file,
        target.kind,
        target.creation_policy,
        target.deletion_policy,
        refresh(&target.refresh_policy, &target.refresh_interval),
        if target.immutable { ", immutable" } else { "" },
    );
    if target.creation_policy == "None" {
        text.push_str("  creationPolicy None: nothing is written\n");
    }
    if target.has_template {
        text.push_str(&data(plan));
        text.push_str(&format!("  {DIM}rendered from{DIM:#}\n"));
    }
    let values = &plan.values;
    let width = values.iter().map(|value| name(value).chars().count()).max().unwrap_or_default();
    let sources: Vec<String> = values.iter().map(|value| source(plan, value)).collect();
    let wide = sources.iter().map(|source| source.chars().count()).max().unwrap_or_default();
    for (value, source) in values.iter().zip(&sources) {
        text.push_str(&format!("  {:width$}  {source:wide$}  {}\n", name(value), state(value)));
    }
    for store in &plan.stores {
        if let Some(why) = &store.not_asked {
            text.push_str(&format!("  {WARN}not asked{WARN:#} {} {}: {why}\n", store.kind, store.name));
        }
    }
    for note in &plan.notes {
        text.push_str(&format!("  {WARN}note{WARN:#} {note}\n"));
    }
    text
}

fn refresh(policy: &str, interval: &str) -> String {
    match policy {
        "CreatedOnce" => "fetched once".to_owned(),
        "OnChange" => "fetched when it is edited".to_owned(),
        _ if interval.chars().all(|c| !c.is_ascii_digit() || c == '0') => "fetched once".to_owned(),
        _ => format!("fetched every {interval}"),
    }
}

fn data(plan: &Plan) -> String {
    let width = plan.data.iter().map(|data| data.key.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for data in &plan.data {
        let from = if data.from_template { "template" } else { "as fetched" };
        let digest = data.digest.as_deref().map(short).unwrap_or_default();
        text.push_str(&format!("  {:width$}  {from:10}  {DIM}{digest}{DIM:#}\n", data.key));
    }
    if !plan.complete {
        text.push_str("  ... and what only the stores or the template can tell\n");
    }
    text
}

fn name(value: &ValuePlan) -> &str {
    value.key.as_deref().unwrap_or("(several)")
}

fn source(plan: &Plan, value: &ValuePlan) -> String {
    let store = plan.stores.get(value.store);
    let store = store.map(|store| format!("{} {} ({})", store.kind, store.name, store.provider)).unwrap_or_default();
    let mut text = format!("{store}: ");
    text.push_str(value.remote_key.as_deref().unwrap_or("all that match"));
    if let Some(property) = &value.property {
        text.push_str(&format!(", property {property}"));
    }
    if let Some(version) = &value.version {
        text.push_str(&format!(", version {version}"));
    }
    text
}

fn state(value: &ValuePlan) -> String {
    match value.state {
        State::There => {
            let digest = value.digest.as_deref().map(short).unwrap_or_default();
            format!("{GOOD}there{GOOD:#} {DIM}{digest}{DIM:#}")
        }
        State::LeftOut => format!("{WARN}missing, left out{WARN:#}"),
        State::Failed => format!("{BAD}not to be had{BAD:#}"),
        State::Overridden => format!("{DIM}a later item wins{DIM:#}"),
        State::NotAsked => format!("{WARN}not asked{WARN:#}"),
    }
}

/// The digest without the id of its key, which is the same for all.
fn short(digest: &str) -> &str {
    digest.split_once(':').map_or(digest, |(_, mac)| mac)
}
