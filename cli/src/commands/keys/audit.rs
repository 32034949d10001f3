//! `bulla keys audit`: what each key is needed for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bulla::seal::{self, Format, KeyId, Keyring};
use jiff::Timestamp;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;

use super::exposed;
use super::list::values;
use crate::args::{AuditArguments, Report};
use crate::audit::{self, Audit, FileUse, KeyUse, Known, Refuted};
use crate::cluster;
use crate::failure::{Outcome, refuse, usage};
use crate::git::Revisions;
use crate::identities;
use crate::keys::{Key, Keys, Use, Uses, Wanted};
use crate::output::{self, BAD, Cell, Column, DIM, GOOD, HEAD, Progress, Table, WARN};

/// Files that are named in a note.
const NAMED: usize = 5;

/// Runs the verb.
pub(super) fn run(arguments: &AuditArguments) -> Outcome {
    let keyring =
        if arguments.identity.is_empty() { Keyring::new() } else { identities::keyring(&arguments.identity)? };
    if let Some(id) = &arguments.compromised {
        return compromised(arguments, id, &keyring);
    }
    let mut known = Known { keyring, namespace: arguments.namespace.clone(), ..Known::default() };
    let live = if arguments.cluster { Some(Live::read(arguments, &mut known)?) } else { None };
    let audit = audit::repository(&arguments.paths, &arguments.exclude, &known, &Progress::new(0, "files"))?;
    let lines = lines(&audit, live.as_ref());
    if let Some(id) = &arguments.key {
        return one(&lines, id, arguments.output);
    }
    match arguments.output {
        Report::Json => output::print_json(&Listing::of(&audit, &lines)),
        Report::Text => {
            output::print(&table(&lines, live.is_some()))?;
            notes(&audit, &lines, live.as_ref());
            Ok(())
        }
    }
}

fn compromised(arguments: &AuditArguments, id: &str, keyring: &Keyring) -> Outcome {
    let id: KeyId = id.parse().map_err(|error| usage!("--compromised {id}: {error}"))?;
    let mut exposures = Vec::new();
    for path in &arguments.paths {
        let progress = Progress::new(0, "files of history");
        exposures.push(audit::exposure(
            path,
            id,
            keyring,
            arguments.namespace.as_deref(),
            &Revisions::all(),
            &progress,
        )?);
    }
    match arguments.output {
        Report::Json => output::print_json(&exposures),
        Report::Text => exposed::tell(&exposures),
    }
}

/// What a cluster says.
struct Live {
    keys: Keys,
    uses: Uses,
}

impl Live {
    fn read(arguments: &AuditArguments, known: &mut Known) -> Outcome<Self> {
        let live = cluster::block_on(async {
            let client = cluster::connect(&arguments.connection.connection).await?;
            let keys = Keys::read(&client, &arguments.connection.controller_namespace).await?;
            let uses = Uses::read_and(&client, Wanted::default(), |object, opened| {
                attribute(object, opened, &keys, &mut known.opened_by);
            });
            let uses = uses.await?;
            Ok(Self { keys, uses })
        })?;
        let dead = live.keys.keys.iter().filter(|key| matches!(key.state.as_str(), "retired" | "compromised"));
        let dead: BTreeSet<KeyId> = dead.filter_map(|key| key.id.parse().ok()).collect();
        known.opens = Some(Box::new(move |id| !dead.contains(id)));
        Ok(live)
    }
}

/// Notes the key of every value of kubeseal's in an object, where one such key has opened it. Of several nobody knows
/// which one opened which value.
pub(super) fn attribute(object: &DynamicObject, opened: &[String], keys: &Keys, opened_by: &mut HashMap<u64, KeyId>) {
    let is_rsa = |id: &&String| keys.keys.iter().any(|key| key.id == **id && key.is_rsa());
    let rsa: Vec<&String> = opened.iter().filter(is_rsa).collect();
    let ([one], values) = (rsa.as_slice(), object.data.pointer("/spec/encryptedData").and_then(Value::as_object))
    else {
        return;
    };
    let Ok(key) = one.parse::<KeyId>() else { return };
    for sealed in values.into_iter().flatten().filter_map(|(_, value)| value.as_str()) {
        if seal::inspect(sealed).is_ok_and(|looked| looked.format == Format::Kubeseal) {
            opened_by.insert(audit::fingerprint(sealed), key);
        }
    }
}

