//! `bulla status`: every SealedSecret and ExternalSecret, and how it is.

mod advice;
mod detail;

use std::collections::HashMap;

use anstyle::Style;
use futures::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{Report, StatusArguments, SyncedKind};
use crate::cluster;
use crate::failure::{Outcome, refuse, usage};
use crate::objects::{Change, Observed, Providers, Selection, State, changes};
use crate::output::{self, BAD, Cell, Column, DIM, GOOD, Table, WARN};

/// How many objects are in which state. The names of the fields are part of the output.
#[derive(Default, Serialize)]
struct Summary {
    total: usize,
    synced: usize,
    failed: usize,
    waiting: usize,
    stale: usize,
    unknown: usize,
}

#[derive(Serialize)]
struct Listing<'a> {
    objects: &'a [Observed],
    summary: &'a Summary,
}

impl Summary {
    fn add(&mut self, state: State) {
        self.total += 1;
        *match state {
            State::Synced => &mut self.synced,
            State::Failed => &mut self.failed,
            State::Waiting => &mut self.waiting,
            State::Stale => &mut self.stale,
            State::Unknown => &mut self.unknown,
        } += 1;
    }

    const fn of(&self, state: State) -> usize {
        match state {
            State::Synced => self.synced,
            State::Failed => self.failed,
            State::Waiting => self.waiting,
            State::Stale => self.stale,
            State::Unknown => self.unknown,
        }
    }

    fn text(&self) -> String {
        let counted = State::ALL.into_iter().filter(|state| self.of(*state) > 0);
        let counted = counted.map(|state| {
            let (style, word) = (style_of(state), state.as_str().to_lowercase());
            format!("{style}{} {word}{style:#}", self.of(state))
        });
        format!("{} object(s): {}\n", self.total, counted.collect::<Vec<_>>().join(", "))
    }
}

/// Runs the verb.
pub(super) fn run(arguments: &StatusArguments) -> Outcome {
    cluster::block_on(show(arguments))
}

async fn show(arguments: &StatusArguments) -> Outcome {
    let client = cluster::connect(&arguments.connection).await?;
    let selection = Selection::new(client, &arguments.place, arguments.objects.clone());
    let mut summary = Summary::default();
    let keeps_messages = arguments.wide || arguments.output == Report::Json || selection.single_name().is_some();
    let mut seen = Vec::new();
    let mut missing: Vec<_> = arguments.objects.iter().filter(|pick| pick.name.is_some()).collect();
    selection
        .each(|kind, object| {
            let mut object_seen = Observed::of(kind, &object);
            missing.retain(|pick| {
                pick.name.as_deref() != Some(&object_seen.name) || pick.kind.is_some_and(|own| own != kind)
            });
            summary.add(object_seen.state);
            if arguments.failing && object_seen.state == State::Synced {
                return;
            }
            // Ten thousand messages are kept only where somebody reads them.
            if !keeps_messages {
                object_seen.message = None;
            }
            seen.push(object_seen);
        })
        .await?;
    seen.sort_by(|a, b| (&a.namespace, a.kind.as_str(), &a.name).cmp(&(&b.namespace, b.kind.as_str(), &b.name)));
    let providers = if seen.iter().any(|object| object.store.is_some()) {
        Providers::read(&selection.client, selection.namespace.as_deref()).await
    } else {
        Providers::default()
    };
    seen.iter_mut().for_each(|object| fill(&providers, object));
    if let Some(pick) = missing.first() {
        let kind = pick.kind.map_or("SealedSecret or ExternalSecret", |kind| kind.as_str());
        let name = pick.name.as_deref().unwrap_or_default();
        return Err(usage!("there is no {kind} {name:?} in {}: see --namespace", selection.place()));
    }
    let mut lost = None;
    match (arguments.output, seen.as_slice()) {
        (Report::Json, _) => output::print_json(&Listing { objects: &seen, summary: &summary })?,
        (Report::Text, [one]) if selection.single_name().is_some() && !arguments.watch => {
            let shown = detail::text(&selection, one).await?;
            output::print(&shown.text)?;
            lost = shown.lost;
        }
        (Report::Text, _) => list(arguments, &selection, &seen, &summary, &providers).await?,
    }
    match summary.total - summary.synced {
        _ if arguments.exit_zero => Ok(()),
        0 => lost.map_or(Ok(()), |name| Err(refuse!("the Secret {name} is not there"))),
        count => Err(refuse!("{count} of {} object(s) not in sync", summary.total)),
    }
}

fn fill(providers: &Providers, object: &mut Observed) {
    if let Some(store) = &mut object.store {
        providers.fill(&object.namespace, store);
    }
}

async fn list(
    arguments: &StatusArguments,
    selection: &Selection,
    seen: &[Observed],
    summary: &Summary,
    providers: &Providers,
) -> Outcome {
    let kinds: Vec<_> = selection.kinds().iter().map(|kind| kind.as_str()).collect();
    if summary.total == 0 {
        output::note(&format!("no {} in {}", kinds.join(" or "), selection.place()));
    }
    let now = Timestamp::now();
    let rows = Rows { wide: arguments.wide, all: selection.namespace.is_none() };
    let mut table = rows.table();
    seen.iter().for_each(|object| table.row(rows.row(object, now)));
    let width = if arguments.wide { None } else { output::width() };
    let widths = if arguments.watch { table.fit_with(width, rows.room()) } else { table.fit(width) };
    if !seen.is_empty() || arguments.watch {
        output::print(&table.header(&widths))?;
        output::print(&table.body(&widths))?;
    }
    if summary.total > 0 {
        output::print(&summary.text())?;
    }
    if arguments.watch {
        watch(arguments.failing, selection, seen, (table, widths, rows), providers).await?;
    }
    Ok(())
}

