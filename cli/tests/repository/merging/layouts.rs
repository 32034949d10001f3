//! However a file is written: lines, braces, lists, several documents, other line ends.

use super::{Story, joined};
use crate::checkout::manifest;

/// What becomes of three versions, each made of the same lines.
fn merged(story: &Story, versions: [String; 3]) -> String {
    let [base, ours, theirs] = versions;
    story.tell(&base, &ours, &theirs);
    story.merged()
}

#[test]
fn json_merges_and_stays_json() {
    let story = Story::new();
    let value = |key: &str, value: &str| format!("\"{key}\": \"{}\"", story.key.seal(key, value, "2026-11-01"));
    let [a, b, c, b2, d] = [("a", "1"), ("b", "1"), ("c", "1"), ("b", "2"), ("d", "1")].map(|(key, v)| value(key, v));
    let json = |entries: &[&str]| {
        let entries = entries.iter().map(|entry| format!("      {entry}")).collect::<Vec<_>>().join(",\n");
        format!(
            "{{\n  \"apiVersion\": \"bitnami.com/v1alpha1\",\n  \"kind\": \"SealedSecret\",\n  \"metadata\": {{\"name\": \
             \"db\", \"namespace\": \"prod\"}},\n  \"spec\": {{\n    \"encryptedData\": {{\n{entries}\n    }}\n  }}\n}}\n"
        )
    };
    // Ours puts one behind the last, theirs changes the last and puts another one in front.
    let (ours, theirs) = (json(&[&a, &b, &c]), json(&[&d, &a, &b2]));
    story.checkout.commit(".gitattributes", "*.json merge=bulla\n");
    story.tell_of("db.json", &json(&[&a, &b]), &ours, &theirs);
    story.merge().exits(0);
    let result = story.checkout.read("db.json");
    assert_eq!(result, json(&[&d, &a, &b2, &c]));
    serde_json::from_str::<serde_json::Value>(&result).unwrap();
}

#[test]
fn a_conflict_in_json_is_on_the_lines_of_the_entry() {
    let story = Story::new();
    let value = |v: &str| story.key.seal("a", v, "2026-11-01");
    let [one, two, three] = ["1", "2", "3"].map(value);
    let json = |value: &str| {
        format!(
            "{{\n  \"apiVersion\": \"bitnami.com/v1alpha1\",\n  \"kind\": \"SealedSecret\",\n  \"metadata\": {{\"name\": \
             \"db\", \"namespace\": \"prod\"}},\n  \"spec\": {{\n    \"encryptedData\": {{\n      \"a\": \"{value}\",\n      \
             \"z\": \"z\"\n    }}\n  }}\n}}\n"
        )
    };
    story.checkout.commit(".gitattributes", "*.json merge=bulla\n");
    story.tell_of("db.json", &json(&one), &json(&two), &json(&three));
    story.merge().exits(1);
    let result = story.checkout.read("db.json");
    let expected = json("@").replace(
        "      \"a\": \"@\",\n",
        &format!("<<<<<<< HEAD\n      \"a\": \"{two}\",\n=======\n      \"a\": \"{three}\",\n>>>>>>> other\n"),
    );
    assert_eq!(result, expected);
}

#[test]
fn values_on_one_line_merge_and_conflict_on_that_line() {
    let story = Story::new();
    let [a, b, a2, b2, c] = [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2"), ("c", "1")].map(|(k, v)| story.line(k, v));
    let file = |entries: &[&str]| {
        format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: prod}}\nspec: \
             {{encryptedData: {{ {} }}}}\n",
            entries.join(", ")
        )
    };
    assert_eq!(merged(&story, [file(&[&a, &b]), file(&[&a2, &b]), file(&[&a, &b2, &c])]), file(&[&a2, &b2, &c]));

    let story = Story::new();
    story.tell(&file(&[&a]), &file(&[&a2]), &file(&[&a, &b]).replace(&a, &story.line("a", "3")));
    let run = story.merge().exits(1);
    assert!(run.err.contains("merged line by line, not by key: the values stand on one line"), "{}", run.err);
    assert_eq!(story.result().matches("<<<<<<<").count(), 1);
}

