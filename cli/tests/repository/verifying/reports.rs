//! How findings are told: text, JSON, SARIF, workflow commands, and what a rule says of itself.

use serde_json::Value;

use super::{CANARY, repository};
use crate::harness::Bench;

fn two_leaks() -> Bench {
    let (bench, _) = repository();
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData:\n  password: {CANARY}\n");
    bench.write("clusters/a b,ü.yaml", &secret);
    bench.write("clusters/100%:1.yaml", &format!("---\n{secret}"));
    bench
}

#[test]
fn sarif_has_every_field_that_code_scanning_asks_for() {
    let bench = two_leaks();
    let run = bench.run(&["verify", "--output", "sarif"]).exits(1);
    assert!(!run.out.contains(CANARY), "{}", run.out);
    let log: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let [ref one] = log["runs"].as_array().unwrap()[..] else { panic!("{log}") };
    assert_eq!(one["columnKind"], "unicodeCodePoints");
    let driver = &one["tool"]["driver"];
    assert_eq!(driver["name"], "bulla");
    let rules = driver["rules"].as_array().unwrap();
    for rule in rules {
        for field in ["/id", "/shortDescription/text", "/fullDescription/text", "/help/text", "/help/markdown"] {
            assert!(
                rule.pointer(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
                "{field}: {rule}"
            );
        }
        assert!(matches!(rule["defaultConfiguration"]["level"].as_str(), Some("error" | "warning")), "{rule}");
        assert!(rule["properties"]["security-severity"].as_str().unwrap().parse::<f64>().is_ok());
    }
    let results = one["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let mut prints = Vec::new();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert_eq!(result["level"], "error");
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let location = &result["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uriBaseId"], "%SRCROOT%");
        assert!(location["region"]["startLine"].as_u64().unwrap() >= 5);
        assert_eq!(location["region"]["startColumn"], 3);
        prints.push(result["partialFingerprints"]["bulla/v1"].as_str().unwrap().to_owned());
        assert_eq!(result["locations"][0]["logicalLocations"][0]["name"], "Secret db");
    }
    assert!(one["originalUriBaseIds"]["%SRCROOT%"].is_object());
    let uri = |at: usize| results[at]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
    assert_eq!((uri(0), uri(1)), ("clusters/100%25%3A1.yaml", "clusters/a%20b%2C%C3%BC.yaml"));
    assert_ne!(prints[0], prints[1]);

    // Lines move, the fingerprint stays; and names begin at the root of the repository wherever one stands.
    let text = bench.read("clusters/a b,ü.yaml");
    bench.write("clusters/a b,ü.yaml", &format!("# one more line\n{text}"));
    let run = bench.run(&["verify", "clusters/a b,ü.yaml", "--output", "sarif"]).exits(1);
    assert!(run.out.contains(&prints[1]), "{}", run.out);
    let absolute = bench.path("clusters/a b,ü.yaml").canonicalize().unwrap();
    let run = bench.run(&["verify", absolute.to_str().unwrap(), "--output", "sarif"]).exits(1);
    assert!(run.out.contains(&prints[1]) && run.out.contains("\"clusters/a%20b%2C%C3%BC.yaml\""), "{}", run.out);
}

#[test]
fn annotations_of_github_have_line_and_column_and_are_escaped() {
    let bench = two_leaks();
    let run = bench.run(&["verify", "--output", "github"]).exits(1).says("2 error(s) and 0 warning(s)");
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.out);
    let place = "::error file=clusters/100%25%3A1.yaml,line=6,col=3,title=bulla plain-secret::Secret db: stringData.password: in the clear%0AMend: ";
    assert!(lines[0].starts_with(place), "{}", lines[0]);
    assert!(lines[1].starts_with("::error file=clusters/a b%2Cü.yaml,line=5,col=3,"), "{}", lines[1]);
    assert!(!run.out.contains(CANARY));
}

#[test]
fn json_names_every_part_of_a_finding() {
    let bench = two_leaks();
    let run = bench.run(&["verify", "clusters/a b,ü.yaml", "--output", "json"]).exits(1);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let finding = report["findings"][0].as_object().unwrap();
    let fields: Vec<&str> = finding.keys().map(String::as_str).collect();
    assert_eq!(fields, ["level", "rule", "file", "line", "column", "object", "path", "message", "mend"]);
    assert_eq!((finding["level"].as_str(), finding["line"].as_u64()), (Some("error"), Some(5)));
    let checked: Vec<&String> = report["checked"].as_object().unwrap().keys().collect();
    assert_eq!(checked, ["files", "sealedSecrets", "values", "externalSecrets", "stores", "hosts", "kustomizations"]);
}

#[test]
fn every_rule_explains_itself() {
    let bench = Bench::new();
    let list = bench.run(&["verify", "--rules", "--output", "json"]).exits(0).out;
    let rules: Vec<Value> = serde_json::from_str(&list).unwrap();
    let text = bench.run(&["verify", "--rules"]).exits(0).out;
    assert_eq!(text.lines().count(), rules.len());
    for rule in &rules {
        let id = rule["id"].as_str().unwrap();
        let said = bench.run(&["verify", "--explain", id]).exits(0).out;
        for part in ["summary", "why", "mend"] {
            assert!(said.contains(rule[part].as_str().unwrap()), "{id}: {said}");
        }
        assert_eq!(
            serde_json::from_str::<Value>(&bench.run(&["verify", "--explain", id, "--output", "json"]).out).unwrap(),
            *rule
        );
    }
    bench
        .run(&["verify", "--explain", "nonsense"])
        .exits(2)
        .says("there is no rule \"nonsense\"; these are there: plain-secret,");
    // The page has the same words.
    let page = include_str!("../../../../docs/verify.md");
    for rule in rules {
        let text = |part: &str| rule[part].as_str().unwrap().to_owned();
        let row = format!("| `{}` | {} | {} |", text("id"), text("level"), text("summary"));
        assert!(page.contains(&row), "docs/verify.md lacks: {row}");
    }
}
