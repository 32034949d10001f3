//! `bulla wait`: until objects are in sync and their Secrets are there, or until they are gone.
//!
//! It watches: an object that becomes ready is known at once, and a server that has ten thousand of them is asked for
//! a list once. Only a Secret that is missing although its object is in sync is looked for every second.

mod waited;

use std::time::{Duration, Instant};

use futures::{FutureExt as _, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use self::waited::{Entry, News, Waited};
use crate::args::{Goal, Pick, Report, SyncedKind, WaitArguments};
use crate::cluster;
use crate::failure::{Outcome, refuse, usage};
use crate::objects::{Change, Observed, Selection, Targets, changes};
use crate::output::{self, BAD, DIM, GOOD, WARN};

/// How often a missing Secret is looked for.
const LOOK: Duration = Duration::from_secs(1);
/// Events that are taken together.
const CHUNK: usize = 1000;
/// Objects that an error names.
const NAMED: usize = 10;

/// What came of it; the names of the fields are part of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    done: bool,
    goal: &'static str,
    seconds: f64,
    objects: Vec<Line<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    done: bool,
    #[serde(flatten)]
    facts: Facts<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts<'a> {
    exists: bool,
    state: Option<&'static str>,
    reason: Option<&'a str>,
    message: Option<&'a str>,
    stalled: bool,
    secret: Option<&'a str>,
    /// `null` where nobody has looked or may look.
    secret_exists: Option<bool>,
}

/// How the wait ended.
enum End {
    Done,
    /// Failures that only a person can mend.
    Stalled,
    TimeIsUp,
}

/// Runs the verb.
pub(super) fn run(arguments: &WaitArguments) -> Outcome {
    cluster::block_on(wait(arguments))
}

async fn wait(arguments: &WaitArguments) -> Outcome {
    if arguments.place.all_namespaces && !arguments.objects.is_empty() {
        return Err(usage!("an object that is named is in one namespace: say --namespace instead of -A"));
    }
    if let Some(object) = arguments.objects.iter().find(|object| object.kind.is_none()) {
        let name = &object.name;
        return Err(usage!(
            "{name} may not exist yet, so its kind counts: sealedsecret/{name} or externalsecret/{name}"
        ));
    }
    let client = cluster::connect(&arguments.connection).await?;
    let picks = arguments.objects.iter().map(|object| Pick { kind: object.kind, name: Some(object.name.clone()) });
    let selection = Selection::new(client, &arguments.place, picks.collect());
    let mut wait = Wait::new(arguments, &selection);
    let end = wait.run().await;
    wait.bar.finish_and_clear();
    wait.report(end?)
}

struct Wait<'a> {
    arguments: &'a WaitArguments,
    selection: &'a Selection,
    targets: Targets,
    waited: Waited,
    bar: ProgressBar,
    began: Instant,
    /// Kinds whose list has not come yet.
    unlisted: Vec<SyncedKind>,
    /// Kinds that the cluster does not have.
    absent: Vec<SyncedKind>,
    /// The last that the server said instead of an answer.
    trouble: Option<String>,
}

impl<'a> Wait<'a> {
    fn new(arguments: &'a WaitArguments, selection: &'a Selection) -> Self {
        let mut waited = Waited::new(arguments.goal, arguments.objects.is_empty());
        for object in &arguments.objects {
            if let (Some(kind), Some(namespace)) = (object.kind, &selection.namespace) {
                waited.expect(kind, namespace, &object.name);
            }
        }
        // Drawn on a terminal only, and on standard error.
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self {
            targets: Targets::new(selection.client.clone()),
            unlisted: selection.kinds(),
            absent: Vec::new(),
            trouble: None,
            began: Instant::now(),
            arguments,
            selection,
            waited,
            bar,
        }
    }

    async fn run(&mut self) -> Outcome<End> {
        let mut changes = changes(self.selection, &self.selection.kinds()).ready_chunks(CHUNK);
        let deadline = tokio::time::sleep(self.arguments.timeout);
        tokio::pin!(deadline);
        loop {
            let look = self.waited.is_secret_missing();
            let next = tokio::select! {
                biased;
                next = changes.next() => next.unwrap_or_default(),
                () = tokio::time::sleep(LOOK), if look => Vec::new(),
                () = &mut deadline => return self.time_is_up(),
            };
            for change in next {
                self.take(change)?;
            }
            // A list that is under way tells too little yet.
            if !self.unlisted.is_empty() {
                continue;
            }
            let wanted = self.waited.secrets();
            if !wanted.is_empty() {
                let looked = self.targets.look(&wanted);
                tokio::select! {
                    looked = looked => match looked {
                        Ok(found) => self.waited.found(&found),
                        Err(error) => self.trouble(error.to_string()),
                    },
                    () = &mut deadline => return self.time_is_up(),
                }
            }
            self.tell();
            if let Some(end) = self.end() {
                return Ok(end);
            }
            // A server that never pauses must not keep the time from running out.
            if (&mut deadline).now_or_never().is_some() {
                return self.time_is_up();
            }
        }
    }

    fn end(&self) -> Option<End> {
        let waits_for_first = self.arguments.place.selector.is_some();
        if self.waited.is_done() && !(waits_for_first && self.waited.is_nobody_seen()) {
            return Some(End::Done);
        }
        let gives_up = self.arguments.goal == Goal::Synced && !self.arguments.keep_waiting;
        (gives_up && self.waited.is_stalled()).then_some(End::Stalled)
    }