#[test]
fn folded_and_quoted_values_merge_with_their_lines() {
    let story = Story::new();
    let folded = |key: &str, value: &str| {
        let sealed = story.key.seal(key, value, "2026-11-01");
        let lines: Vec<String> =
            sealed.as_bytes().chunks(76).map(|chunk| format!("  {}", String::from_utf8_lossy(chunk))).collect();
        format!("{key}: |-\n{}", lines.join("\n"))
    };
    let quoted = |key: &str, value: &str| format!("'{key}': \"{}\" # note", story.key.seal(key, value, "2026-11-01"));
    let [a, a2, b, b2] = [folded("a", "1"), folded("a", "2"), quoted("b", "1"), quoted("b", "2")];
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    let result = merged(&story, [version(&[&a, &b]), version(&[&a2, &b]), version(&[&a, &b2, &folded("c", "1")])]);
    assert!(result.contains(&version(&[&a2, &b2])[..900]), "{result}");
    story.checkout.bulla(&["verify", "db.yaml"]).exits(0);
}

#[test]
fn line_ends_indentation_and_the_missing_last_line_break_stay() {
    let story = Story::new();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|key| story.line(key, "1"));
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines)).replace('\n', "\r\n");
    let result = merged(&story, [version(&[&a]), version(&[&a, &b]), version(&[&a, &c])]);
    assert_eq!(result, version(&[&a, &b, &c]));

    // Ours indents the whole file anew, theirs adds a key.
    let story = Story::new();
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    let wide = |text: &str| {
        let widened = |line: &str| {
            let spaces = line.len() - line.trim_start().len();
            format!("{}{}\n", " ".repeat(spaces * 2), line.trim_start())
        };
        text.lines().map(widened).collect::<String>()
    };
    let result = merged(&story, [version(&[&a]), wide(&version(&[&a])), version(&[&a, "# new", &c])]);
    assert_eq!(result, wide(&version(&[&a, "# new", &c])));

    // The values end the file, without a line break.
    let story = Story::new();
    let version = |lines: &[&str]| {
        let text = manifest("prod/db", &joined(lines));
        text.strip_suffix("\n  template:\n    type: Opaque\n").unwrap().to_owned()
    };
    let result = merged(&story, [version(&[&a]), version(&[&a, &b]), version(&[&d, &a])]);
    assert_eq!(result, version(&[&d, &a, &b]));
}

#[test]
fn comments_and_everything_around_the_values_merge_as_lines() {
    let story = Story::new();
    let [a, b, c] = ["a", "b", "c"].map(|key| story.line(key, "1"));
    let a2 = story.line("a", "2");
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    let base = version(&["# the first", &a, "", "# the second", &b]);
    let ours =
        version(&["# the first", &a2, "", "# the second, of us", &b]).replace("type: Opaque", "type: Opaque # o");
    let theirs = version(&["# the first", &format!("{a} # theirs"), "", "# the second", &b, "# at the end", &c])
        .replace("# of the payments team", "# of the billing team");
    let expected =
        version(&["# the first", &format!("{a2} # theirs"), "", "# the second, of us", &b, "# at the end", &c])
            .replace("type: Opaque", "type: Opaque # o")
            .replace("# of the payments team", "# of the billing team");
    assert_eq!(merged(&story, [base, ours, theirs]), expected);
}

#[test]
fn several_documents_merge_also_when_they_move_and_when_both_sides_add_one() {
    let story = Story::new();
    let object = |name: &str, values: &[(&str, &str)]| {
        let lines: Vec<String> = values
            .iter()
            .map(|(key, value)| {
                let sealed =
                    story.key.seal_for(bulla::seal::Scope::Strict, &format!("prod/{name}"), key, value, "2026-11-01");
                // The same value twice must be the same text.
                format!("{key}: {sealed}")
            })
            .collect();
        manifest(&format!("prod/{name}"), &lines.join("\n"))
    };
    let (one, two) = (object("one", &[("a", "1"), ("b", "1")]), object("two", &[("a", "1"), ("b", "1")]));
    let line = |text: &str, key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    let changed = |text: &str, name: &str, key: &str| {
        text.replace(&line(text, key), &line(&object(name, &[(&key[..1], "2")]), key))
    };
    let (one_a, two_b) = (changed(&one, "one", "a:"), changed(&two, "two", "b:"));
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n";
    let file = |parts: &[&str]| parts.join("---\n");
    // Ours changes one and turns the order round; theirs changes the other.
    let base = file(&[&one, &two, config]);
    let result = merged(&story, [base.clone(), file(&[&two, &one_a, config]), file(&[&one, &two_b, config])]);
    assert_eq!(result, file(&[&two_b, &one_a, config]));

    // Both add an object of the same name, with different keys, to a file that had none.
    let story = Story::new();
    let new = |keys: &[&str]| manifest("prod/db", &joined(keys));
    let [a, b] = ["a", "b"].map(|key| story.line(key, "1"));
    let result = merged(&story, [config.to_owned(), file(&[config, &new(&[&a])]), file(&[config, &new(&[&b])])]);
    assert_eq!(result, file(&[config, &new(&[&a, &b])]));
}

