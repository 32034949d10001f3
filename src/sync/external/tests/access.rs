use super::map;
use crate::sync::external::access::{
    AccessError, Condition, CredentialNamespace, Operator, Requirement, Selector, StoreScope, admit,
    credential_namespace, is_ours,
};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn by_regex(expressions: &[&str]) -> Condition {
    Condition { regexes: names(expressions), ..Condition::default() }
}

fn by_name(list: &[&str]) -> Condition {
    Condition { namespaces: names(list), ..Condition::default() }
}

fn by_labels(labels: &[(&str, &str)], requirements: &[(&str, Operator, &[&str])]) -> Condition {
    let requirements = requirements.iter().map(|(key, operator, values)| Requirement {
        key: (*key).to_owned(),
        operator: operator.clone(),
        values: names(values),
    });
    let selector = Selector { labels: map(labels), requirements: requirements.collect() };
    Condition { selector: Some(selector), ..Condition::default() }
}

#[test]
fn conditions_admit_namespaces() {
    use Operator::{DoesNotExist, Exists, In, NotIn};
    for (conditions, admitted) in [
        (vec![], true),
        (vec![Condition::default()], false),
        (vec![by_name(&["prod"])], true),
        (vec![by_name(&["pro", "prod2"])], false),
        (vec![by_regex(&["ro"])], true),
        (vec![by_regex(&["^ro"])], false),
        (vec![by_regex(&["^x", "d$"])], true),
        (vec![by_labels(&[], &[])], true),
        (vec![by_labels(&[("team", "a")], &[])], true),
        (vec![by_labels(&[("team", "b")], &[])], false),
        (vec![by_labels(&[("team", "a"), ("none", "x")], &[])], false),
        (vec![by_labels(&[("team", "a")], &[("tier", In, &["gold", "silver"])])], true),
        (vec![by_labels(&[("team", "a")], &[("tier", NotIn, &["gold"])])], false),
        (vec![by_labels(&[], &[("none", NotIn, &["gold"])])], true),
        (vec![by_labels(&[], &[("tier", Exists, &[]), ("none", DoesNotExist, &[])])], true),
        (vec![by_labels(&[], &[("none", Exists, &[])])], false),
        (vec![by_labels(&[], &[("tier", DoesNotExist, &[])])], false),
        // Any condition, and any part of one, suffices.
        (vec![by_name(&["other"]), by_regex(&["prod"])], true),
        (vec![Condition { namespaces: names(&["prod"]), ..by_labels(&[("team", "b")], &[]) }], true),
    ] {
        let result = admit("vault", &conditions, "prod", &map(&[("team", "a"), ("tier", "gold")]));
        assert_eq!(result.is_ok(), admitted, "{conditions:?}");
        if let Err(error) = result {
            let wanted =
                "using cluster store \"vault\" is not allowed from namespace \"prod\": denied by spec.condition";
            assert_eq!(error.to_string(), wanted);
        }
    }
}

#[test]
fn what_cannot_be_understood_denies_and_says_so() {
    let labels = map(&[("team", "a")]);
    let error = |conditions: &[Condition]| admit("vault", conditions, "prod", &labels).unwrap_err().to_string();
    assert_eq!(
        error(&[by_name(&["x"]), by_regex(&["("])]),
        "spec.conditions[1] of cluster store \"vault\" is invalid: the regular expression \"(\" is malformed or too large"
    );
    let odd = by_labels(&[], &[("team", Operator::Other("Gt".to_owned()), &["1"])]);
    assert!(error(&[odd]).contains("unknown operator \"Gt\""));
    assert!(error(&[by_labels(&[], &[("team", Operator::In, &[])])]).contains("lists no values"));
    assert!(error(&[by_labels(&[], &[("team", Operator::Exists, &["a"])])]).contains("must not list values"));
    // Another one may still admit.
    assert_eq!(admit("vault", &[by_regex(&["("]), by_name(&["prod"])], "prod", &labels), Ok(()));
    assert_eq!(admit("vault", &[by_regex(&["(", "prod"])], "prod", &labels), Ok(()));
}

#[test]
fn classes() {
    assert!(is_ours(None, "default") && is_ours(Some(""), "default") && is_ours(Some("default"), "default"));
    assert!(!is_ours(Some("other"), "default"));
}

#[test]
fn credentials_come_from_where_the_store_may_look() {
    use StoreScope::{Cluster, Namespace};
    let known = |name: &str| Ok(CredentialNamespace::Known(name.to_owned()));
    for (scope, selector, user, wanted) in [
        (Namespace("a"), None, Some("a"), known("a")),
        (Namespace("a"), Some(""), Some("a"), known("a")),
        (Namespace("a"), Some("a"), None, known("a")),
        (
            Namespace("a"),
            Some("b"),
            Some("a"),
            Err(AccessError::ForeignNamespace { selector: "b".to_owned(), store: "a".to_owned() }),
        ),
        (Cluster, Some("b"), Some("a"), known("b")),
        (Cluster, None, Some("a"), known("a")),
        (Cluster, Some(""), Some("a"), known("a")),
        (Cluster, None, None, Ok(CredentialNamespace::Referent)),
    ] {
        assert_eq!(credential_namespace(scope, selector, user), wanted, "{scope:?} {selector:?} {user:?}");
    }
}
