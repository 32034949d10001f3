//! How every object stands, in a few bytes each; series are written at the scrape and kept nowhere.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::controllers::queue::Key;

/// The kinds of objects that are worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controllers) enum Kind {
    SealedSecret,
    ExternalSecret,
    ClusterExternalSecret,
    SecretStore,
    ClusterSecretStore,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::SealedSecret,
        Self::ExternalSecret,
        Self::ClusterExternalSecret,
        Self::SecretStore,
        Self::ClusterSecretStore,
    ];

    pub(in crate::controllers) const fn as_str(self) -> &'static str {
        match self {
            Self::SealedSecret => "SealedSecret",
            Self::ExternalSecret => "ExternalSecret",
            Self::ClusterExternalSecret => "ClusterExternalSecret",
            Self::SecretStore => "SecretStore",
            Self::ClusterSecretStore => "ClusterSecretStore",
        }
    }

    /// How the names of the External Secrets Operator's metrics of this kind begin.
    const fn theirs(self) -> Option<[&'static str; 2]> {
        match self {
            Self::SealedSecret => None,
            Self::ExternalSecret => Some(["externalsecret_status_condition", "externalsecret_reconcile_duration"]),
            Self::ClusterExternalSecret => {
                Some(["clusterexternalsecret_status_condition", "clusterexternalsecret_reconcile_duration"])
            }
            Self::SecretStore => Some(["secretstore_status_condition", "secretstore_reconcile_duration"]),
            Self::ClusterSecretStore => {
                Some(["clustersecretstore_status_condition", "clustersecretstore_reconcile_duration"])
            }
        }
    }
}

/// Whether an object is as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controllers) enum State {
    /// Not known yet.
    #[default]
    Pending,
    /// It is.
    Ready,
    /// It is not.
    Failed,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// How one object stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::controllers) struct Standing<'a> {
    /// Whether it is as it should be.
    pub(in crate::controllers) state: State,
    /// Why, in `CamelCase`.
    pub(in crate::controllers) reason: &'static str,
    /// Its label `app.kubernetes.io/instance`, which upstream shows.
    pub(in crate::controllers) instance: Option<&'a str>,
}

impl Standing<'_> {
    /// As it should be, or not, for this reason.
    pub(in crate::controllers) const fn new(is_good: bool, reason: &'static str) -> Self {
        Self { state: if is_good { State::Ready } else { State::Failed }, reason, instance: None }
    }
}

/// How every object stands. Clones share it.
#[derive(Clone, Default)]
pub(in crate::controllers) struct Objects {
    tables: Arc<[Mutex<Table>; 5]>,
    /// Whether each object is shown by itself.
    shows_each: bool,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Table {
    rows: HashMap<Key, Row>,
    passes: HashMap<Key, Passed>,
    words: Words,
}

/// What is kept of each object. The text of its key is the queue's own.
#[derive(Clone, Copy, Default)]
struct Row {
    state: State,
    reason: u16,
    instance: u16,
}

/// What is kept beside it of one that has had passes, where the External Secrets Operator counts them.
#[derive(Clone, Copy, Default)]
struct Passed {
    nanoseconds: u64,
    calls: u32,
    errors: u32,
    /// Seconds since 1970 of the last pass that went well; 0 for none.
    synced: u32,
    /// Seconds from one refresh to the next; 0 for no refreshes.
    interval: u32,
}

/// Words that many objects share, by number.
#[derive(Default)]
struct Words {
    numbers: HashMap<Arc<str>, u16>,
    texts: Vec<Arc<str>>,
}

impl Words {
    /// 0 is the empty word, and any word after 65,000 others.
    fn number(&mut self, word: &str) -> u16 {
        if word.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let Ok(number) = u16::try_from(self.texts.len() + 1) else { return 0 };
        let text: Arc<str> = word.into();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }
}

/// The text of a word's number.
fn text(texts: &[Arc<str>], number: u16) -> &str {
    usize::from(number).checked_sub(1).and_then(|index| texts.get(index)).map_or("", |text| text)
}

impl Objects {
    pub(super) fn new(shows_each: bool) -> Self {
        Self { shows_each, ..Self::default() }
    }

