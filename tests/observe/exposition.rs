//! What a scrape of a working controller looks like, to Prometheus itself too.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::servers;
use crate::world::{CANARY, Program, World};

/// What a scraper of today asks for.
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.6,*/*;q=0.5";

/// A controller to which everything has happened that metrics tell of.
pub(crate) async fn busy(world: &World, arguments: &[&str]) -> Program {
    let program = world.start(arguments, &[("BULLA_NOTIFY_WEBHOOK_URL", "http://127.0.0.1:1/")]).await;
    world.sealed("good").await;
    world.broken("broken").await;
    world.synced("broken", false).await;
    world.store().await;
    world.external("remote", "k", true).await;
    world.external("missing", "nothing", false).await;
    world.holds_the_canary("remote").await;
    program
}

/// The metrics of a scrape in text format 0.0.4: name to type, and the labels of one series.
pub(crate) fn families(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let mut families = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
        } else if let (false, Some((series, _))) = (line.starts_with('#'), line.rsplit_once(' ')) {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let name = if families.contains_key(name) { name } else { base.unwrap_or(name) };
            let labels =
                labels.split("\",").filter_map(|label| label.split_once('=')).map(|(label, _)| label.to_owned());
            let labels: Vec<_> = labels.filter(|label| label != "le").collect();
            families.get_mut(name).unwrap_or_else(|| panic!("{line} has no type")).1 = labels;
        }
    }
    families
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_names_are_kept_and_prometheus_takes_it_in_both_formats() {
    let world = World::new().await;
    let program = busy(&world, &["--notify-after", "0s"]).await;
    let namespace = &world.namespace;
    let text = program.until_line("sealed_secrets_controller_unseal_requests_total 2").await;
    for line in [
        format!("sealed_secrets_controller_unseal_errors_total{{reason=\"unseal\",namespace=\"{namespace}\"}} 1"),
        format!(
            "sealed_secrets_controller_condition_info{{namespace=\"{namespace}\",name=\"good\",condition=\"Synced\",ss_app_kubernetes_io_instance=\"\"}} 1"
        ),
        format!(
            "sealed_secrets_controller_condition_info{{namespace=\"{namespace}\",name=\"broken\",condition=\"Synced\",ss_app_kubernetes_io_instance=\"\"}} -1"
        ),
        format!("externalsecret_sync_calls_total{{name=\"remote\",namespace=\"{namespace}\"}} 1"),
        format!("externalsecret_sync_calls_error{{name=\"missing\",namespace=\"{namespace}\"}} 1"),
        format!(
            "externalsecret_status_condition{{name=\"remote\",namespace=\"{namespace}\",condition=\"Ready\",status=\"True\"}} 1"
        ),
        "bulla_objects{kind=\"SealedSecret\",state=\"ready\",reason=\"Unsealed\"} 1".to_owned(),
        "bulla_objects{kind=\"SecretStore\",state=\"ready\",reason=\"Valid\"} 1".to_owned(),
        "bulla_external_stale 1".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        line.trim().parse().unwrap()
    };
    assert!((1e6..1e9).contains(&value("process_resident_memory_bytes ")));
    assert!(value("process_cpu_seconds_total ") > 0.0 && value("process_open_fds ") > 3.0);
    let age = jiff::Timestamp::now().as_second() as f64 - value("process_start_time_seconds ");
    assert!((-2.0..120.0).contains(&age), "it started {age} s ago");
    assert!(value("bulla_reconcile_duration_seconds_count{kind=\"SealedSecret\"} ") >= 2.0);
    assert!(value("bulla_time_to_sync_seconds_count{kind=\"SealedSecret\"} ") >= 1.0);

    let (kind, plain) = program.scrape(None).await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let (kind, open) = program.scrape(Some(OPEN_METRICS)).await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("# EOF\n") && !plain.contains("# EOF"));
    for text in [&plain, &open] {
        assert!(!text.contains(CANARY));
    }
    prometheus_reads(&plain);

    world.delete::<bulla_crds::SealedSecret>("broken").await;
    program.until_line("bulla_objects{kind=\"SealedSecret\",state=\"ready\",reason=\"Unsealed\"} 1").await;
    let began = std::time::Instant::now();
    while program.scrape(None).await.1.contains("name=\"broken\"") {
        assert!(began.elapsed() < crate::world::SOON, "its series go with it");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_of_each_object_can_be_left_out() {
    let world = World::new().await;
    let program = busy(&world, &["--object-metrics", "false"]).await;
    let (_, text) = program.scrape(None).await;
    assert!(text.contains("bulla_objects{kind=\"ExternalSecret\",state=\"failed\""), "{text}");
    assert!(!text.contains("name=\"good\"") && !text.contains("condition_info"), "{text}");
}

/// Has Prometheus' own parser read it.
fn prometheus_reads(text: &str) {
    let mut child = Command::new(servers::path("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // 3 is for style alone; names that others chose have theirs.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}\n{text}");
    for line in said.lines() {
        assert!(line.starts_with("externalsecret_") || line.starts_with("secretstore_"), "{line}\n{text}");
    }
}
