//! The sealing keys: how old, until when, and how much depends on each.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// One sealing key, as metrics show it.
#[derive(Clone, Debug, Default)]
pub(in crate::controllers) struct KeyRow {
    /// Its id.
    pub(in crate::controllers) id: String,
    /// The word for its kind.
    pub(in crate::controllers) kind: &'static str,
    /// The word for its state.
    pub(in crate::controllers) state: &'static str,
    /// When it was made.
    pub(in crate::controllers) created: Option<Timestamp>,
    /// Until when its certificate is good.
    pub(in crate::controllers) expires: Option<Timestamp>,
    /// How many values of live objects it opens, where that is counted.
    pub(in crate::controllers) values: Option<u64>,
}

/// All of them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::controllers) struct KeyRows(Arc<Mutex<Vec<KeyRow>>>);

impl KeyRows {
    /// These are the keys now. A count of values that is not given stays as it was.
    pub(in crate::controllers) fn show(&self, mut rows: Vec<KeyRow>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in &mut rows {
            let before = shown.iter().find(|before| before.id == row.id).and_then(|before| before.values);
            row.values = row.values.or(before);
        }
        *shown = rows;
    }
}

impl Collector for KeyRows {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let second = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        let count = |count: Option<u64>| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        type Column<'a> = (&'a str, &'a str, &'a dyn Fn(&KeyRow) -> Option<i64>);
        let columns: [Column<'_>; 3] = [
            (
                "bulla_sealing_key_created_timestamp_seconds",
                "When each sealing key was made, in seconds since 1970.",
                &|row| second(row.created),
            ),
            (
                "bulla_sealing_key_expiry_timestamp_seconds",
                "Until when the certificate of each sealing key is good, in seconds since 1970.",
                &|row| second(row.expires),
            ),
            ("bulla_sealing_key_values", "Values of live SealedSecrets that each sealing key opens.", &|row| {
                count(row.values)
            }),
        ];
        for (name, help, value) in columns {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for row in &rows {
                if let Some(value) = value(row) {
                    let labels = [("key", row.id.as_str()), ("kind", row.kind), ("state", row.state)];
                    metric.encode_family(&labels)?.encode_gauge(&value)?;
                }
            }
        }
        Ok(())
    }
}
