use super::{pairs, shown, values};
use crate::sync::projection::{ConflictPolicy, Merge, MergeStrategy, PriorityPolicy, Rewrite, rewrite};

type Shown = Result<Vec<(String, String)>, String>;

fn rewritten(entries: &[(&str, &str)], steps: &[Rewrite]) -> Shown {
    let mut transform = |template: &str, key: &str| match template {
        "fail" => Err("the template failed".to_owned()),
        template => Ok(template.replace("{{ .value }}", key)),
    };
    rewrite(values(entries), steps, &mut transform).map(|values| shown(&values)).map_err(|error| error.to_string())
}

fn regexp(source: &str, target: &str) -> Rewrite {
    Rewrite::Regexp { source: source.to_owned(), target: target.to_owned() }
}

#[test]
fn regexp_replaces_as_go_does() {
    for (key, source, target, wanted) in [
        ("prod/db/user", "/", "_", "prod_db_user"),
        ("prod/db", "^prod/(.*)$", "$1", "db"),
        ("prod/db", "^prod/(?P<name>.*)$", "x-${name}", "x-db"),
        ("prod/db", "^prod/(?<name>.*)$", "x-${name}", "x-db"),
        // The longest name counts: there is no group "1x".
        ("ab", "(a)(b)", "$1x", ""),
        ("ab", "(a)(b)", "${1}x", "ax"),
        ("ab", "(a)(b)", "$2$1", "ba"),
        ("ab", "a", "$$", "$b"),
        ("ab", "a", "$", "$b"),
        ("ab", "a", "${", "${b"),
        ("ab", "c", "x", "ab"),
        ("a٣1", r"\d", "-", "a٣-"),
        ("AbC", "(?i)b", "x", "AxC"),
        ("aé", "", "-", "-a-é-"),
    ] {
        let result = rewritten(&[(key, "v")], &[regexp(source, target)]).unwrap();
        assert_eq!(result, pairs(&[(wanted, "v")]), "{key} {source} {target}");
    }
    let error = rewritten(&[("a", "v")], &[regexp("a", "b"), regexp("(", "")]).unwrap_err();
    assert_eq!(error, "failed rewrite operation[1]: the regular expression \"(\" is malformed or too large");
}

#[test]
fn keys_that_become_the_same_are_an_error_and_named() {
    let given = &[("a1", "x"), ("a2", "y"), ("b", "z")];
    assert_eq!(
        rewritten(given, &[regexp("[0-9]", "")]).unwrap_err(),
        "failed rewrite operation[0]: keys collide: \"a1\" and \"a2\" both become \"a\""
    );
    let same = Rewrite::Transform { template: "same".to_owned() };
    assert!(rewritten(given, &[same]).unwrap_err().contains("\"a1\" and \"b\" both become \"same\""));
    // Keys may change places.
    assert_eq!(
        rewritten(&[("a", "1"), ("aa", "2")], &[regexp("^a$", "aaa")]).unwrap(),
        pairs(&[("aa", "2"), ("aaa", "1")])
    );
}

#[test]
fn transform_and_several_steps() {
    let template = |text: &str| Rewrite::Transform { template: text.to_owned() };
    let steps = [template("pre-{{ .value }}"), regexp("^pre-", "post-")];
    assert_eq!(rewritten(&[("k", "v")], &steps).unwrap(), pairs(&[("post-k", "v")]));
    assert_eq!(
        rewritten(&[("k", "v")], &[regexp("x", "y"), template("fail")]).unwrap_err(),
        "failed rewrite operation[1]: the template failed"
    );
}

fn merge(merge: Merge) -> [Rewrite; 1] {
    [Rewrite::Merge(merge)]
}

#[test]
fn merge_extracts() {
    let given = &[("a", r#"{"x":"<1>","n":9007199254740993,"f":1.0}"#), ("b", r#"{"y":{"z":"<"},"e":null}"#)];
    let wanted = [("e", ""), ("f", "1"), ("n", "9007199254740993"), ("x", "<1>"), ("y", r#"{"z":"\u003c"}"#)];
    assert_eq!(rewritten(given, &merge(Merge::default())).unwrap(), pairs(&wanted));
}

#[test]
fn merge_conflicts_and_priority() {
    let given = &[("a", r#"{"k":"a","l":1}"#), ("b", r#"{"k":"b","l":2}"#), ("c", r#"{"k":"c"}"#)];
    assert_eq!(
        rewritten(given, &merge(Merge::default())).unwrap_err(),
        "failed rewrite operation[0]: merge failed with conflicts: k, l"
    );
    let ignore = Merge { conflict: ConflictPolicy::Ignore, ..Merge::default() };
    assert_eq!(rewritten(given, &merge(ignore.clone())).unwrap(), pairs(&[("k", "c"), ("l", "2")]));
    let priority =
        |keys: &[&str]| Merge { priority: keys.iter().map(|key| (*key).to_owned()).collect(), ..ignore.clone() };
    assert_eq!(rewritten(given, &merge(priority(&["a"]))).unwrap(), pairs(&[("k", "a"), ("l", "1")]));
    assert_eq!(rewritten(given, &merge(priority(&["a", "b"]))).unwrap(), pairs(&[("k", "b"), ("l", "2")]));
    assert_eq!(
        rewritten(given, &merge(priority(&["none"]))).unwrap_err(),
        "failed rewrite operation[0]: merge failed with key \"none\" not found in input map"
    );
    let lax = Merge { priority_policy: PriorityPolicy::IgnoreNotFound, ..priority(&["none", "a"]) };
    assert_eq!(rewritten(given, &merge(lax)).unwrap(), pairs(&[("k", "a"), ("l", "1")]));
}

#[test]
fn merge_into_json() {
    let given = &[("a", r#"{"x":"<1>"}"#), ("b", r#"{"y":[1,2.50]}"#)];
    let json = Merge { strategy: MergeStrategy::Json, into: "all".to_owned(), ..Merge::default() };
    let wanted = [given[0], ("all", r#"{"x":"<1>","y":[1,2.5]}"#), given[1]];
    assert_eq!(rewritten(given, &merge(json.clone())).unwrap(), pairs(&wanted));
    assert_eq!(
        rewritten(given, &merge(Merge { into: String::new(), ..json })).unwrap_err(),
        "failed rewrite operation[0]: merge failed with missing 'into' field"
    );
    let error = rewritten(&[("a", "c4n4ry")], &merge(Merge::default())).unwrap_err();
    assert_eq!(error, "failed rewrite operation[0]: merge failed: the value of key \"a\" is not a JSON object");
}
