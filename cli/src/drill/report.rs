//! What a drill came to.

use std::collections::BTreeMap;
use std::time::Duration;

use bulla::seal::KeyId;
use jiff::Timestamp;
use serde::Serialize;

use super::lost::{Loss, LostFile};
use super::opening::Opener;
use super::outside::FromOutside;
use super::unread::{NotLookedAt, Unread};
use super::{Counts, Drill};
use crate::args::Older;
use crate::git::ObjectId;
use crate::output::{BAD, DIM, GOOD, HEAD, WARN, plain};

/// Secrets a second that the controller writes on 2 cores: the slowest that `benches/RESULTS.md` measured, of RSA keys.
const WRITES_PER_SECOND: usize = 395;
/// How many files of a loss people are shown.
const SHOWN: usize = 12;

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// Everything that was looked at opens.
    Opens,
    /// Everything of the newest commit does; of older ones not.
    NewestOpens,
    /// Not even that.
    Lost,
    /// What was looked at opens, and there is something that was not.
    Unproven,
    /// There is no sealed value.
    Nothing,
}

/// All of it; written as JSON it is the record for the audit. There is no value in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    date: String,
    version: &'static str,
    repository: String,
    /// The newest commit, and what named it.
    commit: String,
    revision: String,
    /// What was proven besides; empty means every ref.
    revisions: Vec<String>,
    keys: Vec<Key>,
    newest: Told,
    /// Absent where only the newest commit was looked at.
    history: Option<Told>,
    pub(crate) lost: Vec<Loss>,
    pub(crate) not_looked_at: NotLookedAt,
    from_outside: FromOutside,
    rebuild: Rebuild,
    notes: Vec<String>,
}

/// A key that was given.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: KeyId,
    kind: &'static str,
    /// How many values it opened, of those that are sealed to several keys the first that fits.
    values: usize,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    commits: Option<usize>,
    /// With sealed values in them; of a history every version counts.
    files: usize,
    sealed_secrets: usize,
    values: usize,
    opened: usize,
}

impl From<Counts> for Told {
    fn from(counts: Counts) -> Self {
        let Counts { files, objects, values, opened } = counts;
        Self { commits: None, files, sealed_secrets: objects, values, opened }
    }
}

/// How long it takes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rebuild {
    /// Reading and opening the newest commit, measured.
    open_seconds: f64,
    threads: usize,
    /// What is to be written by the controller.
    secrets: usize,
    /// Estimated.
    write_seconds: f64,
    writes_per_second: usize,
}

impl Report {
    pub(super) fn new(drill: &Drill<'_>, newest: ObjectId, named: &str, present: Counts, took: Duration) -> Self {
        let keys = drill.keyring.iter().map(|(identity, _)| Key {
            id: identity.key_id(),
            kind: identity.kind().as_str(),
            values: 0,
        });
        let shown = drill.git.root().unwrap_or_else(|| drill.git.dir());
        Self {
            verdict: Verdict::Nothing,
            date: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            version: env!("CARGO_PKG_VERSION"),
            repository: shown.display().to_string(),
            commit: newest.to_string(),
            revision: named.to_owned(),
            revisions: drill.revisions.to_vec(),
            keys: keys.collect(),
            newest: Told::from(present),
            history: None,
            lost: Vec::new(),
            not_looked_at: NotLookedAt::default(),
            from_outside: FromOutside::default(),
            rebuild: Rebuild {
                open_seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
                threads: rayon::current_num_threads(),
                secrets: 0,
                write_seconds: 0.0,
                writes_per_second: WRITES_PER_SECOND,
            },
            notes: Vec::new(),
        }
    }

    /// Adds what the history came to.
    pub(super) fn told_of_history(&mut self, commits: usize, counts: Counts, notes: &[String]) {
        self.history = Some(Told { commits: Some(commits), ..Told::from(counts) });
        self.notes.extend(notes.iter().cloned());
    }