    fn table(&self, kind: Kind) -> MutexGuard<'_, Table> {
        self.tables[kind as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object was seen; what is known of it already stays.
    pub(in crate::controllers) fn seen(&self, kind: Kind, key: &Key) {
        self.table(kind).rows.entry(key.clone()).or_default();
    }

    /// An object stands so now.
    pub(in crate::controllers) fn stands(&self, kind: Kind, key: &Key, standing: Standing<'_>) {
        let mut table = self.table(kind);
        let row = Row {
            state: standing.state,
            reason: table.words.number(standing.reason),
            instance: table.words.number(standing.instance.unwrap_or_default()),
        };
        table.rows.insert(key.clone(), row);
    }

    /// A pass that took so long ended well or not. `interval` is that of its refreshes, zero for none.
    pub(in crate::controllers) fn passed(
        &self,
        kind: Kind,
        key: &Key,
        is_good: bool,
        took: Duration,
        interval: Duration,
    ) {
        let mut table = self.table(kind);
        let passed = table.passes.entry(key.clone()).or_default();
        passed.nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        passed.calls = passed.calls.saturating_add(1);
        passed.errors = passed.errors.saturating_add(u32::from(!is_good));
        passed.interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
        if is_good {
            passed.synced = seconds(Timestamp::now());
        }
    }

    /// An object was last in sync then, which its status says.
    pub(in crate::controllers) fn was_synced(&self, kind: Kind, key: &Key, at: Timestamp, interval: Duration) {
        let mut table = self.table(kind);
        let passed = table.passes.entry(key.clone()).or_default();
        passed.synced = passed.synced.max(seconds(at));
        passed.interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
    }

    /// Forgets every object of every kind.
    pub(super) fn clear(&self) {
        for table in self.tables.iter() {
            *table.lock().unwrap_or_else(PoisonError::into_inner) = Table::default();
        }
    }

    /// An object is gone, and its series with it.
    pub(in crate::controllers) fn forget(&self, kind: Kind, key: &Key) {
        let mut table = self.table(kind);
        table.rows.remove(key);
        table.passes.remove(key);
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_second()).unwrap_or_default()
}

/// A copy to write from, so that no pass waits while texts are made.
struct Shown {
    rows: Vec<(Key, Row)>,
    passes: Vec<(Key, Passed)>,
    texts: Vec<Arc<str>>,
}

/// How late a refresh may be before the object counts as stale: one more interval, and this.
const LATE: u32 = 60;

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shown = Kind::ALL.map(|kind| {
            let table = self.table(kind);
            Shown {
                rows: table.rows.iter().map(|(key, row)| (key.clone(), *row)).collect(),
                passes: table.passes.iter().map(|(key, passed)| (key.clone(), *passed)).collect(),
                texts: table.words.texts.clone(),
            }
        });
        counts(&mut encoder, &shown)?;
        stale(&mut encoder, &shown[Kind::ExternalSecret as usize])?;
        if !self.shows_each {
            return Ok(());
        }
        sealed(&mut encoder, &shown[Kind::SealedSecret as usize])?;
        for (kind, shown) in Kind::ALL.iter().zip(&shown) {
            if let Some([condition, duration]) = kind.theirs() {
                theirs(&mut encoder, shown, condition, duration)?;
            }
        }
        calls(&mut encoder, &shown[Kind::ExternalSecret as usize])
    }
}

fn counts(encoder: &mut DescriptorEncoder<'_>, shown: &[Shown; 5]) -> Result<(), fmt::Error> {
    let help = "Objects by how they stand and why.";
    let mut metric = encoder.encode_descriptor("bulla_objects", help, None, MetricType::Gauge)?;
    for (kind, shown) in Kind::ALL.iter().zip(shown) {
        let mut counts: BTreeMap<(State, &str), u64> = BTreeMap::new();
        for (_, row) in &shown.rows {
            *counts.entry((row.state, text(&shown.texts, row.reason))).or_default() += 1;
        }
        for ((state, reason), count) in counts {
            let labels = [("kind", kind.as_str()), ("state", state.as_str()), ("reason", reason)];
            metric.encode_family(&labels)?.encode_gauge(&count)?;
        }
    }
    Ok(())
}

