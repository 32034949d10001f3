//! What Prometheus reads, over HTTP or from a file of node_exporter's textfile collector: made from the status.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;

use super::status::{Condition, Status};
use crate::host::disk;

/// The format's content type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const CONDITIONS: [Condition; 6] = [
    Condition::Starting,
    Condition::Trying,
    Condition::InSync,
    Condition::Degraded,
    Condition::Behind,
    Condition::RolledBack,
];

/// The status in Prometheus' text format.
pub(super) fn text(status: &Status) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, kind: &str, samples: &[(String, f64)]| {
        // Writing to a String does not fail.
        writeln!(out, "# HELP bulla_host_{name} {help}\n# TYPE bulla_host_{name} {kind}").ok();
        for (labels, value) in samples {
            writeln!(out, "bulla_host_{name}{labels} {value}").ok();
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "counts and seconds are far below 2^53")]
    let number = |value: usize| value as f64;
    let seconds = |at: Option<Timestamp>| at.map_or(0.0, |at| at.as_duration().as_secs_f64());
    let plain = |value: f64| [(String::new(), value)];
    let info = format!("{{version={:?},host={:?}}}", status.version, status.host);
    gauge("info", "The agent", "gauge", &[(info, 1.0)]);
    let conditions = CONDITIONS.map(|condition| {
        let is = status.condition == condition;
        (format!("{{condition=\"{}\"}}", condition.as_str()), f64::from(u8::from(is)))
    });
    gauge("condition", "1 for the condition that the host is in", "gauge", &conditions);
    let good = status.good.as_ref();
    let commit = good.map(|good| (format!("{{commit={:?}}}", good.commit), seconds(Some(good.since))));
    gauge("commit_timestamp_seconds", "Since when the host has its commit", "gauge", commit.as_slice());
    gauge(
        "fetch_timestamp_seconds",
        "When the repository was last asked with success",
        "gauge",
        &plain(seconds(status.fetched)),
    );
    gauge("status_timestamp_seconds", "When the agent last said so", "gauge", &plain(seconds(status.at)));
    gauge(
        "fetch_failed",
        "1 if the last fetch failed",
        "gauge",
        &plain(f64::from(u8::from(status.fetch_error.is_some()))),
    );
    gauge(
        "tip_refused",
        "1 if the repository's tip is not taken",
        "gauge",
        &plain(f64::from(u8::from(status.refused.is_some()))),
    );
    gauge("bad_commits", "Commits that did not prove well", "gauge", &plain(number(status.bad.len())));
    gauge("problems", "What could not be made", "gauge", &plain(number(status.problems.len())));
    gauge("files", "Files of the generation in use", "gauge", &plain(number(status.files.len())));
    let stale = status.files.iter().filter(|file| file.is_stale).count();
    gauge("stale_files", "Files that are the last good ones", "gauge", &plain(number(stale)));
    gauge(
        "drift_total",
        "Changes by hand since the start",
        "counter",
        &plain(number(usize::try_from(status.drifts).unwrap_or(usize::MAX))),
    );
    out
}

/// Writes the file for node_exporter's textfile collector, whole.
///
/// # Errors
/// Of the file system.
pub(super) fn write(path: &Path, status: &Status) -> std::io::Result<()> {
    disk::replace(path, text(status).as_bytes(), 0o644, false)
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::host::agent::status::{Condition, Status};

    #[test]
    fn every_sample_has_its_help_and_type_and_labels_are_quoted() {
        let status =
            Status { host: "fro\"do".to_owned(), condition: Condition::Degraded, drifts: 3, ..Status::default() };
        let text = text(&status);
        assert!(text.contains("bulla_host_condition{condition=\"degraded\"} 1\n"), "{text}");
        assert!(text.contains("bulla_host_condition{condition=\"inSync\"} 0\n"), "{text}");
        assert!(text.contains("host=\"fro\\\"do\"") && text.contains("bulla_host_drift_total 3\n"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(text.contains(&format!("# HELP {name} ")) && text.contains(&format!("# TYPE {name} ")), "{line}");
        }
    }
}