/// What was last said about an object.
type Said = (State, Option<String>, Option<Timestamp>);

fn said(object: &Observed) -> ((SyncedKind, String, String), Said) {
    let Observed { kind, namespace, name, state, reason, last_change, .. } = object;
    ((*kind, namespace.clone(), name.clone()), (*state, reason.clone(), *last_change))
}

/// Prints every object that changes, until interrupted or nobody reads.
async fn watch(
    failing: bool,
    selection: &Selection,
    seen: &[Observed],
    (mut table, widths, rows): (Table, Vec<usize>, Rows),
    providers: &Providers,
) -> Outcome {
    let mut last: HashMap<_, _> = seen.iter().map(said).collect();
    let mut changes = changes(selection, &selection.kinds());
    while let Some(change) = changes.next().await {
        let line = match change {
            Change::Seen(mut object) => {
                let (key, news) = said(&object);
                let is_meant = selection.covers(object.kind, &object.name);
                // A failure that was shown is followed to its end.
                let is_fine = failing && object.state == State::Synced && !last.contains_key(&key);
                if !is_meant || is_fine || last.insert(key, news.clone()).is_some_and(|before| before == news) {
                    continue;
                }
                fill(providers, &mut object);
                table.clear();
                table.row(rows.row(&object, Timestamp::now()));
                table.body(&widths)
            }
            Change::Gone { kind, namespace, name } => {
                if !selection.covers(kind, &name) {
                    continue;
                }
                let line = format!("{DIM}{} {namespace}/{name} deleted{DIM:#}\n", kind.as_str());
                last.remove(&(kind, namespace, name));
                line
            }
            Change::Begins(_) | Change::Listed(_) => continue,
            Change::Trouble { kind, error } => {
                if matches!(Change::refusal(&error), Some(401 | 403)) {
                    return Err(usage!("watching the {}s: {error}", kind.as_str()));
                }
                continue;
            }
        };
        if !output::stream(&line)? {
            return Ok(());
        }
    }
    Ok(())
}

/// How a state is shown.
fn style_of(state: State) -> Style {
    match state {
        State::Synced => GOOD,
        State::Failed => BAD,
        State::Waiting | State::Stale => WARN,
        State::Unknown => DIM,
    }
}

/// What the table shows.
#[derive(Clone, Copy)]
struct Rows {
    wide: bool,
    /// Whether there is a column for the namespace.
    all: bool,
}

impl Rows {
    fn table(self) -> Table {
        let column = |title, least, sacrifice| Column { title, least, sacrifice };
        let mut columns = Vec::new();
        if self.all {
            columns.push(column("NAMESPACE", 9, 0));
        }
        columns.extend([column("KIND", 6, 2), column("NAME", 12, 0), column("STATE", 7, 0), column("REASON", 10, 1)]);
        columns.extend([column("KEY", 8, 3), column("AGE", 4, 5), column("LAST CHANGE", 11, 4)]);
        if self.wide {
            columns.push(column("MESSAGE", 20, 0));
        }
        Table::new(columns)
    }

    /// A row as wide as what may follow.
    fn room(self) -> Vec<Cell> {
        let names = usize::from(self.all);
        let widths = std::iter::repeat_n(20, names).chain([14, 24, 7, 20, 14, 4, 11]);
        widths.map(|width| " ".repeat(width).into()).collect()
    }

    fn row(self, object: &Observed, now: Timestamp) -> Vec<Cell> {
        let mut cells = Vec::new();
        if self.all {
            cells.push(object.namespace.clone().into());
        }
        let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| age(time, now));
        cells.push(object.kind.as_str().into());
        cells.push(object.name.clone().into());
        cells.push(Cell::styled(object.state.as_str(), style_of(object.state)));
        cells.push(object.reason.clone().unwrap_or_else(|| "-".to_owned()).into());
        cells.push(key(object, self.wide).into());
        cells.push(time(object.created).into());
        cells.push(object.last_change.map_or_else(|| "-".to_owned(), |then| format!("{} ago", age(then, now))).into());
        if self.wide {
            cells.push(object.message.clone().unwrap_or_default().into());
        }
        cells
    }
}

/// The keys of a SealedSecret, or provider and store of an ExternalSecret.
fn key(object: &Observed, wide: bool) -> String {
    if let Some(store) = &object.store {
        let provider = store.provider.as_ref().map(|provider| format!("{provider}/")).unwrap_or_default();
        return format!("{provider}{}", store.name);
    }
    let ids = object.keys.iter().map(|key| key.id.as_str());
    if wide {
        return ids.collect::<Vec<_>>().join(",");
    }
    let mut short = ids.map(output::short);
    match (short.next(), short.count()) {
        (None, _) => "-".to_owned(),
        (Some(first), 0) => first.to_owned(),
        (Some(first), more) => format!("{first} +{more}"),
    }
}

/// How long ago, in one unit: `42s`, `5m`, `3h`, `12d`.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
