//! What the documentation, the alert rules and the dashboard say about metrics is so.

use std::collections::BTreeSet;
use std::fs;

use crate::exposition::{busy, families};
use crate::world::{World, root};

/// The rows of the tables of metrics in the documentation: name, type, labels; and whether the metric is in every
/// scrape of one controller.
fn documented() -> Vec<(String, String, Vec<String>, bool)> {
    let text = fs::read_to_string(root().join("docs/observability.md")).unwrap();
    let mut in_every = true;
    let mut rows = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            in_every = !line.contains("HTTP") && !line.contains("replica");
        }
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, _] = cells.as_slice() else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        rows.push((name.to_owned(), (*kind).to_owned(), labels, in_every));
    }
    rows
}

/// Everything in a text that is named like a metric of ours.
fn metrics_in(text: &str) -> BTreeSet<String> {
    const OURS: [&str; 7] = [
        "bulla_",
        "sealed_secrets_controller_",
        "externalsecret_",
        "clusterexternalsecret_",
        "secretstore_",
        "clustersecretstore_",
        "process_",
    ];
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| OURS.iter().any(|prefix| word.starts_with(prefix))).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_documented_as_it_is_and_rules_and_dashboard_use_no_other() {
    let world = World::new().await;
    let program = busy(&world, &["--notify-after", "0s", "--kubeseal-certificates", "true"]).await;
    program.until_line("bulla_sealing_key_expires_timestamp_seconds{").await;
    program.until_line("bulla_sealing_key_values{").await;
    program.until_line("bulla_notification_posts_total{receiver=\"webhook\",outcome=\"retried\"}").await;
    let (_, text) = program.scrape(None).await;
    let shown = families(&text);
    let documented = documented();
    assert!(documented.len() > 30, "the tables are found: {documented:#?}");
    for (name, (kind, labels)) in &shown {
        let (_, said, names, _) = documented
            .iter()
            .find(|(documented, ..)| documented == name)
            .unwrap_or_else(|| panic!("{name} is not documented"));
        assert_eq!(said, kind, "the type of {name}");
        // A metric without a series shows no labels.
        assert!(labels.is_empty() || names == labels, "the labels of {name}: {names:?}, it has {labels:?}");
    }
    for (name, _, _, in_every) in &documented {
        assert!(!in_every || shown.contains_key(name), "{name} is documented, and not in\n{text}");
    }
    for file in ["alerts.yaml", "alerts_test.yaml", "dashboard.json"] {
        let text = fs::read_to_string(root().join("deploy/monitoring").join(file)).unwrap();
        let used = metrics_in(&text);
        assert!(used.len() > 8, "{file}: {used:?}");
        for name in used {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let is_known = |name: &str| documented.iter().any(|(known, ..)| known == name);
            assert!(is_known(&name) || base.is_some_and(is_known), "{file} uses {name}, which nobody shows");
        }
    }
}

#[test]
fn the_dashboard_is_one() {
    let text = fs::read_to_string(root().join("deploy/monitoring/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have the same id");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{}", panel["title"]);
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            assert!(!panel["targets"].as_array().unwrap().is_empty());
        }
    }
}
