//! `bulla keys list`: the sealing keys of a cluster, and what each still protects.

use jiff::Timestamp;
use serde::Serialize;

use crate::args::{ListArguments, Report};
use crate::cluster;
use crate::commands::status::age;
use crate::failure::Outcome;
use crate::keys::{Key, Keys, Secrets, Use, Uses, Wanted};
use crate::output::{self, BAD, Cell, Column, DIM, GOOD, SHORT, Table, WARN, short};

/// A key in JSON; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    id: &'a str,
    r#type: Option<&'a str>,
    state: &'a str,
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
    secret: Option<&'a str>,
    /// Live values that it opens.
    values: u64,
    /// Whether there may be more.
    at_least: bool,
    objects: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing<'a> {
    keys: Vec<Line<'a>>,
    /// Objects with kubeseal's values that no key has opened: nobody knows which key they need.
    unopened_objects: usize,
}

/// Runs the verb.
pub(super) fn run(arguments: &ListArguments) -> Outcome {
    let (keys, uses) = cluster::block_on(async {
        let client = cluster::connect(&arguments.cluster.connection).await?;
        let keys = Keys::read(&client, &arguments.cluster.controller_namespace).await?;
        Ok((keys, Uses::read(&client, Wanted::default()).await?))
    })?;
    match arguments.output {
        Report::Json => {
            let keys = keys.keys.iter().map(|key| line(key, uses.of(&key.id))).collect();
            output::print_json(&Listing { keys, unopened_objects: uses.unknown.len() })?;
        }
        Report::Text => {
            output::print(&table(&keys, &uses, arguments.wide))?;
            notes(&keys, &uses);
        }
    }
    Ok(())
}

fn line(key: &Key, used: Use) -> Line<'_> {
    Line {
        id: &key.id,
        r#type: key.kind.as_deref(),
        state: &key.state,
        created: key.created,
        expires: key.expires,
        secret: key.secret.as_deref(),
        values: used.values,
        at_least: used.is_at_least,
        objects: used.objects,
    }
}

fn table(keys: &Keys, uses: &Uses, wide: bool) -> String {
    let column = |title, least, sacrifice| Column { title, least, sacrifice };
    let mut table = Table::new(vec![
        column("KEY", SHORT, 0),
        column("TYPE", 6, 2),
        column("STATE", 7, 0),
        column("CREATED", 10, 3),
        column("AGE", 4, 5),
        column("EXPIRES", 10, 4),
        column("VALUES", 6, 0),
        column("OBJECTS", 7, 1),
    ]);
    let now = Timestamp::now();
    let day =
        |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%d").to_string());
    for key in &keys.keys {
        let used = uses.of(&key.id);
        let style = match key.state.as_str() {
            "active" => GOOD,
            "opening" => WARN,
            "retired" if used.values == 0 => DIM,
            _ => BAD,
        };
        let id = if wide { key.id.as_str() } else { short(&key.id) };
        table.row(vec![
            id.into(),
            key.kind.clone().unwrap_or_else(|| "-".to_owned()).into(),
            Cell::styled(key.state.as_str(), style),
            day(key.created).into(),
            key.created.map_or_else(|| "-".to_owned(), |created| age(created, now)).into(),
            day(key.expires).into(),
            values(used).into(),
            used.objects.to_string().into(),
        ]);
    }
    table.render(if wide { None } else { output::width() })
}

/// How many values, with a mark where there may be more.
pub(super) fn values(used: Use) -> String {
    if used.is_at_least { format!("\u{2265}{}", used.values) } else { used.values.to_string() }
}

fn notes(keys: &Keys, uses: &Uses) {
    if let Secrets::Forbidden(_) = keys.secrets {
        output::note("you may not list key Secrets there, so keys that do not open any more are left out");
    }
    let silent = keys.secrets.known().iter().filter(|secret| secret.ids.is_empty());
    for secret in silent {
        output::note(&format!(
            "Secret {} ({}) does not say which keys it holds (annotation bulla.dev/key-id)",
            secret.name, secret.state
        ));
    }
    if !uses.unknown.is_empty() {
        output::note(&format!(
            "{} object(s) hold values of kubeseal's that no key has opened: see `bulla status -A --failing`",
            uses.unknown.len()
        ));
    }
    let missing = uses.by_key.iter().filter(|(id, _)| !keys.keys.iter().any(|key| key.id == **id));
    for (id, used) in missing {
        output::note(&format!(
            "{} value(s) in {} object(s) need key {id}, which the cluster does not have",
            values(*used),
            used.objects
        ));
    }
}