    fn time_is_up(&self) -> Outcome<End> {
        if let (Some(kind), Some(trouble)) = (self.unlisted.first(), &self.trouble) {
            let seconds = self.arguments.timeout.as_secs_f64();
            return Err(usage!("no list of {}s within {seconds} s: {trouble}", kind.as_str()));
        }
        Ok(End::TimeIsUp)
    }

    fn take(&mut self, change: Change) -> Outcome {
        match change {
            Change::Begins(kind) => self.waited.begin(kind),
            Change::Listed(kind) => {
                self.waited.listed(kind);
                self.unlisted.retain(|unlisted| *unlisted != kind);
            }
            Change::Seen(object) => {
                if self.selection.covers(object.kind, &object.name) {
                    self.waited.seen(*object);
                }
            }
            Change::Gone { kind, namespace, name } => self.waited.gone(kind, &namespace, &name),
            Change::Trouble { kind, error } => return self.refused(kind, &error),
        }
        Ok(())
    }

    /// A refusal ends the wait, anything else may pass.
    fn refused(&mut self, kind: SyncedKind, error: &kube::runtime::watcher::Error) -> Outcome {
        match Change::refusal(error) {
            Some(404) if self.arguments.objects.is_empty() => {
                if !self.absent.contains(&kind) {
                    self.absent.push(kind);
                }
                self.unlisted.retain(|unlisted| *unlisted != kind);
                if self.absent.len() == SyncedKind::ALL.len() {
                    return Err(usage!(
                        "the cluster knows neither SealedSecrets nor ExternalSecrets: are the CRDs installed?"
                    ));
                }
            }
            Some(404) => return Err(usage!("the cluster does not know {}: is the CRD installed?", kind.as_str())),
            Some(code @ (401 | 403)) => {
                let place = self.selection.place();
                return Err(usage!("watching the {}s in {place} is refused ({code}): {error}", kind.as_str()));
            }
            Some(_) | None => self.trouble(error.to_string()),
        }
        Ok(())
    }

    fn trouble(&mut self, text: String) {
        if self.trouble.as_ref() != Some(&text) && self.arguments.output == Report::Text {
            self.bar.suspend(|| output::note(&format!("{WARN}…{WARN:#} trying again: {}", output::plain(&text))));
        }
        self.trouble = Some(text);
    }

    /// Says what is new, one line an object.
    fn tell(&mut self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let news = self.waited.news();
        let (done, total) = self.waited.count();
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(self.waited.first_undone().unwrap_or_default());
        if self.arguments.output == Report::Json {
            return;
        }
        for one in news {
            self.bar.suspend(|| match &one {
                News::Done(text) => {
                    // Who closed the pipe does not want the lines; the exit code still counts.
                    drop(output::print(&format!("{GOOD}✓{GOOD:#} {text} {DIM}({seconds:.1} s){DIM:#}\n")));
                }
                News::Waits(text) => output::note(&format!("{WARN}…{WARN:#} {}", output::plain(text))),
            });
        }
    }

    fn report(&self, end: End) -> Outcome {
        let seconds = self.began.elapsed().as_secs_f64();
        if self.arguments.output == Report::Json {
            let objects = self.waited.entries().map(|(key, entry)| Line {
                kind: key.kind.as_str(),
                namespace: &key.namespace,
                name: &key.name,
                done: entry.is_done(self.arguments.goal),
                facts: facts(entry),
            });
            let goal = match self.arguments.goal {
                Goal::Synced => "synced",
                Goal::Deleted => "deleted",
            };
            let answer = Answer { done: matches!(end, End::Done), goal, seconds, objects: objects.collect() };
            output::print_json(&answer)?;
        }
        let (done, total) = self.waited.count();
        let undone = |only_stalled: bool| {
            let mut left = self.waited.undone(only_stalled);
            let more = left.len().saturating_sub(NAMED);
            left.truncate(NAMED);
            let mut text: String =
                left.iter().map(|line| format!("\n  {BAD}✗{BAD:#} {}", output::plain(line))).collect();
            if more > 0 {
                text.push_str(&format!("\n  and {more} more: see `bulla status --failing`"));
            }
            text
        };
        match end {
            End::Done => {
                if total == 0 && self.arguments.goal == Goal::Synced {
                    output::note(&format!("nothing to wait for in {}", self.selection.place()));
                }
                Ok(())
            }
            End::Stalled => {
                Err(refuse!("only a person can mend this (--keep-waiting waits all the same):{}", undone(true)))
            }
            End::TimeIsUp => {
                let seconds = self.arguments.timeout.as_secs_f64();
                Err(refuse!("{done} of {total} object(s) done within {seconds} s:{}", undone(false)))
            }
        }
    }
}

fn facts(entry: &Entry) -> Facts<'_> {
    let object = entry.object.as_ref();
    let text = |field: fn(&Observed) -> Option<&str>| object.and_then(field);
    Facts {
        exists: object.is_some(),
        state: object.map(|object| object.state.as_str()),
        reason: text(|object| object.reason.as_deref()),
        message: text(|object| object.message.as_deref()),
        stalled: object.is_some_and(|object| object.stalled),
        secret: text(|object| object.secret.as_deref()),
        secret_exists: entry.secret_exists(),
    }
}