    /// Adds the rest, and decides.
    pub(super) fn take(&mut self, opener: &Opener<'_>, lost: Vec<Loss>, outside: FromOutside) {
        let used: BTreeMap<KeyId, usize> = opener.used();
        for key in &mut self.keys {
            key.values = used.get(&key.id).copied().unwrap_or_default();
        }
        let secrets = self.newest.sealed_secrets + outside.external_secrets;
        self.rebuild.secrets = secrets;
        self.rebuild.write_seconds = (secrets as f64 / WRITES_PER_SECOND as f64 * 10.0).round() / 10.0;
        (self.lost, self.from_outside) = (lost, outside);
        if opener.untold() > 0 {
            self.notes.push(format!("{} more places of values that do not open are not told apart", opener.untold()));
        }
        if opener.templates() > 0 {
            self.notes.push(format!(
                "{} template(s) with SealedSecrets cannot be read before they are rendered: of them only sealed values were looked at that stand in them as they are",
                opener.templates()
            ));
        }
        self.not_looked_at = opener.not_looked_at();
        let is_all = self.not_looked_at.count == 0;
        let has_any = self.newest.values > 0 || self.history.as_ref().is_some_and(|history| history.values > 0);
        self.verdict = match self.lost.as_slice() {
            [] if !is_all => Verdict::Unproven,
            [] if has_any => Verdict::Opens,
            [] => Verdict::Nothing,
            lost if lost.iter().any(|loss| loss.in_newest > 0) => Verdict::Lost,
            _ if !is_all => Verdict::Unproven,
            _ => Verdict::NewestOpens,
        };
    }

    /// Whether the drill has failed.
    pub(crate) fn is_failure(&self, older: Older) -> bool {
        match self.verdict {
            Verdict::Opens => false,
            Verdict::NewestOpens => older == Older::Fail,
            Verdict::Unproven => older == Older::Fail || self.not_looked_at.in_newest,
            Verdict::Lost | Verdict::Nothing => true,
        }
    }

    /// For people: the verdict first.
    pub(crate) fn text(&self) -> String {
        let mut text = self.headline();
        let named = format!("{} {}", self.revision, &self.commit[..10]);
        let Told { files, sealed_secrets, values, opened, .. } = self.newest;
        text.push_str(&format!(
            "  {HEAD}{named}{HEAD:#}: {opened} of {values} values open, in {sealed_secrets} SealedSecrets in {files} files\n"
        ));
        if let Some(Told { commits, files, values, opened, .. }) = &self.history {
            let of = if self.revisions.is_empty() { "every ref".to_owned() } else { self.revisions.join(", ") };
            text.push_str(&format!(
                "  {HEAD}history{HEAD:#} of {of}: {opened} of {values} different values open, in {files} versions of files in {} commits\n",
                commits.unwrap_or_default()
            ));
        }
        let used = self.keys.iter().filter(|key| key.values > 0);
        let used: Vec<String> = used.map(|key| format!("{} ({}, {})", key.id, key.kind, key.values)).collect();
        let spare = self.keys.len() - used.len();
        if !used.is_empty() {
            text.push_str(&format!("  {HEAD}opened by{HEAD:#} {}", used.join(", ")));
            text.push_str(&if spare > 0 {
                format!("; {spare} other key(s) opened nothing\n")
            } else {
                "\n".to_owned()
            });
        }
        text.push_str(&self.unread_text());
        self.lost.iter().for_each(|loss| text.push_str(&loss_text(loss)));
        text.push_str(&self.outside_text());
        let Rebuild { open_seconds, threads, secrets, write_seconds, writes_per_second } = &self.rebuild;
        text.push_str(&format!(
            "  {HEAD}a rebuild{HEAD:#}: opening took {open_seconds:.1} s on {threads} threads here; a controller writes {secrets} Secrets in about {write_seconds:.0} s ({writes_per_second} a second on 2 cores), when the cluster is up, its keys are restored and the manifests are applied\n"
        ));
        for note in &self.notes {
            text.push_str(&format!("  {DIM}note: {}{DIM:#}\n", plain(note)));
        }
        text
    }

    fn headline(&self) -> String {
        let lost: usize = self.lost.iter().map(|loss| loss.values).sum();
        let newest: usize = self.lost.iter().map(|loss| loss.in_newest).sum();
        match self.verdict {
            Verdict::Opens if self.history.is_some() => {
                format!("{GOOD}Every value of every commit opens.{GOOD:#}\n")
            }
            Verdict::Opens => format!("{GOOD}Every value of the newest commit opens.{GOOD:#}\n"),
            Verdict::NewestOpens => format!(
                "{WARN}Every value of the newest commit opens; {lost} value(s) of older commits do not:{WARN:#} those commits cannot be gone back to.\n"
            ),
            Verdict::Lost => {
                format!("{BAD}{newest} value(s) of the newest commit do not open{BAD:#}, {lost} in all.\n")
            }
            Verdict::Unproven => format!(
                "{BAD}{} thing(s) could not be looked at{BAD:#}: that every value opens is not proven.\n",
                self.not_looked_at.count
            ),
            Verdict::Nothing => format!("{BAD}There is no sealed value in it{BAD:#}: nothing is proven.\n"),
        }
    }

