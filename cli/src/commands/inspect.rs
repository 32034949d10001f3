//! `bulla inspect`: what sealed values tell without any key.

use std::collections::BTreeSet;

use bulla::seal::{self, Format, Inspection, KeyId, Refusal, Scope};
use serde::Serialize;

use crate::args::{InspectArguments, Report};
use crate::document::{Document, Manifest};
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::output::{self, BAD, DIM, GOOD, HEAD, WARN};
use crate::{input, recipients};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    name: Option<String>,
    namespace: Option<String>,
    declared_scope: Scope,
    values: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    key: String,
    line: usize,
    #[serde(flatten)]
    told: Told,
}

/// What a value tells: in JSON the fields of one or the other.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    Facts(Facts),
    Problem { problem: String },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    format: &'static str,
    kinds: Vec<String>,
    post_quantum: bool,
    bytes: usize,
    /// Null where the format does not say.
    scope: Option<Scope>,
    sealed_for: Option<String>,
    key_ids: Vec<KeyId>,
    /// Whether `.bulla.yaml` names every one of the keys; null where there is nothing to compare.
    known: Option<bool>,
    sealed: Option<String>,
    not_after: Option<String>,
    owner: Option<String>,
}

/// Runs the verb.
pub(super) fn run(arguments: &InspectArguments) -> Outcome {
    let text = input::manifest(&arguments.file)?;
    let document = Document::parse(text.to_string()).or_refuse(arguments.file.display().to_string())?;
    let known = known_keys(arguments)?;
    let objects: Vec<Object> =
        document.manifests().iter().filter(|m| m.is_sealed_secret()).map(|m| object(m, known.as_ref())).collect();
    if objects.is_empty() {
        return Err(refuse!("{} holds no SealedSecret", arguments.file.display()));
    }
    match arguments.output {
        Report::Json => output::print_json(&objects)?,
        Report::Text => output::print(&objects.iter().map(text_of).collect::<String>())?,
    }
    let problems = objects
        .iter()
        .flat_map(|object| &object.values)
        .filter(|value| matches!(value.told, Told::Problem { .. }))
        .count();
    if problems > 0 {
        return Err(refuse!("{problems} value(s) of {} are not sealed values", arguments.file.display()));
    }
    Ok(())
}

/// The keys that `.bulla.yaml` names for the file; `None` without a rule.
fn known_keys(arguments: &InspectArguments) -> Outcome<Option<BTreeSet<KeyId>>> {
    let Some(rule) = recipients::rule_for(Some(&arguments.file))? else { return Ok(None) };
    Ok(Some(recipients::of_rule(&rule)?.iter().map(seal::Recipient::key_id).collect()))
}

fn object(manifest: &Manifest, known: Option<&BTreeSet<KeyId>>) -> Object {
    let look = |value: Option<&str>| value.map_or(Err(Refusal::NotAString), seal::inspect);
    let values = manifest.entries.iter().map(|entry| Value {
        key: entry.key.clone(),
        line: entry.line,
        told: match look(entry.value.as_deref()) {
            Ok(inspection) => Told::Facts(facts(inspection, known)),
            Err(refusal) => Told::Problem { problem: refusal.to_string() },
        },
    });
    Object {
        name: manifest.name.clone(),
        namespace: manifest.namespace.clone(),
        declared_scope: manifest.scope(),
        values: values.collect(),
    }
}

fn facts(inspection: Inspection, known: Option<&BTreeSet<KeyId>>) -> Facts {
    let Inspection { format, binding, kinds, post_quantum, bytes, .. } = inspection;
    let key_ids = binding.as_ref().map(|binding| binding.keys.clone()).unwrap_or_default();
    Facts {
        format: format.as_str(),
        kinds,
        post_quantum,
        bytes,
        scope: binding.as_ref().map(|binding| binding.scope),
        sealed_for: binding.as_ref().map(ToString::to_string),
        known: known
            .filter(|_| format == Format::Native && !key_ids.is_empty())
            .map(|known| key_ids.iter().all(|id| known.contains(id))),
        key_ids,
        sealed: binding.as_ref().map(|binding| binding.sealed.to_string()),
        not_after: binding.as_ref().and_then(|binding| binding.not_after).map(|date| date.to_string()),
        owner: binding.and_then(|binding| binding.owner),
    }
}

fn text_of(object: &Object) -> String {
    let unnamed = "(no name)".to_owned();
    let name = object.name.as_ref().unwrap_or(&unnamed);
    let place = object.namespace.as_ref().map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
    let place = output::plain(&place);
    let mut text = format!("{HEAD}SealedSecret {place}{HEAD:#} {DIM}({}){DIM:#}\n", object.declared_scope);
    let width = object.values.iter().map(|value| value.key.chars().count()).max().unwrap_or_default();
    for value in &object.values {
        text.push_str(&format!("  {:width$}  ", output::plain(&value.key)));
        match &value.told {
            Told::Facts(facts) => text.push_str(&line_of(facts, object.declared_scope)),
            Told::Problem { problem } => {
                text.push_str(&format!("{BAD}{}{BAD:#} (line {})\n", output::plain(problem), value.line))
            }
        }
    }
    text
}

fn line_of(facts: &Facts, declared: Scope) -> String {
    let kinds = match facts.kinds.as_slice() {
        [first, .., last] if facts.kinds.iter().all(|kind| kind == first) && first == last => {
            format!("{} x {first}", facts.kinds.len())
        }
        kinds => kinds.join(", "),
    };
    let quantum = if facts.post_quantum {
        format!("{GOOD}post-quantum{GOOD:#}")
    } else {
        format!("{WARN}not post-quantum{WARN:#}")
    };
    let Some(scope) = facts.scope else {
        let says = if facts.format == Format::Native.as_str() { "no binding" } else { "names no key, scope or date" };
        return format!("{} {kinds}, {quantum}, {} bytes; {says}\n", facts.format, facts.bytes);
    };
    let ids: Vec<String> = facts.key_ids.iter().map(ToString::to_string).collect();
    let known = match facts.known {
        Some(true) => format!(" {GOOD}known{GOOD:#}"),
        Some(false) => format!(" {WARN}not all in .bulla.yaml{WARN:#}"),
        None => String::new(),
    };
    let date = facts.sealed.as_deref().unwrap_or_default();
    let mut line = format!("{} {kinds}, {quantum}, sealed {date} to {}{known}, {scope}", facts.format, ids.join(" "));
    if scope != declared {
        line.push_str(&format!(" {BAD}but the object says {declared}{BAD:#}"));
    }
    if let Some(place) = facts.sealed_for.as_deref().filter(|_| scope != Scope::ClusterWide) {
        line.push_str(&format!(" {DIM}for {}{DIM:#}", output::plain(place)));
    }
    if let Some(end) = &facts.not_after {
        line.push_str(&format!(", replace after {end}"));
    }
    if let Some(owner) = &facts.owner {
        line.push_str(&format!(", owner {owner:?}"));
    }
    line.push('\n');
    line
}
