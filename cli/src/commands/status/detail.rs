//! Everything about one object.

use std::collections::BTreeSet;

use bulla::seal::{self, Inspection};
use bulla_crds::{Condition, ConditionStatus};
use jiff::Timestamp;
use kube::Api;
use kube::api::DynamicObject;
use serde_json::Value;

use super::advice::next_step;
use super::{age, style_of};
use crate::args::SyncedKind;
use crate::failure::{OrFail as _, Outcome};
use crate::objects::{Observed, Presence, Selection, Targets, conditions, resource};
use crate::output::{BAD, Cell, Column, DIM, GOOD, HEAD, Table, WARN, plain, width};

/// What there is to say about one object.
pub(super) struct Shown {
    pub(super) text: String,
    /// The name of its Secret, where that should be there and is not.
    pub(super) lost: Option<String>,
}

/// The text about `seen`, which is read again with what the list leaves out.
pub(super) async fn text(selection: &Selection, seen: &Observed) -> Outcome<Shown> {
    let api: Api<DynamicObject> = Api::namespaced_with(selection.client.clone(), &seen.namespace, &resource(seen.kind));
    let object = api.get(&seen.name).await.or_usage(format!("reading {}", seen.full_name()))?;
    // As it is now: it may have changed since the list.
    let mut now = Observed::of(seen.kind, &object);
    now.store = now.store.or_else(|| seen.store.clone());
    if let (Some(store), Some(known)) = (&mut now.store, &seen.store) {
        store.provider.clone_from(&known.provider);
    }
    let mut text = headline(&now);
    let (secret, is_lost) = secret(selection, &now).await?;
    text.push_str(&facts(&now, secret));
    text.push_str(&said(&conditions(&object.data)));
    if seen.kind == SyncedKind::SealedSecret {
        text.push_str(&values(&now, &object.data));
    }
    if let Some(step) = next_step(&now) {
        text.push_str(&format!("{HEAD}Next:{HEAD:#} {step}\n"));
    }
    Ok(Shown { text, lost: now.secret.filter(|_| is_lost) })
}

fn headline(object: &Observed) -> String {
    let style = style_of(object.state);
    let state = object.state.as_str();
    format!("{HEAD}{}{HEAD:#} {style}{state}{style:#}\n", object.full_name())
}

/// The Secret in words, and whether it is known to be missing.
async fn secret(selection: &Selection, object: &Observed) -> Outcome<(String, bool)> {
    let Some(name) = &object.secret else { return Ok(("makes none".to_owned(), false)) };
    let place = (object.namespace.clone(), name.clone());
    let looked = Targets::new(selection.client.clone()).look(&BTreeSet::from([place])).await;
    let presence = looked.or_usage("looking for its Secret")?.into_values().next();
    let is_lost = matches!(presence, Some(Presence::Missing));
    let words = match presence {
        Some(Presence::There) => format!("{name} {GOOD}is there{GOOD:#}"),
        Some(Presence::Forbidden) | None => format!("{name} {DIM}(you may not see whether it is there){DIM:#}"),
        Some(Presence::Missing) => format!("{name} {BAD}is not there{BAD:#}"),
    };
    Ok((words, is_lost))
}

fn facts(object: &Observed, secret: String) -> String {
    let now = Timestamp::now();
    let mut facts = vec![("Secret", secret)];
    if let Some(store) = &object.store {
        let provider = store.provider.as_ref().map(|provider| format!(" ({provider})")).unwrap_or_default();
        facts.push(("Store", format!("{} {}{provider}", store.kind, store.name)));
    }
    let keys = object.keys.iter().map(|key| match key.values {
        Some(1) => format!("{} (1 value)", key.id),
        Some(values) => format!("{} ({values} values)", key.id),
        None => key.id.clone(),
    });
    let keys: Vec<String> = keys.collect();
    if !keys.is_empty() {
        facts.push(("Opened by", keys.join(", ")));
    }
    let generation = |generation: Option<i64>| generation.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let (newest, seen) = (generation(object.generation), generation(object.observed_generation));
    facts.push(("Version", format!("{newest}, the controller has seen {seen}")));
    for (title, time) in [("Created", object.created), ("Last change", object.last_change)] {
        if let Some(time) = time {
            facts.push((title, format!("{time} ({} ago)", age(time, now))));
        }
    }
    facts.iter().map(|(title, fact)| format!("  {title:<12} {fact}\n")).collect()
}

fn said(conditions: &[Condition]) -> String {
    let mut text = format!("{HEAD}Conditions{HEAD:#}\n");
    if conditions.is_empty() {
        return text + "  none yet\n";
    }
    for condition in conditions {
        let style = match (condition.r#type.as_str(), condition.status) {
            ("Stalled", ConditionStatus::True) | ("Synced" | "Ready", ConditionStatus::False) => BAD,
            ("Synced" | "Ready", ConditionStatus::True) => GOOD,
            _ => WARN,
        };
        let why = [&condition.reason, &condition.message].into_iter().flatten().cloned().collect::<Vec<_>>();
        text.push_str(&format!(
            "  {style}{:<12}{style:#} {:<7} {}\n",
            plain(&condition.r#type),
            condition.status.as_str(),
            plain(&why.join(": "))
        ));
    }
    text
}

/// What each value says about itself, and whether one of the keys that it names has opened it.
fn values(seen: &Observed, data: &Value) -> String {
    let sealed = data.pointer("/spec/encryptedData").and_then(Value::as_object);
    let column = |title, least| Column { title, least, sacrifice: 0 };
    let mut table =
        Table::new(vec![column("VALUE", 10), column("FORMAT", 8), column("SEALED TO", 16), column("SEALED", 6)]);
    for (key, value) in sealed.into_iter().flatten() {
        let look = value.as_str().map_or(Err(seal::Refusal::NotAString), seal::inspect);
        let row: [Cell; 3] = match look {
            Err(refusal) => [Cell::styled("damaged", BAD), refusal.to_string().into(), "".into()],
            Ok(Inspection { format, binding: None, .. }) => {
                [format.as_str().into(), "it does not say".into(), "".into()]
            }
            Ok(Inspection { format, binding: Some(binding), .. }) => {
                let ids: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
                let is_known = ids.iter().any(|id| seen.keys.iter().any(|key| key.id == *id));
                let style = if is_known { GOOD } else { WARN };
                let sealed = binding.sealed.to_string();
                [format.as_str().into(), Cell::styled(ids.join(" "), style), sealed.into()]
            }
        };
        table.row([Cell::from(key.as_str())].into_iter().chain(row).collect());
    }
    if sealed.is_none_or(serde_json::Map::is_empty) {
        return String::new();
    }
    format!("{HEAD}Values{HEAD:#}\n{}", table.render(width()))
}
