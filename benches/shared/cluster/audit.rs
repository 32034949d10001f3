//! The API server's audit log with its times: who wrote what when, to the microsecond, without asking the server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;

/// Answers from here on are errors.
const FAILED: u16 = 400;

/// What one client asked of the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Changes, events excepted.
    pub(crate) writes: usize,
    /// Events written.
    pub(crate) events: usize,
    /// Everything else: lists, reads, watches.
    pub(crate) reads: usize,
    /// Those of all that were answered with an error.
    pub(crate) failed: usize,
    /// How often what was asked, as `create secrets 201`.
    pub(crate) kinds: BTreeMap<String, usize>,
    /// When the first Secret of the measured namespace was asked for, or the first status if that was earlier.
    pub(crate) first_write: Option<Timestamp>,
    /// When the last status in the measured namespace was written.
    pub(crate) last_status: Option<Timestamp>,
    /// Statuses written in the measured namespace.
    pub(crate) statuses: usize,
}

impl Tally {
    pub(crate) const fn requests(&self) -> usize {
        self.writes + self.events + self.reads
    }

    /// What was asked how often, for people.
    pub(crate) fn requests_in_words(&self) -> String {
        let words = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Counts what `user` asked since the offset `from` of the log. `namespace` has the measured objects, whose plural
    /// is `plural`.
    pub(crate) fn of(log: &Path, from: u64, user: &str, namespace: &str, plural: &str) -> anyhow::Result<Self> {
        let mut file = File::open(log).with_context(|| format!("the audit log {}", log.display()))?;
        file.seek(SeekFrom::Start(from))?;
        let mut tally = Self::default();
        for line in BufReader::new(file).lines() {
            // The last line may still be on its way.
            if let Ok(entry) = serde_json::from_str::<Entry>(&line?)
                && entry.user.username == user
            {
                tally.add(&entry, namespace, plural);
            }
        }
        Ok(tally)
    }

    fn add(&mut self, entry: &Entry, namespace: &str, plural: &str) {
        let object = entry.object_ref.clone().unwrap_or_default();
        let is_write = matches!(entry.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        // A watch is there twice: when it begins and when it ends.
        if entry.verb == "watch" && entry.stage == "ResponseComplete" {
            return;
        }
        match (is_write, object.resource.as_str()) {
            (true, "events") => self.events += 1,
            (true, _) => self.writes += 1,
            (false, _) => self.reads += 1,
        }
        let code = entry.response_status.as_ref().map_or(0, |status| status.code);
        let failed = code >= FAILED;
        self.failed += usize::from(failed);
        let slash = if object.subresource.is_empty() { "" } else { "/" };
        let kind = format!("{} {}{slash}{} {code}", entry.verb, object.resource, object.subresource);
        *self.kinds.entry(kind).or_default() += 1;
        if is_write && !failed && object.namespace == namespace {
            let is_status = object.resource == plural && object.subresource == "status";
            if object.resource == "secrets" || is_status {
                let first = self.first_write.get_or_insert(entry.request_received_timestamp);
                *first = (*first).min(entry.request_received_timestamp);
            }
            if is_status {
                self.statuses += 1;
                let last = self.last_status.get_or_insert(entry.stage_timestamp);
                *last = (*last).max(entry.stage_timestamp);
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Option<Object>,
    #[serde(default)]
    response_status: Option<Status>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}
