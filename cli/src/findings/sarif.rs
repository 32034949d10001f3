//! SARIF 2.1.0, which code scanning of GitHub and GitLab, and editors, read.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::baseline::Known;
use super::{Finding, Note, Related, Root, Rule};

/// Where the schema of the format is.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The findings of one run, with the rules that it knows.
pub(super) fn log(rules: &[&'static Rule], findings: &[Finding], notes: &[Note], root: &Root) -> Value {
    let index: HashMap<&str, usize> = rules.iter().enumerate().map(|(at, rule)| (rule.id, at)).collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let results: Vec<Value> =
        findings.iter().map(|finding| result(finding, index.get(finding.rule.id), root, &mut seen)).collect();
    let notes: Vec<Value> = notes.iter().map(|note| notification(note, root)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bulla",
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            // Ours count characters, as people and editors do.
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    let Rule { id, level, summary, why, mend } = rule;
    // GitHub sorts by this number: from 7 is high.
    let severity = match level {
        super::Level::Error => "8.0",
        super::Level::Warning => "4.0",
    };
    json!({
        "id": id,
        "shortDescription": {"text": summary},
        "fullDescription": {"text": why},
        "help": {"text": format!("{why}\n\nMend: {mend}"), "markdown": format!("{why}\n\n**Mend**: {mend}")},
        "defaultConfiguration": {"level": level.as_str()},
        "properties": {"tags": ["security", "secrets"], "precision": "high", "security-severity": severity},
    })
}

fn result(finding: &Finding, index: Option<&usize>, root: &Root, seen: &mut HashMap<String, usize>) -> Value {
    let print = fingerprint(finding, root);
    let count = seen.entry(print.clone()).or_default();
    *count += 1;
    let mut location = physical(&finding.file, finding.line, finding.column, root);
    if let Some(object) = &finding.object {
        let full = if finding.path.is_empty() { object.clone() } else { format!("{object}: {}", finding.path) };
        location["logicalLocations"] = json!([{"name": object, "fullyQualifiedName": full, "kind": "object"}]);
    }
    let related: Vec<Value> = finding.related.iter().map(|other| related(other, root)).collect();
    let mut result = json!({
        "ruleId": finding.rule.id,
        "level": finding.level.as_str(),
        "message": {"text": format!("{}\nMend: {}", finding.sentence(), finding.mend)},
        "locations": [location],
        "partialFingerprints": {"bulla/v1": &print, "primaryLocationLineHash": format!("{}:{count}", &print[..16])},
    });
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    if !related.is_empty() {
        result["relatedLocations"] = Value::Array(related);
    }
    if let Some(commit) = &finding.commit {
        result["properties"] = json!({"commit": commit});
    }
    result
}

fn related(other: &Related, root: &Root) -> Value {
    let mut location = physical(&other.file, other.line, other.column, root);
    location["message"] = json!({"text": other.message});
    location
}

fn physical(file: &str, line: Option<usize>, column: Option<usize>, root: &Root) -> Value {
    let mut region = Map::new();
    // A finding about a whole file is shown at its first line: code scanning wants one.
    region.insert("startLine".to_owned(), json!(line.unwrap_or(1)));
    if let Some(column) = column.filter(|_| line.is_some()) {
        region.insert("startColumn".to_owned(), json!(column));
    }
    let uri = root.uri(file);
    let mut artifact = json!({"uri": &uri});
    if !uri.starts_with("file:") {
        artifact["uriBaseId"] = json!("%SRCROOT%");
    }
    json!({"physicalLocation": {"artifactLocation": artifact, "region": region}})
}

fn notification(note: &Note, root: &Root) -> Value {
    let location = json!({"physicalLocation": {"artifactLocation": {"uri": root.uri(&note.file)}}});
    json!({"level": "note", "message": {"text": note.message}, "locations": [location]})
}

/// What a finding keeps when lines move. It is made of names only: nothing can be guessed back from it but those.
fn fingerprint(finding: &Finding, root: &Root) -> String {
    let Known { rule, file, object, path, .. } = Known::of(finding, root);
    let parts = [rule.as_str(), file.as_str(), object.as_deref().unwrap_or_default(), path.as_str()];
    Sha256::digest(parts.join("\n").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