#[test]
fn a_file_that_both_sides_add_merges_too() {
    let story = Story::new();
    let [a, b] = ["a", "b"].map(|key| story.line(key, "1"));
    story.checkout.commit("README", "x\n");
    story.checkout.branch("other", "main", super::FILE, &manifest("prod/db", &b));
    story.checkout.git(&["checkout", "-q", "main"]).exits(0);
    story.checkout.commit(super::FILE, &manifest("prod/db", &a));
    assert_eq!(story.merged(), manifest("prod/db", &joined(&[&a, &b])));
}

#[test]
fn the_items_of_a_list_merge_one_by_one() {
    let story = Story::new();
    let item = |name: &str, lines: &[&str]| {
        let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
        format!(
            "- apiVersion: bitnami.com/v1alpha1\n  kind: SealedSecret\n  metadata: {{name: {name}, namespace: prod}}\n  \
             spec:\n    encryptedData:\n{lines}"
        )
    };
    let of = |name: &str, key: &str, value: &str| {
        let sealed = story.key.seal_for(bulla::seal::Scope::Strict, &format!("prod/{name}"), key, value, "2026-11-01");
        format!("{key}: {sealed}")
    };
    let [a1, a2, b1, b2] = [of("one", "k", "1"), of("one", "k", "2"), of("two", "k", "1"), of("two", "k", "2")];
    let list = |items: &[String]| format!("apiVersion: v1\nkind: List\nitems:\n{}", items.concat());
    let versions = [
        list(&[item("one", &[&a1]), item("two", &[&b1])]),
        list(&[item("one", &[&a2]), item("two", &[&b1])]),
        list(&[item("two", &[&b2]), item("one", &[&a1])]),
    ];
    // Both objects have the same key, and their order changed on one side.
    assert_eq!(merged(&story, versions), list(&[item("two", &[&b2]), item("one", &[&a2])]));
}

#[test]
fn what_cannot_be_moved_or_read_is_merged_as_lines() {
    for (from, to) in [("    a:", "    a: &anchor"), ("spec:\n", "spec: {{ template }}\n")] {
        let story = Story::new();
        let [a, b, c, b2] = [("a", "1"), ("b", "1"), ("c", "1"), ("b", "2")].map(|(key, v)| story.line(key, v));
        let version = |lines: &[&str]| manifest("prod/db", &joined(lines)).replacen(from, to, 1);
        let far = "# 1\n# 2\n# 3\n# 4";
        story.tell(&version(&[&a, far, &b]), &version(&[&a, far, &b2]), &version(&[&c, &a, far, &b]));
        let run = story.merge().exits(0);
        assert!(run.err.contains("merged line by line, not by key"), "{}", run.err);
        assert_eq!(story.result(), version(&[&c, &a, far, &b2]));
    }
}

#[test]
fn lines_that_merge_to_the_same_key_twice_are_a_conflict() {
    let story = Story::new();
    // Git merges these lines without a word, and no reader takes the result. The anchor keeps us from merging by key.
    let [a, b, c] = ["a", "b", "c"].map(|key| story.line(key, "1"));
    let a = a.replace("a: ", "a: &anchor ");
    let far = "# 1\n# 2\n# 3\n# 4";
    let version = |lines: &[&str]| manifest("prod/db", &joined(lines));
    let (ours, theirs) = (version(&[&c, &a, far, &b]), version(&[&a, far, &b, &story.line("c", "2")]));
    story.tell(&version(&[&a, far, &b]), &ours, &theirs);
    story.merge().exits(1);
    assert!(story.checkout.git(&["status", "--porcelain"]).out.contains("UU db.yaml"));
}