fn stale(encoder: &mut DescriptorEncoder<'_>, shown: &Shown) -> Result<(), fmt::Error> {
    let now = seconds(Timestamp::now());
    let is_stale = |passed: &Passed| {
        let patience = passed.interval.saturating_mul(2).saturating_add(LATE);
        passed.interval > 0 && now.saturating_sub(passed.synced) > patience
    };
    let count = shown.passes.iter().filter(|(_, passed)| is_stale(passed)).count();
    let help = "ExternalSecrets without a good sync for more than two refresh intervals.";
    encoder.encode_descriptor("bulla_external_stale", help, None, MetricType::Gauge)?.encode_gauge(&count)
}

fn sealed(encoder: &mut DescriptorEncoder<'_>, shown: &Shown) -> Result<(), fmt::Error> {
    let name = "sealed_secrets_controller_condition_info";
    let help = "Condition of each SealedSecret: 1 is true, 0 unknown, -1 false.";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (key, row) in &shown.rows {
        let value: i64 = match row.state {
            State::Ready => 1,
            State::Failed => -1,
            State::Pending => 0,
        };
        let labels = [
            ("namespace", key.namespace()),
            ("name", key.name()),
            ("condition", "Synced"),
            ("ss_app_kubernetes_io_instance", text(&shown.texts, row.instance)),
        ];
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn theirs(
    encoder: &mut DescriptorEncoder<'_>,
    shown: &Shown,
    condition: &str,
    duration: &str,
) -> Result<(), fmt::Error> {
    let help = "Condition of each object: 1 for the status that it has.";
    let mut metric = encoder.encode_descriptor(condition, help, None, MetricType::Gauge)?;
    for (key, row) in &shown.rows {
        if row.state == State::Pending {
            continue;
        }
        for (status, holds) in [("True", row.state == State::Ready), ("False", row.state == State::Failed)] {
            let [name, namespace] = place(key);
            let labels = [name, namespace, ("condition", "Ready"), ("status", status)];
            metric.encode_family(&labels)?.encode_gauge(&i64::from(holds))?;
        }
    }
    let help = "Time of the last pass over each object, in nanoseconds.";
    let mut metric = encoder.encode_descriptor(duration, help, None, MetricType::Gauge)?;
    for (key, passed) in shown.passes.iter().filter(|(_, passed)| passed.calls > 0) {
        metric.encode_family(&place(key))?.encode_gauge(&passed.nanoseconds)?;
    }
    Ok(())
}

fn calls(encoder: &mut DescriptorEncoder<'_>, shown: &Shown) -> Result<(), fmt::Error> {
    let help = "Passes over each ExternalSecret.";
    let mut metric = encoder.encode_descriptor("externalsecret_sync_calls", help, None, MetricType::Counter)?;
    let passed = || shown.passes.iter().filter(|(_, passed)| passed.calls > 0);
    for (key, passed) in passed() {
        metric.encode_family(&place(key))?.encode_counter::<NoLabelSet, _, u64>(&passed.calls, None)?;
    }
    // Its name does not end in `_total`, as a counter's must here: a gauge that only grows.
    let help = "Passes over each ExternalSecret that failed.";
    let mut metric = encoder.encode_descriptor("externalsecret_sync_calls_error", help, None, MetricType::Gauge)?;
    for (key, passed) in passed() {
        metric.encode_family(&place(key))?.encode_gauge(&passed.errors)?;
    }
    let help = "When each ExternalSecret was last in sync, in seconds since 1970.";
    let name = "bulla_external_last_sync_timestamp_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (key, passed) in shown.passes.iter().filter(|(_, passed)| passed.synced > 0) {
        metric.encode_family(&place(key))?.encode_gauge(&passed.synced)?;
    }
    Ok(())
}

fn place(key: &Key) -> [(&'static str, &str); 2] {
    [("name", key.name()), ("namespace", key.namespace())]
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    fn shown(objects: &Objects) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(objects.clone()));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn every_object_is_counted_where_it_stands_and_forgotten_with_its_series() {
        let objects = Objects::new(true);
        let (good, bad) = (Key::new("prod", "good"), Key::new("prod", "bad"));
        for key in [&good, &bad, &Key::new("prod", "new")] {
            objects.seen(Kind::SealedSecret, key);
        }
        let instance = Some("shop");
        objects.stands(Kind::SealedSecret, &good, Standing { instance, ..Standing::new(true, "Unsealed") });
        objects.stands(Kind::SealedSecret, &bad, Standing::new(false, "UnknownKey"));
        objects.seen(Kind::SealedSecret, &bad);
        let text = shown(&objects);
        for line in [
            r#"bulla_objects{kind="SealedSecret",state="ready",reason="Unsealed"} 1"#,
            r#"bulla_objects{kind="SealedSecret",state="failed",reason="UnknownKey"} 1"#,
            r#"bulla_objects{kind="SealedSecret",state="pending",reason=""} 1"#,
            r#"sealed_secrets_controller_condition_info{namespace="prod",name="good",condition="Synced",ss_app_kubernetes_io_instance="shop"} 1"#,
            r#"sealed_secrets_controller_condition_info{namespace="prod",name="bad",condition="Synced",ss_app_kubernetes_io_instance=""} -1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        objects.forget(Kind::SealedSecret, &bad);
        let text = shown(&objects);
        assert!(!text.contains("\"bad\"") && !text.contains("state=\"failed\""), "{text}");
    }

    #[test]
    fn without_series_for_each_object_there_are_still_the_counts() {
        let objects = Objects::new(false);
        let key = Key::new("prod", "db");
        objects.stands(Kind::ExternalSecret, &key, Standing::new(false, "ProviderDenied"));
        objects.passed(Kind::ExternalSecret, &key, false, Duration::from_millis(2), Duration::from_secs(60));
        let text = shown(&objects);
        assert!(text.contains(r#"state="failed",reason="ProviderDenied"} 1"#), "{text}");
        assert!(text.contains("bulla_external_stale 1"), "it never was in sync\n{text}");
        assert!(!text.contains("\"db\""), "{text}");
    }

    #[test]
    fn an_external_secret_is_stale_after_two_intervals_without_a_good_sync() {
        let objects = Objects::new(true);
        let (key, minute) = (Key::new("prod", "db"), Duration::from_secs(60));
        let ago = |seconds| Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
        objects.was_synced(Kind::ExternalSecret, &key, ago(200), minute);
        assert!(shown(&objects).contains("bulla_external_stale 1"));
        objects.was_synced(Kind::ExternalSecret, &key, ago(170), minute);
        assert!(shown(&objects).contains("bulla_external_stale 0"), "the later of both counts");
        objects.was_synced(Kind::ExternalSecret, &key, ago(4000), Duration::ZERO);
        assert!(shown(&objects).contains("bulla_external_stale 0"), "it is not refreshed");
        objects.passed(Kind::ExternalSecret, &key, true, Duration::from_nanos(7), minute);
        let text = shown(&objects);
        assert!(text.contains(r#"externalsecret_sync_calls_total{name="db",namespace="prod"} 1"#), "{text}");
        assert!(text.contains(r#"externalsecret_reconcile_duration{name="db",namespace="prod"} 7"#), "{text}");
    }

    #[test]
    fn what_is_kept_of_an_object_is_small() {
        assert!(size_of::<(Key, Row)>() <= 24);
        assert!(size_of::<(Key, Passed)>() <= 40);
    }

    #[test]
    fn a_scrape_of_ten_thousand_objects_is_quick() {
        let objects = Objects::new(true);
        for number in 0..10_000 {
            let key = Key::new("prod", &format!("object-{number}"));
            objects.stands(Kind::SealedSecret, &key, Standing::new(true, "Unsealed"));
            objects.stands(Kind::ExternalSecret, &key, Standing::new(true, "Synced"));
            objects.passed(Kind::ExternalSecret, &key, true, Duration::from_millis(1), Duration::from_secs(60));
        }
        let began = std::time::Instant::now();
        let text = shown(&objects);
        assert_eq!(text.matches("condition_info{").count(), 10_000);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