    fn unread_text(&self) -> String {
        let NotLookedAt { count, things, .. } = &self.not_looked_at;
        if *count == 0 {
            return String::new();
        }
        let mut text = format!("\n  {BAD}not looked at{BAD:#}: {count}\n");
        for Unread { path, value, why } in things.iter().take(SHOWN) {
            let place = if value.is_empty() { plain(path) } else { format!("{}  {}", plain(path), plain(value)) };
            text.push_str(&format!("    {place}: {why}\n"));
        }
        if *count > SHOWN {
            text.push_str(&format!("    and {} more: --output json has them\n", count - SHOWN));
        }
        text.push_str(&format!(
            "    {DIM}commit it as YAML in UTF-8, or leave it out of what is proven: --exclude{DIM:#}\n"
        ));
        text
    }

    fn outside_text(&self) -> String {
        let FromOutside { external_secrets, in_repository, by_provider, .. } = &self.from_outside;
        let elsewhere = external_secrets - in_repository;
        if elsewhere == 0 {
            return String::new();
        }
        let by: Vec<String> =
            by_provider.iter().map(|(provider, count)| format!("{} {count}", plain(provider))).collect();
        format!(
            "  {WARN}not in the repository{WARN:#}: the values of {elsewhere} of {external_secrets} ExternalSecrets come from stores elsewhere ({}); they have to be there too\n",
            by.join(", ")
        )
    }
}

fn loss_text(loss: &Loss) -> String {
    let mut text = String::from("\n");
    let what = match loss.cause.keys.as_slice() {
        [] if loss.cause.reason == "NoKeyOpens" => {
            format!("{BAD}no RSA key here opens them{BAD:#}: {}", count(loss.values))
        }
        [] => format!("{}: {BAD}each {}{BAD:#}", count(loss.values), plain(&loss.cause.message)),
        [key] if loss.cause.reason == "LockedKey" => {
            format!("{BAD}key {key} is here, but wrapped{BAD:#}: {}", count(loss.values))
        }
        [key] => format!("{BAD}key {key} is missing{BAD:#}: {}", count(loss.values)),
        keys => {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            format!("{BAD}none of the keys {} is here{BAD:#}: {}", keys.join(", "), count(loss.values))
        }
    };
    text.push_str(&format!("  {what}, {} in the newest commit", loss.in_newest));
    match (loss.sealed_from, loss.sealed_until) {
        (Some(from), Some(until)) if from != until => text.push_str(&format!("; sealed {from} to {until}")),
        (Some(day), _) => text.push_str(&format!("; sealed {day}")),
        (None, _) => {}
    }
    if let Some(first) = &loss.first {
        text.push_str(&format!("; since commit {} of {}", first.short(), first.date));
    }
    text.push('\n');
    loss.files.iter().take(SHOWN).for_each(|file| text.push_str(&file_text(file)));
    let more = loss.files.len().saturating_sub(SHOWN) + loss.more_files;
    if more > 0 {
        text.push_str(&format!("    and {more} more file(s): --output json has them\n"));
    }
    text.push_str(&format!("    {DIM}{}{DIM:#}\n", loss.cause.mend()));
    text
}

fn count(values: usize) -> String {
    if values == 1 { "1 value".to_owned() } else { format!("{values} values") }
}

fn file_text(file: &LostFile) -> String {
    let mut objects: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for value in &file.values {
        objects.entry(&value.object).or_default().push(&value.key);
    }
    let objects: Vec<String> =
        objects.iter().map(|(object, keys)| format!("{object} {}", keys.join(", ")).trim().to_owned()).collect();
    let mut text = format!("    {}  {}", plain(&file.path), plain(&objects.join("; ")));
    if let Some(first) = file.commits.first() {
        let more = file.commits.len() - 1;
        let more = if more > 0 { format!(" and {more} more commit(s)") } else { String::new() };
        text.push_str(&format!("  {DIM}from {} {}{more}{DIM:#}", first.short(), first.date));
    }
    match &file.until {
        Some(until) => text.push_str(&format!(" {DIM}until {} {}{DIM:#}", until.short(), until.date)),
        None if file.in_newest => text.push_str(&format!(" {BAD}still there{BAD:#}")),
        None => {}
    }
    text.push('\n');
    text
}