/// A key; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    id: KeyId,
    /// What the cluster says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    #[serde(flatten)]
    used: Used<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<InCluster>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Used<'a> {
    By(&'a KeyUse),
    Not(Nothing<'a>),
}

/// What is known of a key that nothing in the repository is sealed to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Nothing<'a> {
    r#type: Option<&'a str>,
    values: u64,
    lost_without: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InCluster {
    values: u64,
    /// Whether there may be more.
    at_least: bool,
    objects: u64,
}

impl Line<'_> {
    fn used(&self) -> Option<&KeyUse> {
        match &self.used {
            Used::By(used) => Some(used),
            Used::Not(_) => None,
        }
    }

    fn kind(&self) -> &str {
        match &self.used {
            Used::By(used) => used.kind.as_deref().unwrap_or("-"),
            Used::Not(nothing) => nothing.r#type.unwrap_or("-"),
        }
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, Some("retired" | "compromised"))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing<'a> {
    keys: &'a [Line<'a>],
    files: u64,
    values: u64,
    /// Values of kubeseal's of which nobody knows the key.
    unknown: u64,
    unknown_in: Vec<InFile<'a>>,
    unread: Vec<Unread<'a>>,
    /// Values that do not open with the key that they name, of those at hand.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    refuted: &'a [Refuted],
}

#[derive(Serialize)]
struct InFile<'a> {
    file: &'a str,
    values: u64,
}

#[derive(Serialize)]
struct Unread<'a> {
    file: &'a str,
    reason: &'a str,
}

