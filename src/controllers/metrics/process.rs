//! The process itself, under the names that every client library of Prometheus uses.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Reads `/proc` at each scrape; where there is none, its metrics are missing.
#[derive(Debug)]
pub(super) struct Process;

/// What `/proc` says.
struct Reading {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
}

impl Reading {
    fn now() -> Option<Self> {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as u64;
        let boot = fs::read_to_string("/proc/stat").ok()?;
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok()?;
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?, ticks, page, boot)
    }

    fn parse(stat: &str, ticks: f64, page: u64, boot: f64) -> Option<Self> {
        // The name in parentheses may hold anything; the third field is the first behind it.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks,
            start_seconds: boot + field(22)? as f64 / ticks,
            resident_bytes: field(24)? * page,
            virtual_bytes: field(23)?,
            threads: field(20)?,
        })
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(now) = Reading::now() else { return Ok(()) };
        counter(&mut encoder, "process_cpu_seconds", "Processor time used, in seconds.", &now.cpu_seconds)?;
        gauge(&mut encoder, "process_start_time_seconds", "Start, in seconds since 1970.", &now.start_seconds)?;
        gauge(&mut encoder, "process_resident_memory_bytes", "Resident memory.", &now.resident_bytes)?;
        gauge(&mut encoder, "process_virtual_memory_bytes", "Virtual memory.", &now.virtual_bytes)?;
        gauge(&mut encoder, "process_threads", "Threads.", &now.threads)?;
        // The folder that is being read is open too.
        let open = fs::read_dir("/proc/self/fd").map(|folder| folder.count().saturating_sub(1) as u64);
        if let Ok(open) = open {
            gauge(&mut encoder, "process_open_fds", "Open files.", &open)?;
        }
        match most_files() {
            Some(most) => gauge(&mut encoder, "process_max_fds", "The most open files.", &most),
            None => Ok(()),
        }
    }
}

fn most_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &impl EncodeGaugeValue,
) -> Result<(), fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &impl EncodeCounterValue,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, _, u64>(value, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_move_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 5 0 1000 4096000 300 18446744073709551615";
        let read = Reading::parse(stat, 100.0, 4096, 1_000_000.0).unwrap();
        assert_eq!((read.cpu_seconds, read.start_seconds), (3.0, 1_000_010.0));
        assert_eq!((read.resident_bytes, read.virtual_bytes, read.threads), (300 * 4096, 4_096_000, 5));
        assert!(Reading::parse("nonsense", 100.0, 4096, 0.0).is_none());
    }
}