impl<'a> Listing<'a> {
    fn of(audit: &'a Audit, keys: &'a [Line<'a>]) -> Self {
        let unknown_in = audit.unknown_in.iter().map(|(file, values)| InFile { file, values: *values }).collect();
        let unread = audit.unread.iter().map(|(file, reason)| Unread { file, reason }).collect();
        let Audit { files, values, unknown, refuted, .. } = audit;
        Self { keys, files: *files, values: *values, unknown: *unknown, unknown_in, unread, refuted }
    }
}

/// One line a key, of the repository and of the cluster; those with the oldest values first.
fn lines<'a>(audit: &'a Audit, live: Option<&'a Live>) -> Vec<Line<'a>> {
    let of_cluster: BTreeMap<KeyId, &Key> =
        live.into_iter().flat_map(|live| &live.keys.keys).filter_map(|key| Some((key.id.parse().ok()?, key))).collect();
    let used_there =
        live.into_iter().flat_map(|live| live.uses.by_key.keys()).filter_map(|id| id.parse::<KeyId>().ok());
    let ids: BTreeSet<KeyId> = audit.keys.keys().chain(of_cluster.keys()).copied().chain(used_there).collect();
    let line = |id: KeyId| {
        let key = of_cluster.get(&id).copied();
        let nothing = || Nothing { r#type: key.and_then(|key| key.kind.as_deref()), values: 0, lost_without: 0 };
        Line {
            id,
            state: key.map(|key| key.state.as_str()),
            created: key.and_then(|key| key.created),
            used: audit.of(&id).map_or_else(|| Used::Not(nothing()), Used::By),
            live: live.map(|live| {
                let Use { values, objects, is_at_least } = live.uses.of(&id.to_string());
                InCluster { values, at_least: is_at_least, objects }
            }),
        }
    };
    let mut lines: Vec<Line<'a>> = ids.into_iter().map(line).collect();
    lines.sort_by_key(|line| {
        let oldest = line.used().and_then(|used| used.oldest);
        (oldest.is_none(), oldest, line.created, line.id)
    });
    lines
}

fn table(lines: &[Line<'_>], is_live: bool) -> String {
    let column = |title, least, sacrifice| Column { title, least, sacrifice };
    let mut columns = vec![column("KEY", 16, 0), column("TYPE", 6, 3)];
    if is_live {
        columns.push(column("STATE", 7, 0));
    }
    columns.extend([
        column("FILES", 5, 2),
        column("VALUES", 6, 0),
        column("LOST", 4, 0),
        column("OLDEST", 10, 1),
        column("RULES", 5, 4),
    ]);
    if is_live {
        columns.extend([column("LIVE", 4, 0), column("OBJECTS", 7, 2)]);
    }
    let mut table = Table::new(columns);
    for line in lines {
        let used = line.used();
        let (count, lost) = used.map_or((0, 0), |used| (used.values, used.lost_without));
        let mut row: Vec<Cell> = vec![line.id.to_string().into(), line.kind().into()];
        if is_live {
            let style = match line.state {
                Some("active") => GOOD,
                Some("opening") => WARN,
                Some("retired") if count == 0 => DIM,
                Some(_) | None => BAD,
            };
            row.push(Cell::styled(line.state.unwrap_or("unknown"), style));
        }
        row.extend([
            used.map_or(0, |used| used.files.len()).to_string().into(),
            count.to_string().into(),
            Cell::styled(lost.to_string(), if lost > 0 && line.is_dead() { BAD } else { DIM }),
            used.and_then(|used| used.oldest).map_or_else(|| "-".to_owned(), |day| day.to_string()).into(),
            if used.is_some_and(|used| used.named_by_rules) { "yes" } else { "-" }.into(),
        ]);
        if let Some(live) = &line.live {
            let used = Use { values: live.values, objects: live.objects, is_at_least: live.at_least };
            row.extend([values(used).into(), live.objects.to_string().into()]);
        }
        table.row(row);
    }
    table.render(output::width())
}

fn notes(audit: &Audit, lines: &[Line<'_>], live: Option<&Live>) {
    output::note(&format!("{} value(s) in {} file(s)", audit.values, audit.files));
    if audit.unknown > 0 {
        let files: Vec<&str> = audit.unknown_in.iter().take(NAMED).map(|(file, _)| file.as_str()).collect();
        let more = if audit.unknown_in.len() > NAMED { ", ..." } else { "" };
        output::note(&format!(
            "{} of them do not say which key they need, as kubeseal's never do: pass --identity{}. In {}{more}",
            audit.unknown,
            if live.is_some() { "" } else { ", or --cluster" },
            output::plain(&files.join(", "))
        ));
    }
    for (file, reason) in audit.unread.iter().take(NAMED) {
        output::note(&output::plain(&format!("{file} was searched as text only: {reason}")));
    }
    if audit.unread.len() > NAMED {
        output::note(&format!("and {} file(s) more", audit.unread.len() - NAMED));
    }
    for Refuted { file, line, key, reason } in audit.refuted.iter().take(NAMED) {
        let key = key.as_deref().unwrap_or("a value");
        output::note(&output::plain(&format!("{file}:{line}: {key} {reason}")));
    }
    if audit.refuted.len() > NAMED {
        output::note(&format!(
            "and {} value(s) more do not open with the key that they name",
            audit.refuted.len() - NAMED
        ));
    }
    let dead = lines.iter().filter(|line| line.is_dead() && line.used().is_some_and(|used| used.values > 0));
    for line in dead {
        let next = if line.state == Some("compromised") {
            "change the secrets themselves (`bulla keys audit --compromised`)"
        } else {
            "seal them again with `bulla reseal`"
        };
        let count = line.used().map_or(0, |used| used.values);
        output::note(&format!(
            "{count} value(s) are sealed to key {}, which is {}: {next}",
            line.id,
            line.state.unwrap_or_default()
        ));
    }
    if live.is_some() {
        let missing =
            lines.iter().filter(|line| line.state.is_none() && line.used().is_some_and(|used| used.lost_without > 0));
        for line in missing {
            let lost = line.used().map_or(0, |used| used.lost_without);
            output::note(&format!("{lost} value(s) open only with key {}, which the cluster does not have", line.id));
        }
    }
}

/// Where the values of one key are.
fn one(lines: &[Line<'_>], id: &str, report: Report) -> Outcome {
    let wanted = id.to_ascii_lowercase();
    let fits: Vec<&Line<'_>> = lines.iter().filter(|line| line.id.to_string().starts_with(&wanted)).collect();
    let line = match fits.as_slice() {
        [one] => *one,
        [] => return Err(refuse!("no value and no rule here names key {id}")),
        [..] => return Err(usage!("{id} is the beginning of {} keys: write more of it", fits.len())),
    };
    if report == Report::Json {
        return output::print_json(line);
    }
    let files = line.used().map(|used| used.files.as_slice()).unwrap_or_default();
    let mut text = format!("{HEAD}{}{HEAD:#} {}\n", line.id, line.kind());
    for FileUse { file, line, values, lost_without, objects } in files {
        let objects = objects.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let lost = if *lost_without > 0 { format!(", {lost_without} lost without it") } else { String::new() };
        text.push_str(&output::plain(&format!("  {file}:{line}: {values} value(s){lost}  {objects}")));
        text.push('\n');
    }
    output::print(&text)
}
